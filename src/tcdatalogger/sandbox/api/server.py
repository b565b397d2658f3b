"""The simulated city behind a web server on this machine, for tests, the demo and the command.

Starlette and uvicorn are imported when a server starts, because their import is slow.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Mapping
from threading import Thread
from typing import TYPE_CHECKING, Any, Self

from tcdatalogger.sandbox.api.city import City, CityRequest, Reply, Rules
from tcdatalogger.sandbox.api.control import change_key, control
from tcdatalogger.sandbox.api.faults import Fault, fault
from tcdatalogger.sandbox.api.limits import Called
from tcdatalogger.sandbox.api.outages import Outage, outage
from tcdatalogger.sandbox.world.clock import WorldClock
from tcdatalogger.sandbox.world.php_json import encode

if TYPE_CHECKING:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request as WebRequest
    from starlette.responses import Response

START = 1_767_225_600.0
"""2026-01-01T00:00:00Z: the time of the world at the start, unless another is given."""

_Connections = dict[tuple[str, int], asyncio.Transport]


class Sandbox:
    """A running city.

    >>> with Sandbox(seed=1) as city:
    ...     url, key = city.url, city.keys["full"]

    Args:
        seed: chooses the world.
        start: the time of the world at the start, seconds since 1970.
        speed: world seconds in a real second; 0 for a world that only `advance` moves.
        host: the address to listen on.
        port: the port to listen on; 0 for any free port.
        rules: history, limits, bursts, corrections and outages of the city.
    """

    def __init__(
        self,
        *,
        seed: int = 1,
        start: float = START,
        speed: float = 0.0,
        host: str = "127.0.0.1",
        port: int = 0,
        rules: Rules | None = None,
    ) -> None:
        self.city = City(seed, WorldClock(start, speed), rules or Rules())
        self._host = host
        self._port = port
        self._socket: socket.socket | None = None
        self._server: uvicorn.Server | None = None
        self._thread: Thread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen on the address and answer in a thread; calls are accepted when this returns.

        Raises:
            OSError: the address cannot be used.
        """
        import uvicorn  # noqa: PLC0415, heavy

        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        # The protocol is named, or asyncio would leave Nagle's delay on: 40 ms for every answer.
        self._socket = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind((self._host, self._port))
            self._socket.listen(512)
        except OSError:
            self._socket.close()
            self._socket = None
            raise
        connections: _Connections = {}
        config = uvicorn.Config(
            _app(self.city, connections),
            http=_protocol(connections),
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = Thread(
            target=self._server.run, args=([self._socket],), name="sandbox", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop answering and free the port; does nothing where the server never started."""
        if self._server and self._thread:
            # Clients may keep their connections open; the stop does not wait for them.
            self._server.should_exit = self._server.force_exit = True
            self._thread.join(10)
        if self._socket:
            self._socket.close()
        self._server = self._thread = self._socket = None

    @property
    def url(self) -> str:
        """The address of the API, as `http://127.0.0.1:PORT/v2`.

        Raises:
            RuntimeError: the server does not run.
        """
        if self._socket is None:
            raise RuntimeError("the sandbox is not running")
        host, port = self._socket.getsockname()[:2]
        return f"http://[{host}]:{port}/v2" if ":" in host else f"http://{host}:{port}/v2"

    @property
    def keys(self) -> dict[str, str]:
        """The demo keys by name: public, minimal, limited, full, second, other, rival, dead."""
        return {key.name: key.text for key in self.city.keyring}

    def now(self) -> float:
        """The time of the world, seconds since 1970."""
        return self.city.clock.now()

    def advance(self, seconds: float) -> float:
        """Move the world forward and return its new time.

        Raises:
            ValueError: `seconds` is negative.
        """
        return self.city.clock.advance(seconds)

    def stats(self) -> dict[str, Any]:
        """All counters, as `GET /_sandbox/stats` gives them."""
        with self.city.lock:
            return self.city.limits.facts()

    def calls(self) -> list[Called]:
        """The last calls of users in their order, accepted or not; at most 200,000."""
        with self.city.lock:
            return self.city.limits.calls()

    def utilisation(self, owner: int, since: float, until: float) -> float:
        """The share of an owner's limit that was used between two seconds of `Called.at`.

        `city.seconds()` is the present second.
        """
        with self.city.lock:
            return self.city.limits.utilisation(owner, since, until)

    def expected(
        self,
        what: str,
        since: int | None = None,
        until: int | None = None,
        *,
        key: str = "full",
        **params: str,
    ) -> list[dict[str, Any]]:
        """All rows as the API would show them now, oldest first, without pages and limits.

        Args:
            what: attacks, attacksfull, user_attacks, user_attacksfull, chains, crimes, events,
                log, news, revives, or one category of news as `news:main`.
            since: the first second since 1970, included, None for no bound; for crimes, the second
                of their creation.
            until: the last second, included, None for no bound.
            key: the name of the caller's key.
            params: more parameters of the endpoint, as striptags="true".

        Raises:
            KeyError: there is no key of this name.
            ValueError: there is no such list.
        """
        with self.city.lock:
            return self.city.expected(what, since, until, key=key, **params)

    def outage(self, kind: str, **facts: float) -> Outage:
        """Plan an outage, as `outage("down", seconds=600)`.

        Args:
            kind: closed (error 9), block (error 8), down (HTML with HTTP 502) or reset.
            facts: `after` and `seconds` from now on, or `since` and `until`; world seconds.

        Raises:
            ValueError: the kind is unknown, or a value is out of range.
        """
        with self.city.lock:
            made = outage({"kind": kind, **facts}, self.city.clock.now())
            self.city.outages.append(made)
        return made

    def clear_outages(self) -> None:
        """Take all outages away."""
        with self.city.lock:
            self.city.outages.clear()

    def fault(self, kind: str, **facts: Any) -> Fault:
        """Plant a fault, as `fault("error", code=5, times=2, path="/faction/crimes")`.

        Args:
            kind: one of `faults.KINDS`.
            facts: other fields of `Fault`.

        Raises:
            ValueError: the kind or a field is unknown, or a value is out of range.
        """
        made = fault({"kind": kind, **facts})
        with self.city.lock:
            self.city.faults.add(made)
        return made

    def clear_faults(self) -> None:
        """Take all faults away."""
        with self.city.lock:
            self.city.faults.clear()

    def key(self, name: str, **changes: Any) -> str:
        """Change or add a key, and return its text.

        Args:
            name: the name of the key.
            changes: other fields of `SandboxKey`, for example `level`, `refusal`, `dies_after`.

        Raises:
            TypeError: a change is unknown.
        """
        with self.city.lock:
            return change_key(self.city, name, **changes).text


def _app(city: City, connections: _Connections) -> Starlette:
    from starlette.applications import Starlette  # noqa: PLC0415, heavy
    from starlette.responses import Response  # noqa: PLC0415
    from starlette.routing import Route  # noqa: PLC0415

    async def api(request: WebRequest) -> Response:
        reply = city.answer(_asked(request))
        if reply.delay:
            await asyncio.sleep(reply.delay)
        return _sent(reply, connections.get(request.client or ("", 0)))

    async def steer(request: WebRequest) -> Response:
        what, body = request.path_params["what"], await request.body()
        status, facts = control(city, request.method, what, body)
        return Response(encode(facts), status, media_type="application/json")

    def _sent(reply: Reply, connection: asyncio.Transport | None) -> Response:
        response = Response(reply.body, reply.status)
        response.raw_headers = [
            (b"content-length", str(len(reply.body)).encode()),
            *((name.lower().encode(), value.encode()) for name, value in reply.headers),
        ]
        if connection is None or not reply.broken:
            return response
        if reply.broken == "reset":
            _reset(connection)
        else:
            asyncio.get_running_loop().call_soon(connection.close)
            response.body = reply.body[: len(reply.body) // 2]
        return response

    every = ["GET", "POST", "DELETE"]
    return Starlette(
        routes=[
            Route("/_sandbox/{what:path}", steer, methods=every),
            Route("/v2{path:path}", api, methods=["GET"]),
        ]
    )


def _asked(request: WebRequest) -> CityRequest:
    headers: Mapping[str, str] = request.headers
    return CityRequest(
        path=request.path_params["path"].rstrip("/") or "/",
        params=dict(request.query_params),
        authorization=headers.get("authorization", ""),
        address=request.client.host if request.client else "unknown",
        gzip="gzip" in headers.get("accept-encoding", ""),
        base=f"http://{headers.get('host', '127.0.0.1')}/v2",
    )


def _reset(connection: asyncio.Transport) -> None:
    """End the connection with a TCP reset."""
    plug = connection.get_extra_info("socket")
    if plug is not None:
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.abort()


def _protocol(connections: _Connections) -> type[asyncio.Protocol]:
    """The protocol of uvicorn that also remembers the connection of each client, to break it."""
    from uvicorn.protocols.http.h11_impl import H11Protocol  # noqa: PLC0415, heavy

    class Wired(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if self.client:
                connections[self.client] = transport

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            if self.client:
                connections.pop(self.client, None)

    return Wired
