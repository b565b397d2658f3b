"""Posts to a webhook. Its address is a secret: whoever has it may post."""

from __future__ import annotations

import json
from collections.abc import Mapping
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
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_TOO_MANY: Final = 429
_LONGEST: Final = 3600.0
_TOKEN: Final = 16
"""Parts of an address from this length on are taken for secrets by themselves."""


@dataclass(frozen=True, slots=True)
class Posted:
    """What became of a post.

    Attributes:
        why: it was not taken, "" where it was; never with the address in it.
        wait: seconds that the other side wants us to wait, 0 where it does not say.
    """

    why: str = ""
    wait: float = 0.0


def post(address: str, body: Mapping[str, Any]) -> Posted:
    """Post JSON once. Nothing is raised: who tells of an alert has nobody to tell of a failure."""
    hide(address)
    try:
        parts = urlsplit(address)
    except ValueError:
        return Posted("its address is none")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        return Posted("its address does not begin with https://")
    headers = {"Content-Type": "application/json", "User-Agent": f"TCdatalogger/{__version__}"}
    try:
        request = Request(  # noqa: S310  # its scheme is looked at above
            address, data=json.dumps(body).encode(), headers=headers, method="POST"
        )
        with build_opener(_Stay).open(request, timeout=SECONDS) as answer:
            answer.read(1)
    except HTTPError as error:
        with error:
            wait = _wait(error) if error.code == _TOO_MANY else 0.0
            return Posted(f"it answered {error.code}", wait)
    # The texts of these may hold the address, so only their kind is told.
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        return Posted(f"it cannot be reached: {type(reason).__name__}")
    return Posted()


def hide(address: str) -> None:
    """Keep an address out of every log, and so what of it is a secret by itself."""
    register(address)
    for part in address.split("/"):
        if len(part) >= _TOKEN:
            register(part)


class _Stay(HTTPRedirectHandler):
    """Follows nobody: the body is for the one whose address was given."""

    def redirect_request(
        self, req: Request, fp: Any, code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        del req, fp, code, msg, headers, newurl
        return None


def _wait(error: HTTPError) -> float:
    """Seconds, by the header or, as Discord has it with fractions, by the body."""
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
