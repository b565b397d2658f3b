/*
title = "Which crimes need somebody now?"
page = "crimes"
asks = ["planner", "leader"]
caption = "Crimes that wait for a member, an item, their execution or their payout, the worst first. Beside a member stands the pass rate."
definition = """
A slot is open where nobody is in it. An item is missing where the member of a slot needs it and it is
not there; who joins an open slot may bring it. The pass rate is that of the member in this slot. A crime is late that plans and was ready before now. A
crime of the last days that was successful and brought money is not paid automatically until Torn names
a payout; a leader may have paid it by hand, which nothing tells. The newest picture of the crimes is
looked at: what was executed since then still stands here."""
chart = { kind = "list", label = "crime", values = ["need", "slots"] }
units = { need = "rating", ready_at = "time", expires_at = "time", not_paid = "money" }
links = { crime = "crime_id" }
shared = ["torn_items"]

[needs."/faction/crimes"]
every = "PT15M"

[needs."/faction/members"]
also = ["/faction/{id}/members"]
optional = true

[needs."/torn/items"]
optional = true
*/
with slot as (
    select s._subject_id, s.crime_id, s._index, s.user_id,
           nullif(s.checkpoint_pass_rate, 0) as pass_rate,
           coalesce(s.position_info_label, s.position) as role,
           coalesce(m.name, cast(s.user_id as string)) as member,
           coalesce(i.name, 'item ' || cast(s.item_requirement_id as string)) as item,
           case when s.user_id is not null and s.item_requirement_id is not null
                 and not s.item_requirement_is_available then 1 else 0 end as lacks
    from {faction_crimes_slots:now} as s
    left join {faction_members:last} as m on m._subject_id = s._subject_id and m.id = s.user_id
    left join {torn_items:last} as i on i.id = s.item_requirement_id
),
crew as (
    select _subject_id, crime_id, count(*) - count(user_id) as open_slots, sum(lacks) as lacking,
           string_agg(
               role || ': ' || case
                   when user_id is null then 'open'
                   else member || coalesce(' ' || cast(pass_rate as string), '')
               end || case when lacks = 1 then ' without ' || item else '' end,
               ', ' order by _index) as slots
    from slot
    group by _subject_id, crime_id
),
crime as (
    select c._subject_id, c.id, c.name, c.difficulty, c.status, c.ready_at, c.expired_at,
           case when c.status in ('Recruiting', 'Planning') then coalesce(w.open_slots, 0) else 0 end
               as open_slots,
           case when c.status in ('Recruiting', 'Planning') then coalesce(w.lacking, 0) else 0 end
               as lacking,
           case when c.status = 'Planning' and c.ready_at < $until then 1 else 0 end as late,
           case when c.status = 'Successful' and c.rewards_money > 0 and c.executed_at >= $since
                 and c.rewards_payout_paid_at is null then c.rewards_money end as not_paid,
           w.slots
    from {faction_crimes:now} as c
    left join crew as w on w._subject_id = c._subject_id and w.crime_id = c.id
)
select case when late + lacking > 0 then 'bad: ' else 'warn: ' end || substr(
           case when late = 1 then ', late' else '' end
           || case when lacking > 0 then ', item missing' else '' end
           || case when open_slots > 0 then ', open slots' else '' end
           || case when not_paid > 0 then ', not paid automatically' else '' end, 3) as need,
       name as crime, difficulty, status, open_slots, lacking as missing_items,
       ready_at, expired_at as expires_at, not_paid, slots, id as crime_id
from crime
where late + lacking + open_slots > 0 or not_paid > 0
order by late desc, case when lacking > 0 then 0 else 1 end nulls last,
         case when open_slots > 0 then 0 else 1 end nulls last,
         coalesce(ready_at, expired_at) nulls last, crime_id nulls last
