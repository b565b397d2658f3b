"""Makes requests from the links of Torn's pages."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

from tcdatalogger.services.torncity.catalog.catalog import Endpoint
from tcdatalogger.services.torncity.client.envelope import Links
from tcdatalogger.services.torncity.client.messages import Request

_NEVER_FROM_LINKS = frozenset({"key", "comment", "timestamp"})


def first(endpoint: Endpoint, request: Request) -> Request:
    """The first request of a list, with parameters that must not be left to Torn's defaults.

    Without `limit` most lists end after 20 rows. Without `sort` in a list by time it is unknown
    which of the two links leads on. The request also gets the payload that its answer must have.
    """
    added = []
    if endpoint.limit is not None and request.param("limit") is None:
        added.append(("limit", str(endpoint.limit)))
    by_time = endpoint.paging == "time" and endpoint.parameter("sort") is not None
    if by_time and request.param("sort") is None:
        added.append(("sort", "DESC"))
    return replace(request, params=(*request.params, *added), payload=endpoint.payload)


def direction(request: Request, endpoint: Endpoint) -> str:
    """`ASC` or `DESC`: the order that is asked for, else the catalogue's default, else `DESC`."""
    asked = request.param("sort")
    if asked is None:
        parameter = endpoint.parameter("sort")
        asked = str(parameter.default) if parameter and parameter.default else "DESC"
    return "ASC" if asked.upper() == "ASC" else "DESC"


def choose(links: Links, order: str) -> str | None:
    """The link to the following page, None at the end.

    For links with an offset or a cursor this is `next` in every order. For links by time it depends
    on the order.
    """
    if links.next is not None and by_place(links.next):
        return links.next
    if order == "ASC":
        return links.next
    return None if links.prev is not None and by_place(links.prev) else links.prev


def by_place(link: str) -> bool:
    """Whether a link goes by an offset or a cursor and not by time."""
    names = {name.lower() for name, _ in parse_qsl(link.partition("?")[2], keep_blank_values=True)}
    return bool(names & {"offset", "cursor"})


def place(request: Request) -> tuple[tuple[str, str], ...]:
    """The identity of a page: its parameters in one order and spelling, without `timestamp`."""
    params = ((name.lower(), value) for name, value in request.params if name != "timestamp")
    return tuple(sorted((n, v.lower() if n == "sort" else v) for n, v in params))


def rebuild(link: str, start: Request, endpoint: Endpoint, hosts: Container[str]) -> Request | None:
    """A request from the parameters of a link; None where the link leads to another list or host.

    Args:
        link: the link as Torn sent it.
        start: the first request; parameters that the link does not have stay as they are there.
        endpoint: the endpoint; it has the right spelling of the parameters.
        hosts: the hosts that a link may name.
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
    """The request with changed parameters; a new parameter goes to the end."""
    return replace(request, params=tuple((dict(request.params) | params).items()))
