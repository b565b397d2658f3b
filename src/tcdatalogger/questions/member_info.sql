-- How do members do in crimes, by difficulty, and which difficulty comes next?
-- One row for each member of today. `pass_1` to `pass_10` are the best pass rates in successful
-- crimes of that difficulty. Whoever has 80 or more in the hardest one stays at it; else the one
-- below is recommended.
with crime as (
    select id, difficulty, status, executed_at, _run_id
    from faction_crimes
    where true
    qualify row_number() over (
        partition by _subject_id, id order by server_timestamp desc, _run_id desc) = 1
),
member as (
    select id, name, level, days_in_faction, position, is_in_oc, last_action_timestamp,
           server_timestamp, server_timestamp - last_action_timestamp as idle
    from faction_members
    where true
    qualify rank() over (partition by _subject_id order by server_timestamp desc, _run_id desc) = 1
),
part as (
    select m.id, c.id as crime_id, c.difficulty, s.checkpoint_pass_rate as pass_rate,
           c.executed_at > m.server_timestamp - interval 30 day as in_30_days,
           c.executed_at > m.server_timestamp - interval 7 day as in_7_days,
           max(c.difficulty) over (partition by m.id) as hardest
    from member as m
    join faction_crimes_slots as s on s.user_id = m.id
    join crime as c on c.id = s.crime_id and c._run_id = s._run_id
    where c.status = 'Successful'
),
done as (
    select id,
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
    group by id
)
select m.name, m.level, m.days_in_faction, m.position,
       cast(floor((extract(day from m.idle) * 24 + extract(hour from m.idle)) / 24) as int64)
           as days_inactive,
       m.is_in_oc,
       coalesce(d.crimes_30_days, 0) as crimes_30_days,
       coalesce(d.crimes_7_days, 0) as crimes_7_days,
       case when d.pass_hardest >= 80 or d.hardest = 1 then d.hardest
            else coalesce(d.hardest - 1, 1) end as recommended_difficulty,
       d.pass_1, d.pass_2, d.pass_3, d.pass_4, d.pass_5,
       d.pass_6, d.pass_7, d.pass_8, d.pass_9, d.pass_10,
       'https://www.torn.com/profiles.php?XID=' || cast(m.id as string) as profile
from member as m
left join done as d on d.id = m.id
order by recommended_difficulty desc, m.is_in_oc, crimes_7_days, crimes_30_days, m.level desc,
         m.name
