/*
title = "How fast do I earn mission credits?"
page = "me"
asks = ["member"]
caption = "Mission credits of the last {days} days, by day."
definition = """
The differences of two pictures that follow each other: rises were earned, falls were spent. What was earned
and spent between two pictures is seen as one sum, so both are at least that much. A mission is completed on
the day of Torn's own time of it, and its contract may have left Torn's list before it was read."""
chart = { kind = "bars", label = "day", values = ["earned"] }
units = { day = "date", credits = "count", earned = "count", spent = "count", completed = "count", money = "money" }
audience = "owner"

[needs."/user/missions"]
modes = ["append", "history"]
*/
with picture as (
    select _subject_id, cast(server_timestamp as date) as day, server_timestamp, _run_id, credits,
           credits - lag(credits) over (
               partition by _subject_id order by server_timestamp, _run_id) as moved,
           row_number() over (
               partition by _subject_id, cast(server_timestamp as date)
               order by server_timestamp desc, _run_id desc) as nth
    from {user_missions:all}
),
done as (
    select _subject_id, cast(completed_at as date) as day, giver_id, title, created_at,
           coalesce(rewards_money, 0) as money
    from {user_missions_givers_contracts:all}
    where completed_at is not null
    qualify row_number() over (
        partition by _subject_id, giver_id, title, created_at
        order by server_timestamp desc, _run_id desc, _index) = 1
),
ended as (
    select _subject_id, day, count(*) as completed, sum(money) as money
    from done
    group by _subject_id, day
),
days as (
    select _subject_id, day, max(case when nth = 1 then credits end) as credits,
           coalesce(sum(case when moved > 0 then moved end), 0) as earned,
           coalesce(sum(case when moved < 0 then -moved end), 0) as spent
    from picture
    where server_timestamp >= $since
    group by _subject_id, day
)
select d.day, d.credits, d.earned, d.spent, coalesce(e.completed, 0) as completed,
       coalesce(e.money, 0) as money, d._subject_id as player_id
from days as d
left join ended as e on e._subject_id = d._subject_id and e.day = d.day
order by d.day nulls last, player_id nulls last
