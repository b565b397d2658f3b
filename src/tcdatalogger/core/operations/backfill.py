"""The whole history of an endpoint, read back in time a stretch at a time.

Each stretch is a run and one load, and what has been read stands in the ledger with its rows: it
can be stopped or killed anywhere, and goes on where it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tcdatalogger.core.config.requests import why_not_incremental
from tcdatalogger.core.config.settings import EndpointSettings
from tcdatalogger.core.main import Application
from tcdatalogger.core.state.leases import BACKFILL, Claim
from tcdatalogger.core.state.run_id import new_run_id
from tcdatalogger.errors import DataRefused, UsageError
from tcdatalogger.services.torncity.endpoints.registry import processor
from tcdatalogger.services.torncity.lists.cursor import Coverage, Cursor, TimeRange
from tcdatalogger.services.torncity.processing import time_ranges
from tcdatalogger.services.torncity.processing.task import Task

PAGES = 20
"""Of one stretch: some thousand rows in memory, and not much to do again after a kill."""


@dataclass(frozen=True, slots=True)
class BackfillProgress:
    """Where a backfill is after a stretch. Times are seconds since 1970.

    Attributes:
        place: whose list is read: the subject's id, or a path.
        high: where its reading began.
        back_to: how far back it has come; None at the beginning of all history.
        until: how far back it is to go, None for the beginning.
        calls, rows, left_out: of all stretches of this process so far; rows in all tables.
        warnings: what was odd about this stretch.
        run_id: of this stretch.
    """

    place: str
    high: int
    back_to: int | None
    until: int | None
    calls: int
    rows: int
    left_out: int
    warnings: tuple[str, ...]
    run_id: str

    @property
    def part(self) -> float | None:
        """How much of the way is done, from 0 to 1; None where nobody knows how long it is."""
        if self.until is None or self.back_to is None:
            return None
        whole = self.high - self.until
        return 1.0 if whole <= 0 else min(1.0, (self.high - self.back_to) / whole)


@dataclass(frozen=True, slots=True)
class _Listing:
    """One list of an endpoint.

    Attributes:
        place: what tells the list from the others, as in the ledger.
        task: reads the list alone.
    """

    place: str
    task: Task


@dataclass(slots=True)
class _Sums:
    calls: int = 0
    rows: int = 0
    left_out: int = 0


def backfill(
    application: Application,
    name: str,
    *,
    since: float | None = None,
    until: float | None = None,
    pages: int = PAGES,
) -> Iterator[BackfillProgress]:
    """Read the history of an endpoint back in time; yields after each stretch, which is stored.

    Args:
        application: with the settings.
        name: of the endpoint.
        since: how far back, seconds since 1970; None for the beginning of all history.
        until: where to begin; None for where the regular runs began, or now.
        pages: of one stretch.

    Raises:
        UsageError: there is no such endpoint, or its list cannot be read back in time.
        Busy: another backfill of it goes on.
        Failure: as a run; what was stored before stays.
    """
    [endpoint] = application.chosen([name])
    task = application.task(endpoint)
    _refuse(endpoint, task)
    low = None if since is None else int(since)
    sums = _Sums()
    # A name of its own: regular runs go on beside it, another backfill does not.
    with application.claimed(endpoint.name + BACKFILL, task.run_id) as claim:
        for each in _listings(application, endpoint, replace(task, stretch_pages=pages)):
            yield from _back(application, endpoint, each, claim, low, until, sums)


def _refuse(endpoint: EndpointSettings, task: Task) -> None:
    """Refuse what has no history that could be added to the tables.

    Raises:
        UsageError: the endpoint is no list by time, or neither appends nor merges.
    """
    why = why_not_incremental(endpoint, task.endpoint)
    if not why and task.mode not in ("append", "merge"):
        why = f"its storage mode is {task.mode}, so its tables have no place for it"
    if why:
        raise UsageError(
            f"{endpoint.name} has no history that could be read back: {why}.",
            remedy="A list by time has one, where it appends or merges: "
            "`tcdatalogger catalog --paging time` lists them.",
        )


def _listings(
    application: Application, endpoint: EndpointSettings, task: Task
) -> Iterator[_Listing]:
    """Each list that the endpoint asks for."""
    source = application.source(endpoint, task, "low")
    worker = processor(task.endpoint.path, endpoint.processor)(task, source=source)
    ids = worker.ids or ("",)
    for value, (request, subject) in zip(ids, worker.requests(), strict=True):
        exclusive = replace(task, ids=(value,) if value else ())
        yield _Listing(time_ranges.place(request, subject), exclusive)


def _back(
    application: Application,
    endpoint: EndpointSettings,
    listing: _Listing,
    claim: Claim,
    since: int | None,
    until: float | None,
    sums: _Sums,
) -> Iterator[BackfillProgress]:
    """The stretches of one list, until all that is wanted was read."""
    place, task = listing.place, listing.task
    top: int | None = None
    before: TimeRange | None = None
    while True:
        with application.warehouse() as warehouse:
            cursor = Cursor.read(warehouse.cursor(task.name), task.asked).spans.get(place)
            read = Coverage.read(warehouse.stretches(task.name), task.asked, place)
        now = int(application.clock.now())
        if top is None:
            top = min(now, now if until is None else int(until))
            top = cursor[0] if cursor and until is None else top
        wanted = _next(place, read, top, since, newest=cursor is None and top == now)
        if wanted is None:
            return
        if wanted == before:
            raise DataRefused(
                f"The backfill of {task.name} does not get past second {wanted.high}.",
                remedy="This is a fault of ours: please report it with the run's id.",
            )
        before = wanted
        run_id = new_run_id(application.clock)
        one = replace(task, run_id=run_id, stretch=wanted)
        outcome = application.run_task(endpoint, one, claim=claim, priority="low")
        if outcome.error is not None:
            raise outcome.error
        reached = outcome.fetched.stretch if outcome.fetched else None
        if reached is not None and wanted.high == top:
            top = reached.high  # no later than the server's own time
        sums.calls += outcome.record.calls
        sums.rows += sum(outcome.record.rows.values())
        sums.left_out += outcome.receipt.left_out if outcome.receipt else 0
        yield BackfillProgress(
            place=place,
            high=top,
            back_to=reached.low if reached else wanted.high,
            until=since,
            calls=sums.calls,
            rows=sums.rows,
            left_out=sums.left_out,
            warnings=outcome.record.warnings,
            run_id=run_id,
        )


def _next(
    place: str, read: Coverage, top: int, since: int | None, *, newest: bool
) -> TimeRange | None:
    """The newest stretch that is wanted and not read yet; None where all of it is."""
    high = read.below(top)
    if high is None or high < (since or 0):
        return None
    other = read.next_read(high)
    bounds = [bound for bound in (since, other) if bound is not None]
    return TimeRange(place, high, max(bounds, default=None), newest=newest and high == top)
