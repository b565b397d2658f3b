-- How did balances move?
with balance as (
    select server_timestamp, member_id, username, money,
           money - lag(money) over (
               partition by _subject_id, member_id order by server_timestamp, _run_id) as moved
    from faction_balance_members
)
select server_timestamp, username, money, moved
from balance
where moved <> 0
order by server_timestamp desc, member_id
