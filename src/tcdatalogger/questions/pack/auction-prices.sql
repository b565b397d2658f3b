/*
title = "What do things go for at auction?"
page = "market"
of = "item"
asks = ["trader"]
caption = "Items that were auctioned at least {least} times in the last {days} days."
definition = """
Items of one name and one colour together; their bonuses and quality may differ, and so may their worth. The
middle price is that of the sale in the middle; of an even number the lower of the two. `market_price` is
Torn's market price of a common one."""
chart = { kind = "bars", label = "item", values = ["middle_price"] }
units = { sales = "count", lowest = "money", middle_price = "money", highest = "money", mean_bids = "number", market_price = "money", against_market = "percent", last_sale = "time", last_price = "money" }
links = { item = "item_id" }
shared = ["torn_items", "sale", "sold"]

[needs."/market/auctionhouse"]
also = ["/market/{id}/auctionhouse"]

[needs."/torn/items"]
optional = true

[params]
least = { default = 1, min = 1, says = "The fewest sales that count." }
*/
with lot as (
    select id, item_id, item_name, coalesce(item_rarity, '') as rarity, price, bids, timestamp
    from {market_auctionhouse:last}
    where timestamp >= $since and timestamp <= $until
    qualify row_number() over (partition by id order by server_timestamp desc, _run_id desc) = 1
),
sale as (
    select item_id, item_name, rarity, price, bids, timestamp,
           row_number() over (partition by item_id, rarity order by price, id) as nth,
           row_number() over (partition by item_id, rarity order by timestamp desc, id desc) as ago,
           count(*) over (partition by item_id, rarity) as sales
    from lot
),
sold as (
    select item_id, rarity, max(case when ago = 1 then item_name end) as item, count(*) as sales,
           min(price) as lowest,
           max(case when nth = floor((sales + 1) / 2) then price end) as middle_price,
           max(price) as highest, avg(bids) as mean_bids, max(timestamp) as last_sale,
           max(case when ago = 1 then price end) as last_price
    from sale
    group by item_id, rarity
)
select s.item, nullif(s.rarity, '') as rarity, s.sales, s.lowest, s.middle_price, s.highest,
       s.mean_bids, nullif(i.value_market_price, 0) as market_price,
       s.middle_price / nullif(i.value_market_price, 0) as against_market,
       s.last_sale, s.last_price, s.item_id
from sold as s
left join {torn_items:last} as i on i.id = s.item_id
where s.sales >= $least and ($item is null or s.item_id = $item)
order by s.sales desc, s.middle_price desc, s.item_id desc, rarity nulls last
