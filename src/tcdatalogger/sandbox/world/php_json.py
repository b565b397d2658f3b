r"""JSON as PHP's `json_encode` writes it, because that is what Torn runs.

Compact, slashes escaped, everything outside ASCII as `\uXXXX`, and a fraction that happens to be
whole loses its point: 100.0 is sent as 100. A reader that types columns by what it sees is caught
out by that, so the sandbox does it too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

_encoder = json.JSONEncoder(separators=(",", ":"))


def encode(value: Any) -> bytes:
    """`value` as bytes; fractions are passed through `number` first where they may be whole."""
    return _encoder.encode(value).replace("/", "\\/").encode("ascii")


def number(value: float) -> float | int:
    """A fraction as PHP would print it."""
    return int(value) if value == int(value) else value


def array(rows: Iterable[bytes]) -> bytes:
    """A list of values that are encoded already."""
    return b"[" + b",".join(rows) + b"]"
