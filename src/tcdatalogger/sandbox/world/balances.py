"""Balances: money of the faction, and money that members earned by crimes and left there."""

from __future__ import annotations

from dataclasses import dataclass

from tcdatalogger.sandbox.world import people
from tcdatalogger.sandbox.world.crimebook import CrimeBook
from tcdatalogger.sandbox.world.crimes import LONGEST
from tcdatalogger.sandbox.world.people import DAY, Faction, Person
from tcdatalogger.sandbox.world.rng import Rng, wander

_WEEK = 7 * DAY
_MONTH = 30 * DAY


@dataclass(frozen=True, slots=True)
class Earning:
    """The money of one crime that was paid to balances.

    Attributes:
        at: the second of the payment, since 1970.
        users: the user ids of the participants.
        share: the money of each participant, in dollars.
        rest: the money that the faction keeps, in dollars.
    """

    at: int
    users: frozenset[int]
    share: int
    rest: int


def earnings(book: CrimeBook, home: Faction, low: int, high: int) -> list[Earning]:
    """The payments after `low` up to and including `high`."""
    found = []
    for crime in book.created(home, low - LONGEST, high):
        paid = crime.payout
        if paid is None or paid.kind != "balance" or not low < paid.paid_at <= high:
            continue
        users = frozenset(slot.user for slot in crime.slots if slot.user is not None)
        share = int(crime.money * paid.percentage / 100) // len(users)
        found.append(Earning(paid.paid_at, users, share, crime.money - share * len(users)))
    return found


def balance(
    seed: int, book: CrimeBook, home: Faction, t: int, *, everybody: bool
) -> dict[str, object]:
    """`FactionBalance`. Each member takes all money out once a week.

    Args:
        seed: chooses the world.
        book: the crimes.
        home: the faction.
        t: the time of the world.
        everybody: whether members who left in the last two months are listed too.
    """
    listed = people.members(seed, home, t)
    if everybody:
        here = {person.id for person in listed}
        gone = people.members(seed, home, t - 2 * _MONTH)
        listed += [person for person in gone if person.id not in here]
    month = t - t % _MONTH
    paid = earnings(book, home, min(month, t - _WEEK), t)
    vault = 150_000_000 + int(90_000_000 * wander(month, 9 * DAY, seed, "vault", home.index))
    return {
        "faction": {
            "money": vault + sum(earning.rest for earning in paid if earning.at > month),
            "points": 4_000 + int(1_500 * wander(t - t % 3600, DAY, seed, "points", home.index)),
            "scope": t // (6 * 3600) % 40,
        },
        "members": [_account(seed, person, paid, t) for person in listed],
    }


def _account(seed: int, person: Person, paid: list[Earning], t: int) -> dict[str, object]:
    rng = Rng(seed, "account", person.code)
    offset = rng.between(0, _WEEK - 1)
    week = (t + offset) // _WEEK
    payday = week * _WEEK - offset
    earned = sum(e.share for e in paid if e.at > payday and person.id in e.users)
    return {
        "id": person.id,
        "username": people.name(seed, person.code),
        "money": Rng(seed, "purse", person.code, week).between(0, 400) * 5_000 + earned,
        "points": rng.pick((0, 0, 0, 25, 100, 1_000)),
    }
