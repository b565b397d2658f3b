/*
title = "How does what members hold in the vault move?"
page = "money"
of = "member"
asks = ["banker", "leader"]
caption = "The balance of each member, of each of the last {days} days the last one that was seen."
definition = """
Money and points of the faction's vault that are a member's. A day on which nobody looked has no balance.
A member has the newest name on all days."""
chart = { kind = "line", label = "day", values = ["money"], series = "member" }
units = { day = "date", money = "money", points = "count" }
links = { member = "member_id" }
audience = "officer"

[needs."/faction/balance"]
modes = ["append", "history"]
*/
with held as (
    select _subject_id, member_id, money, points, cast(server_timestamp as date) as day,
           first_value(username) over (
               partition by _subject_id, member_id
               order by server_timestamp desc, _run_id desc) as member,
           row_number() over (
               partition by _subject_id, member_id, cast(server_timestamp as date)
               order by server_timestamp desc, _run_id desc) as age
    from {faction_balance_members:all}
    where $member is null or member_id = $member
)
select day, member, money, points, member_id
from held
where age = 1 and day >= cast($since as date)
order by day nulls last, money desc, member_id desc, _subject_id desc
