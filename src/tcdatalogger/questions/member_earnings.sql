-- What did each member earn by organised crimes in the last 30 days?
-- Torn pays out a share of the money; how it is split among the crew is the faction's custom. This
-- splits it evenly over the members in the slots. A crime without an automatic payout has no
-- percentage, so its share is null, not zero.
with crime as (
    select id, status, executed_at, rewards_money, rewards_payout_percentage, _run_id
    from faction_crimes
    where true
    qualify row_number() over (
        partition by _subject_id, id order by server_timestamp desc, _run_id desc) = 1
),
slot as (
    select s.user_id,
           c.rewards_money * c.rewards_payout_percentage / 100
               / count(*) over (partition by c.id) as share
    from crime as c
    join faction_crimes_slots as s on s.crime_id = c.id and s._run_id = c._run_id
    where c.status = 'Successful' and s.user_id is not null
      and c.executed_at > (select max(server_timestamp) from faction_crimes) - interval 30 day
),
member as (
    select id, name
    from faction_members
    where true
    qualify row_number() over (partition by id order by server_timestamp desc, _run_id desc) = 1
)
select coalesce(m.name, cast(s.user_id as string)) as member,
       count(*) as crimes,
       round(sum(s.share)) as earned
from slot as s
left join member as m on m.id = s.user_id
group by s.user_id, m.name
order by earned desc nulls last, member
