/*
title = "Who revives, and who is revived?"
page = "war"
of = "member"
asks = ["warlord", "leader"]
caption = "Revives given and received by members in the last {days} days."
definition = """
A revive is given by a member who tried, and received by a member who was brought back; one between two
members is both. Given ones are those that succeeded, failed ones are apart. Outside are given ones to
people of other factions or of none: they are often paid. The chance is the mean of all tries, the skill
that of the newest one; Torn told no skill before June 2025."""
chart = { kind = "stack", label = "member", values = ["given", "received"] }
units = { chance = "number", skill = "number", last_revive = "time" }
links = { member = "member_id" }

[needs."/faction/revives"]
*/
with told as (
    select _subject_id, id, timestamp, success_chance, lower(result) = 'success' as worked,
           reviver_id, reviver_name, reviver_skill, reviver_faction_id, target_id, target_name,
           target_faction_id
    from {faction_revives:now}
    where timestamp >= $since and timestamp <= $until
),
side as (
    select _subject_id, id, timestamp, reviver_id as member_id, reviver_name as member,
           case when worked then 1 else 0 end as given,
           case when worked then 0 else 1 end as failed,
           case when worked and coalesce(target_faction_id, 0) <> _subject_id then 1 else 0 end
               as outside,
           0 as received, success_chance as chance, reviver_skill as skill
    from told
    where reviver_faction_id = _subject_id
    union all
    select _subject_id, id, timestamp, target_id, target_name, 0, 0, 0, 1, null, null
    from told
    where target_faction_id = _subject_id and worked
),
named as (
    select _subject_id, member_id, member
    from side
    where true
    qualify row_number() over (
        partition by _subject_id, member_id order by timestamp desc, id desc, member) = 1
),
skilled as (
    select _subject_id, member_id, skill
    from side
    where skill is not null
    qualify row_number() over (
        partition by _subject_id, member_id order by timestamp desc, id desc) = 1
),
counted as (
    select _subject_id, member_id, sum(given) as given, sum(received) as received,
           sum(failed) as failed, sum(outside) as outside, round(avg(chance), 2) as chance,
           max(timestamp) as last_revive
    from side
    group by _subject_id, member_id
)
select n.member, c.given, c.received, c.failed, c.outside, c.chance, k.skill, c.last_revive,
       c.member_id
from counted as c
join named as n on n._subject_id = c._subject_id and n.member_id = c.member_id
left join skilled as k on k._subject_id = c._subject_id and k.member_id = c.member_id
where $member is null or c.member_id = $member
order by c.given desc, c.received desc, c.failed desc, c.member_id desc, c._subject_id desc
