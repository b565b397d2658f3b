"""`tcdatalogger schedule`: what it says before and after, for people and for programs."""

from __future__ import annotations

import json
import time

import pytest

from tcdatalogger.core.config import configuration
from tcdatalogger.core.state.due import DueQueue
from tcdatalogger.core.state.heartbeats import Heartbeat, Heartbeats
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


def test_a_second_scheduler_says_at_its_start_that_another_one_lives(served):
    now = time.time()
    settings = configuration.load(served.file, {})
    with State(settings.state.url) as state:
        Heartbeats(state).write(Heartbeat("far/x/4711/1/y", "far", 4711, now - 60, now, 4, 0))

    first = served.run("schedule", "--once", "--log-format", "human").err.splitlines()[0]
    told = json.loads(served.run("schedule", "--once", "--json").err.splitlines()[0])

    assert first.startswith("Another scheduler of this installation lives, and both share the work")
    assert "process 4711 on far, since 20" in first
    assert (told["event"], told["pid"], told["host"]) == ("scheduler_not_alone", 4711, "far")


def test_its_json_is_a_list_also_of_nothing_and_its_log_lines_are_json(served):
    done = served.run("schedule", "--until-idle", "--json")

    assert (done.code, done.json) == (0, [])
    events = [json.loads(line)["event"] for line in done.err.splitlines()]
    assert (events[0], events[-1]) == ("scheduler_started", "scheduler_finished")
