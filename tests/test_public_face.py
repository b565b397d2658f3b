"""`import tcdatalogger`: what a notebook works with, in a process that lives for long."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest

import tcdatalogger
from tcdatalogger import errors
from tcdatalogger.core.state.store import State
from tcdatalogger.services.duckdb import connection
from tcdatalogger.services.duckdb.warehouse import DuckDBWarehouse
from tcdatalogger.services.torncity.processing.base import EndpointProcessor

MEMBERS = {"name": "members", "path": "/faction/members"}
IMPORTED = """
import sys
before = set(sys.modules)
import tcdatalogger
new = sys.modules.keys() - before
print(*sorted(name for name in new if name == "typing" or name.startswith("tcdatalogger.")))
tcdatalogger.EndpointProcessor
print(*sorted({name.partition(".")[0] for name in sys.modules} & {"duckdb", "httpx2", "pydantic"}))
"""
WRITES = "import duckdb, sys; duckdb.connect(sys.argv[1]).execute('create table t (x int)')"


def settings(city, *endpoints, **sections):
    return {
        "warehouse": {"url": "duckdb:///torn.duckdb"},
        "archive": {"path": "archive"},
        "torn": {"url": city.url},
        "keys": {"default": "env:TORN_API_KEY"},
        "endpoints": list(endpoints),
        **sections,
    }


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def variables(city):
    return {"TORN_API_KEY": city.keys["limited"]}


@pytest.fixture
def logger(folder, city, variables):
    return tcdatalogger.open(settings(city, MEMBERS), environ=variables)


def open_files(folder):
    """The files below a folder that this process has open."""
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    targets = [str(link.readlink()) for link in links if link.is_symlink()]
    return [target for target in targets if target.startswith(str(folder))]


# --- the names --------------------------------------------------------------------------------


def test_every_name_is_there_and_no_other():
    assert all(getattr(tcdatalogger, name) is not None for name in tcdatalogger.__all__)
    assert set(tcdatalogger.__all__) <= set(dir(tcdatalogger))
    assert sorted(tcdatalogger.__all__) == tcdatalogger.__all__
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = tcdatalogger.no_such_name


def test_importing_it_loads_nothing_of_it_and_a_processor_needs_no_warehouse():
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines() == ["", ""]


def test_events_are_logged_only_where_a_program_asks_for_them_also_before_it_loads_anything():
    says = "from tcdatalogger.observability import log; log.get_logger('x').error('it_failed')"
    asks = "import logging; logging.basicConfig(); logging.getLogger('tcdatalogger').setLevel(20);"
    done = [
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
        )
        for code in (says, asks + says)
    ]
    assert [one.stderr for one in done] == ["", "ERROR:tcdatalogger.x:it_failed\n"]


# --- a configuration --------------------------------------------------------------------------


def test_a_file_and_a_dict_give_the_same_settings(folder, city, variables):
    given = settings(city, MEMBERS)
    text = "\n".join(
        f"[{name}]\n" + "\n".join(f"{key} = {value!r}" for key, value in section.items())
        for name, section in given.items()
        if isinstance(section, dict)
    )
    text += "\n[[endpoints]]\n" + "\n".join(f"{key} = {value!r}" for key, value in MEMBERS.items())
    (folder / "tcdatalogger.toml").write_text(text)

    here = tcdatalogger.open(environ=variables)

    assert here == tcdatalogger.open(given, environ=variables)
    assert here == tcdatalogger.open("tcdatalogger.toml", environ=variables)
    assert here.endpoints == ("members",)
    assert here.settings.archive.path == str(folder / "archive")


def test_a_dict_may_hold_what_python_has_and_stays_as_it_is(folder, city):
    given = settings(city, MEMBERS, backup={"path": folder / "backups"})
    given["endpoints"] = ({**MEMBERS, "tags": ("often",)},)
    before = repr(given)

    logger = tcdatalogger.open(given, environ={"TCDATALOGGER_LIMITS__SHARE": "0.5"})

    assert logger.settings.endpoints[0].tags == ("often",)
    assert logger.settings.limits.share == 0.5
    assert repr(given) == before


def test_all_mistakes_of_a_dict_are_told_at_once(folder, city):
    wrong = settings(city, {**MEMBERS, "frequency": "1h"}, {"name": "x", "path": "/faction/crime"})

    with pytest.raises(errors.ConfigError) as refused:
        tcdatalogger.open(wrong)

    frequency, path = refused.value.problems
    assert frequency.startswith("<mapping>: endpoints.members.frequency: ")
    assert "/faction/crimes" in path


@pytest.mark.parametrize("place", ["keys", "endpoints"])
def test_a_dict_that_is_no_configuration_is_refused(folder, place):
    deep: dict[str, object] = {}
    for _ in range(50):
        deep = {"x": deep}
    for wrong in ({place: 3}, {place: deep}):
        with pytest.raises(errors.ConfigError):
            tcdatalogger.open(wrong)


def test_no_text_of_it_shows_a_key(logger, variables):
    result = logger.run("members")

    shown = " ".join(map(repr, (logger, result, logger.runs(), logger.status(), logger.settings)))

    assert variables["TORN_API_KEY"] not in shown
    assert max(len(repr(each)) for each in (logger, result, logger.runs()[0])) < 300


# --- runs -------------------------------------------------------------------------------------


def test_a_run_is_a_value_with_status_rows_and_tables(logger):
    result = logger.run("members")

    assert (result.status, result.rows, result.error) == ("done", {"members": 30}, None)
    assert result.tables["members"].num_rows == 30
    assert result.raise_for_error() is result
    assert logger.table("members").column("_run_id").to_pylist() == [result.run_id] * 30


def test_a_run_stops_after_a_step_and_goes_on_without_torn(logger, city):
    fetched = logger.run("members", step="fetch")
    calls = city.stats()["calls"]
    assert (fetched.status, len(fetched.fetched.pages), fetched.tables) == ("paused", 1, {})

    made = logger.resume(fetched.run_id, step="transform")
    assert (made.status, made.tables["members"].num_rows) == ("paused", 30)
    assert logger.tables() == []

    stored = logger.resume(fetched.run_id)
    assert (stored.status, stored.run_id) == ("done", fetched.run_id)
    assert city.stats()["calls"] == calls
    assert logger.tables() == ["members"]


def test_a_dry_run_stores_nothing_and_says_how_tables_would_change(logger):
    result = logger.run("members", dry_run=True)

    assert result.status == "paused"
    assert "members" in " ".join(map(str, result.plan))
    assert logger.tables() == []


def test_a_run_of_an_id_that_is_stored_does_nothing(logger):
    first = logger.run("members", run_id="by-me")
    again = logger.run("members", run_id="by-me")

    assert (first.run_id, again.status) == ("by-me", "done")
    assert logger.table("members").num_rows == 30
    with pytest.raises(errors.UsageError):
        logger.run("members", run_id="../me")


def test_a_run_that_fails_says_why_and_raises_when_asked(folder, city):
    logger = tcdatalogger.open(settings(city, MEMBERS), environ={"TORN_API_KEY": city.keys["dead"]})
    result = logger.run("members")

    assert result.status == "failed"
    assert "incorrect key" in repr(result)
    with pytest.raises(errors.KeyRefused) as raised:
        result.raise_for_error()
    assert raised.value.remedy


def test_an_error_of_a_processor_comes_as_it_is_and_the_endpoint_is_free(folder, city, variables):
    (folder / "own.py").write_text(
        "from tcdatalogger import EndpointProcessor\n\n\nclass Own(EndpointProcessor):\n"
        "    def transform_data(self, fetched):\n        return {}['no such key']\n"
    )
    logger = tcdatalogger.open(
        settings(city, {**MEMBERS, "processor": "own.py:Own"}), environ=variables
    )
    for _ in range(2):
        with pytest.raises(KeyError, match="no such key"):
            logger.run("members")
    assert open_files(folder) == []


def test_what_ran_is_told_as_values(logger):
    assert logger.runs() == ()
    assert logger.status().endpoints[0].last_run is None
    assert not Path("torn.state.sqlite").exists()  # to look makes nothing

    paused, done = logger.run("members", step="fetch"), logger.run("members")

    assert [run.record.run_id for run in logger.runs()] == [done.run_id, paused.run_id]
    assert [run.result for run in logger.runs("members", limit=1)] == ["done"]
    assert [run.record.run_id for run in logger.runs(status="paused")] == [paused.run_id]
    (endpoint,) = logger.status().endpoints
    assert (endpoint.endpoint, endpoint.rows) == ("members", {"members": 30})
    (key,) = logger.status().keys
    assert (key.key, key.health) == ("default", "ok")


@pytest.mark.parametrize(
    ("call", "remedy"),
    [
        (lambda logger: logger.run("membres"), "Did you mean 'members'?"),
        (lambda logger: logger.run("members", step="trasform"), "Did you mean 'transform'?"),
        (lambda logger: logger.resume("no-run"), "runs()"),
        (lambda logger: logger.runs("membres"), "Did you mean 'members'?"),
        (lambda logger: logger.runs(status="don"), "Did you mean 'done'?"),
        (lambda logger: logger.processor("membres"), "Did you mean 'members'?"),
    ],
)
def test_a_name_that_there_is_not_is_refused_with_the_near_one(logger, call, remedy):
    with pytest.raises(errors.UsageError) as refused:
        call(logger)
    assert remedy in refused.value.remedy


# --- tables -----------------------------------------------------------------------------------


def test_tables_are_arrow_and_so_pandas(logger):
    assert logger.tables() == []
    with pytest.raises(errors.WarehouseUnavailable):
        logger.table("members")
    logger.run("members")

    table = logger.table("members")
    assert isinstance(table, pa.Table)
    assert str(table.schema.field("server_timestamp").type) == "timestamp[us, tz=UTC]"
    assert len(table.to_pandas()) == 30
    assert logger.query("select count(*) as n from members").to_pylist() == [{"n": 30}]
    assert logger.table("_tcd_loads").num_rows == 1
    with pytest.raises(errors.UsageError, match="members"):
        logger.table('members"; drop table members; --')
    with pytest.raises(errors.UsageError, match="read-only"):
        logger.query("drop table members")


def test_a_processor_can_be_called_by_hand(logger):
    own = logger.processor("members")
    body = b'{"members": [{"id": 1, "name": "Somebody", "level": 15}]}'
    fetched = tcdatalogger.Fetched.of(body)

    made = own.validate(own.transform_data(fetched), fetched)

    assert made.tables["members"].select(["id", "level"]).to_pylist() == [{"id": 1, "level": 15}]


# --- beside others, and after Ctrl-C ----------------------------------------------------------


def test_an_endpoint_that_another_notebook_runs_is_busy(logger, city, variables):
    other = tcdatalogger.open(settings(city, MEMBERS), environ=variables)
    with other._application() as application, application.claimed("members", "its-run"):
        result = logger.run("members")

    assert result.status == "busy"
    with pytest.raises(errors.Busy, match="its-run"):
        result.raise_for_error()
    assert logger.run("members").status == "done"


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_nothing_is_open_between_two_calls(logger, folder):
    with logger as same:
        for call in (
            lambda: same.run("members"),
            lambda: same.table("members"),
            same.tables,
            same.runs,
            same.status,
        ):
            call()
            assert open_files(folder) == []
    subprocess.run([sys.executable, "-c", WRITES, "torn.duckdb"], check=True, timeout=60)
    assert logger.run("members").status == "done"


def test_several_threads_read_at_once(logger, monkeypatch):
    """The connections of a process to one file share their settings."""
    logger.run("members")
    count, both = 4, threading.Barrier(4, timeout=20)
    lock_down = connection._lock_down
    zones = "select current_setting('TimeZone') as zone, count(*) as n from members"

    def together(*args):
        both.wait()
        lock_down(*args)
        both.wait()

    with monkeypatch.context() as patch, ThreadPoolExecutor(count) as pool:
        patch.setattr(connection, "_lock_down", together)
        found = [pool.submit(logger.query, zones) for _ in range(count)]
        assert [one.result().to_pylist() for one in found] == [[{"zone": "UTC", "n": 30}]] * count
    with DuckDBWarehouse(Path("torn.duckdb"), read_only=True) as held:
        assert held.query("select 1 as one").num_rows == 1
        assert logger.table("members").num_rows == 30
        for sql in ("from read_text('/etc/hostname')", "set TimeZone = 'Europe/Vienna'"):
            with pytest.raises(errors.UsageError):
                logger.query(sql)


def test_a_state_that_was_deleted_between_two_calls_is_made_anew(logger, folder):
    logger.run("members")
    for file in folder.glob("torn.state.sqlite*"):
        file.unlink()

    assert logger.run("members").status == "done"
    assert logger.table("members").num_rows == 60


def control_c(*_):
    signal.raise_signal(signal.SIGINT)


def while_torn_answers(monkeypatch, city):
    answer = city.city.answer
    monkeypatch.setattr(city.city, "answer", lambda request: (control_c(), answer(request))[1])


def while_rows_are_made(monkeypatch, city):
    monkeypatch.setattr(EndpointProcessor, "transform_data", control_c)


def while_rows_are_stored(monkeypatch, city):
    commit = DuckDBWarehouse.commit
    monkeypatch.setattr(
        DuckDBWarehouse, "commit", lambda own, load: (control_c(), commit(own, load))[1]
    )


def while_the_run_is_written_down(monkeypatch, city):
    write = State.write_run
    monkeypatch.setattr(State, "write_run", lambda own, run: (write(own, run), control_c()))


def twice(monkeypatch, city):
    """The second one comes while the end of the run is written down."""
    write = State.write_run

    def again(own, run):
        if run.status != "running":
            control_c()
        write(own, run)

    while_rows_are_made(monkeypatch, city)
    monkeypatch.setattr(State, "write_run", again)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize(
    ("moment", "status"),
    [
        (while_torn_answers, "stopped"),
        (while_rows_are_made, "pending"),
        (while_rows_are_stored, "done"),
        (while_the_run_is_written_down, "crashed"),
        (twice, "pending"),
    ],
)
def test_ctrl_c_leaves_no_claim_and_no_open_file_behind(
    logger, folder, city, monkeypatch, moment, status
):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with monkeypatch.context() as patch:
        moment(patch, city)
        with pytest.raises(KeyboardInterrupt) as kept:  # with its frames, as a notebook keeps it
            logger.run("members")

    assert open_files(folder) == []
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    with logger._application() as application:
        assert application.state.leases.held() == []
    (cut,) = logger.runs()
    assert cut.record.status == status
    assert logger.run("members").status == "done"
    rows = logger.query("select count(*) as n, count(distinct _run_id) as runs from members")
    assert rows.to_pylist()[0]["n"] == 30 * rows.to_pylist()[0]["runs"]
    assert kept.traceback
