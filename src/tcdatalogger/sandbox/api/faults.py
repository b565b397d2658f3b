"""Faults of Torn that tests and people can plant: by rate, or for a number of calls."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tcdatalogger.sandbox.api.errors import Refusal
from tcdatalogger.sandbox.world.php_json import encode
from tcdatalogger.sandbox.world.rng import unit

KINDS = {
    "error": "one of Torn's errors, `code`, with HTTP 200",
    "http": "an HTTP `status` (401, 403, 429, 500, 502, 503); 429 with `retry_after`",
    "empty": "HTTP 200 without a body",
    "truncated": "HTTP 200 with the first half of the body",
    "cut": "the connection ends in the middle of the body",
    "reset": "the connection is reset before any answer",
    "inside": "`code` in place of the first thing in the body",
    "map": "the first list of the body as a map",
    "delay": "the right answer, after `seconds`",
}

_PAGES = {
    401: "Authorization Required",
    403: "Forbidden",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Temporarily Unavailable",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Attributes:
        kind: one of `KINDS`.
        code: Torn's error, for the kinds `error` and `inside`.
        status: the HTTP status, for the kind `http`.
        retry_after: the header of that name, "" for none.
        times: how many calls it hits, None for no end.
        after: how many matching calls pass before the first hit.
        rate: the share of the matching calls that it hits, from 0 to 1.
        path: it hits only calls of this path or below it; "" for all paths.
        key: it hits only calls with the key of this name; "" for all keys.
        seconds: real seconds to wait before the answer.
    """

    kind: str
    code: int = 17
    status: int = 502
    retry_after: str = ""
    times: int | None = None
    after: int = 0
    rate: float = 1.0
    path: str = ""
    key: str = ""
    seconds: float = 0.0

    def meets(self, path: str, key: str) -> bool:
        """Whether a call of this path with the key of this name can be hit."""
        below = self.path.rstrip("/") + "/"
        return (not self.path or path == self.path or path.startswith(below)) and (
            not self.key or key == self.key
        )


def fault(facts: Mapping[str, Any]) -> Fault:
    """A fault from plain facts, as the control plane takes them.

    Raises:
        ValueError: a name is unknown, or a value is out of range.
    """
    unknown = set(facts) - set(Fault.__dataclass_fields__)
    if unknown or facts.get("kind") not in KINDS:
        raise ValueError(
            f"a fault has {', '.join(Fault.__dataclass_fields__)}; kind: {sorted(KINDS)}"
        )
    made = Fault(**facts)
    if made.kind == "http" and made.status not in _PAGES:
        raise ValueError(f"status is one of {sorted(_PAGES)}")
    if not 0 <= made.rate <= 1:
        raise ValueError("rate is a share from 0 to 1")
    return made


class Faults:
    """The planted faults, in order: a call gets the first fault that hits it."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._calls = 0
        self._faults: list[Fault] = []

    def __len__(self) -> int:
        return len(self._faults)

    def add(self, fault: Fault) -> None:
        """Plant a fault after those that are there."""
        self._faults.append(fault)

    def clear(self) -> None:
        """Take all faults away."""
        self._faults.clear()

    def strike(self, path: str, key: str) -> Fault | None:
        """The fault that hits this call, None for none; counts down `after` and `times`."""
        self._calls += 1
        for place, fault in enumerate(self._faults):
            if not fault.meets(path, key):
                continue
            if fault.after:
                self._faults[place] = replace(fault, after=fault.after - 1)
                continue
            if unit(self._seed, "fault", self._calls, place) >= fault.rate:
                continue
            if fault.times is not None:
                self._faults[place] = replace(fault, times=fault.times - 1)
                if fault.times <= 1:
                    del self._faults[place]
            return fault
        return None


def http_page(status: int) -> bytes:
    """The HTML page that a proxy in front of Torn sends with this status."""
    title = f"{status} {_PAGES[status]}"
    return (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1>"
        f"</center>\r\n<hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n"
    ).encode()


def spoil(fault: Fault, body: bytes) -> bytes:
    """The body of a good answer, damaged by this fault.

    Raises:
        Refusal: the fault is of the kind `error`.
    """
    match fault.kind:
        case "error":
            raise Refusal(fault.code)
        case "empty":
            return b""
        case "truncated":
            return body[: len(body) // 2]
        case "inside":
            whole = json.loads(body)
            first = next(name for name in whole if name != "_metadata")
            whole[first] = {"code": fault.code, "error": str(Refusal(fault.code))}
            return encode(whole)
        case "map":
            return encode(_mapped(json.loads(body)))
        case _:
            return body


def _mapped(whole: dict[str, Any]) -> dict[str, Any]:
    """The first list of records as a map from their ids, as some v1 selections answer."""
    for name, value in whole.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            rows = {str(row.get("id", place)): row for place, row in enumerate(value)}
            return {**whole, name: rows}
    return whole
