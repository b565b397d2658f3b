/*
title = "Who was in which crime, and what did it pay?"
page = "crimes"
asks = ["leader", "planner"]
caption = "Successful crimes of the last {days} days, the newest first."
definition = """
The state in which each crime was seen last. Money is the whole crime's, before it is split; the
percentage is the part of all members together, and is empty where nothing was paid automatically."""
chart = { kind = "table", label = "crime", values = ["money"] }
units = { executed_at = "time", money = "money", payout_percent = "number" }
links = { crime = "crime_id" }

[needs."/faction/crimes"]

[needs."/faction/members"]
also = ["/faction/{id}/members"]
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
)
select c.executed_at, c.name as crime, c.difficulty, c.rewards_money as money,
       c.rewards_payout_percentage as payout_percent, w.crew, c.id as crime_id
from {faction_crimes:now} as c
left join crew as w on w._subject_id = c._subject_id and w.crime_id = c.id
where c.status = 'Successful' and c.executed_at >= $since
order by c.executed_at desc, c.id desc
