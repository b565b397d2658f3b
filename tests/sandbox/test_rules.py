"""Torn's rules: keys, levels, errors, limits and the cache."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from tcdatalogger.sandbox.api.city import City, CityRequest, Rules
from tcdatalogger.sandbox.api.server import START
from tcdatalogger.sandbox.world.clock import WorldClock
from tcdatalogger.services.torncity.catalog.catalog import load

ERRORS = (
    ("/faction/members", "sandboxNobody001", 2),
    ("/faction/members", "", 1),
    ("/faction/members", "dead", 2),
    ("/faction/crimes", "public", 16),
    ("/faction/balance", "minimal", 16),
    ("/user/log", "limited", 16),
    ("/faction/crimes", "other", 7),
    ("/faction/balance", "other", 7),
    ("/faction/nonsense", "full", 4),
    ("/faction", "full", 4),
    ("/faction/currency", "full", 22),
    ("/torn/rankedwars", "full", 22),
    ("/faction/99/basic", "full", 6),
    ("/faction/0/members", "full", 6),
    ("/faction/abc/members", "full", 6),
    ("/user/7/basic", "full", 6),
    ("/faction/1/crime", "full", 6),
    ("/torn/999999/items", "full", 6),
    ("/faction/crimes?cat=nonsense", "full", 21),
    ("/faction/news", "full", 21),
    ("/faction/news?cat=nonsense", "full", 21),
    ("/torn/items?cat=Nonsense", "full", 21),
    ("/faction/news?cat=attack", "minimal", 16),
    ("/faction/crimes?filters=nonsense", "full", 4),
    ("/faction/attacks?filters=nonsense", "full", 4),
    ("/faction/attacks?limit=many", "full", 3),
    ("/faction/attacks?from=yesterday", "full", 3),
    ("/user?selections=log,basic", "full", 4),
)


@pytest.mark.parametrize(("path", "key", "code"), ERRORS)
def test_a_call_that_may_not_be_gets_torns_error_with_http_200(
    city: Any, path: str, key: str, code: int
):
    answer = city.get(path, key)
    assert answer.status_code == 200
    error = answer.json()["error"]
    assert error["code"] == code
    assert isinstance(error["error"], str)


ALLOWED = (
    ("/faction/members", "public"),
    ("/faction/crimes", "minimal"),
    ("/faction/balance", "limited"),
    ("/faction/balance", "second"),
    ("/user/log", "full"),
    ("/faction/members", "other"),
    ("/faction/40991/basic", "other"),
    ("/faction/crimes", "rival"),
)


@pytest.mark.parametrize(("path", "key"), ALLOWED)
def test_a_call_that_may_be_is_answered(city: Any, path: str, key: str):
    assert city.error(path, key) == 0


def test_every_endpoint_asks_for_the_level_that_the_catalogue_says(build: Any):
    city = build()
    levels = ("public", "minimal", "limited", "full")
    for endpoint in load().endpoints:
        if endpoint.route or endpoint.path_parameters:
            continue
        for place, key in enumerate(levels):
            body = city.raw(endpoint.path, key=key, cat="x", name="x")
            refused = b'"code":16,' in body
            assert refused == (place < levels.index(endpoint.access)), endpoint.path


def test_the_key_may_be_in_the_query_instead(city: Any):
    assert "timestamp" in city.json("/torn/timestamp?key=sandboxFull00001", key="")


def test_a_key_says_what_it_is(city: Any):
    info = city.json("/key/info", "second")["info"]
    assert info["user"] == {"id": 150001, "faction_id": 40832, "company_id": None}
    assert info["access"]["level"] == 3
    assert info["access"]["type"] == "Limited Access"
    assert info["access"]["faction"] is True
    assert "crimes" in info["selections"]["faction"]
    assert "log" not in info["selections"]["user"]
    assert city.json("/key/info", "full")["info"]["user"]["id"] == 150001
    assert city.json("/key/info", "other")["info"]["access"]["faction"] is False


def test_what_is_shown_depends_on_the_key(city: Any):
    assert city.json("/faction/basic", "limited")["basic"]["is_enlisted"] is not None
    assert city.json("/faction/basic", "public")["basic"]["is_enlisted"] is None
    assert city.json("/faction/basic", "other")["basic"]["is_enlisted"] is None
    for key, known in (("limited", True), ("public", False), ("other", False)):
        members = city.json("/faction/members", key)["members"]
        assert all((m["revive_setting"] != "Unknown") == known for m in members)
    strangers = city.json("/faction/40991/members", "full")["members"]
    assert not any(m["is_in_oc"] for m in strangers)


def test_selections_can_be_asked_for_together(city: Any):
    body = city.json("/faction?selections=basic,members,timestamp")
    assert list(body) == ["basic", "members", "timestamp"]
    assert city.json("/faction/40991?selections=basic")["basic"]["id"] == 40991
    assert city.json("/faction/basic?id=40991")["basic"]["id"] == 40991


def test_the_101st_call_of_a_user_in_a_minute_is_refused_over_all_keys(strict: Any):
    keys = ("full", "second", "public", "limited")
    codes = [strict.error("/torn/timestamp", keys[n % 4]) for n in range(102)]
    assert codes == [0] * 100 + [5, 5]
    assert strict.error("/torn/timestamp", "rival") == 0
    strict.sandbox.advance(59.9)
    assert strict.error("/torn/timestamp") == 5
    strict.sandbox.advance(0.1)
    assert strict.error("/torn/timestamp") == 0
    stats = strict.sandbox.stats()
    assert stats["violations"] == 3
    assert stats["owners"]["150001"]["calls"] == 104
    assert stats["owners"]["150001"]["most_in_a_window"] == 103


def test_the_minute_rolls_and_does_not_start_anew_at_the_full_minute(strict: Any):
    for second in range(100):
        strict.sandbox.advance(0.5)
        assert strict.error("/torn/timestamp") == 0, second
    assert strict.error("/torn/timestamp") == 5
    strict.sandbox.advance(10)
    assert strict.error("/torn/timestamp") == 5
    strict.sandbox.advance(0.5)
    assert [strict.error("/torn/timestamp") for _ in range(2)] == [0, 5]


def test_an_address_may_call_1000_times_a_minute():
    city = City(7, WorldClock(START), Rules(budget="world", per_user=10_000))
    asked = CityRequest("/torn/timestamp", {}, "ApiKey sandboxFull00001")
    bodies = [city.answer(asked).body for _ in range(1_001)]
    assert b'"code":5,' not in bodies[999]
    assert b'"code":5,' in bodies[1_000]
    other = CityRequest("/torn/timestamp", {}, "ApiKey sandboxFull00001", address="127.0.0.2")
    assert b'"code":5,' not in city.answer(other).body


def test_calls_with_dead_keys_are_counted(strict: Any):
    for key in ("dead", "dead", "sandboxNobody001"):
        strict.error("/torn/timestamp", key)
    assert strict.sandbox.stats()["dead_key_calls"] == {"dead": 2, "unknown": 1}


def test_an_answer_is_given_again_for_29_seconds(strict: Any):
    first = strict.json("/torn/timestamp")
    strict.sandbox.advance(28)
    assert strict.json("/torn/timestamp") == first
    strict.sandbox.advance(1)
    assert strict.json("/torn/timestamp")["timestamp"] == first["timestamp"] + 29


def test_a_timestamp_goes_around_the_cache(strict: Any):
    first = strict.json("/torn/timestamp")
    strict.sandbox.advance(5)
    fresh = strict.json("/torn/timestamp?timestamp=1")
    assert fresh["timestamp"] == first["timestamp"] + 5
    assert strict.json("/torn/timestamp") == first


def test_the_cache_does_not_look_at_other_parameters(strict: Any):
    first = strict.json("/faction/attacks?limit=5")
    link = first["_metadata"]["links"]["prev"]
    assert strict.get(link).json() == first
    assert strict.get(link + "&timestamp=1").json() != first
    assert strict.json("/faction/40832/basic") != first
    assert strict.json("/faction/attacks?limit=5", "rival") != first


def test_the_date_is_the_worlds(city: Any):
    assert parsedate_to_datetime(city.get("/torn/timestamp").headers["Date"]).timestamp() == START
    city.sandbox.advance(3600)
    answer = city.get("/torn/timestamp")
    assert answer.headers.get_list("Date") == ["Thu, 01 Jan 2026 01:00:00 GMT"]
    assert answer.json()["timestamp"] == START + 3600


def test_a_large_answer_is_compressed_only_where_that_is_asked_for(city: Any):
    plain = city.get("/torn/items", **{"Accept-Encoding": "identity"})
    packed = city.get("/torn/items", **{"Accept-Encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content


def test_json_is_written_as_php_writes_it(city: Any):
    body = city.get("/faction/crimes?limit=100", **{"Accept-Encoding": "identity"}).content
    assert body.isascii()
    assert b"\\u00c1ngels" in body
    assert b"http:\\/\\/127.0.0.1" in body
    assert b'"progress":100}' in body
    assert b".0}" not in body
    assert b'": ' not in body


def test_snapshots_are_csv(city: Any):
    answer = city.get("/faction/snapshot")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    lines = answer.text.splitlines()
    assert lines[0].startswith("id,name,tag,")
    assert len(lines) == 7
