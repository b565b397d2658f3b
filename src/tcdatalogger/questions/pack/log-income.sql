/*
title = "What do I earn, and by what?"
page = "me"
asks = ["member"]
caption = "Money that came and went by Torn's log, by day and category, of the last {days} days."
definition = """
Which field of a log has its money is a table of ours (`log_money`); of a log with two it is the difference,
as the interest of an investment. What goes from one of your own places to another, as into the vault, is
neither gained nor lost, and a category whose logs move no money is left out. A log that is not in our tables,
or lacks its field, is counted in `unknown` and named: its money is in no sum. Fractions of a dollar are cut
off. Days are those of Torn's time."""
chart = { kind = "line", label = "day", values = ["net"], series = "category" }
units = { day = "date", gained = "money", lost = "money", net = "money", entries = "count", with_money = "count", unknown = "count" }
audience = "owner"
shared = ["quiet"]

[needs."/user/log"]
*/
with entry as (
    select _subject_id, id, cast(timestamp as date) as day, details_id as log,
           details_title as title, details_category as category, data
    from {user_log:now}
    where timestamp >= $since and timestamp <= $until
),
part as (
    select e._subject_id, e.id, m.field, m.sign,
           case m.field
               when 'amount' then json_value(e.data, '$.amount')
               when 'balance_change' then json_value(e.data, '$.balance_change')
               when 'bet_amount' then json_value(e.data, '$.bet_amount')
               when 'bounty_reward' then json_value(e.data, '$.bounty_reward')
               when 'cost' then json_value(e.data, '$.cost')
               when 'cost_total' then json_value(e.data, '$.cost_total')
               when 'fees' then json_value(e.data, '$.fees')
               when 'income' then json_value(e.data, '$.income')
               when 'interest' then json_value(e.data, '$.interest')
               when 'money' then json_value(e.data, '$.money')
               when 'money_gained' then json_value(e.data, '$.money_gained')
               when 'money_given' then json_value(e.data, '$.money_given')
               when 'money_increased' then json_value(e.data, '$.money_increased')
               when 'money_lost' then json_value(e.data, '$.money_lost')
               when 'money_mugged' then json_value(e.data, '$.money_mugged')
               when 'pay' then json_value(e.data, '$.pay')
               when 'pot' then json_value(e.data, '$.pot')
               when 'refund' then json_value(e.data, '$.refund')
               when 'rent' then json_value(e.data, '$.rent')
               when 'sale_value' then json_value(e.data, '$.sale_value')
               when 'total_value' then json_value(e.data, '$.total_value')
               when 'upkeep_paid' then json_value(e.data, '$.upkeep_paid')
               when 'value' then json_value(e.data, '$.value')
               when 'winnings' then json_value(e.data, '$.winnings')
               when 'withdrawn' then json_value(e.data, '$.withdrawn')
               when 'won_amount' then json_value(e.data, '$.won_amount')
               when 'worth' then json_value(e.data, '$.worth')
           end as value
    from entry as e
    join {log_money:fact} as m on m.log = e.log
),
known as (
    select _subject_id, id, count(field) as fields, count(value) as found,
           sum(sign * cast(first_group(value, '^"?(-?[0-9]+)') as int64)) as net
    from part
    group by _subject_id, id
),
quiet as (
    select distinct e.log
    from entry as e
    cross join {log_without_money:fact} as o
    where e.log >= o.first_log and e.log <= o.last_log
),
kind as (
    select e._subject_id, e.day, e.category, e.log, e.title, count(*) as lines,
           count(case when k.fields > 0 and k.found = k.fields then 1 end) as moved,
           sum(case when k.found = k.fields and k.net > 0 then k.net else 0 end) as came,
           sum(case when k.found = k.fields and k.net < 0 then -k.net else 0 end) as went,
           count(case when (k.id is null and q.log is null) or k.found < k.fields then 1 end)
               as not_known
    from entry as e
    left join known as k on k._subject_id = e._subject_id and k.id = e.id
    left join quiet as q on q.log = e.log
    group by e._subject_id, e.day, e.category, e.log, e.title
)
select day, category, sum(came) as gained, sum(went) as lost, sum(came - went) as net,
       sum(lines) as entries, sum(moved) as with_money, sum(not_known) as unknown,
       string_agg(
           case when not_known > 0
                then cast(log as string) || ' ' || title || ' (' || cast(not_known as string) || ')'
           end, ', ' order by log, title) as unknown_logs, _subject_id as player_id
from kind
group by _subject_id, day, category
having sum(moved) > 0 or sum(not_known) > 0
order by day desc, net desc, category nulls last, player_id nulls last
