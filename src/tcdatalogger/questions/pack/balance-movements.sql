/*
title = "Who put in, who took out?"
page = "money"
of = "member"
asks = ["banker", "leader"]
caption = "Changes of members' balances between two pictures, of the last {days} days, and what the news say of them; the newest first."
definition = """
The difference of two pictures of a member that follow each other: it lies somewhere between them, and may
be several movements that add up. Beside it stand the lines of the news from the same time: what was
deposited or raised is added, what was given or lowered is taken away. What is left unexplained are payouts
of crimes, and whatever the news do not tell. Where as much came in as went out between two pictures,
there is no change, and no row. A line that nobody is found for has a row of its own, without
a change. Without the news every change is unexplained."""
chart = { kind = "list", label = "member", values = ["moved", "in_news"] }
units = { from_picture = "time", to_picture = "time", before = "money", after = "money", moved = "money", in_news = "money", unexplained = "money" }
links = { member = "member_id" }
audience = "officer"

[needs."/faction/balance"]
modes = ["append", "history"]

[needs."/faction/news"]
params = { cat = ["depositFunds", "giveFunds"] }
optional = true
*/
with picture as (
    select _subject_id, member_id, username, money, server_timestamp, _run_id,
           lag(money) over (
               partition by _subject_id, member_id order by server_timestamp, _run_id) as before,
           lag(server_timestamp) over (
               partition by _subject_id, member_id order by server_timestamp, _run_id) as seen
    from {faction_balance_members:all}
),
watched as (
    select _subject_id, min(server_timestamp) as begun, max(server_timestamp) as ended
    from {faction_balance:all}
    group by _subject_id
),
named as (
    select _subject_id, username, member_id
    from picture
    where true
    qualify row_number() over (
        partition by _subject_id, username order by server_timestamp desc, member_id desc) = 1
),
-- With tags a member has an id, without tags a name alone. A line names two members at most.
line as (
    select n._subject_id, n.id, n.timestamp, replace(n.text, '</a>', '') as without_ends,
           coalesce(first_group(n.text, '(<a [^>]*>)'), '</a>') as first_tag,
           coalesce(first_group(n.text, '<a [^>]*>.*(<a [^>]*>)'), '</a>') as last_tag,
           replace(replace(replace(replace(coalesce(n._cat, ''), 'depositFunds', ''), 'giveFunds', ''),
               ',', ''), ' ', '') = '' as is_of_vault,
           cast(first_group(n.text,
               'XID=([0-9]+)[^>]*>[^<]*</a> (?:deposited|was given) [$]') as int64) as giver_id,
           cast(first_group(n.text,
               '(?:increased|decreased) <[^>]*XID=([0-9]+)[^>]*>[^<]*</a>.s money balance by [$]')
               as int64) as owner_id,
           coalesce(
               first_group(n.text, '^([A-Za-z0-9_-]+) (?:deposited|was given) [$]'),
               first_group(n.text,
                   '(?:increased|decreased) ([A-Za-z0-9_-]+).s money balance by [$]')) as name,
           case first_group(n.text, ' (deposited|was given|increased|decreased) ')
               when 'deposited' then 1 when 'increased' then 1
               when 'was given' then -1 when 'decreased' then -1 end
           * cast(replace(first_group(n.text,
               '(?:deposited|was given|balance by) [$]([0-9,]+)'), ',', '') as int64) as amount
    from {faction_news:now} as n
    join watched as w on w._subject_id = n._subject_id
    where n.timestamp >= $since and n.timestamp > w.begun and n.timestamp <= w.ended
),
meant as (
    select l._subject_id, l.id, l.timestamp, l.name, l.amount,
           replace(replace(l.without_ends, l.first_tag, ''), l.last_tag, '') as text,
           coalesce(l.giver_id, l.owner_id, m.member_id) as member_id
    from line as l
    left join named as m on m._subject_id = l._subject_id and m.username = l.name
    where l.is_of_vault or l.amount is not null
),
placed as (
    select l._subject_id, l.id, l.timestamp, l.text, l.name, l.amount, p.member_id,
           p.server_timestamp
    from meant as l
    left join picture as p
        on p._subject_id = l._subject_id and p.member_id = l.member_id
        and p.seen < l.timestamp and p.server_timestamp >= l.timestamp and l.amount is not null
),
told as (
    select _subject_id, member_id, server_timestamp, sum(amount) as amount,
           string_agg(text, '; ' order by timestamp, id) as lines
    from placed
    where member_id is not null
    group by _subject_id, member_id, server_timestamp
),
movement as (
    select p.server_timestamp as to_picture, p.username as member, p.before, p.money as after,
           p.money - p.before as moved, t.amount as in_news,
           p.money - p.before - coalesce(t.amount, 0) as unexplained, t.lines as news,
           p.seen as from_picture, p.member_id, p._subject_id as faction_id, '' as line_id
    from picture as p
    left join told as t
        on t._subject_id = p._subject_id and t.member_id = p.member_id
        and t.server_timestamp = p.server_timestamp
    where p.server_timestamp >= $since and p.before is not null
      and (p.money <> p.before or t.amount <> 0)
    union all
    select timestamp, name, null, null, null, amount, null, text, null, null, _subject_id, id
    from placed
    where member_id is null
)
select to_picture, member, before, after, moved, in_news, unexplained, news, from_picture,
       member_id, faction_id
from movement
where $member is null or member_id = $member
order by to_picture desc, abs(moved) desc, member_id desc, faction_id desc, line_id desc
