"""Reads what the first tool logged into BigQuery, as history beside the rows of this program.

Each table of the first tool becomes a table of its own, `legacy_NAME`, with its columns and values
as they are. It is stored as a run by `append`, so it is in the ledger and can be rolled back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from tcdatalogger.core.main import Application
from tcdatalogger.core.operations.exclusive import exclusive
from tcdatalogger.core.state.run_id import new_run_id
from tcdatalogger.errors import DataRefused, UsageError
from tcdatalogger.files import Progress, silent
from tcdatalogger.models.naming import snake
from tcdatalogger.models.records import RUN, SEEN, SUBJECT
from tcdatalogger.models.rows.normalize import ARROW
from tcdatalogger.models.schema import SYSTEM, SYSTEM_TYPES, Column, TableFamily, TableSchema, Type
from tcdatalogger.models.shape import Object
from tcdatalogger.services.duckdb.column_sums import ColumnSums
from tcdatalogger.services.google import first_tool
from tcdatalogger.services.google.first_tool import OldTable
from tcdatalogger.services.warehouse.copying import CopiedTable
from tcdatalogger.services.warehouse.load import Load
from tcdatalogger.services.warehouse.protocol import Warehouse

if TYPE_CHECKING:
    from tcdatalogger.services.google.client import Client

PREFIX: Final = "legacy_"
"""Before the name of a table of the first tool: the name of its table here, and of its endpoint."""

_WHOLE: Final = "whole"


@dataclass(frozen=True, slots=True)
class TableRead:
    """What became of a table of the first tool.

    Attributes:
        source: its name there.
        table: its name here.
        run_id: the run under which its rows are stored.
        rows: how many they are.
        new: how many of them were stored now.
        converted: the columns that have another type here, and the type that they had.
    """

    source: str
    table: str
    run_id: str
    rows: int
    new: int
    converted: Mapping[str, str]


def read_first_tool(
    application: Application,
    old: Application,
    names: Sequence[str] = (),
    *,
    progress: Progress = silent,
) -> tuple[list[TableRead], Mapping[str, str]]:
    """Store what the first tool logged, each of its tables once.

    Called again, it stores what is not there yet, and compares everything.

    Args:
        application: with the warehouse that gets the rows.
        old: the same, with the dataset of the first tool as its warehouse.
        names: of its tables; none for all that it made.
        progress: called with how many rows of a table are read.

    Returns:
        What became of each table, and why each table of the dataset that is not read is left out.

    Raises:
        UsageError: there is no such table, or two would have the same name here.
        DataRefused: the rows here are not those of the first tool; the remedy says how to read them
            anew.
        Busy: somebody else reads the same table.
        WarehouseUnavailable: the warehouse or BigQuery cannot be reached now; what is stored stays.
    """
    client = old.bigquery()
    try:
        tables, left = first_tool.find(client, tuple(names))
        targets = _targets(tables)
        read = [
            _read(application, client, table, targets[table.name], progress) for table in tables
        ]
    finally:
        client.close()
    return read, left


def _targets(tables: Sequence[OldTable]) -> Mapping[str, str]:
    """The names here by the names there.

    Raises:
        UsageError: two tables would have the same name.
    """
    found: dict[str, str] = {}
    for table in tables:
        name = f"{PREFIX}{snake(table.name)}"
        other = next((each for each, taken in found.items() if taken == name), None)
        if other is not None:
            raise UsageError(
                f"The tables {other} and {table.name} would both become {name}.",
                remedy=f"Read one of them: --table '{other}'",
            )
        found[table.name] = name
    return found


def _read(
    application: Application, client: Client, table: OldTable, target: str, progress: Progress
) -> TableRead:
    """Store one table, part by part, and compare it.

    Raises:
        UsageError: the table here has rows of another dataset.
        DataRefused: the rows here are not those of the first tool.
    """
    name = f"{client.address}.{table.name} "
    columns = {**table.types, SEEN: Type.TIME}
    wanted, new = ColumnSums(CopiedTable(target, columns)), 0
    by = new_run_id(application.clock)
    with exclusive(application, target, by) as guard, application.warehouse() as warehouse:
        lines = warehouse.loads(endpoint=target, counting=True)
        if any(not line.load_id.startswith(name) for line in lines):
            raise UsageError(
                f"The table {target} has rows that are not of {client.address}.{table.name}.",
                remedy=f"`tcdatalogger rollback {lines[0].run_id}` takes them out.",
            )
        run = lines[0].run_id if lines else by
        whole = table.rows < first_tool.LARGE
        if lines:  # what was read in one piece is not read in several: its rows are there
            whole = lines[-1].load_id.removeprefix(name).startswith(_WHOLE)
        for part, rows in _parts(client, table, columns, whole=whole):
            for _ in wanted.through(rows.to_batches()):
                progress(f"reading {table.name}: {wanted.rows:,} rows", 0, 0)
            load = Load(
                id=f"{name}{part}",
                run_id=run,
                endpoint=target,
                mode="append",
                family=_family(target, columns),
                tables={target: _ours(rows, run)},
                catalog_version=application.catalog.version,
                committed_at=application.clock.now(),
                token=guard.token,
                fence=guard.fence,
            )
            receipt = warehouse.commit(load)
            new += 0 if receipt.repeated else rows.num_rows
        _compare(warehouse, wanted, run)
    converted = {n: column.was for n, column in table.columns.items() if column.was}
    return TableRead(table.name, target, run, wanted.rows, new, converted)


def _parts(
    client: Client, table: OldTable, columns: Mapping[str, Type], *, whole: bool
) -> Iterator[tuple[str, pa.Table]]:
    """The rows of a table in parts that fit into memory, each with a name."""
    schema = pa.schema([(name, ARROW[kind]) for name, kind in columns.items()])
    for month in [None] if whole else first_tool.months(client, table):
        rows = first_tool.read(client, table, month, part=not whole)
        if SEEN not in table.columns:
            rows = rows.append_column(SEEN, pa.nulls(rows.num_rows, ARROW[Type.TIME]))
        name = _WHOLE if whole else "no time" if month is None else f"{month:%Y-%m}"
        yield name, rows.select(schema.names)


def _family(target: str, columns: Mapping[str, Type]) -> TableFamily:
    """The one table that a table of the first tool becomes; its key is not known."""
    data = [(name, kind) for name, kind in columns.items() if name != SEEN]
    made = [Column(name, kind, nullable=True, level=0, path=(name,)) for name, kind in data]
    made += [
        # The time is that of the first tool, and may be missing.
        Column(name, kind, nullable=True, level=0, path=(name,), ours=name != SEEN)
        for name, kind in zip(SYSTEM, SYSTEM_TYPES, strict=True)
    ]
    table = TableSchema(target, lists=(), columns=tuple(made), key=())
    return TableFamily(shape=Object(()), root=(), listed=True, tables=(table,))


def _ours(rows: pa.Table, run: str) -> pa.Table:
    """The rows with the columns that every row here has; whom they are about is not invented."""
    subject = pa.nulls(rows.num_rows, ARROW[Type.INT])
    runs = pa.repeat(pa.scalar(run, ARROW[Type.TEXT]), rows.num_rows)
    data = [name for name in rows.column_names if name != SEEN]
    return rows.select([*data, SEEN]).append_column(SUBJECT, subject).append_column(RUN, runs)


def _compare(warehouse: Warehouse, wanted: ColumnSums, run: str) -> None:
    """Refuse rows here that are not those of the first tool.

    Raises:
        DataRefused: they are not; the message names the table and the first column.
    """
    found = ColumnSums(wanted.table)
    for _ in found.through(warehouse.batches(wanted.table)):
        pass
    unlike = found.unlike(wanted)
    if unlike:
        raise DataRefused(
            f"The table {wanted.table.name} has other rows than the first tool: {unlike}.",
            remedy="The first tool has stored since it was read. Read it anew: `tcdatalogger "
            f"rollback {run}`, then the same command again.",
        )
