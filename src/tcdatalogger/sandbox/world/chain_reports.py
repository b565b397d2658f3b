"""The report of a chain: who hit how often, who made the bonus hits, and who was not there."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tcdatalogger.sandbox.world import fights, people
from tcdatalogger.sandbox.world.fights import Chain
from tcdatalogger.sandbox.world.people import FACTIONS, Faction
from tcdatalogger.sandbox.world.php_json import number
from tcdatalogger.sandbox.world.rng import Rng

BONUSES = (10, 25, 50, 100, 250, 500, 1_000)
"""The hits of a chain that bring a fixed respect; the longest chain of the city has no more."""
_KINDS = ("leave", "mug", "hospitalize")


def find(seed: int, chain_id: int) -> tuple[Faction, Chain] | None:
    """The chain with this id and its faction, None where there is none."""
    week, home, place = fights.chain_place(chain_id)
    if week < 0:
        return None
    known = fights.chains(seed, FACTIONS[home], week)
    return (FACTIONS[home], known[place]) if place < len(known) else None


def report_json(seed: int, home: Faction, chain: Chain, t: int) -> dict[str, Any]:
    """`FactionChainReport` of a chain; it does not change after the end of the chain."""
    rng = Rng(seed, "report", chain.id)
    there = people.members(seed, home, min(t, chain.end))
    fighters = rng.sample(there, max(1, len(there) * rng.between(4, 9) // 10))
    hits: dict[int, Counter[str]] = {person.id: Counter() for person in fighters}
    for _ in range(chain.length):
        hits[rng.pick(fighters).id][rng.pick(_KINDS)] += 1
    bonuses = [
        {
            "attacker_id": rng.pick(fighters).id,
            "defender_id": people.stranger(rng).id,
            "chain": hit,
            "respect": 10 * 2**place,
        }
        for place, hit in enumerate(BONUSES)
        if hit <= chain.length
    ]
    attackers = [_attacker(rng, user, kinds, bonuses, chain) for user, kinds in hits.items()]
    details = Counter[str]()
    for each in attackers:
        details.update(each["attacks"])
    for name in ("total", "bonuses"):
        del details[name]
    return {
        "id": chain.id,
        "faction_id": home.id,
        "start": chain.start,
        "end": chain.end,
        "details": {
            "chain": chain.length,
            "respect": number(round(chain.respect, 2)),
            "members": len(attackers),
            "targets": 1 + chain.length * rng.between(5, 9) // 10,
            "best": number(max(each["respect"]["best"] for each in attackers)),
            **details,
        },
        "bonuses": bonuses,
        "attackers": attackers,
        "non_attackers": sorted(person.id for person in there if person.id not in hits),
    }


def _attacker(
    rng: Rng, user: int, kinds: Counter[str], bonuses: list[dict[str, Any]], chain: Chain
) -> dict[str, Any]:
    """`FactionChainReportAttacker`; the respect of all of them is about that of the chain."""
    won = sum(kinds.values())
    apart = {name: rng.between(0, 2) for name in ("assists", "draws", "escapes", "losses")}
    respect = round(chain.respect * won / chain.length, 2)
    share = {name: won * rng.between(0, 4) // 10 for name in ("retaliations", "overseas", "war")}
    return {
        "id": user,
        "respect": {
            "total": number(respect),
            "average": number(round(respect / won, 2)) if won else 0,
            "best": number(rng.spread(3, 20)),
        },
        "attacks": {
            "total": won + sum(apart.values()),
            **{name: kinds[name] for name in _KINDS},
            **apart,
            **share,
            "bonuses": sum(each["attacker_id"] == user for each in bonuses),
        },
    }
