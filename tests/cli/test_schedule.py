"""`tcdatalogger schedule`: what it says before and after, for people and for programs."""

from __future__ import annotations

import json
import time

import pytest

from tcdatalogger.core.config import configuration
from tcdatalogger.core.state.due import DueQueue
from tcdatalogger.core.state.plans import plans
from tcdatalogger.core.state.store import State


@pytest.fixture
def served(workplace):
    """A place whose endpoints are due later: crimes first."""
    settings = configuration.load(workplace.file, {})
    now = time.time()
    with State(settings.state.url) as state:
        queue, planned = DueQueue(state), plans(settings)
        queue.sync(planned.values(), now, alone=True)
        for plan in planned.values():
            queue.served(plan, now, now)
    return workplace


def test_where_nothing_is_due_it_says_so_and_what_comes_next(served):
    done = served.run("schedule", "--once", "--log-format", "human")

    assert (done.code, done.out) == (0, "Nothing is due.\n")
    first, last = done.err.splitlines()
    assert first.startswith("2 endpoints, 4 workers; faction_")
    assert " comes next: in " in first
    assert "/metrics" not in first
    assert last.startswith("Ended after ")
    assert last.endswith(": 0 runs.")


def test_its_json_is_a_list_also_of_nothing_and_its_log_lines_are_json(served):
    done = served.run("schedule", "--until-idle", "--json")

    assert (done.code, done.json) == (0, [])
    events = [json.loads(line)["event"] for line in done.err.splitlines()]
    assert (events[0], events[-1]) == ("scheduler_started", "scheduler_finished")
