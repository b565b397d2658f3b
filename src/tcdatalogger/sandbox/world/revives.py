"""Who revived whom: the invented revives of a faction with real people of the city in them."""

from __future__ import annotations

from typing import Any

from tcdatalogger.sandbox.world import people
from tcdatalogger.sandbox.world.people import FACTIONS, Faction, Person
from tcdatalogger.sandbox.world.rng import Rng


def with_people(seed: int, home: Faction, revive: dict[str, Any]) -> dict[str, Any]:
    """A revive between a member and somebody else, or between two members.

    Args:
        seed: chooses the world.
        home: the faction.
        revive: an invented one, with an id and a time.
    """
    rng, t = Rng(seed, "revive", home.index, revive["id"]), revive["timestamp"]
    ours, mate = rng.sample(people.members(seed, home, t), 2)
    other = people.holder(seed, rng.pick(FACTIONS), 0, t)
    someone = other if other and rng.chance(0.4) else people.stranger(rng)
    given, inside = rng.chance(0.6), rng.chance(0.3)
    reviver = ours if given or inside else someone
    target = mate if inside else someone if given else ours
    return {
        **revive,
        "reviver": {**revive["reviver"], **_person(seed, reviver)},
        "target": {**revive["target"], **_person(seed, target)},
        "result": "success" if rng.chance(0.7) else "failure",
    }


def _person(seed: int, person: Person) -> dict[str, Any]:
    home = person.faction
    return {
        "id": person.id,
        "name": people.name(seed, person.code),
        "faction": {"id": home.id, "name": home.name} if home else None,
    }
