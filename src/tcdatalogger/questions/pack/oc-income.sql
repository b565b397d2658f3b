/*
title = "What did each member earn by crimes?"
page = "crimes"
of = "member"
asks = ["leader", "member"]
caption = "Money and items of the successful crimes of the last {days} days, in equal parts for everybody who was in them."
definition = """
A part is what the whole crime brought, divided by the number of its members: it counts the faction's
part too. `paid` is what Torn paid of it automatically: money times the percentage, divided in the same
way. It is empty where nothing was paid automatically; who pays by hand leaves no trace here. Items have
their last known market price on the day of the execution or before it, else the first one after it;
items of which no price is known count nothing, and `items_without_price` says how many. Members of the
newest picture stand here with 0 too, and of those who have left whoever earned something."""
chart = { kind = "stack", label = "member", values = ["money", "item_value"] }
units = { money = "money", item_value = "money", value = "money", paid = "money", items_without_price = "number", is_member = "flag" }
links = { member = "member_id" }
shared = ["price"]

[needs."/faction/crimes"]
[needs."/faction/members"]

[needs."/torn/items"]
optional = true
*/
with done as (
    select _subject_id, id, executed_at, rewards_money, rewards_payout_percentage
    from {faction_crimes:now}
    where status = 'Successful' and executed_at >= $since and executed_at < $until
),
crew as (
    select d._subject_id, d.id, s.user_id,
           count(*) over (partition by d._subject_id, d.id) as members
    from done as d
    join {faction_crimes_slots:now} as s on s._subject_id = d._subject_id and s.crime_id = d.id
    where s.user_id is not null
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
    select d._subject_id, d.id, r.quantity * p.price as value,
           case when p.price is null then r.quantity end as without_price
    from done as d
    join {faction_crimes_rewards_items:now} as r
        on r._subject_id = d._subject_id and r.crime_id = d.id
    left join price as p on p.item_id = r.item_id
    where true
    qualify row_number() over (
        partition by d._subject_id, d.id, r._index
        order by case when p.day <= cast(d.executed_at as date) then 0
                      when p.day is not null then 1 else 2 end,
                 abs(unix_date(p.day) - unix_date(cast(d.executed_at as date))), p.day) = 1
),
items as (
    select _subject_id, id, sum(value) as value, sum(without_price) as without_price
    from item
    group by _subject_id, id
),
earned as (
    select c._subject_id, c.user_id, count(*) as crimes,
           cast(round(sum(coalesce(d.rewards_money, 0) / nullif(c.members, 0))) as int64) as money,
           cast(round(sum(coalesce(i.value, 0) / nullif(c.members, 0))) as int64) as item_value,
           cast(round(sum(d.rewards_money * d.rewards_payout_percentage / 100
                          / nullif(c.members, 0))) as int64) as paid,
           sum(coalesce(i.without_price, 0) / nullif(c.members, 0)) as items_without_price
    from crew as c
    join done as d on d._subject_id = c._subject_id and d.id = c.id
    left join items as i on i._subject_id = c._subject_id and i.id = c.id
    group by c._subject_id, c.user_id
),
person as (
    select _subject_id, id, max(is_member) as is_member
    from (
        select _subject_id, id, 1 as is_member from {faction_members:now}
        union all
        select _subject_id, user_id, 0 from earned
    ) as everybody
    group by _subject_id, id
)
select coalesce(m.name, cast(p.id as string)) as member, coalesce(e.crimes, 0) as crimes,
       coalesce(e.money, 0) as money, coalesce(e.item_value, 0) as item_value,
       coalesce(e.money, 0) + coalesce(e.item_value, 0) as value, e.paid,
       coalesce(e.items_without_price, 0) as items_without_price,
       p.is_member = 1 as is_member, p.id as member_id
from person as p
left join earned as e on e._subject_id = p._subject_id and e.user_id = p.id
left join {faction_members:last} as m on m._subject_id = p._subject_id and m.id = p.id
where $member is null or p.id = $member
order by value desc, member nulls last, member_id nulls last, p._subject_id nulls last
