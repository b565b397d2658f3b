/*
title = "Who was in which crime, and what did it pay?"
page = "crimes"
of = "crime"
asks = ["leader", "planner"]
caption = "Successful crimes of the last {days} days, the newest first, with what they brought."
definition = """
The state in which each crime was seen last. Money is the whole crime's, before it is split; the
percentage is the part of all members together, and is empty where nothing was paid automatically. One
crime is here however old it is."""
chart = { kind = "table", label = "crime", values = ["money"] }
units = { executed_at = "time", money = "money", payout_percent = "number", respect_gained = "respect", paid_at = "time" }
links = { crime = "crime_id" }
shared = ["torn_items"]

[needs."/faction/crimes"]

[needs."/faction/members"]
also = ["/faction/{id}/members"]
optional = true

[needs."/torn/items"]
optional = true
*/
with crew as (
    select s._subject_id, s.crime_id,
           string_agg(
               coalesce(m.name, cast(s.user_id as string)) || ' (' || s.position || ')', ', '
               order by s._index) as crew
    from {faction_crimes_slots:now} as s
    left join {faction_members:last} as m on m._subject_id = s._subject_id and m.id = s.user_id
    group by s._subject_id, s.crime_id
),
reward as (
    select r._subject_id, r.crime_id,
           string_agg(
               cast(r.quantity as string) || ' x ' || coalesce(i.name, cast(r.item_id as string)),
               ', ' order by r._index) as items
    from {faction_crimes_rewards_items:now} as r
    left join {torn_items:last} as i on i.id = r.item_id
    group by r._subject_id, r.crime_id
)
select c.executed_at, c.name as crime, c.difficulty, c.rewards_money as money,
       c.rewards_payout_percentage as payout_percent, w.crew, r.items as reward_items,
       c.rewards_respect as respect_gained, c.rewards_payout_paid_at as paid_at, c.id as crime_id
from {faction_crimes:now} as c
left join crew as w on w._subject_id = c._subject_id and w.crime_id = c.id
left join reward as r on r._subject_id = c._subject_id and r.crime_id = c.id
where c.status = 'Successful' and (c.id = $crime or $crime is null and c.executed_at >= $since)
order by c.executed_at desc, c.id desc
