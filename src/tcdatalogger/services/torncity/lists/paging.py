"""Paging: reads a list page by page, by the links in `_metadata` of each page.

A list by time goes on at `prev` (the older page) in descending order and at `next` in ascending
order; a list by offset or cursor always goes on at `next`. Bounds of time are inclusive, so rows at
the boundary come twice; `models/rows/dedupe.py` removes them later.

A second with more rows than a page holds cannot be paged by time. The log has `nanostamp` for this,
and attacks and revives can be asked by id. For all other lists the walk leaves the rest of such a
second out and adds a warning.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from tcdatalogger.clock import Clock
from tcdatalogger.models.reading.members import Raw
from tcdatalogger.services.torncity.catalog import time_fields
from tcdatalogger.services.torncity.catalog.catalog import Endpoint
from tcdatalogger.services.torncity.client.envelope import (
    Links,
    RowMark,
    count_rows,
    ends,
    mark,
    read_links,
    rows,
)
from tcdatalogger.services.torncity.client.error_codes import NoPayload
from tcdatalogger.services.torncity.client.messages import Answer, Request
from tcdatalogger.services.torncity.lists.links import (
    by_place,
    changed,
    choose,
    direction,
    first,
    place,
    rebuild,
)

__all__ = [
    "Links",
    "PageIterator",
    "choose",
    "count_rows",
    "direction",
    "first",
    "pages",
    "read_links",
]

TORN_HOST = "api.torn.com"
MAX_PAGES = 10_000
EMPTY_PAGES: Final = 3
"""The walk stops after this many pages in a row without a row: some lists always offer a further
page, and each page is a call."""
STAMPS = 10_000_000
"""A walk takes its first `timestamp` from this many seconds before now, at random."""
POINT_IN_TIME = frozenset({"personalstats", "snapshot"})
"""Selections whose `timestamp` means a time in history; it does not bypass the cache."""
LONGEST_FIGHT: Final = 900
"""The most seconds between the ends of two attacks with neighbouring ids: an id is given when a
fight begins, and a fight ends within five minutes."""
_BY_ID = "idFilter"


@dataclass(frozen=True, slots=True)
class _Crowd:
    """A second with more rows than the page that was asked for.

    Attributes:
        second: the second, since 1970.
        request, answer: a page with rows of this second only.
        full: whether the page has as many rows as its limit.
    """

    second: int
    request: Request
    answer: Answer
    full: bool


_Onward = Request | _Crowd | None
"""What follows a page: a request, a crowded second, or None at the end."""

_Found = TypeVar("_Found")
_Pages = Generator[Answer, None, _Found]


class PageIterator(Iterator[Answer]):
    """A walk: the pages of one list, one call each, in Torn's order.

    Attributes:
        pages: how many pages have come.
        complete: whether the walk reached the end of the list. False during the walk and after a
            stop; then `warnings` has the reason, and no cursor may move past the stop.
        reached: the time of the last row of the last page; all rows before it in the order of the
            walk have come. None before the first row, and for lists without a time field.
        newest: the highest time of a first or last row of a page, None for none.
        began_at: the time of the server at the first answer, seconds since 1970.
        lacks: what an answer without its data lacked, "" for none; such an answer ends the walk.
        warnings: whole sentences for the record of the run.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        request: Request,
        get: Callable[[Request], Answer],
        clock: Clock,
        *,
        host: str = TORN_HOST,
        max_pages: int = MAX_PAGES,
        empty_pages: int = EMPTY_PAGES,
    ) -> None:
        self.pages = 0
        self.complete = False
        self.reached: int | None = None
        self.newest: int | None = None
        self.began_at = 0.0
        self.lacks = ""
        self.warnings: list[str] = []
        self._endpoint = endpoint
        self._get = get
        self._hosts = {TORN_HOST, host.lower()}
        self._max_pages = max_pages
        self._empty_pages = empty_pages
        self._first = first(endpoint, request)
        self._way = time_fields.field(endpoint.path)
        self._falls = direction(self._first, endpoint) == "DESC"
        # Any `timestamp` bypasses the cache, but two walks of a list must not use the same one.
        self._stamp = int(clock.now()) - random.randrange(STAMPS)  # noqa: S311 - no secret
        self._cached = not request.params
        self._empty = 0
        self._asked: set[tuple[tuple[str, str], ...]] = set()
        self._seen: set[bytes] = set()
        self._going = self._walk()

    def __next__(self) -> Answer:
        return next(self._going)

    def _walk(self) -> Iterator[Answer]:
        onward: Request | None = self._first
        while onward is not None:
            self._asked.add(place(onward))
            answer = self._ask(onward)
            if answer is None:
                return
            found = self._onward(onward, answer)
            yield answer
            while isinstance(found, _Crowd):
                found = yield from self._through(found)
            onward = found

    def _ask(self, request: Request, *, way: str = "") -> Answer | None:
        """The answer to a request.

        None, and a warning, where the answer has no data, is a page that came before, is over the
        limit of pages, or follows too many pages without a row.
        """
        if self.pages >= self._max_pages:
            self._warn(f"The limit of {self._max_pages} pages is reached and there are more")
            return None
        if self._empty == self._empty_pages:
            self._warn(f"{self._empty} pages in a row had no row, and there is one more")
            return None
        try:
            answer = self._get(
                request if self.pages == 0 and self._cached else self._past_cache(request)
            )
        except NoPayload as fault:
            self.lacks = fault.said
            self._warn(f"Page {self.pages + 1} has no data: {fault.said}")
            return None
        digest = hashlib.blake2b(answer.body, digest_size=16, salt=way.encode()).digest()
        if digest in self._seen:
            self._warn(f"Page {self.pages + 1} is an earlier page again")
            return None
        self._seen.add(digest)
        self._empty = 0 if self._count(answer) else self._empty + 1
        self.began_at = self.began_at or answer.server_time
        self.pages += 1
        return answer

    # --- which page is next ----------------------------------------------------------------

    def _onward(self, request: Request, answer: Answer) -> _Onward:
        """What follows a page."""
        if self._endpoint.content != "json":
            self.complete = True
            return None
        links = read_links(answer.body)
        if links is None:
            self._warn(f"The links of page {self.pages} cannot be read")
            return None
        if self._endpoint.paging == "none":
            if links.next is not None:
                self._warn("Torn offers a further page where the catalogue knows of none")
            self.complete = links.next is None
            return None
        here = self.reached is not None and self._bound(request) == self.reached
        if here and not self._count(answer):
            # Bounds are inclusive: the last row of the page before has to come again.
            self._warn(f"Page {self.pages} is empty, although the page before it ended there")
            return None
        top, bottom = ends(self._rows(answer), self._way)
        self.reached = self.reached if bottom is None else bottom
        self.newest = max((at for at in (self.newest, top, bottom) if at is not None), default=None)
        link = choose(links, "DESC" if self._falls else "ASC")
        if link is None:
            self._end(request, answer, links)
            return None
        onward = rebuild(link, self._first, self._endpoint, self._hosts)
        if onward is None:
            self._warn(
                f"The link after page {self.pages} leads to another list and was not followed"
            )
            return None
        second = None if by_place(link) else self._bound(onward)
        if second is not None and (
            place(onward) == place(request)
            or (top == bottom == second and self._full(onward, answer))
        ):
            return _Crowd(second, request, answer, self._full(request, answer))
        if place(onward) in self._asked or self._turns(request, second):
            self._warn(f"The link after page {self.pages} leads back to an earlier page")
            return None
        return onward

    def _bound(self, request: Request) -> int | None:
        """The second at which a page by time begins, None for other pages."""
        text = request.param("to" if self._falls else "from") or ""
        return int(text) if text.isdecimal() else None

    def _turns(self, request: Request, second: int | None) -> bool:
        """Whether a page that begins at `second` lies before the page of `request`."""
        now = self._bound(request)
        if now is None or second is None:
            return False
        return second > now if self._falls else second < now

    def _rows(self, answer: Answer) -> Sequence[Raw]:
        return rows(answer.body, self._first.payload)

    def _count(self, answer: Answer) -> int:
        return len(self._rows(answer))

    def _full(self, request: Request, answer: Answer) -> bool:
        limit = request.param("limit") or ""
        return limit.isdecimal() and 0 < int(limit) <= self._count(answer)

    def _end(self, request: Request, answer: Answer, links: Links) -> None:
        """End the walk; add a warning where the last page is full: Torn may have cut the list."""
        self.complete = True
        if not self._full(request, answer):
            return
        found = self._count(answer)
        offset = request.param("offset") or "0"
        before = int(offset) if offset.isdecimal() else 0
        if links.total is None or links.total > before + found:
            self.warnings.append(
                f"Page {self.pages} of {request.path} is full ({found} rows) and has no link "
                "onward: there may be more rows than Torn gives."
            )

    # --- a second that no page holds -------------------------------------------------------

    def _through(self, crowd: _Crowd) -> _Pages[_Onward]:
        """Read the rest of a crowded second; returns what follows it."""
        most = self._endpoint.limit
        limit = crowd.request.param("limit") or ""
        if crowd.full and most is not None and limit.isdecimal() and int(limit) < most:
            # The user wants smaller pages; this second needs the largest ones.
            larger = changed(crowd.request, limit=str(most))
            bound = "to" if self._falls else "from"
            return changed(larger, **{bound: str(crowd.second)})
        links = read_links(crowd.answer.body)
        stamp = links.nanostamp if links else None
        if self._endpoint.parameter("nanostamp") is not None and stamp is not None and crowd.full:
            onward = self._at(crowd.second, crowd.request, nanostamp=stamp)
            if place(onward) not in self._asked:
                return onward
        filters = self._endpoint.parameter("filters")
        if crowd.full and filters is not None and _BY_ID in filters.values and self._way:
            known = yield from self._by_id(crowd)
            if known:
                return self._after(crowd)
        return (yield from self._over(crowd))

    def _over(self, crowd: _Crowd) -> _Pages[_Onward]:
        """Go on at the next second; add a warning unless the list ended with this second."""
        onward = self._after(crowd)
        if crowd.full or onward is None:
            if crowd.full:
                self._may_lack(crowd.second)
            return onward
        # The page is not full, but its link leads to the same page: some lists never end.
        self._asked.add(place(onward))
        answer = self._ask(onward)
        if answer is None:
            return None
        found = self._onward(onward, answer)
        yield answer
        if self._count(answer):
            self._may_lack(crowd.second)
        elif not isinstance(found, Request):
            self.complete = True
            return None
        return found

    def _may_lack(self, second: int) -> None:
        self.warnings.append(
            f"Second {second} of {self._first.path} has more rows than a page holds, and Torn has "
            "no way to ask for the rest: rows of that second may be missing."
        )

    def _after(self, crowd: _Crowd) -> Request | None:
        """The request for the page after a second.

        None, and the walk is complete, where that time was not asked for.
        """
        second = crowd.second + (-1 if self._falls else 1)
        other = self._first.param("from" if self._falls else "to") or ""
        if other.isdecimal() and (second < int(other) if self._falls else second > int(other)):
            self.complete = True
            return None
        limit = self._first.param("limit")
        return self._at(second, self._first, **({"limit": limit} if limit else {}))

    def _at(self, second: int, request: Request, **params: str) -> Request:
        return changed(request, **{"to" if self._falls else "from": str(second)}, **params)

    def _by_id(self, crowd: _Crowd) -> _Pages[bool]:
        """Read all rows of a second by their ids, in both directions; returns whether it worked.

        The id is given at the start of a fight and the time at its end, so both orders differ a
        little. So each direction goes on until all rows of a page are far from the second.
        """
        marks = [mark(row, self._way) for row in self._rows(crowd.answer)]
        known = [row.id for row in marks if row.id is not None]
        if not known:
            return False
        start = max(known)
        for sort, bound in (("DESC", "to"), ("ASC", "from")):
            pivot = start
            while True:
                request = self._ids(sort, bound, pivot)
                # Two crowded seconds that are close together need the same pages.
                answer = self._ask(request, way=f"{sort} {crowd.second}")
                if answer is None:
                    return False
                yield answer
                marks = [mark(row, self._way) for row in self._rows(answer)]
                ids = [row.id for row in marks if row.id is not None]
                if pivot not in ids:
                    return False  # bounds of ids are inclusive, too
                if not self._full(request, answer) or _outside(marks, crowd.second):
                    break
                before, pivot = pivot, min(ids) if sort == "DESC" else max(ids)
                if pivot == before:
                    return False
        return True

    def _ids(self, sort: str, bound: str, pivot: int) -> Request:
        others = [
            (name, value)
            for name, value in self._first.params
            if name not in {"from", "to", "sort", "filters", "limit"}
        ]
        filters = (self._first.param("filters") or "").split(",")
        wanted = ",".join(dict.fromkeys([*filter(None, filters), _BY_ID]))
        limit = str(self._endpoint.limit or self._first.param("limit") or 100)
        added = (("filters", wanted), ("limit", limit), ("sort", sort), (bound, str(pivot)))
        return replace(self._first, params=(*others, *added))

    # --- requests --------------------------------------------------------------------------

    def _past_cache(self, request: Request) -> Request:
        """The request with a `timestamp` that no call had before, to bypass Torn's cache.

        Torn caches answers for 29 seconds by section, selection and id and ignores all other
        parameters: the cache would return the first page again, or a page of another category. Only
        a first page without parameters may come from the cache.
        """
        endpoint = self._endpoint
        if endpoint.parameter("timestamp") is None or endpoint.selection in POINT_IN_TIME:
            return request
        if self.pages == 0 and request.param("timestamp") is not None:
            return request
        self._stamp += 1
        others = tuple(item for item in request.params if item[0] != "timestamp")
        return replace(request, params=(*others, ("timestamp", str(self._stamp))))

    def _warn(self, what: str) -> None:
        self.complete = False
        self.warnings.append(
            f"{what} ({self._first.path}); the walk stopped after {self.pages} pages."
        )


def pages(
    endpoint: Endpoint,
    request: Request,
    get: Callable[[Request], Answer],
    clock: Clock,
    *,
    host: str = TORN_HOST,
    max_pages: int = MAX_PAGES,
    empty_pages: int = EMPTY_PAGES,
) -> PageIterator:
    """A walk over all pages from `request` on.

    Args:
        endpoint: the endpoint of the catalogue.
        request: the first page; `limit` and `sort` are added where they are missing.
        get: makes one call, as `Client.get` with a key.
        clock: the clock for the `timestamp` that bypasses Torn's cache.
        host: host and port of the API, as `Client.host`; links to it and to Torn are followed.
        max_pages: the most pages.
        empty_pages: the walk stops after this many pages in a row without a row.
    """
    return PageIterator(
        endpoint, request, get, clock, host=host, max_pages=max_pages, empty_pages=empty_pages
    )


def _outside(marks: list[RowMark], second: int) -> bool:
    """Whether all rows of a page are so far from a second that no neighbour can be in it."""
    times = [row.at for row in marks if row.at is not None]
    return bool(times) and min(abs(at - second) for at in times) > LONGEST_FIGHT
