"""DuckDB as a warehouse: one transaction over all tables of a family and the ledger."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import duckdb
import pyarrow as pa

from tcdatalogger.clock import Clock, SystemClock
from tcdatalogger.errors import DataRefused, Failure, UsageError, WarehouseUnavailable
from tcdatalogger.models.evolution import Step, plan
from tcdatalogger.models.schema import TableFamily
from tcdatalogger.models.shape import Object
from tcdatalogger.services.duckdb import ledger, modes, tables
from tcdatalogger.services.duckdb.file import connect, quoted
from tcdatalogger.services.warehouse import Load, Receipt

PATIENCE: Final = 20.0
"""Seconds to wait for a file that another program has open."""

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
        names = ledger.tables_of_last_load(connection, endpoint)
        if not all(tables.exists(connection, name) for name in names):
            return None
        return ledger.digest(connection, endpoint)

    def _has_books(self) -> bool:
        return self.path.exists() and ledger.exists(self._connection)

    def plan(self, family: TableFamily) -> tuple[Step, ...]:
        """How the tables would have to change for this family."""
        names = [table.name for table in family.tables]
        return plan(tables.stored(self._connection, names) if self.path.exists() else {}, family)

    def commit(self, load: Load) -> Receipt:
        """Store a load in one transaction; a load that is in the books already does nothing.

        Raises:
            DataRefused: a column cannot become what the load needs.
            WarehouseUnavailable: the file is held by another program, or the disk is full.
            Busy: the run has lost its claim.
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
            receipts = []
            for load in loads:
                receipts.append(self._store_once(connection, load))
                if load.fence is not None:
                    load.fence()
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
        ledger.refuse_overtaken(connection, load)
        if load.again:
            load = ledger.inherited(connection, load)
            self._take_out(connection, load)
        if load.settles:
            ledger.settle(connection, load.settles)
        return modes.store(connection, load)

    def _take_out(self, connection: duckdb.DuckDBPyConnection, load: Load) -> None:
        """Remove what the run of a load stored before."""
        for name in ledger.forget_run(connection, load):
            if tables.exists(connection, name):
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
                self._open.unregister(tables.BATCH)
        except duckdb.Error:
            self.close()


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
