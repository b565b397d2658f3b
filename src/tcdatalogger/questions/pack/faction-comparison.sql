/*
title = "How do factions compare?"
page = "members"
asks = ["recruiter", "leader"]
caption = "The newest picture of the members of each faction that is logged."
definition = """
What the list of members tells about each faction, ours among them: how many were seen in the 24 hours
before its picture, how long they are there, and how many came in the last 30 days and are still there.
Who is in a crime is told to members of a faction alone, and is not compared."""
chart = { kind = "bars", label = "faction", values = ["seen_24_hours"] }
units = { members = "count", mean_level = "number", seen_24_hours = "percent", seen_7_days = "percent", mean_days_here = "days", came_30_days = "count", in_hospital = "count", revivable = "count", gained = "respect", as_of = "time" }
links = { faction = "faction_id" }

[needs."/faction/{id}/members"]
ids = "[40832]"
also = ["/faction/members"]

[needs."/faction/{id}/basic"]
ids = "[40832]"
also = ["/faction/basic"]
optional = true
*/
with member as (
    select _subject_id, id, level, days_in_faction, status_state, is_revivable,
           max(server_timestamp) over (partition by _subject_id) as as_of,
           unix_seconds(max(server_timestamp) over (partition by _subject_id))
               - unix_seconds(last_action_timestamp) as idle
    from {faction_members:now}
),
faction as (
    select _subject_id, count(*) as members, avg(level) as mean_level,
           count(case when idle <= 86400 then 1 end) / nullif(count(*), 0) as seen_24_hours,
           count(case when idle <= 7 * 86400 then 1 end) / nullif(count(*), 0) as seen_7_days,
           avg(days_in_faction) as mean_days_here,
           count(case when days_in_faction < 30 then 1 end) as came_30_days,
           count(case when status_state = 'Hospital' then 1 end) as in_hospital,
           count(case when is_revivable then 1 end) as revivable, max(as_of) as as_of
    from member
    group by _subject_id
),
called as (
    select b._subject_id, b.name, b.rank_name, b.best_chain, b.respect as gained
    from {faction_basic:now} as b
    where true
    qualify row_number() over (
        partition by b._subject_id order by b.server_timestamp desc, b._run_id desc) = 1
)
select coalesce(c.name, cast(f._subject_id as string)) as faction, f.members, f.mean_level,
       f.seen_24_hours, f.seen_7_days, f.mean_days_here, f.came_30_days, f.in_hospital, f.revivable,
       c.rank_name as faction_rank, c.gained, c.best_chain, f.as_of, f._subject_id as faction_id
from faction as f
left join called as c on c._subject_id = f._subject_id
order by f.seen_24_hours desc, f.members desc, faction_id nulls last
