/*
title = "Who joined and who left?"
page = "members"
asks = ["recruiter", "leader"]
caption = "Members who came and went in the last {days} days, by week."
definition = """
A member has joined in the first picture that shows him, and has left in the first of at least two
pictures in a row without him: one picture may miss somebody. So the newest picture alone shows nobody
as gone. Whoever is in the first picture of all was there before. A week begins on Monday; a week without
pictures is not here. `in_news` and `out_news` count the lines of the faction's news of that week, and
`unread_news` those that were not understood; they may differ, as the news has the moment itself."""
chart = { kind = "bars", label = "week_begins", values = ["joined", "gone"] }
units = { week_begins = "date", joined = "number", gone = "number", net = "number", members = "count" }
days = 90

[needs."/faction/members"]
modes = ["append"]

[needs."/faction/news"]
params = { cat = "membership" }
optional = true

[needs."/faction/applications"]
optional = true
*/
with picture as (
    select _subject_id, seen_at, members,
           cast(seen_at - interval (mod(unix_date(cast(seen_at as date)) + 3, 7)) day as date) as monday,
           row_number() over (partition by _subject_id order by seen_at) as nth,
           count(*) over (partition by _subject_id) as newest
    from (
        select _subject_id, server_timestamp as seen_at, count(distinct id) as members
        from {faction_members:all}
        where server_timestamp >= $since - interval 31 day
        group by _subject_id, server_timestamp
    ) as told
),
seen as (
    select m._subject_id, m.id, p.nth, p.newest,
           lag(p.nth) over (partition by m._subject_id, m.id order by p.nth) as former,
           lead(p.nth) over (partition by m._subject_id, m.id order by p.nth) as later
    from {faction_members:all} as m
    join picture as p on p._subject_id = m._subject_id and p.seen_at = m.server_timestamp
),
change as (
    select _subject_id, id, nth, 1 as way
    from seen
    where nth > 1 and (former is null or nth - former > 2)
    union all
    select _subject_id, id, nth + 1, -1
    from seen
    where later - nth > 2 or (later is null and newest - nth >= 2)
),
person as (
    select p._subject_id, p.monday, c.way, c.id, coalesce(m.name, cast(c.id as string)) as name
    from change as c
    join picture as p on p._subject_id = c._subject_id and p.nth = c.nth
    left join {faction_members:last} as m on m._subject_id = c._subject_id and m.id = c.id
    where p.seen_at >= $since
),
moved as (
    select _subject_id, monday,
           count(case when way = 1 then 1 end) as joined, count(case when way = -1 then 1 end) as gone,
           string_agg(case when way = 1 then name end, ', ' order by name, id) as who_joined,
           string_agg(case when way = -1 then name end, ', ' order by name, id) as who_left
    from person
    group by _subject_id, monday
),
line as (
    select _subject_id, lower(text) as said, coalesce(_cat, 'membership') = 'membership' as is_sure,
           cast(timestamp - interval (mod(unix_date(cast(timestamp as date)) + 3, 7)) day as date) as monday
    from {faction_news:now}
    where timestamp >= $since
      and (_cat is null or ',' || replace(_cat, ' ', '') || ',' like '%,membership,%')
),
told as (
    select _subject_id, monday,
           count(case when said like '% joined the faction%'
                      or said like '% has accepted %s application to join the faction%' then 1 end)
               as in_news,
           count(case when said like '% left the faction%'
                      or said like '% kicked out of the faction%' then 1 end) as out_news,
           count(case when is_sure and said not like '% the faction%' and said not like '% position %'
                      and said not like '%faction status%' then 1 end) as unread_news
    from line
    group by _subject_id, monday
),
applied as (
    select _subject_id, monday, count(*) as applications
    from (
        select _subject_id, id,
               cast(min(server_timestamp) - interval (
                   mod(unix_date(cast(min(server_timestamp) as date)) + 3, 7)) day as date) as monday
        from {faction_applications:all}
        group by _subject_id, id
    ) as application
    group by _subject_id, monday
),
weeks as (
    select _subject_id, monday, members
    from picture
    where seen_at >= $since
    qualify row_number() over (partition by _subject_id, monday order by nth desc) = 1
)
select w.monday as week_begins, coalesce(c.joined, 0) as joined, -coalesce(c.gone, 0) as gone,
       coalesce(c.joined, 0) - coalesce(c.gone, 0) as net, w.members, c.who_joined, c.who_left,
       t.in_news, t.out_news, t.unread_news, a.applications, cast(w._subject_id as string) as faction
from weeks as w
left join moved as c on c._subject_id = w._subject_id and c.monday = w.monday
left join told as t on t._subject_id = w._subject_id and t.monday = w.monday
left join applied as a on a._subject_id = w._subject_id and a.monday = w.monday
order by week_begins desc, w._subject_id nulls last
