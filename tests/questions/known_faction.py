"""A warehouse that is small enough to know the answer to every question by hand.

Two factions were read. The first one was read twice, an hour apart: meanwhile a crime ended, Bob
got another name, Cyd left and Dee came. The second one was read once, between the two. Prices were
read three days before too, and the members of the first faction eight days before: Bob was not
there yet, and Flo still was.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from polls import Poll, store

from bodies import member

START = 1_767_225_600
"""2026-01-01 in UTC."""
HOUR = 3_600
DAY = 24 * HOUR
OURS, THEIRS = 40832, 99

PATHS = {
    "faction_balance": "/faction/balance",
    "faction_basic": "/faction/basic",
    "faction_crimes": "/faction/crimes",
    "faction_members": "/faction/members",
    "membership": "/faction/news",
    "torn_items": "/torn/items",
    "user_events": "/user/events",
}
"""The endpoints by name, as the demo has them."""
LINES = {"membership": 'params = { cat = "membership" }'}
"""Further lines of their TOML."""


def person(number: int, name: str, seen: float, state: str = "Okay", **changes: Any) -> Any:
    """A member who was seen last at a time."""
    told = member(number, name=name, **changes)
    told["last_action"]["timestamp"] = int(seen)
    told["status"] |= {"state": state, "description": f"{name} is {state}"}
    return told


def crime(number: int, name: str, difficulty: int, status: str, *slots: Any, **changes: Any) -> Any:
    """A crime, without rewards unless they are given; its times are days before `START`."""
    days = {"planning_at": None, "ready_at": None, "executed_at": None, **changes.pop("days", {})}
    times = {key: value and int(START - value * DAY) for key, value in days.items()}
    return {
        "id": number, "previous_crime_id": None, "name": name, "difficulty": difficulty,
        "status": status, "created_at": START - 50 * DAY, "expired_at": START + 9 * DAY,
        "slots": slots, "rewards": None, **times, **changes,
    }  # fmt: skip


def slot(
    position: str,
    user: int | None,
    rate: int,
    item: tuple[int, bool, bool] | None = None,
    joined: float = 5,
    spent: tuple[str, str] | None = None,
):
    """A slot, which may be empty and may need an item.

    Args:
        position, rate: of the slot.
        user: who is in it.
        item: that it needs: its id, is it reusable, is it there.
        joined: how many days before `START`.
        spent: whose item it was, and what became of it.
    """
    needs = item and dict(zip(("id", "is_reusable", "is_available"), item, strict=True))
    became = spent and {
        "owned_by": spent[0], "item_id": item and item[0], "item_uid": 1, "outcome": spent[1],
    }  # fmt: skip
    there = user and {
        "id": user, "outcome": None, "joined_at": int(START - joined * DAY), "progress": 100.0,
        "item_outcome": became,
    }  # fmt: skip
    return {
        "position": position, "position_info": {"id": "P1", "label": position, "number": 1},
        "item_requirement": needs, "user": there, "checkpoint_pass_rate": rate,
    }  # fmt: skip


def rewards(money: int, respect: int, items: Any = (), payout: Any = None) -> Any:
    """What a crime brought: pairs of item and quantity; type, percentage and day of the payout."""
    kind = payout and {
        "type": payout[0], "percentage": payout[1], "paid_by": 1,
        "paid_at": int(START - payout[2] * DAY),
    }  # fmt: skip
    return {
        "money": money, "respect": respect, "scope": 1, "payout": kind,
        "items": [{"id": number, "quantity": quantity} for number, quantity in items],
    }  # fmt: skip


HAMMER, XANAX, PILL = (1, True, True), (206, False, False), (206, False, True)
PLANNED = crime(
    10, "Pet Project", 1, "Planning", slot("Cat", 1, 70, HAMMER), slot("Dog", 2, 50),
    days={"planning_at": 4},
)  # fmt: skip
CRIMES = [
    # Two slots and three reward items: six rows in one flat table, and the money six times.
    {
        **crime(10, "Pet Project", 1, "Successful", *PLANNED["slots"],
                days={"planning_at": 4, "ready_at": 2, "executed_at": 2}),
        "rewards": rewards(90_000_000, 10, [(206, 2), (1, 1), (777, 5)], ("balance", 92.25, 1)),
    },
    # A member who has left since, and an empty slot; not paid out.
    {
        **crime(11, "Mob Mentality", 2, "Successful",
                slot("Robber", 1, 85, PILL, spent=("user", "used")),
                slot("Lookout", 3, 60, HAMMER, spent=("faction", "lost")),
                slot("Robber", None, 77),
                days={"planning_at": 6, "ready_at": 3, "executed_at": 3}),
        "rewards": rewards(1_000_001, 4),
    },
    # No slots, but rewards; half of an odd sum is paid out, more than 30 days ago.
    {
        **crime(12, "Mob Mentality", 2, "Successful",
                days={"planning_at": 44, "ready_at": 40, "executed_at": 40}),
        "rewards": rewards(7, 1, [(206, 5)], ("wallet", 50.0, 39)),
    },
    crime(13, "Pet Project", 1, "Recruiting", slot("Cat", 2, 51, HAMMER),
          slot("Dog", None, 40, XANAX)),
    crime(14, "Mob Mentality", 2, "Failure",
          slot("Robber", 2, 90, HAMMER, spent=("faction", "used")),
          days={"planning_at": 12, "ready_at": 10, "executed_at": 10}),
    # It was ready half a day ago, and Ada still has no Xanax.
    crime(15, "Break the Bank", 3, "Planning", slot("Muscle", 1, 65, XANAX),
          days={"planning_at": 2, "ready_at": 0.5}),
    # What Dee did long ago tells how she would do now; a crime that expired tells nothing.
    crime(16, "Pet Project", 1, "Failure", slot("Dog", 4, 44, joined=50),
          days={"planning_at": 47, "ready_at": 46, "executed_at": 45}),
    crime(17, "Pet Project", 1, "Expired", slot("Dog", 4, 0)),
    crime(18, "Pet Project", 1, "Failure", slot("Dog", 4, 30, joined=55),
          days={"planning_at": 53, "ready_at": 52, "executed_at": 51}),
]  # fmt: skip
ELSEWHERE = [
    {
        **crime(20, "Mob Mentality", 2, "Successful", slot("Robber", 5, 79),
                days={"planning_at": 3.5, "ready_at": 1, "executed_at": 1}),
        "rewards": rewards(2_000_000, 5, (), ("balance", 100.0, 0)),
    },
]  # fmt: skip


def _items(*priced: tuple[int, str, int]) -> dict[str, Any]:
    return {
        "items": [
            {"id": number, "name": name, "value": {"market_price": price}}
            for number, name, price in priced
        ]
    }


def _balance(*held: tuple[int, str, int]) -> dict[str, Any]:
    members = [
        {"id": number, "username": name, "money": money, "points": 0}
        for number, name, money in held
    ]
    return {"balance": {"faction": {"money": 9, "points": 0, "scope": 1}, "members": members}}


def _told(*lines: tuple[float, str], text: str) -> list[dict[str, Any]]:
    """Lines of news or events: how many days before `START`, and what is said."""
    return [
        {"id": f"line{number}", "timestamp": int(START - days * DAY), text: says}
        for number, (days, says) in enumerate(lines)
    ]


NEWS = _told(
    (7, "Ada has accepted Bob's application to join the Faction."),
    (6, "Bob's position changed from Recruit to Member."),
    (5, "Hal has applied to join the faction"),
    (1, "Flo left the faction"),
    (0.5, "Gus was kicked out of the faction by Ada"),
    (0.25, "Something that is new"),
    text="text",
)
LINK = '<a href = "http://www.torn.com/profiles.php?XID={}">{}</a>'
GIFTS = _told(
    (40, f"You were sent 900x Xanax from {LINK.format(1, 'Ada')}"),  # more than 30 days ago
    (9, f"You were sent 459x Shark Fin from {LINK.format(4, 'Old-Dee')} with the message: from me"),
    (8, "You were sent some Xanax from Dee"),  # by name; some is one
    (7, "You were sent $5 from Dee"),
    (6, "You were sent a Diamond Bladed Knife from Cyd with the message: bye"),
    (5, "You were sent 2x Xanax from Bob"),  # he has another name now
    (4, "You were sent Duke's Safe"),
    (3, "Bob bought 4x Xanax from your bazaar for $9"),
    text="event",
)

LATER = START + HOUR
POLLS = (
    Poll("faction_members", OURS, START - 8 * DAY, {"members": [
        person(1, "Ada", START - 8 * DAY - 60, level=10, position="Leader"),
        person(3, "Cyd", START - 20 * DAY, "Hospital"),
        person(7, "Flo", START - 9 * DAY),
    ]}),
    Poll("torn_items", None, START - 3 * DAY, _items((206, "Xanax", 700_000), (1, "Mallet", 0))),
    Poll("torn_items", None, START, _items((206, "Xanax", 800_000), (1, "Mallet", 900))),
    Poll("faction_members", OURS, START, {"members": [
        person(1, "Ada", START - 60, level=10, position="Leader", is_in_oc=True),
        person(2, "Bob", START - 3 * DAY),
        person(3, "Cyd", START - 20 * DAY, "Hospital"),
    ]}),
    Poll("faction_crimes", OURS, START, {"crimes": [PLANNED]}),
    Poll("faction_balance", OURS, START, _balance((1, "Ada", 100), (2, "Bob", 50))),
    Poll("faction_members", THEIRS, START + HOUR // 2, {"members": [
        person(5, "Eve", START + HOUR // 2 - 100 * DAY - 23 * HOUR, level=3),
        {**member(6), "level": "high"},
    ]}),
    Poll("faction_crimes", THEIRS, START + HOUR // 2, {"crimes": ELSEWHERE}),
    Poll("faction_balance", THEIRS, START + HOUR // 2, _balance((1, "Ada", 1), (5, "Eve", 8))),
    Poll("torn_items", None, LATER, _items((206, "Xanax", 810_000), (1, "Hammer", 1_000))),
    Poll("faction_members", OURS, LATER, {"members": [
        person(1, "Ada", LATER - 60, "Traveling", level=11, position="Leader", is_in_oc=True),
        person(2, "Bobby", START - 3 * DAY),
        person(4, "Dee", LATER - 2 * DAY, level=4, position="Recruit"),
    ]}),
    Poll("faction_crimes", OURS, LATER, {"crimes": CRIMES}),
    Poll("faction_balance", OURS, LATER,
         _balance((1, "Ada", 70), (2, "Bobby", 50), (4, "Dee", 5))),
    Poll("membership", OURS, LATER, {"news": NEWS}),
    Poll("user_events", 1, LATER, {"events": GIFTS}),
    Poll("faction_basic", OURS, LATER, {"basic": {"id": OURS, "mood": "well"}}),
)  # fmt: skip


def fill(file: Path, polls: Sequence[Poll] = POLLS) -> None:
    """Make a DuckDB file of it, by the road of every answer."""
    store(file, polls, PATHS)
