"""An answer as a table for people: what `ask` and the demo print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tcdatalogger.questions.answers import Answer

BAR: Final = 16
"""Letters of the longest bar."""


def as_table(answer: Answer, most: int) -> tuple[list[str], list[list[str]], list[bool]]:
    """The columns of an answer, its first rows as people read them, and which columns have numbers.

    A chart of bars has a column of bars.

    Args:
        answer: the answer; one without rows has no columns.
        most: rows, at most.
    """
    from tcdatalogger.questions.numbers import is_numeric, shown

    if answer.rows is None:
        return [], [], []
    names, units = answer.names, answer.question.units
    rows = answer.rows.select(names).slice(0, most).to_pylist()
    bars = _bars(answer, rows)
    cells = [[shown(row[name], units.get(name)) for name in names] for row in rows]
    numeric = [is_numeric(units.get(name), (row[name] for row in rows)) for name in names]
    if not bars:
        return names, cells, numeric
    lines = [[*line, bar] for line, bar in zip(cells, bars, strict=True)]
    return [*names, ""], lines, [*numeric, False]


def _bars(answer: Answer, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """A bar for each row, as long as its first drawn value is large; none for other charts."""
    from tcdatalogger.questions.numbers import number

    chart = answer.question.chart
    if chart.kind not in {"bars", "stack"} or not chart.values:
        return []
    values = [number(row[chart.values[0]]) or 0.0 for row in rows]
    most = max(map(abs, values), default=0.0)
    if not most:
        return []
    return [("█" if value > 0 else "░") * round(BAR * abs(value) / most) for value in values]
