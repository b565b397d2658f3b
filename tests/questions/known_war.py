"""A war of the faction of `known_faction.py`, small enough to know all about it by hand.

Ada (1) and Bob (2) fight, Cyd (3) fights and leaves, Dee (4) comes later. Zed (90) and Yon (91) are
of the other side, 777. The war of number 7 began three days before `START` and ended a day before
it; that of number 8 began six hours before it, has no end yet, and only /faction/wars knows it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import known_faction
from installation import endpoint
from known_faction import DAY, HOUR, LATER, OURS, START, THEIRS
from polls import Poll, store

PATHS = {
    "faction_attacks": "/faction/attacks",
    "faction_rankedwars": "/faction/rankedwars",
    "faction_wars": "/faction/wars",
    "faction_chains": "/faction/chains",
    "faction_chainreport": "/faction/{chainId}/chainreport",
    "armory": "/faction/news",
    "drugs": "/faction/contributors",
    "energy": "/faction/contributors",
    "faction_revives": "/faction/revives",
}
"""The endpoints by name."""
PARAMS = {
    "armory": ("cat", "armoryAction"),
    "drugs": ("stat", "drugsused"),
    "energy": ("stat", "gymenergy"),
}
LINES = {"faction_chainreport": "ids = [500, 501]"}
"""Further lines of their TOML."""
ENEMY = 777
OLD, NEW = START - 3 * DAY, START - 6 * HOUR
"""When the two wars began."""

NAMES = {1: "Ada", 2: "Bob", 3: "Cyd", 90: "Zed", 91: "Yon", 80: "Xan", 5: "Eve"}


def _side(number: int | None, home: int | None) -> Any:
    if number is None:
        return None
    faction = home and {"id": home, "name": f"F{home}"}
    return {"id": number, "name": NAMES[number], "level": 9, "faction": faction}


def attack(
    number: int, at: int, who: Any, whom: Any, result: str, **changes: Any
) -> dict[str, Any]:
    """An attack that lasted a minute: its number, when it ended, (id, faction) of both sides."""
    modifiers = {
        "fair_fight": 2.5, "war": 1, "retaliation": 1, "group": 1, "overseas": 1, "chain": 1,
        "warlord": 1,
    } | changes.pop("modifiers", {})  # fmt: skip
    return {
        "id": number, "code": f"c{number}", "started": at - 60, "ended": at,
        "attacker": _side(*who), "defender": _side(*whom), "result": result,
        "respect_gain": 0.0, "respect_loss": 0.0, "chain": 0, "is_interrupted": False,
        "is_stealthed": who[0] is None, "is_raid": False, "is_ranked_war": False,
        "is_territory_war": False, "territory_war_id": None, "finishing_hit_effects": [],
        "modifiers": modifiers, **changes,
    }  # fmt: skip


ADA, BOB, CYD = (1, OURS), (2, OURS), (3, OURS)
ZED, YON, XAN, NOBODY = (90, ENEMY), (91, ENEMY), (80, None), (None, None)
WAR = {"is_ranked_war": True}
BACK = {"modifiers": {"retaliation": 1.5, "fair_fight": 3.0}}
FIRST = [
    attack(99, OLD - 1, ADA, ZED, "Attacked", respect_gain=9.0),  # a second too early
    attack(100, OLD, ADA, ZED, "Attacked", **WAR, respect_gain=4.5, chain=9),
    attack(101, OLD + 60, ADA, ZED, "Hospitalized", **WAR, respect_gain=20.0, chain=10),
    attack(102, OLD + 300, BOB, YON, "Mugged", **WAR, respect_gain=1.25, chain=11),
    attack(103, OLD + 400, BOB, YON, "Assist", **WAR),
    attack(104, OLD + 500, BOB, XAN, "Attacked", respect_gain=2.0),
    attack(105, OLD + 600, BOB, YON, "Lost", **WAR),
    attack(106, OLD + 700, CYD, ZED, "Special", **WAR, respect_gain=3.0),
    attack(107, OLD + DAY, ZED, ADA, "Attacked", **WAR),
    # Ada hits back: once as a retaliation, once 301 seconds later, which no rule calls an answer.
    attack(108, OLD + DAY + 200, ADA, ZED, "Attacked", **WAR, **BACK, respect_gain=5.0),
    attack(109, OLD + DAY + 361, ADA, ZED, "Timeout", **WAR),
    attack(110, OLD + DAY + HOUR, NOBODY, BOB, "Mugged", **WAR),  # a hidden one
    attack(111, OLD + DAY + 2 * HOUR, YON, BOB, "Lost", **WAR),
    attack(112, OLD + DAY + 3 * HOUR, YON, BOB, "Hospitalized", **WAR),
    attack(113, OLD + DAY + 3 * HOUR + 361, BOB, YON, "Escape", **WAR),  # began a second too late
    attack(114, OLD + 2 * DAY, CYD, ZED, "Arrested", **WAR, respect_gain=0.5),  # the last second
    attack(115, OLD + 2 * DAY + 1, CYD, ZED, "Attacked", respect_gain=0.5),
    # Between the wars: one attack answers two hits.
    attack(120, START - 20 * HOUR, XAN, ADA, "Mugged"),
    attack(121, START - 20 * HOUR + 100, XAN, BOB, "Attacked"),
    attack(122, START - 20 * HOUR + 200, BOB, XAN, "Attacked", **BACK, respect_gain=1.0),
    attack(116, NEW + HOUR, BOB, YON, "Attacked", **WAR, respect_gain=1.0),
]  # fmt: skip
SECOND = [
    attack(116, NEW + HOUR, BOB, YON, "Attacked", **WAR, respect_gain=0.75),  # Torn took some back
    attack(117, LATER - 60, YON, ADA, "Attacked", **WAR),
    attack(118, LATER, BOB, YON, "Interrupted", **WAR),  # it began when the other one ended
]  # fmt: skip
ELSEWHERE = [attack(300, NEW + HOUR, (90, ENEMY), (5, THEIRS), "Attacked", **WAR, respect_gain=7.0)]


def _war(number: int, start: int, end: int | None, winner: int | None, *sides: int) -> Any:
    factions = [{"id": side, "name": f"F{side}", "score": 9, "chain": 0} for side in sides]
    return {"id": number, "start": start, "end": end, "target": 50, "winner": winner,
            "factions": factions}  # fmt: skip


def _report(number: int, start: int, hits: int, respect: float, **parts: Any) -> dict[str, Any]:
    return {"chainreport": {
        "id": number, "faction_id": OURS, "start": start, "end": start + 600,
        "details": {
            "chain": hits, "respect": respect, "members": 2, "targets": 3, "war": 1, "best": 9.5,
            "leave": 1, "mug": 1, "hospitalize": 1, "assists": 1, "retaliations": 1, "overseas": 0,
            "draws": 0, "escapes": 0, "losses": 2,
        },
        "bonuses": [], "attackers": [], "non_attackers": [], **parts,
    }}  # fmt: skip


def _attacker(number: int, attacks: int, respect: float, war: int, bonuses: int) -> Any:
    kinds = ("leave", "mug", "hospitalize", "overseas", "draws", "escapes", "losses")
    return {
        "id": number,
        "respect": {"total": respect, "average": 1.0, "best": 9.5},
        "attacks": {"total": attacks, **dict.fromkeys(kinds, 0), "assists": 1, "retaliations": 1,
                    "war": war, "bonuses": bonuses},
    }  # fmt: skip


def _link(number: int, name: str) -> str:
    return f'<a href = "http://www.torn.com/profiles.php?XID={number}">{name}</a>'


ADA_SAYS, BOB_SAYS = _link(1, "Ada"), _link(2, "Bob")
TOLD = (
    f"{ADA_SAYS} used one of the faction's Xanax items",
    f"{ADA_SAYS} used 3 of the faction's Xanax items",
    f"{BOB_SAYS} used one of the faction's Blood Bag : A+ items",
    f"{BOB_SAYS} filled one of the faction's Empty Blood Bag items",
    f"{BOB_SAYS} filled one of the faction's Empty Blood Bags to create a Blood Bag : A+",
    f"{ADA_SAYS} used 25 of the faction's points to refill their energy",
    f"{ADA_SAYS} loaned 1x Hammer to themselves from the faction armory",
    f"{ADA_SAYS} loaned 2x Hammer to {BOB_SAYS} from the faction armory",
    f"{ADA_SAYS} retrieved 1x Hammer from {BOB_SAYS}",
    f"{ADA_SAYS} returned 1x Hammer",
    f"{ADA_SAYS} gave 10x Xanax to {BOB_SAYS} from the faction armory",
    f"{BOB_SAYS} deposited 5 x Xanax",
    "Bob used one of the faction's Xanax items",  # without tags there is no id
    f"{BOB_SAYS} sang one of the faction's songs",
    f"{BOB_SAYS} used all of it",
)


def _news(*lines: tuple[int, int, str]) -> dict[str, Any]:
    return {"news": [{"id": f"n{n:02}", "timestamp": at, "text": text} for n, at, text in lines]}


def _given(*rows: tuple[int, str, int]) -> dict[str, Any]:
    return {"contributors": [
        {"id": number, "username": name, "value": value, "in_faction": True}
        for number, name, value in rows
    ]}  # fmt: skip


def _revive(number: int, at: int, who: Any, whom: Any, result: str, skill: float | None) -> Any:
    def side(number: int, home: int | None) -> dict[str, Any]:
        faction = home and {"id": home, "name": f"F{home}"}
        return {"id": number, "name": NAMES[number], "faction": faction}

    state = {"hospital_reason": "Mugged", "early_discharge": False, "last_action": at,
             "online_status": "Online"}  # fmt: skip
    return {
        "id": number, "reviver": {**side(*who), "skill": skill},
        "target": {**side(*whom), **state}, "success_chance": 60.0 + number, "result": result,
        "timestamp": at,
    }  # fmt: skip


def _basic(respect: int, position: int) -> dict[str, Any]:
    rank = {"level": 7, "name": "Silver", "division": 2, "position": position, "wins": 4}
    return {"basic": {"id": OURS, "name": "Us", "respect": respect, "rank": rank, "members": 3,
                      "best_chain": 12}}  # fmt: skip


POLLS = (
    Poll("faction_attacks", OURS, START, {"attacks": FIRST}),
    Poll("faction_attacks", OURS, LATER, {"attacks": SECOND}),
    Poll("faction_attacks", THEIRS, START, {"attacks": ELSEWHERE}),
    Poll("faction_rankedwars", OURS, START, {"rankedwars": [
        _war(7, OLD, OLD + 2 * DAY, OURS, OURS, ENEMY), _war(6, OLD - 9 * DAY, OLD - 8 * DAY, 55,
                                                            OURS, 55),
    ]}),
    # A day after the list of all wars: a new one is on, and has no end.
    Poll("faction_wars", OURS, LATER, {"wars": {
        "ranked": {**{("war_id" if k == "id" else k): v for k, v in
                      _war(8, NEW, None, None, ENEMY, OURS).items()}},
        "raids": [], "territory": [],
    }, "pacts": []}),
    Poll("faction_chains", OURS, START, {"chains": [
        {"id": number, "chain": hits, "respect": respect, "start": at, "end": at + 600}
        for number, hits, respect, at in (
            (500, 12, 40.5, START - 2 * DAY), (501, 9, 8.0, START - DAY),
            (502, 10, 30.0, START - DAY // 2), (499, 10, 30.0, START - 40 * DAY),
        )
    ]}),
    Poll("faction_chainreport", 500, START, _report(
        500, START - 2 * DAY, 12, 40.5,
        attackers=[_attacker(1, 9, 30.25, 1, 1), _attacker(3, 5, 10.25, 0, 0)],
        non_attackers=[2],
        bonuses=[{"attacker_id": 1, "defender_id": 90, "chain": 10, "respect": 10}],
    )),
    Poll("faction_chainreport", 501, START, _report(501, START - DAY, 9, 8.0)),
    Poll("armory", OURS, START, _news(*((n, START - n * 60, t) for n, t in enumerate(TOLD)))),
    # The newest text of a line counts, and a line that is too old does not.
    Poll("armory", OURS, LATER, _news(
        (0, START, f"{BOB_SAYS} used one of the faction's Xanax items"),
        (70, START - 40 * DAY, f"{BOB_SAYS} used one of the faction's Xanax items"),
    )),
    Poll("drugs", OURS, START - 31 * DAY, _given((1, "Ada", 100), (2, "Bob", 50), (3, "Cyd", 9))),
    Poll("drugs", OURS, START - 9 * DAY, _given((1, "Ada", 110), (2, "Bob", 3), (4, "Dee", 7))),
    Poll("drugs", OURS, START, _given((1, "Ada", 117), (2, "Bobby", 5), (4, "Dee", 7))),
    Poll("energy", OURS, START, _given((1, "Ada", 1_000))),
    Poll("energy", OURS, LATER, _given((1, "Ada", 1_250))),
    Poll("faction_revives", OURS, START, {"revives": [
        _revive(1, START - 50, ADA, BOB, "success", 33.5),
        _revive(2, START - 40, ADA, XAN, "success", 34.0),
        _revive(3, START - 30, ADA, XAN, "failure", 34.25),
        _revive(4, START - 20, ZED, BOB, "success", None),
        _revive(5, START - 10, ZED, BOB, "failure", 90.0),
        _revive(6, START - 40 * DAY, ADA, XAN, "success", 10.0),
    ]}),
    Poll("faction_basic", OURS, START - 40 * DAY, _basic(500, 90)),
    Poll("faction_basic", OURS, START - 3 * DAY, _basic(1_000, 80)),
    Poll("faction_basic", OURS, START - 3 * DAY + HOUR, _basic(1_100, 79)),
    Poll("faction_basic", OURS, START - DAY, _basic(1_075, 81)),
    Poll("faction_basic", OURS, LATER + 60, _basic(1_200, 70)),
)  # fmt: skip


def toml() -> Iterator[str]:
    """The lines of the endpoints."""
    for name, path in PATHS.items():
        given = "params = {{ {} = {!r} }}".format(*PARAMS[name]) if name in PARAMS else ""
        yield f"{endpoint(name, path).rstrip()}\n{given}{LINES.get(name, '')}\n\n"


def fill(file: Path) -> None:
    """Put it into the DuckDB file of the faction."""
    store(file, POLLS, known_faction.PATHS | PATHS, params=PARAMS, runs="war")
