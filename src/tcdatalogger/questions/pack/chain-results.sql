/*
title = "How did our chains go?"
page = "war"
asks = ["warlord", "leader"]
caption = "Chains of at least {least} hits that began in the last {days} days, newest first."
definition = """
Hits and respect are those of the list of chains, the rest is from the report of each chain: without one
it is empty. Missing members are in the report's own list of those who did not attack. Respect of bonus
hits is that of hits 10, 25, 50 and so on: it is part of the respect of the chain, and the respect for a
hit leaves it out."""
chart = { kind = "bars", label = "begun", values = ["hits"] }
units = { begun = "time", lasted = "seconds", respect_gained = "respect", bonus_respect = "respect", respect_for_a_hit = "respect", present = "percent" }

[needs."/faction/chains"]

[needs."/faction/{chainId}/chainreport"]
optional = true
ids = "query:select id from faction_chains"

[params]
least = { default = 10, min = 1, max = 1_000_000, says = "The fewest hits of a chain." }
*/
with attacker as (
    select _subject_id, count(*) as attackers, sum(attacks_total) as attacks
    from {faction_chainreport_attackers:now}
    group by _subject_id
),
missing as (
    select _subject_id, count(value) as missing
    from {faction_chainreport_non_attackers:now}
    group by _subject_id
),
bonus as (
    select b._subject_id, count(*) as bonuses, sum(b.respect) as bonus_respect
    from {faction_chainreport_bonuses:now} as b
    group by b._subject_id
),
report as (
    select r.id, r.faction_id, r.details_assists, r.details_retaliations, r.details_losses,
           coalesce(a.attackers, 0) as attackers, coalesce(m.missing, 0) as missing,
           coalesce(a.attacks, 0) as attacks, coalesce(b.bonuses, 0) as bonuses,
           coalesce(b.bonus_respect, 0) as bonus_respect
    from {faction_chainreport:now} as r
    left join attacker as a on a._subject_id = r._subject_id
    left join missing as m on m._subject_id = r._subject_id
    left join bonus as b on b._subject_id = r._subject_id
)
select c.start as begun, unix_seconds(c.end) - unix_seconds(c.start) as lasted, c.chain as hits,
       round(c.respect, 2) as respect_gained, r.attackers, r.missing,
       r.attackers / nullif(r.attackers + r.missing, 0) as present, r.attacks,
       r.details_assists as assists, r.details_retaliations as retaliations,
       r.details_losses as lost, r.bonuses, r.bonus_respect,
       round((c.respect - r.bonus_respect) / nullif(c.chain - r.bonuses, 0), 2)
           as respect_for_a_hit, c.id as chain_id
from {faction_chains:now} as c
left join report as r on r.id = c.id and r.faction_id = c._subject_id
where c.start >= $since and c.start <= $until and c.chain >= $least
order by begun desc, chain_id desc, c._subject_id desc
