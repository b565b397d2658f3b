"""Ranked wars between the factions: who fights whom, from when to when, and the score."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tcdatalogger.sandbox.world.people import DAY, FACTIONS, HOUR, Faction
from tcdatalogger.sandbox.world.rng import Rng

ROUND = 14 * DAY
"""Each faction has one war in this time."""
_FIRST = 20_000
_ODD = len(FACTIONS) - 1
"""The factions but the last go round in a circle; the last one fights whoever meets itself."""


@dataclass(frozen=True, slots=True)
class War:
    """One ranked war.

    Attributes:
        id: of the war, for both sides.
        start: seconds since 1970.
        end: seconds since 1970; nobody knows it before.
        target: the lead that ends the war.
        winner: of the war.
        loser: the other side.
        lost: the score of the loser at the end.
    """

    id: int
    start: int
    end: int
    target: int
    winner: Faction
    loser: Faction
    lost: int

    def enemy(self, home: Faction) -> Faction:
        """The other side."""
        return self.loser if home == self.winner else self.winner


def war(seed: int, home: Faction, number: int) -> War:
    """The war of a faction in a round (times of `ROUND` since 1970)."""
    low, high = sorted((home.index, _opponent(home.index, number)))
    rng = Rng(seed, "war", number, low, high)
    start = number * ROUND + DAY + rng.between(0, 12) * HOUR
    sides = (FACTIONS[low], FACTIONS[high])
    winner, loser = sides if rng.chance(0.5) else sides[::-1]
    return War(
        id=_FIRST + number * len(FACTIONS) + low,
        start=start,
        end=start + rng.between(30 * HOUR, 70 * HOUR),
        target=rng.between(8, 40) * 100,
        winner=winner,
        loser=loser,
        lost=rng.between(200, 6_000),
    )


def at(seed: int, home: Faction, t: int) -> War | None:
    """The war that is on at `t`, both ends included; None for none."""
    found = war(seed, home, t // ROUND)
    return found if found.start <= t <= found.end else None


def begun(seed: int, home: Faction, since: int, t: int) -> Iterator[War]:
    """The wars that began from `since` to `t`, newest first."""
    for number in range(t // ROUND, since // ROUND - 1, -1):
        found = war(seed, home, number)
        if since <= found.start <= t:
            yield found


def war_json(found: War, t: int, *, running: int | None) -> dict[str, object]:
    """`FactionRankedWarDetails`, as it is shown at `t`; an end that is not known is `running`."""
    over = t >= found.end
    share = min(1.0, (t - found.start) / (found.end - found.start))
    scores = ((found.winner, found.lost + found.target), (found.loser, found.lost))
    return {
        "id": found.id,
        "start": found.start,
        "end": found.end if over else running,
        "target": found.target,
        "winner": found.winner.id if over else None,
        "factions": [
            {"id": side.id, "name": side.name, "score": int(score * share), "chain": 0}
            for side, score in scores
        ],
    }


def _opponent(index: int, number: int) -> int:
    if index == _ODD:
        return number * 3 % _ODD  # twice this is the number of the round, modulo five
    other = (number - index) % _ODD
    return _ODD if other == index else other
