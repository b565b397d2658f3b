/*
title = "How does the price of an item move?"
page = "market"
of = "item"
asks = ["trader"]
caption = "The market price of item {item} and how many of it there are, day by day, of the last {days} days."
definition = """
Torn's own market price; of each day the last one that was seen. The changes compare it with the last price
that was seen 7 and 30 days before or earlier. Torn sends 0 for an item that nobody sells: that is no price,
and not free."""
chart = { kind = "line", label = "day", values = ["price"] }
units = { day = "date", price = "money", change_7_days = "percent", change_30_days = "percent", circulation = "count" }
links = { item = "item_id" }
shared = ["quote", "week_ago", "month_ago"]

[needs."/torn/items"]
modes = ["append", "history"]

[params]
item = { default = 206, min = 1, says = "The id of the item; 206 is Xanax." }
*/
with quote as (
    select id, name, cast(server_timestamp as date) as day,
           nullif(value_market_price, 0) as price, circulation
    from {torn_items:all}
    where id = $item
    qualify row_number() over (
        partition by id, cast(server_timestamp as date)
        order by server_timestamp desc, _run_id desc) = 1
),
week_ago as (
    select q.day, b.price
    from quote as q
    join quote as b on b.id = q.id and unix_date(b.day) <= unix_date(q.day) - 7
    where b.price is not null
    qualify row_number() over (partition by q.day order by b.day desc) = 1
),
month_ago as (
    select q.day, b.price
    from quote as q
    join quote as b on b.id = q.id and unix_date(b.day) <= unix_date(q.day) - 30
    where b.price is not null
    qualify row_number() over (partition by q.day order by b.day desc) = 1
)
select q.day, first_value(q.name) over (order by q.day desc) as item, q.price,
       (q.price - w.price) / nullif(w.price, 0) as change_7_days,
       (q.price - m.price) / nullif(m.price, 0) as change_30_days,
       q.circulation, q.id as item_id
from quote as q
left join week_ago as w on w.day = q.day
left join month_ago as m on m.day = q.day
where q.day >= cast($since as date)
order by q.day nulls last
