/*
title = "When are we awake?"
page = "members"
of = "member"
asks = ["warlord", "leader"]
caption = "Members who were active, by weekday and hour of Torn's time, in the last {days} days."
definition = """
A member was awake between two pictures if the last action of the later one is after the earlier one.
The time between them counts for the hour of its middle, once a member. Where more than 90 minutes lie
between two pictures nobody watched, and nothing is counted."""
chart = { kind = "heat", label = "weekday", across = "hour", values = ["members_active"] }
units = { weekday = "weekday", members_active = "number", share_active = "percent" }

[needs."/faction/members"]
modes = ["append"]
every = "PT1H"
*/
with picture as (
    select _subject_id, id, server_timestamp, last_action_timestamp,
           lag(server_timestamp) over (
               partition by _subject_id, id order by server_timestamp, _run_id) as seen
    from {faction_members:all}
    where server_timestamp >= $since and ($member is null or id = $member)
),
span as (
    select _subject_id, id,
           server_timestamp - interval (
               cast(floor((unix_seconds(server_timestamp) - unix_seconds(seen)) / 2) as int64)
           ) second as middle,
           case when last_action_timestamp > seen then 1 else 0 end as awake
    from picture
    where seen is not null and unix_seconds(server_timestamp) - unix_seconds(seen) <= 5400
),
hours as (
    select _subject_id, id, cast(middle as date) as day, extract(hour from middle) as hour,
           max(awake) as awake
    from span
    group by _subject_id, id, cast(middle as date), extract(hour from middle)
)
select mod(unix_date(day) + 3, 7) as weekday, hour, sum(awake) as member_hours,
       count(distinct day) as days, sum(awake) / nullif(count(distinct day), 0) as members_active,
       sum(awake) / nullif(count(*), 0) as share_active
from hours
group by mod(unix_date(day) + 3, 7), hour
order by weekday nulls last, hour nulls last
