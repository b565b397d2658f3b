"""What a warehouse is: a small protocol, and the values that go in and out of one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import pyarrow as pa

from tcdatalogger.errors import DataRefused
from tcdatalogger.files import FileSum, Progress, silent
from tcdatalogger.models.checks.promised import Checked, CheckResult
from tcdatalogger.models.evolution import Step
from tcdatalogger.models.owners import TableOwner
from tcdatalogger.models.reading.row_reader import RejectedRecord
from tcdatalogger.models.records import versioned
from tcdatalogger.models.rows.drift import Drift
from tcdatalogger.models.schema import TableFamily
from tcdatalogger.models.shape import Object

LEDGER = (
    "_tcd_loads",
    "_tcd_schemas",
    "_tcd_drift",
    "_tcd_quarantine",
    "_tcd_checks",
    "_tcd_owners",
)
"""The tables in which a warehouse keeps its own books."""

Fence = Callable[[], None] | None
"""Asked as the last thing before a commit; raises where whoever commits has lost its claim."""

ROLLED_BACK = "rollback "
"""How the ledger begins to say of a load that it was rolled back; then, by whom."""

MODES = ("append", "replace", "merge", "history")
"""The storage modes."""

KEYED = ("merge", "history")
"""Those that tell records of different runs apart by their key."""


@dataclass(frozen=True, slots=True)
class Load:
    """Rows of one run for one family, to be committed in one step.

    Attributes:
        id: a pure function of run and endpoint, so that a retry finds itself.
        run_id, endpoint: whose rows they are.
        mode: one of `MODES`.
        family, tables: what to store; every table of the family has an entry.
        catalog_version: of the catalogue that the family was made from.
        committed_at: when, by the caller's clock; seconds since 1970.
        archive: the file that holds the raw answers, "" where there is none.
        cursor: where an incremental endpoint goes on, None for others.
        stretch: of a backfill: the piece of history that was read, None for others.
        digest: of what was fetched, None where nobody is to compare it with the next.
        once: whether a record that is stored already, all of its children too, and has not changed
            since is left out. A load that then has nothing new is not written at all.
        drift, rejected: for the books.
        again: whether what the same run stored before is taken out first: so when it is replayed.
        settles: records of the quarantine that are stored with it.
        whole: whether all that was asked for was read to its end. What was not says nothing of what
            it lacks: a `replace` refuses it, and no `history` closes anything by it.
        listed: the subjects whose whole list this is, and when it was given by the server's clock,
            seconds since 1970: a `history` closes what it no longer lists of them. None where it is
            a part of a list, or where nobody can tell.
        max_drop: the largest share of the records there are that may vanish by it; 1 for any.
        token: of the claim under which the run works, a number that grows from claim to claim of an
            endpoint; None where nobody claimed it. A load whose token is below that of a load in
            the ledger is refused.
        fence: asked as the last thing before the commit; raises where the run may store no more.
        cause: why tables change by it, "" where the load itself tells it.
        checks: what came of the checks of its rows, for the books.
        path: of the catalogue that the rows are from; "" where nobody knows.
    """

    id: str
    run_id: str
    endpoint: str
    mode: str
    family: TableFamily
    tables: Mapping[str, pa.Table]
    catalog_version: str
    committed_at: float
    archive: str = ""
    cursor: str | None = None
    stretch: str | None = None
    digest: str | None = None
    once: bool = False
    drift: tuple[Drift, ...] = ()
    rejected: tuple[RejectedRecord, ...] = ()
    again: bool = False
    settles: tuple[str, ...] = ()
    whole: bool = True
    listed: Mapping[int | None, float] | None = None
    max_drop: float = 1.0
    token: int | None = None
    fence: Fence = None
    cause: str = ""
    checks: tuple[CheckResult, ...] = ()
    path: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a commit did.

    Attributes:
        rows: of each table.
        repeated: whether the load was there already, and nothing was done.
        steps: how the tables changed.
        schema_version: of the family after it.
        left_out: how many records were stored already and had not changed.
        unchanged: whether there was nothing new at all, and nothing was written.
    """

    load_id: str
    rows: Mapping[str, int]
    repeated: bool = False
    steps: tuple[Step, ...] = field(default=())
    schema_version: int = 0
    left_out: int = 0
    unchanged: bool = False


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


@dataclass(frozen=True, slots=True)
class Clear:
    """What is taken out before loads that make it again.

    Attributes:
        endpoint: whose.
        runs: whose rows are taken out; of a `history` also the ends that they set.
        out: those of them that no longer count from now on.
        by: for the ledger: what they gave way to.
    """

    endpoint: str
    runs: tuple[str, ...]
    out: tuple[str, ...]
    by: str


@dataclass(frozen=True, slots=True)
class Undo:
    """What the rollback of a run did, or would do.

    Attributes:
        endpoint, run_id: what was rolled back.
        mode: in which the run had stored.
        removed: rows that were taken out, by table.
        restored: rows that are there again, or current again, by table.
        steps: how the tables changed.
        cursor: where the endpoint goes on after it, None where no load says it.
    """

    endpoint: str
    run_id: str
    mode: str
    removed: Mapping[str, int]
    restored: Mapping[str, int]
    steps: tuple[str, ...] = ()
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """A load as the ledger has it.

    Attributes:
        load_id, run_id, endpoint, mode: of the load.
        rows: that it stored, by table.
        schema_version: of the family after it.
        archive: the file of its answers, "" where there is none.
        superseded_by: what it gave way to, None where it counts.
    """

    load_id: str
    run_id: str
    endpoint: str
    mode: str
    rows: Mapping[str, int]
    schema_version: int
    archive: str
    superseded_by: str | None

    @property
    def counts(self) -> bool:
        return self.superseded_by is None

    @property
    def rolled_back(self) -> bool:
        return str(self.superseded_by).startswith(ROLLED_BACK)


def as_stored(family: TableFamily, mode: str, endpoint: str) -> TableFamily:
    """A family with the columns that its storage mode adds to every table.

    Raises:
        DataRefused: Torn has a column of such a name.
    """
    if mode != "history":
        return family
    try:
        return versioned(family)
    except ValueError as error:
        raise DataRefused(
            f"{error} is a column of Torn's, and history keeps its own under this name.",
            remedy=f"Set another storage_mode for {endpoint}.",
        ) from None


def not_whole(endpoint: str) -> DataRefused:
    """The error of a load that is to replace what is stored by a part of a list."""
    return DataRefused(
        f"The list of {endpoint} was not read to its end, and its storage mode is replace: what "
        "was not read would be lost.",
        remedy="The old rows stay; the warnings of the run say where it ended. Where `max_pages` "
        f"cuts it: `tcdatalogger run {endpoint} --set max_pages=10000`, or another storage_mode.",
    )


class Warehouse(Protocol):
    """Where tables live. Opening one may take a lock: hold it no longer than needed."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def known(self, endpoint: str) -> Object | None:
        """The shape of the endpoint's last load, with all that was learned; None before one."""
        ...

    def cursor(self, endpoint: str) -> str | None:
        """Where an incremental endpoint goes on; None before its first load."""
        ...

    def stretches(self, endpoint: str) -> list[str]:
        """The pieces of history that backfills have read."""
        ...

    def digest(self, endpoint: str) -> str | None:
        """The digest of the newest load; None where its tables are no longer all there."""
        ...

    def loads(
        self, *, endpoint: str = "", run_id: str = "", counting: bool = False, most: int = 0
    ) -> list[LedgerLine]:
        """The loads that the ledger has, the newest first; none before there is one.

        Args:
            endpoint: whose, "" for all.
            run_id: of which run, "" for all.
            counting: leave out those that gave way to another, or were rolled back.
            most: how many, 0 for all.
        """
        ...

    def owners(self) -> tuple[TableOwner, ...]:
        """Whose each table is that is there."""
        ...

    def plan(self, family: TableFamily) -> tuple[Step, ...]:
        """How the tables would have to change for this family."""
        ...

    def reshape(self, load: Load, *, accept: bool = False, dry: bool = False) -> tuple[Step, ...]:
        """Make the tables fit a load without its rows, in one step; the steps that were taken.

        Args:
            load: its family is what counts.
            accept: whether steps are taken that no load takes by itself.
            dry: do it all and undo it.

        Raises:
            DataRefused: a step needs consent, or a value would change; nothing was changed.
            WarehouseUnavailable: it cannot be reached now; nothing was changed.
        """
        ...

    def reshape_back(
        self, table: str, version: int, *, at: float, dry: bool = False, fence: Fence = None
    ) -> tuple[Step, ...]:
        """Give a table the columns of an older version, in one step and as a new version.

        Args:
            table: its name.
            version: to go back to.
            at: when, seconds since 1970.
            dry: do it all and undo it.
            fence: as that of a load.

        Raises:
            UsageError: there is no such version.
            DataRefused: a value does not fit the older type; nothing was changed.
            WarehouseUnavailable: it cannot be reached now; nothing was changed.
        """
        ...

    def layout(self, table: str) -> tuple[str, bool]:
        """How a table lies for queries by time, in words of the warehouse's own; whether well."""
        ...

    def note_checks(self, checked: Checked) -> None:
        """Write down which checks a load failed that is not stored.

        Raises:
            WarehouseUnavailable: it cannot be reached now.
        """
        ...

    def commit(self, load: Load) -> Receipt:
        """Store all tables of a load and its line in the ledger in one step, once.

        Raises:
            DataRefused: the tables cannot take it; nothing was changed.
            WarehouseUnavailable: it cannot be reached now; nothing was changed.
            Busy: the run has lost its claim; nothing was changed.
        """
        ...

    def commit_all(self, wanted: Iterable[Load], clear: Clear | None = None) -> list[Receipt]:
        """As `commit`, for several loads in one step, after what they clear: all or nothing."""
        ...

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
            dry: do it all, tell it, and undo it.
            fence: as that of a load.

        Raises:
            UsageError: the run has stored nothing, or was rolled back already.
            DataRefused: a later run of the endpoint stands on it; nothing was changed.
            WarehouseUnavailable: it cannot be reached now; nothing was changed.
        """
        ...

    def query(self, sql: str) -> pa.Table:
        """The rows of a query."""
        ...

    def rows(
        self, table: str, columns: Sequence[str], *, since: tuple[str, float] | None = None
    ) -> pa.Table:
        """Some columns of a table, in no order, whatever SQL the warehouse speaks.

        Args:
            table: its name; one that is not there has no rows.
            columns: their names; one that the table lacks is null in every row.
            since: a column of times and seconds since 1970: only rows that are not earlier.
        """
        ...

    def subject(self, endpoint: str, table: str) -> int | None:
        """Whom the newest rows that an endpoint has stored are about.

        Args:
            endpoint: its name.
            table: its root table.

        Returns:
            None where there are no rows of it, or they are about nobody.
        """
        ...

    def back_up(self, folder: Path, progress: Progress = silent) -> Backup:
        """Copy it as it is now into a folder, and check the copy.

        Raises:
            DataRefused: it is damaged.
            WarehouseUnavailable: it cannot be reached now, or is not there yet.
            OSError: the copy cannot be written.
        """
        ...
