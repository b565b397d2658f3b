/*
title = "What is the faction's own?"
page = "money"
asks = ["banker", "leader"]
caption = "What is left of the vault when all members have taken out what is theirs, of the last {days} days."
definition = """
The money of the vault less the balances of the members in the same picture; of each day the last
picture. What a former member left behind is the faction's here, unless the endpoint asks for all
(`cat = "all"`): then it is still that member's."""
chart = { kind = "line", label = "day", values = ["own"], series = "faction" }
units = { day = "date", own = "money", change = "money", vault = "money", of_members = "money", own_points = "count", seen_at = "time" }
links = { faction = "faction_id" }
audience = "officer"

[needs."/faction/balance"]
modes = ["append", "history"]

[needs."/faction/basic"]
optional = true
also = ["/faction/{id}/basic"]
*/
with held as (
    select _subject_id, _run_id, sum(money) as money, sum(points) as points
    from {faction_balance_members:all}
    group by _subject_id, _run_id
),
picture as (
    select b._subject_id, cast(b.server_timestamp as date) as day, b.server_timestamp as seen_at,
           b.faction_money as vault, coalesce(h.money, 0) as of_members,
           b.faction_money - coalesce(h.money, 0) as own,
           b.faction_points - coalesce(h.points, 0) as own_points
    from {faction_balance:all} as b
    left join held as h on h._subject_id = b._subject_id and h._run_id = b._run_id
    where b.server_timestamp >= $since
    qualify row_number() over (
        partition by b._subject_id, cast(b.server_timestamp as date)
        order by b.server_timestamp desc, b._run_id desc) = 1
),
called as (
    select c._subject_id, c.name
    from {faction_basic:now} as c
    where true
    qualify row_number() over (
        partition by c._subject_id order by c.server_timestamp desc, c._run_id desc) = 1
)
select p.day, p.own,
       p.own - lag(p.own) over (partition by p._subject_id order by p.day) as change,
       p.vault, p.of_members, p.own_points, p.seen_at,
       coalesce(c.name || ' [' || cast(p._subject_id as string) || ']',
                'faction ' || cast(p._subject_id as string)) as faction,
       p._subject_id as faction_id
from picture as p
left join called as c on c._subject_id = p._subject_id
order by day nulls last, faction_id nulls last
