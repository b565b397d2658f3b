"""What is special to the DuckDB file: who holds it, and what else may lie in its place."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from dataclasses import replace

import duckdb
import pytest

from tcdatalogger.clock import ManualClock, SystemClock
from tcdatalogger.errors import ConfigError, DataRefused, UsageError, WarehouseUnavailable
from tcdatalogger.services.duckdb.warehouse import DuckDBWarehouse

HOLDER = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def file(tmp_path):
    return tmp_path / "torn.duckdb"


@contextmanager
def held(file):
    """Another process that has the file open until it is told to let go."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(file)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "held\n"
    try:
        yield process
    finally:
        process.communicate()


class Releasing(ManualClock):
    """A clock on which the other process lets go when it is first slept on."""

    def __init__(self, process):
        super().__init__()
        self.process = process
        self.slept = []

    def sleep(self, seconds):
        super().sleep(seconds)
        self.slept.append(seconds)
        if self.process.poll() is None:
            self.process.communicate("\n")


def test_a_file_that_another_process_holds_is_waited_for_and_its_holder_named(file, load):
    clock, made = ManualClock(), load({"id": 1})
    began = clock.now()

    with (
        held(file) as holder,
        DuckDBWarehouse(file, clock, patience=20) as warehouse,
        pytest.raises(WarehouseUnavailable) as refused,
    ):
        warehouse.commit(made)

    assert 19 < clock.now() - began <= 20
    assert refused.value.exit_code == 69
    assert f"process {holder.pid}" in refused.value.message
    assert str(file) in refused.value.message
    assert refused.value.facts == {"holder": str(holder.pid)}


def test_a_file_that_is_let_go_in_time_is_taken(file, load):
    made = load({"id": 1})

    with held(file) as holder:
        clock = Releasing(holder)
        with DuckDBWarehouse(file, clock, patience=20) as warehouse:
            assert warehouse.commit(made).rows == {"wars": 1, "wars_hits": 0}

    assert len(clock.slept) == 1


def test_readers_beside_each_other_do_not_wait(file, load):
    with DuckDBWarehouse(file, SystemClock()) as warehouse:
        warehouse.commit(load({"id": 1}))
    reading = "import sys, duckdb; c = duckdb.connect(sys.argv[1], read_only=True)"
    reader = f"{reading}; print('held', flush=True); sys.stdin.readline()"
    process = subprocess.Popen(
        [sys.executable, "-c", reader, str(file)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    process.stdout.readline()
    try:
        with DuckDBWarehouse(file, ManualClock(), patience=0, read_only=True) as warehouse:
            assert warehouse.query("select id from wars").to_pylist() == [{"id": 1}]
    finally:
        process.communicate()


def test_two_parts_of_a_process_that_change_the_same_tables_are_told_to_try_again(file, load):
    with DuckDBWarehouse(file) as one, DuckDBWarehouse(file) as other:
        one.commit(load({"id": 1}, mode="merge"))
        mine, its = load({"id": 1}, mode="merge"), load({"id": 1}, mode="merge")
        other.query("select 1")

        def between():
            one.commit(its)

        with pytest.raises(WarehouseUnavailable, match="at the same moment") as refused:
            other.commit(replace(mine, fence=between))

        assert "disk" not in refused.value.remedy
        assert "Try again" in refused.value.remedy
        assert other.commit(mine).rows["wars"] == 1


def test_a_warehouse_opened_for_reading_cannot_be_changed(file, load):
    with DuckDBWarehouse(file) as warehouse:
        warehouse.commit(load({"id": 1}))

    with DuckDBWarehouse(file, read_only=True) as warehouse:
        for change in ("drop table wars", "delete from wars", "create table x (y int)"):
            with pytest.raises(Exception, match="read-only"):
                warehouse.query(change)
        assert warehouse.query("select id from wars").to_pylist() == [{"id": 1}]


@pytest.mark.parametrize(
    "sql",
    [
        "copy wars to '{out}'",
        "copy (from wars) to '{out}' (format csv)",
        "export database '{out}'",
        "attach '{out}' as other",
        "explain analyze copy wars to '{out}'",
        "EXPLAIN (analyze) COPY wars TO '{out}'",
        "/* explain */ explain /* it */ analyze copy wars to '{out}'",
        "prepare it as copy wars to '{out}'; execute it",
        "select 1; copy wars to '{out}'",
        "set profiling_output = '{out}'; pragma enable_profiling; from wars",
        "pragma profiling_output = '{out}'; pragma enable_profiling; from wars",
        "create persistent secret s (type gcs, key_id 'a', secret 'b')",
        "call enable_logging(storage = 'file', storage_path = '{out}')",
        "install spatial",
    ],
)
def test_a_query_writes_no_file(file, load, tmp_path, sql):
    with DuckDBWarehouse(file) as warehouse:
        warehouse.commit(load({"id": 1}))
    before = sorted(tmp_path.iterdir())

    with (
        DuckDBWarehouse(file, read_only=True) as warehouse,
        pytest.raises(UsageError, match="refused"),
    ):
        warehouse.query(sql.format(out=tmp_path / "out"))

    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "sql",
    [
        "from wars",
        "show tables",
        "describe wars",
        "explain from wars",
        "explain analyze from wars",
        "explain (format json) select 1",
        "pivot wars on id using count(*)",
        "pragma table_info('wars')",
        "create temp table few as from wars; from few",
        "set variable a = 1; select getvariable('a')",
        "with a as (select 1) from a -- copy wars to 'x'",
    ],
)
def test_a_query_reads_tables_in_any_way(file, load, sql):
    with DuckDBWarehouse(file) as warehouse:
        warehouse.commit(load({"id": 1}))

    with DuckDBWarehouse(file, read_only=True) as warehouse:
        assert warehouse.query(sql).num_rows > 0


def test_reading_a_warehouse_that_is_not_there_makes_none(file):
    with (
        DuckDBWarehouse(file, read_only=True) as warehouse,
        pytest.raises(WarehouseUnavailable, match="no warehouse"),
    ):
        warehouse.query("select 1")

    assert not file.exists()


def _sqlite(file):
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("create table a (b)")
        connection.commit()


def _folder(file):
    file.mkdir()


def _half(file):
    with duckdb.connect(str(file)) as connection:
        connection.execute("create table a as from range(100000)")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.parametrize(
    "make",
    [
        lambda file: file.write_bytes(b""),
        lambda file: file.write_text("a text\n" * 1000),
        lambda file: file.write_bytes(b"\x00" * 9000),
        _sqlite,
        _folder,
        _half,
    ],
    ids=["empty", "text", "zeros", "sqlite", "folder", "half"],
)
def test_what_is_no_duckdb_file_is_refused_at_once_and_left_alone(file, load, make):
    make(file)
    before = file.read_bytes() if file.is_file() else None
    clock = ManualClock()
    began = clock.now()

    with DuckDBWarehouse(file, clock) as warehouse, pytest.raises(ConfigError) as refused:
        warehouse.commit(load({"id": 1}))

    assert clock.now() == began
    assert str(file) in refused.value.message
    assert refused.value.remedy
    assert "http" not in str(refused.value)  # no extension is fetched for it
    assert (file.read_bytes() if file.is_file() else None) == before


def test_a_folder_that_cannot_be_made_is_named(tmp_path, load):
    (tmp_path / "taken").write_text("a file")

    with (
        DuckDBWarehouse(tmp_path / "taken" / "torn.duckdb") as warehouse,
        pytest.raises(ConfigError, match="taken"),
    ):
        warehouse.commit(load({"id": 1}))


def test_an_index_of_a_users_own_that_is_in_the_way_is_named_and_nothing_is_lost(file, load):
    with DuckDBWarehouse(file) as warehouse:
        warehouse.commit(load({"id": 1}, mode="replace"))
    with duckdb.connect(str(file)) as connection:
        connection.execute("create index mine on wars (id)")

    with DuckDBWarehouse(file) as warehouse:
        with pytest.raises(DataRefused, match="wars") as refused:
            warehouse.commit(load({"id": 2}, mode="replace"))
        assert "index" in refused.value.remedy
        assert warehouse.query("select id from wars").to_pylist() == [{"id": 1}]


def test_columns_have_the_types_of_the_schema(file, load):
    kinds = {"a": "int", "b": "float", "c": "text", "d": "bool", "e": "time", "f": "json"}
    with DuckDBWarehouse(file) as warehouse:
        warehouse.commit(load({"id": 1}, of=kinds))
        found = warehouse.query("select column_name, column_type from (describe wars)").to_pylist()

    types = {row["column_name"]: row["column_type"] for row in found}
    assert [types[name] for name in kinds] == [
        "BIGINT", "DOUBLE", "VARCHAR", "BOOLEAN", "TIMESTAMP WITH TIME ZONE", "JSON",
    ]  # fmt: skip
    assert types["server_timestamp"] == "TIMESTAMP WITH TIME ZONE"
    assert types["_subject_id"] == "BIGINT"
    assert types["_run_id"] == "VARCHAR"
