"""The world is a function of seed and time, and its parts agree with each other."""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcdatalogger.sandbox.api.server import START
from tcdatalogger.sandbox.world import people
from tcdatalogger.sandbox.world.crimebook import CrimeBook
from tcdatalogger.sandbox.world.crimes import LONGEST, render
from tcdatalogger.sandbox.world.market import GOODS
from tcdatalogger.sandbox.world.people import DAY, FACTIONS
from tcdatalogger.sandbox.world.scenarios import SCENARIOS

HOME = FACTIONS[0]
NOW = int(START)
QUESTIONS = (
    ("/faction/crimes", {"limit": 100}),
    ("/faction/members", {}),
    ("/faction/basic", {}),
    ("/faction/balance", {}),
    ("/torn/items", {"cat": "Weapon"}),
    ("/faction/news", {"cat": "crime,membership"}),
    ("/faction/attacks", {}),
    ("/faction/chains", {}),
    ("/user/profile", {}),
    ("/user/log", {"limit": 50}),
)


@pytest.mark.parametrize(("path", "params"), QUESTIONS)
def test_the_same_seed_and_time_give_the_same_answer(build: Any, path: str, params: Any):
    assert build().raw(path, **params) == build().raw(path, **params)


@pytest.mark.parametrize(("path", "params"), QUESTIONS)
def test_another_seed_gives_another_city(build: Any, path: str, params: Any):
    assert build().raw(path, **params) != build(seed=8).raw(path, **params)


def test_what_was_asked_before_changes_nothing(build: Any):
    start = START - 3 * DAY
    asked, fresh = build(start=start), build(start=start)
    for _ in range(12):
        asked.city.clock.advance(6 * 3600)
        for path, params in QUESTIONS:
            asked.raw(path, **params)
    fresh.city.clock.advance(3 * DAY)
    for path, params in reversed(QUESTIONS):
        assert asked.raw(path, **params) == fresh.raw(path, **params)


def test_a_city_that_ran_to_a_time_is_the_city_that_starts_there(build: Any):
    ran = build(start=START - DAY, history=179 * DAY)
    ran.city.clock.advance(DAY)
    began = build(start=START)
    for path, params in QUESTIONS:
        assert ran.raw(path, **params) == began.raw(path, **params)


def test_a_few_hours_change_members_crimes_and_prices(build: Any):
    city = build()
    before = {path: city.raw(path, **params) for path, params in QUESTIONS}
    city.city.clock.advance(6 * 3600)
    after = {path: city.raw(path, **params) for path, params in QUESTIONS}
    for path in ("/faction/members", "/faction/crimes", "/torn/items", "/faction/attacks"):
        assert before[path] != after[path]


def test_nothing_is_older_than_the_history(build: Any):
    city = build(history=30 * DAY)
    since = NOW - 30 * DAY
    crimes = city.json("/faction/crimes", limit=100)
    assert min(crime["created_at"] for crime in crimes["crimes"]) >= since
    oldest = city.json("/faction/attacks", sort="ASC", limit=1)["attacks"][0]["ended"]
    assert since <= oldest < since + DAY


BOOK = CrimeBook(7, NOW - 400 * DAY)


@pytest.fixture
def book() -> CrimeBook:
    return BOOK


def test_a_crime_is_found_by_its_id(book: CrimeBook):
    for home in FACTIONS:
        for crime in book.created(home, NOW - 90 * DAY, NOW):
            assert book.find(crime.id, NOW) == crime
            assert book.find(crime.id, crime.created - 1) is None


def test_crimes_of_all_kinds_and_ends_occur(book: CrimeBook):
    crimes = book.created(HOME, NOW - 300 * DAY, NOW)
    seen = {crime.status(t) for crime in crimes for t in (crime.created, NOW)}
    assert seen == {"Recruiting", "Planning", "Successful", "Failure", "Expired"} - {"Planning"} | {
        crime.status(crime.full) for crime in crimes if crime.full
    }
    assert any(crime.payout for crime in crimes)
    assert any(crime.succeeds and not crime.payout for crime in crimes)
    assert any(crime.items for crime in crimes if crime.succeeds)
    assert any(crime.previous for crime in crimes)
    assert any(all(slot.user is None for slot in crime.slots) for crime in crimes)


def test_crimes_end_within_the_longest_life(book: CrimeBook):
    for home in FACTIONS:
        for crime in book.created(home, NOW - 300 * DAY, NOW):
            assert crime.settled - crime.created < LONGEST


def test_nobody_is_in_two_crimes_at_once(book: CrimeBook):
    spans = defaultdict(list)
    for crime in book.created(HOME, NOW - 200 * DAY, NOW):
        end = crime.executed or crime.expires
        for slot in crime.slots:
            if slot.user:
                spans[slot.user].append((slot.joined, end))
    assert spans
    for taken in spans.values():
        for (_, end), (start, _) in pairwise(sorted(taken)):
            assert end < start


ORDER = {"Recruiting": 0, "Planning": 1, "Successful": 2, "Failure": 2, "Expired": 2}


@given(st.integers(0, 500), st.integers(0, 5), st.lists(st.floats(0, 1), min_size=4, max_size=12))
def test_the_life_of_a_crime_only_goes_forward(nth: int, place: int, moments: list[float]):
    crimes = BOOK.created(FACTIONS[place], NOW - 60 * DAY, NOW)
    crime = crimes[nth % len(crimes)]
    times = sorted(crime.created + int(part * LONGEST) for part in moments)
    states = [render(crime, 7, 150_001, t) for t in times]
    for old, new in pairwise(json.loads(json.dumps(states))):
        assert old["id"] == new["id"]
        assert ORDER[old["status"]] <= ORDER[new["status"]]
        if ORDER[old["status"]] == 2:
            assert old["status"] == new["status"]
        for name in ("planning_at", "ready_at", "executed_at", "rewards"):
            assert old[name] is None or new[name] is not None
        if old["rewards"] and old["rewards"]["payout"]:
            assert old["rewards"] == new["rewards"]
        for before, after in zip(old["slots"], new["slots"], strict=True):
            assert before["position"] == after["position"]
            if before["user"]:
                assert after["user"]["id"] == before["user"]["id"]
                assert after["user"]["progress"] >= before["user"]["progress"]


def test_nothing_is_known_of_the_outcome_before_the_execution(book: CrimeBook):
    crimes = [c for c in book.created(HOME, NOW - 60 * DAY, NOW) if c.executed]
    assert crimes
    for crime in crimes:
        before = render(crime, 7, 1, (crime.executed or 0) - 1)
        after = render(crime, 7, 1, crime.executed or 0)
        assert before["rewards"] is None
        assert (after["rewards"] is not None) == (after["status"] == "Successful")
        for old, new in zip(before["slots"], after["slots"], strict=True):
            hidden = (old["user"]["outcome"], old["user"]["item_outcome"])
            assert hidden == (None, None)
            assert new["user"]["outcome"]
            assert (new["user"]["item_outcome"] is None) == (new["item_requirement"] is None)


def test_a_crime_that_is_settled_never_changes_again(book: CrimeBook):
    for crime in book.created(HOME, NOW - 60 * DAY, NOW):
        assert render(crime, 7, 1, crime.settled) == render(crime, 7, 1, crime.settled + 90 * DAY)


def test_a_payout_shows_in_the_balances_of_that_second(build: Any):
    city = build(start=START - 30 * DAY)
    crimes = city.city.world.crimes.created(HOME, NOW - 28 * DAY, NOW)
    paid = [c for c in crimes if c.money and c.payout and c.payout.kind == "balance"]
    crime = min(paid, key=lambda crime: crime.payout.paid_at if crime.payout else 0)
    assert crime.payout
    users = {slot.user for slot in crime.slots}

    def money() -> dict[int, int]:
        found = city.json("/faction/balance")["balance"]["members"]
        return {member["id"]: member["money"] for member in found}

    city.city.clock.advance(crime.payout.paid_at - 1 - city.city.clock.now())
    before = money()
    city.city.clock.advance(1)
    after = money()
    share = int(crime.money * crime.payout.percentage / 100) // len(users)
    assert {user: after[user] - before[user] for user in after if after[user] != before[user]} == (
        dict.fromkeys(users, share)
    )


def test_members_come_and_go_and_the_news_tell_of_it(build: Any):
    city = build(history=400 * DAY)
    news = city.json("/faction/news", cat="membership", limit=100, striptags="true")["news"]
    assert {entry["text"].rsplit(" ", 3)[1] for entry in news} == {"left", "joined"}
    for entry in news:
        at = entry["timestamp"]
        before = {p.id for p in people.members(7, HOME, at - 1)}
        after = {p.id for p in people.members(7, HOME, at)}
        joined = entry["text"].endswith("joined the faction")
        assert len(after) == len(before) + (1 if joined else -1)


def test_members_are_seen_in_every_state_and_some_stay_away_for_days(build: Any):
    city = build()
    states, ages = set(), []
    for _ in range(12):
        for member in city.json("/faction/members")["members"]:
            states.add(member["status"]["state"])
            now = int(city.city.clock.now())
            ages.append(now - member["last_action"]["timestamp"])
            until = member["status"]["until"]
            assert until is None or until > now
            assert (until is not None) == (member["status"]["state"] in {"Hospital", "Jail"})
            assert ("plane_image_type" in member["status"]) == (
                member["status"]["state"] == "Traveling"
            )
        city.city.clock.advance(3 * 3600)
    assert states == {"Okay", "Hospital", "Jail", "Traveling", "Abroad"}
    assert min(ages) == 0
    assert max(ages) > 3 * DAY


def test_whoever_is_said_to_be_in_a_crime_is_in_one(build: Any):
    city = build()
    crimes = city.json("/faction/crimes", cat="available", limit=100)["crimes"]
    users = {slot["user"]["id"] for c in crimes for slot in c["slots"] if slot["user"]}
    members = city.json("/faction/members")["members"]
    assert users
    assert users == {member["id"] for member in members if member["is_in_oc"]}


def test_weapons_and_armour_have_details_and_nothing_else_has(build: Any):
    items = build().json("/torn/items")["items"]
    assert len(items) == len(GOODS)
    for item in items:
        assert (item["details"] is not None) == (item["type"] in {"Weapon", "Armor"})
        sold = item["value"]["shops"]
        assert item["value"]["buy_price"] == (sold[0]["buy_price"] if sold else None)


def test_items_have_one_id_each_and_crimes_ask_for_real_ones():
    ids = [good.id for good in GOODS]
    assert len(ids) == len(set(ids)) > 300
    needed = {item for scenario in SCENARIOS for _, item in scenario.roles if item}
    won = {item for scenario in SCENARIOS for item, _ in scenario.items}
    assert needed | won <= set(ids)


def test_every_user_of_the_city_is_found_by_their_id(build: Any):
    city = build()
    for member in city.json("/faction/members")["members"]:
        profile = city.json(f"/user/{member['id']}/basic")["profile"]
        assert (profile["name"], profile["level"]) == (member["name"], member["level"])
        assert profile["status"] == member["status"]
