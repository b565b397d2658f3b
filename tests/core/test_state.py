"""The state: runs, and what Torn says of keys. Calls and health are in test_state_budget.py."""

from __future__ import annotations

import math
import re
import resource
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tcdatalogger import private
from tcdatalogger.clock import ManualClock
from tcdatalogger.core.config.durations import parse
from tcdatalogger.core.config.schedule import Grid
from tcdatalogger.core.state import migrations, run_stats, sqlite
from tcdatalogger.core.state.alerts import Alerts
from tcdatalogger.core.state.due import DueQueue, Plan
from tcdatalogger.core.state.heartbeats import Heartbeat, Heartbeats
from tcdatalogger.core.state.sqlite import SQLite
from tcdatalogger.core.state.store import RunRecord, State
from tcdatalogger.errors import Busy, ConfigError, DiskFull, StateGone
from tcdatalogger.services.torncity.client.key_health import CircuitBreaker, KeyState, RowQuota
from tcdatalogger.services.torncity.client.rate_limiter import Pause
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
def clock():
    return ManualClock(10_000.0)


@pytest.fixture
def state(state_url, clock):
    with State(state_url, clock) as opened:
        yield opened


def run(number, **facts):
    facts = {"endpoint": "faction_crimes", "started_at": 1000.0 + number, **facts}
    return RunRecord(f"run-{number}", **facts)


# Runs


def test_opening_it_twice_keeps_the_locks_of_the_first(tmp_path):
    """Whoever closes a file takes the locks of its process from it, of SQLite's too."""
    file = tmp_path / "state.sqlite"
    writes = (
        "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('begin immediate')"
    )
    with State(f"sqlite:///{file}") as first, first.writing():
        with State(f"sqlite:///{file}", read_only=True):
            pass
        private.file(file)
        done = subprocess.run(
            [sys.executable, "-c", writes, file], capture_output=True, text=True, check=False
        )
    assert "database is locked" in done.stderr


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


def test_runs_of_one_moment_come_in_the_order_in_which_they_began(state):
    for number in (2, 1, 3):
        state.write_run(run(number, started_at=1000.0))
    state.write_run(run(2, started_at=1000.0, status="done"))

    assert [r.run_id for r in state.runs()] == ["run-3", "run-1", "run-2"]


def test_old_runs_are_forgotten_once_a_day_and_those_that_go_on_are_not(state, clock):
    for number, status in enumerate(("done", "running", "done", "done")):
        state.write_run(run(number, status=status, started_at=1000.0 * number))

    assert state.forget(1500.0) == 1
    assert state.forget(9000.0) == 0
    clock.sleep(86_400)
    assert state.forget(2500.0) == 1
    assert [r.run_id for r in state.runs()] == ["run-3", "run-1"]


def test_runs_outlive_the_process(state_url):
    with State(state_url) as first:
        first.write_run(run(1, status="done"))
    with State(state_url) as second:
        assert [r.status for r in second.runs()] == ["done"]


def test_a_run_of_another_version_is_read_as_far_as_it_is_known(state):
    state.write_run(run(1))
    with state.writing() as db:
        old = "update runs set facts = replace(facts, ?, ?)"
        db.execute(old, ('{"run_id"', '{"mood": "sunny", "run_id"'))

    assert state.runs() == [run(1)]


# A clock that was ahead


@pytest.mark.parametrize("began", [9_000.0, 200_000.0])
def test_times_of_the_future_are_put_right_as_soon_as_the_clock_is(state, clock, began):
    state.write_run(run(1, status="done", started_at=9_990.0, finished_at=9_995.0))
    for number in (2, 3):
        state.write_run(run(number, status="running", started_at=began))
        state.write_run(run(number, status="done", started_at=began, finished_at=200_005.0))
    state.write_key("k", INFO, 200_000.0)
    state.key_health.set_state(KeyState("k", "parked", "", "x", 200_600.0, 200_000.0, "default"))
    state.key_health.set_state(KeyState("k", "dead", "/a", "x", math.inf, 200_000.0, "default"))
    state.key_health.set_state(KeyState("well", "parked", "", "x", 12_000.0, 9_000.0, "default"))
    state.key_health.change_circuit(lambda _: CircuitBreaker(9, 30.0, 200_030.0, 200_180.0))
    state.key_health.trial("k", 200_000.0)
    state.key_health.reserve_rows("158/events", RowQuota("r", 200_000.0, 50_000), 50_000)
    state.call_slots.pause(Pause("player:158", 200_060.0, "too_many"))

    for _ in range(2):
        state.mark_crashed()

    found = state.runs()
    assert [one.run_id for one in found][:2] == (
        ["run-3", "run-2"] if began > 10_000 else ["run-1", "run-3"]
    )
    assert max(one.started_at for one in found) == min(10_000.0, max(began, 9_990.0))
    assert max(one.finished_at for one in found) == 10_000.0
    last = run_stats.lasts(state)["faction_crimes"]
    assert (last.success_at, last.ended_at) == (10_000.0, 10_000.0)
    assert state.key("k") == (INFO, 10_000.0)
    marks = [*state.key_health.states("k"), *state.key_health.states("well")]
    assert [(one.since, one.until) for one in marks] == [
        (10_000.0, 10_600.0), (10_000.0, math.inf), (9_000.0, 12_000.0),
    ]  # fmt: skip
    assert state.key_health.circuit() == CircuitBreaker(9, 30.0, 10_030.0, 0.0)
    assert state.key_health.trial("k", 10_000.0)
    assert state.key_health.day_rows(10_000.0 + 86_401) == {}
    assert state.call_slots.pauses(10_000.0 + 3_601) == []

    clock.sleep(30)
    state.write_run(run(4, status="failed", started_at=10_020.0, finished_at=10_030.0))
    assert state.runs(most=1)[0].run_id == "run-4"
    assert run_stats.lasts(state)["faction_crimes"].status == "failed"


def test_clocks_that_differ_by_a_little_are_left_alone(state):
    state.write_run(run(1, status="done", started_at=10_040.0, finished_at=10_050.0))

    state.mark_crashed()

    assert (state.runs()[0].started_at, state.runs()[0].finished_at) == (10_040.0, 10_050.0)


# Versions


@pytest.mark.parametrize(
    ("release", "old", "new"),
    [
        (2, "stopped", "paused"),
        (3, "later", "pending"),
        (3, "lost", "crashed"),
        (3, "dropped", "superseded"),
    ],
)
def test_a_run_that_an_older_release_called_otherwise_has_its_word_of_today(
    state_url, clock, release, old, new
):
    with State(state_url, clock) as state:
        state.write_run(run(1, status=old, step="fetch"))
        with state.writing() as db:
            db.execute("update state_version set version = ?", (release,))

    with State(state_url, clock) as state:
        assert [one.status for one in state.runs(status=new)] == [new]
        assert run_stats.sums(state)["runs"] == {("faction_crimes", new): 1.0}
        assert run_stats.lasts(state)["faction_crimes"].status == new


def test_a_state_of_the_first_release_is_brought_up_with_its_runs(file):
    with sqlite3.connect(file) as db:
        db.execute(
            "create table runs (run_id text primary key, endpoint text not null, "
            "status text not null, started_at real not null, facts text not null)"
        )
        facts = '{"run_id": "old", "endpoint": "x", "started_at": 5.0, "status": "done"}'
        db.execute("insert into runs values ('old', 'x', 'done', 5.0, ?)", (facts,))
    db.close()

    with State(file) as state:
        state.write_run(run(1))
        assert [r.run_id for r in state.runs()] == ["run-1", "old"]


@pytest.mark.parametrize("scheduled", [False, True])
def test_a_state_of_the_fourth_release_keeps_what_its_scheduler_wrote(state_url, clock, scheduled):
    plan = Plan("faction_crimes", Grid(parse("PT15M")))
    owner = "elsewhere/another container/1/0/mark"
    beat = Heartbeat(owner, "elsewhere", 1, clock.now(), clock.now(), workers=4, running=0)
    with State(state_url, clock) as state:
        if scheduled:
            DueQueue(state).sync([plan], clock.now(), alone=True)
            Heartbeats(state).write(beat)
            rows = DueQueue(state).entries()
        with state.writing() as db:  # the fourth had these only where a scheduler had been
            for table in () if scheduled else ("agenda", "daemons"):
                db.execute(f"drop table {table}")
            db.execute("update state_version set version = 4")

    with State(state_url, clock) as state:
        if scheduled:
            assert DueQueue(state).entries() == rows
            assert Heartbeats(state).alive(clock.now()) == [beat]
        DueQueue(state).sync([plan], clock.now(), alone=True)
        Heartbeats(state).write(beat)
        assert list(DueQueue(state).entries()) == ["faction_crimes"]
        assert Heartbeats(state).alive(clock.now()) == [beat]


def test_a_state_that_may_only_be_read_has_every_table(file):
    State(file).close()

    with State(file, read_only=True) as state:
        assert DueQueue(state).entries() == {}
        assert Heartbeats(state).alive(0.0) == []
        assert Alerts(state).all() == []


def test_each_table_is_read_and_written_by_one_module():
    tables = re.findall(r"create table if not exists (\w+)", "".join(migrations.RELEASES))
    package = Path(migrations.__file__).parents[2]
    code = {
        path.relative_to(package).as_posix(): path.read_text(encoding="utf-8")
        for path in package.rglob("*.py")
        if path.name != "migrations.py"
    }
    for table in tables:
        names = re.compile(rf"\b(?:from|into|update|join) {table}\b")
        owners = [name for name, text in code.items() if names.search(text)]
        assert [Path(name).parent.as_posix() for name in owners] == ["core/state"], (table, owners)


def test_a_state_of_a_newer_release_is_refused(state_url):
    with State(state_url) as state, state.writing() as db:
        db.execute("update state_version set version = 99")

    with pytest.raises(ConfigError, match="newer release"):
        State(state_url)


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

    with pytest.raises(ConfigError, match="not a database") as refused:
        State(file)

    assert file.read_text().startswith("no database")
    assert refused.tb is not None  # whoever looks at the error keeps its frames alive
    assert str(file) not in [each.path for each in psutil.Process().open_files()]


def test_a_state_that_another_process_writes_for_too_long_is_busy(file):
    state = State(file)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("begin immediate")
    state.database._db.execute("pragma busy_timeout = 10")

    with pytest.raises(Busy, match="another process"):
        state.write_run(run(1))

    other.execute("rollback")
    other.close()
    state.write_run(run(1))
    assert len(state.runs()) == 1
    state.close()


def test_a_state_that_was_never_closed_can_be_opened_again(state_url):
    first = State(state_url)
    first.write_run(run(1))
    with State(state_url) as second:
        second.write_run(run(2))
        assert len(first.runs()) == 2
    first.close()


def test_what_fails_within_a_transaction_leaves_nothing_of_it(state):
    def broken_off():
        with state.writing() as db:
            db.execute("insert into chores (name, at) values ('x', 1)")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken_off()

    assert state.reading("select * from chores") == []
    state.write_run(run(1))


def test_a_full_disk_is_told_and_it_goes_on_when_there_is_room(file, monkeypatch):
    monkeypatch.setattr(
        sys, "dont_write_bytecode", True
    )  # Python would keep half of a module's code
    with State(file) as state:
        state.write_run(run(1))
        state.database._db.execute("pragma wal_checkpoint(truncate)")
        before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
            with pytest.raises(DiskFull, match="is full") as full:
                state.write_run(run(2, error="x" * 100_000))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, before)
        assert "space" in full.value.remedy
        state.write_run(run(2))
        assert [r.run_id for r in state.runs()] == ["run-2", "run-1"]


def test_a_state_that_may_only_be_read_says_so_and_goes_on_when_it_may_be_written(file):
    with State(file) as state:
        state.database._db.execute("pragma query_only = on")
        with pytest.raises(ConfigError, match="readonly"):
            state.write_run(run(1))
        state.database._db.execute("pragma query_only = off")
        state.write_run(run(1))


MOUNTS = """\
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 21 0:40 / /net rw - nfs4 server:/export rw
31 21 0:41 / /my\\040files rw - fuse.sshfs me@there:/ rw
32 30 8:2 / /net/local rw - xfs /dev/sdb1 rw
33 21 0:42 / /covered rw - cifs //server/share rw
34 21 8:3 / /covered rw - ext4 /dev/sdc1 rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/net/torn.sqlite", "nfs4"),
        ("/my files/below/torn.sqlite", "fuse.sshfs"),
        ("/net/local/torn.sqlite", ""),
        ("/network/torn.sqlite", ""),
        ("/covered/torn.sqlite", ""),
    ],
)
def test_sqlite_on_a_network_share_is_refused(tmp_path, path, kind):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)

    if not kind:
        sqlite.refuse_share(Path(path), mounts)
        return
    with pytest.raises(ConfigError, match=f"[(]{kind}[)]") as refused:
        sqlite.refuse_share(Path(path), mounts)
    assert "postgresql://" in refused.value.remedy


def test_a_file_on_a_share_is_never_opened(tmp_path):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"1 0 0:1 / {tmp_path} rw - cifs //server/share rw")

    with pytest.raises(ConfigError, match="network share"):
        SQLite(tmp_path / "state.sqlite", mounts)

    assert not (tmp_path / "state.sqlite").exists()


@pytest.mark.parametrize("replaced", [False, True], ids=["deleted", "replaced"])
def test_a_file_that_was_taken_away_is_not_gone_on_with(file, replaced):
    with State(file) as state:
        claim = state.leases.claim("faction_crimes", "one")
        file.rename(file.with_suffix(".damaged"))
        if replaced:
            with State(file) as other:
                other.leases.claim("faction_crimes", "two")

        with pytest.raises(StateGone, match="moved away or deleted"):
            state.leases.check(claim)
        with pytest.raises(StateGone):
            state.runs()
