-- Who is inactive?
-- Members whose last action was more than two days before they were last read.
with member as (
    select name, position, level, last_action_timestamp as last_seen, server_timestamp,
           server_timestamp - last_action_timestamp as idle
    from faction_members
    where true
    qualify rank() over (partition by _subject_id order by server_timestamp desc, _run_id desc) = 1
)
select name, position, level, last_seen,
       -- DuckDB has the days of a difference beside its hours, BigQuery has hours alone
       cast(floor((extract(day from idle) * 24 + extract(hour from idle)) / 24) as int64)
           as days_ago
from member
where last_seen < server_timestamp - interval 2 day
order by last_seen, name
