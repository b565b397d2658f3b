"""Reading a list back in time, a stretch at a time, and where a run leaves the cursor.

A stretch ends after so many pages, or where the list ends. Torn's word for the end is not taken
alone: only when nothing comes from before the last row either, there is nothing more.
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
"""The storage modes that can take a part of a list: from the others what it lacks would vanish."""
QUIET_PAGES = 100
"""So many pages in a row without a row and a stretch is given up: months may lie between two rows
of a history, but not a whole minute's calls."""
_OWN = frozenset({"from", "to", "offset", "sort"})


def place(request: Request, subject: int | None) -> str:
    """Whose list a request is about, as a cursor calls it."""
    return request.path if subject is None else str(subject)


def cursor(
    task: Task, before: str | None, readings: Sequence[WalkSummary], stretch: TimeRange | None
) -> str | None:
    """The cursor after a run, for the ledger; None where the endpoint has none.

    Args:
        task: of the run.
        before: the cursor that the ledger has.
        readings: how far the walks of the run went.
        stretch: what a backfill has read, None for a regular run.
    """
    if not task.incremental:
        return None
    known = Cursor.read(before, task.asked)
    if stretch is not None and (not readings or stretch.place in known.spans):
        return None  # a backfill leaves a cursor alone that is there
    after = known.moved(readings)
    return after.text if after.spans else None


def fetch(task: Task, source: Source, request: Request, subject: int | None) -> Fetched:
    """A stretch of history, from its newest second back.

    Args:
        task: with the stretch that is wanted.
        source: with the way to call Torn.
        request: for the list.
        subject: whom it is about.

    Raises:
        Failure: as a call; TornUnavailable too where nothing gets past the first second.
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
    reached: int | None = None  # by the pages that are here: the walk may be one ahead
    low: int | None
    whole, cut = False, None
    try:
        for answer in walk:
            pages.append(Page(answer.body, subject, answer.server_time, answer))
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
            pages += [Page(answer.body, subject, answer.server_time, answer) for answer in older]
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
    """What the record says of a fetch that ended before its time and whose pages are stored."""
    why = "It was told to end"
    if isinstance(end, TimedOut):
        why = end.message.removesuffix(".")
        if end.reason is not None:
            why = f"{why} while it waited ({end.reason.message.removesuffix('.')})"
    return f"{why}: the {pages} pages that had come are stored, the rest is not read."


def _end(
    task: Task, source: Source, asked: Request, stretch: TimeRange, reached: int | None
) -> tuple[int | None, list[Answer]]:
    """The first second of which all rows are there where a list seems to end, and what is before.

    Where the page before has no data, nobody knows whether the list ends here.
    """
    older = _before(task, source, asked, stretch.high if reached is None else reached)
    if older is not None and not any(count_rows(a.body, a.request.payload) for a in older):
        return stretch.low, older
    low = _low(stretch, reached)
    return (low if reached is None else min(low, stretch.high)), older or []


def _low(stretch: TimeRange, reached: int | None) -> int:
    """The first second of which all rows are there: the last one may have been cut."""
    return stretch.high + 1 if reached is None else min(reached, stretch.high) + 1


def _asked(task: Task, request: Request, stretch: TimeRange) -> Request:
    """The newest page of a stretch: by the list's own clock, whatever the user sorts by."""
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
    """The page before a second, if anything was asked for there: empty where a list ends.

    An empty answer is not believed alone: a list that had an empty moment would end for good. None
    where no answer came that has its data.
    """
    since = asked.param("from")
    if second < 1 or (since is not None and second - 1 < int(since)) or source.get is None:
        return []
    older = changed(asked, to=str(second - 1))
    walk = paging.pages(task.endpoint, older, source.get, source.clock, host=source.host)
    found = list(islice(walk, 1))
    return None if walk.lacks else found


def without_data(path: str, lacks: str) -> DataRefused:
    """The error of a run that got no answer with data, which is not an empty list."""
    return DataRefused(
        f"Torn's answer to {path} is none, for {lacks}: which is not the same as an empty list.",
        remedy="Nothing was stored, and the next run asks again; the answers are in the archive.",
    )
