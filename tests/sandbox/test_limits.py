"""What is counted, and what is too much: calls in a rolling window, rows in a rolling day."""

from __future__ import annotations

import time
from typing import Any

import httpx2
import pytest

from tcdatalogger.sandbox.api.city import Rules
from tcdatalogger.sandbox.api.server import START, Sandbox

BOSS = "150001"


def code(city: Any, path: str, key: str = "full", **params: Any) -> int:
    found = city.json(path, key, **params).get("error", {"code": 0})["code"]
    assert isinstance(found, int)
    return found


def test_the_window_can_be_short_and_the_limit_small(build: Any):
    city = build(budget="world", per_user=5, window=3.0)
    assert [code(city, "/torn/timestamp") for _ in range(6)] == [0] * 5 + [5]
    city.city.clock.advance(2.9)
    assert code(city, "/torn/timestamp") == 5
    city.city.clock.advance(0.1)
    assert code(city, "/torn/timestamp") == 0


def test_the_window_can_roll_in_real_seconds(build: Any):
    city = build(budget="real", per_user=5, window=0.3)
    assert [code(city, "/torn/timestamp") for _ in range(6)] == [0] * 5 + [5]
    city.city.clock.advance(3_600)
    assert code(city, "/torn/timestamp") == 5
    time.sleep(0.3)
    assert code(city, "/torn/timestamp") == 0


def test_every_owner_has_an_account_of_their_calls(build: Any):
    city = build(budget="world", per_user=4, window=10.0)
    for _ in range(6):
        code(city, "/torn/timestamp", "second")
        city.city.clock.advance(1)
    code(city, "/faction/basic", "full")
    city.city.clock.advance(30)
    code(city, "/faction/basic", "rival")
    stats = city.city.limits.facts()
    rival = next(owner for owner in stats["owners"] if owner != BOSS)
    assert stats["owners"][BOSS] == {
        "calls": 7,
        "accepted": 4,
        "refused": 3,
        "most_in_a_window": 7,
        "paths": {"/torn/timestamp": 6, "/faction/basic": 1},
        "series": [[START, 4, 3]],
    }
    assert stats["owners"][rival]["series"] == [[START + 30, 1, 0]]
    assert stats["violations"] == 3
    assert stats["window"] == 10.0


def test_every_call_is_remembered_with_its_second(build: Any):
    city = build(budget="world", per_user=2)
    for path in ("/torn/timestamp", "/faction/basic", "/torn/timestamp"):
        code(city, path, "second")
        city.city.clock.advance(2)
    assert city.city.limits.calls() == [
        (START, 150001, "second", "/torn/timestamp", True),
        (START + 2, 150001, "second", "/faction/basic", True),
        (START + 4, 150001, "second", "/torn/timestamp", False),
    ]


def test_full_use_of_the_limit_is_a_utilisation_of_one(build: Any):
    city = build(budget="world", per_user=10, window=10.0)
    since = city.city.seconds()
    for _ in range(100):
        code(city, "/torn/timestamp")
        city.city.clock.advance(1)
    limits = city.city.limits
    assert limits.utilisation(150001, since, since + 100) == pytest.approx(1)
    for _ in range(50):
        code(city, "/torn/timestamp")
        city.city.clock.advance(2)
    assert limits.utilisation(150001, since + 100, since + 200) == pytest.approx(0.5)
    assert limits.utilisation(1, since, since + 200) == 0


def test_refused_calls_are_no_use(build: Any):
    city = build(budget="world", per_user=10, window=10.0)
    since = city.city.seconds()
    for _ in range(200):
        code(city, "/torn/timestamp")
        city.city.clock.advance(0.5)
    assert city.city.limits.utilisation(150001, since, since + 100) == pytest.approx(1)


def test_what_was_called_can_be_read_while_the_city_runs():
    with Sandbox(seed=7, rules=Rules(per_user=3, window=2.0)) as sandbox:
        root = sandbox.url.removesuffix("/v2")
        begun = time.monotonic()
        for _ in range(4):
            httpx2.get(sandbox.url + "/torn/timestamp?key=" + sandbox.keys["full"])
        told = httpx2.get(root + "/_sandbox/calls").json()
        assert [tuple(call) for call in told["calls"]] == sandbox.calls()
        assert [call.accepted for call in sandbox.calls()] == [True, True, True, False]
        assert begun <= sandbox.calls()[0].at <= told["now"] <= time.monotonic()
        assert sandbox.utilisation(150001, begun, begun + 2) == 1


READ = (
    ("news", "/faction/news", {"cat": "armoryAction", "limit": 10}, 10),
    ("events", "/user/events", {"limit": 10}, 10),
    ("log", "/user/log", {"limit": 10}, 10),
)


@pytest.mark.parametrize(("category", "path", "params", "rows"), READ)
def test_a_user_may_read_so_many_rows_of_a_category_in_a_day(
    build: Any, category: str, path: str, params: dict[str, Any], rows: int
):
    city = build(cloud_rows=3 * rows)
    assert [code(city, path, **params) for _ in range(5)] == [0, 0, 0, 14, 14]
    facts = city.city.limits.facts()
    told = {"rows": 3 * rows, "most_in_a_day": 3 * rows, "refused": 2}
    assert facts["cloud"] == {BOSS: {category: told}}
    assert facts["cloud_violations"] == 2
    assert facts["violations"] == 0


def test_personal_stats_are_counted_too(build: Any):
    city = build(cloud_rows=1)
    paths = ("/user/personalstats", "/user/150001/personalstats", "/user/basic")
    assert [code(city, path, cat="all") for path in paths] == [0, 14, 0]


def test_rows_are_counted_for_each_owner_and_category(build: Any):
    city = build(cloud_rows=10)
    asked = {"cat": "armoryAction", "limit": 10}
    assert code(city, "/faction/news", **asked) == 0
    assert code(city, "/faction/news", "second", **asked) == 14
    assert code(city, "/faction/news", "rival", **asked) == 0
    assert code(city, "/user/log", limit=10) == 0
    assert code(city, "/faction/attacks") == 0


def test_the_day_of_rows_rolls_in_the_worlds_time(build: Any):
    city = build(cloud_rows=20)
    asked = {"cat": "armoryAction", "limit": 10}
    for _ in range(2):
        assert code(city, "/faction/news", **asked) == 0
        city.city.clock.advance(12 * 3_600 - 1)
    assert code(city, "/faction/news", **asked) == 14
    city.city.clock.advance(2)
    assert [code(city, "/faction/news", **asked) for _ in range(2)] == [0, 14]


def test_an_answer_from_the_cache_costs_no_rows(build: Any):
    city = build(cloud_rows=20, cache=29)
    asked = {"cat": "armoryAction", "limit": 10}
    assert [code(city, "/faction/news", **asked) for _ in range(9)] == [0] * 9
    assert city.city.limits.facts()["cloud"][BOSS]["news"]["rows"] == 10


def test_the_limit_is_50000_rows_by_default():
    assert Rules().cloud_rows == 50_000
