/*
title = "Who hits back, and for whom?"
page = "war"
of = ["war", "member"]
asks = ["warlord"]
caption = "For each member, hits suffered from known attackers in the last {days} days, or in one war, and attacks that answered such hits within {seconds} seconds."
definition = """
Hits and answers are those of the question retaliation. Suffered and avenged for are the hits on the member
and those of them that anybody avenged. Answers are the member's own attacks on somebody who had hit a
member just before, each once, however many hits it answers; retaliations are those of them that Torn
counted as one. Members who neither suffered nor answered a hit are not in the list."""
chart = { kind = "bars", label = "member", values = ["retaliations", "suffered"] }
units = { share = "percent" }
links = { member = "member_id" }

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
attack as (
    select _subject_id, id, started, ended, attacker_id, attacker_name, attacker_faction_id,
           defender_id, defender_name, defender_faction_id, result,
           coalesce(modifiers_retaliation, 1) > 1 as counted
    from {faction_attacks:now}
),
pair as (
    select s._subject_id, s.id, s.ended, s.defender_id, s.defender_name, a.id as answer_id,
           a.ended as answer_ended, a.attacker_id, a.attacker_name, a.counted
    from attack as s
    join span as p
        on p._subject_id = s._subject_id and s.ended >= p.begun and s.ended <= p.ended
    left join attack as a
        on a._subject_id = s._subject_id and a.attacker_faction_id = s._subject_id
       and a.defender_id = s.attacker_id and a.started >= s.ended
       and unix_seconds(a.started) - unix_seconds(s.ended) <= $seconds
    where s.defender_faction_id = s._subject_id and s.attacker_id is not null
      and coalesce(s.attacker_faction_id, 0) <> s._subject_id
      and s.result in ('Attacked', 'Mugged', 'Hospitalized', 'Arrested', 'Looted', 'Special', 'Bounty')
),
side as (
    select _subject_id, defender_id as member_id, defender_name as member, ended as seen,
           id as suffered_id, case when counted then id end as avenged_id,
           cast(null as int64) as answer_id, cast(null as int64) as retaliation_id
    from pair
    union all
    select _subject_id, attacker_id, attacker_name, answer_ended, null, null, answer_id,
           case when counted then answer_id end
    from pair
    where answer_id is not null
),
named as (
    select _subject_id, member_id, member
    from side
    where true
    qualify row_number() over (
        partition by _subject_id, member_id order by seen desc, member) = 1
),
total as (
    select _subject_id, member_id, count(distinct suffered_id) as suffered,
           count(distinct avenged_id) as avenged_for, count(distinct answer_id) as answers,
           count(distinct retaliation_id) as retaliations
    from side
    group by _subject_id, member_id
)
select n.member, t.retaliations, t.answers, t.suffered, t.avenged_for,
       t.avenged_for / nullif(t.suffered, 0) as share, t.member_id
from total as t
join named as n on n._subject_id = t._subject_id and n.member_id = t.member_id
where $member is null or t.member_id = $member
order by t.retaliations desc, t.answers desc, t.suffered desc, t.member_id desc, t._subject_id desc
