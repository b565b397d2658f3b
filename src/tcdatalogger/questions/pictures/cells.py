"""The rows of an answer as a picture reads them: columns and values."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import pyarrow as pa

from tcdatalogger.questions.answers import Answer
from tcdatalogger.questions.numbers import is_numeric, shown
from tcdatalogger.questions.question import Unit


class Cells:
    """The answer to a question, for a picture.

    Args:
        answer: with rows.
    """

    def __init__(self, answer: Answer, rows: pa.Table) -> None:
        self.question = answer.question
        self.chart = answer.question.chart
        self.names = answer.names
        self.rows: list[dict[str, Any]] = rows.select(self.names).to_pylist()

    def unit(self, name: str) -> Unit | None:
        """What a column counts."""
        return self.question.units.get(name)

    def is_number(self, name: str) -> bool:
        """Whether a column has numbers."""
        return is_numeric(self.unit(name), (row[name] for row in self.rows))

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
