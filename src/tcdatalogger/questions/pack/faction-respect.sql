/*
title = "How do respect and rank go?"
page = "war"
asks = ["leader", "warlord"]
caption = "Respect and rank of the faction at the end of each day, in the last {days} days."
definition = """
The last picture of each day. Gained is the difference from the day before it that has a picture; the
first day has none. Respect falls where Torn takes some back. A smaller division is a better one, and so
is a smaller position."""
chart = { kind = "line", label = "day", values = ["total_respect"], series = "faction" }
units = { day = "date", total_respect = "respect", gained = "respect" }

[needs."/faction/basic"]
modes = ["append", "history"]
also = ["/faction/{id}/basic"]
*/
with newest as (
    select f.id, f.name, cast(f.server_timestamp as date) as day, f.respect as points, f.rank_name,
           f.rank_division, f.rank_position, f.rank_wins, f.members, f.best_chain
    from {faction_basic:all} as f
    where true
    qualify row_number() over (
        partition by f.id, cast(f.server_timestamp as date)
        order by f.server_timestamp desc, f._run_id desc) = 1
),
step as (
    select n.*, n.points - lag(n.points) over (partition by n.id order by n.day) as gained
    from newest as n
)
select day, name as faction, points as total_respect, gained, rank_name, rank_division, rank_position,
       rank_wins, members, best_chain, id as faction_id
from step
where day >= cast($since as date)
order by day nulls last, faction_id nulls last
