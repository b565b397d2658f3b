/*
title = "What is known of every crime, slot by slot?"
page = "crimes"
asks = ["planner"]
caption = "Crimes that were created in the last {days} days: a row is a slot."
definition = """
A crime without slots has one row. What a crime brought stands in the row of its first slot alone, so
that a sum over the column is right. The pass rate of an empty slot is that of the key's owner, and that
of a crime that expired is sent as 0: both are left out."""
chart = { kind = "table", label = "crime" }
units = { created_at = "time", planning_at = "time", ready_at = "time", executed_at = "time", expired_at = "time", joined_at = "time", paid_at = "time", money = "money", pass_rate = "number", item_is_reusable = "flag", item_is_available = "flag" }
links = { crime = "crime_id", member = "member_id", required_item = "required_item_id" }
shared = ["torn_items"]
days = 365

[needs."/faction/crimes"]

[needs."/faction/members"]
also = ["/faction/{id}/members"]
optional = true

[needs."/torn/items"]
optional = true
*/
with reward as (
    select r._subject_id, r.crime_id,
           string_agg(
               cast(r.quantity as string) || ' x ' || coalesce(i.name, cast(r.item_id as string)),
               ', ' order by r._index) as items
    from {faction_crimes_rewards_items:now} as r
    left join {torn_items:last} as i on i.id = r.item_id
    group by r._subject_id, r.crime_id
),
slot as (
    select c._subject_id, c.id as crime_id, s._index, s.position, s.user_id, s.user_joined_at,
           s.user_progress,
           case when s.user_id is not null then nullif(s.checkpoint_pass_rate, 0) end as pass_rate,
           s.item_requirement_id, s.item_requirement_is_reusable, s.item_requirement_is_available,
           row_number() over (partition by c._subject_id, c.id order by s._index) = 1 as is_first
    from {faction_crimes:now} as c
    left join {faction_crimes_slots:now} as s
        on s._subject_id = c._subject_id and s.crime_id = c.id
    where c.created_at >= $since
)
select c.id as crime_id, c.name as crime, c.difficulty, c.status,
       c.created_at, c.planning_at, c.ready_at, c.executed_at, c.expired_at,
       s.position, m.name as member, s.user_id as member_id,
       s.user_joined_at as joined_at, s.user_progress as progress, s.pass_rate,
       i.name as required_item, s.item_requirement_id as required_item_id,
       s.item_requirement_is_reusable as item_is_reusable,
       s.item_requirement_is_available as item_is_available,
       case when s.is_first then c.rewards_money end as money,
       case when s.is_first then c.rewards_respect end as respect_gained,
       case when s.is_first then r.items end as reward_items,
       c.rewards_payout_type as payout_type, c.rewards_payout_percentage as payout_percent,
       c.rewards_payout_paid_by as paid_by_id, c.rewards_payout_paid_at as paid_at
from {faction_crimes:now} as c
join slot as s on s._subject_id = c._subject_id and s.crime_id = c.id
left join {faction_members:last} as m on m._subject_id = c._subject_id and m.id = s.user_id
left join {torn_items:last} as i on i.id = s.item_requirement_id
left join reward as r on r._subject_id = c._subject_id and r.crime_id = c.id
order by c.id nulls last, s._index nulls last
