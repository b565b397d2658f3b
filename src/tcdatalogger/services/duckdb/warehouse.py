"""DuckDB as a warehouse: one transaction over all tables of a family and the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import duckdb
import pyarrow as pa

from tcdatalogger.clock import Clock, SystemClock
from tcdatalogger.errors import DataRefused, Failure, UsageError, WarehouseUnavailable
from tcdatalogger.models.evolution import Change, Step, plan
from tcdatalogger.models.schema import TableFamily, TableSchema, Type
from tcdatalogger.models.shape import Object
from tcdatalogger.services.duckdb import ledger, states
from tcdatalogger.services.duckdb.file import connect, quoted
from tcdatalogger.services.warehouse import Load, Receipt

PATIENCE: Final = 20.0
"""Seconds to wait for a file that another program has open."""

FORMER: Final = "_tcd_former_"
"""Prefix of the tables that hold what a `replace` replaced, for one rollback."""

_BESIDE: Final = "_tcd_new_"
_BATCH: Final = "_tcd_batch"

_TYPES: Final = {
    Type.INT: "BIGINT",
    Type.FLOAT: "DOUBLE",
    Type.TEXT: "VARCHAR",
    Type.BOOL: "BOOLEAN",
    Type.TIME: "TIMESTAMP WITH TIME ZONE",
    Type.JSON: "JSON",
}
_OF_THE_ROWS: Final = (
    duckdb.ConversionException,
    duckdb.ConstraintException,
    duckdb.InvalidInputException,
    duckdb.OutOfRangeException,
)
_OF_THE_TABLES: Final = (
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.DependencyException,
    duckdb.ParserException,
)
_OURS: Final = {name: kind for kind, name in _TYPES.items()}


class DuckDBWarehouse:
    """A warehouse in one file. The file is locked from the first use until it is closed.

    Args:
        path: of the file.
        clock: slept on while another program has it open.
        patience: seconds to wait for it.
        read_only: for queries beside other readers.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock | None = None,
        *,
        patience: float = PATIENCE,
        read_only: bool = False,
    ) -> None:
        self.path = path
        self._clock = clock or SystemClock()
        self._patience = patience
        self._read_only = read_only
        self._open: duckdb.DuckDBPyConnection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let the file go."""
        if self._open is not None:
            self._open.close()
            self._open = None

    @property
    def _connection(self) -> duckdb.DuckDBPyConnection:
        if self._open is None:
            self._open = connect(self.path, self._clock, self._patience, read_only=self._read_only)
        return self._open

    def known(self, endpoint: str) -> Object | None:
        """The shape of the endpoint's newest schema, None where it never loaded."""
        if not self._has_books():
            return None
        return ledger.known_shape(self._connection, endpoint)

    def cursor(self, endpoint: str) -> str | None:
        """Where the endpoint goes on, None where no load says it."""
        if not self._has_books():
            return None
        return ledger.latest(self._connection, endpoint, "cursor")

    def stretches(self, endpoint: str) -> list[str]:
        """The pieces of history that backfills of the endpoint have read, in no order."""
        return ledger.stretches(self._connection, endpoint) if self._has_books() else []

    def digest(self, endpoint: str) -> str | None:
        """What the newest load was made from; None where its tables are no longer all there."""
        if not self._has_books():
            return None
        connection = self._connection
        tables = ledger.tables_of_last_load(connection, endpoint)
        if not all(_exists(connection, name) for name in tables):
            return None
        return ledger.digest(connection, endpoint)

    def _has_books(self) -> bool:
        return self.path.exists() and ledger.exists(self._connection)

    def plan(self, family: TableFamily) -> tuple[Step, ...]:
        """How the tables would have to change for this family."""
        return plan(self._stored(family) if self.path.exists() else {}, family)

    def commit(self, load: Load) -> Receipt:
        """Store a load in one transaction; a load that is in the books already does nothing.

        Raises:
            DataRefused: a column cannot become what the load needs.
            WarehouseUnavailable: the file is held by another program, or the disk is full.
        """
        return self.commit_all([load])[0]

    def commit_all(self, loads: Iterable[Load]) -> list[Receipt]:
        """As `commit`, for several loads in one transaction.

        Raises:
            DataRefused, WarehouseUnavailable: as `commit`; then none of them was stored.
        """
        connection = self._connection
        try:
            connection.execute("begin")
            ledger.prepare(connection)
            receipts = [self._store_once(connection, load) for load in loads]
            connection.execute("commit")
        except duckdb.Error as error:
            self._give_up()
            raise _failure(self.path, error) from None
        except BaseException:  # Ctrl-C and an alarm too: nothing half-stored may stay
            self._give_up()
            raise
        return receipts

    def _store_once(self, connection: duckdb.DuckDBPyConnection, load: Load) -> Receipt:
        before = ledger.load_rows(connection, load.id)
        if before is not None:
            rows, version = before
            return Receipt(load.id, rows, repeated=True, schema_version=version)
        if load.again:
            load = ledger.inherited(connection, load)
            self._take_out(connection, load)
        if load.settles:
            ledger.settle(connection, load.settles)
        return self._store(connection, load)

    def _take_out(self, connection: duckdb.DuckDBPyConnection, load: Load) -> None:
        """Remove what the run of a load stored before."""
        for name in ledger.forget_run(connection, load):
            if _exists(connection, name):
                connection.execute(f"delete from {quoted(name)} where _run_id = ?", [load.run_id])

    def query(self, sql: str) -> pa.Table:
        """The rows of a query.

        Raises:
            UsageError: DuckDB refuses it.
        """
        try:
            relation = self._connection.sql(sql)
            return pa.table({}) if relation is None else relation.to_arrow_table()
        except duckdb.Error as error:
            raise UsageError(f"The query is refused: {str(error).rstrip()}") from None

    def _give_up(self) -> None:
        """Undo what was begun. A connection whose rollback fails is closed, which undoes it too."""
        try:
            if self._open is not None:
                self._open.execute("rollback")
                self._open.unregister(_BATCH)
        except duckdb.Error:
            self.close()

    def _store(self, connection: duckdb.DuckDBPyConnection, load: Load) -> Receipt:
        steps = plan(self._stored(load.family), load.family)
        refused = [str(step) for step in steps if step.change is Change.REFUSED]
        if refused:
            raise DataRefused(
                f"The tables of {load.endpoint} cannot take these rows:\n  " + "\n  ".join(refused),
                remedy="Give the endpoint another `table`, or rename the old one.",
            )
        version = ledger.write_schemas(connection, load, steps)
        targets = {}
        for table in load.family.tables:
            of_table = [step for step in steps if step.table == table.name]
            targets[table.name] = self._prepare(connection, table, of_table, load.mode)
        if load.once:
            return self._store_new(connection, load, steps, version)
        rows = {}
        for table in load.family.tables:
            target = targets[table.name]
            rows[table.name] = _insert(connection, target, load.tables[table.name])
            if load.mode == "replace":
                _swap(connection, table.name, target)
        if load.mode == "replace":
            self._empty_others(connection, load)
        ledger.write_load(connection, load, rows, version)
        return Receipt(load.id, rows, steps=steps, schema_version=version)

    def _store_new(
        self,
        connection: duckdb.DuckDBPyConnection,
        load: Load,
        steps: tuple[Step, ...],
        version: int,
    ) -> Receipt:
        """Add the records of a load that are not stored yet, or have changed since."""
        before = ledger.set_aside_before(connection, load.endpoint)
        load = replace(load, misfits=tuple(m for m in load.misfits if m.record not in before))
        fresh = states.find(connection, load.family, load.tables)
        rows: dict[str, int] = {}
        for table in load.family.tables:
            source = fresh.rows.get(table.name) if fresh else None
            if fresh and source is None and not any(rows.values()):
                rows[table.name] = 0  # what stands beside the records is not news of its own
            elif source is None:
                rows[table.name] = _insert(connection, table.name, load.tables[table.name])
            else:
                rows[table.name] = _copy(connection, table.name, source)
        states.forget(connection, load.family)
        receipt = Receipt(
            load.id,
            rows,
            steps=steps,
            schema_version=version,
            left_out=fresh.left_out if fresh else 0,
        )
        told = any(rows.values()) or steps or load.misfits or load.drift
        asked = load.again or load.settles or load.stretch is not None
        if told or asked or load.cursor != ledger.latest(connection, load.endpoint, "cursor"):
            ledger.write_load(connection, load, rows, version)
            return receipt
        return replace(receipt, unchanged=True)

    def _prepare(
        self,
        connection: duckdb.DuckDBPyConnection,
        table: TableSchema,
        steps: Sequence[Step],
        mode: str,
    ) -> str:
        """The table that takes the rows, with every column that they need.

        For `replace` it is a new one beside the old, which stays as it is until the swap.
        """
        there = not any(step.change is Change.TABLE for step in steps)
        if not there:
            connection.execute(_create(table.name, table))
        if mode != "replace":
            _alter(connection, table.name, steps)
            return table.name
        beside = f"{_BESIDE}{table.name}"
        connection.execute(f"create table {quoted(beside)} as from {quoted(table.name)} limit 0")
        _alter(connection, beside, steps)
        return beside

    def _empty_others(self, connection: duckdb.DuckDBPyConnection, load: Load) -> None:
        """A child that left the family holds nothing of the latest run: it is swapped too."""
        names = {table.name for table in load.family.tables}
        for name in ledger.tables_of_last_load(connection, load.endpoint):
            if name in names or not _exists(connection, name):
                continue
            beside = f"{_BESIDE}{name}"
            connection.execute(f"create table {quoted(beside)} as from {quoted(name)} limit 0")
            _swap(connection, name, beside)

    def _stored(self, family: TableFamily) -> dict[str, dict[str, Type | None]]:
        names = [table.name for table in family.tables]
        rows = self._connection.execute(
            """select table_name, column_name, data_type from duckdb_columns()
               where list_contains(?, table_name) and schema_name = current_schema()
               and database_name = current_database()""",
            [names],
        ).fetchall()
        stored: dict[str, dict[str, Type | None]] = {}
        for table, column, kind in rows:
            stored.setdefault(table, {})[column] = _OURS.get(kind)
        return stored


def _exists(connection: duckdb.DuckDBPyConnection, name: str) -> bool:
    found = connection.execute(
        "select 1 from duckdb_tables() where table_name = ? and not temporary", [name]
    )
    return found.fetchone() is not None


def _create(name: str, table: TableSchema) -> str:
    columns = ", ".join(f"{quoted(c.name)} {_TYPES[c.type]}" for c in table.columns)
    return f"create table {quoted(name)} ({columns})"


def _alter(connection: duckdb.DuckDBPyConnection, name: str, steps: Sequence[Step]) -> None:
    for step in steps:
        column = quoted(step.column)
        if step.change is Change.COLUMN:
            kind = _TYPES[Type(step.type)]
            connection.execute(f"alter table {quoted(name)} add column {column} {kind}")
        elif step.change is Change.WIDER:
            kind = _TYPES[Type(step.type)]
            connection.execute(f"alter table {quoted(name)} alter {column} type {kind}")


def _insert(connection: duckdb.DuckDBPyConnection, target: str, rows: pa.Table) -> int:
    if not rows.num_rows:
        return 0
    # Not undone in a `finally`: in a transaction that failed it raises an error that hides the
    # first, and the rollback undoes it.
    connection.register(_BATCH, rows)
    connection.execute(f"insert into {quoted(target)} by name from {_BATCH}")
    connection.unregister(_BATCH)
    return int(rows.num_rows)


def _copy(connection: duckdb.DuckDBPyConnection, target: str, source: str) -> int:
    """Insert a relation that DuckDB has already."""
    found = connection.execute(f"insert into {quoted(target)} by name from {source}").fetchone()
    return int(found[0]) if found else 0


def _swap(connection: duckdb.DuckDBPyConnection, name: str, beside: str) -> None:
    """The new table takes the name; the old one stays under another for one rollback."""
    former = f"{FORMER}{name}"
    connection.execute(f"drop table if exists {quoted(former)}")
    connection.execute(f"alter table {quoted(name)} rename to {quoted(former)}")
    connection.execute(f"alter table {quoted(beside)} rename to {quoted(name)}")


def _failure(path: Path, error: duckdb.Error) -> Failure:
    text = str(error).partition("\n")[0].rstrip(".")
    if isinstance(error, _OF_THE_ROWS):
        return DataRefused(f"The warehouse {path} refuses the rows: {text}.")
    if isinstance(error, _OF_THE_TABLES):
        return DataRefused(
            f"The warehouse {path} refuses the tables: {text}.",
            remedy="Nothing was changed. Look for an index or a view of your own on them.",
        )
    return WarehouseUnavailable(
        f"The warehouse {path} failed: {text}.",
        remedy="Nothing was changed; the answers are in the archive. Look at the disk's space.",
    )
