"""The parts wired together: keys, budgets, and one failing endpoint among several."""

from __future__ import annotations

import pytest

from tcdatalogger.clock import ManualClock
from tcdatalogger.core.main import KEY_INFO_SECONDS
from tcdatalogger.core.state.run_id import new_run_id
from tcdatalogger.errors import KeyRefused, UsageError

LOG = '[[endpoints]]\nname = "user_log"\npath = "/user/log"\n'


def calls(city):
    """How often each path was called so far."""
    return dict(city.stats()["paths"])


def since(before, city):
    return {
        path: count - before.get(path, 0)
        for path, count in calls(city).items()
        if count != before.get(path, 0)
    }


@pytest.mark.slow
def test_several_endpoints_of_one_key_ask_about_it_once(workplace, city):
    before = calls(city)

    with workplace.application() as application:
        for endpoint in application.chosen(everything=True):
            application.run(endpoint)

    assert since(before, city) == {
        "/key/info": 1,
        "/faction/crimes": 3,
        "/faction/members": 1,
        "/faction/balance": 1,
        "/faction/basic": 1,
        "/torn/items": 1,
    }


def test_what_torn_says_of_a_key_is_asked_again_after_a_minute(workplace, city):
    before = calls(city)
    for wait in (0, KEY_INFO_SECONDS - 5, 10):
        workplace.clock.sleep(wait)
        workplace.log("faction_basic")

    assert since(before, city)["/key/info"] == 2


def test_a_dead_key_is_called_once_however_many_endpoints_use_it(workplace, city):
    workplace.key = city.keys["dead"]
    before = calls(city)

    with workplace.application() as application:
        outcomes = [application.run(e) for e in application.chosen(everything=True)]

    assert since(before, city) == {"/key/info": 1}
    assert all(isinstance(outcome.error, KeyRefused) for outcome in outcomes)
    assert {outcome.record.exit_code for outcome in outcomes} == {77}


def test_a_key_of_too_low_a_level_makes_no_call_but_the_one_about_itself(workplace, city):
    workplace.key = city.keys["minimal"]
    workplace.write(LOG)
    before = calls(city)

    outcome = workplace.log("user_log")

    assert since(before, city) == {"/key/info": 1}
    assert isinstance(outcome.error, KeyRefused)
    assert "full" in outcome.error.message


def test_a_key_without_faction_access_makes_no_call_either(workplace, city):
    workplace.key = city.keys["other"]
    before = calls(city)

    outcome = workplace.log("faction_balance")

    assert since(before, city) == {"/key/info": 1}
    assert "API access in the faction" in outcome.error.message


def test_calls_of_all_runs_share_one_budget(workplace, city):
    began = workplace.clock.now()
    with workplace.application("limits.share=0.05") as application:
        (endpoint,) = application.chosen(["faction_crimes"])
        for _ in range(3):
            assert application.run(endpoint).error is None
    with workplace.application("limits.share=0.05") as application:
        (endpoint,) = application.chosen(["faction_basic"])
        application.run(endpoint)

    assert workplace.clock.now() - began > 60  # 11 calls, 5 a minute: two windows were waited for


def test_rows_are_about_the_faction_the_player_or_the_city_as_the_path_says(workplace):
    workplace.write(
        '[[endpoints]]\nname = "user_basic"\npath = "/user/basic"\n'
        '[[endpoints]]\nname = "faction_basic"\npath = "/faction/basic"\n'
        '[[endpoints]]\nname = "torn_items"\npath = "/torn/items"\n'
        '[[endpoints]]\nname = "others"\npath = "/faction/basic"\n'.replace(
            '"others"\npath = "/faction/basic"', '"others"\npath = "/faction/40991/basic"'
        )
    )
    workplace.run("run", "--all")

    subject = {
        name: workplace.value(f"select any_value(_subject_id) from {name}")
        for name in ("user_basic", "faction_basic", "torn_items", "others")
    }
    assert subject == {
        "user_basic": workplace.value("select id from user_basic"),
        "faction_basic": 40832,
        "torn_items": None,
        "others": 40991,
    }


def test_an_endpoint_that_is_not_there_names_the_near_one(workplace):
    with workplace.application() as application, pytest.raises(UsageError) as refused:
        application.chosen(["faction_crime"])

    assert refused.value.remedy == "Did you mean 'faction_crimes'?"


def test_names_are_taken_once_and_in_the_order_given(workplace):
    with workplace.application() as application:
        chosen = application.chosen(["torn_items", "faction_basic", "torn_items"])

    assert [endpoint.name for endpoint in chosen] == ["torn_items", "faction_basic"]


def test_run_ids_sort_by_time_and_do_not_meet():
    clock = ManualClock()
    first = {new_run_id(clock) for _ in range(100)}
    clock.sleep(1)

    assert len(first) == 100
    assert max(first) < new_run_id(clock)
    assert min(first).startswith("20260101T000000Z-")
