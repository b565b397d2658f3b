"""An answer as a table for people: what `ask` and the demo print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tcdatalogger.questions.answers import Answer
    from tcdatalogger.questions.question import Question

BAR: Final = 16
"""Letters of the longest bar."""


def as_table(answer: Answer, most: int) -> tuple[list[str], list[list[str]]]:
    """The columns of an answer and its first rows, as people read them.

    The column that names a row is the first. Ids that only make links are left out; a chart of bars
    has a column of bars.

    Args:
        answer: the answer; one without rows has no columns.
        most: rows, at most.
    """
    from tcdatalogger.questions.numbers import shown

    asked = answer.question
    if answer.rows is None:
        return [], []
    hidden = set(asked.links.values())
    names = _in_order(asked, [name for name in answer.rows.column_names if name not in hidden])
    rows = answer.rows.select(names).slice(0, most).to_pylist()
    bars = _bars(answer, rows)
    cells = [[shown(row[name], asked.units.get(name)) for name in names] for row in rows]
    if not bars:
        return names, cells
    return [*names, ""], [[*line, bar] for line, bar in zip(cells, bars, strict=True)]


def _in_order(asked: Question, names: Sequence[str]) -> list[str]:
    """The column that names a row first."""
    first = [asked.chart.label] if asked.chart.label in names else []
    return [*first, *(name for name in names if name not in first)]


def _bars(answer: Answer, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """A bar for each row, as long as its first drawn value is large; none for other charts."""
    chart = answer.question.chart
    if chart.kind not in {"bars", "stack"} or not chart.values:
        return []
    values = [float(row[chart.values[0]] or 0) for row in rows]
    most = max(map(abs, values), default=0.0)
    if not most:
        return []
    return [("█" if value > 0 else "░") * round(BAR * abs(value) / most) for value in values]
