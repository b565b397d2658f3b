"""The clock of a list by time: the field that its `from`, `to` and `sort` go by."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any, Final

OVERLAP: Final = 60.0
"""Seconds that a run goes back behind its cursor: cursors are inclusive on no account that we could
prove, and a row may be written a little after its own time."""

_DAY: Final = 86_400.0


def field(path: str) -> tuple[str, ...]:
    """The way from a row to its clock; empty for a list that has none.

    Args:
        path: of the catalogue, as `/faction/attacks`.
    """
    name = _data()["field"].get(path, "")
    return tuple(name.split(".")) if name else ()


def settles(path: str) -> float:
    """Seconds after its clock within which a row of this path may still change or appear."""
    return float(_data()["settles"].get(path, 0)) * _DAY or OVERLAP


def paths() -> frozenset[str]:
    """All paths whose clock is known."""
    return frozenset(_data()["field"])


@cache
def _data() -> dict[str, dict[str, Any]]:
    return tomllib.loads(files(__package__).joinpath("clocks.toml").read_text("utf-8"))
