"""Reads a list back in time, one stretch after another, and moves the cursor of a run.

A stretch ends after a number of pages, or at the end of the list. A page without a link does not
prove the end: the list has ended only when a call for the time before its last row returns no row.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from tcdatalogger.errors import DataRefused, Stopped, TimedOut, TornUnavailable, UsageError
from tcdatalogger.services.torncity.catalog import time_fields
from tcdatalogger.services.torncity.client.envelope import count_rows
from tcdatalogger.services.torncity.client.messages import Answer, Request
from tcdatalogger.services.torncity.lists import paging
from tcdatalogger.services.torncity.lists.cursor import Cursor, TimeRange, WalkSummary
from tcdatalogger.services.torncity.lists.links import changed
from tcdatalogger.services.torncity.processing.task import Fetched, Page, Source, Task

KEEPS_PIECES = frozenset({"append", "merge"})
"""The storage modes that can store a part of a list; the other modes would delete the missing
records."""
QUIET_PAGES = 100
"""A stretch stops after this many pages in a row without a row: two rows of a history may be months
apart, but so many empty pages use all calls of a minute."""
_OWN = frozenset({"from", "to", "offset", "sort"})


def place(request: Request, subject: int | None) -> str:
    """The place of a list in cursors: the subject, or the path where there is no subject."""
    return request.path if subject is None else str(subject)


def cursor(
    task: Task, before: str | None, readings: Sequence[WalkSummary], stretch: TimeRange | None
) -> str | None:
    """The cursor after a run, for the ledger; None where the ledger keeps its cursor.

    Args:
        task: the task of the run.
        before: the cursor in the ledger, None for none.
        readings: how far the walks of the run went.
        stretch: the stretch that a backfill has read, None for a regular run.
    """
    if not task.incremental:
        return None
    known = Cursor.read(before, task.asked)
    if stretch is not None and (not readings or stretch.place in known.spans):
        return None  # a backfill does not change an existing cursor
    after = known.moved(readings)
    return after.text if after.spans else None


def fetch(task: Task, source: Source, request: Request, subject: int | None) -> Fetched:
    """Read a stretch of history, from its newest second back.

    Args:
        task: the task with the wanted stretch.
        source: the way to call Torn.
        request: the first request of the list.
        subject: the subject of the list, None for none.

    Raises:
        Failure: a call failed; TornUnavailable also where the walk cannot get past the first
            second.
        DataRefused: no answer has its data.
        UsageError: the list cannot be read by time.
    """
    stretch, get = task.stretch, source.get
    if stretch is None or get is None or not time_fields.field(task.endpoint.path):
        raise UsageError(f"{task.endpoint.path} is no list that can be read back in time.")
    asked = _asked(task, request, stretch)
    walk = paging.pages(
        task.endpoint, asked, get, source.clock, host=source.host, empty_pages=QUIET_PAGES
    )
    pages: list[Page] = []
    reached: int | None = None  # by the pages of this list: the walk may be one page ahead
    low: int | None
    whole, cut = False, None
    try:
        for answer in walk:
            pages.append(Page.of(answer, subject))
            reached = walk.reached
            left = reached is not None and reached < stretch.high
            if left and walk.pages >= task.stretch_pages:
                break
        else:
            whole = walk.complete
        low = _low(stretch, reached)
        if not pages and walk.lacks:
            raise without_data(request.path, walk.lacks)
        if whole:
            low, older = _end(task, source, asked, stretch, reached)
            pages += [Page.of(answer, subject) for answer in older]
    except (TimedOut, KeyboardInterrupt, Stopped) as end:
        cut, low = end, _low(stretch, reached)
        if low > stretch.high:
            raise
    if low is not None and low > stretch.high:
        raise TornUnavailable(
            f"The list {request.path} cannot be read past second {stretch.high}.",
            remedy="; ".join(walk.warnings) or "Run it again: it goes on where it was.",
        )
    begun = int(walk.began_at)
    reading = WalkSummary(stretch.place, min(stretch.high, begun), at=begun)
    return Fetched(
        tuple(pages),
        (*walk.warnings, *([cut_short(cut, len(pages))] if cut else [])),
        (reading,) if stretch.newest else (),
        TimeRange(stretch.place, min(stretch.high, begun), low),
        cut,
    )


def cut_short(end: BaseException, pages: int) -> str:
    """A sentence for the record of a run that ended too early and whose pages are stored."""
    why = "It was told to end"
    if isinstance(end, TimedOut):
        why = end.message.removesuffix(".")
        if end.reason is not None:
            why = f"{why} while it waited ({end.reason.message.removesuffix('.')})"
    return f"{why}: the {pages} pages that came are stored, the others are not read."


def _end(
    task: Task, source: Source, asked: Request, stretch: TimeRange, reached: int | None
) -> tuple[int | None, list[Answer]]:
    """Check the end of a list: the oldest second whose rows are all read, and the page before it.

    Where the page before has no data, the end of the list is unknown.
    """
    older = _before(task, source, asked, stretch.high if reached is None else reached)
    if older is not None and not any(count_rows(a.body, a.request.payload) for a in older):
        return stretch.low, older
    low = _low(stretch, reached)
    return (low if reached is None else min(low, stretch.high)), older or []


def _low(stretch: TimeRange, reached: int | None) -> int:
    """The oldest second whose rows are all read: the second of the last row may be incomplete."""
    return stretch.high + 1 if reached is None else min(reached, stretch.high) + 1


def _asked(task: Task, request: Request, stretch: TimeRange) -> Request:
    """The request for the newest page of a stretch, by the list's time field and newest first."""
    endpoint = task.endpoint
    kept = tuple(pair for pair in request.params if pair[0] not in _OWN)
    wanted = {"to": str(stretch.high)}
    if stretch.low is not None:
        wanted["from"] = str(stretch.low)
    if endpoint.parameter("sort") is not None:
        wanted["sort"] = "DESC"
    filters = endpoint.parameter("filters")
    clock = time_fields.field(endpoint.path)[0]
    if filters is not None and clock in filters.values:
        wanted["filters"] = clock
    return changed(Request(request.path, kept), **wanted)


def _before(task: Task, source: Source, asked: Request, second: int) -> list[Answer] | None:
    """The page before a second.

    Returns:
        The answer in a list; an empty list where that time is not wanted; None where no answer with
        data came.
    """
    since = asked.param("from")
    if second < 1 or (since is not None and second - 1 < int(since)) or source.get is None:
        return []
    older = changed(asked, to=str(second - 1))
    walk = paging.pages(task.endpoint, older, source.get, source.clock, host=source.host)
    found = list(islice(walk, 1))
    return None if walk.lacks else found


def without_data(path: str, lacks: str) -> DataRefused:
    """The error of a run without an answer with data, which is not the same as an empty list."""
    return DataRefused(
        f"Torn's answer to {path} has no data, which is not the same as an empty list: {lacks}.",
        remedy="Nothing was stored, and the next run asks again; the answers are in the archive.",
    )
