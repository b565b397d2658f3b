"""More rows in one second than a page holds."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tcdatalogger.sandbox.api.server import START
from tcdatalogger.sandbox.world.bursts import Bursts
from tcdatalogger.sandbox.world.people import DAY

NOW = int(START)
RUSH = NOW - 10 * DAY
AT = Bursts(at=(RUSH,), categories=("main",))


@pytest.fixture(scope="module")
def busy(build: Any) -> Any:
    """A city with a burst in one known second."""
    return build(history=30 * DAY, bursts=AT)


def count(rows: list[Any], field: str) -> int:
    return sum(row[field] == RUSH for row in rows)


def test_130_attacks_and_lines_of_the_log_lie_in_one_second(busy: Any):
    assert count(busy.city.expected("attacks"), "ended") == 130
    assert count(busy.city.expected("log"), "timestamp") == 130


@pytest.mark.parametrize(("path", "name"), [("/faction/attacks", "attacks"), ("/user/log", "log")])
def test_no_cursor_by_time_gets_past_a_burst(busy: Any, path: str, name: str):
    pages = busy.walk(path, "prev", name, limit=100)
    field = "ended" if name == "attacks" else "timestamp"
    assert {row[field] for row in pages[-1]} == {RUSH}
    assert len({str(row["id"]) for page in pages for row in page}) < len(busy.city.expected(name))


def test_ids_get_past_a_burst_of_attacks(busy: Any):
    book = [row["id"] for row in busy.city.expected("attacks")]
    for way, sort in (("prev", "DESC"), ("next", "ASC")):
        asked = {"filters": "idFilter", "limit": 100, "sort": sort}
        pages = busy.walk("/faction/attacks", way, "attacks", **asked)
        assert sorted({row["id"] for page in pages for row in page}) == sorted(book)
    inside = sorted(row["id"] for row in busy.city.expected("attacks", RUSH, RUSH))
    asked = {"filters": "idFilter", "from_": inside[7], "to": inside[90], "limit": 100}
    found = [row["id"] for row in busy.json("/faction/attacks", **asked)["attacks"]]
    assert found == inside[90:6:-1]


def test_pages_of_1000_get_past_a_burst_of_attacks(busy: Any):
    pages = busy.walk("/faction/attacksfull", "prev", "attacks", limit=150)
    found = {row["id"] for page in pages for row in page}
    assert found == {row["id"] for row in busy.city.expected("attacks")}


def test_nanostamps_get_past_a_burst_of_the_log(busy: Any):
    found: dict[str, Any] = {}
    asked: dict[str, Any] = {"limit": 100}
    while True:
        body = busy.json("/user/log", **asked)
        fresh = [row for row in body["log"] if row["id"] not in found]
        if not fresh:
            break
        found |= {row["id"]: row for row in fresh}
        asked["nanostamp"] = body["_metadata"]["nanostamp"]
    assert list(found.values())[::-1] == busy.city.expected("log")


def test_a_page_of_news_is_cut_inside_a_second_but_can_be_paged(busy: Any):
    book = busy.city.expected("news:main")
    assert count(book, "timestamp") == 60
    newer = [row for row in book if row["timestamp"] > RUSH]
    asked = {"cat": "main", "limit": len(newer) + 30}
    first = busy.json("/faction/news", **asked)["news"]
    assert count(first, "timestamp") == 30
    everything = {"cat": "main,attack,armoryAction,crime,depositFunds", "limit": 100}
    for params in ({"cat": "main", "limit": 61}, everything):
        pages = busy.walk("/faction/news", "prev", "news", **params)
        found = {row["id"] for page in pages for row in page}
        names = params["cat"].split(",")
        assert found == {row["id"] for name in names for row in busy.city.expected(f"news:{name}")}


def test_the_news_do_not_tell_of_every_attack_of_a_burst(busy: Any):
    assert 0 < count(busy.city.expected("news:attack"), "timestamp") <= 20


def test_news_can_be_made_to_lie_closer_than_can_be_paged(build: Any):
    city = build(history=30 * DAY, bursts=Bursts(at=(RUSH,), news=140, categories=("giveFunds",)))
    assert count(city.city.expected("news:giveFunds"), "timestamp") >= 140
    pages = city.walk("/faction/news", "prev", "news", cat="giveFunds", limit=100)
    assert pages[-1][-1]["timestamp"] == RUSH


def test_no_second_of_the_news_is_fuller_than_a_page_by_default(build: Any):
    city = build(history=400 * DAY, bursts=Bursts(every=5))
    seconds = Counter(row["timestamp"] for row in city.city.expected("news"))
    assert 60 <= max(seconds.values()) < 100
    assert sum(number >= 60 for number in seconds.values()) > 60


def test_the_seed_chooses_the_moments_of_bursts(build: Any):
    def moments(seed: int) -> list[int]:
        city = build(seed=seed, history=200 * DAY, bursts=Bursts(every=20, rows=120))
        seconds = Counter(row["ended"] for row in city.city.expected("attacks"))
        return [at for at, number in seconds.items() if number >= 120]

    found = moments(7)
    assert found == moments(7)
    assert not set(found) & set(moments(8))
    assert 9 <= len(found) <= 11


def test_there_are_no_bursts_by_default(build: Any):
    city = build(history=200 * DAY)
    for what, field in (("attacks", "ended"), ("news", "timestamp"), ("log", "timestamp")):
        assert max(Counter(row[field] for row in city.city.expected(what)).values()) < 5


@pytest.mark.parametrize(
    "facts", [{"every": -1}, {"rows": 0}, {"rows": 9_999}, {"news": 0}, {"categories": ()}]
)
def test_bursts_that_make_no_sense_are_refused(facts: dict[str, Any]):
    with pytest.raises(ValueError, match="burst"):
        Bursts(**facts)


def test_a_burst_in_a_category_that_has_none_is_refused(build: Any):
    with pytest.raises(ValueError, match="a burst of news is in some of"):
        build(bursts=Bursts(every=9, categories=("crime",)))
