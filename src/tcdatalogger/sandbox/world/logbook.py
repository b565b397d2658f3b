"""The log of a player: kinds of entries that Torn really writes, with the data that they have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tcdatalogger.sandbox.world.market import GOODS
from tcdatalogger.sandbox.world.rng import Rng

Data = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of entry.

    Attributes:
        id, title: as `/torn/logtypes` has them.
        category: the title of its category.
        often: how many of a hundred entries or so are of this kind.
        data: makes what the entry says.
    """

    id: int
    title: str
    category: str
    often: int
    data: Callable[[Rng], Data]


def written(rng: Rng) -> tuple[dict[str, object], Data]:
    """The `details` and the `data` of an entry."""
    kind = rng.pick(_DRAWN)
    return {"id": kind.id, "title": kind.title, "category": kind.category}, kind.data(rng)


def _money(rng: Rng, low: int, high: int) -> int:
    return rng.between(low, high) * 10


def _player(rng: Rng) -> int:
    return rng.between(100_000, 3_400_000)


def _goods(rng: Rng, quantity: int) -> list[Data]:
    return [{"id": rng.pick(GOODS).id, "uid": None, "qty": quantity}]


def _sale(who: str) -> Callable[[Rng], Data]:
    def data(rng: Rng) -> Data:
        quantity, each = rng.between(1, 40), _money(rng, 10, 90_000)
        return {
            who: _player(rng), "items": _goods(rng, quantity), "cost_each": each,
            "cost_total": quantity * each,
        }  # fmt: skip

    return data


def _market_sale(rng: Rng) -> Data:
    quantity, each = rng.between(1, 40), _money(rng, 10, 90_000)
    fee = quantity * each // 20
    return {
        "buyer": _player(rng), "anonymous": 0, "items": _goods(rng, quantity), "fee": fee,
        "cost_each": each, "cost_total": quantity * each - fee,
    }  # fmt: skip


def _abroad(rng: Rng) -> Data:
    quantity, each = rng.between(5, 29), _money(rng, 5, 3_000)
    return {
        "area": rng.between(2, 12), "item": rng.pick(GOODS).id, "quantity": quantity,
        "cost_each": each, "cost_total": quantity * each,
    }  # fmt: skip


def _shares(rng: Rng) -> Data:
    amount, price = rng.between(1_000, 90_000), rng.spread(100, 900)
    return {"stock": rng.between(1, 35), "amount": amount, "price": f"{price:.2f}",
            "worth": int(amount * price)}  # fmt: skip


def _shares_sold(rng: Rng) -> Data:
    bought = _shares(rng)
    return {**bought, "fees": bought["worth"] // 1_000, "profit": rng.between(-9_000, 90_000)}


def _invested(rng: Rng) -> Data:
    amount = _money(rng, 1_000_000, 90_000_000)
    return {"amount": amount, "percent": 2.4, "duration": 1_209_600,
            "worth": amount + amount * 24 // 1_000}  # fmt: skip


def _gym(rng: Rng) -> Data:
    before, energy = rng.spread(10, 9_999), 5 * rng.between(1, 20)
    return {
        "trains": energy // 5, "energy_used": energy, "happy_used": rng.between(0, 150),
        "defense_before": f"{before:.2f}", "defense_after": f"{before + 3.5:.2f}",
    }  # fmt: skip


def _crime(rng: Rng) -> Data:
    return {"crime_action": "searching the bins", "nerve": rng.between(2, 9),
            "outcome": rng.between(1, 12_000), "money_gained": _money(rng, 1, 9_000)}  # fmt: skip


def _bet(rng: Rng) -> Data:
    return {"bet_amount": _money(rng, 1, 1_000)}


def _won(rng: Rng) -> Data:
    bet = _bet(rng)
    return {**bet, "won_amount": bet["bet_amount"] * rng.between(2, 20)}


KINDS = (
    Kind(1112, "Item market buy", "Item market", 6, _sale("seller")),
    Kind(1113, "Item market sell", "Item market", 8, _market_sale),
    Kind(1225, "Bazaar buy", "Bazaars", 6, _sale("seller")),
    Kind(1226, "Bazaar sell", "Bazaars", 8, _sale("buyer")),
    Kind(2290, "Item use xanax", "Drugs", 5, lambda _: {"item": 206, "faction": 0}),
    Kind(4201, "Item abroad buy", "Travel", 5, _abroad),
    Kind(
        4800, "Money send", "Money sending", 3,
        lambda d: {"receiver": _player(d), "money": _money(d, 100, 900_000), "message": ""},
    ),
    Kind(
        4810, "Money receive", "Money sending", 3,
        lambda d: {"sender": _player(d), "money": _money(d, 100, 900_000), "message": ""},
    ),
    Kind(5301, "Gym train defense", "Gym", 14, _gym),
    Kind(5450, "Bank invest", "Bank", 1, _invested),
    Kind(5510, "Stock buy", "Stocks", 2, _shares),
    Kind(5511, "Stock sell", "Stocks", 2, _shares_sold),
    Kind(
        5531, "Stock special money", "Stocks", 1,
        lambda d: {"stock": d.between(1, 35), "money": _money(d, 100_000, 5_000_000)},
    ),
    Kind(
        5850, "Vault deposit", "Vault", 3,
        lambda d: {"deposited": _money(d, 1_000, 900_000), "balance": _money(d, 0, 90_000_000)},
    ),
    Kind(
        5920, "Property upkeep", "Property", 2,
        lambda d: {"property": 13, "ownership": "rented", "upkeep_paid": _money(d, 100, 35_000)},
    ),
    Kind(
        5943, "Property rental market extension accept owner", "Property",
        4,
        lambda d: {"property": 13, "days": 30, "rent": _money(d, 1_000, 90_000)},
    ),
    Kind(
        6221, "Company employee pay", "Company", 3,
        lambda d: {"company": 4_711, "pay": _money(d, 1_000, 90_000), "job_points": 7,
                   "working_stats_received": "0,26,51"},
    ),
    Kind(
        7815, "Missions complete", "Missions", 2,
        lambda d: {"type": "Mission", "difficulty": "Easy", "credits": d.between(1, 40),
                   "money": _money(d, 0, 50_000)},
    ),
    Kind(
        8155, "Attack mug", "Attacking", 4,
        lambda d: {"defender": _player(d), "energy_used": 25,
                   "money_mugged": _money(d, 0, 100_000)},
    ),
    Kind(
        8156, "Attack mug receive", "Attacking", 2,
        lambda d: {"attacker": _player(d), "money_mugged": _money(d, 0, 100_000)},
    ),
    Kind(8300, "Casino slots win", "Casino", 2, _won),
    Kind(8301, "Casino slots lose", "Casino", 4, _bet),
    Kind(9015, "Crime success money gain (new)", "Crimes", 12, _crime),
)  # fmt: skip
"""One of them, 5943, is a kind whose money readers do not know."""

_DRAWN = tuple(kind for kind in KINDS for _ in range(kind.often))
