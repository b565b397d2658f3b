/*
title = "How did the score of the war go?"
page = "war"
of = "war"
asks = ["warlord"]
caption = "The score of both sides of a ranked war, as often as it was read."
definition = """
The war is the newest that has begun, or the one whose number is given. Each reading of its scores while
it was on is a point, and the last reading after its end is the point of the end. So a war that was not
watched has the end alone: /faction/wars is to be read often while a war is on."""
chart = { kind = "line", label = "seen_at", values = ["score"], series = "faction" }
units = { seen_at = "time", score = "count", chain = "count" }
links = { war = "war_id", faction = "faction_id" }

[needs."/faction/rankedwars"]

[needs."/faction/wars"]
modes = ["append", "history"]
optional = true

[params]
war = { min = 1, says = "Number of the war; without it the newest war." }
*/
with told as (
    select _subject_id, rankedwar_id as war_id, f.start, f.end, faction_id, name, score, chain,
           server_timestamp as seen_at
    from {faction_rankedwars_factions:all} as f
    union all
    select _subject_id, war_id, f.start, f.end, faction_id, name, score, chain, server_timestamp
    from {faction_wars_wars_ranked_factions:all} as f
),
known as (
    select _subject_id, war_id, min(start) as begun,
           max(case when t.end > start then t.end end) as ended
    from told as t
    where start <= $until and ($war is null or war_id = $war)
    group by _subject_id, war_id
),
war as (
    select _subject_id, war_id, ended
    from known
    where true
    qualify row_number() over (partition by _subject_id order by begun desc, war_id desc) = 1
),
enemy as (
    select t._subject_id, t.name
    from told as t
    join war as w on w._subject_id = t._subject_id and w.war_id = t.war_id
    where t.faction_id <> t._subject_id
    qualify row_number() over (partition by t._subject_id order by t.seen_at desc, t.name) = 1
),
point as (
    select t._subject_id, t.war_id, t.faction_id, t.name, t.score, t.chain,
           case when t.seen_at > w.ended then w.ended else t.seen_at end as seen_at, t.seen_at as read_at
    from told as t
    join war as w on w._subject_id = t._subject_id and w.war_id = t.war_id
)
select p.seen_at, p.name as faction, p.score, p.chain, e.name as war, p.war_id, p.faction_id
from point as p
left join enemy as e on e._subject_id = p._subject_id
where true
qualify row_number() over (
    partition by p._subject_id, p.faction_id, p.seen_at order by p.read_at desc, p.score desc) = 1
order by p.seen_at nulls last, p.score desc, p.faction_id desc, p._subject_id desc
