"""A load: the rows of one run on their way into a warehouse, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tcdatalogger.errors import DataRefused
from tcdatalogger.models.checks.promised import CheckResult
from tcdatalogger.models.evolution import Step
from tcdatalogger.models.kept import Rows
from tcdatalogger.models.reading.row_reader import RejectedRecord
from tcdatalogger.models.records import versioned
from tcdatalogger.models.rows.drift import Drift
from tcdatalogger.models.schema import TableFamily

Fence = Callable[[], None] | None
"""Asked as the last thing before a commit; raises where whoever commits has lost its claim."""

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
        drift, rejected: what was learned and what was set aside, for the ledger.
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
        checks: what came of the checks of its rows, for the ledger.
        path: of the catalogue that the rows are from; "" where nobody knows.
        key_owner: the player whose key made the first of the calls; None where nobody knows.
        others: of loads that are stored together: the other runs whose rows it has.
    """

    id: str
    run_id: str
    endpoint: str
    mode: str
    family: TableFamily
    tables: Mapping[str, Rows]
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
    key_owner: int | None = None
    others: tuple[str, ...] = ()

    @property
    def runs(self) -> list[str]:
        """The runs whose rows it has."""
        return [self.run_id, *self.others]


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
