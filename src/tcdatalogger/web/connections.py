"""Connections that wait for their client: for how long, and how many of them.

uvicorn waits without an end for a request that was begun, for somebody who takes nothing of an
answer, and a minute for TLS. Here a client has some seconds for each, and who comes when there are
too many takes the place of the one that was waited for longest.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from tcdatalogger.errors import ConfigError
from tcdatalogger.web.security import household

LONGEST_HEAD: Final = 131_072
"""Bytes of a request until its content: SQL stands in an address, where `ä` takes six of them."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may ask of the server.

    Attributes:
        patience: seconds that a client has to agree on TLS, to send a whole request, and to take
            something of an answer.
        of_one: connections of one address.
        of_all: connections of all addresses.
    """

    patience: float = 20.0
    of_one: int = 64
    of_all: int = 256


def certificate(file: Path, key: Path | None) -> ssl.SSLContext:
    """TLS with a certificate.

    Args:
        file: of the certificate.
        key: the file of its key; None where the first one has it too.

    Raises:
        ConfigError: it cannot be used.
    """
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        made.load_cert_chain(file, key)
    except OSError as error:  # also of OpenSSL's
        raise ConfigError(
            f"The certificate {file} cannot be used: {error.strerror or error}.",
            remedy="Name it and its key under [ui]: certificate and certificate_key.",
        ) from None
    return made


class ServerConfig(uvicorn.Config):
    """How the pages are served.

    Args:
        app: what answers.
        limits: what a client may ask.
        tls: the certificate; None without TLS. uvicorn is not told of it: its connections begin
            only when TLS is agreed, and count only then.
    """

    def __init__(
        self, app: ASGIApp, limits: Limits = Limits(), tls: ssl.SSLContext | None = None
    ) -> None:
        super().__init__(
            app,
            http=Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=1,
            limit_concurrency=limits.of_all + 1,  # of answers whose connection has ended
            h11_max_incomplete_event_size=LONGEST_HEAD,
        )
        self.limits = limits
        self.tls = tls


class Connection(H11Protocol):
    """A connection that is dropped where its client lets the server wait.

    Args:
        config: how it is served.
        server_state: has all connections.
        app_state: of uvicorn.
        _loop: of uvicorn.

    Attributes:
        address: whose it is (`household`).
        waits_since: when its client began to let the server wait, by the loop's clock; None while
            its answer is being made.
    """

    config: ServerConfig

    def __init__(
        self,
        config: ServerConfig,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._raw: asyncio.Transport
        self.address = ""
        self._agreeing: asyncio.Task[None] | None = None
        self._early = b""
        self.waits_since: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, with TLS where it is spoken."""
        self.transport = self._raw = transport
        self.address = household((transport.get_extra_info("peername") or ("",))[0])
        self.connections.add(self)
        self._wait()
        self._make_room()
        if transport.is_closing():
            return
        if self.config.tls is None:
            super().connection_made(transport)
        else:
            self._agreeing = self.loop.create_task(self._agree(self.config.tls))

    async def _agree(self, tls: ssl.SSLContext) -> None:
        try:
            secure = await self.loop.start_tls(
                self._raw,
                self,
                tls,
                server_side=True,
                ssl_handshake_timeout=self.config.limits.patience,
            )
        except OSError:  # also of OpenSSL's
            secure = None
        if secure is None or secure.is_closing():
            self.drop()
            return
        self._agreeing = None
        super().connection_made(secure)
        if self._early:
            self.data_received(self._early)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._wait_no_more()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read a part of a request."""
        if self._agreeing is not None:  # came with the end of the handshake
            self._early += data
            return
        super().data_received(data)
        self._watch()

    def eof_received(self) -> None:
        """The client sends no more; what it has not taken is still sent, for a while."""
        super().eof_received()
        self._wait()

    def pause_writing(self) -> None:
        """The client takes an answer more slowly than it is made."""
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        """The client has taken most of what there was."""
        super().resume_writing()
        self._watch()

    def on_response_complete(self) -> None:
        """An answer was given; the next request is waited for."""
        super().on_response_complete()
        self._watch()

    def drop(self) -> None:
        """End it at once, whatever was not sent."""
        self._wait_no_more()
        self.connections.discard(self)
        self._raw.abort()

    def _watch(self) -> None:
        """Note whether the client is waited for: it is not while its answer is being made."""
        asked = self.conn.their_state in {h11.DONE, h11.MUST_CLOSE}
        if asked and not self.flow.write_paused and not self.transport.is_closing():
            self._wait_no_more()
        else:
            self._wait()

    def _wait(self) -> None:
        if self.waits_since is None:
            self._look_later()

    def _wait_no_more(self) -> None:
        self.waits_since = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_later(self) -> None:
        self.waits_since = self.loop.time()
        self._timer = self.loop.call_later(self.config.limits.patience, self._look, self._left())

    def _look(self, left: int) -> None:
        """Drop it, unless its client has taken something of an answer of which so much was left."""
        if self._left() < left:
            self._look_later()
        else:
            self.drop()

    def _left(self) -> int:
        """Bytes of answers that were not given to the kernel yet."""
        left = self._raw.get_write_buffer_size()
        if self.transport is not self._raw and not self.transport.is_closing():
            left += self.transport.get_write_buffer_size()
        return left

    def _make_room(self) -> None:
        """Drop the one that was waited for longest where there are too many, if need be this one.

        One whose answer is being made is never dropped for another.
        """
        limits = self.config.limits
        every = [each for each in self.connections if isinstance(each, Connection)]
        mine = [each for each in every if each.address == self.address]
        if len(mine) > limits.of_one:
            _longest(mine).drop()
        elif len(every) > limits.of_all:
            _longest(every).drop()


def _longest(found: list[Connection]) -> Connection:
    waiting = [(each.waits_since, each) for each in found if each.waits_since is not None]
    return min(waiting, key=lambda pair: pair[0])[1]
