"""Values as people read them: `$51.8m`, `61 %`, `3.2 d`; the exact one stands in CSV."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from tcdatalogger.questions.question import Unit

WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
HOURS: Final = 24
"""Hours of a day."""
RATINGS: Final = ("good", "warn", "bad")
_NUMERIC: Final[frozenset[Unit]] = frozenset(
    {"money", "dollars", "count", "percent", "days", "hours", "seconds", "respect", "number"}
)
"""Units of numbers."""

_STEPS: Final = ((1e12, "t"), (1e9, "b"), (1e6, "m"), (1e3, "k"))
_SMALL: Final = 10_000
"""Numbers below this are written in full."""
_COUNTS: Final = 1_000_000
"""Counts below this are written in full."""
_FLAT: Final = 0.6
"""The share of its highest value above which all of a line is to lie for an axis without zero."""
_WHOLE: Final = ((99.95, 0), (9.995, 1))
"""From which size on three figures have how many behind the point."""


def shown(value: Any, unit: Unit | None = None) -> str:
    """A value in a table or beside a bar; "" for null.

    Args:
        value: of a row.
        unit: what its column counts; None for what the value itself says.
    """
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case datetime():
            return f"{value:%Y-%m-%d %H:%M}"
        case date():
            return value.isoformat()
        case int() | float() if unit == "weekday":
            return WEEKDAYS[int(value) % 7]
        case int() if unit == "id":
            return str(value)
        case int() | float():
            return _number(value, unit)
        case Decimal():
            return _number(float(value), unit)
        case _:
            return str(value)


def in_full(value: Any, unit: Unit | None = None) -> str:
    """A value with all its digits, for what is shown where somebody points at it."""
    if (
        isinstance(value, int | float | Decimal)
        and not isinstance(value, bool)
        and unit not in {"weekday", "id"}
    ):
        sign = "$" if unit in {"money", "dollars"} else ""
        return f"{'-' if value < 0 else ''}{sign}{abs(value):,}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S} TCT"
    return shown(value, unit)


def heading(name: str) -> str:
    """The name of a column in words."""
    return name.replace("_", " ").strip()


def moment(value: datetime) -> str:
    """A moment in words: `5 Jan 2026, 18:00`."""
    return f"{value.day} {value:%b %Y, %H:%M}"


def rating(text: str) -> tuple[str, str]:
    """The tone of a rating, one of `RATINGS`, and its words; "" and all of a text that is none."""
    tone, _, words = text.partition(":")
    return (tone, words.strip() or tone) if tone in RATINGS else ("", text)


def number(value: Any) -> float | None:
    """A value as a number that can be drawn; None for all else."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    found = value if isinstance(value, int) else float(value)
    return found if math.isfinite(found) else None


def from_zero(low: float, high: float) -> bool:
    """Whether the axis of lines from `low` to `high` begins at zero: not where one is below it, nor
    where all lie so far above it that nobody would see them move.
    """
    return low >= 0 and (low <= _FLAT * high or low == high)


def are_hours(name: str, values: Collection[Any]) -> bool:
    """Whether values are hours of a day: those of a column `hour`, from 0 to 23."""
    return name == "hour" and all(isinstance(each, int) and 0 <= each < HOURS for each in values)


def is_numeric(unit: Unit | None, values: Iterable[Any]) -> bool:
    """Whether a column has numbers: its unit says it, or without a unit its values."""
    if unit is not None:
        return unit in _NUMERIC
    return any(number(value) is not None for value in values)


def _number(value: float, unit: Unit | None) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "-"
    if unit == "percent":
        return f"{100 * value:.0f} %"
    if unit == "days":
        return f"{_figures(value)} d"
    if unit == "hours":
        return f"{_figures(value)} h"
    if unit == "seconds":
        return f"{_figures(value)} s"
    if unit == "money":
        return f"{'-' if value < 0 else ''}${short(abs(value))}"
    if unit == "dollars":
        return in_full(value, unit)
    if isinstance(value, int):
        return f"{value:,}" if abs(value) < _COUNTS else short(value)
    return _figures(value) if abs(value) < _SMALL else short(value)


def short(value: float) -> str:
    """Three figures and a letter: `51.8m`, `72.0k`; numbers below 10,000 without a letter."""
    size = abs(value)
    for step, letter in _STEPS:
        if size >= max(step * 0.9995, _SMALL):
            return f"{_three(value / step)}{letter}"
    return _figures(value)


def _figures(value: float) -> str:
    if value == int(value):
        return f"{int(value):,}"
    return _three(value) if abs(value) < _WHOLE[0][0] else f"{value:,.0f}"


def _three(value: float) -> str:
    """Three figures."""
    places = next((places for size, places in _WHOLE if abs(value) >= size), 2)
    return f"{value:.{places}f}"


def thinned(points: Sequence[tuple[float, float]], most: int) -> Sequence[tuple[float, float]]:
    """Fewer points: of each stretch the lowest and the highest, so that no peak is lost.

    Args:
        points: by their places, from left to right.
        most: how many are drawn, and two more.
    """
    if len(points) <= most:
        return points
    step = math.ceil(2 * len(points) / most)
    kept: set[tuple[float, float]] = {points[0], points[-1]}
    for at in range(0, len(points), step):
        stretch = points[at : at + step]
        kept |= {min(stretch, key=lambda each: each[1]), max(stretch, key=lambda each: each[1])}
    return sorted(kept)
