"""What a run works with, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tcdatalogger.clock import Clock
from tcdatalogger.core.archive import Archive
from tcdatalogger.core.artifacts import Artifacts, Left
from tcdatalogger.core.pending import Desk
from tcdatalogger.core.state import RunRecord, State
from tcdatalogger.errors import Failure
from tcdatalogger.models.evolution import Step
from tcdatalogger.services.torncity.task import Fetched, Task, Tools, Transformed
from tcdatalogger.services.warehouse import Receipt, Warehouse


@dataclass(frozen=True, slots=True)
class Workplace:
    """What a run works with.

    Attributes:
        warehouse: opens it, and waits for it as long as is said, None for the usual time; the run
            keeps it from the transform to the end of the store.
        desk: stores what earlier runs of the endpoint owe; None for a run that has none.
        artifacts: keeps what a run leaves that stops after a step; None where nobody goes on.
        prepare: makes the tools for calling Torn with the endpoint's key; may refuse.
        made: the seconds of each call that went over the wire for the run so far.
        tell: told of the run as it begins, at each step and page, and when it has ended.
    """

    clock: Clock
    state: State
    archive: Archive
    warehouse: Callable[[float | None], Warehouse]
    prepare: Callable[[Task], Tools]
    made: Callable[[], Sequence[float]] = lambda: ()
    tell: Callable[[RunRecord], None] = lambda _run: None
    desk: Desk | None = None
    artifacts: Artifacts | None = None


@dataclass(slots=True)
class Outcome:
    """What became of a run.

    Attributes:
        record: as the books have it.
        fetched, made, receipt: what each step left, None where it did not come to it.
        plan: how the tables would change, for a run that stores nothing.
        error: why it failed.
        stores: whether it is to store its rows.
        owing: whether runs before it are owed that it has not tried to store.
        settled: runs before it that were owed and are no longer.
        left: what it went on from, None where it began.
    """

    record: RunRecord
    fetched: Fetched | None = None
    made: Transformed | None = None
    receipt: Receipt | None = None
    plan: tuple[Step, ...] = ()
    error: Failure | None = None
    stores: bool = True
    owing: bool = False
    settled: tuple[RunRecord, ...] = ()
    left: Left | None = None

    @property
    def owed(self) -> bool:
        """Whether its rows can be made from the archive, and are to be."""
        if self.left is not None and not self.left.stores:
            return False  # whoever looks at it step by step says when it is stored
        return self.stores and self.fetched is not None and bool(self.record.archive_file)
