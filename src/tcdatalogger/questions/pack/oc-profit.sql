/*
title = "Which crime pays best for a day of a member?"
page = "crimes"
asks = ["planner", "leader"]
caption = "Money and items of the crimes that were executed in the last {days} days, for each day that a member spent in them."
definition = """
The value of successful crimes, divided by the days from joining to execution of all members of
successful and failed ones. Whoever joins early costs more, rightly. Items have the market price of the
day of the execution, else of the nearest day before or after that is known."""
chart = { kind = "bars", label = "crime", values = ["value_per_member_day"] }
units = { success = "percent", money = "money", item_value = "money", value = "money", member_days = "days", value_per_member_day = "money" }
shared = ["price"]

[needs."/faction/crimes"]

[needs."/torn/items"]
optional = true
*/
with done as (
    select _subject_id, id, name, difficulty, status, executed_at, rewards_money
    from {faction_crimes:now}
    where status in ('Successful', 'Failure') and executed_at >= $since and executed_at < $until
),
crew as (
    select d._subject_id, d.id,
           sum(unix_seconds(d.executed_at) - unix_seconds(s.user_joined_at)) / 86400 as member_days
    from done as d
    join {faction_crimes_slots:now} as s on s._subject_id = d._subject_id and s.crime_id = d.id
    where s.user_id is not null
    group by d._subject_id, d.id
),
price as (
    select id as item_id, cast(server_timestamp as date) as day, value_market_price as price
    from {torn_items:all}
    where value_market_price > 0
    qualify row_number() over (
        partition by id, cast(server_timestamp as date)
        order by server_timestamp desc, _run_id desc) = 1
),
item as (
    select d._subject_id, d.id, r.quantity * p.price as value
    from done as d
    join {faction_crimes_rewards_items:now} as r
        on r._subject_id = d._subject_id and r.crime_id = d.id
    left join price as p on p.item_id = r.item_id
    where d.status = 'Successful'
    qualify row_number() over (
        partition by d._subject_id, d.id, r._index
        order by case when p.day <= cast(d.executed_at as date) then 0
                      when p.day is not null then 1 else 2 end,
                 abs(unix_date(p.day) - unix_date(cast(d.executed_at as date))), p.day) = 1
),
items as (
    select _subject_id, id, sum(value) as item_value
    from item
    group by _subject_id, id
),
worth as (
    select d.name, d.difficulty, d.status, c.member_days,
           case when d.status = 'Successful' then coalesce(d.rewards_money, 0) else 0 end as money,
           coalesce(i.item_value, 0) as item_value
    from done as d
    left join crew as c on c._subject_id = d._subject_id and c.id = d.id
    left join items as i on i._subject_id = d._subject_id and i.id = d.id
)
select name as crime, difficulty, count(*) as crimes,
       count(case when status = 'Successful' then 1 end) / nullif(count(*), 0) as success,
       sum(money) as money, sum(item_value) as item_value, sum(money + item_value) as value,
       sum(member_days) as member_days,
       sum(money + item_value) / nullif(sum(member_days), 0) as value_per_member_day
from worth
group by name, difficulty
order by value_per_member_day desc, crime nulls last, difficulty nulls last
