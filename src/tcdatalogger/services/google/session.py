"""What one transaction knows: its turn, the tables, what it will do, and how it asks."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

from tcdatalogger.errors import DataRefused, Failure
from tcdatalogger.models.schema import Column, Type
from tcdatalogger.models.versions import ROLLBACK, UNDONE
from tcdatalogger.services.google import acts, turns
from tcdatalogger.services.google.acts import FOUND, Acts, Count, script
from tcdatalogger.services.google.client import Client
from tcdatalogger.services.google.ledger_tables import BigQueryLedgerTables, Lacks, Slice
from tcdatalogger.services.google.sql import names as listing
from tcdatalogger.services.google.sql import quoted
from tcdatalogger.services.google.tables import Layout, Tables
from tcdatalogger.services.google.turns import KeptTable, Step, Turn
from tcdatalogger.services.warehouse.ledger import Ledger
from tcdatalogger.services.warehouse.ledger_tables import SCHEMAS
from tcdatalogger.services.warehouse.schema_changes import BEFORE, FORMER, MERGED

_OF_A_ROLLBACK: Final = (FORMER, BEFORE, MERGED)
"""How names begin that are no names of a dataset: what is kept tells where such a table is."""


class Session:
    """One transaction, or one look at the tables.

    Args:
        client: of the dataset.
        layout: of new tables.
        lacks: the columns that the ledger of an older version lacks.

    Attributes:
        mine: the turns that its commit takes.
        working: whether acts are done at once, on clones of the tables; so where loads are stored
            together, of which each hangs on those before.
        works: these clones, by table.
        made: tables that it has made and that nobody knows before the commit.
        acts: what will be done to tables.
        steps: what is to do after the commit, in order.
        dropped: tables that nobody needs after the commit.
        types: the columns of tables after what will be done to them, by table.
        labels: for the jobs.
        undone: why a table is not yet as an earlier commit has left it, by table.
        windows: the test for the times of all rows of a run, for runs that stored nothing before.
    """

    def __init__(self, client: Client, layout: Layout, lacks: Lacks | None = None) -> None:
        self.client = client
        self._turn: Turn | None = None
        self.working = False
        self.works: dict[str, str] = {}
        self.made: list[str] = []
        self.mine: set[str] = set()
        self._kept: dict[str, KeptTable] | None = None
        self.tables = Tables(client, layout)
        self.lines = BigQueryLedgerTables(client, lacks)
        self.ledger = Ledger(self.lines)
        self.acts = Acts()
        self.steps: list[Step] = []
        self.dropped: list[str] = []
        self.types: dict[str, dict[str, Type | None]] = {}
        self.labels: dict[str, str] = {}
        self.windows: dict[str, str] = {}
        self.undone: dict[str, Failure] = {}
        self.staged: dict[tuple[str, str], str] = {}
        self._numbers: dict[tuple[int, str], int] = {}

    def begin(self, ahead: Sequence[Slice]) -> Turn:
        """Begin a transaction: all that is asked from now on has to be true at its commit.

        Args:
            ahead: lines of the ledger that will be asked for.
        """
        self._turn = turns.read(self.lines.read_ahead(ahead, also=turns.READ))
        return self._turn

    def touch(self, names: Iterable[str]) -> None:
        """Say that tables are read or changed: at the commit their families are as they were."""
        families = {owner.table: owner.family for owner in self.ledger.owners()}
        self.mine |= {turns.family(families.get(name, name)) for name in names}

    @property
    def turn(self) -> Turn:
        """The turn as it was at the start, or as it is for who only looks."""
        if self._turn is None:
            self._turn = turns.current(self.client)
        return self._turn

    @property
    def kept(self) -> dict[str, KeptTable]:
        """What is kept for a rollback after all that is to be done, by name."""
        if self._kept is None:
            self._kept = dict(self.turn.kept)
        return self._kept

    # --- to ask ----------------------------------------------------------------------------------

    def row(self, sql: str, prepare: Sequence[str] = ()) -> Mapping[str, Any]:
        """The one row of a query, after all that is to be done.

        Args:
            sql: with a name for each column; the values are numbers and texts.
            prepare: statements that make temporary tables for it.
        """
        if not self.acts.statements and not prepare:
            found: Mapping[str, Any] = self.client.ask(sql, labels=self.labels).to_pylist()[0]
            return found
        asked = self.client.ask(self.acts.asking(sql, prepare), labels=self.labels)
        return acts.answer(asked.to_pylist()[0])

    def answers(self, queries: Mapping[str, str], prepare: Sequence[str] = ()) -> Mapping[str, Any]:
        """What queries give that have one value each, by name, after all that is to be done."""
        parts = ", ".join(f"({query}) as {quoted(name)}" for name, query in queries.items())
        return self.row(f"select {parts}", prepare)

    def numbers(self, queries: Sequence[str], prepare: Sequence[str] = ()) -> list[int]:
        """The numbers that queries give, 0 for null, after all that is to be done.

        Each question is asked once, until something else is to be done.
        """
        place = len(self.acts.statements)
        new = [sql for sql in dict.fromkeys(queries) if (place, sql) not in self._numbers]
        if new:
            parts = ", ".join(f"({sql}) as n{number}" for number, sql in enumerate(new))
            row = self.row(f"select {parts}", prepare)
            for number, sql in enumerate(new):
                self._numbers[place, sql] = int(row[f"n{number}"] or 0)
        return [self._numbers[place, sql] for sql in queries]

    def expect(self, sql: str, number: int) -> None:
        """Say what a query gives after all that is to be done: a count of the commit proves it."""
        self._numbers[len(self.acts.statements), sql] = number

    # --- tables ----------------------------------------------------------------------------------

    def stored(self, names: Iterable[str]) -> dict[str, dict[str, Type | None]]:
        """The columns of those tables that are there, and their types.

        A table and a column that the ledger does not know are of a load that was not stored.
        """
        wanted = list(dict.fromkeys(names))
        kept = self.kept if any(name.startswith("_tcd_") for name in wanted) else {}
        asked = [
            n
            for n in wanted
            if n not in self.types and n not in kept and not n.startswith(_OF_A_ROLLBACK)
        ]
        there = {name: self.tables.columns(name) for name in asked}
        known = self._known([name for name in asked if there[name]])
        found: dict[str, dict[str, Type | None]] = {}
        for name in wanted:
            if name in self.types:
                columns = self.types[name]
            elif name in kept:
                columns = dict(kept[name].columns)
            else:
                columns = {
                    column: kind
                    for column, kind in (there.get(name) or {}).items()
                    if column in known.get(name, ())
                }
            if columns:
                found[name] = columns
        return found

    def must_be_done(self, names: Iterable[str]) -> None:
        """Refuse tables that are not yet as an earlier commit has left them.

        Raises:
            DataRefused: one is not.
        """
        for name in names:
            if name in self.undone:
                raise DataRefused(
                    f"The table {name} is not yet as it was to be changed: "
                    f"{self.undone[name].message}",
                    remedy="Nothing was stored. Mend what BigQuery says; the next run does the "
                    "rest.",
                )

    def there(self, names: Iterable[str]) -> list[str]:
        """Those tables that are there, as `stored`; none of them is looked at by itself."""
        versions = self.lines.read(SCHEMAS, ("table_name", "version", "cause"), {})
        newest = {name: cause for name, _, cause in sorted(versions)}
        found = []
        for name in dict.fromkeys(names):
            if name in self.types or name.startswith("_tcd_") or newest.get(name) == UNDONE:
                there = name in self.stored([name])
            else:
                there = name in newest and self.tables.has(name)
            found += [name] if there else []
        return found

    def _known(self, names: Sequence[str]) -> dict[str, set[str]]:
        """The columns that the ledger knows of tables."""
        known: dict[str, set[str]] = {}
        if not names:
            return known
        wanted = ("table_name", "version", "cause", "columns")
        rows = self.lines.read(SCHEMAS, wanted, {"table_name": tuple(names)})
        for name, _, cause, columns in sorted(rows, key=lambda row: (row[0], row[1])):
            if cause.startswith((ROLLBACK, UNDONE)):
                known[name] = set()
            known.setdefault(name, set()).update(c["name"] for c in json.loads(columns))
        return known

    def count(self, name: str, test: str = "") -> str:
        """A query for the number of rows of a table."""
        where = f" where {test}" if test else ""
        return f"select count(*) from {self.relation(name)} o{where}"

    def at(self, name: str) -> str:
        """Where the rows of a table are while the transaction works on it."""
        if not self.working or name.startswith("_tcd_"):
            return name
        if name not in self.works:
            self.works[name] = self.clone(name, self.new_place(f"_tcd_work_{name}"))
        return self.works[name]

    def relation(self, name: str) -> str:
        """A table to read all rows from."""
        return self.tables.relation(self.at(name))

    def where(self, name: str, test: str) -> str:
        """The test of a statement that changes rows of a table."""
        return self.tables.where(self.at(name), test)

    def clone(self, name: str, place: str) -> str:
        """Make a table that begins as another one is; it costs nothing until the two differ."""
        self.client.run(f"create table {quoted(place)} clone {quoted(name)}", labels=self.labels)
        self.made.append(place)
        return place

    def add(self, name: str, columns: Sequence[Column] | Mapping[str, Type]) -> None:
        """Give a table more columns."""
        for place in dict.fromkeys((name, self.works.get(name, name))):
            self.tables.add(place, columns)

    def flush(self) -> None:
        """Do what is to be done so far, where the transaction works on clones.

        Raises:
            Unbalanced: a count was another one than wanted.
        """
        if not self.working or not self.acts.statements:
            return
        done = [f"declare {FOUND} string", "begin transaction", *self.acts.statements,
                "commit transaction"]  # fmt: skip
        try:
            self.client.run(script(done), labels=self.labels)
        except DataRefused as error:
            self.acts.refuse(error.message)
            raise
        self.acts = Acts()
        self._numbers.clear()

    def take_over(self) -> None:
        """Put the rows of the clones into their tables."""
        self.working = False
        for name, work in self.works.items():
            columns = list(self.stored([name])[name])
            listed = listing(columns)
            [rows] = self.numbers([f"select count(*) from {self.tables.relation(work)}"])
            self.acts.add(f"truncate table {quoted(name)}")
            self.insert(name, columns, f"select {listed} from {self.tables.relation(work)}")
            told = f"bit_xor(farm_fingerprint(to_json_string(struct({listed}))))"
            unlike = (
                f"select if((select {told} from {self.tables.relation(name)}) is distinct from "
                f"(select {told} from {self.tables.relation(work)}), 1, 0)"
            )
            self.acts.must_be(
                Count(name, "those that were made again", rows, self.count(name)),
                Count(name, "the tables with other values", 0, unlike),
            )

    def place(self, name: str) -> str:
        """Where a table is: what is kept for a rollback has another name in the dataset."""
        return self.kept[name].place if name in self.kept else name

    def new_place(self, name: str) -> str:
        """The name in the dataset of a table that will be kept: no other transaction has it."""
        return f"{name}_{int(self.turn.now)}_{self.new_mark()}"

    def new_mark(self) -> str:
        """A text that nobody else has."""
        return uuid.uuid4().hex[:8]

    def keep(self, name: str, place: str, columns: Mapping[str, Type]) -> None:
        """Keep a table for a rollback, in the place of what is kept under this name."""
        self.forget([name])
        self.made.append(place)
        self.kept[name] = KeptTable(place, dict(columns))

    def private(self, name: str) -> str:
        """Where a kept table is that is changed: nobody else has it before the commit."""
        kept = self.kept[name]
        if self.working and kept.place not in self.made:
            self.keep(name, self.clone(kept.place, self.new_place(name)), kept.columns)
        return self.kept[name].place

    def forget(self, names: Iterable[str]) -> None:
        """Keep tables no longer."""
        for name in names:
            if name in self.kept:
                self.dropped.append(self.kept.pop(name).place)

    def insert(self, name: str, columns: Iterable[str], source: str) -> None:
        """Put rows into a table; `source` is a query that gives these columns in this order."""
        listed = ", ".join(f"`{column}`" for column in columns)
        self.acts.add(f"insert into {quoted(self.at(name))} ({listed}) {source}")


def fitting(
    rows: pa.Table, types: Mapping[str, Type], arrow: Mapping[Type, pa.DataType]
) -> pa.Table:
    """Rows with the types of a table's columns.

    Raises:
        pa.ArrowInvalid: a value does not fit.
    """
    columns = {
        name: rows.column(name).cast(arrow[types[name]], safe=False) for name in rows.column_names
    }
    return pa.table(columns)
