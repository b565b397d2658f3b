"""Pages of lists and the links between them, by Torn's rules.

The rules come from captured answers. In a newest-first list the following page is `prev`; its `to`
is the time of the last row, included, so this row comes again. In an oldest-first list the
following page is `next`, with `from`. Lists without times have `next` with `offset`. A link exists
where the page is full. Links have no key, no comment and no timestamp.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from tcdatalogger.sandbox.api.errors import Refusal
from tcdatalogger.services.torncity.catalog.catalog import Endpoint

_SILENT = frozenset({"key", "comment", "timestamp"})
_DEFAULT_LIMIT = 20


@dataclass(frozen=True, slots=True)
class Window:
    """The rows that a call asks for.

    Attributes:
        low, high: bounds in seconds since 1970, both included; None for no bound.
        limit: the most rows of a page.
        offset: how many rows are left out at the start.
        newest_first: whether the order is descending.
    """

    low: int | None
    high: int | None
    limit: int
    offset: int
    newest_first: bool


def window(endpoint: Endpoint, params: Mapping[str, str]) -> Window:
    """The page that `params` ask for; a limit over Torn's maximum is reduced to the maximum.

    Raises:
        Refusal: a number is no number (3).
    """
    limit = endpoint.parameter("limit")
    default = limit.default if limit and isinstance(limit.default, int) else _DEFAULT_LIMIT
    most = endpoint.limit or default
    asked = whole(params, "limit") if limit else None
    sort = endpoint.parameter("sort")
    order = params.get("sort") or (sort.default if sort else None) or "DESC"
    return Window(
        low=whole(params, "from"),
        high=whole(params, "to"),
        limit=min(max(asked or default, 1), most),
        offset=max(whole(params, "offset") or 0, 0),
        newest_first=str(order).upper() != "ASC",
    )


def whole(params: Mapping[str, str], name: str) -> int | None:
    """A parameter as a whole number, None where it is not given.

    Raises:
        Refusal: the text is no number (3).
    """
    text = params.get(name, "")
    if not text:
        return None
    if not text.lstrip("-").isdecimal():
        raise Refusal(3)
    return int(text)


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a call, from which links are made.

    Attributes:
        base: the address of this server with `/v2`.
        path: the path that was called.
        params: the parameters of the query.
    """

    base: str
    path: str
    params: Mapping[str, str]

    def link(self, start: str, **changes: int | str) -> str:
        """A link to the same list with other parameters, in alphabetical order."""
        params = {k: v for k, v in self.params.items() if k.lower() not in _SILENT}
        params |= {name.rstrip("_"): str(value) for name, value in changes.items()}
        if "striptags" in params:
            params["stripTags"] = params.pop("striptags")
        query = "&".join(f"{k}={quote(v, safe=',')}" for k, v in sorted(params.items()))
        return f"{self.base}{self.path}{start}{query}"


Links = dict[str, str | None]


def time_links(address: Address, page: Window, places: list[int]) -> Links:
    """The links of a list by time.

    Args:
        address: the address of the call.
        page: the rows that were asked for.
        places: the time (or the id) of each row of the page, in the order of the page.
    """
    sort = "desc" if page.newest_first else "asc"
    older: str | None = None
    newer: str | None = None
    first, last = (places[0], places[-1]) if places else (0, 0)
    full = len(places) >= page.limit
    bottom, top = (last, first) if page.newest_first else (first, last)
    if places and (full if page.newest_first else page.low is not None):
        older = address.link("?&", limit=page.limit, sort=sort, to=bottom)
    if places and (page.high is not None if page.newest_first else full):
        newer = address.link("?&", limit=page.limit, sort=sort, from_=top)
    return {"prev": older, "next": newer}


def offset_links(address: Address, page: Window, count: int, *, more: bool) -> Links:
    """The links of a list by offset.

    Args:
        address: the address of the call.
        page: the rows that were asked for.
        count: how many rows this page has.
        more: whether there are rows after this page.
    """
    changes: dict[str, int | str] = {"limit": page.limit}
    if "sort" in address.params:
        changes["sort"] = address.params["sort"].lower()
    onward = address.link("?", **changes, offset=page.offset + count) if more else None
    back = max(page.offset - page.limit, 0)
    return {
        "prev": address.link("?", **changes, offset=back) if page.offset else None,
        "next": onward,
    }
