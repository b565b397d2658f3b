"""Reads the history of an endpoint back in time, one stretch after another.

Each stretch is a run with one load, and the ledger has the stretch with its rows. So a backfill can
be stopped or killed at any time and goes on where it was.
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
"""The pages of one stretch: some thousand rows in memory, and little work is lost by a kill."""


@dataclass(frozen=True, slots=True)
class BackfillProgress:
    """The progress of a backfill after a stretch. Times are seconds since 1970.

    Attributes:
        place: the place of the list: the id of a subject, or a path.
        high: where the backfill began.
        back_to: how far back it has read; None for the beginning of all history.
        until: how far back it has to read, None for the beginning of all history.
        calls, rows, left_out: sums over all stretches of this process, rows over all tables.
        warnings: the warnings of this stretch.
        run_id: the run of this stretch.
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
        """The share that is done, from 0 to 1; None where the length of the history is unknown."""
        if self.until is None or self.back_to is None:
            return None
        whole = self.high - self.until
        return 1.0 if whole <= 0 else min(1.0, (self.high - self.back_to) / whole)


@dataclass(frozen=True, slots=True)
class _Listing:
    """One list of an endpoint.

    Attributes:
        place: the place of the list, as in the ledger.
        task: a task for this list only.
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
    """Read the history of an endpoint back in time; yields the progress after each stored stretch.

    Args:
        application: the application.
        name: the name of the endpoint.
        since: how far back to read, seconds since 1970; None for the beginning of all history.
        until: where to begin; None for the start of the regular runs, or now.
        pages: the pages of one stretch.

    Raises:
        UsageError: there is no such endpoint, or its list cannot be read back in time.
        Busy: another backfill of the endpoint runs.
        Failure: a run failed; earlier stretches stay stored.
    """
    [endpoint] = application.chosen([name])
    task = application.task(endpoint)
    _refuse(endpoint, task)
    low = None if since is None else int(since)
    sums = _Sums()
    # The claim has its own name: regular runs may run at the same time, another backfill may not.
    with application.claimed(endpoint.name + BACKFILL, task.run_id) as claim:
        for each in _listings(application, endpoint, replace(task, stretch_pages=pages)):
            yield from _back(application, endpoint, each, claim, low, until, sums)


def _refuse(endpoint: EndpointSettings, task: Task) -> None:
    """Refuse an endpoint without a history that can be added to its tables.

    Raises:
        UsageError: the endpoint is no list by time, or its mode is neither append nor merge.
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
    """The lists of the endpoint, one for each subject."""
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
    """Read one list, stretch after stretch, until everything that is wanted is read."""
    place, task = listing.place, listing.task
    top: int | None = None
    before: TimeRange | None = None
    while True:
        with application.warehouse() as warehouse:
            cursor = Cursor.read(warehouse.cursor(task.name), task.asked).spans.get(place)
            read = Coverage.read(warehouse.stretches(task.name), task.asked, place)
        now = int(application.torn_clock.now())  # it was asked about its keys
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
            top = reached.high  # not later than the time of the server
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
    """The newest stretch that is wanted and not read yet; None where all are read."""
    high = read.below(top)
    if high is None or high < (since or 0):
        return None
    other = read.next_read(high)
    bounds = [bound for bound in (since, other) if bound is not None]
    return TimeRange(place, high, max(bounds, default=None), newest=newest and high == top)
