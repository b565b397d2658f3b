"""Vaults, prices and players of a city that was logged, reckoned once more without SQL.

A second city with the same seed is the same city. It is asked at each moment of the logging, and
what a question should find in its answers is reckoned here in plain Python.
"""

from __future__ import annotations

import csv
import datetime as dt
import json
import re
from collections import defaultdict
from importlib.resources import files
from typing import Any

import pytest
from logged_city import ENDPOINTS, FREE, HOUR, Logged

from tcdatalogger.sandbox.api.city import City, CityRequest
from tcdatalogger.sandbox.api.server import START
from tcdatalogger.sandbox.world.clock import WorldClock

pytestmark = pytest.mark.slow

HOURS = 48
XANAX = 206


def day(at: float) -> dt.date:
    """The day of Torn's time."""
    return dt.datetime.fromtimestamp(at, dt.UTC).date()


def moments(name: str) -> list[int]:
    """The times at which an endpoint was read."""
    every = ENDPOINTS[name].hours
    return [int(START) + h * HOUR for h in range(HOURS + 1) if h % every == 0 or h == HOURS]


def told(logged: Logged, name: str, **params: str) -> list[tuple[int, dict[str, Any]]]:
    """The answers of the city at these times."""
    clock = WorldClock(START, 0.0)
    city, found = City(7, clock, FREE), []
    for at in moments(name):
        clock.advance(at - clock.now())
        key = f"ApiKey {logged.city.keys['full']}"
        reply = city.answer(CityRequest(ENDPOINTS[name].path, params, key))
        found.append((at, json.loads(reply.body)))
    return found


def rows_of(logged: Logged, name: str, **texts: str) -> list[dict[str, Any]]:
    """The rows of an answer."""
    return logged.ask(name, **texts).rows.to_pylist()


def test_what_is_the_factions_own_is_the_vault_less_its_members(logged):
    expected = {}
    for at, body in told(logged, "faction_balance"):
        vault, members = body["balance"]["faction"]["money"], body["balance"]["members"]
        expected[day(at)] = (vault - sum(m["money"] for m in members), vault)

    found = {row["day"]: (row["own"], row["vault"]) for row in rows_of(logged, "faction-wealth")}

    assert len(found) == 3
    assert found == expected


DEPOSITED = re.compile(r"(?:XID=(\d+)\">)?([\w-]+)(?:</a>)? (deposited|was given) \$([\d,]+)")


def lines_of(logged: Logged) -> list[tuple[int, str, int]]:
    """Time, name and amount of what the city's news say of the vault."""
    found = []
    for category in ("depositFunds", "giveFunds"):
        for line in logged.city.expected(f"news:{category}", key="full"):
            _, name, verb, amount = DEPOSITED.search(line["text"]).groups()
            money = int(amount.replace(",", ""))
            found.append((line["timestamp"], name, money if verb == "deposited" else -money))
    return found


def test_movements_are_the_differences_of_balances_with_the_news_between_them(logged):
    pictures = told(logged, "faction_balance")
    begun, ended = pictures[0][0], pictures[-1][0]
    lines = [each for each in lines_of(logged) if begun < each[0] <= ended]
    expected, placed = {}, 0
    before: dict[int, tuple[int, int]] = {}
    for at, body in pictures:
        for member in body["balance"]["members"]:
            was = before.get(member["id"])
            if was is not None:
                mine = [
                    m for t, name, m in lines if name == member["username"] and was[0] < t <= at
                ]
                placed += len(mine)
                moved, news = member["money"] - was[1], sum(mine)
                if moved or mine:
                    expected[at, member["id"]] = (moved, news if mine else None, moved - news)
            before[member["id"]] = (at, member["money"])

    rows = rows_of(logged, "balance-movements")
    found = {
        (int(row["to_picture"].timestamp()), row["member_id"]):
        (row["moved"], row["in_news"], row["unexplained"])
        for row in rows if row["member_id"] is not None
    }  # fmt: skip
    assert placed > 0
    assert any(moved for moved, _, _ in expected.values())
    assert found == expected
    assert len([row for row in rows if row["member_id"] is None]) == len(lines) - placed


def test_the_price_of_an_item_is_that_of_the_citys_market_on_each_day(logged):
    market = logged.city.city.world.market
    last = {day(at): at for at in moments("torn_items")}

    found = {
        row["day"]: (row["price"], row["circulation"]) for row in rows_of(logged, "item-prices")
    }

    assert len(found) == 3
    assert found == {
        on: (market.price(XANAX, at), market.circulation(XANAX, at)) for on, at in last.items()
    }


def test_the_movers_are_the_items_whose_price_changed_most_between_two_days(logged):
    pictures = [{i["id"]: i["value"]["market_price"] for i in body["items"]}
                for _, body in told(logged, "torn_items")]  # fmt: skip
    then, now = pictures[-2], pictures[-1]
    changes = {
        item: (price - then[item]) / then[item] for item, price in now.items() if price >= 5_000
    }
    expected = sorted(changes, key=lambda item: (-abs(changes[item]), -item))[:20]

    rows = rows_of(logged, "price-movers", days="1", least="5000", most="20")

    assert [row["item_id"] for row in rows] == expected
    assert [row["change"] for row in rows] == [changes[item] for item in expected]


def test_what_is_worth_bringing_is_what_the_market_pays_for_it_by_the_hour_of_flight(logged):
    text = files("tcdatalogger.questions").joinpath("data/flights.csv").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    flights = {country: int(minutes) for country, minutes in list(csv.reader(lines))[1:]}
    expected = {}
    for item in told(logged, "torn_items")[-1][1]["items"]:
        for shop in item["value"]["shops"]:
            if shop["country"] != "Torn" and item["is_tradable"]:
                gain = item["value"]["market_price"] * 0.95 - shop["buy_price"]
                hours = 2 * flights[shop["country"]] * 0.7 / 60
                expected[item["id"], shop["country"]] = gain * 19 / hours

    rows = rows_of(logged, "travel-profit", capacity="19", speed="70")

    assert len(rows) > 5
    assert all(row["flight"] for row in rows)
    found = {(row["item_id"], row["country"]): row["profit_per_hour"] for row in rows}
    assert found == pytest.approx(expected)
    assert list(found.values()) == sorted(found.values(), reverse=True)


def test_the_blocks_of_stocks_pay_back_by_what_their_words_say(logged):
    items = {i["name"].lower(): i["value"]["market_price"]
             for i in told(logged, "torn_items")[-1][1]["items"]}  # fmt: skip
    points = min(o["cost"] for o in told(logged, "market_pointsmarket")[-1][1]["pointsmarket"])
    expected = {}
    for stock in told(logged, "torn_stocks")[-1][1]["stocks"]:
        bonus, value = stock["bonus"], None
        word = bonus["description"]
        if word.startswith("$"):
            value = int(word[1:].replace(",", ""))
        elif word.endswith(" points"):
            value = int(word.split()[0]) * points
        elif re.match(r"\d+x ", word):
            value = items.get(word.split("x ", 1)[1].lower())
        for nth in range(3):
            cost = bonus["requirement"] * 2**nth * stock["market"]["price"]
            days = cost * bonus["frequency"] / value if value else None
            expected[f"{stock['acronym']} {nth + 1}"] = days

    rows = rows_of(logged, "stock-roi")

    found = {row["stock"]: row["days_to_pay_back"] for row in rows}
    assert {k for k, v in found.items() if v is None} == {
        k for k, v in expected.items() if v is None
    }
    assert {k: v for k, v in found.items() if v} == pytest.approx(
        {k: v for k, v in expected.items() if v}
    )
    assert sum(v is not None for v in found.values()) > 20


def test_what_something_costs_is_the_mean_of_the_cheapest_units(logged):
    key, expected = f"ApiKey {logged.city.keys['full']}", []
    for number in ENDPOINTS["market_itemmarket"].settings["ids"]:
        wanted, more = [], True
        while more:
            asked = {"limit": "100", "offset": str(len(wanted))}
            path = f"/market/{number}/itemmarket"
            reply = logged.city.city.answer(CityRequest(path, asked, key))
            more = json.loads(reply.body)["itemmarket"]["listings"]
            wanted += [(each["price"], each["amount"]) for each in more]
        units = [price for price, amount in sorted(wanted) for _ in range(min(amount, 3_000))]
        on_sale, mean = sum(amount for _, amount in wanted), sum(units[:3_000]) / 3_000
        expected.append((on_sale, units[0], 3_000, pytest.approx(mean)))

    rows = rows_of(logged, "market-spread", units="3000")

    found = [(row["on_sale"], row["lowest"], row["found"], row["cost_each"]) for row in rows]
    assert sorted(found) == sorted(expected, key=lambda each: each[:3])


def test_worth_is_the_sum_of_its_parts_on_the_day_of_torns_reckoning(logged):
    expected = {}
    for _, body in told(logged, "user_networth"):
        worth = body["networth"]
        expected[day(worth["timestamp"])] = (
            worth["total"], sum(worth["money"].values()), sum(worth["items"].values()),
            sum(worth["assets"].values()), worth["points"],
        )  # fmt: skip

    found = {
        row["day"]: (row["total"], row["money"], row["items"], row["assets"], row["points"])
        for row in rows_of(logged, "networth", days="60")
    }

    assert found
    assert found == expected


GAINED = {
    1113: "cost_total", 1226: "cost_total", 4810: "money", 5531: "money", 6221: "pay",
    7815: "money", 8155: "money_mugged", 9015: "money_gained",
}  # fmt: skip
LOST = {
    1112: "cost_total", 1225: "cost_total", 4201: "cost_total", 4800: "money", 5510: "worth",
    5920: "upkeep_paid", 8156: "money_mugged", 8301: "bet_amount",
}  # fmt: skip


def money_of(line: dict[str, Any]) -> int | None:
    """What an entry of the log brought; None for a kind whose money nobody knows."""
    kind, data = line["details"]["id"], line["data"]
    if kind in GAINED:
        return data[GAINED[kind]]
    if kind in LOST:
        return -data[LOST[kind]]
    match kind:
        case 5450:
            return data["worth"] - data["amount"]
        case 5511:
            return data["worth"] - data["fees"]
        case 8300:
            return data["won_amount"] - data["bet_amount"]
        case 2290 | 5301 | 5850:
            return 0
    return None


def test_income_by_the_log_is_that_of_the_citys_own_log_and_what_is_unknown_is_counted(logged):
    low, high = logged.city.now() - 5 * 24 * HOUR, logged.city.now()
    log = [e for e in logged.city.expected("log", key="full") if low <= e["timestamp"] <= high]
    expected = defaultdict(lambda: [0, 0, 0, 0])
    for line in log:
        cell = expected[day(line["timestamp"]), line["details"]["category"]]
        money = money_of(line)
        cell[0] += max(money or 0, 0)
        cell[1] += max(-(money or 0), 0)
        cell[2] += line["details"]["id"] not in {2290, 5301, 5850} and money is not None
        cell[3] += money is None
    moving = {key: tuple(cell) for key, cell in expected.items() if cell[2] or cell[3]}

    rows = rows_of(logged, "log-income", days="5")

    found = {
        (row["day"], row["category"]):
        (row["gained"], row["lost"], row["with_money"], row["unknown"])
        for row in rows
    }  # fmt: skip
    assert len(found) > 15
    assert found == moving
    assert {row["unknown_logs"] for row in rows} - {None}


def test_what_was_auctioned_is_what_the_city_sold(logged):
    sold = defaultdict(list)
    for _, body in told(
        logged, "market_auctionhouse", limit="100", **{"from": str(int(START) - 5 * 24 * HOUR)}
    ):
        for lot in body["auctionhouse"]:
            if logged.city.now() - 5 * 24 * HOUR <= lot["timestamp"]:
                sold[lot["id"]] = lot
    kinds = defaultdict(list)
    for lot in sold.values():
        kinds[lot["item"]["id"], lot["item"].get("rarity")].append(lot["price"])

    rows = rows_of(logged, "auction-prices", days="5")

    assert rows
    assert {(row["item_id"], row["rarity"]): (row["sales"], row["lowest"], row["middle_price"],
                                              row["highest"]) for row in rows} == {
        key: (len(prices), min(prices), sorted(prices)[(len(prices) - 1) // 2], max(prices))
        for key, prices in kinds.items()
    }  # fmt: skip


def test_a_company_earns_what_it_took_in_less_what_it_paid(logged):
    expected = {}
    every = zip(*(told(logged, f"company_{what}") for what in ("profile", "employees", "stock")),
                strict=True)  # fmt: skip
    for (at, profile), (_, staff), (_, shelf) in every:
        wages = [e.get("wage") for e in staff["employees"]]
        known = [wage for wage in wages if wage is not None]
        budget = profile["profile"].get("advertisement_budget")
        goods = sum(s["cost"] * s["sold_amount"] for s in shelf["stock"])
        whole = known and budget is not None
        income = profile["profile"]["income"]["daily"]
        expected[day(at)] = income - sum(known) - budget - goods if whole else None

    found = {row["day"]: row["profit"] for row in rows_of(logged, "company-profit")}
    assert found == expected


def test_credits_and_points_are_the_newest_of_the_city(logged):
    missions = told(logged, "user_missions")[-1][1]["missions"]
    points = told(logged, "user_jobpoints")[-1][1]["jobpoints"]

    credits_of = rows_of(logged, "missions")[-1]["credits"]
    jobs = {row["job"]: row["points"] for row in rows_of(logged, "job-points")
            if not row["is_company"]}  # fmt: skip
    assert credits_of == missions["credits"]
    assert {name.lower(): held for name, held in jobs.items()} == points["jobs"]
