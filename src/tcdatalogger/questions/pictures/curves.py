"""Pictures along time: lines, and columns where the rows of bars are days."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from tcdatalogger.questions.numbers import from_zero, heading, number, shown, thinned
from tcdatalogger.questions.pictures import letters
from tcdatalogger.questions.pictures.canvas import LEFT, RIGHT, SMALL, Canvas
from tcdatalogger.questions.pictures.cells import Cells, day, distinct, more
from tcdatalogger.questions.pictures.rows import legend

_HIGH: Final = 300.0
_POINTS: Final = 1_000
"""Points of a line at most: more would lie on one another."""
_COLUMNS: Final = 1_000
"""Columns at most, the last ones: more would be narrower than a point."""
_SERIES: Final = 7
"""Series that are drawn; the others are left out."""
_NAMES: Final = 8
"""Names along the bottom at most."""
_NAMED: Final = 180.0
"""How wide the names at the right are at most."""
_APART: Final = 17.0
"""Between two names at the right."""
_STEPS: Final = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class _Series:
    name: str
    values: tuple[float | None, ...]

    @property
    def last(self) -> float:
        return next((value for value in reversed(self.values) if value is not None), 0.0)


@dataclass(frozen=True, slots=True)
class _Plot:
    """Where things are.

    Attributes:
        left, right, top, bottom: the edges of the field.
        low, high: the values at the bottom and at the top.
        xs: where each label is.
    """

    left: float
    right: float
    top: float
    bottom: float
    low: float
    high: float
    xs: tuple[float, ...]

    def y(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.bottom - share * (self.bottom - self.top)


def draw(canvas: Canvas, cells: Cells, top: float) -> tuple[float, list[str]]:
    """Draw lines, or columns where the chart is one of bars.

    Returns where the drawing ends, and what is to be said below it.
    """
    columns = cells.chart.kind in {"bars", "stack"}
    every = _labels(cells)
    labels = every[-_COLUMNS:] if columns else every
    series, left_out = _series(cells, labels)
    unit = cells.unit(cells.chart.values[0])
    notes = [more(left_out)] if left_out else []
    if len(every) > len(labels):
        notes.append(f"The first {len(every) - len(labels):,} columns are left out.")
    if columns and len(series) > 1:
        top = legend(canvas, [each.name for each in series], top)
    low, high = _ends(cells, series)
    ticks = _ticks(low, high, whole=_whole(series))
    if not columns and ticks[0] > 0:
        notes.append(f"The axis begins at {shown(_plain(ticks[0]), unit)}, not at zero.")
    texts = [shown(_plain(tick), unit) for tick in ticks]
    left = LEFT + max(letters.width(text, SMALL) for text in texts) + 12
    named = (
        0.0
        if columns
        else max(letters.width(f"{n} {v}", SMALL, bold=True) for n, v in _ends_said(cells, series))
    )
    right = RIGHT - (min(named, _NAMED) + 20 if named else 0)
    bottom = top + 12 + _HIGH
    xs = _places(labels, left, right, columns=columns)
    least = low if low < 0 else ticks[0]
    plot = _Plot(left, right, top + 12, bottom, least, ticks[-1], xs)
    for tick, text in zip(ticks, texts, strict=True):
        if tick < least:
            continue
        y = plot.y(tick)
        canvas.rule(left, y, right)
        canvas.text(left - 10, y + 4, text, size=SMALL, fill=canvas.colours.mute, anchor="end")
    if columns:
        _columns(canvas, cells, plot, series)
    else:
        _lines(canvas, cells, plot, series)
    _bottom(canvas, cells, plot, labels)
    return bottom + 30, notes


# --- what is drawn -------------------------------------------------------------------------------


def _labels(cells: Cells) -> list[Any]:
    """The labels from left to right."""
    label = cells.chart.label
    labels = distinct([row[label] for row in cells.rows])
    if cells.is_time(label) or cells.is_number(label):
        labels.sort()
    return labels


def _series(cells: Cells, labels: Sequence[Any]) -> tuple[list[_Series], int]:
    """The largest series along the labels, and how many others there are."""
    chart = cells.chart
    if not chart.series:
        by_label = {row[chart.label]: row for row in cells.rows}
        names = list(chart.values)
        found = {(at, name): number(by_label[at][name]) for at in labels for name in names}
        said = {name: heading(name) for name in names}
    else:
        value = chart.values[0]
        found = {(row[chart.label], row[chart.series]): number(row[value]) for row in cells.rows}
        names = list(dict.fromkeys(row[chart.series] for row in cells.rows))
        said = {name: cells.said(name, chart.series) for name in names}
    left_out = max(0, len(names) - _SERIES)
    if left_out:
        sizes: defaultdict[Any, float] = defaultdict(float)
        for (_, name), known in found.items():
            sizes[name] += abs(known or 0.0)
        names = sorted(names, key=lambda name: -sizes[name])[:_SERIES]
    return [
        _Series(said[name], tuple(found.get((at, name)) for at in labels)) for name in names
    ], left_out


def _ends(cells: Cells, series: Sequence[_Series]) -> tuple[float, float]:
    """The least and the most that is shown: with zero, but for lines that lie far above it."""
    known = [value for each in series for value in each.values if value is not None]
    if cells.chart.kind == "stack":
        at_once = list(zip(*(each.values for each in series), strict=True))
        known = [sum(v for v in each if v and v > 0) for each in at_once]
        known += [sum(v for v in each if v and v < 0) for each in at_once]
    low, high = min(known, default=0.0), max(known, default=0.0)
    if cells.chart.kind == "line" and low > 0 and not from_zero(low, high):
        return low, high
    low, high = min(low, 0.0), max(high, 0.0)
    return (low, high) if high > low else (low, low + 1)


def _ticks(low: float, high: float, *, whole: bool) -> list[float]:
    """Round values around two ends."""
    rough = (high - low) / 4
    size = 10.0 ** math.floor(math.log10(rough))
    steps = (max(size * each, 1.0) if whole else size * each for each in _STEPS)
    step = next(each for each in steps if each >= rough * 0.999 and (not whole or each % 1 == 0))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [at * step for at in range(first, last + 1)]


def _whole(series: Sequence[_Series]) -> bool:
    """Whether all values are whole numbers: half a hit is none."""
    return all(value == int(value) for each in series for value in each.values if value is not None)


def _plain(value: float) -> float:
    """A tick without the dust of binary fractions; whole where it is."""
    value = float(f"{value:.12g}")
    return int(value) if value == int(value) else value


def _places(labels: list[Any], left: float, right: float, *, columns: bool) -> tuple[float, ...]:
    """Where each label is: times by their distance, columns and texts one after the other."""
    if not columns and len(labels) > 1 and all(isinstance(each, date) for each in labels):
        seconds = [_seconds(each) for each in labels]
        span = seconds[-1] - seconds[0] or 1
        return tuple(left + 8 + (right - left - 16) * (s - seconds[0]) / span for s in seconds)
    slot = (right - left) / max(len(labels), 1)
    return tuple(left + slot * (at + 0.5) for at in range(len(labels)))


def _seconds(moment: date) -> float:
    if isinstance(moment, datetime):
        return moment.timestamp()
    return moment.toordinal() * 86_400.0


# --- drawing -------------------------------------------------------------------------------------


def _ends_said(cells: Cells, series: Sequence[_Series]) -> list[tuple[str, str]]:
    """What stands at the right end of each line: its name where there are some, its last value."""
    unit = cells.unit(cells.chart.values[0])
    names = ["" if len(series) == 1 else letters.clean(each.name) for each in series]
    lasts = [shown(_plain(each.last), unit) for each in series]
    return list(zip(names, lasts, strict=True))


def _lines(canvas: Canvas, cells: Cells, plot: _Plot, series: Sequence[_Series]) -> None:
    colours = canvas.colours.of_series(len(series))
    marks = []
    for each, colour, said in zip(series, colours, _ends_said(cells, series), strict=True):
        parts = _parts(plot, each)
        for part in parts:
            if len(series) == 1 and plot.low == 0:
                base = plot.y(0)
                around = [(part[0][0], base), *part, (part[-1][0], base)]
                canvas.area(around, colour, opacity=0.16)
            if len(part) > 1:
                canvas.curve(part, colour)
        alone = {(round(x), round(y)): (x, y) for [(x, y), *more] in parts if not more}
        for point in alone.values():
            canvas.dot(*point, 2.5, colour)
        if parts:
            end = parts[-1][-1]
            canvas.dot(*end, 3.5, colour)
            marks.append((end[1], colour, said))
    y = plot.top - _APART
    over = max(0.0, len(marks) * _APART - (plot.bottom - plot.top))
    for at, colour, (name, last) in sorted(marks):
        y = max(y + _APART, min(at, plot.bottom + over))
        x = plot.right + 8
        if name:
            canvas.dot(x, y, 4, colour)
            x += 10
            room = RIGHT - x - letters.width(f" {last}", SMALL, bold=True)
            cut = letters.cut(name, room, SMALL)
            canvas.text(x, y + 4, cut, size=SMALL, fill=canvas.colours.mute)
            x += letters.width(f"{cut} ", SMALL)
        canvas.text(x, y + 4, last, size=SMALL, bold=True)


def _parts(plot: _Plot, series: _Series) -> list[Sequence[tuple[float, float]]]:
    """The points of a line, broken where a value is missing."""
    parts: list[list[tuple[float, float]]] = [[]]
    for x, value in zip(plot.xs, series.values, strict=True):
        if value is None:
            parts.append([])
        else:
            parts[-1].append((x, plot.y(value)))
    return [thinned(part, _POINTS) for part in parts if part]


def _columns(canvas: Canvas, cells: Cells, plot: _Plot, series: Sequence[_Series]) -> None:
    colours = canvas.colours.of_series(len(series))
    slot = (plot.right - plot.left) / max(len(plot.xs), 1)
    wide = min(max(slot * 0.72, 1.0), 56.0)
    stacked = cells.chart.kind == "stack"
    for at, x in enumerate(plot.xs):
        up = down = 0.0
        for nth, (each, colour) in enumerate(zip(series, colours, strict=True)):
            value = each.values[at]
            if not value:
                continue
            begin = (up if value > 0 else down) if stacked else 0.0
            top, low = plot.y(max(begin, begin + value)), plot.y(min(begin, begin + value))
            part = wide if stacked else wide / len(series)
            left = x - wide / 2 + (0 if stacked else nth * part)
            canvas.box(left, top, part - (0 if stacked else 1), max(low - top, 1), colour)
            up, down = (up + value, down) if value > 0 else (up, down + value)
    if plot.low < 0:
        canvas.box(plot.left, plot.y(0) - 0.5, plot.right - plot.left, 1, canvas.colours.mute)


def _bottom(canvas: Canvas, cells: Cells, plot: _Plot, labels: list[Any]) -> None:
    """The names along the bottom: every one, or every second, or fewer."""
    chosen = range(0, len(labels), max(math.ceil(len(labels) / _NAMES), 1))
    room = (plot.right - plot.left) / max(len(chosen), 1) - 8
    said = [_said(cells, labels[at], labels) for at in chosen]
    for at, text in zip(chosen, said, strict=True):
        half = min(letters.width(text, SMALL), room) / 2
        x = min(max(plot.xs[at], plot.left + half), plot.right - half)
        canvas.text(
            x, plot.bottom + 20, text,
            size=SMALL, fill=canvas.colours.mute, anchor="middle", most=room,
        )  # fmt: skip


def _said(cells: Cells, label: Any, labels: list[Any]) -> str:
    if not isinstance(label, date):
        return letters.clean(cells.said(label, cells.chart.label))
    if isinstance(label, datetime) and _seconds(labels[-1]) - _seconds(labels[0]) > 4 * 86_400:
        return day(label.date())
    return day(label)
