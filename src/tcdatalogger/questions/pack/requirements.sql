/*
title = "Who is to be promoted, warned, removed?"
page = "members"
asks = ["leader", "quartermaster"]
caption = "Members of the newest picture: {crimes} crimes or {items} items in {days} days, and seen in the last {seen} days; whoever is here for less than {tenure} days is too new."
definition = """
A member does enough with so many crimes that were executed in the time, or so many items that he sent to
a member whose key logs the events. Who does enough and was seen is good, and one whose position is Recruit is to be
promoted; who lacks one of the two is to be warned, who lacks both to be removed. `level` is the
player's, and says nothing about the rank. Items are counted from the texts of events, as "You were sent
4x Xanax from": a sender is known by the id in the link, else by his name. Senders who are no members, or
have another name now, stand at the end. Hits in chains are shown, and are no condition unless
`hits` says so. Where no events, or no chain reports, are stored, items, or hits, are not known, and
count as none."""
chart = { kind = "table", label = "member", values = ["verdict", "crimes", "items_sent", "days_ago"] }
units = { verdict = "rating", days_ago = "days", days_in_faction = "days", crimes = "count", items_sent = "count", chain_hits = "count" }
links = { member = "member_id" }
audience = "officer"
shared = ["known_as", "gift", "heard"]

[needs."/faction/crimes"]
[needs."/faction/members"]

[needs."/user/events"]
optional = true

[needs."/faction/{chainId}/chainreport"]
ids = "query:select id from faction_chains"
optional = true

[params]
crimes = { default = 3, min = 0, max = 1000, says = "Crimes that are enough." }
items = { default = 460, min = 1, max = 1000000, says = "Items that are enough in place of crimes." }
seen = { default = 2, min = 1, max = 365, says = "Days without an action that are too many." }
tenure = { default = 30, min = 0, max = 3650, says = "Days in the faction before anybody is judged." }
hits = { default = 0, min = 0, max = 100000, says = "Hits in chains that are wanted too." }
*/
with member as (
    select _subject_id, id, name, level, position, days_in_faction,
           unix_seconds(max(server_timestamp) over (partition by _subject_id))
               - unix_seconds(last_action_timestamp) as idle
    from {faction_members:now}
),
part as (
    select s._subject_id, s.user_id, count(distinct c.id) as crimes
    from {faction_crimes:now} as c
    join {faction_crimes_slots:now} as s on s._subject_id = c._subject_id and s.crime_id = c.id
    where c.executed_at >= $since and c.executed_at < $until
    group by s._subject_id, s.user_id
),
hit as (
    select faction_id, attacker_id, sum(attacks_total) as hits
    from {faction_chainreport_attackers:now}
    where start >= $since
    group by faction_id, attacker_id
),
sent as (
    select cast(first_group(event, ' from <a [^>]*XID=([0-9]+)') as int64) as sender_id,
           coalesce(first_group(event, ' from (?:<a [^>]*>)?([A-Za-z0-9_-]+)'), 'not read') as sender,
           coalesce(cast(first_group(event, '^You were sent ([0-9]+)x ') as int64), 1) as quantity
    from {user_events:now}
    where _subject_id in (select id from member)
      and starts_with(event, 'You were sent ') and not starts_with(event, 'You were sent $')
      and timestamp >= $since
),
known_as as (
    select lower(name) as name, max(id) as id
    from member
    group by lower(name)
),
gift as (
    select coalesce(s.sender_id, k.id) as sender_id,
           case when coalesce(s.sender_id, k.id) is null then s.sender end as unknown,
           max(s.sender) as sender, sum(s.quantity) as items
    from sent as s
    left join known_as as k on k.name = lower(s.sender)
    group by coalesce(s.sender_id, k.id),
             case when coalesce(s.sender_id, k.id) is null then s.sender end
),
heard as (
    select (select max(timestamp) from {user_events:all}) as last_event,
           (select max(start) from {faction_chainreport_attackers:all}) as last_chain
),
judged as (
    select m.id, m.name, m.level, m.position, m.days_in_faction, m.idle,
           coalesce(p.crimes, 0) as crimes,
           case when e.last_event is not null then coalesce(g.items, 0) end as items,
           case when e.last_chain is not null then coalesce(h.hits, 0) end as hits,
           (coalesce(p.crimes, 0) >= $crimes or coalesce(g.items, 0) >= $items)
               and coalesce(h.hits, 0) >= $hits as does_enough,
           m.idle <= $seen * 86400 as was_seen
    from member as m
    cross join heard as e
    left join part as p on p._subject_id = m._subject_id and p.user_id = m.id
    left join hit as h on h.faction_id = m._subject_id and h.attacker_id = m.id
    left join gift as g on g.sender_id = m.id
),
answer as (
    select name as member,
           case when days_in_faction < $tenure then 'good: too new'
                when does_enough and was_seen and position = 'Recruit' then 'good: promote'
                when does_enough and was_seen then 'good: keep'
                when does_enough then 'warn: not seen'
                when was_seen then 'warn: does too little'
                else 'bad: remove' end as verdict,
           position, level, days_in_faction, idle / 86400 as days_ago, crimes, items as items_sent,
           hits as chain_hits, id as member_id
    from judged
    union all
    select g.sender, 'warn: no member', cast(null as string), cast(null as int64),
           cast(null as int64), cast(null as int64) / 86400, cast(null as int64), g.items,
           cast(null as int64), g.sender_id
    from gift as g
    where g.sender_id is null or g.sender_id not in (select id from member)
)
select member, verdict, position, level, days_in_faction, days_ago, crimes, items_sent, chain_hits,
       member_id
from answer
order by case when verdict = 'bad: remove' then 0 when verdict = 'good: promote' then 2
              when verdict = 'good: keep' then 3 when verdict = 'good: too new' then 4
              when verdict = 'warn: no member' then 5 else 1 end nulls last,
         crimes nulls last, days_ago desc, member nulls last, member_id nulls last
