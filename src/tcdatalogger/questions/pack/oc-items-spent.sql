/*
title = "Which items do crimes use up?"
page = "crimes"
asks = ["quartermaster", "planner"]
caption = "Items in the slots of crimes that were executed in the last {days} days, by who owned them."
definition = """
What the execution did to the item of each slot: it was used, lost, or not used. An item is spent that
was lost, or that was used and cannot be used again. Its price is the last one that is known on the day
of the execution or before it, else the first one after it; what has no known price counts nothing."""
chart = { kind = "bars", label = "item", values = ["value_spent"] }
units = { slots = "count", used = "count", lost = "count", unused = "count", spent = "count", value_spent = "money" }
links = { item = "item_id" }
shared = ["price", "torn_items"]

[needs."/faction/crimes"]

[needs."/torn/items"]
optional = true
*/
with used as (
    select c._subject_id, c.id, c.executed_at, s._index, s.user_item_outcome_item_id as item_id,
           s.user_item_outcome_owned_by as owner, s.user_item_outcome_outcome as outcome,
           case when s.user_item_outcome_outcome = 'lost'
                  or (s.user_item_outcome_outcome = 'used'
                      and not coalesce(s.item_requirement_is_reusable, false)) then 1 else 0 end as spent
    from {faction_crimes:now} as c
    join {faction_crimes_slots:now} as s on s._subject_id = c._subject_id and s.crime_id = c.id
    where c.executed_at >= $since and c.executed_at < $until
      and s.user_item_outcome_item_id is not null
),
price as (
    select id as item_id, cast(server_timestamp as date) as day, value_market_price as price
    from {torn_items:all}
    where value_market_price > 0
    qualify row_number() over (
        partition by id, cast(server_timestamp as date)
        order by server_timestamp desc, _run_id desc) = 1
),
priced as (
    select u._subject_id, u.id, u._index, u.item_id, u.owner, u.outcome, u.spent, p.price
    from used as u
    left join price as p on p.item_id = u.item_id
    where true
    qualify row_number() over (
        partition by u._subject_id, u.id, u._index
        order by case when p.day <= cast(u.executed_at as date) then 0
                      when p.day is not null then 1 else 2 end,
                 abs(unix_date(p.day) - unix_date(cast(u.executed_at as date))), p.day) = 1
)
select coalesce(i.name, cast(u.item_id as string)) as item, u.owner, count(*) as slots,
       count(case when u.outcome = 'used' then 1 end) as used,
       count(case when u.outcome = 'lost' then 1 end) as lost,
       count(case when u.outcome = 'unused' then 1 end) as unused,
       sum(u.spent) as spent, sum(coalesce(u.spent * u.price, 0)) as value_spent, u.item_id
from priced as u
left join {torn_items:last} as i on i.id = u.item_id
group by u.item_id, i.name, u.owner
order by value_spent desc, spent desc, slots desc, u.item_id nulls last, u.owner nulls last
