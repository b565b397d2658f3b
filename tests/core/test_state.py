"""The state: runs, and what Torn says of keys. Calls and health are in test_state_budget.py."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys

import pytest

from tcdatalogger.core.state import RunRecord, State
from tcdatalogger.errors import Busy, ConfigError
from tcdatalogger.services.torncity.keys import KeyInfo

INFO = KeyInfo(
    owner_id=158,
    faction_id=40832,
    company_id=None,
    level=3,
    access_type="Limited Access",
    faction_access=True,
    selections={"user": ("basic", "log")},
)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "state.sqlite"


@pytest.fixture
def state(file):
    with State(file) as opened:
        yield opened


def run(number, **facts):
    facts = {"endpoint": "faction_crimes", "started_at": 1000.0 + number, **facts}
    return RunRecord(f"run-{number}", **facts)


# Runs


def test_a_run_comes_back_as_it_was_written(state):
    record = run(
        1,
        status="done",
        seconds={"fetch": 0.5},
        rows={"faction_crimes": 3},
        warnings=("odd",),
        steps=("+ table faction_crimes",),
        server_time=1.5,
    )

    state.write_run(run(1))
    state.write_run(record)

    assert state.runs() == [record]


def test_the_newest_runs_come_first_and_can_be_asked_for_by_endpoint_or_id(state):
    for number in range(5):
        state.write_run(run(number, endpoint="ab"[number % 2]))

    assert [r.run_id for r in state.runs(most=2)] == ["run-4", "run-3"]
    assert [r.run_id for r in state.runs(endpoint="b")] == ["run-3", "run-1"]
    assert [r.run_id for r in state.runs(run_id="run-2")] == ["run-2"]
    assert state.runs(run_id="run-9") == []


def test_runs_outlive_the_process(file):
    with State(file) as first:
        first.write_run(run(1, status="done"))
    with State(file) as second:
        assert [r.status for r in second.runs()] == ["done"]


def test_a_run_of_another_version_is_read_as_far_as_it_is_known(state, file):
    state.write_run(run(1))
    with sqlite3.connect(file) as db:
        db.execute("update runs set facts = json_set(facts, '$.mood', 'sunny')")
    db.close()

    assert state.runs() == [run(1)]


def test_a_run_whose_process_is_gone_is_lost_and_the_others_are_not(state):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    here = socket.gethostname()
    state.write_run(run(1, pid=gone.pid, host=here))
    state.write_run(run(2, pid=os.getpid(), host=here))
    state.write_run(run(3, pid=gone.pid, host="another machine"))
    state.write_run(run(4, pid=gone.pid, host=here, status="done"))

    assert [r.run_id for r in state.mark_lost()] == ["run-1"]

    assert [r.status for r in state.runs()] == ["done", "running", "running", "lost"]
    assert state.mark_lost() == []


# Keys


def test_what_torn_said_of_a_key_is_remembered_with_its_time(state):
    assert state.key("key:abc") is None

    state.write_key("key:abc", INFO, 1000.0)

    assert state.key("key:abc") == (INFO, 1000.0)


# What goes wrong


def test_a_state_that_cannot_be_made_is_refused_with_a_remedy(tmp_path):
    (tmp_path / "taken").write_text("a file")

    with pytest.raises(ConfigError, match="taken") as refused:
        State(tmp_path / "taken" / "state.sqlite")

    assert "state.url" in refused.value.remedy


def test_a_file_of_another_kind_is_refused_and_left_alone(file):
    file.write_text("no database " * 100)

    with pytest.raises(ConfigError, match="not a database"):
        State(file)

    assert file.read_text().startswith("no database")


def test_a_state_that_another_process_writes_for_too_long_is_busy(state, file):
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("begin immediate")
    state._db.execute("pragma busy_timeout = 10")

    with pytest.raises(Busy, match="another process"):
        state.write_run(run(1))

    other.execute("rollback")
    other.close()
    state.write_run(run(1))
    assert len(state.runs()) == 1


def test_a_state_that_was_never_closed_can_be_opened_again(file):
    first = State(file)
    first.write_run(run(1))
    with State(file) as second:
        second.write_run(run(2))
        assert len(first.runs()) == 2
    first.close()
