"""What a warehouse is, whatever engine is under it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Protocol, Self

import pyarrow as pa

from tcdatalogger.errors import UsageError
from tcdatalogger.files import FileSum, Progress, silent
from tcdatalogger.models.checks.promised import Checked
from tcdatalogger.models.evolution import Step, StoredTypes, plan
from tcdatalogger.models.owners import TableOwner
from tcdatalogger.models.rows.expiry import Expiry
from tcdatalogger.models.schema import TableFamily
from tcdatalogger.models.shape import Object
from tcdatalogger.services.warehouse import (
    modes,
    owners,
    retention,
    rollback,
    schema_changes,
    together,
)
from tcdatalogger.services.warehouse.copying import CopiedTable, Copying
from tcdatalogger.services.warehouse.dialect import Dialect
from tcdatalogger.services.warehouse.ledger import RECENT, Ledger, LedgerLine
from tcdatalogger.services.warehouse.ledger_tables import NoLedgerTables
from tcdatalogger.services.warehouse.load import Clear, Fence, Load, Receipt, Undo
from tcdatalogger.services.warehouse.transaction import Transaction

if TYPE_CHECKING:
    from tcdatalogger.models.people.pseudonyms import Pseudonyms
    from tcdatalogger.services.warehouse.people import Places, Rewritten

_FIRST: Final = 3
"""Loads that are looked at first where mostly the newest one tells."""

PATIENCE: Final = 20.0
"""Seconds to wait for a warehouse that another program has open."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a query of a reader may take: every run waits until it has ended.

    Attributes:
        seconds: until it is stopped.
        memory: bytes of the engine; what does not fit ends the query.
        threads: of the engine.
    """

    seconds: float
    memory: int
    threads: int


READING: Final = Limits(5.0, 512_000_000, 1)
"""The limits of a query by people: a page, a question, `tcdatalogger query`."""
PROCESS: Final = 2 * READING.memory
"""Bytes of a process for one query of anybody's SQL: those of the engine, and those of its rows."""


class EncryptionKey(Protocol):
    """What a warehouse is encrypted with; it prints nowhere."""

    def reveal(self) -> str:
        """The key itself."""
        ...


@dataclass(frozen=True, slots=True)
class TableSum:
    """What the content of a table is known by, whatever the order of its rows."""

    rows: int
    checksum: str


@dataclass(frozen=True, slots=True)
class Backup:
    """A copy of a warehouse.

    Attributes:
        kind: of the warehouse, as its address begins.
        engine: the version of the program that can read it.
        file: that it is opened by; `files` has it, and what belongs to it.
        encrypted: whether it takes the key of the warehouse to read it.
        files: of the copy, by name.
        tables: that are in it.
    """

    kind: str
    engine: str
    file: str
    encrypted: bool
    files: Mapping[str, FileSum]
    tables: Mapping[str, TableSum]


class Warehouse(ABC):
    """Where tables live. Opening one may take a lock: hold it no longer than needed.

    What every warehouse does in the same way is here. An engine brings the transaction, the tables
    and its own way to ask.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # --- of the engine ---------------------------------------------------------------------------

    @abstractmethod
    def close(self) -> None:
        """Let it go."""

    @abstractmethod
    def _reading(self) -> AbstractContextManager[Transaction | None]:
        """The tables and the ledger as they are, to ask alone; None where nothing is there yet.

        Raises:
            WarehouseUnavailable: it cannot be reached now.
        """

    @abstractmethod
    def _transaction(self) -> AbstractContextManager[Transaction]:
        """Begin a transaction, and commit it at the end of the block, or undo it.

        Raises:
            DataRefused: the tables cannot take what was done; nothing was changed.
            WarehouseUnavailable: it cannot be reached now; nothing was changed.
            DiskFull: nothing was changed.
        """

    @property
    @abstractmethod
    def engine(self) -> str:
        """What is under it, and its version."""

    @property
    @abstractmethod
    def dialect(self) -> Dialect:
        """How it writes what others write in another way."""

    @abstractmethod
    def exists(self) -> bool:
        """Whether there is anything yet; to ask it makes nothing."""

    def must_have_place(self) -> None:  # noqa: B027  # where it is a file, nothing can be lacking
        """Ask whether the warehouse can be made where it should lie; a file can be made anywhere.

        Raises:
            ConfigError: what it lies in is not there; the remedy makes it.
        """

    @abstractmethod
    def layout(self, table: str) -> tuple[str, bool]:
        """How a table lies for queries by time, in words of the warehouse's own; whether well."""

    @abstractmethod
    def query(self, sql: str, most: int | None = None) -> pa.Table:
        """The rows of a query.

        Args:
            sql: the query.
            most: how many rows are wanted, the first ones; None for all.

        Raises:
            UsageError: the warehouse refuses it.
        """

    @abstractmethod
    def rows(
        self,
        table: str,
        columns: Sequence[str],
        *,
        since: tuple[str, float] | None = None,
        where: Mapping[str, str] | None = None,
    ) -> pa.Table:
        """Some columns of a table, in no order, whatever SQL the warehouse speaks.

        Args:
            table: its name; one that is not there has no rows.
            columns: their names; one that the table lacks is null in every row.
            since: a column of times and seconds since 1970: only rows that are not earlier.
            where: columns of texts and the value that each has in the rows.
        """

    @abstractmethod
    def sums(self) -> Mapping[str, TableSum]:
        """What the content of every table is known by; all rows are read.

        Two versions of an engine may give one row different sums.

        Raises:
            DataRefused: a table cannot be read.
            WarehouseUnavailable: it cannot be reached now, or is not there yet.
        """

    def back_up(
        self,
        folder: Path,  # noqa: ARG002  # those with files here take it, as the two below
        progress: Progress = silent,  # noqa: ARG002
        *,
        checked: bool = True,  # noqa: ARG002
    ) -> Backup | None:
        """Copy its files as they are now into a folder, and check the copy.

        Args:
            folder: that is there.
            progress: told of each piece.
            checked: False for a copy that is no backup: then `tables` is empty.

        Returns:
            None for a warehouse that has no files here; its tables are copied then.

        Raises:
            DataRefused: it is damaged.
            WarehouseUnavailable: it cannot be reached now, or is not there yet.
            OSError: the copy cannot be written.
        """
        return None

    # --- to be copied ----------------------------------------------------------------------------

    @abstractmethod
    def batches(self, table: CopiedTable) -> Iterator[pa.RecordBatch]:
        """All rows of a table of data, of the ledger, or of what is kept for a rollback.

        The ledger of a copy that is not finished can be read too.

        Args:
            table: its name and the columns that are read.

        Returns:
            The rows in no order, in batches of the schema of `table`; none where it is not there.

        Raises:
            WarehouseUnavailable: it cannot be reached now.
        """

    @abstractmethod
    def copying(self) -> Copying | None:
        """The copy into this warehouse that is not finished; None where there is none."""

    @abstractmethod
    def begin_copy(self, wanted: Copying) -> None:
        """Become the target of a copy: until `end_copy` no run stores here.

        The warehouse is empty, or the target of a copy that is not finished: then no table of it
        counts as whole any more.

        Args:
            wanted: the copy; none of its tables is whole.

        Raises:
            WarehouseUnavailable: it cannot be reached now; nothing was changed.
        """

    @abstractmethod
    def take_in(self, table: CopiedTable, rows: Iterable[pa.RecordBatch]) -> None:
        """Make a table with these columns and rows, and note that it is whole.

        What was there of it is replaced. Where this ends before its end, the table is not noted.

        Args:
            table: its name, columns and key.
            rows: in batches of its schema.

        Raises:
            DataRefused: the warehouse cannot hold a value.
            WarehouseUnavailable: it cannot be reached now.
            DiskFull: there is no space.
        """

    @abstractmethod
    def end_copy(self) -> None:
        """Finish the copy: the ledger that was taken in counts from now on, and runs may store.

        Where this ends before its end, the copy is not finished.

        Raises:
            WarehouseUnavailable: it cannot be reached now.
        """

    # --- the ledger ------------------------------------------------------------------------------

    @property
    def ledger(self) -> Ledger:
        """What it knows of loads, versions, drift and owners; to read."""
        with self._reading() as there:
            return Ledger(NoLedgerTables()) if there is None else there.ledger

    def known(self, endpoint: str) -> Object | None:
        """The shape of the endpoint's last load, with all that was learned; None before one."""
        return self.ledger.known_shape(endpoint)

    def cursor(self, endpoint: str) -> str | None:
        """Where an incremental endpoint goes on; None before its first load."""
        return self.ledger.cursor(endpoint)

    def stretches(self, endpoint: str) -> list[str]:
        """The pieces of history that backfills have read."""
        return self.ledger.stretches(endpoint)

    def loads(
        self, *, endpoint: str = "", run_id: str = "", counting: bool = False, most: int = 0
    ) -> list[LedgerLine]:
        """The loads that the ledger has, the newest first, as `Ledger.loads`."""
        return self.ledger.loads(endpoint=endpoint, run_id=run_id, counting=counting, most=most)

    def digest(self, endpoint: str) -> str | None:
        """The digest of the newest load; None where its tables are no longer all there."""
        with self._reading() as there:
            newest = None if there is None else there.ledger.newest(endpoint)
            if there is None or newest is None:
                return None
            whole = len(there.there(list(newest.rows))) == len(newest.rows)
            return newest.digest if whole else None

    def stored(self, tables: Sequence[str]) -> StoredTypes:
        """The columns of those tables that are there, and their types."""
        with self._reading() as there:
            return {} if there is None else there.stored(tables)

    def counts(self, tables: Sequence[str]) -> Mapping[str, int]:
        """How many rows tables have; none where they are not there."""
        with self._reading() as there:
            return dict.fromkeys(tables, 0) if there is None else there.counts(tables)

    def owners(self) -> tuple[TableOwner, ...]:
        """Whose each table is that is there."""
        with self._reading() as there:
            return () if there is None else owners.read(there)

    def subject(self, endpoint: str, table: str) -> int | None:
        """Whom the newest rows that an endpoint has stored are about.

        Args:
            endpoint: its name.
            table: its root table.

        Returns:
            None where there are no rows of it, or they are about nobody.
        """
        with self._reading() as there:
            if there is None or not there.there([table]):
                return None
            for most in (_FIRST, RECENT):
                found = there.subject(table, there.ledger.recent_runs(endpoint, most))
                if found is not None:
                    return found
            return None

    def note_checks(self, checked: Checked) -> None:
        """Write down which checks a load failed that is not stored.

        Raises:
            WarehouseUnavailable: it cannot be reached now.
        """
        with self._transaction() as transaction:
            transaction.ledger.note_checks(checked)

    # --- to change tables ------------------------------------------------------------------------

    def plan(self, family: TableFamily) -> tuple[Step, ...]:
        """How the tables would have to change for this family."""
        with self._reading() as there:
            return plan({}, family) if there is None else schema_changes.steps_to(there, family)

    def reshape(self, load: Load, *, accept: bool = False, dry: bool = False) -> tuple[Step, ...]:
        """Make the tables fit a load without its rows, in one step; the steps that were taken.

        Args:
            load: its family is what counts.
            accept: whether steps are taken that no load takes by itself.
            dry: tell the steps, count the values that they would change, and change nothing.

        Raises:
            DataRefused: a step needs consent, or a value would change; nothing was changed.
            WarehouseUnavailable: it cannot be reached now; nothing was changed.
        """
        if dry:
            with self._reading() as there:
                if there is None:
                    return plan({}, load.family)
                return schema_changes.apply(there, load, accept=accept, dry=True)
        with self._transaction() as transaction:
            steps = schema_changes.apply(transaction, load, accept=accept)
            _ask(load.fence)
        return steps

    def reshape_back(
        self, table: str, version: int, *, at: float, dry: bool = False, fence: Fence = None
    ) -> tuple[Step, ...]:
        """Give a table the columns of an older version, in one step and as a new version.

        Args:
            table: its name.
            version: to go back to.
            at: when, seconds since 1970.
            dry: tell the steps, count the values that they would change, and change nothing.
            fence: as that of a load.

        Raises:
            UsageError: there is no such version.
            DataRefused: a value does not fit the older type; nothing was changed.
            WarehouseUnavailable: it cannot be reached now; nothing was changed.
        """
        with self._looking() if dry else self._transaction() as transaction:
            steps = schema_changes.back(transaction, table, version, at, dry=dry)
            _ask(fence)
        return steps

    @contextmanager
    def _looking(self) -> Iterator[Transaction]:
        """The tables and the ledger as they are, for what needs some to be there.

        Raises:
            UsageError: nothing has been stored yet.
            ConfigError: what the warehouse lies in is not there.
        """
        with self._reading() as there:
            if there is None:
                self.must_have_place()
                raise UsageError(
                    "Nothing has been stored yet.", remedy="`tcdatalogger run --all` stores some."
                )
            yield there

    # --- to store and to take back ---------------------------------------------------------------

    def commit(self, load: Load) -> Receipt:
        """Store all tables of a load and its line in the ledger in one step, once.

        Raises:
            DataRefused: the tables cannot take it; nothing was changed.
            WarehouseUnavailable: it cannot be reached now; nothing was changed.
            Busy: the run has lost its claim; nothing was changed.
            Unbalanced: not every row is accounted for; nothing was changed.
        """
        return self.commit_all([load])[0]

    def commit_all(self, wanted: Iterable[Load], clear: Clear | None = None) -> list[Receipt]:
        """As `commit`, for several loads in one step, after what they clear: all or nothing.

        An engine may take all of them before it begins: none may hang on what this step changes.
        """
        receipts: list[Receipt] = []
        with self._transaction() as transaction:
            fits = clear is None or rollback.clear(transaction, clear)
            for loads in together.groups(wanted):
                receipts += modes.store(transaction, loads)
                for fence in dict.fromkeys(load.fence for load in loads):
                    _ask(fence)
            if clear is not None and not fits:
                replaced = transaction.ledger.tables_of(clear.endpoint)
                transaction.forget(replaced=replaced)
        return receipts

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
        """Take back what a run stored, in one step: of `append` any, of others the newest.

        The evolution that came with it goes too, as new versions, where nobody has built on it.

        Args:
            endpoint: whose run.
            run_id: of the run.
            at: when, seconds since 1970.
            by: for the ledger: who rolls it back.
            dry: count what would go and come back, and change nothing.
            fence: as that of a load.

        Raises:
            UsageError: the run has stored nothing, or was rolled back already.
            DataRefused: a later run of the endpoint stands on it; nothing was changed.
            WarehouseUnavailable: it cannot be reached now; nothing was changed.
            Unbalanced: not every row is accounted for; nothing was changed.
        """
        with self._looking() if dry else self._transaction() as transaction:
            undo = rollback.rollback(transaction, endpoint, run_id, at=at, by=by, dry=dry)
            _ask(fence)
        return undo

    def expire(
        self, endpoint: str, expiry: Expiry, *, dry: bool = False, fence: Fence = None
    ) -> Mapping[str, int]:
        """Delete the rows of an endpoint that are older than they are kept, in one step.

        Args:
            endpoint: whose rows.
            expiry: which rows.
            dry: count them, and change nothing.
            fence: as that of a load.

        Returns:
            How many rows, by table.

        Raises:
            WarehouseUnavailable: it cannot be reached now; nothing was changed.
            Unbalanced: other rows went than those that were counted; nothing was changed.
        """
        if dry:
            with self._reading() as there:
                return {} if there is None else retention.expire(there, endpoint, expiry, dry=True)
        if not self.exists():
            return {}
        with self._transaction() as transaction:
            gone = retention.expire(transaction, endpoint, expiry)
            _ask(fence)
        return gone

    def forget(
        self, places: Places, pseudonyms: Pseudonyms, *, dry: bool = False, fence: Fence = None
    ) -> Rewritten:
        """Give players who are forgotten their aliases in all tables and the ledger, in one step.

        Args:
            places: where players are.
            pseudonyms: the players.
            dry: count the rows, and change nothing.
            fence: as that of a load.

        Raises:
            WarehouseUnavailable: it cannot be reached now; nothing was changed.
            Unbalanced: other rows were changed than those that were counted; nothing was changed.
        """
        from tcdatalogger.services.warehouse import people  # noqa: PLC0415 - for this alone

        if dry:
            with self._reading() as there:
                return (
                    people.Rewritten()
                    if there is None
                    else people.rewrite(there, places, pseudonyms, dry=True)
                )
        if not self.exists():
            return people.Rewritten()
        with self._transaction() as transaction:
            found = people.rewrite(transaction, places, pseudonyms)
            _ask(fence)
        return found

    def names_in(self, places: Places, pseudonyms: Pseudonyms) -> Mapping[str, str]:
        """The names that tables have of players who are forgotten, with the hash of each."""
        from tcdatalogger.services.warehouse import people  # noqa: PLC0415 - as `forget`

        with self._reading() as there:
            return {} if there is None else people.names_in(there, places, pseudonyms)

    def compact(self) -> bool:
        """Write the warehouse anew, so that nothing is left of rows that were changed or deleted.

        Returns:
            Whether it was written; False for a warehouse whose disk is not ours.

        Raises:
            WarehouseUnavailable: it cannot be reached now; it is as it was.
            DataRefused: what was written is not the same; the warehouse is as it was.
            DiskFull: it is as it was.
        """
        return False


def _ask(fence: Fence) -> None:
    """Ask, as the last thing before the commit, whether it may be.

    Raises:
        Busy: whoever commits has lost its claim.
    """
    if fence is not None:
        fence()
