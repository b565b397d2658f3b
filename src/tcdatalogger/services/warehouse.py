"""What a warehouse is: a small protocol, and the values that go in and out of one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

import pyarrow as pa

from tcdatalogger.models.drift import Drift
from tcdatalogger.models.evolution import Step
from tcdatalogger.models.salvage import Misfit
from tcdatalogger.models.schema import TableFamily
from tcdatalogger.models.shape import Object

LEDGER = ("_tcd_loads", "_tcd_schemas", "_tcd_drift", "_tcd_quarantine")
"""The tables in which a warehouse keeps its own books."""

MODES = ("append", "replace", "merge", "history")
"""The storage modes."""


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
        drift, misfits: for the books.
        again: whether what the same run stored before is taken out first: so when it is replayed.
        settles: records of the quarantine that are stored with it.
        listed: the subjects whose whole list this is: a `history` closes what it no longer lists of
            them. None where it is a part of a list, or where nobody can tell.
        max_drop: the largest share of the records there are that may vanish by it; 1 for any.
        token: of the claim under which the run works, a number that grows from claim to claim of an
            endpoint; None where nobody claimed it. A load whose token is below that of a load in
            the ledger is refused.
        fence: asked as the last thing before the commit; raises where the run may store no more.
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
    misfits: tuple[Misfit, ...] = ()
    again: bool = False
    settles: tuple[str, ...] = ()
    listed: frozenset[int | None] | None = None
    max_drop: float = 1.0
    token: int | None = None
    fence: Callable[[], None] | None = None


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

    def plan(self, family: TableFamily) -> tuple[Step, ...]:
        """How the tables would have to change for this family."""
        ...

    def commit(self, load: Load) -> Receipt:
        """Store all tables of a load and its line in the ledger in one step, once.

        Raises:
            DataRefused: the tables cannot take it; nothing was changed.
            WarehouseUnavailable: it cannot be reached now; nothing was changed.
            Busy: the run has lost its claim; nothing was changed.
        """
        ...

    def commit_all(self, loads: Iterable[Load]) -> list[Receipt]:
        """As `commit`, for several loads in one step: all of them or none."""
        ...

    def query(self, sql: str) -> pa.Table:
        """The rows of a query."""
        ...
