"""DuckDB as a warehouse: one transaction over all tables of a family and the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

import duckdb
import pyarrow as pa

from tcdatalogger import disk, ending
from tcdatalogger.clock import Clock, SystemClock
from tcdatalogger.errors import DataRefused, Failure, UsageError, WarehouseUnavailable
from tcdatalogger.files import Progress, silent
from tcdatalogger.models.checks.promised import Checked
from tcdatalogger.models.evolution import Step, plan
from tcdatalogger.models.owners import TableOwner
from tcdatalogger.models.schema import TableFamily
from tcdatalogger.models.shape import Object
from tcdatalogger.services.duckdb import (
    backup,
    checks,
    evolve,
    layout,
    ledger,
    loads,
    modes,
    owners,
    reshape,
    rollback,
    tables,
)
from tcdatalogger.services.duckdb.connection import EncryptionKey, connect, quoted
from tcdatalogger.services.duckdb.read_only import refuse_writing
from tcdatalogger.services.warehouse.protocol import (
    Backup,
    Clear,
    Fence,
    LedgerLine,
    Load,
    Receipt,
    Undo,
)

PATIENCE: Final = 20.0
"""Seconds to wait for a file that another program has open."""

_Done = TypeVar("_Done")

_OF_THE_ROWS: Final = (
    duckdb.ConversionException,
    duckdb.ConstraintException,
    duckdb.InvalidInputException,
    duckdb.OutOfRangeException,
)
_OF_THE_DISK: Final = (duckdb.IOException, duckdb.OutOfMemoryException)
_OF_THE_TABLES: Final = (
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.DependencyException,
    duckdb.ParserException,
)


_TABLES: Final = (
    "`tcdatalogger query 'show tables'` lists the tables, 'describe TABLE' the columns of one."
)
_FILES: Final = (
    "Queries reach the tables of the warehouse alone. `tcdatalogger query --unsafe` lets one read "
    "other files, change settings and load extensions."
)
"""What to do when a query is refused."""


class DuckDBWarehouse:
    """A warehouse in one file. The file is locked from the first use until it is closed.

    Args:
        path: of the file.
        clock: slept on while another program has it open.
        patience: seconds to wait for it.
        read_only: for queries beside other readers.
        key: of an encrypted file; a new one is encrypted with it.
        unsafe: whether queries of a `read_only` one may reach other files and load extensions.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock | None = None,
        *,
        patience: float = PATIENCE,
        read_only: bool = False,
        key: EncryptionKey | None = None,
        unsafe: bool = False,
    ) -> None:
        self.path = path
        self._key = key
        self._unsafe = unsafe
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
        if error is not None:
            ending.check()  # an error of the engine's, where it was broken into

    def close(self) -> None:
        """Let the file go."""
        if self._open is not None:
            self._open.close()
            self._open = None

    @property
    def _connection(self) -> duckdb.DuckDBPyConnection:
        if self._open is None:
            self._open = connect(
                self.path,
                self._clock,
                self._patience,
                read_only=self._read_only,
                key=self._key,
                unsafe=self._unsafe,
            )
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

    def loads(
        self, *, endpoint: str = "", run_id: str = "", counting: bool = False, most: int = 0
    ) -> list[LedgerLine]:
        """The loads that the ledger has, the newest first."""
        if not self._has_books():
            return []
        return loads.lines(self._connection, endpoint, run_id, counting=counting, most=most)

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

    def owners(self) -> tuple[TableOwner, ...]:
        """Whose each table is that is there."""
        return owners.read(self._connection) if self._has_books() else ()

    def plan(self, family: TableFamily) -> tuple[Step, ...]:
        """How the tables would have to change for this family."""
        if not self.path.exists():
            return plan({}, family)
        return evolve.steps_to(self._connection, family)

    def reshape(self, load: Load, *, accept: bool = False, dry: bool = False) -> tuple[Step, ...]:
        """Make the tables fit a load without its rows; the steps that were taken.

        Raises:
            DataRefused: a step needs consent, or a value would change; nothing was changed.
        """

        def work(connection: duckdb.DuckDBPyConnection) -> tuple[Step, ...]:
            steps = reshape.apply(connection, load, accept=accept)
            if load.fence is not None:
                load.fence()
            return steps

        return self._in_one_step(work, dry=dry)

    def reshape_back(
        self, table: str, version: int, *, at: float, dry: bool = False, fence: Fence = None
    ) -> tuple[Step, ...]:
        """Give a table the columns of an older version, as a new one; the steps that were taken.

        Raises:
            UsageError: there is no such version.
            DataRefused: a value does not fit the older type; nothing was changed.
            Busy: whoever asks has lost its claim; nothing was changed.
        """
        return self._in_one_step(
            lambda own: reshape.roll_back(own, table, version, at), dry=dry, fence=fence
        )

    def layout(self, table: str) -> tuple[str, bool]:
        """How many of the table's row groups stand in the order of time; whether all of them do."""
        return layout.describe(self._connection, table)

    def note_checks(self, checked: Checked) -> None:
        """Write down which checks a load failed that is not stored."""
        self._in_one_step(lambda own: checks.note(own, checked), dry=False)

    def _in_one_step(
        self,
        work: Callable[[duckdb.DuckDBPyConnection], _Done],
        *,
        dry: bool,
        fence: Fence = None,
    ) -> _Done:
        """Do something in one transaction, or do it all and undo it again."""
        connection = self._connection
        try:
            connection.execute("begin")
            ledger.prepare(connection)
            done = work(connection)
            if fence is not None:
                fence()
            connection.execute("rollback" if dry else "commit")
        except duckdb.Error as error:
            self._give_up()
            ending.check()
            raise _failure(self.path, error) from None
        except BaseException:  # Ctrl-C and an alarm too: nothing half-done may stay
            self._give_up()
            raise
        return done

    def commit(self, load: Load) -> Receipt:
        """Store a load in one transaction; a load that is in the books already does nothing.

        Raises:
            DataRefused: a column cannot become what the load needs.
            WarehouseUnavailable: the file is held by another program.
            DiskFull: nothing was changed.
            Busy: the run has lost its claim.
        """
        return self.commit_all([load])[0]

    def commit_all(self, wanted: Iterable[Load], clear: Clear | None = None) -> list[Receipt]:
        """As `commit`, for several loads in one transaction, after what they clear.

        Raises:
            DataRefused, WarehouseUnavailable: as `commit`; then none of them was stored.
        """

        def work(connection: duckdb.DuckDBPyConnection) -> list[Receipt]:
            receipts = []
            fits = clear is None or rollback.clear(connection, clear)
            for load in wanted:
                receipts.append(self._store_once(connection, load))
                if load.fence is not None:
                    load.fence()
            if clear is not None and not fits:
                rollback.forget_former(connection, clear.endpoint)
            return receipts

        return self._in_one_step(work, dry=False)

    def rollback(
        self,
        endpoint: str,
        run_id: str,
        *,
        at: float,
        by: str,
        dry: bool = False,
        fence: Fence = None,
    ) -> Undo:
        """Take back what a run stored, in one transaction; a dry one is undone at its end.

        Raises:
            UsageError: the run has stored nothing, or was rolled back already.
            DataRefused: a later run of the endpoint stands on it.
            Busy: whoever asks has lost its claim.
            WarehouseUnavailable: the file is held by another program.
            DiskFull: nothing was changed.
        """
        return self._in_one_step(
            lambda own: rollback.rollback(own, endpoint, run_id, at=at, by=by),
            dry=dry,
            fence=fence,
        )

    def _store_once(self, connection: duckdb.DuckDBPyConnection, load: Load) -> Receipt:
        before = ledger.load_rows(connection, load.id)
        if before is not None and loads.was_rolled_back(connection, load):
            # A stretch of history that is read once more: its id hangs on the stretch alone.
            load = replace(load, id=f"{load.id}-{load.run_id}")
            before = ledger.load_rows(connection, load.id)
        if before is not None:
            rows, version = before
            return Receipt(load.id, rows, repeated=True, schema_version=version)
        ledger.refuse_overtaken(connection, load)
        if load.again:
            load = ledger.inherited(connection, load)
            rollback.take_out(connection, load)
        if load.settles:
            ledger.settle(connection, load.settles)
        return modes.store(connection, load)

    def query(self, sql: str) -> pa.Table:
        """The rows of a query.

        Raises:
            UsageError: DuckDB refuses it.
        """
        try:
            if self._read_only:
                refuse_writing(self._connection, sql)
            relation = self._connection.sql(sql)
            return pa.table({}) if relation is None else relation.to_arrow_table()
        except duckdb.Error as error:
            ending.check()
            if isinstance(error, _OF_THE_DISK) and disk.is_full(self.path.parent, str(error)):
                raise disk.full(f"the warehouse {self.path}") from None
            raise UsageError(
                f"The query is refused: {str(error).rstrip()}",
                remedy=_FILES if _is_locked(error) else _TABLES,
            ) from None

    def rows(
        self, table: str, columns: Sequence[str], *, since: tuple[str, float] | None = None
    ) -> pa.Table:
        """Some columns of a table; those that it lacks are null. No rows where it is not there."""
        there = set()
        if self.path.exists() and tables.exists(self._connection, table):
            there = set(tables.stored(self._connection, [table])[table])
        if not there or (since is not None and since[0] not in there):
            return pa.table({name: pa.nulls(0) for name in columns})
        picked = [quoted(c) if c in there else f"null as {quoted(c)}" for c in columns]
        sql = f"select {', '.join(picked)} from {quoted(table)}"
        if since is not None:
            sql += f" where {quoted(since[0])} >= to_timestamp({float(since[1])!r})"
        return self.query(sql)

    def subject(self, endpoint: str, table: str) -> int | None:
        """Whom the newest rows of an endpoint are about, None where nobody can tell."""
        if not self._has_books() or not tables.exists(self._connection, table):
            return None
        if not {"_subject_id", "_run_id"} <= set(tables.stored(self._connection, [table])[table]):
            return None
        return ledger.subject(self._connection, endpoint, table)

    def back_up(self, folder: Path, progress: Progress = silent) -> Backup:
        """Copy the file as it is now into a folder, and check the copy.

        The file is let go first, as one process cannot open it twice.

        Raises:
            DataRefused, WarehouseUnavailable, ConfigError, OSError: as `backup.back_up`.
        """
        self.close()
        return backup.back_up(
            self.path, folder, self._clock, self._patience, key=self._key, progress=progress
        )

    def _give_up(self) -> None:
        """Undo what was begun. A connection whose rollback fails is closed, which undoes it too."""
        try:
            if self._open is not None:
                self._open.execute("rollback")
                self._open.unregister(tables.BATCH)
        except duckdb.Error:
            self.close()


def _is_locked(error: duckdb.Error) -> bool:
    """Whether a query wanted what is locked: other files, extensions, settings."""
    return isinstance(error, duckdb.PermissionException) or "configuration" in str(error)


def _failure(path: Path, error: duckdb.Error) -> Failure:
    text = str(error).partition("\n")[0].rstrip(".")
    if isinstance(error, _OF_THE_ROWS):
        return DataRefused(f"The warehouse {path} refuses the rows: {text}.")
    if isinstance(error, _OF_THE_TABLES):
        return DataRefused(
            f"The warehouse {path} refuses the tables: {text}.",
            remedy="Nothing was changed. Look for an index or a view of your own on them.",
        )
    if isinstance(error, duckdb.TransactionException) and "conflict" in text.lower():
        return WarehouseUnavailable(
            f"Something else in this process changed the same tables of the warehouse {path} at "
            f"the same moment: {text.rstrip('!')}.",
            remedy="Nothing was changed. Try again: one of the two goes first then.",
        )
    if disk.is_full(path.parent, text):
        return disk.full(f"the warehouse {path}", remedy=f"Nothing was changed. {disk.SPACE}")
    return WarehouseUnavailable(
        f"The warehouse {path} failed: {text}.",
        remedy="Nothing was changed; the answers are in the archive. Look at its disk.",
    )
