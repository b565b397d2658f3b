"""Transport: one request of Torn's API becomes one answer, or one classified error."""

from __future__ import annotations

import hashlib
import ipaddress
import math
import random
import re
import ssl
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import SplitResult, urlsplit

from tcdatalogger import __version__
from tcdatalogger.clock import Clock, utc
from tcdatalogger.errors import ConfigError, KeyRefused
from tcdatalogger.services.torncity import codes, findings
from tcdatalogger.services.torncity.budget import ADDRESS, Budget
from tcdatalogger.services.torncity.codes import Code, Health, TornFault, Waits
from tcdatalogger.services.torncity.findings import Finding
from tcdatalogger.services.torncity.messages import Answer, Key, Request

if TYPE_CHECKING:
    import httpx2

TORN = "https://api.torn.com/v2"
LARGEST_BODY = 256 * 2**20
LONGEST_WAIT = 90.0
"""Seconds that a call waits at most before it is tried again; a longer pause is the caller's."""
LEAST_WAIT = 1.0
"""A `Retry-After` of zero would have us knock without end."""
KEPT_HEADERS = ("date", "content-type", "retry-after", "age", "cf-ray", "cf-cache-status")

_PRINTABLE = re.compile(r"[!-~]+")


def fingerprint(key: Key) -> str:
    """A name for a key that tells equal keys and gives none away."""
    return "key:" + hashlib.sha256(key.reveal().encode(errors="surrogatepass")).hexdigest()[:16]


class Client:
    """A pool of connections to Torn's API that keeps to the budget.

    Args:
        url: the API with its version, `https://api.torn.com/v2`; a bare host means its `/v2`.
        budget: asked before each call.
        clock: read and slept on.
        comment: what the key's owner sees in the key's log; Torn shows about ten characters.
        contact: an address for Torn's people, sent in the user agent.
        connect_timeout: seconds until a connection must stand.
        read_timeout: seconds of silence that are put up with.
        total_timeout: seconds until the last byte must be there.
        largest_body: bytes after decompression.
        tries: how many calls one `get` may make at most.
        owner_of: the name under which a key's calls are counted. Keys of one player share their
            limit, so whoever knows the player hands in a function that says so.
        on_retry: told of each error that is tried again, with the seconds until then.
        jitter: a number from 0 to 1 that spreads the waiting of several processes.

    Raises:
        ConfigError: the address would carry a key in clear, or is none.
    """

    def __init__(
        self,
        url: str,
        budget: Budget,
        clock: Clock,
        *,
        comment: str = "tcdlogger",
        contact: str = "",
        connect_timeout: float = 10.0,
        read_timeout: float = 30.0,
        total_timeout: float = 120.0,
        largest_body: int = LARGEST_BODY,
        tries: int = 3,
        owner_of: Callable[[Key], str] = fingerprint,
        on_retry: Callable[[TornFault, float], None] | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        parts = _checked(url)
        self.host = parts.netloc
        """Host and port, as links to further pages name them."""
        self._base = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/') or '/v2'}"
        self._budget = budget
        self._clock = clock
        self._comment = comment
        self._total_timeout = total_timeout
        self._largest_body = largest_body
        self._tries = tries
        self._owner_of = owner_of
        self._on_retry = on_retry
        self._jitter = jitter
        self._refused: dict[str, tuple[Code, float]] = {}
        self._http = _open(parts.scheme, connect_timeout, read_timeout, contact)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def get(self, request: Request, key: Key) -> Answer:
        """Ask once, and again where that may help.

        A key that Torn refused is not called again by this client, or not before its pause is
        over: calls with dead keys get an address banned.

        Raises:
            TornFault: one of its subclasses, by what to do about it; `answer` holds what came.
            KeyRefused: the key cannot be sent, or was refused before.
        """
        secret = _sendable(key)
        identity, owner = fingerprint(key), self._owner_of(key)
        self._stop_refused((identity, owner, ADDRESS), key.name)
        tried = 0
        while True:
            self._budget.wait(owner)
            outcome = self._call(request, key.name, secret)
            tried += 1
            if isinstance(outcome, Answer):
                return outcome
            wait = self._wait_before_retry(outcome, tried)
            self._remember(outcome, identity, owner, wait)
            if tried >= min(self._tries, outcome.tries) or wait > LONGEST_WAIT:
                raise outcome
            if self._on_retry is not None:
                self._on_retry(outcome, wait)
            self._clock.sleep(wait)

    def _stop_refused(self, callers: tuple[str, ...], name: str) -> None:
        for caller in callers:
            kind, until = self._refused.get(caller, (codes.UNKNOWN, 0.0))
            if self._clock.now() < until:
                until_when = "" if until == math.inf else f" before {utc(until):%Y-%m-%d %H:%M} UTC"
                raise kind.fault(
                    f"A call with the key {name!r} was refused before: {kind.meaning}. "
                    f"None is made again{until_when}.",
                    kind=kind,
                    key=name,
                )

    def _remember(self, fault: TornFault, identity: str, owner: str, wait: float) -> None:
        """Keep what the error says about later calls: of this key, its owner, or the address."""
        now = self._clock.now()
        if fault.health is Health.DEAD:
            self._refused[identity] = (fault.kind, math.inf)
        elif fault.health is Health.PARKED:
            self._refused[identity] = (fault.kind, now + fault.pause)
        elif fault.kind.waits is not None:
            caller = owner if fault.kind.waits is Waits.OWNER else ADDRESS
            if wait > LONGEST_WAIT:
                self._refused[caller] = (fault.kind, now + wait)
            else:
                self._budget.hold(caller, now + wait)

    def _wait_before_retry(self, fault: TornFault, tried: int) -> float:
        """Seconds to wait: what the server asks for, else the pause of the code, doubled."""
        asked = _retry_after(fault.answer) if fault.answer is not None else None
        if asked is not None:
            fault.pause = max(LEAST_WAIT, asked)
            return fault.pause + self._jitter()
        pause = fault.pause
        if pause > LONGEST_WAIT:
            return pause
        return min(LONGEST_WAIT, pause * 2.0 ** (tried - 1) * (1 + self._jitter() / 2))

    def _call(self, request: Request, key_name: str, secret: str) -> Answer | TornFault:
        """One call over the wire.

        The error of the HTTP library holds the request and with it the key, and its text may quote
        a header. So none of it is chained: ours is made after the handler has ended.
        """
        import httpx2  # noqa: PLC0415 - 70 ms that only a call over the wire needs

        requested_at = self._clock.now()
        began = time.monotonic()  # the network's time, which no other clock may stretch
        try:
            with self._http.stream(
                "GET",
                self._base + request.path,
                params=[*request.params, *self._added(request)],
                headers={"Authorization": f"ApiKey {secret}"},
            ) as response:
                body = self._read(response, began + self._total_timeout)
                seconds = time.monotonic() - began
            if isinstance(body, bytes):
                return self._classified(
                    _answer(request, response, body, requested_at, seconds), key_name, secret
                )
            kind, why = body, ""
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            kind, why = codes.UNREACHABLE, str(error)
        except httpx2.TimeoutException as error:
            kind, why = codes.SLOW, type(error).__name__
        except httpx2.RequestError as error:
            kind, why = codes.CUT, str(error) or type(error).__name__
        return _fault(Finding(kind, said=why), request, key_name, secret)

    def _added(self, request: Request) -> tuple[tuple[str, str], ...]:
        if not self._comment or request.param("comment") is not None:
            return ()
        return (("comment", self._comment),)

    def _read(self, response: httpx2.Response, deadline: float) -> bytes | Code:
        """The whole body, or what is wrong with it: too large, or too slow in coming."""
        chunks, size = [], 0
        for chunk in response.iter_bytes():
            size += len(chunk)
            if size > self._largest_body:
                return codes.TOO_LARGE
            if time.monotonic() > deadline:
                return codes.SLOW
            chunks.append(chunk)
        return b"".join(chunks)

    def _classified(self, answer: Answer, key_name: str, secret: str) -> Answer | TornFault:
        finding = findings.find(answer.status, answer.header("content-type"), answer.body)
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
    date = _http_date(response.headers.get("date", ""))
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
    finding: Finding,
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


def _sendable(key: Key) -> str:
    """The key, if it can stand in a header.

    Raises:
        KeyRefused: it cannot. An HTTP library would quote it in its own error.
    """
    secret = key.reveal()
    if _PRINTABLE.fullmatch(secret):
        return secret
    what = "is empty" if not secret else "holds a blank, a line break or another odd character"
    raise KeyRefused(
        f"The key {key.name!r} {what}.",
        remedy="A key of Torn's has 16 letters and digits; look at where it is kept.",
        key=key.name,
    )


def _checked(url: str) -> SplitResult:
    """The parts of the API's address.

    Raises:
        ConfigError: it is none, or a key would travel over it in clear.
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


def _open(scheme: str, connect_timeout: float, read_timeout: float, contact: str) -> httpx2.Client:
    """The pool. Redirects are never followed: they would take the key along.

    Plain http goes to this machine only, so it needs no certificates (50 ms to read) and must not
    take the way over a proxy of the environment.
    """
    import httpx2  # noqa: PLC0415 - see _call

    plain = scheme == "http"
    about = f" (+{contact})" if contact else " (logger for Torn's API)"
    return httpx2.Client(
        verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if plain else True,
        trust_env=not plain,
        follow_redirects=False,
        timeout=httpx2.Timeout(read_timeout, connect=connect_timeout),
        headers={
            "User-Agent": f"tcdatalogger/{__version__}{about}",
            "Accept": "application/json, text/csv",
            "Accept-Encoding": "gzip",
        },
    )


def _http_date(text: str) -> float | None:
    """Seconds since 1970 of a date as HTTP writes it (RFC 7231, 7.1.1.1), None if it is none."""
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return date.replace(tzinfo=date.tzinfo or utc(0).tzinfo).timestamp()


def _retry_after(answer: Answer) -> float | None:
    """Seconds that the server asks us to wait, from either form of the header, None without it."""
    text = answer.header("retry-after").strip()
    if text.isdecimal():
        return float(text)
    date = _http_date(text)
    return None if date is None else date - answer.server_time
