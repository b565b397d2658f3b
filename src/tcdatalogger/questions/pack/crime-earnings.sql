/*
title = "What did each paid crime bring to the faction, and what to its members?"
page = "money"
asks = ["banker", "leader"]
caption = "Crimes that were paid out automatically in the last {days} days."
definition = """
The percentage is the part of all members together. A crime that was paid by hand has no payout and is
not here. Each crime is one row, whatever the number of its slots and its reward items."""
chart = { kind = "table", label = "crime", values = ["to_faction", "to_members"] }
units = { paid_at = "time", money = "money", payout_percent = "number", to_faction = "money", to_members = "money" }
links = { crime = "crime_id" }

[needs."/faction/crimes"]
*/
with paid as (
    select id, name, rewards_money as money, rewards_payout_percentage as percentage,
           rewards_payout_paid_at as paid_at,
           cast(round(rewards_money * rewards_payout_percentage / 100) as int64) as to_members
    from {faction_crimes:now}
    where status = 'Successful' and rewards_payout_paid_at >= $since
      and rewards_payout_paid_at < $until and rewards_money > 0
)
select paid_at, name as crime, money, percentage as payout_percent,
       money - to_members as to_faction, to_members, id as crime_id
from paid
order by paid_at desc, crime_id desc
