"""Vaults, prices, stocks and two players of whom every answer is known by hand.

Two factions' balances were read, and the news of the first one; the items of the city on four days;
and what two players and a company see of themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from installation import Installation, endpoint, installed
from known_faction import DAY, HOUR, OURS, START, THEIRS
from polls import Poll, store

ME, YOU, COMPANY = 7, 8, 500

NEWS = {"faction_news_depositfunds": "depositFunds", "faction_news_givefunds": "giveFunds"}
PATHS = {
    "faction_balance": "/faction/balance",
    **dict.fromkeys(NEWS, "/faction/news"),
    "torn_items": "/torn/items",
    "torn_stocks": "/torn/stocks",
    "market_itemmarket": "/market/{id}/itemmarket",
    "market_pointsmarket": "/market/pointsmarket",
    "market_auctionhouse": "/market/auctionhouse",
    "user_networth": "/user/networth",
    "user_log": "/user/log",
    "user_missions": "/user/missions",
    "user_jobpoints": "/user/jobpoints",
    "company_profile": "/company/profile",
    "company_employees": "/company/employees",
    "company_stock": "/company/stock",
}
"""The endpoints by name."""


def balance(vault: int, points: int, *held: tuple[int, str, int, int]) -> dict[str, Any]:
    """What a vault holds, and of it each member: id, name, money and points."""
    members = [dict(zip(("id", "username", "money", "points"), each, strict=True)) for each in held]
    return {"balance": {"faction": {"money": vault, "points": points, "scope": 1},
                        "members": members}}  # fmt: skip


def link(number: int, name: str) -> str:
    """A member in a line of news with tags."""
    return f'<a href = "http://www.torn.com/profiles.php?XID={number}">{name}</a>'


def news(*lines: tuple[str, int, str]) -> dict[str, Any]:
    """Lines of news: id, time and text."""
    return {"news": [dict(zip(("id", "timestamp", "text"), each, strict=True)) for each in lines]}


def item(number: int, name: str, price: int, there: int, *shops: tuple[str, str, int]) -> Any:
    """An item with its price, how many there are, and shops: country, name and price."""
    return {
        "id": number, "name": name, "description": name, "effect": None, "requirement": None,
        "image": "", "type": "Other", "sub_type": None, "is_masked": False, "is_tradable": True,
        "is_found_in_city": False, "circulation": there, "details": None,
        "value": {
            "vendor": None, "buy_price": None, "sell_price": None, "market_price": price,
            "shops": [
                {"country": country, "shop": shop, "buy_price": buy, "sell_price": None}
                for country, shop, buy in shops
            ],
        },
    }  # fmt: skip


def items(xanax: int, dahlia: int, camel: int, mystery: int = 0, *more: Any) -> dict[str, Any]:
    """All items with their prices."""
    return {"items": [
        item(206, "Xanax", xanax, 1_000 + xanax),
        item(260, "Dahlia", dahlia, 50, ("Mexico", "General Store", 300),
             ("Torn", "Flower Shop", 5)),
        item(384, "Camel Plushie", camel, 60, ("UAE", "Souvenirs", 14_000)),
        item(800, "Mystery Item", mystery, 1, ("Canada", "General Store", 10),
             ("Atlantis", "Reef", 20)),
        *more,
    ]}  # fmt: skip


BRICK = item(400, "Brick", 100, 3)
PACK = item(370, "Drug Pack", 5_000_000, 9)


def stock(number: int, short: str, price: float, need: int, pays: str, every: int) -> Any:
    """A stock: its price, the shares of its first block, and what that pays in how many days."""
    return {
        "id": number, "name": f"{short} Ltd.", "acronym": short,
        "images": {"logo": "", "full": ""},
        "market": {"price": price, "cap": 1, "shares": 1, "investors": 1},
        "bonus": {"passive": short in PASSIVE, "frequency": every, "requirement": need,
                  "description": pays},
    }  # fmt: skip


PASSIVE = frozenset({"TCI", "YAZ"})
"""Stocks whose blocks pay nothing, whatever their words say."""
STOCKS = [
    stock(1, "TSB", 1_000.0, 3_000_000, "$50,000,000", 31),
    stock(2, "TCI", 900.5, 1_500_000, "a 10% bank interest bonus", 7),
    stock(8, "YAZ", 5.0, 1_000_000, "$7", 7),
    stock(16, "SYM", 700.25, 500_000, "1x Drug Pack", 7),
    stock(29, "MCS", 2_000.0, 350_000, "100 energy", 7),
    stock(35, "PTS", 80.5, 10_000_000, "100 points", 7),
    stock(36, "NEW", 10.0, 100, "3x Nameless Thing", 7),
]  # fmt: skip


def listings(number: int, name: str, mean: int, at: int, *offers: tuple[int, int]) -> Any:
    """The offers of an item: price and amount."""
    return {"itemmarket": {
        "item": {"id": number, "name": name, "type": "Other", "average_price": mean},
        "listings": [{"price": price, "amount": amount} for price, amount in offers],
        "cache_timestamp": at, "cache_delay": None,
    }}  # fmt: skip


def auction(number: int, thing: int, name: str, price: int, at: int, rarity: str | None = None):
    """A sale at auction."""
    return {
        "id": number, "seller": {"id": 1, "name": "Ada"}, "buyer": {"id": 2, "name": "Bob"},
        "timestamp": at, "price": price, "bids": number,
        "item": {"id": thing, "uid": number, "name": name, "type": "Other", "stats": None,
                 "bonuses": [], "rarity": rarity, "sub_type": None},
    }  # fmt: skip


def worth(at: int, wallet: int, fees: int, bag: int, house: int, points: int, total: int) -> Any:
    """What a player owns, as Torn reckoned it at a time."""
    return {"networth": {
        "money": {"pending": 0, "wallet": wallet, "vault": 0, "bookie": 0, "city_bank": 0,
                  "cayman_bank": 0, "piggy_bank": 0, "loans": 0, "unpaid_fees": fees},
        "items": {"inventory": bag, "display_case": 0, "bazaar": 1, "trades": 0, "item_market": 0,
                  "auction_house": 0, "enlisted_cars": 0},
        "assets": {"property": house, "stock_market": 0, "company": 0},
        "points": points, "total": total, "timestamp": at,
    }}  # fmt: skip


def entry(number: int, at: int, log: int, title: str, category: str, **data: Any) -> Any:
    """A line of a player's log."""
    return {"id": f"log{number:03}", "timestamp": at,
            "details": {"id": log, "title": title, "category": category},
            "data": data, "params": {}}  # fmt: skip


LOG = [
    entry(1, START - 60, 1226, "Bazaar sell", "Bazaars", cost_total=1_000, cost_each=10),
    entry(2, START + 10, 1226, "Bazaar sell", "Bazaars", cost_total=2_000),
    entry(3, START + 20, 1225, "Bazaar buy", "Bazaars", cost_total="500.75"),
    entry(4, START + 30, 5511, "Stock sell", "Stocks", worth=90_000, fees=90, amount=7),
    entry(5, START + 40, 5450, "Bank invest", "Bank", amount=148, worth=151, percent=2.4),
    entry(6, START + 50, 5850, "Vault deposit", "Vault", deposited=9_999),
    entry(7, START + 60, 5301, "Gym train defense", "Gym", defense_before="7566.34"),
    entry(8, START + 70, 4810, "Money receive", "Money sending", sender=4),
    entry(9, START + 80, 77_001, "Something new", "Money sending", money=5),
    entry(10, START + 90, 77_001, "Something new", "Money sending", money=6),
    entry(11, START + 95, 4800, "Money send", "Money sending", money=40, receiver=4),
    entry(12, START + 99, 6020, "Hunting", "Travel", income=10, cost=25),
]


def missions(held: int, *done: tuple[str, int | None, int]) -> Any:
    """Credits, and contracts of one giver: title, when completed, and money."""
    return {"missions": {"credits": held, "rewards": [], "givers": [{
        "id": 3, "name": "Duke", "contracts": [
            {"title": title, "difficulty": "Easy", "status": "Completed" if at else "Accepted",
             "created_at": START - DAY, "started_at": START - DAY, "expires_at": START + 9 * DAY,
             "completed_at": at, "rewards": {"money": money, "credits": 5, "items": []}}
            for title, at, money in done
        ],
    }]}}  # fmt: skip


def job_points(law: int, *companies: tuple[int, str, int]) -> Any:
    """Points of jobs, and of kinds of companies: id, name and points."""
    return {"jobpoints": {
        "jobs": {"army": 0, "casino": 0, "education": 0, "grocer": 0, "law": law, "medical": 2},
        "companies": [{"company": {"id": number, "name": name}, "points": points}
                      for number, name, points in companies],
    }}  # fmt: skip


def profile(income: int, budget: int | None = 100) -> Any:
    """A company with what it took in on a day."""
    return {"profile": {
        "id": COMPANY, "name": "Oil Ltd.", "created_at": 1, "days_old": 9, "image": None,
        "type": {"id": 28, "name": "Oil Rig"}, "rating": 9, "director": None,
        "employees": {"hired": 2, "capacity": 10}, "income": {"daily": income, "weekly": 7},
        "customers": {"daily": 30, "weekly": 200}, "applications_allowed": True,
        "funds": 1, "popularity": 40, "efficiency": 70, "environment": 90, "trains": 1,
        "advertisement_budget": budget,
    }}  # fmt: skip


def employee(number: int, name: str, points: int | None, wage: int | None) -> Any:
    """An employee with effectiveness and wage, which a director alone sees."""
    told = {"working_stats": 60, "settled_in": 10, "addiction": -3, "total": points}
    return {
        "id": number, "name": name, "position": {"id": 1, "name": "Driller"},
        "days_in_company": 20, "last_action": {"status": "Idle", "timestamp": START,
                                               "relative": "now"},
        "status": {"description": "Okay", "details": None, "state": "Okay", "color": "green",
                   "until": None},
        "stats": None, "effectiveness": told if points is not None else None, "wage": wage,
    }  # fmt: skip


LATER = START + HOUR
POLLS = (
    # Ada deposits 100 and takes 130; Bob's crime pays 7, which no line tells; Cyd has left.
    Poll("faction_balance", OURS, START - DAY, balance(900, 9, (1, "Ada", 100, 1))),
    Poll("faction_balance", OURS, START, balance(
        1_000, 10, (1, "Ada", 100, 1), (2, "Bob", 50, 0), (3, "Cyd", 20, 0))),
    Poll("faction_balance", THEIRS, START + 60, balance(77, 0, (1, "Ada", 1, 0))),
    Poll("faction_balance", OURS, LATER, balance(
        1_200, 10, (1, "Ada", 70, 1), (2, "Bobby", 107, 0), (4, "Dee", 5, 0))),
    Poll("faction_balance", OURS, START + DAY, balance(
        1_500, 10, (1, "Ada", 70, 1), (2, "Bobby", 107, 0), (4, "Dee", 5, 0))),
    Poll("faction_news_depositfunds", OURS, START + DAY, news(
        ("n01", START - 2 * DAY, f"{link(1, 'Ada')} deposited $9"),  # before anybody watched
        ("n02", START + 60, f"{link(1, 'Ada')} deposited $100"),
        ("n03", START + 120,
         f"{link(9, 'Eve')} increased {link(2, 'Bob')}'s money balance by $50 from $50 to $100"),
        ("n04", START + 180, "Zed deposited $5"),
        ("n05", START + 240, "the vault was counted"),
        ("n06", LATER + 60, "Dee deposited $1,000"),
        ("n07", START + 2 * DAY, "Ada deposited $3"),  # after the last picture
    )),
    Poll("faction_news_givefunds", OURS, START + DAY, news(
        ("g01", START + 90, f"{link(1, 'Ada')} was given $130 by {link(9, 'Eve')}"),
        ("g02", LATER + 120, "Eve decreased Dee's money balance by $1,000 from $1,005 to $5"),
    )),
    Poll("torn_items", None, START - 31 * DAY, items(800, 1_000, 20_000)),
    Poll("torn_items", None, START - 20 * DAY, items(850, 1_100, 20_000)),
    Poll("torn_items", None, START - 8 * DAY, items(0, 1_200, 20_000, 0, BRICK)),
    Poll("torn_items", None, START - 6 * DAY, items(880, 1_300, 21_000, 0, BRICK)),
    Poll("torn_items", None, START, items(900, 1_000, 25_000, 0, PACK)),
    Poll("torn_items", None, LATER, items(
        1_000, 1_500, 25_000, 0, PACK, item(400, "Brick", 500, 3))),
    Poll("torn_stocks", None, LATER, {"stocks": STOCKS}),
    Poll("market_pointsmarket", None, LATER, {"pointsmarket": [
        {"id": 1, "quantity": 3, "cost": 31_000, "total_cost": 93_000},
        {"id": 2, "quantity": 9, "cost": 30_000, "total_cost": 270_000},
    ]}),
    Poll("market_itemmarket", 206, START, listings(206, "Xanax", 950, START - 30, (1, 1))),
    Poll("market_itemmarket", 206, LATER, listings(
        206, "Xanax", 1_000, LATER - 30, (820, 8), (800, 4), (850, 3), (900, 100))),
    Poll("market_itemmarket", 260, LATER, listings(260, "Dahlia", 0, LATER - 90, (1_400, 2))),
    Poll("market_itemmarket", 800, LATER, listings(800, "Mystery Item", 5, LATER - 60)),
    Poll("market_auctionhouse", None, LATER, {"auctionhouse": [
        auction(1, 384, "Camel Plushie", 30_000, START - 2 * DAY),
        auction(2, 384, "Camel Plushie", 10_000, START - DAY),
        auction(3, 384, "Camel Plushie", 50_000, START),
        auction(4, 384, "Camel Plushie", 40_000, START + 60),
        auction(5, 384, "Camel Plushie", 900_000, START + 90, "yellow"),
        auction(6, 1, "Hammer", 7, START - 40 * DAY),
    ]}),
    Poll("user_networth", ME, START, worth(START - 2 * HOUR, 100, -5, 10, 1_000, 3, 1_109)),
    Poll("user_networth", ME, LATER, worth(START - HOUR, 150, -5, 10, 1_000, 3, 1_159)),
    Poll("user_networth", YOU, LATER, worth(START - HOUR, 1, 0, 0, 0, 0, 2)),
    Poll("user_networth", ME, START + DAY, worth(START + 9 * HOUR, 90, -5, 60, 1_000, 4, 1_160)),
    Poll("user_log", ME, LATER, {"log": LOG}),
    Poll("user_log", YOU, LATER, {"log": [
        entry(20, START + 15, 6220, "Job pay", "Job", pay=2_500),
    ]}),
    Poll("user_missions", ME, START - DAY, missions(100, ("Hare", None, 0))),
    Poll("user_missions", ME, START, missions(130, ("Hare", START - 60, 9_000))),
    Poll("user_missions", ME, LATER, missions(120, ("Hare", START - 60, 9_000))),
    Poll("user_missions", ME, START + 2 * HOUR, missions(
        125, ("Hare", START - 60, 9_000), ("Tortoise", START + HOUR + 60, 50))),
    Poll("user_jobpoints", ME, START - 40 * DAY, job_points(5, (28, "Oil Rig", 1))),
    Poll("user_jobpoints", ME, START - DAY, job_points(10, (28, "Oil Rig", 10))),
    Poll("user_jobpoints", ME, START, job_points(15, (28, "Oil Rig", 4))),
    Poll("user_jobpoints", ME, START + DAY, job_points(20, (28, "Oil Rig", 8), (5, "Zoo", 1))),
    Poll("company_profile", COMPANY, START, profile(10_000)),
    Poll("company_profile", COMPANY, LATER, profile(12_000)),
    Poll("company_profile", COMPANY, START + DAY, profile(13_000)),
    Poll("company_employees", COMPANY, START, {"employees": [employee(1, "Ada", 90, 9_999)]}),
    Poll("company_employees", COMPANY, LATER, {"employees": [
        employee(1, "Ada", 100, 3_000), employee(2, "Bob", 67, 2_000),
        employee(3, "Cyd", None, None),
    ]}),
    Poll("company_stock", COMPANY, LATER, {"stock": [
        {"name": "Oil", "id": 1, "cost": 10, "rrp": 30, "price": 29, "in_stock": 5, "on_order": 0,
         "sold_amount": 250, "sold_worth": 7_250},
    ]}),
)  # fmt: skip


def install(file: Path, mode: str = "append", names: Iterable[str] = PATHS) -> Installation:
    """An installation with all of it.

    Args:
        file: to make.
        mode: the storage mode of the endpoints.
        names: the endpoints whose mode it is; all others append.
    """
    modes = {name: mode if name in names else "append" for name in PATHS}
    params = {name: ("cat", category) for name, category in NEWS.items()}
    store(file, POLLS, PATHS, modes=modes, params=params)
    return installed(file, lines(modes))


def lines(modes: Mapping[str, str] | None = None) -> str:
    """The lines of the endpoints, whose storage modes are given by name."""
    found = []
    for name, path in PATHS.items():
        ids = {"ids": [206, 260, 800]} if "{id}" in path else {}
        mode = (modes or {}).get(name, "append")
        told = endpoint(name, path, storage_mode=mode, **ids).rstrip()
        of_news = f'params = {{ cat = "{NEWS[name]}" }}' if name in NEWS else ""
        found.append(f"{told}\n{of_news}\n\n")
    return "".join(found)
