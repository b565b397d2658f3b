"""Items of the city; prices and circulation change, everything else is encoded once."""

from __future__ import annotations

from collections.abc import Iterable
from math import exp

from tcdatalogger.sandbox.world.cache import BoundedCache
from tcdatalogger.sandbox.world.market import GOODS, Good
from tcdatalogger.sandbox.world.people import DAY, GENESIS
from tcdatalogger.sandbox.world.php_json import encode, number
from tcdatalogger.sandbox.world.rng import Rng, wander

_STEP = 300
"""Seconds after which prices and circulation change."""

_SHOPS = {
    "Weapon": ("Torn", "Big Al's Gun Shop"),
    "Armor": ("Torn", "Big Al's Gun Shop"),
    "Candy": ("Torn", "Sally's Sweet Shop"),
    "Clothing": ("Torn", "TC Clothing"),
    "Jewelry": ("Torn", "Jewelry Store"),
    "Medical": ("Torn", "Pharmacy"),
    "Tool": ("Torn", "Bits 'n' Bobs"),
    "Flower": ("Mexico", "General Store"),
    "Plushie": ("Japan", "General Store"),
    "Drug": ("Cayman Islands", "Black Market"),
    "Other": ("Torn", "Super Store"),
}
_WORTH = {
    "Armor": (20_000, 90_000_000),
    "Artifact": (5_000_000, 60_000_000_000),
    "Booster": (200_000, 12_000_000),
    "Car": (3_000, 4_000_000),
    "Collectible": (900, 250_000_000),
    "Drug": (3_000, 900_000),
    "Flower": (300, 90_000),
    "Plushie": (400, 110_000),
    "Special": (20_000, 28_000_000),
    "Supply Pack": (9_000, 7_000_000),
    "Weapon": (90, 60_000_000),
}
_AMMO = {
    "Pistol": (1, "9mm Parabellum Rounds"),
    "SMG": (2, "5.7mm Rounds"),
    "Shotgun": (3, "12 Gauge Shells"),
    "Rifle": (4, "5.56mm Rounds"),
    "Machine gun": (5, "7.62mm Rounds"),
    "Heavy artillery": (6, "40mm Grenades"),
}
_COVERS = {
    "Helmet": ("Head", "Throat"),
    "Body": ("Heart", "Stomach", "Chest", "Arm", "Throat"),
    "Pants": ("Leg", "Groin"),
    "Boots": ("Foot", "Leg"),
    "Gloves": ("Hand", "Arm"),
}


class Market:
    """The items of one city."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._parts = {good.id: _parts(seed, good) for good in GOODS}
        self._worth = {good.id: _worth(seed, good) for good in GOODS}
        self._rows: BoundedCache[int, list[bytes]] = BoundedCache(4)

    def rows(self, category: str, t: int, *, newest_first: bool = False) -> list[bytes]:
        """`TornItem` of all items of a category, as JSON bytes.

        Torn's document says that the category All has no details. Torn's answers have them, so
        these answers have them too.
        """
        rows = self._all(t)
        if category != "All":
            pairs = zip(GOODS, rows, strict=True)
            rows = [row for good, row in pairs if category in {good.type, good.category}]
        return rows[::-1] if newest_first else rows

    def some(self, wanted: Iterable[int], t: int, *, newest_first: bool = False) -> list[bytes]:
        """`TornItem` of these ids, as JSON bytes; unknown ids are left out."""
        ids = set(wanted)
        rows = [row for good, row in zip(GOODS, self._all(t), strict=True) if good.id in ids]
        return rows[::-1] if newest_first else rows

    def price(self, item: int, t: int) -> int:
        """The market price of an item at `t`, in dollars."""
        at = t - t % _STEP
        slow = wander(at, 9 * DAY, self._seed, "price", item)
        fast = wander(at, 5 * 3600, self._seed, "haggle", item)
        return max(1, round(self._worth[item] * exp(0.25 * slow + 0.04 * fast)))

    def circulation(self, item: int, t: int) -> int:
        """How many of an item exist in the city at `t`."""
        at = t - t % _STEP
        drawn = Rng(self._seed, "circulation", item)
        base = int(10 ** drawn.spread(1, 6.3, 4))
        ebb = 0.01 * wander(at, DAY, self._seed, "ebb", item)
        return max(1, int(base * (1 + 0.00004 * (at - GENESIS) / DAY + ebb)))

    def _all(self, t: int) -> list[bytes]:
        rows = self._rows.get(t // _STEP)
        if rows is None:
            rows = self._rows[t // _STEP] = [self._row(good, t) for good in GOODS]
        return rows

    def _row(self, good: Good, t: int) -> bytes:
        head, tail = self._parts[good.id]
        price, there = self.price(good.id, t), self.circulation(good.id, t)
        return b'%s"market_price":%d},"circulation":%d,"details":%s}' % (head, price, there, tail)


def _worth(seed: int, good: Good) -> float:
    low, high = _WORTH.get(good.type, (50, 90_000))
    share = Rng(seed, "worth", good.id).unit() ** 2
    return float(low * (high / low) ** share)


def _parts(seed: int, good: Good) -> tuple[bytes, bytes]:
    """The JSON of an item before its market price, and the JSON of its details."""
    rng = Rng(seed, "item", good.id)
    country, shop = _SHOPS.get(good.type, ("", ""))
    sold = bool(shop) and rng.chance(0.75)
    buys = round(_worth(seed, good) * 0.9) + 1
    sells = round(buys * 0.7) if rng.chance(0.8) else None
    stocked = {"country": country, "shop": shop, "buy_price": buys, "sell_price": sells}
    head = {
        "id": good.id,
        "name": good.name,
        "description": f"One {good.name}. Handle with care; the city takes nothing back.",
        "effect": rng.pick(_EFFECTS[good.type]) if good.type in _EFFECTS else None,
        "requirement": "Player needs to be level 15." if good.category == "Primary" else None,
        "image": f"https://www.torn.com/images/items/{good.id}/large.png",
        "type": good.type,
        "sub_type": good.sub_type,
        "is_masked": good.type == "Clothing" and rng.chance(0.1),
        "is_tradable": good.type not in {"Unused", "Book"},
        "is_found_in_city": rng.chance(0.3),
        "value": {
            "vendor": {"country": country, "name": shop} if sold else None,
            "shops": [stocked] if sold else [],
            "buy_price": buys if sold else None,
            "sell_price": sells if sold else None,
        },
    }
    return encode(head)[:-2] + b",", encode(_details(good, rng))


_EFFECTS = {
    "Drug": ("Increases energy by 250.", "Raises nerve, lowers speed.", "Dulls the pain."),
    "Medical": ("Restores life and reduces hospital time.",),
    "Energy Drink": (
        "Increases energy by 20.",
        "Increases energy by 25.",
        "Increases energy by 30.",
    ),
    "Booster": ("Resets the booster cooldown.",),
    "Candy": ("Increases happiness by 50.", "Increases happiness by 75."),
}


def _details(good: Good, rng: Rng) -> dict[str, object] | None:
    if good.type == "Armor":
        value = rng.between(10, 48)
        parts = _COVERS[good.name.rsplit(" ", 1)[-1]]
        covers = [{"name": part, "value": number(rng.spread(20, 100))} for part in parts]
        stats = {"damage": 0, "accuracy": 0, "armor": value}
        return {"coverage": covers, "base_stats": stats}
    if good.type != "Weapon":
        return None
    ammo = _AMMO.get(good.sub_type or "")
    low = rng.between(1, 9)
    return {
        "stealth_level": number(rng.spread(0, 10, 1)),
        "base_stats": {
            "damage": rng.between(8, 79),
            "accuracy": rng.between(30, 70),
            "armor": 0,
        },
        "category": good.category,
        "ammo": {
            "id": ammo[0],
            "name": ammo[1],
            "magazine_rounds": rng.between(2, 60),
            "rate_of_fire": {"minimum": low, "maximum": low + rng.between(0, 20)},
        }
        if ammo
        else None,
        "mods": sorted(rng.sample(range(1, 40), rng.between(0, 4))) if ammo else [],
    }
