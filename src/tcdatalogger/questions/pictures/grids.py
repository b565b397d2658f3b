"""Pictures of rows and columns whose cells have colours: heat maps and matrices."""

from __future__ import annotations

from typing import Any, Final

from tcdatalogger.questions.numbers import HOURS, WEEKDAYS, are_hours, heading, number
from tcdatalogger.questions.pictures import letters
from tcdatalogger.questions.pictures.canvas import LEFT, RIGHT, SIZE, SMALL, Canvas
from tcdatalogger.questions.pictures.cells import Cells, distinct, more

_ROWS: Final = 24
_HEAT: Final = 53
"""Columns of a heat map."""
_MATRIX: Final = 14
"""Columns of a matrix."""
_LABEL: Final = 190.0
_STEPS: Final = 9
"""Colours of the key."""
_ALL_NAMED: Final = 12
"""Columns that all have their names where there is room; of more every third one has."""
_TURNED: Final = 70.0
"""Room for turned names of columns."""


def draw(canvas: Canvas, cells: Cells, top: float) -> tuple[float, list[str]]:
    """Draw a heat map or a matrix.

    Returns where the drawing ends, and what is to be said below it.
    """
    chart, heat = cells.chart, cells.chart.kind == "heat"
    value = chart.values[0]
    found = {(row[chart.label], row[chart.across]): row[value] for row in reversed(cells.rows)}
    rows = _rows(cells)
    columns = _columns(cells)
    known = [n for n in map(number, found.values()) if n is not None]
    ends = (min(known, default=0.0), max(known, default=0.0))
    labels = [letters.clean(cells.said(each, chart.label)) for each in rows[:_ROWS]]
    left = LEFT + 14 + min(max((letters.width(t, SIZE) for t in labels), default=0), _LABEL)
    shown = columns[: _HEAT if heat else _MATRIX]
    names = [letters.clean(cells.said(each, chart.across)) for each in shown]
    turned = max(letters.width(name, SMALL) for name in names) > (RIGHT - left) / len(shown) - 6
    turned = turned and not _thin(cells, shown)
    wide = (RIGHT - left - (_TURNED * 0.7 if turned else 0)) / max(len(shown), 1 if heat else 5)
    high = min(max(wide, 24.0), 32.0)
    y = _names(canvas, names, left, wide, top, turned=turned, thin=_thin(cells, shown))
    for label, key in zip(labels, rows, strict=False):
        canvas.text(left - 12, y + high / 2 + 5, label, anchor="end", most=_LABEL)
        for at, across in enumerate(shown):
            box = (left + at * wide, y, wide - 3, high - 3)
            _cell(canvas, cells, found.get((key, across)), box, ends)
        y += high
    y += 12
    if heat:
        _key(canvas, cells, ends, left, y)
        y += 18
    return y, _notes(cells, rows, columns, shown, found)


def _rows(cells: Cells) -> list[Any]:
    if cells.unit(cells.chart.label) == "weekday":
        return list(range(len(WEEKDAYS)))
    return distinct([row[cells.chart.label] for row in cells.rows])


def _columns(cells: Cells) -> list[Any]:
    """The columns in their order: of hours all, of other whole numbers those between them too."""
    found = distinct([row[cells.chart.across] for row in cells.rows])
    if not found or not all(isinstance(each, int) for each in found):
        return found if cells.chart.kind == "matrix" else sorted(found, key=str)
    if are_hours(cells.chart.across, found):
        return list(range(HOURS))
    if cells.chart.kind == "heat" and max(found) - min(found) < _HEAT:
        return list(range(min(found), max(found) + 1))
    return sorted(found)


def _thin(cells: Cells, shown: list[Any]) -> bool:
    """Whether only some columns are named: numbers that follow each other."""
    return cells.chart.kind == "heat" and all(isinstance(each, int) for each in shown)


def _names(
    canvas: Canvas, names: list[str], left: float, wide: float, top: float, *,
    turned: bool, thin: bool,
) -> float:  # fmt: skip
    widest = max((letters.width(name, SMALL) for name in names), default=0.0)
    every = 1 if not thin or (widest < wide - 4 and len(names) <= _ALL_NAMED) else 3
    y = top + (_TURNED if turned else 12)
    for at, name in enumerate(names):
        middle = left + at * wide + (wide - 3) / 2
        mute = canvas.colours.mute
        if turned:
            canvas.text(middle, y, name, size=SMALL, fill=mute, most=_TURNED * 1.25, turned=-45)
        elif at % every == 0:
            canvas.text(middle, y, name, size=SMALL, fill=mute, anchor="middle")
    return y + 10


def _cell(
    canvas: Canvas, cells: Cells, value: Any, box: tuple[float, float, float, float],
    ends: tuple[float, float],
) -> None:  # fmt: skip
    amount = number(value)
    if amount is None:
        canvas.frame(*box, round_=4)
        if value is not None:
            canvas.text(box[0] + box[2] / 2, box[1] + box[3] / 2 + 4, str(value),
                        size=SMALL, anchor="middle", most=box[2] - 6)  # fmt: skip
        return
    fill = canvas.colours.of_share(_share(amount, ends))
    canvas.box(*box, fill, round_=4)
    if cells.chart.kind == "matrix":
        text = cells.said(value, cells.chart.values[0])
        canvas.text(
            box[0] + box[2] / 2, box[1] + box[3] / 2 + 4.5, text,
            size=SMALL, fill=canvas.colours.on(fill), anchor="middle", most=box[2] - 4,
        )  # fmt: skip


def _share(value: float, ends: tuple[float, float]) -> float:
    low, high = ends
    return (value - low) / (high - low) if high > low else 0.75


def _key(canvas: Canvas, cells: Cells, ends: tuple[float, float], left: float, y: float) -> None:
    """What the colours mean."""
    name, mute = cells.chart.values[0], canvas.colours.mute
    low, high = (cells.said(_whole(end), name) for end in ends)
    canvas.text(left, y + 10, low, size=SMALL, fill=mute)
    x = left + letters.width(low, SMALL) + 8
    for step in range(_STEPS):
        canvas.box(x, y, 20, 11, canvas.colours.of_share(step / (_STEPS - 1)), round_=2)
        x += 22
    canvas.text(x + 6, y + 10, f"{high} {heading(name)}", size=SMALL, fill=mute, most=RIGHT - x)


def _whole(value: float) -> float:
    return int(value) if value == int(value) else value


def _notes(
    cells: Cells, rows: list[Any], columns: list[Any], shown: list[Any],
    found: dict[tuple[Any, Any], Any],
) -> list[str]:  # fmt: skip
    notes = []
    if len(rows) > _ROWS:
        notes.append(more(len(rows) - _ROWS, "rows"))
    if len(columns) > len(shown):
        notes.append(more(len(columns) - len(shown), "columns"))
    empty = any((row, column) not in found for row in rows[:_ROWS] for column in shown)
    if empty and cells.chart.kind == "heat":
        notes.append("An empty frame: nothing was counted.")
    return notes
