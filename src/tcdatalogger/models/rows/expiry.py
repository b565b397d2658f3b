"""Which rows are older than they are kept, and rows without them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from tcdatalogger.models.kept import Rows
from tcdatalogger.models.records import SEEN, VERSION
from tcdatalogger.models.schema import TableFamily, Type

ENDED: Final = VERSION[1]
"""The column by which a version of a history expires; that of a current version is null."""


@dataclass(frozen=True, slots=True)
class Expiry:
    """Which rows of the tables of an endpoint have expired.

    Attributes:
        before: rows of an earlier time have expired; seconds since 1970.
        columns: the columns that say how old a row is, by table: the first one that is not null. A
            row in which all of them are null does not expire.
    """

    before: float
    columns: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, family: TableFamily, time: tuple[str, ...], mode: str, before: float) -> Expiry:
        """Which rows of a family expire.

        Args:
            family: the tables.
            time: the path from a record to its own time; empty where its list has none.
            mode: the storage mode: versions of a `history` expire by their end.
            before: seconds since 1970.
        """
        if mode == "history":
            return cls(before, {table.name: (ENDED,) for table in family.tables})
        own = {
            table.name: column.name
            for table in family.tables
            for column in table.data_columns
            if time
            and not table.beside
            and (column.level, column.path, column.ours, column.type) == (0, time, False, Type.TIME)
        }
        records = [table.name for table in family.tables if not table.beside]
        if any(name not in own for name in records):
            own = {}  # a child without that time would stay behind its record
        names = {table.name: own.get(table.name) for table in family.tables}
        return cls(before, {n: (c, SEEN) if c else (SEEN,) for n, c in names.items()})

    def where(self, table: str) -> tuple[str, ...]:
        """The columns of a table; one that is not known here goes by the time of its answer."""
        return self.columns.get(table, (SEEN,))

    def within(self, columns: Mapping[str, object]) -> Expiry:
        """The same for tables of which some columns are not there.

        Args:
            columns: those that are there, by table, with the type of each as a key of its own.
        """
        found = {}
        for table, wanted in self.columns.items():
            there = columns.get(table)
            if isinstance(there, Mapping):
                found[table] = tuple(name for name in wanted if there.get(name) is Type.TIME)
        return replace(self, columns=found)


def unexpired(tables: Mapping[str, Rows], expiry: Expiry) -> Mapping[str, Rows]:
    """The rows that have not expired, by table."""
    return {name: _unexpired(rows, expiry, name) for name, rows in tables.items()}


def _unexpired(rows: Rows, expiry: Expiry, table: str) -> Rows:
    names = [name for name in expiry.where(table) if name in rows.column_names]
    if not rows.num_rows or not names:
        return rows
    columns = rows.select(names)
    age = columns.column(0)
    for name in names[1:]:
        age = pc.coalesce(age, columns.column(name))
    limit = pa.scalar(round(expiry.before * 1e6), pa.int64()).cast(age.type)
    kept = pc.fill_null(pc.greater_equal(age, limit), fill_value=True)
    return rows if pc.all(kept).as_py() else rows.filter(kept)
