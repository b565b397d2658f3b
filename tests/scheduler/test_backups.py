"""Backups that the scheduler makes: in a process of their own, one at a time, and told of."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from tcdatalogger.core.config import configuration
from tcdatalogger.core.state.due import DueQueue
from tcdatalogger.core.state.leases import BACKUP
from tcdatalogger.core.state.plans import plans
from tcdatalogger.core.state.store import State
from tcdatalogger.scheduler import worker
from tcdatalogger.scheduler.daemon import Daemon
from tcdatalogger.scheduler.executor import Exit
from tcdatalogger.scheduler.monitoring.notify import events

ENDPOINT = '[[endpoints]]\nname = "faction_members"\npath = "/faction/members"\n'
DAILY = '[backup]\nfrequency = "P1D"\n'


class Here:
    """An engine behind the seam that does a job at once, in this process."""

    waitables, pid = (Path(os.devnull).open(),), 0  # noqa: SIM115  # always readable

    def __call__(self, job):
        self._report = worker.run_job(job)
        return self

    def ended(self):
        return Exit(self._report, 0)

    def rest(self):
        """Nothing waits."""

    def close(self):
        """Nothing is kept."""


class Place:
    """A place with rows, where nothing but the backup is due."""

    def __init__(self, workplace):
        self.workplace = workplace
        self.configure()

    def configure(self, extra=""):
        self.workplace.write(f'{ENDPOINT}frequency = "P1D"\n', extra=f"{DAILY}{extra}")
        self.settings = configuration.load(self.workplace.file, {})

    def state(self):
        return State(self.settings.state.url)

    def due(self):
        """The backup is due, and the endpoint is not."""
        with self.state() as state:
            found, now = plans(self.settings), state.clock.now()
            queue = DueQueue(state)
            queue.sync(found.values(), now, alone=True)
            queue.served(found["faction_members"], now, now)
            with state.writing() as db:
                db.execute(
                    "update agenda set due_at = 0, wake_at = 0 where endpoint = ?", (BACKUP,)
                )

    def schedule(self):
        """What the scheduler says of each job that is due; its exit code first."""
        told = []
        with self.state() as state:
            code = Daemon(self.settings, state, Here(), on_event=told.append).run("until idle")
        return [code, *((one.endpoint, one.report.error_class) for one in told if one.report)]

    def wrong(self):
        with self.state() as state:
            found = events(self.settings, state, state.clock.now())
        return [one for one in found if one.kind == "backup"]

    @property
    def made(self):
        return sorted(one.name for one in (self.workplace.folder / "backups").glob("*Z*"))

    @property
    def status(self):
        return self.workplace.run("status", "--json").json["backup"]


@contextmanager
def holding(warehouse):
    """Another program has the warehouse open."""
    script = (
        f"import duckdb, sys; c = duckdb.connect({str(warehouse)!r}); print(); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        other.stdout.readline()
        yield
        other.stdin.close()


@pytest.fixture
def place(workplace):
    place = Place(workplace)
    workplace.log("faction_members")
    place.due()
    return place


@pytest.mark.slow
def test_it_is_made_in_a_process_of_its_own_after_the_endpoints_and_stands_with_the_runs(yard):
    yard.write(("faction_members", 'frequency = "P1D"'), extra=DAILY)

    code, runs, said = yard.schedule("--until-idle", "--workers", "1")

    assert (code, list(runs)) == (0, ["faction_members", BACKUP]), said
    assert len(list((yard.place.folder / "backups").glob("*Z*"))) == 1
    [run] = yard.runs(BACKUP)
    assert run.status == "done"
    assert run.pid not in {0, yard.runs("faction_members")[0].pid}


def test_one_is_made_when_it_is_due_and_no_other_before_the_next_time(place):
    assert place.schedule() == [0, (BACKUP, "")]
    assert len(place.made) == 1
    assert place.status["last_run"]["status"] == "done"
    assert place.status["next_due"] > place.status["last_run"]["started_at"]
    assert place.schedule() == [0]


def test_one_that_was_made_by_hand_counts_for_it(place):
    assert place.workplace.process("backup").code == 0

    assert place.schedule() == [0, (BACKUP, "")]
    assert len(place.made) == 1


def test_nothing_is_to_be_backed_up_before_anything_is_stored(place):
    place.workplace.warehouse.unlink()

    assert place.schedule() == [0, (BACKUP, "")]
    assert place.made == []


def test_a_backup_that_fails_is_told_until_one_is_made(place):
    wall = place.workplace.folder / "wall"
    wall.write_text("")
    place.configure('path = "wall"\n')

    assert place.schedule() == [78, (BACKUP, "ConfigError")]
    assert place.status["last_run"]["status"] == "failed"
    assert "backup: failed" in place.workplace.run("status").out
    [event] = place.wrong()
    assert "wall" in event.text

    wall.unlink()
    place.due()
    assert place.schedule() == [0, (BACKUP, "")]
    assert place.wrong() == []


def test_one_that_takes_too_long_is_ended(place):
    place.configure('timeout = "PT1S"\n')

    with holding(place.workplace.warehouse):
        assert place.schedule() == [124, (BACKUP, "TimedOut")]

    assert place.made == []
    assert place.wrong()


def test_who_has_its_claim_is_alone_whatever_wants_one(place):
    with place.state() as state:
        claim = state.leases.claim(BACKUP, "another")
        assert place.schedule() == [0]
        by_hand = place.workplace.run("backup", "--if-due")
        state.leases.release(claim)

    assert (by_hand.code, "another" in by_hand.err) == (75, True)
    assert place.made == []
    assert place.workplace.run("backup", "--if-due", "--json").json["made"]
    assert place.status["last_run"]["status"] == "done"
