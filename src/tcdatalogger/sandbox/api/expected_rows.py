"""All rows that the API would list, without pages and limits: tests compare tables with them."""

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

LISTS = {
    "attacks": "/faction/attacks",
    "attacksfull": "/faction/attacksfull",
    "user_attacks": "/user/attacks",
    "user_attacksfull": "/user/attacksfull",
    "chains": "/faction/chains",
    "crimes": "/faction/crimes",
    "events": "/user/events",
    "log": "/user/log",
    "news": "/faction/news",
    "revives": "/faction/revives",
}
"""The names of the lists, and the endpoint of each."""

Row = dict[str, Any]


def expected_rows(
    world: World,
    router: Router,
    what: str,
    key: SandboxKey,
    t: int,
    bounds: tuple[int | None, int | None] = (None, None),
    **params: str,
) -> list[Row]:
    """All rows as the API shows them at `t` to the owner of `key`, oldest first.

    Args:
        world: the world that is asked.
        router: finds the endpoint.
        what: one of `LISTS`, or a category of news as `news:main`; `news` is all categories.
        key: the key of the caller.
        t: the time of the world, whole seconds since 1970.
        bounds: the first and the last second, both included, None for no bound. Attacks are
            ordered by their end, chains by their start, crimes by their creation.
        params: more parameters of the endpoint, as striptags="true".

    Raises:
        ValueError: there is no such list.
    """
    name, _, category = what.partition(":")
    if name not in LISTS or (category and (name != "news" or category not in news.CATEGORIES)):
        known = [*LISTS, *(f"news:{category}" for category in news.CATEGORIES)]
        raise ValueError(f"there are lists of {', '.join(known)}")
    asked = {"sort": "ASC", **params}
    asked |= {
        side: str(at) for side, at in zip(("from", "to"), bounds, strict=True) if at is not None
    }
    if name != "news":
        return _listed(world, router, LISTS[name], key, t, asked)
    rows = [
        row
        for each in ([category] if category else news.CATEGORIES)
        for row in _listed(world, router, LISTS[name], key, t, {**asked, "cat": each})
    ]
    return rows if category else sorted(rows, key=lambda row: int(row["timestamp"]))


def _listed(
    world: World, router: Router, path: str, key: SandboxKey, t: int, params: Mapping[str, str]
) -> list[Row]:
    """The rows of one call without Torn's limits, made by the function that answers the API."""
    endpoint, values = router.find(path, params)[0]
    address = Address("", path, params)
    call = Call(world, router.catalog, endpoint, values, address, key, t, unlimited=True)
    make: Callable[[Call], bytes] = SIMULATED.get(path, generate)
    body: dict[str, list[Row]] = json.loads(make(call))
    return next(rows for name, rows in body.items() if name != "_metadata")
