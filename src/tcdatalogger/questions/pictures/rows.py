"""Pictures whose rows are lines of text: lists, tables, and bars beside names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from tcdatalogger.questions.numbers import heading, number, rating, shown
from tcdatalogger.questions.pictures import letters
from tcdatalogger.questions.pictures.canvas import LEFT, RIGHT, SIZE, SMALL, Canvas
from tcdatalogger.questions.pictures.cells import Cells, more

MOST: Final = 20
"""Rows of a picture."""
_HIGH: Final = 30.0
"""Of a row of one line."""
_NEXT: Final = 19.0
"""By how much each further line makes a row higher."""
_GAP: Final = 22.0
"""Between two columns, at least."""
_LABEL: Final = 230.0
"""How wide the first column is at most."""
_TEXT: Final = 180.0
"""How wide the others are at most."""
_BAR: Final = 280.0
"""How wide bars are at least."""
_HEAD: Final = 84.0
"""How wide a line of a heading is, where the cells are narrower."""
_HEADS: Final = 3
"""Lines of a heading, at most."""
_LINES: Final = 5
"""Lines of a text that is too long for its column, at most."""


@dataclass(slots=True)
class _Column:
    """A column of a picture.

    Attributes:
        name: of the answer; "" for one of our own.
        head: the lines of its heading.
        cells: a text for each row.
        right: whether it is written to the right: numbers are.
        bold: whether it stands out.
        mute: whether it stands back.
        wide: how wide it is.
        wants: how wide its texts are, where they are wider than that.
        x: where it begins.
    """

    name: str
    head: list[str]
    cells: list[str]
    right: bool = False
    bold: bool = False
    mute: bool = False
    wide: float = 0.0
    wants: float = 0.0
    x: float = 0.0

    def lines(self, row: int) -> list[str]:
        """A cell in the lines that it takes; numbers take one."""
        text = self.cells[row]
        if self.right or _wide(text) <= self.wide:
            return [text]
        return letters.wrapped(text, self.wide, SIZE, _LINES, bold=self.bold)


@dataclass(slots=True)
class _Layout:
    columns: list[_Column]
    left_out: list[str]
    bar: tuple[float, float] = (0.0, 0.0)
    bottom: float = 0.0
    marks: list[str] = field(default_factory=list)


def draw(canvas: Canvas, cells: Cells, top: float) -> tuple[float, list[str]]:
    """Draw a list, a table, bars or stacked bars.

    Returns where the drawing ends, and what is to be said below it.
    """
    rows = cells.rows[:MOST]
    bars = cells.chart.kind in {"bars", "stack"} and bool(cells.chart.values)
    layout = _layout(cells, rows, bars=bars)
    y = _legend(canvas, cells, top) if bars and len(cells.chart.values) > 1 else top
    y = _heads(canvas, layout, y, rule=not bars)
    for at, row in enumerate(rows):
        written = [(column, column.lines(at)) for column in layout.columns]
        high = _HIGH + (max(len(lines) for _, lines in written) - 1) * _NEXT
        middle = y + high / 2
        for column, lines in written:
            _cell(canvas, cells, column, lines, middle)
        if bars:
            _bar(canvas, cells, row, layout.bar, middle, high)
        y += high
        if not bars and at < len(rows) - 1:
            canvas.rule(LEFT, y, RIGHT)
    if len(cells.rows) > MOST:
        y += 20
        canvas.text(LEFT, y, more(len(cells.rows) - MOST), fill=canvas.colours.mute)
        y += 8
    if layout.left_out:
        return y, [f"Not in the picture: {', '.join(map(heading, layout.left_out))}."]
    return y, []


# --- columns -------------------------------------------------------------------------------------


def _layout(cells: Cells, rows: list[dict[str, Any]], *, bars: bool) -> _Layout:
    """The columns that there is room for: what names a row, what is drawn, then the others."""
    chart = cells.chart
    values = [name for name in chart.values if name in cells.names]
    label = chart.label if chart.label in cells.names else cells.names[0]
    others = [name for name in cells.names if name != label and name not in values]
    made = {name: _column(cells, rows, name) for name in cells.names}
    made[label].bold = not bars
    made[label].wide = min(made[label].wide, _LABEL)
    totals: list[_Column] = []
    if chart.kind == "stack" and bars and len(values) > 1:
        totals, values, others = [_total(cells, rows, values)], [], [*values, *others]
    room = RIGHT - LEFT - made[label].wide - (_BAR + _GAP if bars else 0)
    for column in totals:
        room -= column.wide + _GAP
    taken, left_out = set[str](), list[str]()
    for name in [*values, *others]:
        if made[name].wide + _GAP <= room:
            room -= made[name].wide + _GAP
            taken.add(name)
        else:
            left_out.append(name)
    for name in values:
        made[name].bold = True
    chosen = [made[name] for name in others if name in taken]
    drawn = [*totals, *(made[name] for name in values if name in taken)]
    if bars:
        for column in chosen:
            column.mute = True
        before = [column for column in chosen if not column.right]
        after = [*drawn, *(column for column in chosen if column.right)]
        return _placed_with_bar([made[label], *before], after, left_out)
    if chart.kind == "list":
        return _placed([made[label], *chosen, *drawn], left_out)
    rest = [made[name] for name in cells.names if name in taken]
    return _placed([made[label], *rest], left_out)


def _column(cells: Cells, rows: list[dict[str, Any]], name: str) -> _Column:
    right = cells.is_number(name)
    texts = [letters.clean(cells.shown(row, name)) for row in rows]
    widest = max(map(_wide, texts), default=0.0)
    wants = widest + (18 if cells.unit(name) == "rating" else 0)
    widest = wants if cells.chart.label == name else min(wants, _TEXT)
    head = letters.wrapped(letters.clean(heading(name)), max(widest, _HEAD), SMALL, _HEADS)
    wide = max([widest, *(letters.width(line, SMALL) for line in head)])
    return _Column(name, head, texts, right=right, wide=wide, wants=wants)


def _wide(text: str) -> float:
    """How wide a text is, bold or not: of some signs the plain one is wider."""
    return max(letters.width(text, SIZE, bold=bold) for bold in (True, False))


def _total(cells: Cells, rows: list[dict[str, Any]], values: list[str]) -> _Column:
    sums = [_sum(row, values) for row in rows]
    texts = [shown(value, cells.unit(values[0])) for value in sums]
    wide = max(map(_wide, texts), default=0.0)
    return _Column("", ["in all"], texts, right=True, bold=True, wide=max(wide, 40))


def _sum(row: dict[str, Any], values: list[str]) -> float:
    return sum(number(row[name]) or 0 for name in values)


def _placed(columns: list[_Column], left_out: list[str]) -> _Layout:
    """Columns spread over the whole width; those with long texts take the room that is left."""
    spare = RIGHT - LEFT - sum(column.wide + _GAP for column in columns) + _GAP
    long = [column for column in columns if column.wants > column.wide]
    for column in long:
        column.wide += min(column.wants - column.wide, max(spare, 0) / len(long))
    spare = RIGHT - LEFT - sum(column.wide for column in columns)
    gap = spare / max(len(columns) - 1, 1)
    x = float(LEFT)
    for column in columns:
        column.x = x
        x += column.wide + gap
    return _Layout(columns, left_out)


def _placed_with_bar(before: list[_Column], after: list[_Column], left_out: list[str]) -> _Layout:
    """Columns before and after bars, which take the room that is left."""
    x = float(LEFT)
    for column in before:
        column.x = x
        x += column.wide + _GAP
    end = float(RIGHT)
    for column in reversed(after):
        column.x = end - column.wide
        end = column.x - _GAP
    return _Layout([*before, *after], left_out, bar=(x, end))


# --- drawing -------------------------------------------------------------------------------------


def _heads(canvas: Canvas, layout: _Layout, top: float, *, rule: bool) -> float:
    lines = max(len(column.head) for column in layout.columns)
    y = top + lines * 15
    for column in layout.columns:
        for at, line in enumerate(column.head):
            base = y - (len(column.head) - 1 - at) * 15
            if column.right:
                canvas.text(
                    column.x + column.wide, base, line,
                    size=SMALL, fill=canvas.colours.mute, anchor="end",
                )  # fmt: skip
            else:
                canvas.text(column.x, base, line, size=SMALL, fill=canvas.colours.mute)
    if rule:
        canvas.rule(LEFT, y + 9, RIGHT)
        return y + 9
    return y + 5


def _cell(canvas: Canvas, cells: Cells, column: _Column, lines: list[str], middle: float) -> None:
    base = middle + SIZE * 0.36 - (len(lines) - 1) * _NEXT / 2
    fill = canvas.colours.mute if column.mute else ""
    if not column.right and cells.unit(column.name) == "rating":
        _rating(canvas, column, " ".join(lines), middle)
        return
    for line in lines:
        canvas.text(
            column.x + (column.wide if column.right else 0), base, line, fill=fill,
            bold=column.bold, anchor="end" if column.right else "start", most=column.wide,
        )  # fmt: skip
        base += _NEXT


def _rating(canvas: Canvas, column: _Column, text: str, middle: float) -> None:
    """A rating: a colour, a shape and a word."""
    kind, word = rating(text)
    if not kind:
        canvas.text(column.x, middle + 5, text, most=column.wide)
        return
    colour = {
        "good": canvas.colours.good, "warn": canvas.colours.warn, "bad": canvas.colours.bad,
    }[kind]  # fmt: skip
    x = column.x + 5
    if kind == "good":
        canvas.dot(x, middle, 4.5, colour)
    elif kind == "warn":
        points = [(x - 5, middle + 4.5), (x + 5, middle + 4.5), (x, middle - 4.5)]
        canvas.area(points, colour, opacity=1)
    else:
        canvas.box(x - 4.5, middle - 4.5, 9, 9, colour)
    canvas.text(x + 11, middle + 5, word, fill=colour, bold=True, most=column.wide - 16)


def _bar(
    canvas: Canvas,
    cells: Cells,
    row: dict[str, Any],
    bar: tuple[float, float],
    middle: float,
    tall: float,
) -> None:
    """Draw the bars of a row; `tall` is how high the row is."""
    low, high = _range(cells)
    left, right = bar
    scale = (right - left) / (high - low)
    zero = left - low * scale
    colours = canvas.colours.of_series(len(cells.chart.values))
    if low < 0:
        canvas.box(zero - 0.5, middle - tall / 2, 1, tall, canvas.colours.line)
    drawn = [number(row[name]) or 0.0 for name in cells.chart.values]
    if cells.chart.kind == "stack":
        up, down = zero, zero
        for value, colour in zip(drawn, colours, strict=True):
            wide = abs(value) * scale
            canvas.box(up if value > 0 else down - wide, middle - 8, wide, 16, colour, round_=2)
            up, down = (up + wide, down) if value > 0 else (up, down - wide)
        return
    thick = 16 if len(drawn) == 1 else max(22 / len(drawn) - 1, 3)
    y = middle - (thick + 1) * len(drawn) / 2
    for value, colour in zip(drawn, colours, strict=True):
        wide = max(abs(value) * scale, 1.5 if value else 0)
        fill = canvas.colours.second if value < 0 and len(drawn) == 1 else colour
        canvas.box(zero if value > 0 else zero - wide, y, wide, thick, fill, round_=3)
        y += thick + 1


def _range(cells: Cells) -> tuple[float, float]:
    """The least and the most that bars show, with zero between them."""
    ends = [0.0]
    for row in cells.rows[:MOST]:
        drawn = [number(row[name]) or 0.0 for name in cells.chart.values]
        if cells.chart.kind == "stack":
            ends.append(sum(value for value in drawn if value > 0))
            ends.append(sum(value for value in drawn if value < 0))
        else:
            ends += drawn
    low, high = min(ends), max(ends)
    return (low, high) if high > low else (low, low + 1)


def _legend(canvas: Canvas, cells: Cells, top: float) -> float:
    names = [heading(name) for name in cells.chart.values]
    return legend(canvas, names, top)


def legend(canvas: Canvas, names: list[str], top: float) -> float:
    """What the colours mean, in as many lines as it takes; returns where it ends."""
    x, y = float(LEFT), top + 12
    for name, colour in zip(names, canvas.colours.of_series(len(names)), strict=True):
        text = letters.cut(letters.clean(name), _LABEL, SMALL)
        wide = letters.width(text, SMALL) + 38
        if x + wide > RIGHT and x > LEFT:
            x, y = float(LEFT), y + 20
        canvas.box(x, y - 9, 11, 11, colour, round_=2)
        canvas.text(x + 17, y, text, size=SMALL, fill=canvas.colours.mute)
        x += wide
    return y + 12
