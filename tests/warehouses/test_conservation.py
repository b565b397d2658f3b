"""The law of conservation: what is handed in is stored, or known to be stored, or nothing happens.

An engine that loses rows is planted: each join and each insert of a piece of work loses its rows in
turn, all of them or all but one, and tells nobody. The work is then refused and undone, or what is
there is right all the same.
"""

from __future__ import annotations

import re
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tcdatalogger.clock import ManualClock
from tcdatalogger.errors import ConfigError, Unbalanced
from tcdatalogger.services.duckdb.warehouse import DuckDBWarehouse
from tcdatalogger.services.warehouse.load import Clear

SERVED_AT = 1_767_225_600.0
ME = 40832
MODES = ("append", "once", "replace", "merge", "history")
TAG = {"tag": "text"}

PLACE = re.compile(
    r"\bjoin\s+"  # what is joined
    r"|\busing\s+(?=temp\.)"  # what a `delete` is joined with
    r"|(?<=\s)from\s+(?=temp\.\S+ c where o\.)"  # and an `update`
    r"|\bby name\s+from\s+",  # what an `insert` takes
    re.IGNORECASE,
)
NAME = re.compile(r'[\w.]*(?:"[^"]*"|\w+)')


class Lossy:
    """Stands before a connection, and loses rows at the place that it is told.

    Args:
        connection: the real one.
        lost: the number of the place, 0 for none.
        keeps: how many rows are left there.
    """

    def __init__(self, connection, lost=0, keeps=0):
        self._connection, self._lost, self._keeps = connection, lost, keeps
        self.count, self.planted = 0, ""

    def __getattr__(self, name):
        return getattr(self._connection, name)

    def execute(self, sql, *more):
        for found in PLACE.finditer(sql):
            self.count += 1
            if self.count == self._lost:
                self.planted, sql = sql, self._spoilt(sql, found.end())
                break
        return self._connection.execute(sql, *more)

    def _spoilt(self, sql, begin):
        if sql[begin] == "(":
            depths = pa.array([(c == "(") - (c == ")") for c in sql[begin:]])
            end = begin + pc.index(pc.cumulative_sum(depths), 0).as_py() + 1
            relation = sql[begin:end]
        else:
            end = NAME.match(sql, begin).end()
            relation = f"(from {sql[begin:end]})"
        alias = "" if re.match(r"\s+(as\s+)?\w", sql[end:]) else " as lossy"
        return f"{sql[:begin]}(from {relation} limit {self._keeps}){alias}{sql[end:]}"


def war(number, tag, hits):
    own = [{"id": 10 * number + h, "user": 158 + h} for h in range(hits)]
    return {"id": number, "tag": tag, "hits": own}


FIRST = [war(1, "a", 2), war(2, "b", 3), war(3, "c", 2), war(4, "d", 0), war(5, "e", 3)]
SECOND = [war(1, "a", 2), war(2, "B", 2), war(3, "c", 3), war(6, "f", 2), war(7, "g", 3)]
THIRD = [war(1, "a", 2), war(2, "b", 2), war(6, "F", 2), war(8, "h", 3), war(9, "i", 2)]


class Bench:
    """Loads of three runs, the third an older list that comes late, and what is done with them."""

    def __init__(self, folder, maker, mode):
        self.warehouse = DuckDBWarehouse(folder / "torn.duckdb", ManualClock())
        self.make, self.mode = maker(lambda: self.warehouse), mode

    def load(self, number, wars, **facts):
        at = SERVED_AT + 60 * number
        once = self.mode == "once"
        mode = "append" if once else self.mode
        made = self.make(*wars, mode=mode, at=at, of=TAG, run=f"r{number}")
        return replace(made, once=once, listed={ME: at}, **facts)

    def again(self, number, wars):
        made = self.load(number, wars)
        return replace(made, id=f"{made.id}-again", again=True)

    def content(self):
        names = self.warehouse.query(
            "select table_name from duckdb_tables() where not temporary"
        ).column(0)
        return {
            name: sorted(map(repr, self.warehouse.query(f'from "{name}"').to_pylist()))
            for name in names.to_pylist()
        }

    def lossy(self, lost=0, keeps=0):
        found = Lossy(self.warehouse._connection, lost, keeps)
        between(self.warehouse, found)
        return found

    def whole(self):
        between(self.warehouse, self.warehouse._connection._connection)


def between(warehouse, connection):
    """Let a warehouse work with another connection to the file that it has open."""
    warehouse._open.connection = connection


def setup(what, bench):
    """What comes before the work, and the work itself."""
    commit, load = bench.warehouse.commit, bench.load
    commit(load(0, FIRST))
    if what == "run":
        made = load(2, SECOND)
        return lambda: commit(made)
    commit(load(2, SECOND))
    if what == "late run":
        made = load(1, THIRD)
        return lambda: commit(made)
    if what == "replay":
        made = bench.again(2, SECOND)
        return lambda: commit(made)
    if what == "rebuild":
        made = [bench.again(0, FIRST), bench.again(2, SECOND)]
        made = made[1:] if bench.mode == "replace" else made
        clear = Clear("wars", ("r0", "r2"), (), "r9")
        return lambda: bench.warehouse.commit_all(made, clear)
    assert what == "rollback"
    return lambda: bench.warehouse.rollback("wars", "r2", at=SERVED_AT, by="me")


@pytest.fixture
def bench(tmp_path, maker):
    """A warehouse of its own, as often as one is needed."""
    folders = (tmp_path / str(number) for number in range(1_000))
    opened = []

    def bench(mode):
        folder = next(folders)
        folder.mkdir()
        opened.append(Bench(folder, maker, mode))
        return opened[-1]

    yield bench
    for each in opened:
        each.warehouse.close()


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "work"), [
    *((mode, "run") for mode in MODES),
    ("merge", "late run"), ("history", "late run"), ("merge", "replay"), ("merge", "rollback"),
    ("once", "rebuild"), ("append", "rebuild"),
])  # fmt: skip
def test_an_engine_that_loses_rows_anywhere_is_caught(bench, mode, work):
    right = bench(mode)
    do = setup(work, right)
    watch = right.lossy()
    do()
    right.whole()
    wanted = right.content()
    one, wrong = None, []
    for lost in range(1, watch.count + 1):
        if one is None:
            one = bench(mode)
            do = setup(work, one)
            before = one.content()
        planted = one.lossy(lost, keeps=lost % 2)
        try:
            do()
        except Unbalanced:
            one.whole()
            assert one.content() == before
        else:
            one.whole()
            if one.content() != wanted:
                wrong.append(planted.planted)
            one = None
    assert not wrong, "\n\n".join(wrong)
    assert one is not None or work == "rollback"  # the last place is where rows are stored


class Spoilt:
    """Stands before a connection, and does something else where a statement begins so."""

    def __init__(self, connection, begins, instead):
        self._connection, self._begins, self._instead = connection, begins, instead

    def __getattr__(self, name):
        return getattr(self._connection, name)

    def execute(self, sql, *more):
        if sql.startswith(self._begins):
            return self._connection.execute(
                self._instead.format(sql), *more[: "{}" in self._instead]
            )
        return self._connection.execute(sql, *more)


@pytest.mark.parametrize(("mode", "begins", "instead"), [
    ("append", 'delete from "wars"', "{} and id <> 3"),
    ("append", 'delete from "wars_hits"', "select 0"),
    ("merge", 'delete from "wars"', "{} and id <> 3"),
    ("history", 'delete from "wars"', "select 0"),
    ("history", 'update "wars"', "select 0"),
    ("history", 'update "wars_hits"', "select 0"),
])  # fmt: skip
def test_an_engine_that_takes_back_less_than_it_says_is_caught(bench, mode, begins, instead):
    one = bench(mode)
    do = setup("rollback", one)
    before = one.content()
    between(one.warehouse, Spoilt(one.warehouse._connection, begins, instead))
    with pytest.raises(Unbalanced, match="do not add up"):
        do()
    one.whole()
    assert one.content() == before


@pytest.mark.parametrize("lost", ["rows of the table", "rows of the copy", "values"])
def test_an_engine_that_loses_rows_or_values_while_it_widens_a_column_is_caught(bench, lost):
    one, pay = bench("append"), {"tag": "text", "pay": "int"}
    paid = [{**each, "pay": 5} for each in FIRST]
    one.warehouse.commit(one.make(*paid, of=pay, run="r0"))
    wider = one.make(*FIRST, of={**pay, "pay": "float"}, run="r1")
    before = one.content()
    begins, instead = {
        "rows of the table": ('alter table "wars" alter', "{}; delete from wars where id = 3"),
        "rows of the copy": ('create or replace table "_tcd_before_wars"', "{} limit 3"),
        "values": ('alter table "wars" alter', "{}; update wars set pay = 6 where id = 3"),
    }[lost]
    between(one.warehouse, Spoilt(one.warehouse._connection, begins, instead))
    with pytest.raises(Unbalanced, match="wars"):
        one.warehouse.commit(wider)
    one.whole()
    assert one.content() == before


# Loads of more than one row group


WARS, HITS = 50_000, 8
"""400,000 children are three row groups and a bit."""


def big(bench, number, first=0):
    """A load of many records, each with its children, made by Arrow alone."""
    made = bench.load(number, [war(1, "a", 1)])
    root, child = made.tables["wars"], made.tables["wars_hits"]
    ids = pa.array(range(first, first + WARS), pa.int64())
    whose = pa.array(range(WARS * HITS), pa.int64())
    parent = pc.add(pc.divide(whose, HITS), first)
    tag = pc.cast(pc.multiply(ids, 3 + number), pa.string())
    own = {"id": ids, "tag": tag}
    its = {
        "war_id": parent,
        "hit_id": pc.add(whose, 7),
        "user": pc.multiply(whose, 31 + number),
        "tag": tag.take(pc.divide(whose, HITS)),
        "_index": pc.subtract(whose, pc.multiply(pc.divide(whose, HITS), HITS)),
    }
    tables = {"wars": _long(root, own, WARS), "wars_hits": _long(child, its, WARS * HITS)}
    return replace(made, tables=tables, listed=None)


def _long(short, columns, rows):
    """A table whose other columns have the one value that the short one has."""
    made = {
        name: columns.get(name, pa.repeat(short.column(name)[0], rows))
        for name in short.column_names
    }
    return pa.table(made, schema=short.schema)


def sums(table):
    """What each column is known by, whatever the order of the rows, reckoned in Arrow.

    Each value counts with the number that the row's key gives it, so that none can change places.
    """
    keys = [name for name in ("id", "war_id", "hit_id") if name in table.column_names]
    table = table.sort_by([(name, "ascending") for name in keys])
    weight = pa.array(range(1, table.num_rows + 1), pa.uint64())
    found = {"rows": table.num_rows}
    for name in table.column_names:
        column = table.column(name)
        if pa.types.is_string(column.type):
            codes = pc.cast(pc.replace_substring_regex(column, r"\D", ""), pa.uint64())
        else:
            codes = pc.cast(column, pa.int64(), safe=False).cast(pa.uint64(), safe=False)
        total = pc.sum(pc.multiply(pc.bit_wise_and(codes, 0xFFFFFFFF), weight)).as_py()
        found[name] = (column.null_count, pc.count_distinct(column).as_py(), total)
    return found


def held(bench, load):
    """The same of the warehouse's tables, of the load's columns and current rows."""
    found = {}
    for table, rows in load.tables.items():
        where = " where valid_to is null" if load.mode == "history" else ""
        names = ", ".join(f'"{name}"' for name in rows.column_names)
        there = bench.warehouse.query(f"select {names} from {table}{where}")
        found[table] = sums(there.cast(rows.schema))
    return found


def handed(load):
    return {name: sums(rows) for name, rows in load.tables.items()}


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_loads_of_three_row_groups_are_stored_by_value(bench, mode):
    one = bench(mode)
    commit = one.warehouse.commit
    first = big(one, 0)
    commit(first)
    assert held(one, first) == handed(first), "a run"

    commit(replace(first, id="replayed", again=True))
    assert held(one, first) == handed(first), "a replay"

    runs = () if mode == "replace" else ("r0",)
    rebuilt = replace(first, id="rebuilt", again=True)
    one.warehouse.commit_all([rebuilt], Clear("wars", runs, (), "r9"))
    assert held(one, first) == handed(first), "a rebuild"

    second = big(one, 1, first=WARS // 2)  # half of it is known
    receipt = commit(second)
    assert receipt.rows["wars_hits"] == WARS * HITS
    whole = {"replace": 1.0, "merge": 1.5, "history": 1.5}.get(mode, 2)
    current = " where valid_to is null" if mode == "history" else ""
    counted = f"select count(*) as n from wars_hits{current}"
    assert one.warehouse.query(counted).to_pylist() == [{"n": int(whole * WARS * HITS)}]

    one.warehouse.rollback("wars", "r1", at=SERVED_AT, by="me")
    assert held(one, first) == handed(first), "a rollback"


# The engine itself


@pytest.mark.parametrize("version", ["2.0.0", "2.0.0.dev3", "1.5.6", "1.4.5"])
def test_an_engine_that_is_known_to_lose_rows_is_refused_at_the_start(
    tmp_path, monkeypatch, version
):
    monkeypatch.setattr("duckdb.__version__", version)
    warehouse = DuckDBWarehouse(tmp_path / "torn.duckdb", ManualClock())

    with pytest.raises(ConfigError, match=f"DuckDB {version} is installed") as refused:
        warehouse.query("select 1")
    assert 'pip install "duckdb>=2.0.1,<3"' in refused.value.remedy
    assert not warehouse.path.exists()
