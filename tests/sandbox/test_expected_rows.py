"""Years of history, and the world's own books of them."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from effort import calls
from tcdatalogger.sandbox.api.server import START
from tcdatalogger.sandbox.world.bursts import Bursts, Corrections
from tcdatalogger.sandbox.world.news import CATEGORIES
from tcdatalogger.sandbox.world.people import DAY, HOUR

NOW = int(START)
YEARS = 5 * 365 * DAY

LISTS = {
    "attacks": ("/faction/attacks", "attacks", {"limit": 100}),
    "attacksfull": ("/faction/attacksfull", "attacks", {"limit": 1000}),
    "user_attacks": ("/user/attacks", "attacks", {"limit": 100}),
    "user_attacksfull": ("/user/attacksfull", "attacks", {"limit": 1000}),
    "chains": ("/faction/chains", "chains", {"limit": 100}),
    "events": ("/user/events", "events", {"limit": 100}),
    "log": ("/user/log", "log", {"limit": 100}),
    "news:main": ("/faction/news", "news", {"limit": 100, "cat": "main"}),
    "news:attack": ("/faction/news", "news", {"limit": 100, "cat": "attack"}),
    "news:depositFunds": ("/faction/news", "news", {"limit": 100, "cat": "depositFunds"}),
}
ROWS = {
    "attacks": (30_000, 60_000),
    "news": (20_000, 40_000),
    "crimes": (2_000, 4_000),
    "user_attacks": (500, 5_000),
    "chains": (100, 1_000),
    "log": (10_000, 40_000),
    "events": (5_000, 20_000),
}


@pytest.fixture(scope="module")
def old(build: Any) -> Any:
    """A city with five years behind it."""
    return build(history=YEARS)


def once(pages: list[list[Any]]) -> dict[str, Any]:
    return {str(row["id"]): row for page in pages for row in page}


LONGEST = ("attacks", "attacksfull", "log", "news:attack")


@pytest.mark.parametrize(
    "what",
    [pytest.param(what, marks=[pytest.mark.slow] if what in LONGEST else []) for what in LISTS],
)
def test_paging_through_five_years_brings_exactly_what_the_books_say(old: Any, what: str):
    path, name, params = LISTS[what]
    book = old.city.expected(what)
    found = once(old.walk(path, "prev", name, **params))
    assert len(found) == len(book)
    assert list(found.values())[::-1] == book


def test_paging_through_all_crimes_brings_exactly_what_the_books_say(old: Any):
    found = once(old.walk("/faction/crimes", "next", "crimes", limit=100, cat="all"))
    assert list(found.values())[::-1] == old.city.expected("crimes")


def test_the_news_tell_of_every_crime_that_was_carried_out(build: Any):
    # Without the books of the crimes: the news find each crime by themselves.
    told = build(history=200 * DAY).city.expected("news:crime", NOW - 180 * DAY)
    crimes = build(history=200 * DAY).city.expected("crimes")
    done = [crime["executed_at"] for crime in crimes if crime["executed_at"]]
    assert sorted(at for at in done if at >= NOW - 180 * DAY) == [
        row["timestamp"] for row in told if row["text"].startswith("The faction")
    ]


@pytest.mark.parametrize("what", ROWS)
@pytest.mark.slow
def test_five_years_are_tens_of_thousands_of_rows(old: Any, what: str):
    low, high = ROWS[what]
    rows = old.city.expected(what)
    assert low < len(rows) < high
    assert len({str(row["id"]) for row in rows}) == len(rows)


@pytest.mark.slow  # it writes the books of five years
def test_there_is_no_month_without_attacks_news_and_crimes(old: Any):
    for what, field in (("attacks", "ended"), ("news", "timestamp"), ("crimes", "created_at")):
        months = {(row[field] - NOW + YEARS) // (30 * DAY) for row in old.city.expected(what)}
        assert months == set(range(YEARS // (30 * DAY) + 1))


def test_a_page_from_years_ago_is_as_cheap_as_the_last_one(old: Any):
    old.city.expected("crimes")
    for path, params in (
        ("/faction/attacks", {}),
        ("/user/log", {}),
        ("/faction/news", {"cat": "crime,attack,armoryAction"}),
        ("/faction/crimes", {"cat": "completed"}),
    ):
        costs = []
        for years in (0, 1, 2, 3, 4):
            asked = {"limit": 100, "to": NOW - years * 365 * DAY - HOUR, **params}
            old.json(path, **asked)
            costs.append(calls(partial(old.raw, path, **asked)))
            assert len(old.raw(path, **asked)) > 1_000
        assert max(costs) < 1.1 * min(costs), path


def test_books_are_bounded_by_seconds_that_are_both_included(old: Any):
    rows = old.city.expected("attacks", NOW - 900 * DAY, NOW - 890 * DAY)
    inner = old.city.expected("attacks", rows[5]["ended"], rows[-5]["ended"])
    assert inner == rows[5:-4]


def test_books_of_one_category_make_up_the_books_of_all_news(old: Any):
    low = NOW - 40 * DAY
    every = {row["id"]: row for row in old.city.expected("news", low)}
    parts = {r["id"]: r for name in CATEGORIES for r in old.city.expected(f"news:{name}", low)}
    assert parts == every
    times = [row["timestamp"] for row in every.values()]
    assert times == sorted(times)


def test_books_are_those_of_the_owner_of_the_key(old: Any):
    low = NOW - 90 * DAY
    ours, theirs = (old.city.expected("crimes", low, key=key) for key in ("full", "rival"))
    assert not {row["id"] for row in ours} & {row["id"] for row in theirs}
    assert theirs[-1] == old.json("/faction/crimes", key="rival", cat="all", limit=1)["crimes"][0]


def test_books_take_the_parameters_of_their_endpoint(old: Any):
    low = NOW - 30 * DAY
    plain = old.city.expected("news:giveFunds", low, striptags="true")
    assert plain
    assert not any("<" in row["text"] for row in plain)
    assert any("<" in row["text"] for row in old.city.expected("news:giveFunds", low))


@pytest.mark.parametrize("what", ["nonsense", "news:nonsense", "attacks:main", ""])
def test_a_book_that_is_not_kept_is_refused(old: Any, what: str):
    with pytest.raises(ValueError, match="there are lists of attacks"):
        old.city.expected(what)


def test_books_are_open_over_http_too(city: Any):
    url = city.sandbox.url.removesuffix("/v2") + "/_sandbox/expected_rows"
    told = city.http.post(url, json={"what": "attacks", "since": NOW - DAY}).json()["rows"]
    assert told == city.sandbox.expected("attacks", NOW - DAY)
    assert told[::-1] == city.json(f"/faction/attacks?from={NOW - DAY}")["attacks"]


def test_users_see_their_own_part_of_the_factions_attacks(old: Any):
    low = NOW - 200 * DAY
    faction = {row["id"]: row for row in old.city.expected("attacks", low)}
    mine = old.city.expected("user_attacks", low)
    assert all(faction[row["id"]] == row for row in mine)
    sides = ("attacker", "defender")
    assert {row["id"] for row in mine} == {
        number
        for number, row in faction.items()
        if 150001 in [row[side]["id"] for side in sides if row[side]]
    }
    out = old.json("/user/attacks", filters="outgoing", from_=low)["attacks"]
    assert {row["attacker"]["id"] for row in out} == {150001}


def test_a_line_of_the_log_stays_what_it_was(build: Any):
    city = build()
    paths = ("/user/log", "/user/events", "/faction/revives", "/faction/raids", "/user/trades")
    before = {path: city.json(path, to=NOW - DAY) for path in paths}
    city.city.clock.advance(3 * DAY)
    for path, body in before.items():
        assert city.json(path, to=NOW - DAY) == body, path


def test_the_log_is_the_same_by_every_road_to_it(build: Any):
    city = build()
    assert city.json("/user", selections="log") == {
        **city.json("/user/log"),
        "_metadata": city.json("/user", selections="log")["_metadata"],
    }
    assert (
        city.json("/user/events")["events"]
        == (city.json("/user/events", striptags="true", comment="me")["events"])
    )


SAME = ("attacks", "news:main", "crimes", "chains", "log", "events")


@pytest.mark.parametrize("what", SAME)
def test_the_same_seed_and_time_give_the_same_books(build: Any, what: str):
    rules: dict[str, Any] = {
        "bursts": Bursts(every=20),
        "corrections": Corrections(share=0.2),
        "history": 90 * DAY,
    }
    ran = build(start=START - DAY, **{**rules, "history": 89 * DAY})
    ran.city.expected(what)
    ran.city.clock.advance(DAY)
    assert ran.city.expected(what) == build(**rules).city.expected(what)


@pytest.mark.parametrize(
    ("what", "field"), [("attacks", "respect_gain"), ("attacks", "respect_loss"), ("news", "text")]
)
def test_rows_are_edited_hours_later_where_the_rules_say_so(build: Any, what: str, field: str):
    city = build(corrections=Corrections(share=0.2, within=3 * DAY), history=30 * DAY)
    low = NOW - 20 * DAY
    shown = {row["id"]: row for row in city.city.expected(what, low)}
    city.city.clock.advance(3 * DAY)
    later = {row["id"]: row for row in city.city.expected(what, low, NOW)}
    edited = {number for number in shown if shown[number] != later[number]}
    assert shown.keys() == later.keys()
    assert any(shown[number][field] != later[number][field] for number in edited)
    clock = "ended" if what == "attacks" else "timestamp"
    assert all(shown[number][clock] > NOW - 3 * DAY for number in edited)
    plain = {row["id"]: row for row in build(history=30 * DAY).city.expected(what, low)}
    share = sum(plain[number] != later[number] for number in plain) / len(plain)
    assert 0.1 < share < 0.25
    city.city.clock.advance(30 * DAY)
    assert {row["id"]: row for row in city.city.expected(what, low, NOW)} == later


def test_nothing_is_edited_by_default(build: Any):
    city = build()
    before = (
        city.city.expected("news", NOW - 9 * DAY),
        city.city.expected("attacks", NOW - 9 * DAY),
    )
    city.city.clock.advance(9 * DAY)
    low, high = NOW - 9 * DAY, NOW
    assert city.city.expected("news", low, high) == before[0]
    assert city.city.expected("attacks", low, high) == before[1]


@pytest.mark.parametrize("facts", [{"share": 2}, {"share": -0.1}, {"within": HOUR}])
def test_corrections_that_make_no_sense_are_refused(facts: dict[str, Any]):
    with pytest.raises(ValueError, match="share is from 0 to 1"):
        Corrections(**facts)
