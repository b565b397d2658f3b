"""The tables of the ledger: their columns, and what a warehouse does with their lines.

A warehouse keeps these tables beside the data and writes them in the transaction of the rows that
they speak of. `ledger.py` says what the lines mean; here are only tables, lines and filters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from tcdatalogger.models.schema import Type

SEQ: Final = "seq"
"""The column that numbers the lines of a table in the order in which they were written."""


@dataclass(frozen=True, slots=True)
class LedgerColumn:
    """A column of a ledger table.

    Attributes:
        name: of the column.
        type: of its values; JSON goes in and comes out as a text.
        required: whether it is never null.
    """

    name: str
    type: Type
    required: bool = True


@dataclass(frozen=True, slots=True)
class LedgerTable:
    """A table of the ledger.

    Attributes:
        name: of the table.
        columns: in the order of the table; `SEQ` is the last one.
        key: the columns that no two lines have alike; empty where lines may repeat.
    """

    name: str
    columns: tuple[LedgerColumn, ...]
    key: tuple[str, ...] = ()


class Present:
    """The filter for a value that is not null."""


PRESENT: Final = Present()

Where = Mapping[str, object]
"""Which lines are meant. A column has a value, None for null, `PRESENT` for any that is not null,
or a tuple for one of several values. All of it holds; an empty filter means every line."""


class LedgerTables(Protocol):
    """The ledger tables of one warehouse, within a transaction or for reading."""

    def read(
        self, table: LedgerTable, columns: Sequence[str], where: Where, *, newest: int = 0
    ) -> list[tuple[Any, ...]]:
        """Read lines, the newest first; there are none where the table is not there yet.

        Args:
            table: that has them.
            columns: their names, in the order in which each line has the values.
            where: which lines.
            newest: how many at most, 0 for all.
        """
        ...

    def distinct(
        self, table: LedgerTable, columns: Sequence[str], where: Where
    ) -> list[tuple[Any, ...]]:
        """Read the different values that some columns have together, in no order."""
        ...

    def add(self, table: LedgerTable, lines: Sequence[Mapping[str, object]]) -> None:
        """Write lines in this order; the warehouse numbers them. What a line lacks is null."""
        ...

    def change(self, table: LedgerTable, values: Mapping[str, object], where: Where) -> None:
        """Give columns of some lines other values."""
        ...

    def change_each(
        self, table: LedgerTable, column: str, by: str, values: Mapping[str, str], where: Where
    ) -> None:
        """Give a column of some lines other values, each by the value of another column.

        Args:
            table: that has them.
            column: that is changed.
            by: the column that tells which value a line gets.
            values: the new values by those of `by`; lines with another value of it stay.
            where: which lines.
        """
        ...

    def remove(self, table: LedgerTable, where: Where) -> None:
        """Delete some lines."""
        ...


class NoLedgerTables:
    """The ledger tables of a warehouse that is not there yet: they have no lines."""

    def read(
        self,
        _table: LedgerTable,
        _columns: Sequence[str],
        _where: Where,
        *,
        newest: int = 0,  # noqa: ARG002 - of the protocol
    ) -> list[tuple[Any, ...]]:
        """There are none."""
        return []

    def distinct(
        self, _table: LedgerTable, _columns: Sequence[str], _where: Where
    ) -> list[tuple[Any, ...]]:
        """There are none."""
        return []

    def add(self, table: LedgerTable, _lines: Sequence[Mapping[str, object]]) -> None:
        """Refuse to write.

        Raises:
            ValueError: always.
        """
        raise ValueError(table.name)

    def change(self, _table: LedgerTable, _values: Mapping[str, object], _where: Where) -> None:
        """Change nothing."""

    def change_each(
        self, _table: LedgerTable, _column: str, _by: str, _values: Mapping[str, str], _where: Where
    ) -> None:
        """Change nothing."""

    def remove(self, _table: LedgerTable, _where: Where) -> None:
        """Delete nothing."""


def _table(name: str, columns: str, key: str = "") -> LedgerTable:
    """A table by a line of text: `name type`, with a question mark where it may be null."""
    made = []
    for each in columns.split(","):
        column, kind = each.split()
        required = not kind.endswith("?")
        made.append(LedgerColumn(column, Type(kind.rstrip("?")), required=required))
    return LedgerTable(name, (*made, LedgerColumn(SEQ, Type.INT)), tuple(key.split()))


LOADS: Final = _table(
    "_tcd_loads",
    "load_id text, run_id text, endpoint text, mode text, rows json, cursor text?, "
    "schema_version int, archive_file text?, quarantined int, drift int, catalog_version text, "
    "committed_at time, superseded_by text?, stretch text?, digest text?, token int?, "
    "root_table text, key_owner int?",
    "load_id",
)
"""One line for each load: what it stored, and what it gave way to."""

SCHEMAS: Final = _table(
    "_tcd_schemas",
    "endpoint text, table_name text, version int, columns json, key json, diff json, cause text, "
    "run_id text, catalog_version text, shape json, created_at time, backup text?",
    "table_name version",
)
"""One line for each version of each table."""

DRIFT: Final = _table(
    "_tcd_drift",
    "endpoint text, table_name text, column_name text, type text, example text?, cause text, "
    "run_id text, seen_at time",
)
"""One line for each column that was learned."""

QUARANTINE: Final = _table(
    "_tcd_quarantine",
    "quarantine_id text, endpoint text, run_id text, page int, path text, reason text, "
    "record text, again bool, archive_file text?, quarantined_at time",
    "quarantine_id",
)
"""One line for each record that was set aside."""

CHECKS: Final = _table(
    "_tcd_checks",
    "endpoint text, table_name text, check_text text, passed bool, failed_rows int, "
    "example text?, on_failure text, run_id text, load_id text, times int, checked_at time",
)
"""What came of checks: a line for each failure, and one for each check that passes."""

OWNERS: Final = _table(
    "_tcd_owners",
    "table_name text, family text, plain text, path text, endpoint text, owned_at time",
)
"""One line for each table: whose it is."""

COPY: Final = _table("_tcd_copy", "source text, state text, table_name text")
"""In the target of a copy until it is finished: a line for each table that is whole. It is no part
of a ledger."""

VERSION: Final = 2
"""The version of the ledger. It grows where a program of before would misread it; that of 0.1.0,
and of all that has no number, is 1."""

TABLES: Final = (LOADS, SCHEMAS, DRIFT, QUARANTINE, CHECKS, OWNERS)
"""All tables of a ledger."""

LEDGER: Final = tuple(table.name for table in TABLES)
"""Their names."""
