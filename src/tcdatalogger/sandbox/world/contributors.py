"""What the members of a faction have contributed to its statistics since they joined."""

from __future__ import annotations

from typing import Final

from tcdatalogger.sandbox.world import people
from tcdatalogger.sandbox.world.people import DAY, Faction, Person
from tcdatalogger.sandbox.world.rng import Rng

_MOST: Final = {
    "gymenergy": 9_000, "gymtrains": 900, "drugsused": 30, "drugoverdoses": 2, "revives": 12,
    "rehabs": 2, "attackswon": 90, "medicalitemsused": 60,
}  # fmt: skip
"""The most of a statistic in ten days; others have 50."""


def rows(
    seed: int, home: Faction, stat: str, t: int, *, everybody: bool
) -> list[dict[str, object]]:
    """`FactionContributor` of the members, and of those who left where all are asked for."""
    found = [_row(seed, stat, person, t, here=True) for person in people.members(seed, home, t)]
    for seat in range(home.seats) if everybody else ():
        now = people.holder(seed, home, seat, t)
        if now and now.leaves:
            gone = people.holder(seed, home, seat, now.joined - 3 * DAY)
            if gone and gone.leaves and gone.id != now.id:
                found.append(_row(seed, stat, gone, gone.leaves, here=False))
    return sorted(found, key=lambda row: (-int(str(row["value"])), str(row["username"])))


def _row(seed: int, stat: str, person: Person, t: int, *, here: bool) -> dict[str, object]:
    pace = Rng(seed, "pace", stat, person.code).between(0, _MOST.get(stat, 50))
    return {
        "id": person.id,
        "username": people.name(seed, person.code),
        "value": pace * max(0, t - person.joined) // (10 * DAY),
        "in_faction": here,
    }
