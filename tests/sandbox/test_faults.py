"""Everything that goes wrong with Torn can be switched on."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx2
import pytest

from tcdatalogger.sandbox.api.errors import TEXTS
from tcdatalogger.sandbox.api.faults import Fault, Faults


@pytest.mark.parametrize("code", sorted(TEXTS))
def test_every_error_of_torn_can_be_asked_for(city: Any, code: int):
    city.sandbox.fault("error", code=code, times=1)
    assert city.json("/faction/basic")["error"] == {"code": code, "error": TEXTS[code]}
    assert "basic" in city.json("/faction/basic")


@pytest.mark.parametrize("status", [401, 403, 429, 500, 502, 503])
def test_http_errors_are_pages_of_html(city: Any, status: int):
    city.sandbox.fault("http", status=status, times=1)
    answer = city.get("/faction/basic")
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.text.startswith("<html>")


def test_429_says_when_to_come_back(city: Any):
    city.sandbox.fault("http", status=429, retry_after="17", times=1)
    assert city.get("/faction/basic").headers["Retry-After"] == "17"


def test_bodies_can_be_empty_or_truncated(city: Any):
    whole = city.get("/faction/basic").content
    city.sandbox.fault("empty", times=1)
    city.sandbox.fault("truncated", times=1)
    assert city.get("/faction/basic").content == b""
    half = city.get("/faction/basic").content
    assert whole.startswith(half)
    assert 0 < len(half) < len(whole)
    with pytest.raises(json.JSONDecodeError):
        json.loads(half)


@pytest.mark.parametrize("kind", ["cut", "reset"])
@pytest.mark.parametrize("path", ["/faction/basic", "/torn/items"])
def test_connections_can_break(city: Any, kind: str, path: str):
    city.sandbox.fault(kind, times=1)
    with pytest.raises((httpx2.ReadError, httpx2.RemoteProtocolError)):
        city.get(path)
    assert city.error(path) == 0


def test_an_error_can_stand_inside_a_selection(city: Any):
    city.sandbox.fault("inside", code=27, times=1)
    body = city.json("/faction/crimes")
    assert body["crimes"] == {"code": 27, "error": TEXTS[27]}
    assert "error" not in body


def test_a_list_can_come_as_a_map(city: Any):
    crimes = city.json("/faction/crimes")["crimes"]
    city.sandbox.fault("map", times=1)
    assert city.json("/faction/crimes")["crimes"] == {str(row["id"]): row for row in crimes}


def test_an_answer_can_be_slow(city: Any):
    city.sandbox.fault("delay", seconds=0.2, times=1)
    begun = time.monotonic()
    assert city.error("/faction/basic") == 0
    assert time.monotonic() - begun >= 0.2


def test_a_fault_can_be_for_one_path_one_key_or_later(city: Any):
    city.sandbox.fault("error", code=9, path="/faction/crimes", times=1)
    city.sandbox.fault("error", code=10, key="rival", times=1)
    city.sandbox.fault("error", code=24, path="/torn", after=2, times=1)
    assert city.error("/faction/basic") == 0
    assert city.error("/faction/crimes") == 9
    assert city.error("/faction/basic", "rival") == 10
    assert [city.error("/torn/timestamp") for _ in range(4)] == [0, 0, 24, 0]


def test_faults_follow_each_other_in_the_order_of_the_script(city: Any):
    for code in (5, 17, 9):
        city.sandbox.fault("error", code=code, times=2)
    assert [city.error("/faction/basic") for _ in range(7)] == [5, 5, 17, 17, 9, 9, 0]


def test_a_rate_is_kept_and_is_the_same_in_every_run():
    def struck() -> list[bool]:
        faults = Faults(7)
        faults.add(Fault("error", rate=0.2))
        return [faults.strike("/x", "full") is not None for _ in range(2_000)]

    assert struck() == struck()
    assert 300 < sum(struck()) < 500


def test_faults_are_counted_and_can_be_cleared(city: Any):
    city.sandbox.fault("error", code=17)
    assert [city.error("/faction/basic") for _ in range(3)] == [17] * 3
    city.sandbox.clear_faults()
    assert city.error("/faction/basic") == 0
    stats = city.sandbox.stats()
    assert stats["faults"] == {"error": 3}
    assert stats["errors"] == {"17": 3}


@pytest.mark.parametrize(
    "facts", [{"kind": "nonsense"}, {"kind": "http", "status": 418}, {"kind": "error", "rate": 2}]
)
def test_a_fault_that_makes_no_sense_is_refused(city: Any, facts: dict[str, Any]):
    with pytest.raises(ValueError, match=r"is one of|a fault has|share"):
        city.sandbox.fault(**facts)
