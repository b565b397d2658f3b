/*
title = "How do members do in crimes, and which difficulty comes next?"
page = "crimes"
asks = ["planner", "leader"]
caption = "One row for each member of the newest picture."
definition = """
`pass_1` to `pass_10` are the best pass rates in successful crimes of that difficulty. Whoever has 80 or
more in the hardest one stays at it; else the one below is recommended."""
chart = { kind = "table", label = "name" }
units = { days_inactive = "days", days_in_faction = "days", is_in_oc = "flag" }
links = { name = "member_id" }

[needs."/faction/crimes"]
[needs."/faction/members"]
*/
with member as (
    select _subject_id, id, name, level, days_in_faction, position, is_in_oc,
           last_action_timestamp, max(server_timestamp) over (partition by _subject_id) as seen_at
    from {faction_members:now}
),
part as (
    select m._subject_id, m.id, c.id as crime_id, c.difficulty, s.checkpoint_pass_rate as pass_rate,
           c.executed_at > m.seen_at - interval 30 day as in_30_days,
           c.executed_at > m.seen_at - interval 7 day as in_7_days,
           max(c.difficulty) over (partition by m._subject_id, m.id) as hardest
    from member as m
    join {faction_crimes_slots:now} as s on s._subject_id = m._subject_id and s.user_id = m.id
    join {faction_crimes:now} as c on c._subject_id = s._subject_id and c.id = s.crime_id
    where c.status = 'Successful'
),
done as (
    select _subject_id, id,
           count(distinct case when in_30_days then crime_id end) as crimes_30_days,
           count(distinct case when in_7_days then crime_id end) as crimes_7_days,
           max(hardest) as hardest,
           max(case when difficulty = hardest then pass_rate end) as pass_hardest,
           max(case when difficulty = 1 then pass_rate end) as pass_1,
           max(case when difficulty = 2 then pass_rate end) as pass_2,
           max(case when difficulty = 3 then pass_rate end) as pass_3,
           max(case when difficulty = 4 then pass_rate end) as pass_4,
           max(case when difficulty = 5 then pass_rate end) as pass_5,
           max(case when difficulty = 6 then pass_rate end) as pass_6,
           max(case when difficulty = 7 then pass_rate end) as pass_7,
           max(case when difficulty = 8 then pass_rate end) as pass_8,
           max(case when difficulty = 9 then pass_rate end) as pass_9,
           max(case when difficulty = 10 then pass_rate end) as pass_10
    from part
    group by _subject_id, id
)
select m.name, m.level, m.days_in_faction, m.position,
       cast(floor((unix_seconds(m.seen_at) - unix_seconds(m.last_action_timestamp)) / 86400) as int64)
           as days_inactive,
       m.is_in_oc,
       coalesce(d.crimes_30_days, 0) as crimes_30_days,
       coalesce(d.crimes_7_days, 0) as crimes_7_days,
       case when d.pass_hardest >= 80 or d.hardest = 1 then d.hardest
            else coalesce(d.hardest - 1, 1) end as recommended_difficulty,
       d.pass_1, d.pass_2, d.pass_3, d.pass_4, d.pass_5,
       d.pass_6, d.pass_7, d.pass_8, d.pass_9, d.pass_10,
       m.id as member_id
from member as m
left join done as d on d._subject_id = m._subject_id and d.id = m.id
order by recommended_difficulty desc, m.is_in_oc nulls last, crimes_7_days nulls last,
         crimes_30_days nulls last, m.level desc, m.name nulls last, m.id nulls last
