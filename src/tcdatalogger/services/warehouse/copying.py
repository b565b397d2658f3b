"""A warehouse copied into another: what is copied, and how far it has come.

A copy takes tables in one after the other, each as a whole, and the ledger among them. Until it is
finished the target has the table `_tcd_copy` and no ledger, so no run stores there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa

from tcdatalogger.errors import Busy
from tcdatalogger.models.rows.normalize import ARROW
from tcdatalogger.models.schema import Column, Type
from tcdatalogger.services.warehouse.ledger import Ledger
from tcdatalogger.services.warehouse.ledger_tables import LEDGER
from tcdatalogger.services.warehouse.schema_changes import BEFORE, FORMER, MERGED

BEGUN: Final = "_tcd_copied_"
"""Prefix of the tables that hold the ledger of a copy until it is finished."""


@dataclass(frozen=True, slots=True)
class Copying:
    """A copy that is not finished.

    Attributes:
        source: the address of the warehouse that is copied.
        state: what the ledger of the source is known by; it changes with every load.
        whole: the tables that the target has as a whole already.
    """

    source: str
    state: str
    whole: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class CopiedTable:
    """A table as a copy takes it in.

    Attributes:
        name: of the table; those of the ledger and what is kept for a rollback have the names that
            every warehouse knows them by.
        columns: their types, in the order of the table.
        key: the columns that tell its rows apart; empty where that is not known.
        facts: what the ledger knows of its columns, by name.
    """

    name: str
    columns: Mapping[str, Type]
    key: tuple[str, ...] = ()
    facts: Mapping[str, Column] = field(default_factory=dict)

    @property
    def schema(self) -> pa.Schema:
        """The columns as Arrow has them: times in microseconds of UTC, JSON as a text."""
        return pa.schema([(name, ARROW[kind]) for name, kind in self.columns.items()])


def begun(table: str) -> str:
    """The name of a table until the copy is finished; the ledger gets its own names at the end."""
    return f"{BEGUN}{table}" if table in LEDGER else table


def names(ledger: Ledger) -> Iterator[str]:
    """The names that tables of a warehouse can have, without those of the ledger.

    These are the tables that an endpoint has stored, and what is kept of them for a rollback.
    """
    tables = ledger.tables()
    yield from tables
    for prefix in (FORMER, BEFORE):
        yield from (f"{prefix}{table}" for table in tables)
    for endpoint in ledger.endpoints():
        yield from (f"{MERGED}{endpoint}__{table}" for table in tables)


def unfinished() -> Busy:
    """The error for everybody who would store in the target of a copy that is not finished."""
    return Busy(
        "This warehouse is the target of a copy that is not finished.",
        remedy="The command that began it goes on with it: `tcdatalogger copy --to URL` with the "
        "configuration of the warehouse that is copied, or `tcdatalogger restore`.",
    )


def of_lines(found: Sequence[tuple[str, str, str]]) -> Copying | None:
    """A copy by the source, state and table of each line of `_tcd_copy`; None where it has none."""
    if not found:
        return None
    source, state, _ = found[0]
    return Copying(source, state, frozenset(table for _, _, table in found if table))


def line(copying: Copying, table: str = "") -> dict[str, object]:
    """The line of `_tcd_copy` that says that a table is whole, or with "" that a copy began."""
    return {"source": copying.source, "state": copying.state, "table_name": table}
