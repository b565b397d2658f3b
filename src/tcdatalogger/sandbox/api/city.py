"""Torn's rules around the world: one HTTP request becomes one answer, without a network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import cached_property
from gzip import compress
from threading import Lock
from time import monotonic
from typing import Any

from tcdatalogger.models.shape import Shape
from tcdatalogger.sandbox.api.answers import SIMULATED, Call
from tcdatalogger.sandbox.api.errors import Refusal
from tcdatalogger.sandbox.api.expected_rows import expected_rows
from tcdatalogger.sandbox.api.faults import Fault, Faults, http_page, spoil
from tcdatalogger.sandbox.api.generate import generate, shaped
from tcdatalogger.sandbox.api.keyring import LEVELS, Keyring, SandboxKey, demo_keys
from tcdatalogger.sandbox.api.limits import CLOUD, PER_ADDRESS, PER_USER, ROWS, WINDOW, Limits
from tcdatalogger.sandbox.api.outages import Outage, outage_at
from tcdatalogger.sandbox.api.paging import Address
from tcdatalogger.sandbox.api.router import Router
from tcdatalogger.sandbox.api.snapshots import snapshot
from tcdatalogger.sandbox.world.bursts import Bursts, Corrections
from tcdatalogger.sandbox.world.cache import BoundedCache
from tcdatalogger.sandbox.world.clock import WorldClock
from tcdatalogger.sandbox.world.php_json import encode
from tcdatalogger.sandbox.world.world import World
from tcdatalogger.services.torncity.catalog import catalog
from tcdatalogger.services.torncity.catalog.catalog import Endpoint

CACHE_SECONDS = 29
_WORTH_GZIP = 500


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings of a city.

    Attributes:
        history: seconds of history before the start.
        budget: whether the rolling minute is counted in `real` or in `world` seconds.
        cache: world seconds in which Torn repeats a cached answer; 0 for no cache.
        per_user, per_address: the calls that are allowed in a rolling window.
        window: the length of the window in seconds.
        cloud_rows: the rows of one category that one user may read in a rolling day of the world.
        bursts: seconds with more rows than a page holds; none by default.
        corrections: the rows that are edited after they were shown; none by default.
        outages: times of the world in which the API does not answer.
    """

    history: int = 180 * 86_400
    budget: str = "real"
    cache: int = CACHE_SECONDS
    per_user: int = PER_USER
    per_address: int = PER_ADDRESS
    window: float = WINDOW
    cloud_rows: int = ROWS
    bursts: Bursts = field(default_factory=Bursts)
    corrections: Corrections = field(default_factory=Corrections)
    outages: tuple[Outage, ...] = ()


@dataclass(frozen=True, slots=True)
class CityRequest:
    """One HTTP GET.

    Attributes:
        path: the path without `/v2`.
        params: the parameters of the query.
        authorization: the header of that name, "" for none.
        address: the address of the client.
        gzip: whether the client accepts gzip.
        base: the address of this server with `/v2`.
    """

    path: str
    params: Mapping[str, str]
    authorization: str = ""
    address: str = "127.0.0.1"
    gzip: bool = False
    base: str = "http://127.0.0.1/v2"

    @property
    def key(self) -> str:
        """The text of the key, from the header or from the query; "" for none."""
        scheme, _, text = self.authorization.partition(" ")
        return text.strip() if scheme.lower() == "apikey" else self.params.get("key", "")


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP answer, and how its sending goes wrong.

    Attributes:
        delay: real seconds to wait before sending.
        broken: "" to send it well, `cut` or `reset` to break the connection.
    """

    body: bytes
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    delay: float = 0.0
    broken: str = ""


@dataclass
class City:
    """The world, its rules and what it counted. Calls may come from several threads.

    Attributes:
        seed: chooses the world.
        clock: the time of the world.
        rules: Torn's limits and what goes wrong.
        shapes: paths of JSON whose answers have these shapes, whatever the catalogue says; none at
            the start.
    """

    seed: int
    clock: WorldClock
    rules: Rules = field(default_factory=Rules)
    shapes: dict[str, Shape] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rules, since = self.rules, int(self.clock.now()) - self.rules.history
        self.world = World(self.seed, since, rules.bursts, rules.corrections)
        self.keyring = Keyring(demo_keys())
        self.faults = Faults(self.seed)
        self.outages = list(rules.outages)
        self.limits = Limits(rules.per_user, rules.per_address, rules.window, rules.cloud_rows)
        self.lock = Lock()
        self._cache: BoundedCache[tuple[str, int, int, bool], tuple[float, bytes]] = BoundedCache(
            2_000
        )

    @cached_property
    def router(self) -> Router:
        """The paths of the shipped catalogue."""
        return Router(catalog.load())

    def answer(self, request: CityRequest) -> Reply:
        """Torn's answer to one call; never raises."""
        with self.lock:
            now = self.clock.now()
            try:
                out = outage_at(self.outages, now)
                if out:
                    return _finish(self._out(out, request), request, now)
                key = self._admit(request, now)
                fault = self.faults.strike(request.path, key.name)
                reply = self._answer(request, key, now, fault)
            except Refusal as refusal:
                self.limits.error(refusal.code)
                reply = Reply(encode(refusal.body()))
        return _finish(reply, request, now)

    def seconds(self) -> float:
        """The time by which limits are counted: the world's, or the machine's monotonic clock."""
        return self.clock.now() if self.rules.budget == "world" else monotonic()

    def expected(
        self,
        what: str,
        since: int | None = None,
        until: int | None = None,
        *,
        key: str = "full",
        **params: str,
    ) -> list[dict[str, Any]]:
        """The rows that a logger has to find now, as `expected_rows` gives them.

        Raises:
            KeyError: there is no key of this name.
            ValueError: there is no such list.
        """
        known = self.keyring.named(key)
        if known is None:
            raise KeyError(key)
        now = int(self.clock.now())
        return expected_rows(self.world, self.router, what, known, now, (since, until), **params)

    def _out(self, out: Outage, request: CityRequest) -> Reply:
        """The answer to a call during an outage.

        Raises:
            Refusal: the outage answers with one of Torn's errors (8, 9).
        """
        self.limits.outage(out.kind, request.path)
        match out.kind:
            case "closed":
                raise Refusal(9)
            case "block":
                raise Refusal(8)
            case "down":
                fault = Fault("http", status=502)
                return Reply(http_page(fault.status), fault.status, _page_headers(fault))
            case _:
                return Reply(b"", broken="reset")

    def _admit(self, request: CityRequest, now: float) -> SandboxKey:
        """Count the call and find its key.

        Raises:
            Refusal: there are too many calls (5), or the key is refused.
        """
        second = self.seconds()
        if not self.limits.address(request.address, request.path, second):
            raise Refusal(5)
        try:
            key = self.keyring.admit(request.key)
        except Refusal:
            self.limits.dead("unknown")
            raise
        if not self.limits.owner(key.owner, key.name, request.path, second):
            raise Refusal(5)
        refusal = self.keyring.use(key, now)
        if refusal:
            self.limits.dead(key.name)
            raise Refusal(refusal)
        return key

    def _answer(
        self, request: CityRequest, key: SandboxKey, now: float, fault: Fault | None
    ) -> Reply:
        if fault is None:
            return Reply(self._body(request, key, now))
        self.limits.fault(fault.kind)
        if fault.kind == "http":
            page = http_page(fault.status)
            return Reply(page, fault.status, _page_headers(fault), delay=fault.seconds)
        if fault.kind == "error":
            raise Refusal(fault.code)
        body = spoil(fault, self._body(request, key, now))
        broken = fault.kind if fault.kind in {"cut", "reset"} else ""
        return Reply(body, delay=fault.seconds, broken=broken)

    def _body(self, request: CityRequest, key: SandboxKey, now: float) -> bytes:
        """The body of a good answer, from the cache where Torn would use its cache.

        Torn's cache ignores most parameters: within 29 seconds another page of the same selection
        gets the same answer, unless the call has the parameter `timestamp`. The answer to such a
        call does not go into the cache.
        """
        around = "timestamp" in request.params or not self.rules.cache
        place = (request.path, key.owner, key.level, key.faction_access)
        if not around and place in self._cache:
            since, body = self._cache[place]
            if now - since < self.rules.cache:
                return body
        routed = self.router.find(request.path, request.params)
        bodies = [
            self._selected(request, key, int(now), endpoint, values) for endpoint, values in routed
        ]
        body = bodies[0] if len(bodies) == 1 else _joined(bodies)
        if not around:
            self._cache.pop(place, None)
            self._cache[place] = (now, body)
        return body

    def _selected(
        self,
        request: CityRequest,
        key: SandboxKey,
        t: int,
        endpoint: Endpoint,
        values: Mapping[str, str],
    ) -> bytes:
        if key.level and LEVELS.index(endpoint.access) > key.level:
            raise Refusal(16)
        if endpoint.faction_access and not key.faction_access:
            raise Refusal(7)
        check(endpoint, request.params)
        address = Address(request.base, request.path, request.params)
        call = Call(self.world, self.router.catalog, endpoint, values, address, key, t)
        if endpoint.content == "csv":
            return snapshot(call)
        if endpoint.path in self.shapes:
            return shaped(call, self.shapes[endpoint.path])
        category = CLOUD.get(endpoint.path)
        if category and not self.limits.may_read(key.owner, category, t):
            raise Refusal(14)
        body = SIMULATED.get(endpoint.path, generate)(call)
        if category:
            self.limits.read(key.owner, category, _rows(body), t)
        return body


def check(endpoint: Endpoint, params: Mapping[str, str]) -> None:
    """Refuse wrong parameters as Torn does.

    Raises:
        Refusal: an unknown category, or no category where the endpoint needs it (21); another
            parameter with an unknown value (4).
    """
    for parameter in endpoint.parameters:
        if parameter.where != "query" or parameter.name in {"key", "comment", "timestamp"}:
            continue
        given = params.get(parameter.name, "")
        code = 21 if parameter.name == "cat" else 4
        if not given:
            if parameter.required:
                raise Refusal(code)
            continue
        # News and others take several values though the document does not say so.
        wanted = given.split(",")
        known = {str(value).lower() for value in parameter.values}
        if known and not {value.lower() for value in wanted} <= known:
            raise Refusal(code)


def _rows(body: bytes) -> int:
    """How many rows an answer counts as: the length of its list, or one."""
    listed = next(value for name, value in json.loads(body).items() if name != "_metadata")
    return len(listed) if isinstance(listed, list) else 1


def _page_headers(fault: Fault) -> tuple[tuple[str, str], ...]:
    html = ("Content-Type", "text/html; charset=UTF-8")
    return (html, ("Retry-After", fault.retry_after)) if fault.retry_after else (html,)


def _joined(bodies: list[bytes]) -> bytes:
    """Several selections in one answer: their keys side by side."""
    whole: dict[str, Any] = {}
    for body in bodies:
        whole |= json.loads(body)
    return encode(whole)


def _finish(reply: Reply, request: CityRequest, now: float) -> Reply:
    """Add the headers, and compress the body where the request accepts gzip."""
    headers = dict(reply.headers)
    csv = reply.body[:3] == b"id,"
    kind = "text/csv" if csv else "application/json"
    headers.setdefault("Content-Type", f"{kind}; charset=utf-8")
    headers["Date"] = formatdate(now, usegmt=True)
    body = reply.body
    if request.gzip and len(body) >= _WORTH_GZIP:
        body = compress(body, 1, mtime=0)
        headers["Content-Encoding"] = "gzip"
        headers["Vary"] = "Accept-Encoding"
    return Reply(body, reply.status, tuple(headers.items()), reply.delay, reply.broken)
