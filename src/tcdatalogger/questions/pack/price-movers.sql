/*
title = "Which prices have moved most?"
page = "market"
asks = ["trader"]
caption = "The {most} items of {least} dollars and more whose market price changed most in the last {days} days."
definition = """
The newest price of each item against the one that was seen last that many days before the newest picture or
earlier; where nobody watched so long ago, against the first one that was seen. Items without a price on one of
the two days are left out: Torn sends 0 where nobody sells."""
chart = { kind = "bars", label = "item", values = ["change"] }
units = { price = "money", price_before = "money", moved = "money", change = "percent", circulation = "count", seen_before = "time" }
links = { item = "item_id" }
shared = ["earlier"]
days = 7

[needs."/torn/items"]
modes = ["append", "history"]

[params]
least = { default = 1000, min = 0, says = "The lowest price that counts, in dollars." }
most = { default = 50, min = 1, max = 2000, says = "How many items are listed." }
*/
with newest as (
    select id, name, value_market_price as price, circulation
    from {torn_items:now}
    where value_market_price >= $least and value_market_price > 0
    qualify row_number() over (partition by id order by server_timestamp desc, _run_id desc) = 1
),
earlier as (
    select id, value_market_price as price, server_timestamp as seen_at
    from {torn_items:all}
    where true
    qualify row_number() over (
        partition by id
        order by case when server_timestamp <= $since then 0 else 1 end,
                 abs(unix_seconds(server_timestamp) - unix_seconds($since)), _run_id desc) = 1
)
select n.name as item, n.price, e.price as price_before, n.price - e.price as moved,
       (n.price - e.price) / nullif(e.price, 0) as change, n.circulation,
       e.seen_at as seen_before, n.id as item_id
from newest as n
join earlier as e on e.id = n.id
where e.price > 0 and e.price <> n.price
order by abs((n.price - e.price) / nullif(e.price, 0)) desc, item_id desc
limit $most
