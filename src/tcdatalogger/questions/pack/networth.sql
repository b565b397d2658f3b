/*
title = "How does my worth grow?"
page = "me"
asks = ["member"]
caption = "What I own, day by day, of the last {days} days."
definition = """
Torn works it out itself, some hours before it is read: a day is that of Torn's time of calculation, and of
each day the last one counts. Unpaid fees and loans are negative, and are part of the money. `not_listed` is
what the total has and no part of it."""
chart = { kind = "stack", label = "day", values = ["money", "items", "assets", "points"] }
units = { day = "date", total = "money", change = "money", money = "money", items = "money", assets = "money", points = "money", not_listed = "money", calculated_at = "time" }
audience = "owner"

[needs."/user/networth"]
modes = ["append", "history"]
*/
with picture as (
    select _subject_id, cast(timestamp as date) as day, timestamp, total, points,
           coalesce(money_pending, 0) + coalesce(money_wallet, 0) + coalesce(money_vault, 0)
               + coalesce(money_bookie, 0) + coalesce(money_city_bank, 0)
               + coalesce(money_cayman_bank, 0) + coalesce(money_piggy_bank, 0)
               + coalesce(money_loans, 0) + coalesce(money_unpaid_fees, 0) as money,
           coalesce(items_inventory, 0) + coalesce(items_display_case, 0)
               + coalesce(items_bazaar, 0) + coalesce(items_trades, 0)
               + coalesce(items_item_market, 0) + coalesce(items_auction_house, 0)
               + coalesce(items_enlisted_cars, 0) as items,
           coalesce(assets_property, 0) + coalesce(assets_stock_market, 0)
               + coalesce(assets_company, 0) as assets
    from {user_networth:all}
    where timestamp >= $since
    qualify row_number() over (
        partition by _subject_id, cast(timestamp as date)
        order by timestamp desc, server_timestamp desc, _run_id desc) = 1
)
select day, total, total - lag(total) over (partition by _subject_id order by day) as change,
       money, items, assets, points, total - money - items - assets - points as not_listed,
       timestamp as calculated_at, _subject_id as player_id
from picture
order by day nulls last, player_id nulls last
