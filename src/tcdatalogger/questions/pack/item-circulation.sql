/*
title = "How many of an item are there?"
page = "market"
of = "item"
asks = ["trader"]
caption = "How many of item {item} there are in Torn, day by day, of the last {days} days."
definition = "Torn's own number; of each day the last one that was seen."
chart = { kind = "line", label = "day", values = ["circulation"] }
units = { day = "date", circulation = "count", change = "count" }
links = { item = "item_id" }

[needs."/torn/items"]
modes = ["append", "history"]

[params]
item = { default = 206, min = 1, says = "The id of the item; 206 is Xanax." }
*/
with quote as (
    select id, name, cast(server_timestamp as date) as day, circulation
    from {torn_items:all}
    where id = $item
    qualify row_number() over (
        partition by id, cast(server_timestamp as date)
        order by server_timestamp desc, _run_id desc) = 1
)
select day, first_value(name) over (order by day desc) as item, circulation,
       circulation - lag(circulation) over (order by day) as change, id as item_id
from quote
where day >= cast($since as date)
order by day nulls last
