"""What is special to the DuckDB file: who holds it, and what else may lie in its place."""

from __future__ import annotations

import gc
import json
import os
import resource
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace

import duckdb
import pytest

from shared import held
from tcdatalogger.clock import ManualClock, SystemClock
from tcdatalogger.errors import ConfigError, DataRefused, DiskFull, UsageError, WarehouseUnavailable
from tcdatalogger.models.schema import Type
from tcdatalogger.services.duckdb import connection, engine
from tcdatalogger.services.duckdb.session import Session
from tcdatalogger.services.duckdb.warehouse import DuckDBWarehouse
from tcdatalogger.services.warehouse.ledger_tables import LEDGER


@pytest.fixture
def make_store(make_duckdb):
    """Nothing of this file is about another kind of warehouse."""
    return make_duckdb


@pytest.fixture
def file(tmp_path):
    return tmp_path / "torn.duckdb"


@pytest.fixture
def alone(tmp_path):
    """A file that nothing else of the test has open."""
    return tmp_path / "alone.duckdb"


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


def opens(file, *, read_only=False):
    """Whether another process can open the file now."""
    code = "import sys, duckdb; duckdb.connect(sys.argv[1], read_only=sys.argv[2] == 'True')"
    words = [sys.executable, "-c", code, str(file), str(read_only)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0 or "Conflicting lock" in done.stderr, done.stderr
    return done.returncode == 0


TELLS = pytest.mark.skipif(sys.platform not in {"linux", "darwin"}, reason="no system tells else")


@TELLS
def test_who_holds_a_file_is_seen_without_opening_it_as_duckdb_does(alone, load):
    with DuckDBWarehouse(alone) as store:
        store.commit(load())
        assert engine.holder(alone, read_only=False) is None, "it is this process"
        assert not opens(alone), "to look took the lock away"

    with held(alone) as holder:
        assert engine.holder(alone, read_only=False) == holder.pid
        assert engine.holder(alone, read_only=True) == holder.pid
        assert engine.holder(alone.with_name("other.duckdb"), read_only=False) is None
    assert engine.holder(alone, read_only=False) is None


@TELLS
def test_a_lock_that_does_not_keep_duckdb_out_is_not_waited_for(alone, load):
    fcntl = pytest.importorskip("fcntl")
    with DuckDBWarehouse(alone) as store:
        store.commit(load())
    lock = "import fcntl, sys; f = open(sys.argv[1], 'rb'); fcntl.flock(f, fcntl.LOCK_EX)"
    code = f"{lock}; print('held', flush=True); sys.stdin.readline()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(alone)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        process.stdout.readline()
        with alone.open("rb") as own, pytest.raises(BlockingIOError):
            fcntl.flock(own, fcntl.LOCK_EX | fcntl.LOCK_NB)

        assert engine.holder(alone, read_only=False) is None
        process.communicate("\n")


@TELLS
def test_who_reads_a_file_keeps_out_who_writes_and_not_who_reads(alone, load):
    with DuckDBWarehouse(alone) as store:
        store.commit(load())
    reading = "import sys, duckdb; c = duckdb.connect(sys.argv[1], read_only=True)"
    code = f"{reading}; print('held', flush=True); sys.stdin.readline()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(alone)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        process.stdout.readline()

        assert engine.holder(alone, read_only=True) is None
        assert engine.holder(alone, read_only=False) == process.pid
        process.communicate("\n")


def test_no_other_process_opens_a_file_until_the_last_part_of_this_one_has_let_it_go(alone, load):
    one, other = DuckDBWarehouse(alone), DuckDBWarehouse(alone)
    one.commit(load({"id": 1}))
    other.commit(load({"id": 2}))
    assert not opens(alone)

    one.close()
    assert not opens(alone)
    assert not opens(alone, read_only=True)

    other.close()
    assert opens(alone)
    with one:
        assert one.query("select id from wars order by id").to_pylist() == [{"id": 1}, {"id": 2}]


def test_what_the_same_process_tries_with_a_file_that_it_writes_takes_no_lock_away(alone, load):
    with DuckDBWarehouse(alone) as warehouse:
        warehouse.commit(load({"id": 1}))
        with (
            DuckDBWarehouse(alone, ManualClock(), patience=1, read_only=True) as reader,
            pytest.raises(WarehouseUnavailable, match="another part of this program"),
        ):
            reader.query("select 1")

        assert not opens(alone)
    assert opens(alone)


def test_what_the_same_process_tries_with_a_file_that_it_reads_takes_no_lock_away(alone, load):
    with DuckDBWarehouse(alone) as warehouse:
        warehouse.commit(load({"id": 1}))
    with DuckDBWarehouse(alone, read_only=True) as reader:
        reader.query("select 1")
        with (
            DuckDBWarehouse(alone, ManualClock(), patience=1) as writer,
            pytest.raises(WarehouseUnavailable, match="another part of this program"),
        ):
            writer.commit(load({"id": 2}))

        assert not opens(alone)
        assert opens(alone, read_only=True)
    assert opens(alone)


@pytest.mark.parametrize("read_only", [False, True])
def test_a_file_that_nobody_has_any_more_is_let_go(alone, load, read_only):
    with DuckDBWarehouse(alone) as warehouse:
        warehouse.commit(load({"id": 1}))
    left = DuckDBWarehouse(alone, read_only=read_only)
    left.query("select 1")
    assert not opens(alone)

    del left
    gc.collect()

    assert opens(alone)
    with DuckDBWarehouse(alone, ManualClock(), patience=0) as warehouse:
        assert warehouse.commit(load({"id": 2})).rows["wars"] == 1


def test_a_limit_of_memory_ends_with_the_run_that_had_it(alone, load, monkeypatch):
    def limit():
        with DuckDBWarehouse(alone) as warehouse:
            found = warehouse.query("select current_setting('memory_limit') as most")
            return found.to_pylist()[0]["most"]

    own = limit()
    with monkeypatch.context() as patch:
        patch.setattr(connection, "memory", lambda: 200_000_000)
        assert limit() == "190.7 MiB"

    assert limit() == own


def test_a_file_whose_rows_are_still_read_is_let_go_with_them(alone, load):
    warehouse = DuckDBWarehouse(alone)
    warehouse.commit(load({"id": 1}))
    rows = Session(warehouse._connection).stream("select range from range(1000000)", 10)
    next(rows)

    warehouse.close()
    rows.close()

    assert opens(alone)


def test_files_of_one_name_in_two_folders_are_open_at_once(alone, load):
    beside = alone.parent / "beside" / alone.name
    with DuckDBWarehouse(alone) as one, DuckDBWarehouse(beside) as other:
        one.commit(load({"id": 1}))
        other.commit(load({"id": 2}))

        assert one.query("select id from wars").to_pylist() == [{"id": 1}]
        assert other.query("select id from wars").to_pylist() == [{"id": 2}]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_children_of_a_process_that_prepared_a_duckdb_write_with_it_one_after_the_other(alone):
    code = """\
import os, sys
from pathlib import Path
from tcdatalogger.services.duckdb import engine
engine.prepare()
file = Path(sys.argv[1])
for number in range(3):
    child = os.fork()
    if not child:
        for again in range(2):
            connection = engine.lend(file)
            connection.execute("create table if not exists found as from range(0) t(a)")
            connection.execute("insert into found values (?)", [number])
            engine.take_back(file, connection, good=again == 0)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
connection = engine.lend(file)
print(connection.execute("select list(a order by a) from found").fetchall())
engine.take_back(file, connection, good=True)
"""
    words = [sys.executable, "-W", "error", "-c", code, str(alone)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)

    assert done.stdout == "[([0, 0, 1, 1, 2, 2],)]\n", done.stderr


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


# What every warehouse promises, and this one in its own words


MODES = ("append", "replace", "merge", "history")
HIT, OTHER = {"id": 7, "user": 158}, {"id": 8, "user": 159}
SERVED_AT = 1_767_225_600.0
RANKED = {"score": "int", "rank": "int"}


@pytest.fixture
def sql(warehouse):
    """The rows of a query: of one column as values, of several as tuples."""

    def sql(query):
        found = [tuple(row.values()) for row in warehouse.query(query).to_pylist()]
        return [row[0] if len(row) == 1 else row for row in found]

    return sql


@pytest.fixture
def whole(warehouse):
    """Everything that is in the file: tables, columns, rows, books."""

    def whole():
        columns = warehouse.query(
            "select table_name, column_name, data_type from duckdb_columns() "
            "where not internal order by all"
        ).to_pylist()
        tables = dict.fromkeys(column["table_name"] for column in columns)
        rows = {name: warehouse.query(f'from "{name}" order by all').to_pylist() for name in tables}
        return columns, rows

    return whole


@pytest.mark.parametrize("mode", MODES)
def test_a_load_that_fails_in_its_last_table_leaves_not_even_a_table_or_a_column(
    warehouse, load, spoil, whole, mode
):
    warehouse.commit(load({"id": 1, "hits": [HIT]}, mode=mode))
    before = whole()
    more = {"medals": 5, "aids": [{"x": 1}]}
    bad = spoil(load({"id": 2, "hits": [HIT], **more}, mode=mode, at=SERVED_AT + 60))

    with pytest.raises(DataRefused, match="no number"):
        warehouse.commit(bad)

    assert whole() == before


def test_a_first_load_that_fails_leaves_not_even_an_empty_table(warehouse, load, spoil, whole):
    with pytest.raises(DataRefused):
        warehouse.commit(spoil(load({"id": 2, "hits": [HIT]})))

    assert whole() == ([], {})


def test_a_replace_leaves_no_other_table_than_its_own_and_the_former(warehouse, load, sql):
    for number in (1, 2, 3):
        warehouse.commit(load({"id": number, "hits": [HIT]}, mode="replace"))

    names = sql("select table_name from duckdb_tables() order by 1")
    assert names == sorted(
        [*LEDGER, "wars", "wars_hits", "_tcd_former_wars", "_tcd_former_wars_hits"]
    )


def test_free_json_is_asked_by_path(warehouse, load, sql):
    free = {"strength": "7566.34", "n": 12345678901234567890, "list": [1, None, {"a": "🦊"}]}
    warehouse.commit(load({"id": 1, "data": free}, of={"data": "json"}))

    assert json.loads(sql("select data::varchar from wars")[0]) == free
    assert sql("select data->>'strength' from wars") == ["7566.34"]


def test_a_query_that_makes_no_sense_is_refused_with_the_engines_own_words(warehouse, load):
    warehouse.commit(load({"id": 1}))

    with pytest.raises(UsageError, match="wrs"):
        warehouse.query("select * from wrs")


def test_what_a_change_touched_is_kept_with_its_type(warehouse, load, sql):
    warehouse.commit(load({"id": 1, "score": 5}, of={"score": "int"}))
    warehouse.commit(load({"id": 2, "score": 6.0}, of={"score": "float"}))
    assert sql("select distinct typeof(score) from wars") == ["DOUBLE"]
    assert sql("select distinct typeof(score) from _tcd_before_wars") == ["BIGINT"]

    warehouse.reshape_back("wars", 1, at=1.0)

    assert sql("select id, score, typeof(score) from wars order by id") == [
        (1, 5, "BIGINT"), (2, 6, "BIGINT"),
    ]  # fmt: skip


@pytest.mark.parametrize("dry", [False, True])
def test_a_change_that_is_refused_or_only_looked_at_leaves_no_copy(warehouse, load, sql, dry):
    warehouse.commit(load({"id": 1, "score": 2**53 + 1, "rank": 5}, of=RANKED))

    if dry:
        warehouse.reshape(load({"id": 2}, of={**RANKED, "rank": "text"}), accept=True, dry=True)
    else:
        with pytest.raises(DataRefused, match="1 of its values"):
            warehouse.commit(load({"id": 3, "score": 1.5}, of={**RANKED, "score": "float"}))

    assert sql("select table_name from duckdb_tables() where starts_with(table_name, '_tcd_')"
               " order by 1") == sorted(LEDGER)  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
def test_a_users_own_copies_in_another_schema_are_not_taken_for_ours(load, sql, warehouse, mode):
    def at(number, tag):
        made = load({"id": 1, "tag": tag}, of={"tag": "text"}, mode=mode, run=f"r{number}",
                    at=SERVED_AT + 60 * number)  # fmt: skip
        warehouse.commit(replace(made, listed={40832: SERVED_AT + 60 * number}))

    at(1, "a")
    at(2, "b")
    before = sql("select id, tag from wars order by tag")
    warehouse.query("create schema mine")
    for name in sql("select table_name from duckdb_tables() where schema_name = 'main'"):
        warehouse.query(f'create table mine."{name}" as from main."{name}"')
    at(3, "c")
    warehouse.rollback("wars", "r3", at=SERVED_AT, by="me")

    assert sql("select id, tag from wars order by tag") == before


# Files of older versions


@pytest.mark.parametrize("mode", MODES)
def test_of_a_file_from_before_there_were_owners_no_table_of_another_is_touched(
    load, warehouse, sql, mode
):
    warehouse.commit(load({"id": 1, "hits": [{"id": 7}]}, mode=mode))
    warehouse.query("drop table _tcd_owners")
    before = sql("from wars_hits"), sql("from _tcd_loads")

    with pytest.raises(DataRefused, match="wars_hits belongs to the endpoint wars") as refused:
        warehouse.commit(load({"id": 2}, mode=mode, endpoint="wars_hits"))

    assert 'table = "wars_hits_2"' in refused.value.remedy
    assert (sql("from wars_hits"), sql("from _tcd_loads")) == before
    owners = [(owner.table, owner.family, owner.endpoint) for owner in warehouse.owners()]
    assert sorted(owners) == [("wars", "wars", "wars"), ("wars_hits", "wars", "wars")]


def test_a_replace_leaves_a_table_alone_that_it_once_filled_and_is_anothers(load, warehouse, sql):
    warehouse.commit(load({"id": 2}, mode="replace", endpoint="wars_hits"))
    own = load({"id": 1, "hits": [{"id": 7}]}, mode="replace")
    alone = replace(own.family, tables=own.family.tables[:1])
    warehouse.commit(replace(own, family=alone, tables={"wars": own.tables["wars"]}))
    # As it was before there were owners: the ledger says that both have filled it.
    warehouse.query("update _tcd_loads set rows = '{\"wars\": 1, \"wars_hits\": 1}' "
                    "where endpoint = 'wars'")  # fmt: skip
    again = load({"id": 1}, mode="replace")

    warehouse.commit(replace(again, family=alone, tables={"wars": again.tables["wars"]}))

    assert sql("select id from wars_hits") == [2]


NUMBERED_SINCE = ("_tcd_loads", "_tcd_schemas", "_tcd_drift", "_tcd_quarantine", "_tcd_checks")
"""Ledger tables of the time when their lines had no numbers of their own."""


@pytest.mark.parametrize("mode", ["append", "replace", "merge", "history"])
def test_a_ledger_whose_lines_have_no_numbers_is_read_and_gets_them_at_the_next_load(
    file, load, warehouse, mode
):
    for number in (1, 2):
        hits = [{"id": 7, "user": number}]
        made = load({"id": 1, "hits": hits, "medals": number}, mode=mode, at=1_767_225_600 + number)
        warehouse.commit(replace(made, cursor=str(number)))
    for table in NUMBERED_SINCE:
        warehouse.query(f"alter table {table} drop column seq")
    warehouse.query("alter table _tcd_loads drop column root_table")
    warehouse.query("drop table _tcd_owners")
    warehouse.close()

    with DuckDBWarehouse(file, ManualClock(), read_only=True) as old:
        assert [line.run_id for line in old.loads(endpoint="wars")] == ["run-2", "run-1"]
        assert [line.root for line in old.loads()] == ["wars", "wars"]
        assert old.cursor("wars") == "2"
        assert old.known("wars").field("wars").shape.element.field("medals") is not None
        assert {owner.table for owner in old.owners()} == {"wars", "wars_hits"}

    third = load({"id": 1, "hits": []}, mode=mode, at=1_767_225_603)
    assert warehouse.commit(third).schema_version == 1
    assert [line.seq for line in warehouse.loads()] == [3, 2, 1]
    undo = warehouse.rollback("wars", third.run_id, at=4.0, by="me")
    assert (undo.cursor, warehouse.counts(["wars_hits"])["wars_hits"] > 0) == ("2", True)


def test_a_ledger_from_before_key_owners_is_read_and_gets_the_column_at_the_next_load(
    file, load, warehouse, sql
):
    warehouse.commit(replace(load({"id": 1}), key_owner=7))
    warehouse.query("alter table _tcd_loads drop column key_owner")
    warehouse.close()
    with DuckDBWarehouse(file, ManualClock(), read_only=True) as old:
        assert [line.run_id for line in old.loads()] == ["run-1"]

    warehouse.commit(replace(load({"id": 2}), key_owner=8))
    assert sql("select key_owner from _tcd_loads order by seq") == [None, 8]


# What is remembered of tables


@pytest.fixture
def session():
    """A session of an empty database, and how often it walked through all tables."""
    with closing(duckdb.connect()) as connection:
        asked = []

        class Counted:
            def execute(self, sql, *values):
                asked.append("duckdb_tables()" in sql)
                return connection.execute(sql, *values)

        yield Session(Counted()), lambda: sum(asked)


@pytest.mark.parametrize("sql", [
    "create table b (x bigint)", "create or replace table a (x bigint)", "drop table a",
    "drop table if exists a", "alter table a rename to c", "alter table a add column y bigint",
])  # fmt: skip
def test_a_statement_that_changes_tables_lets_a_session_look_again(session, sql):
    own, _ = session
    own.execute("create table a (x varchar)")
    assert own.stored(["a"]) == {"a": {"x": Type.TEXT}}

    own.execute(sql)

    names = own.execute("select table_name from duckdb_tables()").fetchall()
    assert own.names() == {name for (name,) in names}
    assert own.stored(["a"]).get("a", {}).keys() == {
        column for (column,) in own.execute(
            "select column_name from duckdb_columns() where table_name = 'a'"
        ).fetchall()
    }  # fmt: skip


@pytest.mark.parametrize("sql", [
    "create temp table b (x bigint)", "create or replace temp table b (x bigint)",
    "drop table if exists temp.b", "insert into a values ('x')", "select 1",
])  # fmt: skip
def test_a_statement_that_changes_no_table_lets_a_session_remember(session, sql):
    own, looked = session
    own.execute("create table a (x varchar)")
    own.names()
    before = looked()

    own.execute(sql)
    own.names()

    assert looked() == before


def test_a_disk_that_is_full_while_a_file_is_written_anew_is_told_as_one(alone):
    with closing(duckdb.connect(str(alone))) as made:
        made.execute(
            "create table rows as select range as id, md5(range::text) as word from range(1000)"
        )
    before = alone.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    with DuckDBWarehouse(alone, SystemClock()) as warehouse:
        # A part of the new file fits, and DuckDB says so only in the last line of its error.
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
        try:
            with pytest.raises(DiskFull, match="It is as it was"):
                warehouse.compact()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert alone.read_bytes() == before
    assert [path.name for path in alone.parent.iterdir()] == [alone.name]
