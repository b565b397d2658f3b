"""Told to end: every command ends soon with 143 or 130, and what was fetched whole is not lost."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tcdatalogger.core.main import Application
from tcdatalogger.core.run.load import Guard
from tcdatalogger.core.run.run import Run, store_pending
from tcdatalogger.services.duckdb import engine

MEMBERS = '[[endpoints]]\nname = "members"\npath = "/faction/members"\n'

# Each connection, or the piece of a run that is named, has much to do at first. It is said on the
# standard error that it begins; then the process works within DuckDB.
BUSY = """
import sys
from tcdatalogger import ending
from tcdatalogger.cli import main
from tcdatalogger.services.duckdb import engine
from tcdatalogger.services.duckdb.transaction import DuckDBTransaction
from tcdatalogger.services.warehouse.ledger import Ledger

HEAVY = ("select count(*) from range(3000000) a, range(3000000) b "
         "where (a.range * b.range) % 7 = 3")
ending.PATIENCE = 1.0

def work(connection):
    print("there", file=sys.stderr, flush=True)
    connection.execute(HEAVY).fetchall()

# Other tests want to work too; a connection for reading takes no setting once it is open.
engine.ALONE = {**engine.ALONE, "threads": 1}

owner, name = {
    "open": (ending, "watch_over"), "shape": (Ledger, "known_shape"),
    "steps": (DuckDBTransaction, "append"), "commit": (Ledger, "write_loads"),
}[sys.argv[1]]
whole = getattr(owner, name)

def slow(whose, *args, **options):
    if sys.argv[1] != "open":
        work(getattr(whose, "_tables", whose)._session)
    done = whole(whose, *args, **options)
    if sys.argv[1] == "open":
        work(whose)
    return done

setattr(owner, name, slow)
sys.exit(main(sys.argv[2:]))
"""


def ended(place, number, point, *words):
    """Run a command, tell it to end while DuckDB works; its exit code and what it said."""
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", BUSY, point, *words],
        cwd=place.folder, env=place.outside(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True,
    ) as process:  # fmt: skip
        try:
            assert any("there" in line for line in process.stderr)
            wait_for_work(process.pid)
            process.send_signal(number)
            return process.wait(120), process.stderr.read()  # its query takes for ever
        finally:
            process.kill()


def wait_for_work(pid):
    """Until the process has been busy for a moment: then it is well within the query."""
    first, end = ticks(pid), time.monotonic() + 120
    while ticks(pid) < first + 15:
        assert time.monotonic() < end
        time.sleep(0.01)


def ticks(pid):
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return int(stat[11]) + int(stat[12])


COMMANDS = {
    "query": ("query", "from members"),
    "rebuild": ("rebuild", "members"),
    "backup": ("backup",),
    "check": ("check",),
    "run": ("run", "members"),
}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_ends_soon_with_143_while_the_engine_works(workplace, name):
    workplace.write(MEMBERS, extra='[backup]\npath = "backups"\n')
    workplace.log("members")

    code, said = ended(workplace, signal.SIGTERM, "open", *COMMANDS[name])

    assert code == 143, said
    assert "should not have happened" not in said
    assert "refused" not in said
    assert "damaged" not in said
    assert list(workplace.folder.rglob("*.part")) == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize(
    ("point", "number"),
    [("shape", signal.SIGTERM), ("steps", signal.SIGINT), ("commit", signal.SIGTERM)],
)
def test_a_run_that_is_told_to_end_within_the_engine_is_stored_later(workplace, number, point):
    workplace.write(MEMBERS)
    workplace.log("members")

    code, said = ended(workplace, number, point, "run", "members")

    assert code == 128 + number, said
    with workplace.application() as application:
        [run, _] = application.state.runs(endpoint="members")
        assert (run.status, run.exit_code != 0) == ("pending", True)
        assert application.state.leases.held() == []
    assert workplace.value("select count(distinct _run_id) from members") == 1
    workplace.log("members")
    assert workplace.value("select count(distinct _run_id) from members") == 3


class Calls:
    """Counts the calls of Python from the moment at which all is fetched, and signals at one.

    Args:
        number: of the signal.
        at: the number of the call; 0 for none.
    """

    def __init__(self, number=0, at=0):
        self.number, self.at, self.count, self.counts = number, at, 0, False

    def __enter__(self):
        sys.setprofile(self._note)
        return self

    def __exit__(self, *_error):
        sys.setprofile(None)

    def _note(self, frame, event, _argument):
        if event == "call" and frame.f_code is Run._keep.__code__:
            self.counts = True
        if event == "return" and frame.f_code is Application.run.__code__:
            self.counts = False
        if not self.counts or event not in {"call", "c_call"}:
            return
        self.count += 1
        if self.count == self.at:
            signal.raise_signal(self.number)


MOMENTS = 24


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # lost in a closing
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_has_fetched_all_is_never_failed_wherever_it_is_told_to_end(workplace, number):
    workplace.write(MEMBERS)
    workplace.run("run", "members")
    with Calls() as calls:
        assert workplace.run("run", "members").code == 0
    assert calls.count > 1_000
    moments = [1 + (calls.count - 1) * step // MOMENTS for step in range(MOMENTS)]

    for runs, at in enumerate([*range(1, 8), *moments], 3):
        with Calls(number, at) as told:
            done = workplace.run("run", "members")
        # An error within a block's end keeps what was open; the process would be gone, and its
        # DuckDB with it.
        engine._of.cache_clear()
        gc.collect()
        assert (told.count >= at, done.code) == (True, 128 + number), (at, done.err)
        with workplace.application() as application:
            [run] = application.state.runs(endpoint="members", most=1)
            assert run.status in {"pending", "done", "running"}, (at, run)
            # Told to end while it gives its claim back, it may keep it: its process is gone then.
            for claim in application.state.leases.held():
                application.state.leases.release(claim)
            # Nothing is asked for but what is pending: the city is down for a moment.
            [endpoint] = application.chosen(["members"])
            with application.claimed("members", "by hand"), application.warehouse() as warehouse:
                store_pending(application, endpoint, Guard(), warehouse)
            assert application.state.runs(endpoint="members", most=1)[0].status == "done", at
        stored = workplace.value("select count(distinct _run_id) from members")
        assert stored == runs, at
    assert workplace.value("select count(*) from members") == 30 * stored
    assert list(workplace.folder.rglob("*.part")) == []


def test_json_of_a_query_that_is_told_to_end_has_no_error_of_the_engine(workplace, monkeypatch):
    """The engine's own error comes first, the signal is what counts."""
    from tcdatalogger.services.duckdb import warehouse  # noqa: PLC0415

    workplace.write(MEMBERS)
    workplace.log("members")

    def broken(_connection, _sql):
        try:
            signal.raise_signal(signal.SIGTERM)
            while True:
                pass
        except BaseException:  # noqa: BLE001  # as the engine does it
            raise RuntimeError("Query interrupted") from None

    monkeypatch.setattr(warehouse, "refuse_writing", broken)

    done = workplace.run("query", "from members", "--json")

    assert (done.code, done.out, done.err) == (143, "", "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_does_not_break_into_the_tidying_up(workplace, monkeypatch, number):
    workplace.write(MEMBERS)
    close = Run._close

    def told(*_args):
        signal.raise_signal(number)

    def told_again(*args, **options):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        close(*args, **options)

    monkeypatch.setattr(Run, "_asker", told)
    monkeypatch.setattr(Run, "_close", told_again)

    assert workplace.run("run", "members").code == 128 + number

    with workplace.application() as application:
        assert application.state.leases.held() == []
        [run] = application.state.runs()
        assert (run.status != "running", run.exit_code != 0) == (True, True)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
