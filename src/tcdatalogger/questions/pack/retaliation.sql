/*
title = "Do we hit back in five minutes?"
page = "war"
of = "war"
asks = ["warlord"]
caption = "Hits on members by known attackers in the last {days} days, or in one war, and how many were answered within {seconds} seconds."
definition = """
A hit suffered is an attack on a member that somebody of another faction or of none won, and whose name
is known: nobody can answer a hidden one. It is answered if a member began an attack on the same person
within the time after its end, whatever came of it. It is avenged if one of these attacks counted as a
retaliation for Torn, which gives 300 seconds. The share is of those avenged. The day is that on which
the hit ended."""
chart = { kind = "line", label = "day", values = ["suffered", "answered", "avenged"] }
units = { day = "date", share = "percent" }

[needs."/faction/attacks"]

[needs."/faction/rankedwars"]
optional = true

[needs."/faction/wars"]
optional = true

[params]
seconds = { default = 300, min = 1, max = 86_400, says = "Seconds after a hit in which an attack is an answer." }
*/
with told as (
    select _subject_id, id as war_id, w.start as begun, case when w.end > w.start then w.end end as ended
    from {faction_rankedwars:now} as w
    union all
    select _subject_id, wars_ranked_war_id, wars_ranked_start,
           case when wars_ranked_end > wars_ranked_start then wars_ranked_end end
    from {faction_wars:all}
),
span as (
    select _subject_id, min(begun) as begun, coalesce(max(ended), $until) as ended
    from told
    where war_id = $war
    group by _subject_id
    union all
    select distinct _subject_id, $since, $until
    from {faction_attacks:now}
    where $war is null
),
suffered as (
    select a._subject_id, a.id, a.ended, a.attacker_id
    from {faction_attacks:now} as a
    join span as p
        on p._subject_id = a._subject_id and a.ended >= p.begun and a.ended <= p.ended
    where a.defender_faction_id = a._subject_id and a.attacker_id is not null
      and coalesce(a.attacker_faction_id, 0) <> a._subject_id
      and a.result in ('Attacked', 'Mugged', 'Hospitalized', 'Arrested', 'Looted', 'Special', 'Bounty')
),
answer as (
    select s._subject_id, s.id, s.ended,
           max(case when a.id is not null then 1 else 0 end) as answered,
           max(case when a.modifiers_retaliation > 1 then 1 else 0 end) as avenged
    from suffered as s
    left join {faction_attacks:now} as a
        on a._subject_id = s._subject_id and a.attacker_faction_id = s._subject_id
       and a.defender_id = s.attacker_id and a.started >= s.ended
       and unix_seconds(a.started) - unix_seconds(s.ended) <= $seconds
    group by s._subject_id, s.id, s.ended
)
select cast(ended as date) as day, count(*) as suffered, sum(answered) as answered,
       sum(avenged) as avenged, sum(avenged) / nullif(count(*), 0) as share
from answer
group by cast(ended as date)
order by day nulls last
