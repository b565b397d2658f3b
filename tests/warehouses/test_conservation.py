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
from tcdatalogger.services.duckdb import file
from tcdatalogger.services.duckdb.warehouse import DuckDBWarehouse
from tcdatalogger.services.warehouse import Clear

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
        self.warehouse._open = found = Lossy(self.warehouse._connection, lost, keeps)
        return found

    def whole(self):
        self.warehouse._open = self.warehouse._open._connection


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
    ("history", "rebuild"),
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
        except Unbalanced as refused:
            assert "add up" in refused.message
            one.whole()
            assert one.content() == before
        else:
            one.whole()
            if one.content() != wanted:
                wrong.append(planted.planted)
            one = None
    assert not wrong, "\n\n".join(wrong)
    assert one is not None or work == "rollback"  # the last place is where rows are stored
