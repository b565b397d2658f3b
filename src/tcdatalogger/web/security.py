"""Who may ask, and the headers of safety that every answer has.

A page of another site may call this machine, also under a name of its own (DNS rebinding). So the
host must be one of ours, nothing but the login takes a POST, and a browser runs no script and no
style but ours.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Final
from urllib.parse import parse_qs, quote

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tcdatalogger.clock import Clock
from tcdatalogger.core.config.secrets import Secret
from tcdatalogger.core.config.settings import UiSettings
from tcdatalogger.errors import ConfigError
from tcdatalogger.web.context import Role, Viewer
from tcdatalogger.web.render import page

HEADERS: Final = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
"""On every answer."""

COOKIE: Final = "__Host-tcdatalogger"
SESSION: Final = 7 * 86_400.0
"""Seconds after which somebody has to sign in again."""
TRIES: Final = 5
"""Passwords that an address may try in a minute."""
ALL_TRIES: Final = 60
"""Passwords that all addresses together may try in a minute."""
SHORTEST: Final = 12
"""Letters of the shortest password."""
_MINUTE: Final = 60.0
_LONGEST_FORM: Final = 4_096
_HERE: Final = ("127.0.0.1", "localhost", "[::1]")
_OPEN: Final = ("/static/", "/login")
"""What nobody has to sign in for."""
_FOR_TOKENS: Final = "/q/"


def exposed(ui: UiSettings) -> bool:
    """Whether the pages are for others than this machine."""
    return bool(ui.hosts) or not _is_loopback(ui.listen.rpartition(":")[0])


def only_here(ui: UiSettings) -> bool:
    """Whether nobody sees the pages but who sits at this machine, and nobody has to sign in."""
    return not (exposed(ui) or ui.behind_proxy or ui.passwords)


def comes_from_here(headers: Headers) -> bool:
    """Whether a page of ours led to an address, or somebody wrote it; and no page of another site.

    Every browser says so since 2023. What another site could have asked is not run.
    """
    return headers.get("sec-fetch-site") in {"same-origin", "none"}


def refuse_exposed(ui: UiSettings) -> None:
    """Refuse to be seen by others without a password, or by who listens on the way.

    Raises:
        ConfigError: so it would be.
    """
    if not exposed(ui):
        return
    if not ui.passwords:
        raise ConfigError(
            f"The pages at {ui.listen} could be seen by everybody who reaches this machine.",
            remedy='Say where a password is: passwords = { owner = "env:TCD_UI_OWNER" } under '
            "[ui]; or listen on 127.0.0.1.",
        )
    if not ui.behind_proxy and ui.certificate is None:
        raise ConfigError(
            f"Passwords for the pages at {ui.listen} could be read on their way.",
            remedy="Name `certificate` and `certificate_key` under [ui], or put a proxy with TLS "
            "before it and say so: --behind-proxy.",
        )


def refuse_short(passwords: Mapping[Role, Secret]) -> None:
    """Refuse passwords that can be guessed.

    Raises:
        ConfigError: one is too short, or is that of another role too.
    """
    for role, password in passwords.items():
        if len(password.reveal()) < SHORTEST:
            raise ConfigError(
                f"The password {password.name} is shorter than {SHORTEST} letters.",
                remedy="`openssl rand -base64 18` makes a good one.",
            )
        others = [other for name, other in passwords.items() if name != role]
        if any(_same(password.reveal(), other.reveal()) for other in others):
            raise ConfigError(
                f"The password {password.name} is that of another role too.",
                remedy="Each role needs one of its own: `openssl rand -base64 18` makes it.",
            )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


class Tries:
    """Counts who tried a password within the last minute.

    Args:
        clock: the source of time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = Lock()
        self._tried: list[tuple[float, str]] = []

    def take(self, address: str) -> bool:
        """Whether this address may try now; if so, it is counted."""
        now = self._clock.now()
        with self._lock:
            self._tried = [each for each in self._tried if now - each[0] < _MINUTE]
            mine = sum(who == address for _, who in self._tried)
            if mine >= TRIES or len(self._tried) >= ALL_TRIES:
                return False
            self._tried.append((now, address))
            return True


class Passwords:
    """Knows passwords by what scrypt makes of them, and signs who came in with one.

    Args:
        passwords: by role.
        clock: the source of time.
    """

    def __init__(self, passwords: Mapping[Role, Secret], clock: Clock) -> None:
        self._salt = secrets.token_bytes(16)
        self._key = secrets.token_bytes(32)
        self._lock = Lock()
        self._clock = clock
        self._known = {role: self._hash(each.reveal()) for role, each in passwords.items()}

    def role(self, password: str) -> Role | None:
        """Whose password it is."""
        with self._lock:  # one after the other: each takes 16 MB
            tried = self._hash(password)
        return _whose(tried, self._known)

    def signed(self, role: Role) -> str:
        """What says for a while that somebody has this role."""
        text = f"{role}.{self._clock.now() + SESSION:.0f}"
        return f"{text}.{self._signature(text)}"

    def read(self, cookie: str) -> Role | None:
        """The role that a cookie says, if it is one of ours and not over."""
        text, _, signature = cookie.rpartition(".")
        if not _same(signature, self._signature(text)):
            return None
        role, _, until = text.partition(".")
        if float(until) < self._clock.now():
            return None
        return next((each for each in self._known if each == role), None)

    def _signature(self, text: str) -> str:
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()

    def _hash(self, password: str) -> bytes:
        return hashlib.scrypt(password.encode(), salt=self._salt, n=2**14, r=8, p=1)


def _whose(tried: bytes, known: Mapping[Role, bytes]) -> Role | None:
    """Whose it is; it takes as long whichever it is."""
    found: Role | None = None
    for role, each in known.items():
        if hmac.compare_digest(tried, each):
            found = role
    return found


@dataclass(frozen=True, slots=True)
class Access:
    """Who may ask.

    Attributes:
        ui: the settings.
        passwords: None where nobody has to sign in.
        tokens: for programs that read answers, by role.
        tries: of passwords.
    """

    ui: UiSettings
    passwords: Passwords | None
    tokens: Mapping[Role, bytes] = field(default_factory=dict)
    tries: Tries | None = None


def access(
    ui: UiSettings, passwords: Mapping[Role, Secret], tokens: Mapping[Role, Secret], clock: Clock
) -> Access:
    """Who may ask, by the settings.

    Raises:
        ConfigError: the pages would be open to others, or a password can be guessed.
    """
    refuse_exposed(ui)
    refuse_short(passwords)
    refuse_short(tokens)
    known = {role: each.reveal().encode() for role, each in tokens.items()}
    return Access(ui, Passwords(passwords, clock) if passwords else None, known, Tries(clock))


class SecurityMiddleware:
    """Lets in who may, and puts the headers of safety on every answer.

    Args:
        app: what is behind it; it finds a `Viewer` in `request.state.viewer`.
        access: who may ask.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        request = HTTPConnection(scope)
        answer = self._refusal(scope, request.headers)
        viewer = None if answer is not None else self._viewer(request)
        if answer is None and viewer is None:
            answer = _sign_in(request)
        if answer is None:
            scope.setdefault("state", {})["viewer"] = viewer
            await self._app(scope, receive, guarded)
        else:
            await answer(scope, receive, guarded)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        host = headers.get("host", "")
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if name.lower() not in {*_HERE, *map(str.lower, self._access.ui.hosts)}:
            return PlainTextResponse(
                "This name is not one of this page's. Names of your own go into hosts under [ui].",
                421,
            )
        method, path = scope["method"], scope["path"]
        if method in {"GET", "HEAD"}:
            return None
        if method != "POST" or path != "/login":
            return PlainTextResponse("Nothing can be changed here.", 405, {"allow": "GET, HEAD"})
        origin = headers.get("origin", "").partition("://")[2] or host
        if headers.get("sec-fetch-site", "same-origin") != "same-origin" or origin != host:
            return PlainTextResponse("This came from another site.", 403)
        return None

    def _viewer(self, request: HTTPConnection) -> Viewer | None:
        """Who asks; None for who has to sign in."""
        path, passwords = request.url.path, self._access.passwords
        if path.startswith(_FOR_TOKENS) and (token := request.query_params.get("token")):
            role = _whose(token.encode(), self._access.tokens)
            return None if role is None else Viewer(role, signed_in=True)
        if passwords is None:
            return Viewer()
        role = passwords.read(request.cookies.get(COOKIE, ""))
        if role is not None:
            return Viewer(role, signed_in=True)
        return Viewer("member") if path.startswith(_OPEN) else None


def _sign_in(request: HTTPConnection) -> Response:
    if request.url.path.startswith((_FOR_TOKENS, "/state.json")):
        return PlainTextResponse("Sign in first, or send a token that is right.", 401)
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"/login?next={quote(wanted, safe='')}", 303)


# --- the page to sign in ---------------------------------------------------------------------


async def login(request: Request) -> Response:
    """The page to sign in and out; the one that takes a POST."""
    access: Access = request.app.state.access
    onward = _local(request.query_params.get("next", "/"))
    if access.passwords is None or access.tries is None:
        return RedirectResponse("/", 303)
    if request.method != "POST":
        return page(request, "login.html", onward=onward)
    form = parse_qs((await _body(request)).decode(errors="replace"))
    onward = _local(form.get("next", ["/"])[0])
    if "out" in form:
        answer: Response = RedirectResponse("/login", 303)
        answer.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="strict")
        return answer
    if not access.tries.take(_address(request, behind_proxy=access.ui.behind_proxy)):
        says = "Too many tries. Wait a minute."
        return page(request, "login.html", 429, onward=onward, says=says)
    role = await run_in_threadpool(access.passwords.role, form.get("password", [""])[0])
    if role is None:
        says = "This is no password of this page."
        return page(request, "login.html", 401, onward=onward, says=says)
    answer = RedirectResponse(onward, 303)
    answer.set_cookie(
        COOKIE,
        access.passwords.signed(role),
        max_age=int(SESSION),
        path="/",
        secure=True,
        httponly=True,
        samesite="strict",
    )
    return answer


async def _body(request: Request) -> bytes:
    found = b""
    async for part in request.stream():
        found += part
        if len(found) > _LONGEST_FORM:
            return b""
    return found


def _local(path: str) -> str:
    """A path of ours; `/` for what a browser would take for another site."""
    return path if path.startswith("/") and path[1:2] not in {"/", "\\"} else "/"


def _address(request: Request, *, behind_proxy: bool) -> str:
    """Who tries: of a proxy what it says of its caller."""
    told = request.client.host if request.client else ""
    if behind_proxy:
        # A proxy adds its word at the end, or as a header of its own after that of its caller.
        told = ([told, *request.headers.getlist("x-forwarded-for")][-1]).rpartition(",")[2].strip()
    return household(told)


def household(address: str) -> str:
    """Whose address it is: a household has any number of addresses of IPv6, in one network."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return address
    return str(ipaddress.ip_network(f"{found}/64", strict=False))
