"""Times in which Torn answers nobody, and keys that die in the middle."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tcdatalogger.sandbox.api.outages import Outage
from tcdatalogger.sandbox.api.server import START


@pytest.mark.parametrize(("kind", "code"), [("closed", 9), ("block", 8)])
def test_an_outage_may_answer_with_an_error_of_torns(city: Any, kind: str, code: int):
    city.sandbox.outage(kind, seconds=600)
    for path, key in (("/faction/basic", "full"), ("/torn/items", "rival"), ("/key/info", "")):
        assert city.error(path, key) == code
    city.sandbox.advance(599)
    assert city.error("/faction/basic") == code
    city.sandbox.advance(1)
    assert city.error("/faction/basic") == 0


def test_an_outage_may_be_a_page_of_html(city: Any):
    city.sandbox.outage("down", seconds=60)
    answer = city.get("/faction/basic")
    assert answer.status_code == 502
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.text.startswith("<html>")


def test_an_outage_may_reset_every_connection(city: Any):
    city.sandbox.outage("reset", seconds=60)
    for _ in range(2):
        with pytest.raises((httpx2.ReadError, httpx2.RemoteProtocolError)):
            city.get("/faction/basic")
    city.sandbox.advance(60)
    assert city.error("/faction/basic") == 0


def test_an_outage_can_be_planned_ahead(city: Any):
    city.sandbox.outage("closed", after=100, seconds=50)
    codes = []
    for _ in range(4):
        codes.append(city.error("/torn/timestamp"))
        city.sandbox.advance(50)
    assert codes == [0, 0, 9, 0]


def test_outages_can_be_part_of_the_rules(build: Any):
    planned = (Outage("closed", START + 10, START + 20), Outage("block", START + 15, START + 30))
    city = build(outages=planned)
    codes = []
    for _ in range(4):
        codes.append(city.json("/torn/timestamp").get("error", {"code": 0})["code"])
        city.city.clock.advance(10)
    assert codes == [0, 9, 8, 0]


def test_calls_in_an_outage_are_counted_but_use_up_no_limit(strict: Any):
    strict.sandbox.outage("closed", seconds=5)
    for _ in range(120):
        strict.error("/torn/timestamp")
    stats = strict.sandbox.stats()
    assert stats["outages"] == {"closed": 120}
    assert stats["errors"] == {"9": 120}
    assert stats["calls"] == 120
    assert stats["violations"] == 0
    strict.sandbox.clear_outages()
    assert strict.error("/torn/timestamp") == 0


def test_outages_are_planned_and_cleared_over_http_too(city: Any):
    url = city.sandbox.url.removesuffix("/v2") + "/_sandbox/outages"
    plan = [
        {"kind": "down", "seconds": 5},
        {"kind": "closed", "since": START + 5, "until": START + 9},
    ]
    assert city.http.post(url, json=plan).json() == {"outages": 2}
    assert city.get("/torn/timestamp").status_code == 502
    city.sandbox.advance(5)
    assert city.error("/torn/timestamp") == 9
    assert city.http.delete(url).json() == {"outages": 0}
    assert city.error("/torn/timestamp") == 0
    assert "error" in city.http.post(url, json={"kind": "nonsense", "seconds": 5}).json()


@pytest.mark.parametrize(
    "facts",
    [
        {"kind": "nonsense", "seconds": 5},
        {"kind": "down"},
        {"kind": "down", "seconds": 0},
        {"kind": "down", "since": START, "until": START - 1},
        {"kind": "down", "seconds": 5, "colour": 1},
    ],
)
def test_an_outage_that_makes_no_sense_is_refused(city: Any, facts: dict[str, Any]):
    with pytest.raises(ValueError, match=r"kind is one of|an outage"):
        city.sandbox.outage(**facts)


def test_a_key_can_die_after_so_many_calls(city: Any):
    city.sandbox.key("full", dies_after=17)
    codes = [city.error("/torn/timestamp") for _ in range(20)]
    assert codes == [0] * 17 + [2] * 3
    assert city.error("/torn/timestamp", "second") == 0
    assert city.sandbox.stats()["dead_key_calls"] == {"full": 3}


def test_a_key_can_die_at_a_time_of_the_world(city: Any):
    city.sandbox.key("full", dies_at=START + 100, dies_of=13)
    assert city.error("/torn/timestamp") == 0
    city.sandbox.advance(100)
    assert city.error("/torn/timestamp") == 13
    assert city.error("/torn/timestamp", "limited") == 0


def test_a_key_that_died_can_come_back_for_good(city: Any):
    city.sandbox.key("full", dies_after=1, dies_of=18)
    assert [city.error("/torn/timestamp") for _ in range(2)] == [0, 18]
    city.sandbox.key("full", refusal=0)
    assert [city.error("/torn/timestamp") for _ in range(3)] == [0, 0, 0]
    city.sandbox.key("full", refusal=0, dies_after=1)
    assert [city.error("/torn/timestamp") for _ in range(2)] == [0, 2]


def test_a_call_over_the_limit_costs_a_key_nothing(strict: Any):
    strict.sandbox.key("full", dies_after=2)
    for _ in range(100):
        strict.error("/torn/timestamp", "second")
    assert strict.error("/torn/timestamp") == 5
    strict.sandbox.advance(60)
    assert [strict.error("/torn/timestamp") for _ in range(3)] == [0, 0, 2]
