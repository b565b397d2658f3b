"""Copies the whole warehouse into another one, and compares every column of both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final

import pyarrow as pa

from tcdatalogger.core.config.paths import without_password
from tcdatalogger.core.main import Application
from tcdatalogger.core.operations.exclusive import everything
from tcdatalogger.errors import Busy, DataRefused, UsageError
from tcdatalogger.files import Progress, silent
from tcdatalogger.models.schema import Column, Type
from tcdatalogger.models.versions import current_columns
from tcdatalogger.services.duckdb.column_sums import VERSION, ColumnSum, ColumnSums
from tcdatalogger.services.warehouse import copying
from tcdatalogger.services.warehouse.copying import CopiedTable, Copying
from tcdatalogger.services.warehouse.ledger_tables import LOADS, OWNERS, SCHEMAS, TABLES
from tcdatalogger.services.warehouse.protocol import Warehouse

_LEDGER: Final = tuple(
    CopiedTable(table.name, {column.name: column.type for column in table.columns}, table.key)
    for table in TABLES
)
_CHANGES: Final = (LOADS.name, SCHEMAS.name, OWNERS.name)
"""The tables of the ledger of which each change of the warehouse changes one."""


@dataclass(frozen=True, slots=True)
class TableCopied:
    """A table that is the same in both warehouses.

    Attributes:
        rows: how many it has.
        columns: what each of its columns is known by.
        before: whether an earlier copy had brought it.
    """

    rows: int
    columns: Mapping[str, ColumnSum]
    before: bool


def copy(
    application: Application, to: Application, *, progress: Progress = silent
) -> Mapping[str, TableCopied]:
    """Copy the warehouse of one application into that of another, or go on with such a copy.

    No endpoint runs meanwhile. A table that is whole in the target is not copied again, unless the
    warehouse has changed since. At the end the columns of all tables are compared. A target that
    is the same already is only compared.

    Args:
        application: with the warehouse that is copied; it is not changed.
        to: the same with another warehouse.
        progress: called with how many rows of a table are copied or compared.

    Returns:
        The tables of the target.

    Raises:
        UsageError: nothing is stored yet, or the target is not empty and no copy of it.
        DataRefused: a table is not the same in both, or the target cannot hold a value; the copy is
            not finished.
        Busy: an endpoint runs, or the warehouse was changed meanwhile.
        WarehouseUnavailable: one of the two cannot be reached now.
    """
    if address_of(application) == address_of(to):
        raise UsageError(
            "A warehouse cannot be copied into itself.", remedy="Name another one with --to."
        )
    with (
        everything_claimed(application) as ask,
        application.warehouse(read_only=True) as source,
        to.warehouse() as target,
    ):
        return transfer(source, target, address_of(application), ask=ask, progress=progress)


def transfer(
    source: Warehouse,
    target: Warehouse,
    address: str,
    *,
    ask: Callable[[], None] = lambda: None,
    progress: Progress = silent,
) -> Mapping[str, TableCopied]:
    """Copy a warehouse into another one, or go on with such a copy; results as of `copy`.

    Args:
        source: that is copied; nobody else changes it meanwhile.
        target: that is filled.
        address: of the source, by which a copy that is not finished knows it.
        ask: called before the copy is finished; raises Busy where the source may have changed.
        progress: as that of `copy`.
    """
    tables = tables_of(source)
    state = state_of(source)
    whole = _begin(target, Copying(address, state), tables)
    sums = {
        table.name: _taken_in(source, None if table.name in whole else target, table, progress)
        for table in tables
    }
    for table in tables:
        _compare(target, table, sums[table.name], progress)
    ask()
    if state_of(source) != state:
        raise Busy(
            "The warehouse was changed while it was copied.",
            remedy="The copy is not finished. Copy it again: what has changed is brought then.",
        )
    if target.copying() is not None:
        target.end_copy()
    return {
        name: TableCopied(found.rows, found.columns, before=name in whole)
        for name, found in sums.items()
    }


@contextmanager
def everything_claimed(application: Application) -> Iterator[Callable[[], None]]:
    """Claim all endpoints and their backfills; yields what asks whether they are still claimed.

    Raises:
        UsageError: nothing is stored yet.
        ConfigError: what the warehouse lies in is not there.
        Busy: somebody else has one of them; the message names it.
    """
    with application.warehouse(read_only=True) as warehouse:
        if not warehouse.exists():
            warehouse.must_have_place()
            raise UsageError(
                "Nothing has been stored yet.", remedy="`tcdatalogger run --all` stores some."
            )
        if warehouse.copying() is not None:
            raise copying.unfinished()
        known = warehouse.ledger.endpoints()
    with everything(application, known) as ask:
        yield ask


def address_of(application: Application) -> str:
    """The address of a warehouse, without what may be a secret."""
    return without_password(application.settings.warehouse.url) or ""


def tables_of(source: Warehouse) -> list[CopiedTable]:
    """All tables that are copied, the ledger last.

    Raises:
        DataRefused: one has a column of a type that is not ours.
    """
    ledger = source.ledger
    stored = source.stored(list(copying.names(ledger)))
    keys = ledger.newest_versions(list(stored))
    found = []
    for name, columns in stored.items():
        types: dict[str, Type] = {}
        for column, kind in columns.items():
            if kind is None:
                raise DataRefused(
                    f"The column {column} of the table {name} has a type that is not one of ours.",
                    remedy="Drop the column, or give it another type; then copy again.",
                )
            types[column] = kind
        _, key = keys.get(name, (0, ()))
        facts = {
            column.name: Column(
                column.name,
                column.type,
                column.nullable,
                column.origin[0],
                column.origin[1],
                column.deprecated,
                column.ends,
                column.learned,
                column.origin[2],
            )
            for column in current_columns(ledger.history(name)).values()
        }
        found.append(CopiedTable(name, types, key, facts))
    return [*found, *_LEDGER]


def state_of(warehouse: Warehouse) -> str:
    """What the ledger of a warehouse is known by: every change of a table changes it."""
    digest = sha256(VERSION.encode())
    for table in _LEDGER:
        if table.name in _CHANGES:
            sums = summed(warehouse, table)
            facts = [sums.rows, *((each.values, each.checksum) for each in sums.columns.values())]
            digest.update(repr(facts).encode())
    return digest.hexdigest()


def summed(warehouse: Warehouse, table: CopiedTable) -> ColumnSums:
    """What a table of a warehouse is known by, column by column; all of its rows are read."""
    sums = ColumnSums(table)
    for _ in sums.through(warehouse.batches(table)):
        pass
    return sums


def _begin(target: Warehouse, wanted: Copying, tables: Sequence[CopiedTable]) -> frozenset[str]:
    """Make a warehouse the target of a copy; the tables that it has as a whole already.

    Raises:
        UsageError: it is not empty, and no copy of the same warehouse.
    """
    begun = target.copying()
    if begun is not None and begun.source != wanted.source:
        raise UsageError(
            f"The target holds a copy of {begun.source} that is not finished.",
            remedy="Name another target, or delete it first.",
        )
    if begun is not None and begun.state == wanted.state:
        return begun.whole
    if begun is None and target.exists():
        taken = [owner.table for owner in target.owners()]
        taken += target.stored([table.name for table in tables])
        if (taken or target.loads(most=1)) and state_of(target) == wanted.state:
            return frozenset(table.name for table in tables)
        if taken or target.loads(most=1):
            raise UsageError(
                f"The target has tables already, as {taken[0]}."
                if taken
                else "Loads were stored in the target already.",
                remedy="Name a target that is empty, or does not exist yet.",
            )
    target.begin_copy(wanted)
    return frozenset()


def _taken_in(
    source: Warehouse, target: Warehouse | None, table: CopiedTable, progress: Progress
) -> ColumnSums:
    """What a table of the source is known by, after the target took it in, where there is one."""
    sums = ColumnSums(table)
    rows = _with_progress(
        sums.through(source.batches(table)), f"copying {table.name}", sums, progress
    )
    if target is None:
        for _ in rows:
            pass
    else:
        target.take_in(table, rows)
    return sums


def _with_progress(
    batches: Iterable[pa.RecordBatch], what: str, sums: ColumnSums, progress: Progress
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        progress(f"{what}: {sums.rows:,} rows", 0, 0)
        yield batch


def _compare(target: Warehouse, table: CopiedTable, wanted: ColumnSums, progress: Progress) -> None:
    """Refuse a table of the target that is not that of the source; it is copied again then.

    Raises:
        DataRefused: it is not; the message names the table and the first column.
    """
    found = ColumnSums(table)
    batches = found.through(target.batches(table))
    for _ in _with_progress(batches, f"comparing {table.name}", found, progress):
        pass
    unlike = found.unlike(wanted)
    if not unlike:
        return
    begun = target.copying()
    if begun is not None:
        target.begin_copy(replace(begun, whole=frozenset()))
    raise DataRefused(
        f"The table {table.name} of the target is not that of the source: {unlike}.",
        remedy="The copy is not finished, and no table of it counts as copied. Copy it again.",
    )
