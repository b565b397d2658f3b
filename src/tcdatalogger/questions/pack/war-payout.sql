/*
title = "What does each get of the war?"
page = "war"
of = "war"
asks = ["warlord", "banker"]
caption = "A pool of ${pool}, divided by points: {war_hit} for a war hit, {special_hit} for a special one, {assist} for an assist, {outside_hit} for an outside hit, {hit_taken} for a hit taken."
definition = """
The hits are those of the question war-hits, with the same war. A bonus hit of a chain counts as one hit,
whatever respect it brought. Payout is the pool times the points of a member, divided by all points. Cents
are cut off, and the dollars that are left go one each to whoever lost the largest part by that: the sum
is the pool exactly. Where nobody has a point there is no payout."""
chart = { kind = "bars", label = "member", values = ["payout"] }
units = { payout = "dollars", share = "percent", begun = "time", until = "time", still_on = "flag" }
links = { member = "member_id" }
audience = "officer"

[needs."/faction/attacks"]

[needs."/faction/rankedwars"]

[needs."/faction/members"]

[needs."/faction/wars"]
optional = true

[params]
war = { min = 1, says = "Number of the war; without it the newest war." }
pool = { default = 100_000_000, min = 0, max = 1_000_000_000_000, says = "Dollars to divide." }
war_hit = { default = 4, min = 0, max = 100, says = "Points of a war hit." }
special_hit = { default = 4, min = 0, max = 100, says = "Points of a hit that is Looted, Special or Bounty." }
assist = { default = 1, min = 0, max = 100, says = "Points of an assist." }
outside_hit = { default = 0, min = 0, max = 100, says = "Points of a hit that is none of a ranked war." }
hit_taken = { default = 0, min = 0, max = 100, says = "Points of a hit that the member suffered." }
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
attack as (
    select a._subject_id, a.ended, a.attacker_id, a.attacker_name, a.defender_id, a.defender_name,
           a.result, a.is_ranked_war, a.attacker_faction_id = a._subject_id as ours,
           a.defender_faction_id = a._subject_id
               and coalesce(a.attacker_faction_id, 0) <> a._subject_id as theirs,
           a.result in ('Attacked', 'Mugged', 'Hospitalized', 'Arrested') as won,
           a.result in ('Looted', 'Special', 'Bounty') as won_apart
    from war as w
    join {faction_attacks:now} as a
        on a._subject_id = w._subject_id and a.ended >= w.start and a.ended <= w.until
),
act as (
    select _subject_id, attacker_id as member_id, attacker_name as member, ended,
           case when is_ranked_war and won then 1 else 0 end as war_hits,
           case when is_ranked_war and won_apart then 1 else 0 end as special_hits,
           case when result = 'Assist' then 1 else 0 end as assists,
           case when won and not is_ranked_war then 1 else 0 end as outside_hits,
           0 as hits_taken
    from attack
    where ours
    union all
    select _subject_id, defender_id, defender_name, ended, 0, 0, 0, 0, 1
    from attack
    where theirs and (won or won_apart)
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
),
counted as (
    select w._subject_id, w.war_id, w.start, w.until, w.still_on, p.member_id, p.member,
           cast(coalesce(sum(a.war_hits), 0) as int64) as war_hits,
           cast(coalesce(sum(a.special_hits), 0) as int64) as special_hits,
           cast(coalesce(sum(a.assists), 0) as int64) as assists,
           cast(coalesce(sum(a.outside_hits), 0) as int64) as outside_hits,
           cast(coalesce(sum(a.hits_taken), 0) as int64) as hits_taken
    from war as w
    join person as p on p._subject_id = w._subject_id
    left join act as a on a._subject_id = p._subject_id and a.member_id = p.member_id
    group by w._subject_id, w.war_id, w.start, w.until, w.still_on, p.member_id, p.member
),
pointed as (
    select c.*, war_hits * $war_hit + special_hits * $special_hit + assists * $assist
               + outside_hits * $outside_hit + hits_taken * $hit_taken as points
    from counted as c
),
shared as (
    select p.*, nullif(cast(sum(points) over (partition by _subject_id) as int64), 0) as all_points
    from pointed as p
),
cut as (
    select s.*, mod($pool * points, all_points) as lost,
           cast(round(($pool * points - mod($pool * points, all_points)) / nullif(all_points, 0))
               as int64) as whole
    from shared as s
)
select member, whole + case when row_number() over (
               partition by _subject_id order by lost desc, points desc, member_id)
               <= $pool - sum(whole) over (partition by _subject_id) then 1 else 0 end as payout,
       points, points / nullif(all_points, 0) as share, war_hits, special_hits, assists,
       outside_hits, hits_taken, war_id, start as begun, until, still_on, member_id
from cut
order by points desc, payout desc, member_id desc, _subject_id desc
