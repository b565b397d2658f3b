-- What did each crime that was paid out bring to the faction, and what to its members?
-- The percentage is the part of all members together. Each crime is one row, whatever the number of
-- its slots and its reward items.
with crime as (
    select id, name, status, rewards_money, rewards_payout_percentage, rewards_payout_paid_at
    from faction_crimes
    where true
    qualify row_number() over (
        partition by _subject_id, id order by server_timestamp desc, _run_id desc) = 1
),
paid as (
    select id, name, rewards_money as money, rewards_payout_percentage as percentage,
           cast(rewards_payout_paid_at as date) as paid_on,
           cast(round(rewards_money * rewards_payout_percentage / 100) as int64) as to_members
    from crime
    where status = 'Successful' and rewards_payout_paid_at is not null and rewards_money > 0
)
select paid_on, id as crime_id, name as crime, money, percentage as payout_percent,
       money - to_members as to_faction, to_members
from paid
order by paid_on desc, crime_id desc
