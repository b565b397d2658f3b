"""The rules of what is known of keys and of Torn."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcdatalogger.services.torncity.catalog import catalog
from tcdatalogger.services.torncity.client import error_codes
from tcdatalogger.services.torncity.client.error_codes import DAY, DOWN_AFTER
from tcdatalogger.services.torncity.client.key_health import (
    BACKOFF,
    CATEGORIES,
    CircuitBreaker,
    RowQuota,
    category,
    entered,
    failed,
    frees_at,
    key_state,
)


@pytest.mark.parametrize(
    ("number", "path", "until"),
    [(2, "", math.inf), (18, "", 4_600.0), (16, "/user/log", 1_000 + 6 * 3_600)],
)
def test_an_error_says_for_what_and_how_long_a_key_is_refused(number, path, until):
    mark = key_state(
        error_codes.BY_NUMBER[number], "key:a", "/user/log", 1_000.0, 3_600.0, "default"
    )

    assert (mark.path, mark.until, mark.name) == (path, until, "default")
    assert mark.refuses("/user/log", 1_000.0)
    assert mark.refuses("/user/basic", 1_000.0) == (path == "")
    assert not mark.refuses("/user/log", until + 1)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/user/events", "events"),
        ("/user/newevents", "events"),
        ("/user/log", "activity_log"),
        ("/user/personalstats", "personal_stats"),
        ("/user/158/personalstats", "personal_stats"),
        ("/faction/news", "faction_news"),
        ("/company/news", ""),
        ("/user/attacks", ""),
        ("/key/log", ""),
    ],
)
def test_a_path_draws_on_the_rows_of_its_category(path, name):
    assert category(path) == name


def test_every_path_with_rows_of_the_day_is_in_the_catalogue():
    known = {endpoint.path for endpoint in catalog.load().endpoints}
    assert {path for paths in CATEGORIES.values() for path in paths} <= known


@given(
    st.lists(st.tuples(st.integers(0, 2 * int(DAY)), st.integers(0, 60)), max_size=30),
    st.integers(0, 100),
)
def test_rows_fit_again_at_the_time_that_is_said_and_not_before(given, wanted):
    now = 2 * int(DAY)
    rows = [RowQuota(str(n), at, count) for n, (at, count) in enumerate(given)]
    at = frees_at(rows, wanted, 100, now)

    def total(moment):
        return sum(one.count for one in rows if one.at > moment - DAY)

    assert total(at) + wanted <= 100 or at == now
    if at > now:
        assert total(at - 1) + wanted > 100


def test_the_circuit_opens_after_some_faults_in_a_row_and_lets_one_probe_through():
    circuit = CircuitBreaker()
    for _ in range(DOWN_AFTER - 1):
        circuit = failed(circuit, 100.0, 1)
        assert not circuit.open
    circuit = failed(circuit, 100.0, 1)
    assert circuit.wait(100.0) == 30.0
    assert circuit.wait(130.0) == 0.0

    probed = entered(circuit, 130.0)
    assert probed.wait(130.0) > 0
    assert probed.wait(130.0 + 150.0) == 0.0  # the prober never came back


@given(st.lists(st.tuples(st.floats(0, 700), st.integers(1, 5)), max_size=60))
def test_no_pause_is_longer_than_the_longest_and_none_shrinks(faults):
    circuit, now = CircuitBreaker(), 0.0
    for pause, weight in faults:
        now += pause
        after = failed(circuit, now, weight)
        assert circuit.pause <= after.pause <= BACKOFF.longest
        assert after.until <= now + BACKOFF.longest
        circuit = after


def test_calls_that_were_under_way_when_it_opened_make_the_pause_no_longer():
    circuit = failed(CircuitBreaker(), 100.0, DOWN_AFTER)
    later = failed(circuit, 101.0, 1)
    assert (later.pause, later.until) == (circuit.pause, circuit.until)
