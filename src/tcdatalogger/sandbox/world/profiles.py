"""Members, users and factions as the API shows them at a time."""

from __future__ import annotations

from typing import Any

from tcdatalogger.sandbox.world import people
from tcdatalogger.sandbox.world.crimebook import CrimeBook
from tcdatalogger.sandbox.world.people import DAY, Faction, Person
from tcdatalogger.sandbox.world.rng import Rng
from tcdatalogger.sandbox.world.world import World


def members(
    world: World, home: Faction, t: int, *, ours: bool, trusted: bool, tags: bool
) -> list[dict[str, Any]]:
    """`FactionMember` of all members of a faction.

    Args:
        world: the world.
        home: the faction.
        t: the time of the world.
        ours: whether the caller is a member: only members see who is in a crime.
        trusted: whether the key is trusted: only such a key shows the `revive_setting`.
        tags: whether texts keep their HTML.
    """
    busy = planning(world.crimes, home, t) if ours else frozenset()
    found = people.members(world.seed, home, t)
    return [_member(world.seed, p, t, busy, trusted=trusted, tags=tags) for p in found]


def planning(book: CrimeBook, home: Faction, t: int) -> frozenset[int]:
    """The ids of users in a crime that is neither executed nor expired."""
    return frozenset(
        slot.user
        for crime in book.alive(home, t, t)
        if crime.status(t) in {"Recruiting", "Planning"}
        for slot in crime.slots
        if slot.user is not None and slot.joined <= t
    )


def user(world: World, person: Person, t: int, *, tags: bool) -> dict[str, Any]:
    """`UserBasic` of a person."""
    return {
        "id": person.id,
        "name": people.name(world.seed, person.code),
        "level": people.level(world.seed, person, t),
        "gender": people.gender(world.seed, person.code),
        "status": people.status(world.seed, person.code, t, tags=tags),
    }


def faction(world: World, home: Faction, t: int, *, trusted: bool) -> dict[str, Any]:
    """`FactionBasic`; only a trusted key shows `is_enlisted` and `note`."""
    rng = Rng(world.seed, "faction", home.index)
    days, today = divmod(t - home.founded, DAY)
    rank = rng.between(3, 18)
    names = ("Unranked", "Bronze", "Silver", "Gold", "Platinum", "Diamond")
    pace, best = rng.between(300, 4_000), rng.pick((1_000, 2_500, 5_043, 10_000))
    return {
        "id": home.id,
        "name": home.name,
        "tag": home.tag,
        "tag_image": f"{home.id}-{rng.between(1_000, 99_999)}.png",
        "banner_image": f"https://factiontags.torn.com/{home.id}-{rng.between(1, 9_999)}.png",
        "leader_id": people.leader(home, 0),
        "co_leader_id": people.leader(home, 1),
        "respect": days * pace + today * pace // DAY,
        "days_old": days,
        "capacity": home.seats + 2,
        "members": len(people.members(world.seed, home, t)),
        "is_enlisted": rng.chance(0.7) if trusted else None,
        "rank": {
            "level": rank,
            "name": names[rank // 4],
            "division": rank % 3 + 1,
            "position": rng.between(1, 400),
            "wins": rng.between(0, 60),
        },
        "best_chain": best,
        **({"note": "Stack before the next war."} if trusted else {}),
    }


def _member(
    seed: int, person: Person, t: int, busy: frozenset[int], *, trusted: bool, tags: bool
) -> dict[str, Any]:
    rng = Rng(seed, "ways", person.code)
    revive = rng.pick(("Everyone", "Friends & faction", "No one"))
    here, action = people.last_action(seed, person.code, t)
    return {
        "id": person.id,
        "name": people.name(seed, person.code),
        "position": people.position(person, t),
        "level": people.level(seed, person, t),
        "days_in_faction": (t - person.joined) // DAY,
        "is_revivable": revive == "Everyone",
        "is_on_wall": False,
        "is_in_oc": person.id in busy,
        "has_early_discharge": rng.chance(0.2),
        "last_action": {
            "status": here,
            "timestamp": action,
            "relative": people.relative(t - action),
        },
        "status": people.status(seed, person.code, t, tags=tags),
        "revive_setting": revive if trusted else "Unknown",
    }
