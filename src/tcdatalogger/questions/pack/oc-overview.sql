/*
title = "What is each kind of crime worth?"
page = "crimes"
asks = ["planner", "leader"]
caption = "Means over all crimes of one name that were ever seen."
definition = """
Rewards are those of the successful ones; planning lasts from the first member to the moment when the
crime is ready. Items are left out: oc-profit counts them."""
chart = { kind = "bars", label = "crime", values = ["average_money_per_position_and_day"] }
units = { average_money = "money", average_money_per_position = "money", average_money_per_position_and_day = "money", days = "days", average_respect = "respect" }

[needs."/faction/crimes"]
*/
with crew as (
    select _subject_id, crime_id, count(*) as slots
    from {faction_crimes_slots:now}
    group by _subject_id, crime_id
),
kind as (
    select c.difficulty, c.name as crime,
           count(*) as crimes,
           count(case when c.status = 'Successful' then 1 end) as successful,
           max(w.slots) as positions,
           avg(c.rewards_respect) as respect_gained,
           avg(c.rewards_money) as money,
           avg(unix_seconds(c.ready_at) - unix_seconds(c.planning_at)) / 86400 as days
    from {faction_crimes:now} as c
    left join crew as w on w._subject_id = c._subject_id and w.crime_id = c.id
    group by c.difficulty, c.name
)
select difficulty, crime, crimes, successful, positions,
       round(days) as days,
       round(respect_gained) as average_respect,
       round(money) as average_money,
       round(money / nullif(positions, 0)) as average_money_per_position,
       round(money / nullif(positions, 0) / nullif(days, 0)) as average_money_per_position_and_day
from kind
order by difficulty nulls last, crime nulls last
