/*
title = "Which stock block pays back soonest?"
page = "market"
asks = ["trader", "member"]
caption = "The first {blocks} blocks of each stock that pays something, by the days until they have paid for themselves."
definition = """
The n-th block of a stock needs twice the shares of the one before. Its yield is what it pays, times 365,
divided by the days between two payments and by its cost. What a block pays stands in Torn's description: a
sum of money, items at their market price, or points at the lowest price of the points market. Energy, nerve,
happiness and property have no price and so no yield; a block without payments (passive) has none either."""
chart = { kind = "bars", label = "stock", values = ["days_to_pay_back"] }
units = { cost = "money", shares = "count", price = "money", value = "money", every_days = "days", yearly = "percent", days_to_pay_back = "days", is_passive = "flag" }
shared = ["torn_items", "good", "point"]

[needs."/torn/stocks"]

[needs."/torn/items"]
optional = true

[needs."/market/pointsmarket"]
optional = true

[params]
blocks = { default = 3, min = 1, max = 10, says = "How many blocks of each stock." }
*/
with block as (
    select 1 as nth, 1 as times
    union all select 2, 2
    union all select 3, 4
    union all select 4, 8
    union all select 5, 16
    union all select 6, 32
    union all select 7, 64
    union all select 8, 128
    union all select 9, 256
    union all select 10, 512
),
stock as (
    select id, acronym, name, market_price, bonus_passive, bonus_frequency, bonus_requirement,
           bonus_description,
           cast(replace(first_group(bonus_description, '^[$]([0-9,]+)$'), ',', '') as int64)
               as money,
           cast(replace(first_group(bonus_description, '^([0-9,]+)x '), ',', '') as int64)
               as quantity,
           first_group(bonus_description, '^[0-9,]+x (.+)$') as item,
           cast(replace(first_group(bonus_description, '^([0-9,]+) points$'), ',', '') as int64)
               as points
    from {torn_stocks:now}
),
good as (
    select lower(name) as name, max(nullif(value_market_price, 0)) as price
    from {torn_items:last}
    group by lower(name)
),
point as (
    select min(cost) as price, 1 as one
    from {market_pointsmarket:now}
),
paid as (
    select s.id, s.acronym, s.name, s.market_price, s.bonus_passive, s.bonus_frequency,
           s.bonus_requirement, s.bonus_description,
           case when s.bonus_passive then null
                else coalesce(s.money, s.quantity * g.price, s.points * p.price) end as value
    from stock as s
    left join good as g on g.name = lower(s.item)
    left join point as p on p.one = 1 and s.points is not null
),
offer as (
    select s.id, s.acronym, s.name, b.nth, s.bonus_requirement * b.times as shares,
           s.market_price, s.bonus_requirement * b.times * s.market_price as cost,
           s.bonus_description, s.value, s.bonus_frequency, s.bonus_passive
    from paid as s
    cross join block as b
    where b.nth <= $blocks
)
select acronym || ' ' || cast(nth as string) as stock, name, nth as block, shares,
       market_price as price, cost, bonus_description as pays, value,
       bonus_frequency as every_days,
       value * 365 / nullif(bonus_frequency, 0) / nullif(cost, 0) as yearly,
       cost * bonus_frequency / nullif(value, 0) as days_to_pay_back,
       bonus_passive as is_passive, id as stock_id
from offer
order by yearly desc, stock_id nulls last, block nulls last
