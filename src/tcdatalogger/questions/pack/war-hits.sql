/*
title = "Who did what in the war?"
page = "war"
of = "war"
asks = ["warlord", "leader"]
caption = "Attacks of each member in the newest ranked war, or in the one that is chosen; members without any are in the list."
definition = """
The war is the newest that has begun, or the one whose number is given. What counts ended between the
begin and the end of the war; a war that is still on goes to the moment of the answer. A war hit was won
(Attacked, Mugged, Hospitalized, Arrested) in a ranked war. Looted, Special and Bounty are counted apart.
An outside hit was won in the same time, and not in a ranked war. Hits taken were won by somebody of
another faction, or by somebody who is not known. Members are those of the newest picture, and whoever
fought for the faction. Respect is what war hits brought; bonus respect is the part of it that came from
hits 10, 25, 50 and so on of a chain."""
chart = { kind = "bars", label = "member", values = ["war_hits"] }
units = { respect_gained = "respect", bonus_respect = "respect", fair_fight = "number", begun = "time", until = "time", still_on = "flag" }
links = { member = "member_id", enemy = "war_id" }

[needs."/faction/attacks"]

[needs."/faction/rankedwars"]

[needs."/faction/members"]

[needs."/faction/wars"]
optional = true

[params]
war = { min = 1, says = "Number of the war; without it the newest war." }
*/
with told as (
    select w._subject_id, w.id as war_id, w.start,
           case when w.end > w.start then w.end end as ended, w.server_timestamp
    from {faction_rankedwars:now} as w
    union all
    select w._subject_id, w.wars_ranked_war_id, w.wars_ranked_start,
           case when w.wars_ranked_end > w.wars_ranked_start then w.wars_ranked_end end,
           w.server_timestamp
    from {faction_wars:all} as w
    where w.wars_ranked_war_id is not null
),
known as (
    select _subject_id, war_id, start, ended
    from told
    where start <= $until and war_id = coalesce($war, war_id)
    qualify row_number() over (
        partition by _subject_id, war_id
        order by case when ended is null then 1 else 0 end, server_timestamp desc) = 1
),
war as (
    select _subject_id, war_id, start, coalesce(ended, $until) as until, ended is null as still_on
    from known
    where true
    qualify row_number() over (partition by _subject_id order by start desc, war_id desc) = 1
),
side as (
    select _subject_id, war_id, name
    from (
        select _subject_id, rankedwar_id as war_id, faction_id, name
        from {faction_rankedwars_factions:now}
        union all
        select _subject_id, war_id, faction_id, name
        from {faction_wars_wars_ranked_factions:all}
    ) as listed
    where faction_id <> _subject_id
    qualify row_number() over (partition by _subject_id, war_id order by faction_id, name) = 1
),
attack as (
    select a._subject_id, a.ended, a.attacker_id, a.attacker_name, a.defender_id, a.defender_name,
           a.result, a.respect_gain, a.modifiers_fair_fight as fair_fight, a.is_ranked_war,
           a.attacker_faction_id = a._subject_id as ours, b.hit is not null as bonus,
           a.defender_faction_id = a._subject_id
               and coalesce(a.attacker_faction_id, 0) <> a._subject_id as theirs,
           a.result in ('Attacked', 'Mugged', 'Hospitalized', 'Arrested') as won,
           a.result in ('Looted', 'Special', 'Bounty') as won_apart
    from war as w
    join {faction_attacks:now} as a
        on a._subject_id = w._subject_id and a.ended >= w.start and a.ended <= w.until
    left join {chain_bonuses:fact} as b on b.hit = a.chain
),
act as (
    select _subject_id, attacker_id as member_id, attacker_name as member, ended,
           case when is_ranked_war and won then 1 else 0 end as war_hits,
           case when is_ranked_war and won_apart then 1 else 0 end as special_hits,
           case when result = 'Assist' then 1 else 0 end as assists,
           case when won and not is_ranked_war then 1 else 0 end as outside_hits,
           case when result in ('Lost', 'Timeout', 'Escape', 'Stalemate', 'Interrupted')
               then 1 else 0 end as failed,
           0 as hits_taken,
           case when is_ranked_war and won then respect_gain end as respect_gained,
           case when is_ranked_war and won and bonus then respect_gain end as bonus_respect,
           case when is_ranked_war and won then fair_fight end as fair_fight
    from attack
    where ours
    union all
    select _subject_id, defender_id, defender_name, ended, 0, 0, 0, 0, 0, 1, null, null, null
    from attack
    where theirs and (won or won_apart)
),
total as (
    select _subject_id, member_id, sum(war_hits) as war_hits, sum(special_hits) as special_hits,
           sum(assists) as assists, sum(outside_hits) as outside_hits, sum(failed) as failed,
           sum(hits_taken) as hits_taken, round(sum(respect_gained), 2) as respect_gained,
           round(sum(bonus_respect), 2) as bonus_respect, round(avg(fair_fight), 2) as fair_fight
    from act
    group by _subject_id, member_id
),
person as (
    select _subject_id, member_id, member
    from (
        select _subject_id, id as member_id, name as member, 0 as place, server_timestamp as seen
        from {faction_members:now}
        union all
        select _subject_id, member_id, member, 1, ended from act
    ) as named
    where true
    qualify row_number() over (
        partition by _subject_id, member_id order by place, seen desc, member) = 1
)
select p.member, coalesce(t.war_hits, 0) as war_hits, coalesce(t.special_hits, 0) as special_hits,
       coalesce(t.assists, 0) as assists, coalesce(t.outside_hits, 0) as outside_hits,
       coalesce(t.failed, 0) as failed, coalesce(t.hits_taken, 0) as hits_taken,
       coalesce(t.respect_gained, 0) as respect_gained, coalesce(t.bonus_respect, 0) as bonus_respect,
       t.fair_fight, w.war_id, s.name as enemy, w.start as begun, w.until, w.still_on, p.member_id
from war as w
join person as p on p._subject_id = w._subject_id
left join total as t on t._subject_id = p._subject_id and t.member_id = p.member_id
left join side as s on s._subject_id = w._subject_id and s.war_id = w.war_id
order by war_hits desc, respect_gained desc, outside_hits desc, p.member_id desc, p._subject_id desc
