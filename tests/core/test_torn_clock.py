"""Moments of the past go by Torn's clock, whatever this machine's clock says."""

from __future__ import annotations

import pytest

from tcdatalogger.clock import ManualClock
from tcdatalogger.sandbox.api.server import START

DAY = 86_400
YEAR = 365 * DAY
LISTS = "".join(
    f'[[endpoints]]\nname = "{name}"\npath = "/faction/{name}"\n' for name in ("attacks", "crimes")
)


@pytest.fixture
def place(settle):
    return settle(LISTS, history=40 * DAY)


def asked(place, name, **options):
    """From which second on each list was asked for."""
    pages = place.log(name, **options).fetched.pages
    return [dict(page.answer.request.params).get("from") for page in pages]


@pytest.mark.parametrize("wrong", [-YEAR, YEAR])
def test_the_first_run_goes_back_from_torns_time(place, wrong):
    place.clock = ManualClock(START + wrong)

    assert asked(place, "attacks")[0] == str(int(START) - DAY)
    assert place.value("select count(*) from attacks") > 0


def test_a_process_that_knows_its_key_from_another_goes_by_torns_clock_too(place):
    place.clock = ManualClock(START + YEAR)
    with place.application() as application:
        application.info(application.key("default"))
    calls = place.city.stats()["keys"]["limited"]

    outcome = place.log("attacks")
    assert outcome.record.calls == place.city.stats()["keys"]["limited"] - calls
    assert outcome.record.calls == outcome.record.pages  # its key was not asked about again
    assert place.value("select count(*) from attacks") > 0


def test_a_state_from_before_asks_once_more_what_time_it_is(place):
    place.clock = ManualClock(START + YEAR)
    with place.application() as application:
        application.info(application.key("default"))
        with application.state.writing() as db:
            db.execute("delete from torn_clock")

    assert asked(place, "attacks")[0] == str(int(START) - DAY)


def test_a_clock_that_was_set_back_asks_once_more_what_time_it_is(place):
    place.clock = ManualClock(START + YEAR)
    with place.application() as application:
        application.info(application.key("default"))
    place.clock = ManualClock(START)

    assert asked(place, "attacks")[0] == str(int(START) - DAY)


def test_crimes_that_wait_for_their_payout_are_looked_for_by_torns_clock(place):
    place.log("crimes", "since=P30D")
    right = asked(place, "crimes")
    place.clock = ManualClock(START + YEAR)

    assert asked(place, "crimes") == right
    assert any(int(begin) < START - DAY for begin in right if begin)


def test_a_backfill_goes_back_from_torns_time(place):
    place.clock = ManualClock(START + YEAR)
    place.log("attacks")
    few = place.value("select count(*) from attacks")

    done = place.run("backfill", "attacks", "--since", "P5D", "--json")
    assert done.code == 0, done.err
    assert place.value("select count(*) from attacks") > few
    oldest = place.value("select epoch(min(ended)) from attacks")
    assert START - 5 * DAY <= oldest < START - DAY


def test_a_backfill_without_a_run_before_begins_at_torns_time(place):
    place.clock = ManualClock(START - YEAR)

    assert place.run("backfill", "attacks", "--since", "P5D").code == 0
    assert place.value("select epoch(max(ended)) from attacks") > START - DAY
