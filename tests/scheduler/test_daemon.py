"""Daemons as a user starts them: real processes on one state."""

from __future__ import annotations

import errno
import io
import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from tcdatalogger.core.config import configuration
from tcdatalogger.core.config.settings import Settings
from tcdatalogger.core.state.due import DueQueue
from tcdatalogger.core.state.leases import Claim
from tcdatalogger.core.state.store import State
from tcdatalogger.errors import Busy, StateGone, StateUnavailable
from tcdatalogger.observability import log
from tcdatalogger.scheduler import daemon
from tcdatalogger.scheduler.executor import Exit, Job, Report
from tcdatalogger.scheduler.forkserver import ForkServer

pytestmark = pytest.mark.slow

OFTEN = 'frequency = "PT1S"'


def test_once_runs_each_endpoint_that_is_due_and_ends(yard):
    yard.write("faction_members", ("never", "enabled = false"))

    code, runs, _ = yard.schedule("--once")
    assert (code, list(runs)) == (0, ["faction_members"])
    assert runs["faction_members"]["status"] == "done"
    assert runs["faction_members"]["rows"]["faction_members"] > 0

    code, runs, _ = yard.schedule("--once")
    assert (code, runs) == (0, {})


def test_its_exit_code_is_that_of_the_first_run_that_failed(yard):
    yard.write(("down", "retries = 0"), "faction_members")

    code, runs, _ = yard.schedule("--until-idle", "--workers", "1")

    assert code == 69
    assert [run["status"] for run in runs.values()] == ["failed", "done"]


def test_two_daemons_share_the_work_and_no_endpoint_runs_twice_at_once(yard, state_url):
    yard.url = state_url
    yard.write(*((f"brief_{letter}", OFTEN) for letter in "abcdef"))
    with yard.daemon("--workers", "2") as one, yard.daemon("--workers", "2") as two:
        yard.until(lambda: len(yard.noted("log")) > 60)
        for each in (one, two):
            each.signal(signal.SIGTERM)
        assert [one.wait(), two.wait()] == [143, 143]

    running, servers = set(), set()
    for line in sorted(yard.noted("log"), key=lambda line: float(line.split()[2])):
        what, name, _, server = line.split()
        servers.add(server)
        if what == "begin":
            assert name not in running
            running.add(name)
        else:
            running.discard(name)
    assert len(servers) == 2
    runs = [run.started_at for letter in "abcdef" for run in yard.runs(f"brief_{letter}")]
    assert len(runs) >= 30
    # One for each second, not one for each daemon. A late one may begin in the second of the next.
    assert len(runs) <= 6 * (max(runs) - min(runs) + 2)


def test_what_a_person_runs_is_not_run_beside_it(yard):
    yard.write("faction_members", "brief")
    with yard.state() as state:
        claim = state.leases.claim("brief", "by hand")
        code, runs, _ = yard.schedule("--until-idle")
        state.leases.release(claim)

    assert (code, list(runs)) == (0, ["faction_members"])
    assert yard.noted("log") == []


def test_a_changed_file_is_taken_up_at_a_hangup_and_a_broken_one_is_not(yard):
    yard.write(("brief", 'frequency = "P1D"'), "clean")
    with yard.daemon() as running:
        yard.until(lambda: yard.pids and yard.noted("log"))
        whole = yard.place.file.read_text()
        yard.place.file.write_text(whole.replace("P1D", "often"))
        running.signal(signal.SIGHUP)
        yard.until(lambda: said(running, "config_refused"))
        assert len(entries(yard)) == 2

        yard.write(("brief", OFTEN))
        running.signal(signal.SIGHUP)
        yard.until(lambda: len(yard.runs("brief")) >= 2)
        assert list(entries(yard)) == ["brief"]
        assert yard.living  # what runs may end, though it is configured no more


def test_it_ends_when_its_state_is_taken_away_and_a_new_start_has_a_new_one(yard):
    yard.write("clean")
    state = yard.place.folder / "torn.state.sqlite"
    with yard.daemon() as running:
        yard.until(lambda: yard.pids)
        for file in state.parent.glob("torn.state.sqlite*"):
            file.unlink()
        assert running.wait() == StateGone.exit_code
        assert "moved away or deleted" in running.err.read_text()
    yard.until(lambda: not yard.living)
    with yard.daemon():
        yard.until(lambda: [run.status for run in yard.runs("clean")] == ["running"])


class Nobody:
    """Another engine behind the seam: its runs are done before they have begun."""

    def __init__(self):
        self.jobs = []

    def __call__(self, job):
        self.jobs.append(job)
        return self

    waitables, pid = (Path(os.devnull).open(),), 0  # noqa: SIM115  # always readable

    def ended(self):
        return Exit(Report("done"), 0)

    def kill(self):
        raise AssertionError("nothing is to be killed")

    terminate = kill

    def close(self):
        self.jobs.append("closed")


def test_a_state_that_cannot_be_reached_is_told_once_and_tried_until_it_answers(
    workplace, monkeypatch
):
    tries, executor, due = [], Nobody(), DueQueue.due

    def failing(self, *args, **options):
        tries.append(1)
        if 1 < len(tries) < 6:
            raise StateUnavailable("The state cannot be reached.")
        return due(self, *args, **options)

    monkeypatch.setattr(DueQueue, "due", failing)
    monkeypatch.setattr(daemon, "LOOK_AGAIN", 0.01)
    lines = io.StringIO()
    log.configure("warning", "json", stream=lines)
    settings = configuration.load(workplace.file, {}, ["scheduler.workers=1"])

    with State(workplace.folder / "torn.state.sqlite") as state:
        code = daemon.Daemon(settings, state, executor).run("until idle")
    log.stop()

    assert code == 0
    assert [job.endpoint.name for job in executor.jobs[:-1]] == [
        "faction_crimes",
        "faction_members",
    ]
    assert len(executor.jobs[0].settings.endpoints) == 1
    assert lines.getvalue().count("state_unavailable") == 1


class Full(Nobody):
    """One in whose place nothing more can be begun."""

    def __call__(self, job):
        self.jobs.append(job)
        raise Busy("No process for a run can be begun.")


def test_what_cannot_be_begun_is_as_due_as_before_and_is_tried_again_soon(workplace):
    settings = configuration.load(workplace.file, {}, ["scheduler.workers=1"])
    with State(workplace.folder / "torn.state.sqlite") as state:
        code = daemon.Daemon(settings, state, Full()).run("until idle")

        assert code == Busy.exit_code
        assert state.leases.held() == []
        now = state.clock.now()
        found = DueQueue(state).entries().values()
        assert {entry.attempt for entry in found} == {0}
        assert all(entry.due_at <= now < entry.wake_at <= now + 10 for entry in found)


class Spent:
    """A system that has no room for another process."""

    def __init__(self, pipe=None, start=None):
        self.errors, self.ends = {"pipe": pipe, "start": start}, []

    def _may_fail(self, what):
        if self.errors[what] is not None:
            raise self.errors[what]

    def Pipe(self, duplex):  # noqa: N802  # the library's name
        self._may_fail("pipe")
        self.ends = multiprocessing.Pipe(duplex=duplex)
        return self.ends

    def Process(self, **_facts):  # noqa: N802  # as above
        return self

    def start(self):
        self._may_fail("start")


FULL = OSError(errno.EMFILE, os.strerror(errno.EMFILE))


@pytest.mark.parametrize(
    "spent", [Spent(pipe=FULL), Spent(start=FULL), Spent(start=EOFError())],
    ids=["no pipe", "no process", "no forkserver"],
)  # fmt: skip
def test_a_machine_that_is_full_is_a_clear_error(monkeypatch, spent):
    server = ForkServer()
    monkeypatch.setattr(server, "_context", spent)

    with pytest.raises(Busy, match="No process for a run can be begun"):
        server(Job("one", Settings(), Claim("one", "one", 1, "", 0.0)))
    assert all(end.closed for end in spent.ends)


def test_a_configuration_without_a_frequency_is_refused_with_a_remedy(workplace):
    workplace.write('[[endpoints]]\nname = "torn_items"\npath = "/torn/items"\n')

    done = workplace.run("schedule", "--once")

    assert done.code == 78
    assert "frequency" in done.err


def test_no_key_is_in_what_a_daemon_writes(yard):
    yard.write("faction_members")
    with yard.daemon() as running:
        yard.until(lambda: [run for run in yard.runs() if run.status == "done"])
        assert yard.place.key not in running.err.read_text(encoding="utf-8")
        with open(f"/proc/{running.process.pid}/cmdline", encoding="utf-8") as file:  # noqa: PTH123
            assert yard.place.key not in file.read()
    assert yard.place.holding(yard.place.key) == []


def said(running, words):
    return words in running.err.read_text(encoding="utf-8")


def entries(yard):
    with yard.state() as state:
        rows = state.reading("select endpoint from agenda order by endpoint")
        return [name for (name,) in rows]
