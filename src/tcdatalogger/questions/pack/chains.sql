/*
title = "Who was there in our chains?"
page = "war"
asks = ["warlord", "leader"]
caption = "Attacks of each member in each chain of at least {least} hits that began in the last {days} days."
definition = """
Attacks and respect are those of the chain report. Whoever has no attacks is in the report's own list of
those who did not attack: somebody who was in no faction then, or came later, is not in it. Attacks are
all that were made, also those that were lost."""
chart = { kind = "matrix", label = "member", across = "begun", values = ["attacks"] }
units = { begun = "time", respect_gained = "respect", best = "respect" }
links = { member = "member_id" }

[needs."/faction/chains"]

[needs."/faction/{chainId}/chainreport"]
ids = "query:select id from faction_chains"

[needs."/faction/members"]
optional = true
also = ["/faction/{id}/members"]

[params]
least = { default = 10, min = 1, max = 1_000_000, says = "The fewest hits of a chain." }
*/
with chain as (
    select _subject_id, id, faction_id, start, details_chain
    from {faction_chainreport:now}
    where start >= $since and start <= $until and details_chain >= $least
),
part as (
    select a._subject_id, a.attacker_id as member_id, a.attacks_total, a.respect_total,
           a.respect_best, a.attacks_war, a.attacks_assists, a.attacks_retaliations,
           a.attacks_bonuses
    from {faction_chainreport_attackers:now} as a
    union all
    select n._subject_id, n.value, 0, 0, 0, 0, 0, 0, 0
    from {faction_chainreport_non_attackers:now} as n
)
select coalesce(m.name, cast(p.member_id as string)) as member, c.start as begun,
       c.details_chain as hits, p.attacks_total as attacks, p.respect_total as respect_gained,
       p.respect_best as best, p.attacks_war as war_hits, p.attacks_assists as assists,
       p.attacks_retaliations as retaliations, p.attacks_bonuses as bonuses, p.member_id,
       c.id as chain_id
from chain as c
join part as p on p._subject_id = c._subject_id
left join {faction_members:last} as m on m._subject_id = c.faction_id and m.id = p.member_id
order by begun desc, attacks desc, respect_gained desc, p.member_id desc, c.id desc
