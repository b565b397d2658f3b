"""A process takes one run after the other while more is due, and never one too many."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from string import Template

import duckdb
import pytest

from tcdatalogger.core.config import configuration
from tcdatalogger.core.config.settings import EndpointSettings, Settings
from tcdatalogger.core.state.leases import BACKUP, DIGEST, Claim
from tcdatalogger.scheduler.executor import Job, settings_for
from tcdatalogger.scheduler.forkserver import ForkServer

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="ends processes as Linux does, where the daemons run"
)

PROCESS = """
import json, os, signal, sys
from multiprocessing import Pipe
from tcdatalogger.core.config.settings import Settings, EndpointSettings
from tcdatalogger.core.state.leases import Claim
from tcdatalogger.scheduler import worker
from tcdatalogger.scheduler.executor import Job, Report

def job(name, **more):
    one = EndpointSettings(name=name, path="/faction/members", **more)
    return Job(name, Settings(endpoints=(one,)), Claim(name, name, 1, "", 0.0))

def run_job(job, kept):
    return Report("failed" if job.name == "fails" else "done", error=f"{job.name} {os.getpid()}")

worker.run_job = run_job
ours, its = Pipe()
pid = os.fork()
if not pid:
    ours.close()
    $child
    worker.main(job($first), its)
    os._exit(0)
its.close()

def report():
    try:
        told = ours.recv_bytes()
    except (EOFError, OSError):
        return None
    return [told[:1].decode(), json.loads(told[1:])["error"] == f"{seen} {pid}"]

seen = "$name"
found = [report()]
$parent
code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
print(json.dumps([found, code]))
"""


def process(parent, *, child="pass", name="one", first=None):
    """What the process of a run reports, and its exit code.

    Args:
        parent: what its daemon does after the first report.
        child: what the process does before its first run.
        name: of its first run.
        first: the arguments of its job, where not the name alone.
    """
    code = Template(PROCESS).substitute(
        parent=parent, child=child, name=name, first=first or repr(name)
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


GIVES = """
for seen in {names}:
    try:
        ours.send(job(seen))
    except OSError:
        found.append(None)
        break
    found.append(report())
ours.close()
"""


def test_a_process_runs_what_it_is_given_one_after_the_other_and_ends_when_there_is_no_more():
    found, code = process(GIVES.format(names=("two", "three")))

    assert found == [["+", True], ["+", True], ["+", True]]
    assert code == 0


def test_a_process_whose_run_failed_ends():
    found, code = process(GIVES.format(names=("fails", "three")))

    assert found == [["+", True], [".", True], None]
    assert code == 0


def test_a_process_ends_after_so_many_runs():
    child = "worker.RUNS = 2"
    found, code = process(GIVES.format(names=("two", "three")), child=child)

    assert (found, code) == ([["+", True], [".", True], None], 0)


def test_a_process_ends_after_so_long():
    found, code = process(GIVES.format(names=("two",)), child="worker.SECONDS = 0.0")

    assert (found, code) == ([[".", True], None], 0)


def test_a_process_of_a_users_own_processor_ends_with_its_run():
    found, code = process("ours.close()", first="'one', processor='theirs'")

    assert (found, code) == ([[".", True]], 0)


@pytest.mark.parametrize("name", [BACKUP, DIGEST])
def test_a_backup_and_a_digest_have_a_process_of_their_own(name):
    assert not Job("one", Settings(), Claim(name, "one", 1, "", 0.0)).shares
    own = Settings(endpoints=(EndpointSettings(name="one", path="/torn/items"),))
    assert Job("one", own, Claim("one", "one", 1, "", 0.0)).shares


TOLD = "os.kill(os.getpid(), signal.SIGTERM)"
PACKS = f"""
    packed = Report.packed
    def told(self):
        {TOLD}
        return packed(self)
    Report.packed = told
"""
SAYS = f"""
    came, begins = worker._Told.came, iter([True])
    def told(self):
        found = came(self)
        next(begins, False) or {TOLD}
        return found
    worker._Told.came = told
"""


@pytest.mark.parametrize("child", [PACKS, SAYS], ids=["packs it", "says that it goes on"])
def test_a_process_that_is_told_to_end_while_it_reports_takes_no_other_run(child):
    found, code = process(GIVES.format(names=("two",)), child=child.strip())

    assert found[0][1]
    assert found[1:] == [None]
    assert code == -signal.SIGTERM


def test_a_process_that_is_told_to_end_while_it_waits_takes_no_other_run():
    parent = f"os.kill(pid, signal.SIGTERM)\n{GIVES.format(names=('two',))}"
    found, code = process(parent)

    assert (found, code) == ([["+", True], None], -signal.SIGTERM)


def test_a_process_that_was_given_a_run_when_it_is_told_to_end_does_not_begin_it():
    parent = "os.kill(pid, signal.SIGSTOP); ours.send(job('two')); os.kill(pid, signal.SIGTERM)"
    found, code = process(f"{parent}; os.kill(pid, signal.SIGCONT); found.append(report())")

    assert (found, code) == ([["+", True], None], -signal.SIGTERM)


def test_a_process_that_is_told_to_end_before_its_first_run_does_not_begin_it():
    child = "came = iter([True]); worker._Told.came = lambda _: next(came, True)"
    found, code = process("seen = 'two'; ours.close()", child=child)

    assert found == [[".", False]]  # it was told to end
    assert code == 0


def test_a_signal_that_the_process_got_before_it_could_answer_is_not_lost():
    child = "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM}); os.kill(os.getpid(), 15)"
    found, code = process("ours.close()", child=child)

    assert found == [[".", False]]  # it was told to end
    assert code == 0


# With the real forkserver


def opens(file):
    """Whether another process can open the file now."""
    code = "import sys, duckdb; duckdb.connect(sys.argv[1])"
    words = [sys.executable, "-c", code, str(file)]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


MODES = ("append", "replace", "merge", "history")


@pytest.mark.slow
def test_what_is_due_at_once_is_stored_as_if_each_run_had_a_process_of_its_own(yard):
    yard.write(*((f"own_{mode}", f'storage_mode = "{mode}"\ntable = "t_{mode}"') for mode in MODES))

    code, runs, err = yard.schedule("--until-idle", "--workers", "1")

    assert (code, {run["status"] for run in runs.values()}) == (0, {"done"}), err
    assert len(runs) == len({run.run_id for run in yard.runs()}) == len(MODES)
    assert len({run.pid for run in yard.runs()}) == 1
    with duckdb.connect(str(yard.place.folder / "torn.duckdb")) as file:
        counts = {mode: file.sql(f"select count(*) from t_{mode}").fetchall() for mode in MODES}
    assert len(set(map(str, counts.values()))) == 1
    for run in yard.runs():
        assert run.calls >= 1
        assert 0 < run.cpu_seconds < 60


@pytest.mark.slow
def test_between_two_runs_of_a_daemon_any_program_may_open_the_file(yard):
    yard.write("one", "two", "three")
    file = yard.place.folder / "torn.duckdb"
    with yard.daemon("--workers", "2") as daemon:
        yard.until(lambda: [run.status for run in yard.runs()] == ["done"] * 3)
        yard.until(lambda: opens(file))
        yard.until(lambda: not any(yard.alive(run.pid) for run in yard.runs()))
        assert daemon.process.poll() is None


@pytest.fixture
def jobs(yard):
    """Makes a job of an endpoint, claimed as a daemon does."""
    yard.write("one", "two")
    settings = configuration.load(yard.place.file, yard.environ)
    with yard.state() as state:

        def make(name):
            claim = state.leases.claim(name, f"run-{name}-{time.time_ns()}")
            return Job(claim.run_id, settings_for(settings, name), claim)

        yield make


@pytest.fixture
def server(monkeypatch, yard):
    for name, value in yard.environ.items():
        monkeypatch.setenv(name, value)
    server = ForkServer()
    yield server
    server.rest()
    server.close()


@pytest.mark.slow
def test_a_process_that_somebody_ended_between_two_runs_is_replaced(yard, jobs, server):
    first = server(jobs("one"))
    assert yard.until(first.ended).report.status == "done"
    os.kill(first.pid, signal.SIGKILL)
    yard.until(lambda: not Path(f"/proc/{first.pid}").exists())  # each of its threads has ended

    second = server(jobs("two"))
    assert second.pid != first.pid
    assert yard.until(second.ended).report.status == "done"


@pytest.mark.slow
def test_a_process_that_waits_is_given_the_next_run_and_ends_when_there_is_none(yard, jobs, server):
    first = server(jobs("one"))
    assert yard.until(first.ended).report.status == "done"
    second = server(jobs("two"))
    assert yard.until(second.ended).report.status == "done"
    assert second.pid == first.pid

    server.rest()
    yard.until(lambda: not yard.alive(first.pid))


@pytest.mark.slow
def test_a_run_that_is_told_to_end_when_its_process_is_just_made_does_not_begin(yard, jobs, server):
    run = server(jobs("one"))
    run.terminate()

    assert yard.until(run.ended).report.status == "stopped"
