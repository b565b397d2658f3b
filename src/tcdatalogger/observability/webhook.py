"""Posts to a webhook. Its address is a secret: who has it can post."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage
from math import isnan
from typing import Any, Final
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from tcdatalogger import __version__
from tcdatalogger.observability.redact import register

SECONDS: Final = 10.0
"""Seconds that one post may take."""
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_TOO_MANY: Final = 429
_LONGEST: Final = 3600.0
_TOKEN: Final = 16
"""A part of the address of this many characters or more counts as a secret by itself."""


@dataclass(frozen=True, slots=True)
class Posted:
    """The result of a post.

    Attributes:
        why: why the post was not accepted, "" where it was; the address is never in it.
        wait: seconds to wait before the next post, as the server asks; 0 where it does not say.
    """

    why: str = ""
    wait: float = 0.0


@dataclass(frozen=True, slots=True)
class Attached:
    """A file of a message.

    Attributes:
        name: of the file; letters, digits, hyphens and points.
        kind: its media type, as `image/png`.
        data: its bytes.
    """

    name: str
    kind: str
    data: bytes


def post(address: str, body: Mapping[str, Any], files: Sequence[Attached] = ()) -> Posted:
    """Post JSON once, with files if there are some; nothing is raised.

    Args:
        address: where to post; it is hidden in all logs from now on.
        body: what to post.
        files: what goes with it; then all of it is a form, as Discord wants it.

    Returns what the server said to it, and what went wrong.
    """
    hide(address)
    try:
        parts = urlsplit(address)
    except ValueError:
        return Posted("its address is none")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        return Posted("its address does not begin with https://")
    kind, data = _form(body, files) if files else ("application/json", json.dumps(body).encode())
    headers = {"Content-Type": kind, "User-Agent": f"TCdatalogger/{__version__}"}
    try:
        request = Request(  # noqa: S310  # its scheme is looked at above
            address, data=data, headers=headers, method="POST"
        )
        with build_opener(_Stay).open(request, timeout=SECONDS) as answer:
            answer.read(1)
    except HTTPError as error:
        with error:
            wait = _wait(error) if error.code == _TOO_MANY else 0.0
            return Posted(f"it answered {error.code}", wait)
    # The text of such an error may hold the address, so the result has its class alone.
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        return Posted(f"it cannot be reached: {type(reason).__name__}")
    return Posted()


def _form(body: Mapping[str, Any], files: Sequence[Attached]) -> tuple[str, bytes]:
    """A form with a message and files: its media type, and its bytes."""
    border = secrets.token_hex(16)
    parts = [('name="payload_json"', "application/json", json.dumps(body).encode())]
    parts += [
        (f'name="files[{at}]"; filename="{file.name}"', file.kind, file.data)
        for at, file in enumerate(files)
    ]
    lines = []
    for name, kind, data in parts:
        head = (f"--{border}", f"Content-Disposition: form-data; {name}", f"Content-Type: {kind}")
        lines += [*(line.encode() for line in head), b"", data]
    lines += [f"--{border}--".encode(), b""]
    return f"multipart/form-data; boundary={border}", b"\r\n".join(lines)


def hide(address: str) -> None:
    """Hide an address in all logs, and its long parts too."""
    register(address)
    for part in address.split("/"):
        if len(part) >= _TOKEN:
            register(part)


class _Stay(HTTPRedirectHandler):
    """Follows no redirect: the body is for the given address alone."""

    def redirect_request(
        self, req: Request, fp: Any, code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        del req, fp, code, msg, headers, newurl
        return None


def _wait(error: HTTPError) -> float:
    """Seconds to wait: by the body, where Discord gives fractions, or by the header."""
    try:
        said = json.loads(error.read(4096)).get("retry_after")
    except (ValueError, AttributeError, OSError, HTTPException):
        said = None
    for each in (said, error.headers.get("Retry-After")):
        try:
            seconds = float(each)  # type: ignore[arg-type]  # None is one too
        except (TypeError, ValueError):
            continue
        if not isnan(seconds):
            return min(max(seconds, 0.0), _LONGEST)
    return 0.0
