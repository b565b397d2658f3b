"""The rows of an answer as a picture reads them: columns, headings, numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

from tcdatalogger.questions.answers import Answer
from tcdatalogger.questions.numbers import shown
from tcdatalogger.questions.question import Unit

_NUMBERS: Final = frozenset(
    {"money", "count", "percent", "days", "hours", "seconds", "respect", "number"}
)


class Cells:
    """The answer to a question, for a picture.

    Args:
        answer: with rows.
    """

    def __init__(self, answer: Answer, rows: pa.Table) -> None:
        self.question = answer.question
        self.chart = answer.question.chart
        hidden = set(answer.question.links.values())
        self.names = [name for name in rows.column_names if name not in hidden]
        self.rows: list[dict[str, Any]] = rows.select(self.names).to_pylist()

    def unit(self, name: str) -> Unit | None:
        """What a column counts."""
        return self.question.units.get(name)

    def is_number(self, name: str) -> bool:
        """Whether a column has numbers."""
        unit = self.unit(name)
        if unit is not None:
            return unit in _NUMBERS
        known = [row[name] for row in self.rows if row[name] is not None]
        return bool(known) and all(number(value) is not None for value in known)

    def is_time(self, name: str) -> bool:
        """Whether a column has days or moments."""
        known = [row[name] for row in self.rows if row[name] is not None]
        return bool(known) and all(isinstance(value, date) for value in known)

    def shown(self, row: dict[str, Any], name: str) -> str:
        """A value as people read it."""
        return shown(row[name], self.unit(name))

    def said(self, value: Any, name: str) -> str:
        """A value of a column as people read it."""
        return shown(value, self.unit(name))


def heading(name: str) -> str:
    """The name of a column in words."""
    return name.replace("_", " ").strip()


def number(value: Any) -> float | None:
    """A value as a number that can be drawn; None for all else."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    found = float(value)
    return found if math.isfinite(found) else None


def distinct(values: Sequence[Any]) -> list[Any]:
    """The values once, in the order in which they come; without null."""
    return [value for value in dict.fromkeys(values) if value is not None]


def day(value: Any) -> str:
    """A day or a moment in few letters: `14 Sep`, `14 Sep 23:00`."""
    if isinstance(value, datetime):
        return f"{value.day} {value:%b %H:%M}"
    return f"{value.day} {value:%b}"


def more(count: int, what: str = "") -> str:
    """What is said of what is left out."""
    return f"… and {count:,} more{f' {what}' if what else ''}"
