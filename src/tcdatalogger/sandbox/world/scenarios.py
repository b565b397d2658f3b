"""The kinds of organised crimes as data: names, roles, needed items and rewards."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of crime.

    Attributes:
        roles: the positions, each with the id of the item that it needs (0 for none).
        money: the least and the most money that it pays, in dollars.
        items: pairs of an item id and the most of it that the crime may earn.
        respect: the most respect that it earns.
    """

    name: str
    difficulty: int
    roles: tuple[tuple[str, int], ...]
    money: tuple[int, int]
    items: tuple[tuple[int, int], ...]
    respect: int


def _roles(text: str) -> tuple[tuple[str, int], ...]:
    """`"Driver:159 Muscle"` as roles; an underscore stands for a space."""
    parts = (word.partition(":") for word in text.split())
    return tuple((role.replace("_", " "), int(item or 0)) for role, _, item in parts)


SCENARIOS = (
    Scenario("Pigeon Post", 1, _roles("Lookout Runner:103"), (180_000, 900_000), (), 4),
    Scenario("First Aid Kit", 1, _roles("Picklock:104 Thief"), (0, 0), ((68, 6), (67, 4)), 5),
    Scenario("Loose Change", 2, _roles("Decoy Picklock:104"), (400_000, 1_900_000), (), 8),
    Scenario("Cash or Card", 2, _roles("Hacker:105 Thief Lookout"), (700_000, 4_000_000), (), 9),
    Scenario(
        "The Dog Walker", 3, _roles("Kidnapper Muscle Picklock:104"), (900_000, 6_500_000), (), 14
    ),
    Scenario(
        "Second Story", 3, _roles("Thief:106 Thief Picklock:104"), (0, 250_000), ((206, 9),), 13
    ),
    Scenario(
        "Best Bitter",
        4,
        _roles("Imitator Looter Looter Looter:106"),
        (3_000_000, 11_000_000),
        (),
        20,
    ),
    Scenario(
        *("Smoke Signals", 4, _roles("Thief Hypnotist Imitator:107 Hustler")),
        *((0, 0), ((206, 25), (197, 12)), 24),
    ),
    Scenario(
        *("Cold Harbour", 5, _roles("Hustler Imitator:107 Muscle Muscle Driver:108")),
        *((6_000_000, 28_000_000), (), 33),
    ),
    Scenario(
        *("Stage Whisper", 6, _roles("Enforcer Muscle:109 Muscle Lookout Sniper:110")),
        *((9_000_000, 41_000_000), ((370, 3),), 40),
    ),
    Scenario(
        *("Guardian \u00c1ngels", 6, _roles("Engineer:111 Hustler Enforcer Lookout Thief")),
        *((8_000_000, 38_500_000), (), 42),
    ),
    Scenario(
        *("Night Mail", 7, _roles("Bomber:112 Engineer:111 Hustler Picklock:104 Muscle Muscle")),
        *((12_000_000, 74_000_000), ((206, 40), (197, 30), (370, 5)), 61),
    ),
    Scenario(
        *("Break the Ice", 8, _roles("Robber Thief:106 Thief Muscle Muscle Driver:108")),
        *((31_000_000, 190_000_000), (), 83),
    ),
    Scenario(
        *("Clean Hands", 8, _roles("Cleaner:113 Assassin Bomber:112 Imitator:107")),
        *((0, 0), ((370, 14), (197, 60), (68, 30)), 71),
    ),
)

BY_SIZE: dict[int, tuple[int, ...]] = {
    size: tuple(n for n, scenario in enumerate(SCENARIOS) if len(scenario.roles) == size)
    for size in range(2, 7)
}
"""Places in `SCENARIOS` by the number of roles."""
