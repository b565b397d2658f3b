"""One HTTP call to an address that is a secret, with a limit on its whole time.

An address of a webhook is a secret: who has it can post. So no redirect is followed, and no result
and no error has the address in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPConnection, HTTPException, HTTPMessage, HTTPResponse, HTTPSConnection
from math import isnan
from typing import Any, Final, TypeVar
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import (
    BaseHandler,
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

from tcdatalogger import __version__
from tcdatalogger.observability.redact import register
from tcdatalogger.services.channels.limit import TimeLimit
from tcdatalogger.services.channels.message import Sent
from tcdatalogger.services.channels.unreachable import unreachable

LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_TOO_MANY: Final = 429
_LONGEST: Final = 3600.0
_TOKEN: Final = 16
"""A part of the address of this many characters or more counts as a secret by itself."""
_READ: Final = 4096
_Connection = TypeVar("_Connection", bound=HTTPConnection)


@dataclass(frozen=True, slots=True)
class Answered:
    """What a server said.

    Attributes:
        status: of the answer, 0 where none came.
        why: why the call is none that was accepted, "" where it was; never with the address.
        wait: seconds to wait before the next call, as the server asks; 0 where it does not say.
        body: the start of the answer.
    """

    status: int = 0
    why: str = ""
    wait: float = 0.0
    body: bytes = b""

    @property
    def sent(self) -> Sent:
        """The same as the result of a delivery."""
        return Sent(self.why, self.wait)


def call(
    address: str,
    data: bytes | None,
    headers: Mapping[str, str],
    *,
    seconds: float,
    method: str = "POST",
    most: int = _READ,
    secret: bool = True,
) -> Answered:
    """Make one call; nothing is raised.

    Args:
        address: whom to call, over https or on this machine.
        data: the body, None for none.
        headers: of the request, in ASCII and without line breaks.
        seconds: how long it may take in all.
        method: of the request.
        most: bytes of the answer that are read at most.
        secret: whether the address is a secret, which all logs hide from now on.
    """
    if secret:
        hide(address)
    if why := refused(address):
        return Answered(why=why)
    given = {"User-Agent": f"TCdatalogger/{__version__}", **headers}
    with TimeLimit(seconds) as limit:
        try:
            request = Request(  # noqa: S310  # its scheme is looked at above
                address, data=data, headers=given, method=method
            )
            with _opener(address, limit).open(request, timeout=seconds) as answer:
                return Answered(answer.status, body=answer.read(most))
        except HTTPError as error:
            return _unaccepted(error, most)
        except (OSError, HTTPException, ValueError) as error:
            if limit.over:
                return Answered(why=f"it took longer than {seconds:g} s")
            return Answered(why=unreachable(error))


def refused(address: str) -> str:
    """Why an address is not called, "" where it is: it has to be encrypted, or this machine."""
    try:
        parts = urlsplit(address)
        host = parts.hostname
    except ValueError:
        return "its address is none"
    if parts.scheme == "https" and host:
        return ""
    if parts.scheme == "http" and host in LOOPBACK:
        return ""
    return "its address does not begin with https://"


def hide(address: str) -> None:
    """Hide an address in all logs, and its long parts too."""
    register(address)
    for part in address.split("/"):
        if len(part) >= _TOKEN:
            register(part)


def _opener(address: str, limit: TimeLimit) -> OpenerDirector:
    opener = OpenerDirector()
    own: tuple[BaseHandler, ...] = (ProxyHandler(), _Tls(limit))
    if urlsplit(address).scheme == "http":  # this machine, which no proxy of ours can reach
        own = (_Plain(limit),)
    for each in (*own, _Stay(), HTTPDefaultErrorHandler(), HTTPErrorProcessor()):
        opener.add_handler(each)
    return opener


def _unaccepted(error: HTTPError, most: int) -> Answered:
    with error:
        try:
            body = error.read(most)
        except (OSError, HTTPException, ValueError):  # its status says enough
            body = b""
        wait = _wait(body, error.headers) if error.code == _TOO_MANY else 0.0
        return Answered(error.code, f"it answered {error.code}", wait, body)


class _Stay(HTTPRedirectHandler):
    """Follows no redirect: the body is for the given address alone."""

    def redirect_request(
        self, req: Request, fp: Any, code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        del req, fp, code, msg, headers, newurl
        return None


class _Plain(HTTPHandler):
    """Connections without TLS, within a limit."""

    def __init__(self, limit: TimeLimit) -> None:
        super().__init__()
        self._limit = limit

    def http_open(self, req: Request) -> HTTPResponse:
        return self.do_open(self._made, req)

    def _made(self, host: str, **options: Any) -> HTTPConnection:
        return _within(HTTPConnection(host, **options), self._limit)


class _Tls(HTTPSHandler):
    """Connections with TLS, within a limit."""

    def __init__(self, limit: TimeLimit) -> None:
        super().__init__()
        self._limit = limit

    def https_open(self, req: Request) -> HTTPResponse:
        return self.do_open(self._made, req)

    def _made(self, host: str, **options: Any) -> HTTPSConnection:
        return _within(HTTPSConnection(host, **options), self._limit)


def _within(connection: _Connection, limit: TimeLimit) -> _Connection:
    # The library has no public way to it that holds for the handshake and for a proxy too.
    connection._create_connection = limit.connect  # type: ignore[attr-defined]  # noqa: SLF001
    return connection


def _wait(body: bytes, headers: Message[str, str]) -> float:
    """Seconds to wait: by the body, where Discord gives fractions, or by the header."""
    try:
        said = json.loads(body).get("retry_after")
    except (ValueError, AttributeError, RecursionError):
        said = None
    for each in (said, headers.get("Retry-After")):
        try:
            seconds = float(each)  # type: ignore[arg-type]  # None is one too
        except (TypeError, ValueError, OverflowError):
            continue
        if not isnan(seconds):
            return min(max(seconds, 0.0), _LONGEST)
    return 0.0
