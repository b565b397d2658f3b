/*
title = "What is worth bringing from abroad?"
page = "market"
of = "item"
asks = ["trader", "member"]
caption = "Profit of {capacity} items for each hour in the air, there and back, at {speed} percent of the standard time."
definition = """
The market price less {tax} percent tax, less the price in the shop abroad, times what one can carry, divided
by the minutes of both flights. Torn sends 0 for an item that nobody sells: it has no price and so no profit.
Whether a shop has any left is not in Torn's list of items. Flight times are a table of ours (`flights`)."""
chart = { kind = "bars", label = "item", values = ["profit_per_hour"] }
units = { buy_price = "money", market_price = "money", gain = "money", profit = "money", flight = "number", profit_per_hour = "money" }
links = { item = "item_id" }

[needs."/torn/items"]

[params]
capacity = { default = 15, min = 1, max = 100, says = "Items that one can carry." }
tax = { default = 5, min = 0, max = 100, says = "Percent of the sale that Torn takes." }
speed = { default = 100, min = 10, max = 100, says = "Percent of the standard time: 70 with an airstrip, 50 with a private jet, 30 in business class." }
*/
with offer as (
    select item_id, name, country, shop, buy_price, nullif(market_price, 0) as market_price,
           _index
    from {torn_items_value_shops:now}
    where country <> 'Torn' and buy_price > 0 and is_tradable
),
trip as (
    select o.item_id, o.name, o.country, o.shop, o.buy_price, o.market_price, o._index,
           o.market_price * (100 - $tax) / 100 - o.buy_price as gain,
           2 * f.minutes * $speed / 100 as flight
    from offer as o
    left join {flights:fact} as f on f.country = o.country
)
select name as item, country, buy_price, market_price, gain, gain * $capacity as profit, flight,
       gain * $capacity * 60 / nullif(flight, 0) as profit_per_hour, item_id
from trip
where $item is null or item_id = $item
order by profit_per_hour desc, item_id desc, country nulls last, shop nulls last, _index nulls last
