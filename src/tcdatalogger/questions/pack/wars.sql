/*
title = "Which wars did we fight?"
page = "war"
of = ["war", "member"]
asks = ["warlord", "leader"]
caption = "Ranked wars, the newest first, with the war hits of the faction, or of one member."
definition = """
A war goes from its begin to its end; one that is still on goes to the moment of the answer. The score is
the newest that was read. War hits are those of the question war-hits. Fighters are members with a war
hit. A war that was over before the first attack that is stored has none of these numbers. The list is not
cut by days."""
chart = { kind = "list", label = "war", values = ["begun", "result", "war_hits"] }
units = { result = "rating", begun = "time", until = "time", score = "count", enemy_score = "count", target = "count", war_hits = "count", respect_gained = "respect", fighters = "count" }
links = { war = "war_id" }

[needs."/faction/rankedwars"]

[needs."/faction/attacks"]
optional = true

[needs."/faction/wars"]
optional = true
*/
with told as (
    select _subject_id, id as war_id, w.start, w.end, w.target, w.winner, server_timestamp
    from {faction_rankedwars:now} as w
    union all
    select _subject_id, wars_ranked_war_id, wars_ranked_start, wars_ranked_end,
           wars_ranked_target, wars_ranked_winner, server_timestamp
    from {faction_wars:all}
    where wars_ranked_war_id is not null
),
war as (
    select _subject_id, war_id, start as begun, target, nullif(winner, 0) as winner,
           case when t.end > start then t.end end as ended
    from told as t
    where start <= $until and ($war is null or war_id = $war)
    qualify row_number() over (
        partition by _subject_id, war_id
        order by case when t.end > start then 0 else 1 end, server_timestamp desc) = 1
),
side as (
    select _subject_id, war_id, faction_id, name, score
    from (
        select _subject_id, rankedwar_id as war_id, faction_id, name, score, server_timestamp
        from {faction_rankedwars_factions:now}
        union all
        select _subject_id, war_id, faction_id, name, score, server_timestamp
        from {faction_wars_wars_ranked_factions:all}
    ) as listed
    where true
    qualify row_number() over (
        partition by _subject_id, war_id, faction_id
        order by server_timestamp desc, score desc, name) = 1
),
score as (
    select _subject_id, war_id,
           max(case when faction_id = _subject_id then score end) as ours,
           max(case when faction_id <> _subject_id then score end) as theirs,
           max(case when faction_id <> _subject_id then name end) as enemy
    from side
    group by _subject_id, war_id
),
watched as (
    select _subject_id, min(ended) as begun
    from {faction_attacks:now}
    group by _subject_id
),
hit as (
    select w._subject_id, w.war_id, count(*) as war_hits, count(distinct a.attacker_id) as fighters,
           round(sum(a.respect_gain), 2) as respect_gained
    from war as w
    join {faction_attacks:now} as a
        on a._subject_id = w._subject_id and a.ended >= w.begun
        and a.ended <= coalesce(w.ended, $until)
    where a.attacker_faction_id = a._subject_id and a.is_ranked_war
      and a.result in ('Attacked', 'Mugged', 'Hospitalized', 'Arrested')
      and ($member is null or a.attacker_id = $member)
    group by w._subject_id, w.war_id
)
select coalesce(s.enemy, 'War ' || cast(w.war_id as string)) as war,
       case when w.ended is null then 'warn: still on' when w.winner = w._subject_id then 'good: won'
            when w.winner is null then 'warn: nobody won' else 'bad: lost' end as result,
       s.ours as score, s.theirs as enemy_score,
       case when coalesce(w.ended, $until) >= a.begun then coalesce(h.war_hits, 0) end as war_hits,
       case when coalesce(w.ended, $until) >= a.begun then coalesce(h.respect_gained, 0) end
           as respect_gained,
       case when coalesce(w.ended, $until) >= a.begun then coalesce(h.fighters, 0) end as fighters,
       w.target, w.begun, coalesce(w.ended, $until) as until, w.war_id
from war as w
left join score as s on s._subject_id = w._subject_id and s.war_id = w.war_id
left join watched as a on a._subject_id = w._subject_id
left join hit as h on h._subject_id = w._subject_id and h.war_id = w.war_id
order by w.begun desc, w.war_id desc, w._subject_id desc
