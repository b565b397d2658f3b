/*
title = "Who attacked whom?"
page = "war"
of = "member"
asks = ["warlord"]
caption = "Attacks by members and on members in the last {days} days, the newest first."
definition = """
An attack counts when it ended. One that a member made has the tone good where it was won, one that a
member suffered the tone bad; an attack of one member on another has a row for each. Who attacked from
hiding has no name. Respect is what the attack brought to the faction of whoever made it."""
chart = { kind = "list", label = "member", values = ["did", "opponent"] }
units = { ended = "time", did = "rating", respect_gain = "respect", in_war = "flag", retaliation = "flag", chain = "count", fair_fight = "number" }
links = { member = "member_id", opponent = "opponent_id" }
days = 7

[needs."/faction/attacks"]
*/
with attack as (
    select _subject_id, id, ended, result, attacker_id, attacker_name, attacker_faction_id,
           defender_id, defender_name, defender_faction_id, respect_gain, chain,
           is_ranked_war as in_war, coalesce(modifiers_retaliation, 1) > 1 as retaliation,
           modifiers_fair_fight as fair_fight,
           result in ('Attacked', 'Mugged', 'Hospitalized', 'Arrested', 'Looted', 'Special', 'Bounty')
               as won
    from {faction_attacks:now}
    where ended >= $since and ended <= $until
),
side as (
    select _subject_id, id, ended, attacker_id as member_id, attacker_name as member,
           case when won then 'good: ' else 'warn: ' end || result as did,
           defender_id as opponent_id, defender_name as opponent, respect_gain, chain, in_war,
           retaliation, fair_fight, 0 as place
    from attack
    where attacker_faction_id = _subject_id
    union all
    select _subject_id, id, ended, defender_id, defender_name,
           case when won then 'bad: was ' else 'good: defended, ' end || result,
           attacker_id, coalesce(attacker_name, 'somebody'), respect_gain, chain, in_war,
           retaliation, fair_fight, 1
    from attack
    where defender_faction_id = _subject_id
)
select ended, member, did, opponent, respect_gain, in_war, retaliation, chain, fair_fight,
       member_id, opponent_id
from side
where $member is null or member_id = $member
order by ended desc, id desc, place nulls last, _subject_id desc
