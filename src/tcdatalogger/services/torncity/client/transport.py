"""The transport: one HTTP call to Torn's API becomes an answer or one classified error."""

from __future__ import annotations

import io
import ipaddress
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from tcdatalogger import __version__
from tcdatalogger.clock import Clock, utc
from tcdatalogger.errors import ConfigError
from tcdatalogger.services.torncity.client import classify, error_codes
from tcdatalogger.services.torncity.client.classify import AnswerFault
from tcdatalogger.services.torncity.client.error_codes import Code, TornFault
from tcdatalogger.services.torncity.client.messages import Answer, Request
from tcdatalogger.services.torncity.client.unpacking import ENCODINGS, Broken, unpacked

if TYPE_CHECKING:
    import httpx2

TORN = "https://api.torn.com/v2"
LARGEST_BODY = 256 * 2**20
KEPT_HEADERS = ("date", "content-type", "retry-after", "age", "cf-ray", "cf-cache-status")


@dataclass(frozen=True, slots=True)
class Identity:
    """How this program names itself.

    Attributes:
        comment: the owner of a key sees it in the log of the key; Torn shows about ten characters.
        contact: an address for Torn's staff, sent in the user agent; "" for none.
    """

    comment: str = "tcdlogger"
    contact: str = ""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long one call may take, in seconds.

    Attributes:
        connect: for the connection.
        read: between two parts of the answer.
        total: for the whole call.
    """

    connect: float = 10.0
    read: float = 30.0
    total: float = 120.0


class Transport:
    """A pool of connections to Torn's API.

    Args:
        url: the address with the version, `https://api.torn.com/v2`; `/v2` is added to a host.
        clock: the clock for the time of a call.
        identity: how this program names itself.
        timeouts: the timeouts of each call.
        largest_body: the most bytes of an answer, after decompression.

    Attributes:
        host: host and port of the address.

    Raises:
        ConfigError: the address is none, has a password, or would send a key unencrypted.
    """

    def __init__(
        self,
        url: str,
        clock: Clock,
        *,
        identity: Identity = Identity(),
        timeouts: Timeouts = Timeouts(),
        largest_body: int = LARGEST_BODY,
    ) -> None:
        parts = _checked(url)
        self.host = parts.netloc
        self._base = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/') or '/v2'}"
        self._clock = clock
        self._comment = identity.comment
        self._total = timeouts.total
        self._largest_body = largest_body
        self._http = _open(parts.scheme, timeouts, identity.contact)

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def call(self, request: Request, key_name: str, secret: str) -> Answer | TornFault:
        """Make one HTTP call.

        The error of the HTTP library has the request with the key, and its text may quote a header.
        So no error is chained: the fault is made after the handler has ended.

        Args:
            request: what to ask.
            key_name: the name of the key, for messages.
            secret: the text of the key.

        Returns:
            The answer, or the fault.
        """
        import httpx2  # noqa: PLC0415 - 70 ms that only a real call needs

        from tcdatalogger.services.torncity.client.connections import ENDS  # noqa: PLC0415 - the same

        requested_at = self._clock.now()
        began = time.monotonic()  # the real time, also where `clock` is a clock of tests
        ENDS.set(began + self._total)
        try:
            with self._http.stream(
                "GET",
                self._base + request.path,
                params=[*request.params, *self._added(request)],
                headers={"Authorization": f"ApiKey {secret}"},
            ) as response:
                body = self._read(response)
                seconds = time.monotonic() - began
            if isinstance(body, bytes):
                return self._classified(
                    _answer(request, response, body, requested_at, seconds), key_name, secret
                )
            kind, why = body
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            kind, why = error_codes.UNREACHABLE, str(error)
        except httpx2.TimeoutException as error:
            kind, why = error_codes.SLOW, type(error).__name__
        except httpx2.RequestError as error:
            kind, why = error_codes.CUT, str(error) or type(error).__name__
        return _fault(AnswerFault(kind, said=why), request, key_name, secret)

    def _added(self, request: Request) -> tuple[tuple[str, str], ...]:
        if not self._comment or request.param("comment") is not None:
            return ()
        return (("comment", self._comment),)

    def _read(self, response: httpx2.Response) -> bytes | tuple[Code, str]:
        """The whole body, or its fault and the reason."""
        encoding = response.headers.get("content-encoding", "").strip().lower()
        if encoding not in ENCODINGS:
            return error_codes.NO_DATA, "packed in another way than it was asked for"
        body, came = io.BytesIO(), 0

        def chunks() -> Iterator[bytes]:
            nonlocal came
            for chunk in response.iter_raw():
                came += len(chunk)
                yield chunk

        try:
            for piece in unpacked(chunks(), encoding):
                body.write(piece)
                # The packed bytes count too: many of them may unpack to nothing.
                if max(came, body.tell()) > self._largest_body:
                    return error_codes.TOO_LARGE, f"over {self._largest_body} bytes"
        except Broken as broken:
            return error_codes.CUT, str(broken)
        return body.getvalue()

    def _classified(self, answer: Answer, key_name: str, secret: str) -> Answer | TornFault:
        kind, payload = answer.header("content-type"), answer.request.payload
        finding = classify.classify(answer.status, kind, answer.body, payload)
        if finding is None:
            return answer
        return _fault(finding, answer.request, key_name, secret, answer)


def _answer(
    request: Request,
    response: httpx2.Response,
    body: bytes,
    requested_at: float,
    seconds: float,
) -> Answer:
    date = http_date(response.headers.get("date", ""))
    return Answer(
        request=request,
        status=response.status_code,
        body=body,
        server_time=requested_at + seconds if date is None else date,
        requested_at=requested_at,
        seconds=seconds,
        headers=tuple(
            (name, response.headers[name]) for name in KEPT_HEADERS if name in response.headers
        ),
    )


def _fault(
    finding: AnswerFault,
    request: Request,
    key_name: str,
    secret: str,
    answer: Answer | None = None,
) -> TornFault:
    kind = finding.kind
    number = kind.number if finding.number is None else finding.number
    said = finding.said.replace(secret, "(the key)")
    place = f"{request.path} with the key {key_name!r}"
    what = kind.meaning if number is None else f"{kind.meaning} (code {number})"
    detail = f" ({said})" if said and kind.number is None else ""
    return kind.fault(
        f"Torn answered {place}: {what}{detail}.",
        kind=kind,
        number=number,
        selection=finding.selection,
        answer=answer,
        path=request.path,
        key=key_name,
        status=None if answer is None else answer.status,
        said=said,
    )


def _checked(url: str) -> SplitResult:
    """The parts of the API's address.

    Raises:
        ConfigError: the address is none, has a password, or would send a key unencrypted.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        parts, host = urlsplit(""), ""
    if parts.scheme not in {"http", "https"} or not host or parts.query or parts.fragment:
        raise ConfigError(
            "The address of Torn's API is not an address that can be called.",
            remedy=f"Use {TORN}.",
        )
    if parts.username is not None or parts.password is not None:
        raise ConfigError(
            f"The address of Torn's API at {host} holds a name or a password.",
            remedy=f"Use {TORN}; the key is named in `api_key`.",
        )
    if parts.scheme == "http" and not _is_loopback(host):
        raise ConfigError(
            f"http://{host} would carry the key in clear over the network.",
            remedy="Use https; plain http is for a sandbox on this machine.",
        )
    return parts


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _open(scheme: str, timeouts: Timeouts, contact: str) -> httpx2.Client:
    """The HTTP client. Redirects are never followed, because they would take the key along.

    Plain http is for this machine only. So it needs no certificates (reading them takes 50 ms), and
    it must not use a proxy of the environment.
    """
    import httpx2  # noqa: PLC0415 - see `Transport.call`

    from tcdatalogger.services.torncity.client.connections import (  # noqa: PLC0415 - the same
        hurry,
        trusted,
    )

    plain = scheme == "http"
    about = f" (+{contact})" if contact else " (logger for Torn's API)"
    client = httpx2.Client(
        verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if plain else trusted(),
        trust_env=not plain,
        follow_redirects=False,
        timeout=httpx2.Timeout(timeouts.read, connect=timeouts.connect),
        headers={
            "User-Agent": f"tcdatalogger/{__version__}{about}",
            "Accept": "application/json, text/csv",
            "Accept-Encoding": "gzip",
        },
    )
    hurry(client)
    return client


def http_date(text: str) -> float | None:
    """Seconds since 1970 of an HTTP date (RFC 7231, 7.1.1.1), None for another text."""
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return date.replace(tzinfo=date.tzinfo or utc(0).tzinfo).timestamp()
