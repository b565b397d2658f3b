/*
title = "How many job points do I have, and how fast do they come?"
page = "me"
asks = ["member"]
caption = "Points of each job and of each kind of company, and how they moved in the last {days} days."
definition = """
The differences of two pictures that follow each other: rises were earned, falls were spent. Points that were
earned and spent between two pictures are seen as one sum."""
chart = { kind = "bars", label = "job", values = ["points"] }
units = { points = "count", earned = "count", spent = "count", earned_a_day = "number", is_company = "flag" }
audience = "owner"

[needs."/user/jobpoints"]
modes = ["append", "history"]
*/
with city as (
    select _subject_id, server_timestamp, _run_id, jobs_army, jobs_casino, jobs_education,
           jobs_grocer, jobs_law, jobs_medical
    from {user_jobpoints:all}
),
held as (
    select _subject_id, server_timestamp, _run_id, 'Army' as job, false as is_company,
           0 as company_id, jobs_army as points
    from city
    union all
    select _subject_id, server_timestamp, _run_id, 'Casino', false, 0, jobs_casino from city
    union all
    select _subject_id, server_timestamp, _run_id, 'Education', false, 0, jobs_education from city
    union all
    select _subject_id, server_timestamp, _run_id, 'Grocer', false, 0, jobs_grocer from city
    union all
    select _subject_id, server_timestamp, _run_id, 'Law', false, 0, jobs_law from city
    union all
    select _subject_id, server_timestamp, _run_id, 'Medical', false, 0, jobs_medical from city
    union all
    select _subject_id, server_timestamp, _run_id, company_name, true, company_id, points
    from {user_jobpoints_companies:all}
),
step as (
    select _subject_id, job, is_company, company_id, points, server_timestamp,
           points - lag(points) over (
               partition by _subject_id, is_company, company_id, job
               order by server_timestamp, _run_id) as moved,
           lag(server_timestamp) over (
               partition by _subject_id, is_company, company_id, job
               order by server_timestamp, _run_id) as seen,
           row_number() over (
               partition by _subject_id, is_company, company_id, job
               order by server_timestamp desc, _run_id desc) as nth
    from held
)
select job, max(case when nth = 1 then points end) as points,
       coalesce(sum(case when moved > 0 and server_timestamp >= $since then moved end), 0) as earned,
       coalesce(sum(case when moved < 0 and server_timestamp >= $since then -moved end), 0) as spent,
       coalesce(sum(case when moved > 0 and server_timestamp >= $since then moved end), 0) * 86400
           / nullif(unix_seconds(max(server_timestamp))
               - unix_seconds(min(case when server_timestamp >= $since
                                       then coalesce(seen, server_timestamp) end)), 0)
           as earned_a_day,
       is_company, _subject_id as player_id
from step
group by _subject_id, is_company, company_id, job
order by points desc, is_company nulls last, job nulls last, company_id nulls last, player_id nulls last
