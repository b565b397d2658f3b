"""From a link of Torn's to a request of our own."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

from tcdatalogger.services.torncity.catalog.catalog import Endpoint
from tcdatalogger.services.torncity.client.envelope import Links
from tcdatalogger.services.torncity.client.messages import Request

_NEVER_FROM_LINKS = frozenset({"key", "comment", "timestamp"})


def first(endpoint: Endpoint, request: Request) -> Request:
    """The request with what must never be left to Torn's defaults.

    `limit`: without it most lists end after 20 rows. `sort`, for lists by time: without it nobody
    knows which of the two links leads on. And what an answer must hold, for whoever receives it.
    """
    added = []
    if endpoint.limit is not None and request.param("limit") is None:
        added.append(("limit", str(endpoint.limit)))
    by_time = endpoint.paging == "time" and endpoint.parameter("sort") is not None
    if by_time and request.param("sort") is None:
        added.append(("sort", "DESC"))
    return replace(request, params=(*request.params, *added), payload=endpoint.payload)


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
    if links.next is not None and by_place(links.next):
        return links.next
    if order == "ASC":
        return links.next
    return None if links.prev is not None and by_place(links.prev) else links.prev


def by_place(link: str) -> bool:
    names = {name.lower() for name, _ in parse_qsl(link.partition("?")[2], keep_blank_values=True)}
    return bool(names & {"offset", "cursor"})


def place(request: Request) -> tuple[tuple[str, str], ...]:
    """What makes a page: the parameters in one order and spelling."""
    params = ((name.lower(), value) for name, value in request.params if name != "timestamp")
    return tuple(sorted((n, v.lower() if n == "sort" else v) for n, v in params))


def rebuild(link: str, start: Request, endpoint: Endpoint, hosts: Container[str]) -> Request | None:
    """A request of our own from the parameters of a link; None if it leads elsewhere.

    Args:
        link: as Torn wrote it.
        start: the first request; what the link does not repeat stays as it was asked for there.
        endpoint: knows how parameters are spelt.
        hosts: which may be named; others are never called.
    """
    try:
        parts = urlsplit(link)
    except ValueError:
        return None
    path = parts.path.rstrip("/").removeprefix("/v2")
    if parts.netloc and parts.netloc.lower() not in hosts:
        return None
    if path.casefold() != start.path.casefold():
        return None
    spelling = {p.name.lower(): p.name for p in endpoint.parameters}
    spelling.update({name.lower(): name for name, _ in start.params})
    params = dict(start.params)
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name.lower() not in _NEVER_FROM_LINKS:
            params[spelling.get(name.lower(), name)] = value
    return replace(start, params=tuple(params.items()))


def changed(request: Request, **params: str) -> Request:
    """The request with some parameters changed, each in its place or at the end."""
    return replace(request, params=tuple((dict(request.params) | params).items()))
