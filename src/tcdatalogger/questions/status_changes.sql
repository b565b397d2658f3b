-- What changed between the polls?
with poll as (
    select name, server_timestamp as seen_at, status_state as state,
           lag(status_state) over (
               partition by _subject_id, id order by server_timestamp, _run_id) as was,
           status_description as description
    from faction_members
)
select seen_at, name, was || ' -> ' || state as change, description
from poll
where was <> state
order by seen_at desc, name
