"""The time field of each list: the field that its `from`, `to` and `sort` compare."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

from tcdatalogger.models.schema import TableFamily

OVERLAP: Final = 60.0
"""Seconds that a run goes back behind its cursor: Torn does not promise that bounds are inclusive,
and a row may be written a little after its own time."""

RESTATES: Final[Mapping[str, str]] = {
    "relative": "timestamp",  # of a member's last action, as "2 minutes ago"
    "time_left": "arrival_at",  # of a flight, in seconds
}
"""A field that says a time once more, reckoned from the moment of the answer, and the field beside
it that has this time. It differs in each answer, and nothing has happened. The description of a
status is none: "In hospital for 12 minutes" does, but "Returning from Mexico" is news."""

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


def restated(family: TableFamily) -> list[str]:
    """The columns of a family that only restate a time, each with its table: `table.column`."""
    return [
        f"{table.name}.{column.name}"
        for table in family.tables
        for column in table.data_columns
        if column.path
        and (beside := RESTATES.get(column.path[-1]))
        and any(
            (c.level, c.path) == (column.level, (*column.path[:-1], beside))
            for c in table.data_columns
        )
    ]


def paths() -> frozenset[str]:
    """All paths whose time field is known."""
    return frozenset(_data()["field"])


@cache
def _data() -> dict[str, dict[str, Any]]:
    return tomllib.loads(files(__package__).joinpath("clocks.toml").read_text("utf-8"))
