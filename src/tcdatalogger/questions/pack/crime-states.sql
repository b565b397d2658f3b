/*
title = "What became of each crime, and when?"
page = "crimes"
of = "crime"
asks = ["planner", "leader"]
caption = "States in which crimes were seen in the last {days} days, the newest first."
definition = """
A state is what Torn said of a crime until it said something else: its status, and when it is planned,
ready, executed and paid. It was seen first at `seen_at`, and stored by the run that stands beside it; it
may have begun since the picture before. Of one crime all states are here, however old they are. When
somebody joined stands in the question crime-slots."""
chart = { kind = "list", label = "crime", values = ["status", "seen_at"] }
units = { seen_at = "time", planning_at = "time", ready_at = "time", executed_at = "time", paid_at = "time" }
links = { crime = "crime_id" }
days = 7

[needs."/faction/crimes"]
modes = ["append", "history"]
*/
with picture as (
    select _subject_id, id, name, status, planning_at, ready_at, executed_at,
           rewards_payout_paid_at as paid_at, server_timestamp as seen_at, _run_id,
           coalesce(unix_seconds(planning_at), 0) as planning,
           coalesce(unix_seconds(ready_at), 0) as ready,
           coalesce(unix_seconds(executed_at), 0) as executed,
           coalesce(unix_seconds(rewards_payout_paid_at), 0) as paid
    from {faction_crimes:all}
    where $crime is null or id = $crime
),
step as (
    select p.*,
           lag(status) over (partition by _subject_id, id order by seen_at, _run_id) as was,
           lag(planning) over (partition by _subject_id, id order by seen_at, _run_id) as planning_was,
           lag(ready) over (partition by _subject_id, id order by seen_at, _run_id) as ready_was,
           lag(executed) over (partition by _subject_id, id order by seen_at, _run_id) as executed_was,
           lag(paid) over (partition by _subject_id, id order by seen_at, _run_id) as paid_was
    from picture as p
)
select name as crime, status, seen_at, was, planning_at, ready_at, executed_at, paid_at,
       _run_id as run_id, id as crime_id
from step
where (was is null or status <> was or planning <> planning_was or ready <> ready_was
       or executed <> executed_was or paid <> paid_was)
  and (seen_at >= $since or id = $crime)
order by seen_at desc, crime_id desc, run_id desc, _subject_id desc
