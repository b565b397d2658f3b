"""An answer as one picture: SVG, 900 units wide."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tcdatalogger.questions.answers import Answer
from tcdatalogger.questions.numbers import moment, number
from tcdatalogger.questions.pictures import curves, grids, letters, rows, tiles
from tcdatalogger.questions.pictures.canvas import LEFT, RIGHT, SIZE, SMALL, Canvas
from tcdatalogger.questions.pictures.cells import Cells
from tcdatalogger.questions.pictures.colours import DARK, LIGHT
from tcdatalogger.questions.question import Chart

_Draw = Callable[[Canvas, Cells, float], tuple[float, list[str]]]

_KINDS: Final[dict[str, _Draw]] = {
    "tiles": tiles.draw,
    "list": rows.draw,
    "table": rows.draw,
    "bars": rows.draw,
    "stack": rows.draw,
    "line": curves.draw,
    "heat": grids.draw,
    "matrix": grids.draw,
}
_TITLE: Final = 23.0
_NOTES: Final = 3
"""Lines of what is said below."""


def svg(answer: Answer, *, dark: bool = False) -> str:
    """The picture of an answer.

    Names of players stand in it: every text is escaped.

    Args:
        answer: to a question; one without rows says so.
        dark: whether it is for a dark page.
    """
    canvas = Canvas(DARK if dark else LIGHT)
    y = _head(canvas, answer)
    y, notes = _body(canvas, answer, y + 16)
    y = _foot(canvas, answer, notes, y + 14)
    return canvas.svg(y, answer.question.title, _says(answer))


def _head(canvas: Canvas, answer: Answer) -> float:
    room, y = RIGHT - LEFT, 28.0
    for line in letters.wrapped(letters.clean(answer.question.title), room, _TITLE, 2, bold=True):
        y += 28
        canvas.text(LEFT, y, line, size=_TITLE, bold=True)
    y += 4
    for line in letters.wrapped(letters.clean(answer.caption), room, SIZE, 3):
        y += 20
        canvas.text(LEFT, y, line, fill=canvas.colours.mute)
    return y


def _body(canvas: Canvas, answer: Answer, top: float) -> tuple[float, list[str]]:
    if answer.rows is None or not answer.rows.num_rows:
        canvas.text(LEFT, top + 34, _nothing(answer), bold=True)
        return top + 48, []
    cells = Cells(answer, answer.rows)
    return _drawer(cells)(canvas, cells, top)


def _nothing(answer: Answer) -> str:
    blocking = next((lack.says for lack in answer.lacks if lack.blocks), "")
    if blocking:
        return blocking
    return "Nothing is stored for it yet." if answer.rows is None else "Nothing: no rows."


def _drawer(cells: Cells) -> _Draw:
    """What draws a chart: a table where the answer lacks a column that the chart names, and where
    a line has no number, as a page does.
    """
    chart: Chart = cells.chart
    if not {*chart.columns} <= {*cells.names} or (not chart.values and chart.kind != "list"):
        return rows.draw
    if chart.kind in {"heat", "matrix"} and not (chart.label and chart.across):
        return rows.draw
    drawn = (number(row[name]) for row in cells.rows for name in chart.values)
    if chart.kind == "line" and all(value is None for value in drawn):
        return rows.draw
    if chart.kind in {"bars", "stack"} and (chart.series or cells.is_time(chart.label)):
        return curves.draw
    return _KINDS[chart.kind]


def _foot(canvas: Canvas, answer: Answer, notes: list[str], top: float) -> float:
    mute, y = canvas.colours.mute, top
    lines = [
        line
        for note in notes
        for line in letters.wrapped(letters.clean(note), RIGHT - LEFT, SMALL, 2)
    ]
    for line in lines[:_NOTES]:
        y += 18
        canvas.text(LEFT, y, line, size=SMALL, fill=mute)
    for lack in [lack for lack in answer.lacks if not lack.blocks][:2]:
        for at, line in enumerate(
            letters.wrapped(letters.clean(f"▲ {lack.says}"), RIGHT - LEFT, SMALL, 2)
        ):
            y += 18
            canvas.text(LEFT + 14 * bool(at), y, line, size=SMALL, fill=canvas.colours.warn)
    y += 30
    canvas.text(LEFT, y, f"TCdatalogger · ask {answer.question.name}", size=SMALL, fill=mute)
    canvas.text(RIGHT, y, as_of(answer), size=SMALL, fill=mute, anchor="end")
    return y + 24


def as_of(answer: Answer) -> str:
    """The moment of an answer: `As of 14 Sep 2026, 23:00 TCT`; "" where there is none."""
    until = answer.until
    return "" if until is None else f"As of {moment(until)} TCT"


def _says(answer: Answer) -> str:
    count = 0 if answer.rows is None else answer.rows.num_rows
    return f"{answer.caption} {count:,} rows. {as_of(answer)}".strip()
