"""A run has a limit of time in its own process."""

import signal
import time

import pytest

from tcdatalogger.core.run.timeout import deadline
from tcdatalogger.errors import TimedOut


def work_for_ever():
    with deadline(0.02, "faction_crimes"):
        while True:
            time.monotonic()


def test_what_takes_longer_than_its_timeout_ends_with_124():
    with pytest.raises(TimedOut, match="faction_crimes took longer than its timeout") as caught:
        work_for_ever()
    assert caught.value.exit_code == 124


def test_a_commit_that_has_begun_is_not_cut_off():
    with deadline(60, "faction_crimes") as begun:
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
        begun()
        assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_without_a_timeout_nothing_ends():
    with deadline(None, "faction_crimes"):
        assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_a_signal_to_end_waits_for_a_commit_that_has_begun():
    steps = []

    def end(number, _frame):
        steps.append("ended")

    before = signal.signal(signal.SIGTERM, end)
    try:
        with deadline(None, "faction_crimes") as begun:
            begun()
            signal.raise_signal(signal.SIGTERM)
            steps.append("committed")
        steps.append("told")
    finally:
        signal.signal(signal.SIGTERM, before)

    assert steps == ["committed", "ended", "told"]


def interrupted_query():
    """What DuckDB makes of an exception that comes within a query."""
    with deadline(0.02, "crimes"):
        try:
            while True:
                time.monotonic()
        except TimedOut:
            raise RuntimeError("Query interrupted") from None


def test_a_limit_that_comes_within_a_query_is_told_as_what_it_is():
    with pytest.raises(TimedOut, match="crimes took longer than its timeout"):
        interrupted_query()


def test_another_error_is_left_as_it_is():
    with pytest.raises(RuntimeError, match="mine"), deadline(10, "crimes"):
        raise RuntimeError("mine")
