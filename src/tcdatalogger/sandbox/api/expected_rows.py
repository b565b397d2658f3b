"""The world's own books: what the API would list, whole, for tests to compare with."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from tcdatalogger.sandbox.api.answers import SIMULATED, Call
from tcdatalogger.sandbox.api.generate import generate
from tcdatalogger.sandbox.api.keyring import SandboxKey
from tcdatalogger.sandbox.api.paging import Address
from tcdatalogger.sandbox.api.router import Router
from tcdatalogger.sandbox.world import news
from tcdatalogger.sandbox.world.world import World

BOOKS = {
    "attacks": "/faction/attacks",
    "attacksfull": "/faction/attacksfull",
    "user_attacks": "/user/attacks",
    "user_attacksfull": "/user/attacksfull",
    "chains": "/faction/chains",
    "crimes": "/faction/crimes",
    "events": "/user/events",
    "log": "/user/log",
    "news": "/faction/news",
}
"""What there are books of, and the endpoint that lists it."""

Row = dict[str, Any]


def book(
    world: World,
    router: Router,
    what: str,
    key: SandboxKey,
    t: int,
    bounds: tuple[int | None, int | None] = (None, None),
    **params: str,
) -> list[Row]:
    """All rows as the API shows them at `t` to the owner of `key`, oldest first.

    `what` is one of `BOOKS`, or a category of news, as `news:main`; `news` alone is all of them.
    `bounds` are the first and the last second, both included, None for no bound, of what orders the
    rows: attacks by their end, chains by their start, crimes by when they were created. `params`
    are more parameters of the endpoint, as striptags="true".

    Raises:
        ValueError: there is no such book.
    """
    name, _, category = what.partition(":")
    if name not in BOOKS or (category and (name != "news" or category not in news.CATEGORIES)):
        known = [*BOOKS, *(f"news:{category}" for category in news.CATEGORIES)]
        raise ValueError(f"there are books of {', '.join(known)}")
    asked = {"sort": "ASC", **params}
    asked |= {
        side: str(at) for side, at in zip(("from", "to"), bounds, strict=True) if at is not None
    }
    if name != "news":
        return _listed(world, router, BOOKS[name], key, t, asked)
    rows = [
        row
        for one in ([category] if category else news.CATEGORIES)
        for row in _listed(world, router, BOOKS[name], key, t, {**asked, "cat": one})
    ]
    return rows if category else sorted(rows, key=lambda row: int(row["timestamp"]))


def _listed(
    world: World, router: Router, path: str, key: SandboxKey, t: int, params: Mapping[str, str]
) -> list[Row]:
    """The rows of one call without Torn's limits; made by what answers the API, to be the same."""
    endpoint, values = router.find(path, params)[0]
    address = Address("", path, params)
    call = Call(world, router.catalog, endpoint, values, address, key, t, unlimited=True)
    make: Callable[[Call], bytes] = SIMULATED.get(path, generate)
    body: dict[str, list[Row]] = json.loads(make(call))
    return next(rows for name, rows in body.items() if name != "_metadata")
