"""What people are shown, as values: what the tests of the commands leave unsaid."""

from __future__ import annotations

import pytest

from tcdatalogger.core.state.store import RunRecord
from tcdatalogger.core.views.runs import newest, view
from tcdatalogger.core.views.status import status
from tcdatalogger.sandbox.api.server import START


def test_the_calls_that_are_left_are_those_that_the_budget_gives(workplace):
    workplace.write(extra="[limits]\nshare = 0.29\n")
    workplace.log("faction_basic")

    with workplace.application() as application:
        found = status(application.settings, application.state, START, workplace.environ)
        most = application.budget.calls

    (owner,) = found.owners
    assert owner.calls_used > 0
    assert owner.calls_used + owner.calls_left == most == 29


def test_before_the_first_run_there_is_a_status_and_no_run(workplace):
    with workplace.application() as application:
        settings = application.settings
    found = status(settings, None, START, {})

    assert [one.endpoint for one in found.endpoints] == [one.name for one in settings.endpoints]
    assert {one.last_run for one in found.endpoints} == {None}
    assert (found.owners, found.keys, found.held) == ((), (), ())
    assert newest(None) == ()


@pytest.mark.parametrize(
    ("facts", "result"),
    [
        ({"status": "done"}, "done"),
        ({"status": "done", "unchanged": True}, "unchanged"),
        ({"status": "failed", "error_class": "Busy"}, "failed: Busy"),
        ({"status": "paused", "step": "validate"}, "paused after validate"),
        ({"status": "crashed"}, "crashed"),
    ],
)
def test_what_became_of_a_run_is_said_in_a_word_or_two(facts, result):
    assert view(RunRecord("1", "faction_basic", START, **facts)).result == result


@pytest.mark.parametrize(
    ("facts", "calls", "seconds"),
    [
        ({"status": "running"}, 0, 0),
        ({"status": "crashed"}, None, None),
        ({"status": "crashed", "calls": 3}, 3, 0),
        ({"status": "superseded", "settled": True}, None, None),
        ({"status": "done", "calls": 2, "seconds": {"fetch": 1.0, "store": 0.5}}, 2, 1.5),
    ],
)
def test_what_nobody_wrote_down_is_not_said_to_be_nothing(facts, calls, seconds):
    found = view(RunRecord("1", "faction_basic", START, **facts))

    assert (found.calls, found.seconds) == (calls, seconds)


def test_a_run_that_goes_on_is_as_late_as_its_beginning():
    going = view(RunRecord("1", "faction_basic", START))
    ended = view(RunRecord("1", "faction_basic", START, finished_at=START + 5))

    assert (going.ended, going.latest) == (None, going.began)
    assert (ended.latest - ended.began).total_seconds() == 5
