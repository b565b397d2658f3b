"""Paging: from one page's `_metadata.links` to the request for the next (api-notes 2.5).

A list by time in descending order goes on at `prev` (the older page), in ascending order at
`next`; a list by offset or cursor always goes on at `next`. Cursors of time are inclusive: the rows
at the boundary come twice and are told apart by their key later, not here.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, urlsplit

import msgspec

from tcdatalogger.clock import Clock
from tcdatalogger.services.torncity.catalog import Endpoint
from tcdatalogger.services.torncity.messages import Answer, Request

TORN_HOST = "api.torn.com"
MAX_PAGES = 10_000
STAMPS = 10_000_000
"""Seconds back from now in which a walk begins its times to pass the cache."""
POINT_IN_TIME = frozenset({"personalstats", "snapshot"})
"""Selections whose `timestamp` asks for the state at that time, and does not pass the cache."""
_NEVER_FROM_LINKS = frozenset({"key", "comment", "timestamp"})


@dataclass(frozen=True, slots=True)
class Links:
    """What a page says about its neighbours.

    Attributes:
        next, prev: addresses, None at an end.
        total: rows in the whole list, None where Torn does not say.
    """

    next: str | None = None
    prev: str | None = None
    total: int | None = None


class Walk(Iterator[Answer]):
    """The pages of one request, one call each, in Torn's order.

    Attributes:
        pages: how many pages have come.
        complete: whether the walk went to the list's own end. False while it goes on, and after it
            was stopped: then `warnings` says why, and no cursor may be moved past it.
        warnings: whole sentences for the run's record.
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
    ) -> None:
        self.pages = 0
        self.complete = False
        self.warnings: list[str] = []
        self._endpoint = endpoint
        self._get = get
        self._clock = clock
        self._hosts = {TORN_HOST, host.lower()}
        self._max_pages = max_pages
        self._first = first(endpoint, request)
        self._next: Request | None = self._first
        # Anything passes the cache, but two walks of one list must not pass it with the same.
        self._stamp = int(clock.now()) - random.randrange(STAMPS)  # noqa: S311 - no secret
        self._cached = not request.params
        self._asked: set[tuple[tuple[str, str], ...]] = {_cursor(self._first)}
        self._seen: set[bytes] = set()

    def __next__(self) -> Answer:
        if self._next is None:
            raise StopIteration
        request, self._next = self._next, None
        cached = self.pages == 0 and self._cached
        answer = self._get(request if cached else self._past_cache(request))
        digest = hashlib.blake2b(answer.body, digest_size=16).digest()
        if digest in self._seen:
            self._warn(f"Page {self.pages + 1} was an earlier page again")
            raise StopIteration
        self._seen.add(digest)
        self.pages += 1
        self._next = self._onward(request, answer)
        return answer

    def _onward(self, request: Request, answer: Answer) -> Request | None:
        """The request for the next page; None at the end, and where the walk has to stop."""
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
        link = choose(links, direction(self._first, self._endpoint))
        if link is None:
            self._end(request, answer, links)
            return None
        return self._follow(link)

    def _follow(self, link: str) -> Request | None:
        onward = self._rebuild(link)
        if onward is None:
            self._warn(f"The link after page {self.pages} leads elsewhere and was not followed")
        elif _cursor(onward) in self._asked:
            self._warn(f"The link after page {self.pages} leads back to a page that was read")
        elif self.pages >= self._max_pages:
            self._warn(f"The limit of {self._max_pages} pages is reached and there are more")
        else:
            self._asked.add(_cursor(onward))
            return onward
        return None

    def _end(self, request: Request, answer: Answer, links: Links) -> None:
        """The list's own end: worth a word if the last page is full, for Torn may have cut it."""
        self.complete = True
        limit = request.param("limit")
        if limit is None or not limit.isdecimal() or int(limit) == 0:
            return
        rows = count_rows(answer.body)
        offset = request.param("offset") or "0"
        before = int(offset) if offset.isdecimal() else 0
        known_end = links.total is not None and links.total <= before + rows
        if rows >= int(limit) and not known_end:
            self.warnings.append(
                f"Page {self.pages} of {request.path} is full ({rows} rows) and has no link "
                "onward: there may be more rows than Torn gives."
            )

    def _rebuild(self, link: str) -> Request | None:
        """A request of our own from the parameters of a link; None if it leads elsewhere.

        What the link does not repeat stays as it was asked for first.
        """
        try:
            parts = urlsplit(link)
        except ValueError:
            return None
        path = parts.path.rstrip("/").removeprefix("/v2")
        if parts.netloc and parts.netloc.lower() not in self._hosts:
            return None
        if path.casefold() != self._first.path.casefold():
            return None
        spelling = {p.name.lower(): p.name for p in self._endpoint.parameters}
        spelling.update({name.lower(): name for name, _ in self._first.params})
        params = dict(self._first.params)
        for name, value in parse_qsl(parts.query, keep_blank_values=True):
            if name.lower() not in _NEVER_FROM_LINKS:
                params[spelling.get(name.lower(), name)] = value
        return replace(self._first, params=tuple(params.items()))

    def _past_cache(self, request: Request) -> Request:
        """The request with a `timestamp` that no call had before.

        Torn's cache of 29 seconds knows section, selection and id, and no other parameter
        (api-notes 2.1): it would give the first page again, or that of another category. Only a
        first page without parameters of the user's own may come from it.
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
) -> Walk:
    """All pages from `request` on; what was odd about them is in the walk's `warnings`.

    Args:
        endpoint: what is asked, from the catalogue.
        request: the first page; `limit` and `sort` are added where the user left them open.
        get: one call, as `Client.get` with a key.
        clock: for the `timestamp` that passes Torn's cache.
        host: host and port of the API, as `Client.host`; links to it and to Torn's own are taken.
        max_pages: a stop for lists without end.
    """
    return Walk(endpoint, request, get, clock, host=host, max_pages=max_pages)


def first(endpoint: Endpoint, request: Request) -> Request:
    """The request with what must never be left to Torn's defaults.

    `limit`: without it most lists end after 20 rows. `sort`, for lists by time: without it nobody
    knows which of the two links leads on.
    """
    added = []
    if endpoint.limit is not None and request.param("limit") is None:
        added.append(("limit", str(endpoint.limit)))
    by_time = endpoint.paging == "time" and endpoint.parameter("sort") is not None
    if by_time and request.param("sort") is None:
        added.append(("sort", "DESC"))
    return replace(request, params=(*request.params, *added)) if added else request


def direction(request: Request, endpoint: Endpoint) -> str:
    """`ASC` or `DESC`: as asked for, else as the catalogue says, else from the newest back."""
    asked = request.param("sort")
    if asked is None:
        parameter = endpoint.parameter("sort")
        asked = str(parameter.default) if parameter and parameter.default else "DESC"
    return "ASC" if asked.upper() == "ASC" else "DESC"


def choose(links: Links, order: str) -> str | None:
    """The link that leads on, None at the end.

    A link with an offset or a cursor tells itself: `next` leads on and `prev` back, whatever the
    order. Only links by time depend on it.
    """
    if links.next is not None and _by_place(links.next):
        return links.next
    if order == "ASC":
        return links.next
    return None if links.prev is not None and _by_place(links.prev) else links.prev


def _by_place(link: str) -> bool:
    names = {name.lower() for name, _ in parse_qsl(link.partition("?")[2], keep_blank_values=True)}
    return bool(names & {"offset", "cursor"})


def _cursor(request: Request) -> tuple[tuple[str, str], ...]:
    """What makes a page: the parameters in one order and spelling."""
    params = ((name.lower(), value) for name, value in request.params if name != "timestamp")
    return tuple(sorted((n, v.lower() if n == "sort" else v) for n, v in params))


class _Envelope(msgspec.Struct):
    """Just `_metadata`: all other members are skipped without being read."""

    metadata: msgspec.Raw = msgspec.field(name="_metadata", default_factory=msgspec.Raw)


_ENVELOPE = msgspec.json.Decoder(_Envelope)
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ELEMENTS = msgspec.json.Decoder(list[msgspec.Raw])
_BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def read_links(body: bytes) -> Links | None:
    """The links of a page; empty where it has none, None where they cannot be read."""
    if body[:64].lstrip()[:1] == b"[":
        return Links()  # a bare list, as version 1 sends: it has no room for links
    try:
        raw = _ENVELOPE.decode(body).metadata
        metadata = msgspec.json.decode(raw) if memoryview(raw).nbytes else None
    except _BROKEN:
        return None
    if metadata in (None, [], {}):
        return Links()
    links = metadata.get("links") if isinstance(metadata, dict) else metadata
    if links in (None, []):
        links = {}
    if not isinstance(metadata, dict) or not isinstance(links, dict):
        return None
    onward, back = links.get("next") or None, links.get("prev") or None
    if not all(link is None or isinstance(link, str) for link in (onward, back)):
        return None
    total = metadata.get("total")
    return Links(onward, back, total if type(total) is int else None)


def count_rows(body: bytes) -> int:
    """How many rows a page has: the elements of its longest list, at most two levels deep."""
    try:
        members = _MEMBERS.decode(body)
        members.pop("_metadata", None)
        inner = [_MEMBERS.decode(raw) for raw in members.values() if _opens(raw) == b"{"]
        values = [*members.values(), *(raw for object_ in inner for raw in object_.values())]
        return max((len(_ELEMENTS.decode(raw)) for raw in values if _opens(raw) == b"["), default=0)
    except _BROKEN:
        return 0


def _opens(raw: msgspec.Raw) -> bytes:
    """The first byte of a value, which tells its kind."""
    return bytes(memoryview(raw)[:1])
