"""What one transaction knows: its turn, the tables, what it will do, and how it asks."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from tcdatalogger.models.schema import Type
from tcdatalogger.models.versions import ROLLBACK, UNDONE
from tcdatalogger.services.google import acts, turns
from tcdatalogger.services.google.acts import Acts
from tcdatalogger.services.google.client import Client
from tcdatalogger.services.google.ledger_tables import BigQueryLedgerTables, Slice
from tcdatalogger.services.google.tables import Layout, Tables
from tcdatalogger.services.google.turns import KeptTable, Step, Turn
from tcdatalogger.services.warehouse.ledger import Ledger
from tcdatalogger.services.warehouse.ledger_tables import SCHEMAS


class Session:
    """One transaction, or one look at the tables.

    Args:
        client: of the dataset.
        layout: of new tables.
        now: seconds since 1970.

    Attributes:
        acts: what will be done to tables.
        steps: what is to do after the commit, in order.
        dropped: tables that nobody needs after the commit.
        types: the columns of tables after what will be done to them, by table.
        labels: for the jobs.
    """

    def __init__(self, client: Client, layout: Layout, now: float) -> None:
        self.client, self.now = client, now
        self._turn: Turn | None = None
        self._kept: dict[str, KeptTable] | None = None
        self.tables = Tables(client, layout)
        self.lines = BigQueryLedgerTables(client)
        self.ledger = Ledger(self.lines)
        self.acts = Acts()
        self.steps: list[Step] = []
        self.dropped: list[str] = []
        self.types: dict[str, dict[str, Type | None]] = {}
        self.labels: dict[str, str] = {}
        self.staged: dict[tuple[str, str], str] = {}
        self._numbers: dict[tuple[int, str], int] = {}

    def begin(self, ahead: Sequence[Slice]) -> Turn:
        """Begin a transaction: all that is asked from now on has to be true at its commit.

        Args:
            ahead: lines of the ledger that will be asked for.
        """
        self._turn = turns.read(self.lines.read_ahead(ahead, also=turns.READ))
        self.lines.begin(self._turn.seq)
        return self._turn

    @property
    def turn(self) -> Turn:
        """The turn as it was at the begin, or as it is for who only looks."""
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
        asked = [n for n in wanted if n not in self.types and n not in kept]
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
                    for column, kind in (there[name] or {}).items()
                    if column in known.get(name, ())
                }
            if columns:
                found[name] = columns
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
        return f"select count(*) from {self.tables.relation(name)} o{where}"

    def place(self, name: str) -> str:
        """Where a table is: what is kept for a rollback has another name in the dataset."""
        return self.kept[name].place if name in self.kept else name

    def new_place(self, name: str) -> str:
        """The name in the dataset of a table that will be kept: no other transaction has it."""
        return f"{name}_{self.turn.number}_{uuid.uuid4().hex[:8]}"

    def keep(self, name: str, place: str, columns: Mapping[str, Type]) -> None:
        """Keep a table for a rollback, in the place of what is kept under this name."""
        self.forget([name])
        self.kept[name] = KeptTable(place, dict(columns))

    def forget(self, names: Iterable[str]) -> None:
        """Keep tables no longer."""
        for name in names:
            if name in self.kept:
                self.dropped.append(self.kept.pop(name).place)

    def insert(self, name: str, columns: Iterable[str], source: str) -> None:
        """Put rows into a table; `source` is a query that gives these columns in this order."""
        listed = ", ".join(f"`{column}`" for column in columns)
        self.acts.add(f"insert into `{name}` ({listed}) {source}")


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
