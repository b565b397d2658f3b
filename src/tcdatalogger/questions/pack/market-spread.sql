/*
title = "Where is something under price?"
page = "market"
of = "item"
asks = ["trader"]
caption = "What {units} units cost on the item market now, against what one gets for them after {tax} percent tax."
definition = """
`cost_each` is the mean of the first {units} units, the cheapest first; with fewer on sale it is the mean of
those. `gain` is the average price of Torn, less the tax, less that cost. An answer of the item market is
older than the moment at which it was read: `age` says how old its listings were."""
chart = { kind = "bars", label = "item", values = ["gain_share"] }
units = { lowest = "money", cost_each = "money", average_price = "money", market_price = "money", gain = "money", gain_share = "percent", against_market = "percent", found = "count", on_sale = "count", listed_at = "time", age = "seconds" }
links = { item = "item_id" }
shared = ["torn_items"]

[needs."/market/{id}/itemmarket"]
ids = "[206]"

[needs."/torn/items"]
optional = true

[params]
units = { default = 10, min = 1, max = 100000, says = "How many units are bought." }
tax = { default = 5, min = 0, max = 100, says = "Percent of the sale that Torn takes." }
*/
with offer as (
    select _subject_id, price, amount,
           sum(amount) over (
               partition by _subject_id order by price, _index
               rows between unbounded preceding and current row) - amount as cheaper
    from {market_itemmarket_listings:now}
    where price > 0
),
bought as (
    select _subject_id, price, amount,
           case when cheaper >= $units then 0
                when amount < $units - cheaper then amount
                else $units - cheaper end as taken
    from offer
),
depth as (
    select _subject_id, min(price) as lowest, sum(amount) as on_sale, sum(taken) as found,
           sum(taken * price) / nullif(sum(taken), 0) as cost_each
    from bought
    group by _subject_id
),
spread as (
    select m.item_id, m.item_name, m._subject_id, d.lowest, d.cost_each, d.found, d.on_sale,
           nullif(m.item_average_price, 0) as average_price,
           nullif(i.value_market_price, 0) as market_price, m.cache_timestamp,
           nullif(m.item_average_price, 0) * (100 - $tax) / 100 - d.cost_each as gain,
           nullif(i.value_market_price, 0) * (100 - $tax) / 100 - d.cost_each as on_market
    from {market_itemmarket:now} as m
    left join depth as d on d._subject_id = m._subject_id
    left join {torn_items:last} as i on i.id = m.item_id
)
select item_name as item, lowest, cost_each, average_price, market_price, gain,
       gain / nullif(cost_each, 0) as gain_share,
       on_market / nullif(cost_each, 0) as against_market,
       found, on_sale, cache_timestamp as listed_at,
       unix_seconds($until) - unix_seconds(cache_timestamp) as age, item_id
from spread
where $item is null or item_id = $item
order by gain_share desc, item_id desc
