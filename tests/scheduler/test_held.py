"""A run is held up between its commit and its end, and nobody takes it for what it is not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tcdatalogger.core.config import configuration
from tcdatalogger.core.run.pending_limits import TRIES
from tcdatalogger.core.state.leases import PRUNE
from tcdatalogger.core.state.store import PENDING, RunRecord, State
from tcdatalogger.errors import Busy
from tcdatalogger.scheduler import daemon
from tcdatalogger.scheduler.daemon import Daemon

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="ends processes as Linux does"),
    pytest.mark.slow,
]

PLACES = ("close", "forget", "prune", "report", "exit", "say")

# A daemon whose signs of life come quickly, and a processor that holds its process at a place.
OFTEN = """
import sys
from tcdatalogger.cli import main
from tcdatalogger.scheduler import daemon
daemon.BEAT = 0.1
sys.exit(main(sys.argv[1:]))
"""
HOLDS = '''


def beats():
    """How often the daemon has shown that it lives since this was asked first, in the end twice."""
    import sqlite3
    seen, end = set(), time.monotonic() + 120
    while len(seen) < 3:
        assert time.monotonic() < end
        with sqlite3.connect("torn.state.sqlite", timeout=20) as db:
            seen.update(db.execute("select beat_at from daemons").fetchall())
        db.close()
        time.sleep(0.01)


class Hold(EndpointProcessor):
    def fetch_data(self):
        from tcdatalogger.core.archive import Archive
        from tcdatalogger.core.run.run import Run
        from tcdatalogger.core.state import store
        from tcdatalogger.scheduler import executor, worker
        owner, name = {
            "close": (Run, "_close"), "forget": (store.State, "forget"),
            "prune": (Archive, "prune"), "report": (worker, "reported"),
            "exit": (store.State, "close"), "say": (executor.Report, "packed"),
        }[self.task.name.removeprefix("hold_")]
        whole = getattr(owner, name)

        def held(*args, **options):
            beats()
            done = whole(*args, **options)
            beats()
            note("held", self.task.name)
            return done

        setattr(owner, name, held)
        return super().fetch_data()
'''


@pytest.fixture
def holding(yard):
    module = yard.folder / "hostile.py"
    module.write_text(module.read_text(encoding="utf-8") + HOLDS, encoding="utf-8")
    points = yard.folder / "hostile-1.0.dist-info" / "entry_points.txt"
    points.write_text(points.read_text(encoding="utf-8") + "hold = hostile:Hold\n")
    return yard


def test_a_run_that_is_held_up_between_its_commit_and_its_end_is_left_alone_and_runs_once(holding):
    names = [f"hold_{place}" for place in PLACES]
    holding.write(*((name, 'processor = "hold"') for name in names))

    environ = {**holding.environ, "TCDATALOGGER_ARCHIVE__KEEP": "P1Y"}
    done = subprocess.run(
        [sys.executable, "-c", OFTEN, "schedule", "--until-idle", "--json", "--workers",
         str(len(names))],
        cwd=holding.place.folder, env=environ, capture_output=True, text=True, check=False,
        timeout=300,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    ran = [run["endpoint"] for run in json.loads(done.stdout)]
    assert sorted(set(ran) - {PRUNE}) == sorted(names)
    assert len(ran) <= len(names) + 1
    assert set(holding.noted("held")) == set(names)
    for name in names:
        assert [run.status for run in holding.runs(name)] == ["done"], name
        assert holding.place.value(f"select count(distinct _run_id) from {name}") == 1
    with holding.state() as state:
        due = state.reading("select min(due_at), max(attempt) from agenda")
        assert (due[0][0] > time.time(), due[0][1]) == (True, 0)
        assert state.leases.held() == []


class Asked:
    """A run that goes on until it is told to end, behind the seam."""

    waitables, pid = (), 0

    def __init__(self):
        self.job, self.told = None, []

    def __call__(self, job):
        self.job = job
        return self

    def ended(self):
        return None

    def terminate(self):
        self.told.append("terminate")

    def kill(self):
        self.told.append("kill")

    def close(self):
        pass


@pytest.fixture
def running(workplace):
    """A daemon with one run that has begun."""
    workplace.write('[[endpoints]]\nname = "members"\npath = "/faction/members"\n'
                    'frequency = "PT1H"\ntimeout = "PT1M"\n')  # fmt: skip
    settings = configuration.load(workplace.file, {})
    with State(workplace.folder / "torn.state.sqlite") as state:
        executor = Asked()
        it = Daemon(settings, state, executor)
        it._sync()
        yield it, executor, state


def test_a_beat_ends_a_run_only_when_somebody_else_is_named(running):
    it, executor, state = running
    it._begin()
    state.leases.release(executor.job.claim)
    it._beat()
    assert executor.told == []

    state.leases.claim("members", "another's", owner="host/space/1/0/mark")
    it._beat_at = 0.0
    it._beat()

    assert executor.told == ["kill"]
    assert [run.cause for run in it._running.values()] == ["claim"]


@pytest.mark.parametrize("told", ["timeout", "stop"])
def test_what_the_daemon_told_a_run_to_end_for_is_not_overwritten(running, told):
    it, executor, state = running
    it._begin()
    [run] = it._running.values()
    run.end_for(told)
    state.leases.release(executor.job.claim)
    state.leases.claim("members", "another's", owner="host/space/1/0/mark")

    it._beat()

    assert (run.cause, executor.told) == (told, ["kill"])


@pytest.mark.parametrize("tries", [None, 0, 3])
def test_what_is_pending_has_its_own_time_beside_that_of_the_run(running, monkeypatch, tries):
    it, _, state = running
    if tries is not None:
        pending = RunRecord("one", "members", 1.0, status=PENDING, tries=tries)
        state.write_run(pending)
    monkeypatch.setattr(daemon.time, "monotonic", lambda: 1_000.0)
    it._begin()

    [run] = it._running.values()
    grace = it._settings.scheduler.grace.seconds
    assert run.term_at == 1_000 + 60 + (0 if tries is None else 60 * (1 + tries)) + grace
    assert TRIES == 5


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_that_somebody_else_ended_is_to_be_tried_again_and_no_bug(yard, number):
    yard.write(("hang", "retries = 0"))
    with subprocess.Popen(
        [sys.executable, "-m", "tcdatalogger", "schedule", "--once", "--json"],
        cwd=yard.place.folder, env=yard.environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        [run] = yard.until(lambda: yard.pids)
        os.kill(run, number)
        out, _ = process.communicate(timeout=120)

    assert process.returncode == Busy.exit_code
    [told] = json.loads(out)
    assert told["error"]["class"] in {"Killed", "Stopped"}
    assert "bug" not in told["error"]["remedy"]
