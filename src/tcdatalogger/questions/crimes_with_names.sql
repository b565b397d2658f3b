-- What is known of every crime, slot by slot, with the names of members and items?
-- A row is a slot; a crime without slots has one row. What a crime brought stands in the row of its
-- first slot alone, so that a sum over the column is right.
with crime as (
    select id, name, difficulty, status, created_at, planning_at, ready_at, executed_at, expired_at,
           rewards_money, rewards_respect, rewards_payout_type, rewards_payout_percentage,
           rewards_payout_paid_by, rewards_payout_paid_at, _run_id
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
item as (
    select id, name
    from torn_items
    where true
    qualify row_number() over (partition by id order by server_timestamp desc, _run_id desc) = 1
),
reward as (
    select r.crime_id, r._run_id,
           string_agg(
               cast(r.quantity as string) || ' x ' || coalesce(i.name, cast(r.item_id as string)),
               ', ' order by r._index) as items
    from faction_crimes_rewards_items as r
    left join item as i on i.id = r.item_id
    group by r.crime_id, r._run_id
),
slot as (
    select c.id as crime_id, s._index, s.position, s.user_id, s.user_joined_at, s.user_progress,
           case when s.user_id is not null then s.checkpoint_pass_rate end as pass_rate,
           s.item_requirement_id, s.item_requirement_is_reusable, s.item_requirement_is_available,
           row_number() over (partition by c.id order by s._index) = 1 as is_first
    from crime as c
    left join faction_crimes_slots as s on s.crime_id = c.id and s._run_id = c._run_id
)
select c.id as crime_id, c.name as crime, c.difficulty, c.status,
       c.created_at, c.planning_at, c.ready_at, c.executed_at, c.expired_at,
       s.position, m.name as member, s.user_id as member_id,
       s.user_joined_at as joined_at, s.user_progress as progress, s.pass_rate,
       i.name as required_item, s.item_requirement_id as required_item_id,
       s.item_requirement_is_reusable as item_is_reusable,
       s.item_requirement_is_available as item_is_available,
       case when s.is_first then c.rewards_money end as money,
       case when s.is_first then c.rewards_respect end as respect_gained,
       case when s.is_first then r.items end as reward_items,
       c.rewards_payout_type as payout_type, c.rewards_payout_percentage as payout_percent,
       c.rewards_payout_paid_by as paid_by_id, c.rewards_payout_paid_at as paid_at,
       'https://www.torn.com/profiles.php?XID=' || cast(s.user_id as string) as member_profile
from crime as c
join slot as s on s.crime_id = c.id
left join member as m on m.id = s.user_id
left join item as i on i.id = s.item_requirement_id
left join reward as r on r.crime_id = c.id and r._run_id = c._run_id
order by c.id, s._index
