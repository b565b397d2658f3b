"""A state on Postgres: what differs from a file, and what goes wrong with a server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from postgres import LEFT_OUT, programs, server
from tcdatalogger.clock import ManualClock, SystemClock
from tcdatalogger.core.config.paths import without_password
from tcdatalogger.core.config.settings import StateSettings as Setting
from tcdatalogger.core.state.postgres import SharedClock
from tcdatalogger.core.state.store import RunRecord, State
from tcdatalogger.errors import Busy, ConfigError, StateUnavailable

PASSWORD = "s3cret-Wörd"


def run(number):
    return RunRecord(f"run-{number}", "crimes", 1000.0 + number)


@pytest.fixture
def own_server():
    """A server that a test may stop."""
    if programs() is None:
        pytest.skip(LEFT_OUT)
    with server() as started:
        yield started


# Together


def test_processes_that_start_at_once_make_the_tables_once(postgres_url):
    def begin(number):
        barrier.wait()
        with State(postgres_url) as state:
            state.write_run(run(number))

    barrier = threading.Barrier(8)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(begin, range(8)))
    with State(postgres_url) as state:
        assert len(state.runs()) == 8
        assert len(state.reading("select * from state_version")) == 1


def test_two_configurations_share_a_database_by_schemas(postgres):
    with State(postgres.url("torn_one")) as one, State(postgres.url("torn_two")) as two:
        one.write_run(run(1))
        assert two.runs() == []
        with one.writing():  # neither do they wait for each other
            two.write_run(run(2))


def test_one_writer_at_a_time_sees_all_that_was_written_before(postgres_url):
    def add(_):
        with State(postgres_url) as state:
            for _ in range(20):
                with state.writing() as db:
                    (known,) = db.execute("select count(*) from chores").fetchone()
                    db.execute("insert into chores (name, at) values (?, ?)", (f"{known}", 1))

    State(postgres_url).close()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(4)))
    with State(postgres_url) as state:
        assert state.reading("select count(*) from chores") == [(80,)]


def test_a_percent_and_a_backslash_in_a_value_come_back(postgres_url):
    record = RunRecord("run%s-1", "crimes", 1000.0, error="100 % of \\ and ? and %s")
    with State(postgres_url) as state:
        state.write_run(record)
        assert state.runs(run_id="run%s-1") == [record]


# What goes wrong


def test_a_server_that_went_away_is_told_and_it_goes_on_when_it_is_back(own_server):
    with State(own_server.url()) as state:
        state.write_run(run(1))
        own_server.stop()
        for call in (state.runs, lambda: state.write_run(run(2))):
            with pytest.raises(StateUnavailable, match="cannot be reached") as gone:
                call()
        with pytest.raises(StateUnavailable):
            State(own_server.url())
        own_server.start()
        state.write_run(run(2))
        assert [r.run_id for r in state.runs()] == ["run-2", "run-1"]

    assert gone.value.exit_code == 69
    assert gone.value.remedy


def test_a_connection_that_was_cut_between_two_uses_is_made_again(postgres, postgres_url):
    with State(postgres_url) as state, State(postgres_url) as other:
        for use in (lambda: state.write_run(run(1)), state.runs):
            cut(state, other)
            use()
        assert [r.run_id for r in state.runs()] == ["run-1"]


def cut(state, other):
    pid = state.reading("select pg_backend_pid()")[0][0]
    other.reading("select pg_terminate_backend(?)", (pid,))
    while other.reading("select 1 from pg_stat_activity where pid = ?", (pid,)):
        time.sleep(0.01)


def test_a_connection_that_is_cut_within_a_transaction_leaves_nothing_of_it(postgres_url):
    def cut_off():
        with state.writing() as db:
            db.execute("insert into chores (name, at) values ('x', 1)")
            cut(state, other)
            db.execute("insert into chores (name, at) values ('y', 1)")

    with State(postgres_url) as state, State(postgres_url) as other:
        with pytest.raises(StateUnavailable):
            cut_off()
        assert state.reading("select name from chores") == []
        state.write_run(run(1))


def test_what_another_process_writes_for_too_long_is_busy(postgres_url):
    with State(postgres_url) as state, State(postgres_url) as other, other.writing():
        state.database._db.execute("set lock_timeout = '10ms'")
        with pytest.raises(Busy, match="another process"):
            state.write_run(run(1))
    with State(postgres_url) as state:
        state.write_run(run(1))


HOLDER = """
import sys
from tcdatalogger.core.state.store import State
with State(sys.argv[1]) as state, state.writing() as db:
    state.database._db.execute("set idle_in_transaction_session_timeout = '300ms'")
    db.execute("insert into chores (name, at) values ('half', 1)")
    print("writes", flush=True)
    sys.stdin.readline()
"""


@pytest.mark.slow
def test_a_process_that_is_paused_within_a_transaction_does_not_stop_the_others(postgres_url):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, postgres_url], text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert holder.stdout.readline() == "writes\n"
        os.kill(holder.pid, signal.SIGSTOP)
        with State(postgres_url) as state:
            state.write_run(run(1))
            os.kill(holder.pid, signal.SIGCONT)
            _, err = holder.communicate("\n", timeout=120)
            assert "StateUnavailable" in err
            assert state.reading("select name from chores") == []
    finally:
        holder.kill()


def test_a_signal_that_ends_a_wait_leaves_a_state_that_works(postgres_url):
    class Alarm(BaseException):
        pass

    def ring(*_):
        raise Alarm

    before = signal.signal(signal.SIGALRM, ring)
    try:
        with State(postgres_url) as state:
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            with pytest.raises(Alarm):
                state.reading("select pg_sleep(20)")
            state.write_run(run(1))
            assert len(state.runs()) == 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_user_who_may_not_make_tables_is_told_what_to_do(postgres, postgres_url):
    with State(postgres_url) as state:
        state.reading("select 1")
        with state.writing() as db:
            db.execute("do $$ begin if to_regrole('guest') is null then create role guest login; "
                       "end if; end $$")  # fmt: skip
    with pytest.raises(ConfigError, match="permission denied") as refused:
        State(postgres.url("of_the_guest", user="guest"))

    assert "search_path" in refused.value.remedy


def test_without_psycopg_what_installs_it_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)

    with pytest.raises(ConfigError) as missing:
        State("postgresql://localhost/torn")

    assert "-m pip install 'psycopg[binary]" in missing.value.remedy


# The password


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://me:{PASSWORD}@127.0.0.1:1/torn",
        f"postgresql://me:a/b@c{PASSWORD}@127.0.0.1:1/torn",
        f"postgresql://me@127.0.0.1:1/torn?password={PASSWORD}",
        f"postgresql://me:{PASSWORD}@127.0.0.1:1/torn?nonsense={PASSWORD}",
        f"postgres://me:{PASSWORD}@[broken",
    ],
)
def test_a_password_in_the_address_is_never_shown(url, workplace):
    assert PASSWORD not in without_password(url)
    assert PASSWORD not in repr(Setting(url=url))
    with pytest.raises((StateUnavailable, ConfigError)) as refused:
        State(url)
    assert PASSWORD not in f"{refused.value} {refused.value!r} {refused.value.facts}"

    workplace.patch.setenv("TCDATALOGGER_STATE__URL", url)
    shown = [
        workplace.run(*words)
        for words in (
            ("config", "show"), ("config", "show", "--json"), ("status", "--debug"),
            ("run", "faction_basic", "--debug"), ("check",), ("runs", "--json"),
        )
    ]  # fmt: skip
    assert all(PASSWORD not in one.out + one.err for one in shown)
    assert shown[3].code in {69, 78}


def test_an_address_of_no_kind_is_refused_and_not_repeated(workplace):
    workplace.write(extra=f'[state]\nurl = "postgre://me:{PASSWORD}@db/torn"\n')

    done = workplace.run("status")

    assert done.code == 78
    assert "postgresql://" in done.err
    assert PASSWORD not in done.err


# Time


def test_machines_with_wrong_clocks_agree_by_the_database(postgres_url):
    with State(postgres_url) as state:
        for wrong in (-5000.0, 0.0, 3600.0):
            clock = SharedClock(state.database.time, wall=lambda wrong=wrong: time.time() + wrong)
            assert abs(clock.now() - time.time()) < 0.5
        assert abs(state.clock.now() - time.time()) < 0.5


def test_the_difference_is_measured_again_each_minute_and_when_a_clock_is_set():
    asked = []
    wall, pace = ManualClock(1000.0), ManualClock(50.0)

    def ask():
        asked.append(pace.now())
        return pace.now() + 9_000.0

    clock = SharedClock(ask, wall=wall.now, pace=pace.now)
    for _ in range(120):
        assert clock.now() == pytest.approx(pace.now() + 9_000.0)
        wall.sleep(1)
        pace.sleep(1)
    assert len(asked) == 2
    wall._now -= 3_600
    assert clock.now() == pytest.approx(pace.now() + 9_000.0)
    assert len(asked) == 3


def test_a_database_that_cannot_be_asked_leaves_the_last_difference_in_force():
    def ask():
        if gone:
            raise StateUnavailable("It is gone.")
        return wall.now() + 70.0

    gone = []
    wall, pace = ManualClock(1000.0), ManualClock(50.0)
    clock = SharedClock(ask, wall=wall.now, pace=pace.now)
    assert clock.now() == 1070.0
    gone.append(True)
    wall.sleep(100)
    pace.sleep(100)
    assert clock.now() == 1170.0


def test_an_injected_clock_is_left_alone(postgres_url):
    manual = ManualClock()
    with State(postgres_url, manual) as state:
        assert state.clock is manual
    with State(postgres_url, SystemClock()) as state:
        assert isinstance(state.clock, SharedClock)


# The whole program


@pytest.mark.slow
def test_runs_of_the_whole_program_are_kept_there(workplace, postgres_url):
    workplace.write(extra=f'[state]\nurl = "{postgres_url}"\n')

    done = workplace.process("run", "faction_basic", "faction_crimes", "--json")
    again = workplace.process("run", "faction_crimes", "--json")

    assert (done.code, again.code) == (0, 0), done.err
    listed = workplace.process("runs", "--json").json
    assert [run["endpoint"] for run in listed] == [
        "faction_crimes", "faction_crimes", "faction_basic",
    ]  # fmt: skip
    status = workplace.process("status", "--json").json
    assert sum(owner["calls_used"] for owner in status["owners"]) > 0
    assert list(workplace.folder.glob("*.sqlite")) == []
