"""Whatever one run does, it ends alone: real processes, and real ways to go wrong."""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="ends processes as Linux does"),
    pytest.mark.slow,
]

SHORT = 'timeout = "PT1S"\nretries = 0'
ONCE = "retries = 0"
ENDS = {
    "hang": (124, "TimedOut", "took longer than its timeout of 1 s"),
    "stubborn": (124, "TimedOut", "was killed: it took longer than its timeout of 1 s"),
    "leak": (1, "OutOfMemory", "ran out of its memory of 100MB"),
    "abort": (1, "Crashed", "was ended by SIGABRT without a word"),
    "leave": (1, "SystemExit", "called for the end of the process"),
    "vanish": (1, "Crashed", "ended with the exit code 7 without a word"),
    "flood": (1, "Crashed", "without a word"),
    "broken": (1, "RuntimeError", "It ended by RuntimeError"),
}
"""How each goes wrong: its exit code, its class, and what its record says."""


def test_a_hang_a_leak_a_crash_and_an_import_error_change_nothing_for_the_others(yard):
    yard.write(
        ("hang", SHORT), ("stubborn", SHORT), ("leak", f'{ONCE}\nmemory = "100MB"'),
        *((name, ONCE) for name in ("abort", "leave", "vanish", "flood", "broken")),
        "parent", "escape", "faction_members",
    )  # fmt: skip

    code, runs, err = yard.schedule("--until-idle", "--workers", "10")

    well = ("parent", "escape", "faction_members")
    assert {name: runs[name]["status"] for name in well} == dict.fromkeys(well, "done"), err
    for name, (exit_code, kind, said) in ENDS.items():
        (record,) = yard.runs(name)
        assert said in record.error, name
        assert (record.error_class, record.exit_code) == (kind, exit_code), name
        assert record.status in {"failed", "crashed"}, name
        assert record.finished_at >= record.started_at, name
        assert runs[name]["error"]["class"] == kind
    assert code in {1, 124}
    assert len(yard.pids) == 5
    assert yard.living == []  # neither what was killed nor what a good run left behind


def test_the_daemons_death_takes_its_runs_along_and_another_runs_them_again(yard):
    yard.write("stubborn", "escape_stay")
    with yard.daemon() as daemon:
        yard.until(lambda: len(yard.pids) == 3)
        daemon.signal(signal.SIGKILL)
        daemon.wait()
        yard.until(lambda: not yard.living)

    with yard.daemon():
        yard.until(lambda: len(yard.runs("stubborn")) == 2)
        second, first = yard.runs("stubborn")
        assert (first.status, second.status) == ("crashed", "running")
    yard.until(lambda: not yard.living)


def test_what_left_its_group_ends_with_its_run_and_the_others_go_on(yard):
    yard.write("escape", "clean")
    with yard.daemon():
        yard.until(lambda: len(yard.pids) == 2)
        yard.until(lambda: [run.status for run in yard.runs("escape")] == ["done"])
        yard.until(lambda: len(yard.living) == 1)
        assert [run.status for run in yard.runs("clean")] == ["running"]


def test_the_forkservers_death_takes_the_runs_along_and_the_daemon_goes_on(yard):
    yard.write(("clean", 'frequency = "PT1S"'))
    with yard.daemon() as daemon:
        (run,) = yard.until(lambda: yard.pids)
        server = parent_of(run)
        assert parent_of(server) == daemon.process.pid
        os.kill(server, signal.SIGKILL)
        yard.until(lambda: not yard.alive(run))

        yard.until(lambda: any(one.status == "crashed" for one in yard.runs("clean")))
        assert daemon.process.poll() is None


def test_a_run_ends_at_a_safe_place_when_the_daemon_is_stopped(yard):
    yard.write("clean")
    with yard.daemon() as daemon:
        yard.until(lambda: yard.pids)
        daemon.signal(signal.SIGTERM)

        assert daemon.wait() == 143
    assert yard.noted("tidied") == ["clean"]
    (record,) = yard.runs("clean")
    assert (record.status, record.error_class, record.exit_code) == ("stopped", "Stopped", 143)
    with yard.state() as state:
        assert state.leases.held() == []
        assert state.reading("select attempt, due_at <= ? from agenda", (time.time(),)) == [(0, 1)]
        assert state.reading("select owner from daemons") == []


def test_the_daemon_ends_within_ten_seconds_whatever_its_runs_do(yard):
    yard.write("stubborn")
    with yard.daemon() as daemon:
        yard.until(lambda: len(yard.pids) == 2)
        daemon.signal(signal.SIGTERM)

        assert daemon.wait(30) == 143  # after twice the grace, and after eight seconds at most
    assert yard.living == []


@pytest.fixture
def cores():
    """The end of a process by a signal leaves a core file."""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_CORE, before)


@pytest.mark.usefixtures("cores")
def test_ctrl_c_ends_it_as_well(yard):
    yard.write("clean")
    with yard.daemon() as daemon:
        (run,) = yard.until(lambda: yard.pids)
        assert resource.prlimit(run, resource.RLIMIT_CORE)[0] == 0  # a key would be in it
        daemon.signal(signal.SIGINT)

        assert daemon.wait() == 130
    assert yard.noted("tidied") == ["clean"]


def parent_of(pid):
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    return int(stat.rpartition(")")[2].split()[1])
