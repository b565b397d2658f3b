-- What is each kind of crime worth?
-- Means over all crimes of one name. Rewards are those of the successful ones; planning lasts from
-- the first member to the moment when the crime is ready.
with crime as (
    select id, name, difficulty, status, rewards_money, rewards_respect,
           ready_at - planning_at as planned, _run_id
    from faction_crimes
    where true
    qualify row_number() over (
        partition by _subject_id, id order by server_timestamp desc, _run_id desc) = 1
),
crew as (
    select crime_id, _run_id, count(*) as slots
    from faction_crimes_slots
    group by crime_id, _run_id
),
kind as (
    select c.difficulty, c.name as crime,
           count(*) as crimes,
           count(case when c.status = 'Successful' then 1 end) as successful,
           max(w.slots) as positions,
           avg(c.rewards_respect) as respect_gained,
           avg(c.rewards_money) as money,
           avg(extract(day from c.planned) * 24 + extract(hour from c.planned)) / 24 as days
    from crime as c
    left join crew as w on w.crime_id = c.id and w._run_id = c._run_id
    group by c.difficulty, c.name
)
select difficulty, crime, crimes, successful, positions,
       round(days) as days,
       round(respect_gained) as average_respect,
       round(money) as average_money,
       round(money / nullif(positions, 0)) as average_money_per_position,
       round(money / nullif(positions, 0) / nullif(days, 0)) as average_money_per_position_and_day
from kind
order by difficulty, crime
