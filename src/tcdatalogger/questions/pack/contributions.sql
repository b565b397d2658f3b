/*
title = "Who trains, who takes drugs, who revives?"
page = "armory"
of = "member"
asks = ["leader", "quartermaster"]
caption = "What each member of the newest picture added to the faction's statistics in the last {days} days."
definition = """
Torn counts for each member since joining. Added is the newest number less that of the last picture before
the days that are looked at; where there is none, less that of the first picture in them: from says since
when. A number that falls is no negative use: the member left and joined again, or Torn mended it. Such
steps are left out and counted as falls. Any statistic that is logged is in the answer."""
chart = { kind = "matrix", label = "member", across = "stat", values = ["added"] }
units = { from_picture = "time", in_faction = "flag" }
links = { member = "member_id" }

[needs."/faction/contributors"]
modes = ["append", "history"]
params = { stat = ["gymenergy", "drugsused", "drugoverdoses", "revives"] }
one_will_do = true
*/
with picture as (
    select _subject_id, _stat, id, username, value, in_faction, server_timestamp,
           lag(value) over (
               partition by _subject_id, _stat, id order by server_timestamp, _run_id) as before,
           row_number() over (
               partition by _subject_id, _stat, id order by server_timestamp desc, _run_id desc)
               as age
    from {faction_contributors:all}
),
base as (
    select _subject_id, _stat, id,
           coalesce(max(case when server_timestamp <= $since then server_timestamp end),
                    min(server_timestamp)) as seen
    from picture
    group by _subject_id, _stat, id
),
step as (
    select p._subject_id, p._stat, p.id, b.seen,
           sum(case when p.server_timestamp > b.seen and p.value > p.before
                    then p.value - p.before else 0 end) as added,
           sum(case when p.server_timestamp > b.seen and p.value < p.before then 1 else 0 end)
               as falls
    from picture as p
    join base as b on b._subject_id = p._subject_id and b._stat = p._stat and b.id = p.id
    group by p._subject_id, p._stat, p.id, b.seen
),
here as (
    select distinct _subject_id, _stat, id
    from {faction_contributors:now}
)
select p._stat as stat, p.username as member, s.added, p.value as total, s.falls, p.in_faction,
       s.seen as from_picture, p.id as member_id
from picture as p
join step as s on s._subject_id = p._subject_id and s._stat = p._stat and s.id = p.id
join here as h on h._subject_id = p._subject_id and h._stat = p._stat and h.id = p.id
where p.age = 1 and ($member is null or p.id = $member)
order by stat nulls last, s.added desc, total desc, p.id desc, p._subject_id desc
