"""The stocks of the city: what a block of shares pays, and a price that moves."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

from tcdatalogger.sandbox.world.people import DAY
from tcdatalogger.sandbox.world.php_json import number
from tcdatalogger.sandbox.world.rng import Rng, wander

_STEP = 60
"""Seconds after which prices change."""


@dataclass(frozen=True, slots=True)
class Stock:
    """A stock.

    Attributes:
        price: the dollars around which the price of a share moves.
        need: the shares of the first block.
        pays: what a block pays, in Torn's words.
        every: the days between two payments; of a passive block the days until it works.
        passive: whether a block pays nothing and helps by being held.
    """

    id: int
    acronym: str
    name: str
    price: float
    need: int
    pays: str
    every: int = 7
    passive: bool = False


STOCKS = (
    Stock(1, "TSB", "Torn and Shanghai Banking", 1_100.0, 3_000_000, "$50,000,000", 31),
    Stock(2, "TCI", "Torn City Investments", 780.0, 1_500_000, "a 10% bank interest bonus",
          passive=True),
    Stock(5, "IOU", "Insured On Us", 180.0, 3_000_000, "$12,000,000", 31),
    Stock(6, "GRN", "Grain", 310.0, 500_000, "$4,000,000", 31),
    Stock(7, "THS", "Torn City Health Service", 370.0, 150_000, "1x Blood Bag"),
    Stock(9, "TCT", "The Torn City Times", 330.0, 100_000, "$1,000,000", 31),
    Stock(15, "FHG", "Feathery Hotels Group", 690.0, 2_000_000, "1x Feathery Hotel Coupon"),
    Stock(16, "SYM", "Symbiotic Ltd.", 740.0, 500_000, "1x Drug Pack"),
    Stock(17, "LSC", "Lucky Shots Casino", 520.0, 500_000, "1x Lottery Voucher"),
    Stock(18, "PRN", "Performance Ribaldry Network", 610.0, 1_000_000, "1x Erotic DVD"),
    Stock(19, "EWM", "Eaglewood Mercenary", 290.0, 1_000_000, "1x Box of Grenades"),
    Stock(22, "HRG", "Home Retail Group", 330.0, 10_000_000, "1x Random Property", 31),
    Stock(29, "MCS", "Mc Smoogle Corp", 2_100.0, 350_000, "100 energy"),
    Stock(30, "WLT", "Wind Lines Travel", 775.0, 9_000_000, "Private jet access", passive=True),
    Stock(35, "PTS", "PointLess", 82.0, 10_000_000, "100 points"),
)  # fmt: skip


def stocks(seed: int, t: int) -> list[dict[str, object]]:
    """`TornStock` of all stocks at `t`."""
    return [_stock(seed, stock, t - t % _STEP) for stock in STOCKS]


def _stock(seed: int, stock: Stock, at: int) -> dict[str, object]:
    price = round(stock.price * exp(0.05 * wander(at, 3 * DAY, seed, "stock", stock.id)), 2)
    shares = Rng(seed, "shares", stock.id).between(10**9, 10**11)
    image = f"https://www.torn.com/images/v2/stock-market/{stock.acronym}"
    return {
        "id": stock.id,
        "name": stock.name,
        "acronym": stock.acronym,
        "images": {"logo": f"{image}/logo.svg", "full": f"{image}/full.svg"},
        "market": {
            "price": number(price),
            "cap": int(price * shares),
            "shares": shares,
            "investors": shares // 9_000_000,
        },
        "bonus": {
            "passive": stock.passive,
            "frequency": stock.every,
            "requirement": stock.need,
            "description": stock.pays,
        },
    }
