"""The time field of each list: the field that its `from`, `to` and `sort` compare."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any, Final

OVERLAP: Final = 60.0
"""Seconds that a run goes back behind its cursor: Torn does not promise that bounds are inclusive,
and a row may be written a little after its own time."""

_DAY: Final = 86_400.0


def field(path: str) -> tuple[str, ...]:
    """The path from a row to its time field; empty for a list without one.

    Args:
        path: a path of the catalogue, as `/faction/attacks`.
    """
    name = _data()["field"].get(path, "")
    return tuple(name.split(".")) if name else ()


def settles(path: str) -> float:
    """Seconds after its time within which a row of this path may change or appear."""
    return float(_data()["settles"].get(path, 0)) * _DAY or OVERLAP


def paths() -> frozenset[str]:
    """All paths whose time field is known."""
    return frozenset(_data()["field"])


@cache
def _data() -> dict[str, dict[str, Any]]:
    return tomllib.loads(files(__package__).joinpath("clocks.toml").read_text("utf-8"))
