"""DuckDB as a warehouse: one transaction over all tables of a family and the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final

import duckdb
import pyarrow as pa

from tcdatalogger import disk, ending, private
from tcdatalogger.clock import Clock, SystemClock
from tcdatalogger.errors import DataRefused, Failure, UsageError, WarehouseUnavailable
from tcdatalogger.files import Progress, silent
from tcdatalogger.services.duckdb import backup, compaction, copying, layout
from tcdatalogger.services.duckdb.connection import Opened, connect
from tcdatalogger.services.duckdb.conservation import ENGINE
from tcdatalogger.services.duckdb.engine import quoted
from tcdatalogger.services.duckdb.ledger_tables import DuckDBLedgerTables
from tcdatalogger.services.duckdb.limits import UNLIMITED, in_megabytes, stopped_after
from tcdatalogger.services.duckdb.read_only import refuse_writing
from tcdatalogger.services.duckdb.session import Session
from tcdatalogger.services.duckdb.transaction import DuckDBTransaction
from tcdatalogger.services.warehouse.copying import CopiedTable, Copying
from tcdatalogger.services.warehouse.dialect import Dialect
from tcdatalogger.services.warehouse.protocol import (
    PATIENCE,
    Backup,
    EncryptionKey,
    Limits,
    TableSum,
    Warehouse,
)
from tcdatalogger.services.warehouse.transaction import Transaction

_PIECE: Final = 2_048
"""Rows that DuckDB makes at once."""

DIALECT: Final = Dialect(quote='"', json_text="cast({} as varchar)")
"""The SQL of DuckDB, where engines differ."""

_OF_THE_ROWS: Final = (
    duckdb.ConversionException,
    duckdb.ConstraintException,
    duckdb.InvalidInputException,
    duckdb.OutOfRangeException,
)
_OF_THE_DISK: Final = (duckdb.IOException, duckdb.OutOfMemoryException)
_OF_THE_MEMORY: Final = (duckdb.OutOfMemoryException, MemoryError)
_OF_A_NAME: Final = (duckdb.BinderException, duckdb.CatalogException)
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


class DuckDBWarehouse(Warehouse):
    """A warehouse in one file. The file is locked from the first use until it is closed.

    Args:
        path: of the file.
        clock: slept on while another program has it open.
        patience: seconds to wait for it.
        read_only: for queries beside other readers.
        key: of an encrypted file; a new one is encrypted with it.
        unsafe: whether queries of a `read_only` one may reach other files and load extensions.
        limits: of each query of a `read_only` one; None for none.
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
        limits: Limits | None = None,
    ) -> None:
        self.path = path
        self._key = key
        self._unsafe = unsafe
        self._limits = limits
        self._clock = clock or SystemClock()
        self._patience = patience
        self._read_only = read_only
        self._open: Opened | None = None
        self._looks: DuckDBTransaction | None = None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._let_go(good=error is None)
        if error is not None:
            ending.check()  # an error of the engine's, where it was broken into

    def close(self) -> None:
        """Let the file go."""
        self._let_go(good=True)

    def _let_go(self, *, good: bool) -> None:
        if self._open is not None:
            opened, self._open, self._looks = self._open, None, None
            opened.close(good=good)

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
                limits=self._limits,
            )
        return self._open.connection

    @contextmanager
    def _reading(self) -> Iterator[Transaction | None]:
        """The tables and the ledger as they are; None where there is no file yet.

        Raises:
            WarehouseUnavailable: the file is held by another program.
        """
        try:
            if self._looks is None and self.path.exists():
                self._looks = DuckDBTransaction(Session(self._connection))
            yield self._looks
        except duckdb.Error as error:
            ending.check()
            raise _failure(self.path, error) from None

    @contextmanager
    def _transaction(self) -> Iterator[Transaction]:
        """A transaction of DuckDB's, over everything that is done within the block.

        Raises:
            DataRefused: a column cannot become what a load needs.
            WarehouseUnavailable: the file is held by another program.
            DiskFull: nothing was changed.
            Busy: a copy into the file is not finished.
        """
        with self._changing(made=True) as session:
            yield DuckDBTransaction(session)

    @contextmanager
    def _changing(self, *, made: bool = False) -> Iterator[Session]:
        """A transaction of DuckDB's, and its connection; errors as of `_transaction`.

        Args:
            made: whether the ledger is made first, where it is not there.
        """
        session, self._looks = Session(self._connection), None
        try:
            with private.umask():  # what the engine puts beside its file is not for others either
                ledger = DuckDBLedgerTables(session)
                complete = not made or ledger.complete()
                session.execute("begin")
                if not complete:
                    ledger.make()
                yield session
                session.commit()
        except duckdb.Error as error:
            self._give_up(session)
            ending.check()
            raise _failure(self.path, error) from None
        except BaseException:  # Ctrl-C and an alarm too: nothing half-done may stay
            self._give_up(session)
            raise

    @property
    def engine(self) -> str:
        """DuckDB and its version."""
        return ENGINE

    @property
    def dialect(self) -> Dialect:
        """The SQL of DuckDB."""
        return DIALECT

    def exists(self) -> bool:
        """Whether there is a file."""
        return self.path.exists()

    def layout(self, table: str) -> tuple[str, bool]:
        """How many of the table's row groups stand in the order of time; whether all of them do."""
        return layout.describe(self._connection, table)

    def query(self, sql: str, most: int | None = None) -> pa.Table:
        """The rows of a query.

        Args:
            sql: the query.
            most: how many rows are wanted, the first ones; None for all.

        Raises:
            UsageError: DuckDB refuses it, or it takes more memory than it may.
            TimedOut: it takes more time than it may.
        """
        try:
            if self._read_only:
                refuse_writing(self._connection, sql)
            with stopped_after(self._connection, self._limits):
                relation = self._connection.sql(sql)
                return pa.table({}) if relation is None else _rows(relation, most)
        except (duckdb.Error, MemoryError) as error:  # MemoryError: Arrow's
            ending.check()
            if self._limits is not None and isinstance(error, _OF_THE_MEMORY):
                raise UsageError(
                    f"The query takes more than {in_megabytes(self._limits)} of memory.",
                    remedy=UNLIMITED,
                ) from None
            if isinstance(error, _OF_THE_DISK) and disk.is_full(self.path.parent, str(error)):
                raise disk.full(f"the warehouse {self.path}") from None
            raise UsageError(
                f"The query is refused: {_with_place(self._connection, sql, error)}",
                remedy=_FILES if _is_locked(error) else _TABLES,
            ) from None

    def rows(
        self,
        table: str,
        columns: Sequence[str],
        *,
        since: tuple[str, float] | None = None,
        where: Mapping[str, str] | None = None,
    ) -> pa.Table:
        """Some columns of a table; those that it lacks are null. No rows where it is not there."""
        there = set()
        if self.path.exists():
            there = set(Session(self._connection).stored([table]).get(table, {}))
        asked = {*(where or {}), *([since[0]] if since else [])}
        if not there or not asked <= there:
            return pa.table({name: pa.nulls(0) for name in columns})
        picked = [quoted(c) if c in there else f"null as {quoted(c)}" for c in columns]
        tests = [f"{quoted(name)} = {_text(value)}" for name, value in (where or {}).items()]
        if since is not None:
            tests.append(f"{quoted(since[0])} >= to_timestamp({float(since[1])!r})")
        sql = f"select {', '.join(picked)} from {quoted(table)}"
        return self.query(f"{sql} where {' and '.join(tests)}" if tests else sql)

    def sums(self) -> Mapping[str, TableSum]:
        """What every table of the file is known by.

        The file is let go first, as it is opened for reading alone.

        Raises:
            WarehouseUnavailable, ConfigError, DataRefused: as `backup.sums`.
        """
        self.close()
        return backup.sums(self.path, self._clock, self._patience, key=self._key)

    def back_up(self, folder: Path, progress: Progress = silent, *, checked: bool = True) -> Backup:
        """Copy the file as it is now into a folder, and check the copy.

        The file is let go first, as one process cannot open it twice.

        Raises:
            DataRefused, WarehouseUnavailable, ConfigError, OSError: as `backup.back_up`.
        """
        self.close()
        return backup.back_up(
            self.path,
            folder,
            self._clock,
            self._patience,
            key=self._key,
            progress=progress,
            checked=checked,
        )

    def compact(self) -> bool:
        """Write the file anew; it is let go first.

        Raises:
            WarehouseUnavailable, ConfigError, DataRefused, DiskFull: as `compaction.compact`.
        """
        self.close()
        if not self.path.exists():
            return False
        compaction.compact(self.path, self._clock, self._patience, key=self._key)
        return True

    def batches(self, table: CopiedTable) -> Iterator[pa.RecordBatch]:
        """All rows of a table, in batches of its schema; nothing else may be asked meanwhile."""
        if not self.path.exists():
            return
        try:
            yield from copying.batches(Session(self._connection), table)
        except duckdb.Error as error:
            ending.check()
            raise _failure(self.path, error) from None

    def copying(self) -> Copying | None:
        """The copy into the file that is not finished; None where there is none."""
        return copying.begun(Session(self._connection)) if self.path.exists() else None

    def begin_copy(self, wanted: Copying) -> None:
        """Become the target of a copy: until `end_copy` no run stores here."""
        with self._changing() as session:
            copying.begin(session, wanted)

    def take_in(self, table: CopiedTable, rows: Iterable[pa.RecordBatch]) -> None:
        """Make a table with these columns and rows, and note that it is whole, in one step."""
        with self._changing() as session:
            copying.take_in(session, table, rows)

    def end_copy(self) -> None:
        """Finish the copy in one step: the ledger counts, and runs may store."""
        with self._changing() as session:
            copying.end(session)

    def _give_up(self, session: Session) -> None:
        """Undo what was begun. A connection whose rollback fails is closed, which undoes it too."""
        try:
            if self._open is not None:
                session.give_up()
        except duckdb.Error:
            self._let_go(good=False)


def _with_place(connection: duckdb.DuckDBPyConnection, sql: str, error: Exception) -> str:
    """What is wrong with a query, and where.

    A relation does not know the place of an unknown name; what is prepared does. It is not run: it
    gets a parameter that it has no place for.
    """
    says = str(error).rstrip()
    if isinstance(error, _OF_A_NAME) and len(connection.extract_statements(sql)) == 1:
        try:
            connection.execute(sql, [None])
        except duckdb.Error as again:
            if str(again).startswith(says):
                return str(again).rstrip()
    return says


def _rows(relation: duckdb.DuckDBPyRelation, most: int | None) -> pa.Table:
    """The rows of a query; beyond the first ones that are wanted, none is made."""
    if most is None:
        return relation.to_arrow_table()
    reader = relation.to_arrow_reader(min(most, _PIECE))
    found, count = [], 0
    for batch in reader:
        found.append(batch)
        count += batch.num_rows
        if count >= most:
            break
    return pa.Table.from_batches(found, reader.schema).slice(0, most)


def _text(value: str) -> str:
    """A text in SQL, whatever is in it."""
    return "'" + value.replace("'", "''") + "'"


def _is_locked(error: Exception) -> bool:
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
    if disk.is_full(path.parent, str(error)):  # its first line may not have the cause
        return disk.full(f"the warehouse {path}", remedy=f"Nothing was changed. {disk.SPACE}")
    return WarehouseUnavailable(
        f"The warehouse {path} failed: {text}.",
        remedy="Nothing was changed; the answers are in the archive. Look at its disk.",
    )
