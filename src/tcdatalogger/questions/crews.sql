-- Who was in which crime, and what did it pay?
with crime as (
    select id, name, difficulty, status, executed_at, rewards_money, rewards_payout_percentage,
           _run_id
    from faction_crimes
    where true
    qualify row_number() over (
        partition by _subject_id, id order by server_timestamp desc, _run_id desc) = 1
),
member as (
    select id, name
    from faction_members
    where true
    qualify row_number() over (partition by id order by server_timestamp desc, _run_id desc) = 1
),
crew as (
    select s.crime_id, s._run_id,
           string_agg(
               coalesce(m.name, cast(s.user_id as string)) || ' (' || s.position || ')', ', '
               order by s._index) as crew
    from faction_crimes_slots as s
    left join member as m on m.id = s.user_id
    group by s.crime_id, s._run_id
)
select c.executed_at, c.name as crime, c.difficulty, c.rewards_money as money,
       c.rewards_payout_percentage as payout_percent, w.crew
from crime as c
left join crew as w on w.crime_id = c.id and w._run_id = c._run_id
where c.status = 'Successful' and c.executed_at is not null
order by c.executed_at desc, c.id desc
