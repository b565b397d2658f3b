/*
title = "What did each crime bring to the faction, and what to its members?"
page = "money"
of = "crime"
asks = ["banker", "leader"]
caption = "Crimes that brought money in the last {days} days, first those that are not paid out automatically."
definition = """
The percentage is the part of all members together. A crime without a payout may have been paid by hand,
which nothing tells: its money is not divided here. A crime is of the day of its payout, else of its
execution; of one crime it is here, however old it is. Each crime is one row, whatever the number of its slots and its reward items."""
chart = { kind = "table", label = "crime", values = ["to_faction", "to_members"] }
units = { executed_at = "time", paid_at = "time", money = "money", payout_percent = "number", to_faction = "money", to_members = "money" }
links = { crime = "crime_id" }

[needs."/faction/crimes"]
*/
with brought as (
    select id, name, executed_at, rewards_money as money, rewards_payout_percentage as percentage,
           rewards_payout_paid_at as paid_at,
           cast(round(rewards_money * rewards_payout_percentage / 100) as int64) as to_members
    from {faction_crimes:now}
    where status = 'Successful' and rewards_money > 0
      and (id = $crime or $crime is null
           and coalesce(rewards_payout_paid_at, executed_at) >= $since
           and coalesce(rewards_payout_paid_at, executed_at) < $until)
)
select name as crime, executed_at, paid_at, money, percentage as payout_percent,
       money - to_members as to_faction, to_members, id as crime_id
from brought
order by case when paid_at is null then 0 else 1 end nulls last, coalesce(paid_at, executed_at) desc,
         crime_id desc
