"""Pages and the links between them, as Torn cuts them."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tcdatalogger.sandbox.api.server import START
from tcdatalogger.sandbox.world.people import DAY

NOW = int(START)


TIMES = {
    "/faction/attacks": ("attacks", "ended", 50),
    "/faction/attacksfull": ("attacks", "ended", 400),
    "/faction/news": ("news", "timestamp", 60),
    "/faction/chains": ("chains", "start", 3),
    "/user/log": ("log", "timestamp", 30),
    "/user/events": ("events", "timestamp", 30),
}


@pytest.mark.parametrize("path", TIMES)
def test_going_back_by_prev_brings_every_row_and_only_boundaries_twice(build: Any, path: str):
    name, field, limit = TIMES[path]
    city = build(history=60 * DAY)
    more = {"cat": "armoryAction,depositFunds"} if path.endswith("news") else {}
    pages = city.walk(path, "prev", name, limit=limit, **more)
    assert len(pages) > 2
    for older, newer in zip(pages[1:], pages[:-1], strict=True):
        boundary = newer[-1][field]
        assert older[0][field] == boundary
        shared = {str(row["id"]) for row in older} & {str(row["id"]) for row in newer}
        assert shared == {str(row["id"]) for row in older if row[field] == boundary}
    rows = {str(row["id"]): row for page in pages for row in page}
    times = [row[field] for row in rows.values()]
    assert times == sorted(times, reverse=True)
    if path not in {"/user/log", "/user/events"}:
        onward = city.walk(path, "next", name, limit=limit, sort="ASC", **more)
        assert {str(row["id"]) for page in onward for row in page} == set(rows)
        assert onward[0][0] == pages[-1][-1]


def test_a_newest_first_page_leads_to_older_rows_by_prev_alone(build: Any):
    links = build().json("/faction/attacks", limit=5)["_metadata"]["links"]
    assert links["next"] is None
    assert "?&limit=5&sort=desc&to=" in links["prev"]


def test_an_oldest_first_page_leads_on_by_next(build: Any):
    body = build().json("/faction/attacks", limit=5, sort="ASC")
    assert body["_metadata"]["links"]["prev"] is None
    last = body["attacks"][-1]["ended"]
    assert body["_metadata"]["links"]["next"].endswith(f"?&from={last}&limit=5&sort=asc")


def test_a_page_that_is_not_full_is_the_end(build: Any):
    city = build()
    rows = city.json("/faction/attacks", limit=100, from_=NOW - DAY // 4)["attacks"]
    assert 0 < len(rows) < 100
    assert city.json("/faction/attacks", from_=NOW - DAY // 4)["_metadata"]["links"]["prev"] is None


def test_a_list_without_rows_has_no_links(build: Any):
    body = build().json("/faction/attacks", from_=NOW + 5, to=NOW + 9)
    assert body == {"attacks": [], "_metadata": {"links": {"prev": None, "next": None}}}


def test_from_and_to_include_their_own_second(build: Any):
    city = build()
    rows = city.json("/faction/attacks", limit=100)["attacks"]
    low, high = rows[60]["ended"], rows[20]["ended"]
    found = city.json("/faction/attacks", limit=100, from_=low, to=high)["attacks"]
    assert [row["id"] for row in found] == [row["id"] for row in rows[20:61]]


def test_links_carry_neither_key_nor_comment_nor_timestamp(build: Any):
    city = build()
    body = city.json(
        "/faction/attacks", limit=3, key="full", comment="me", timestamp=1, striptags="true"
    )
    link = body["_metadata"]["links"]["prev"]
    assert set(dict(parse_qsl(urlsplit(link).query))) == {"limit", "sort", "stripTags", "to"}


def test_attacks_can_be_paged_by_id(build: Any):
    city = build(history=20 * DAY)
    by_time = {
        row["id"] for page in city.walk("/faction/attacks", "prev", "attacks") for row in page
    }
    by_id = [
        row["id"]
        for page in city.walk("/faction/attacks", "prev", "attacks", filters="idFilter", limit=30)
        for row in page
    ]
    assert set(by_id) == by_time
    assert sorted(by_id, reverse=True) == by_id


def test_attacks_can_be_filtered_by_their_direction(build: Any):
    city = build()
    ours = {member["id"] for member in city.json("/faction/members")["members"]}
    out = city.json("/faction/attacks", filters="outgoing")["attacks"]
    both = city.json("/faction/attacks", filters="incoming,outgoing")["attacks"]
    assert all(row["attacker"]["id"] in ours for row in out)
    assert any(row["attacker"] is None or row["attacker"]["id"] not in ours for row in both)


def test_the_default_page_of_crimes_has_20_rows_and_the_largest_100(build: Any):
    city = build()
    assert len(city.json("/faction/crimes")["crimes"]) == 20
    assert len(city.json("/faction/crimes", limit=100)["crimes"]) == 100
    assert len(city.json("/faction/crimes", limit=5_000)["crimes"]) == 100


def test_going_on_by_offset_brings_every_crime_once(build: Any):
    city = build()
    pages = city.walk("/faction/crimes", "next", "crimes", limit=60, cat="all")
    ids = [crime["id"] for page in pages for crime in page]
    assert len(ids) == len(set(ids)) > 200
    known = city.city.world.crimes
    whole = known.listed(city.city.world.crimes.find(ids[0], NOW).home, "all", "created_at", NOW)
    assert ids == [crime.id for _, crime in reversed(whole)]
    assert [len(page) for page in pages[:-1]] == [60] * (len(pages) - 1)


def test_an_offset_page_leads_back_too(build: Any):
    links = build().json("/faction/crimes", limit=10, offset=30, cat="all")["_metadata"]["links"]
    assert links["prev"].endswith("/faction/crimes?cat=all&limit=10&offset=20")
    assert links["next"].endswith("/faction/crimes?cat=all&limit=10&offset=40")


CATEGORIES = {
    "all": ("created_at", {"Recruiting", "Planning", "Successful", "Failure", "Expired"}),
    "available": ("created_at", {"Recruiting", "Planning"}),
    "recruiting": ("expired_at", {"Recruiting"}),
    "planning": ("ready_at", {"Planning"}),
    "successful": ("executed_at", {"Successful"}),
    "failure": ("executed_at", {"Failure"}),
    "completed": ("executed_at", {"Successful", "Failure"}),
    "expired": ("expired_at", {"Expired"}),
}


@pytest.mark.parametrize("category", CATEGORIES)
def test_a_category_of_crimes_has_its_statuses_and_its_order(build: Any, category: str):
    field, statuses = CATEGORIES[category]
    city = build()
    found = city.json("/faction/crimes", cat=category, limit=100)["crimes"]
    assert found
    assert {crime["status"] for crime in found} <= statuses
    times = [crime[field] for crime in found]
    assert times == sorted(times, reverse=True)
    upwards = city.json("/faction/crimes", cat=category, limit=100, sort="ASC")["crimes"]
    times = [crime[field] for crime in upwards]
    assert times == sorted(times)


def test_filters_choose_the_field_that_bounds_and_orders_crimes(build: Any):
    city = build()
    low, high = NOW - 20 * DAY, NOW - 10 * DAY
    asked = {"filters": "executed_at", "limit": 100, "from_": low, "to": high}
    found = [crime["executed_at"] for crime in city.json("/faction/crimes", **asked)["crimes"]]
    assert found
    assert found == sorted(found, reverse=True)
    assert low <= min(found) <= max(found) <= high


def test_search_goes_on_by_an_opaque_cursor(build: Any):
    pages = build().walk("/user/search", "next", "search", name="fox")
    ids = [row["id"] for page in pages for row in page]
    assert len(ids) == len(set(ids)) > 25


def test_the_log_says_its_nanostamp_and_goes_on_from_it(build: Any):
    city = build()
    first = city.json("/user/log", limit=10)
    stamp = first["_metadata"]["nanostamp"]
    second = city.json("/user/log", limit=10, nanostamp=stamp)
    assert second["log"][0] == first["log"][-1]
    assert second["log"][1] not in first["log"]
