"""A DuckDB file copied to another warehouse, or filled from one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import pyarrow as pa

from tcdatalogger.models.schema import Type
from tcdatalogger.services.duckdb import tables
from tcdatalogger.services.duckdb.engine import quoted
from tcdatalogger.services.duckdb.ledger_tables import DuckDBLedgerTables
from tcdatalogger.services.duckdb.session import TYPES, Session
from tcdatalogger.services.warehouse import copying
from tcdatalogger.services.warehouse.copying import CopiedTable, Copying
from tcdatalogger.services.warehouse.ledger_tables import COPY, LEDGER, TABLES

ROWS: Final = 50_000
"""Rows of a batch."""


def batches(session: Session, table: CopiedTable) -> Iterator[pa.RecordBatch]:
    """All rows of a table, in batches of its schema."""
    source = _source(session, table)
    if source is None:
        return
    columns = ", ".join(
        f"cast({quoted(name)} as varchar) as {quoted(name)}" if kind is Type.JSON else quoted(name)
        for name, kind in table.columns.items()
    )
    for batch in session.stream(f"select {columns} from {source}", ROWS):
        yield batch.cast(table.schema)


def _source(session: Session, table: CopiedTable) -> str | None:
    """What the rows of a table are read from; None where it is not there."""
    if session.exists(copying.begun(table.name)):
        return quoted(copying.begun(table.name))
    if table.name in LEDGER:
        return DuckDBLedgerTables(session).source(table.name)
    return None


def begun(session: Session) -> Copying | None:
    """The copy into the file that is not finished; None where there is none."""
    if not session.exists(COPY.name):
        return None
    ledger = DuckDBLedgerTables(session)
    return copying.of_lines(ledger.read(COPY, ("source", "state", "table_name"), {}))


def begin(session: Session, wanted: Copying) -> None:
    """Become the target of a copy; what an earlier one brought goes, as does an empty ledger."""
    before = begun(session)
    brought = [] if before is None else [copying.begun(name) for name in before.whole]
    for name in (COPY.name, *LEDGER, *brought):
        session.execute(f"drop table if exists {quoted(name)}")
    ledger = DuckDBLedgerTables(session)
    ledger.create(COPY)
    ledger.add(COPY, [copying.line(wanted)])


def take_in(session: Session, table: CopiedTable, rows: Iterable[pa.RecordBatch]) -> None:
    """Make a table with these columns and rows, and note that it is whole."""
    wanted = begun(session)
    if wanted is None:
        raise ValueError(table.name)  # whoever copies begins first
    target = quoted(copying.begun(table.name))
    columns = ", ".join(f"{quoted(name)} {TYPES[kind]}" for name, kind in table.columns.items())
    session.execute(f"drop table if exists {target}")
    session.execute(f"create table {target} ({columns})")
    for batch in rows:
        tables.insert(session, copying.begun(table.name), pa.Table.from_batches([batch]))
    ledger = DuckDBLedgerTables(session)
    ledger.remove(COPY, {"table_name": table.name})
    ledger.add(COPY, [copying.line(wanted, table.name)])


def end(session: Session) -> None:
    """Make the ledger of what was taken in, and let runs store."""
    session.execute(f"drop table {quoted(COPY.name)}")
    DuckDBLedgerTables(session).make()
    for table in TABLES:
        source = copying.begun(table.name)
        tables.copy(session, table.name, quoted(source))
        session.execute(f"drop table {quoted(source)}")
