"""A daemon that loses touch in the middle of a run: with its Postgres, or with its claim."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from pathlib import Path

import pytest

from tcdatalogger.core.config import configuration
from tcdatalogger.core.state.due import DueQueue
from tcdatalogger.core.state.plans import plans
from tcdatalogger.core.state.store import State
from tcdatalogger.scheduler.daemon import Daemon
from tcdatalogger.scheduler.executor import Exit, Report

pytestmark = pytest.mark.slow


def said(daemon, text):
    return text in daemon.err.read_text(encoding="utf-8")


@pytest.fixture
def away(yard, postgres, postgres_url):
    """A block in which there is no Postgres, and in which the runs of a daemon have ended."""

    @contextmanager
    def away(daemon):
        yard.until(lambda: yard.pids)
        postgres.stop()
        try:
            os.kill(yard.pids[0], signal.SIGALRM)  # its time is over
            yard.until(lambda: not yard.living)
            yard.until(lambda: said(daemon, "state_unavailable"))
            yield
        finally:
            postgres.start()

    yard.url = postgres_url
    yard.write("hang")
    return away


def test_a_run_that_ends_while_the_state_is_away_is_written_down_when_it_is_back(yard, away):
    with yard.daemon() as daemon:
        with away(daemon):
            assert daemon.process.poll() is None
        yard.until(lambda: said(daemon, "state_available"))

        yard.until(lambda: yard.runs("hang") and yard.runs("hang")[-1].status == "crashed")
        run = yard.runs("hang")[-1]
        assert (run.error_class, run.exit_code) == ("StateUnavailable", 69)  # which may pass
        assert daemon.process.poll() is None
        assert not said(daemon, "This is a bug")


def test_a_daemon_ends_when_it_is_told_to_also_while_the_state_is_away(yard, away):
    with yard.daemon() as daemon:
        with away(daemon):
            daemon.signal(signal.SIGTERM)

            assert daemon.wait(7) == 143  # by itself: after nine seconds it would be made to
        with yard.state() as state:
            assert state.leases.held() == []  # whose holder is gone


class TakenOver:
    """An engine whose runs find that another daemon has taken them over and has ended them."""

    waitables, pid = (Path(os.devnull).open(),), 0  # noqa: SIM115  # always readable

    def __init__(self, plans, queue, clock):
        self.plans, self.queue, self.clock = plans, queue, clock

    def __call__(self, job):
        now = self.clock.now()
        self.queue.served(self.plans[job.name], now, now)
        return self

    def ended(self):
        return Exit(Report("failed", 75, "It lost its claim.", "Busy"), 0)

    def rest(self):
        pass

    def close(self):
        pass


def test_a_daemon_whose_run_was_taken_over_leaves_its_row_to_who_has_it(workplace):
    settings = configuration.load(workplace.file, {}, ["scheduler.workers=1"])
    with State(workplace.folder / "torn.state.sqlite", workplace.clock) as state:
        queue = DueQueue(state)
        executor = TakenOver(plans(settings), queue, workplace.clock)

        Daemon(settings, state, executor).run("until idle")

        for entry in queue.entries().values():
            assert entry.wake_at == entry.due_at > workplace.clock.now() + 60
