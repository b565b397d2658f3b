r"""JSON as PHP's `json_encode` writes it, because Torn runs PHP.

It is compact, slashes are escaped, characters outside ASCII are `\uXXXX`, and a whole decimal
loses its point: 100.0 is sent as 100. A reader that takes types from values can fail at that, so
the sandbox does the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

_encoder = json.JSONEncoder(separators=(",", ":"))


def encode(value: Any) -> bytes:
    """`value` as JSON bytes; callers pass decimals that may be whole through `number` first."""
    return _encoder.encode(value).replace("/", "\\/").encode("ascii")


def number(value: float) -> float | int:
    """A decimal as PHP prints it: a whole one becomes an integer."""
    return int(value) if value == int(value) else value


def array(rows: Iterable[bytes]) -> bytes:
    """A JSON list of values that are JSON bytes already."""
    return b"[" + b",".join(rows) + b"]"
