"""Answers as values to draw: what a template writes as HTML tables and SVG, and nothing else.

A drawing has no colours and no sizes of a screen: widths are shares of 100, levels go from 0 to 8.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Final
from urllib.parse import quote

from tcdatalogger.questions.answers import Answer
from tcdatalogger.questions.numbers import (
    HOURS,
    WEEKDAYS,
    are_hours,
    from_zero,
    heading,
    in_full,
    is_numeric,
    moment,
    number,
    rating,
    shown,
    thinned,
)
from tcdatalogger.questions.question import Question, Unit
from tcdatalogger.web.things import place

RUN: Final = "run_id"
"""The column of an answer with the run that stored what its row tells."""
LEVELS: Final = 8
"""The darkest level of a heat map."""
SERIES: Final = 5
"""The most lines of one chart."""
POINTS: Final = 240
"""The most points of one line: more would lie on one another."""
WIDTH, HEIGHT = 600, 150
"""The grid of a line chart."""

COLUMNS: Final = 100
"""The most columns of a grid: as many as a faction has members."""
LONGEST: Final = 300
"""The most letters of a cell."""
SPARE: Final = 2
"""Rows more than there is room for that are drawn all the same: to say that they are left out takes
as much."""

_BEFORE_PERCENT: Final = re.compile(r"(?<=\d) (?=%)")
"""A line is not broken between a number and its sign."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A value in words.

    Attributes:
        text: as people read it.
        title: with all its digits, "" where the text says it all.
        href: where it leads, "" for nowhere.
        tone: `good`, `warn`, `bad`, or "" for none.
    """

    text: str
    title: str = ""
    href: str = ""
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        title: over it.
        numeric: whether it stands to the right.
        optional: whether it falls away where there is no room.
    """

    title: str
    numeric: bool = False
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under their columns."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Bar:
    """A row with a bar.

    Attributes:
        label: what it is about.
        parts: begin and width of each series, shares of 100.
        value: that is drawn; of several the sum.
        more: other values of the row.
    """

    label: Cell
    parts: tuple[tuple[float, float], ...]
    value: Cell
    more: tuple[Cell, ...] = ()


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars that begin at one line.

    Attributes:
        series: the names of the parts.
        zero: where that line is; 0, or more where values are negative.
        more: the names of the other values.
    """

    rows: tuple[Bar, ...]
    series: tuple[str, ...]
    zero: float = 0.0
    more: tuple[str, ...] = ()
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class HeatCell:
    """A cell; its level is None where there is no value."""

    level: int | None
    text: str
    title: str


@dataclass(frozen=True, slots=True)
class Heat:
    """A grid of cells, each as dark as its value is large.

    Attributes:
        corner: what the rows are.
        columns: their names; those that are not to be written are "".
        rows: name and cells.
        low, high: the values of the lightest and the darkest cell.
        written: whether each cell shows its value.
        narrowed: how many columns there is no room for, the last ones.
    """

    corner: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, tuple[HeatCell, ...]], ...]
    low: str
    high: str
    written: bool
    left_out: int = 0
    narrowed: int = 0


@dataclass(frozen=True, slots=True)
class Series:
    """A line: its name, its points for SVG, and its newest value."""

    name: str
    points: str
    area: str
    last: Cell


@dataclass(frozen=True, slots=True)
class Line:
    """Lines over time, or over whatever the label is.

    Attributes:
        first, last: the ends of what runs from left to right.
        top, bottom: the values of the upper and the lower edge.
        from_zero: whether the lower edge is zero.
        left_out: how many lines there is no room for, the smallest ones.
    """

    series: tuple[Series, ...]
    first: str
    last: str
    top: str
    bottom: str
    from_zero: bool
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Tile:
    """One number with its name; what it was before, in words; whether it is still to be read."""

    name: str
    value: Cell
    change: str = ""
    tone: str = ""
    href: str = ""
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Drawing:
    """An answer to draw.

    Attributes:
        kind: of the chart, as the question says; `table` where it cannot be drawn so.
        chart: what the kind draws; a `Table` for `table` and `list`.
        table: all of the answer.
    """

    kind: str
    chart: Table | Bars | Heat | Line | tuple[Tile, ...]
    table: Table

    @property
    def has_more(self) -> bool:
        """Whether the table says more than the chart, and does not stand below it."""
        return self.chart is not self.table and self.kind != "line"


def draw(answer: Answer, most: int, runs: Collection[str] = ()) -> Drawing:
    """An answer as values to draw.

    Args:
        answer: with rows.
        most: how many rows there is room for.
        runs: those that have a page: a column `run_id` leads to it.
    """
    if answer.rows is None:
        raise ValueError("there is nothing to draw")
    asked, count = answer.question, answer.rows.num_rows
    most = count if count <= most + SPARE else most
    rows = answer.rows.slice(0, most if asked.chart.kind in {"table", "list"} else None).to_pylist()
    kinds: Mapping[str, Callable[[Question, Sequence[Mapping[str, Any]], int], Any]] = {
        "bars": _bars, "stack": _stack, "heat": _heat, "matrix": _matrix, "line": _line,
        "tiles": _tiles,
    }  # fmt: skip
    kind = asked.chart.kind
    chart = kinds[kind](asked, rows, most) if kind in kinds and rows else None
    bare = asked.chart.label if isinstance(chart, Bars) else ""
    table = _table(asked, answer.names, rows[:most], count - most, bare, runs)
    return Drawing(kind, table if chart is None else chart, table)


# --- cells ---------------------------------------------------------------------------------------


def _cell(asked: Question, row: Mapping[str, Any], name: str) -> Cell:
    value, unit = row[name], asked.units.get(name)
    text, tone = moment(value) if isinstance(value, datetime) else shown(value, unit), ""
    if unit == "rating":
        tone, text = rating(text)
    full = in_full(value, unit)
    if len(text) > LONGEST:
        text = full = clipped(text, LONGEST)
    column = asked.links.get(name, name)
    href = "" if value is None else place(column, row.get(column))
    title = full if full != text and unit != "rating" else ""
    return Cell(_BEFORE_PERCENT.sub("\N{NO-BREAK SPACE}", text), title, href, tone)


def clipped(text: str, most: int) -> str:
    """The beginning of a text that is longer than said, with how many letters it has."""
    return text if len(text) <= most else f"{text[:most]}… ({len(text):,} letters)"


# --- tables --------------------------------------------------------------------------------------


def _table(
    asked: Question,
    names: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    left_out: int,
    bare: str,
    runs: Collection[str],
) -> Table:
    """Rows as a table; a column that stands beside it with its links, `bare`, has none here.

    Columns that fall away where there is no room stand behind those that stay.
    """
    main = {*names[:2], *asked.chart.columns} if asked.chart.columns else set(names)
    names = sorted(names, key=lambda name: name not in main)
    columns = tuple(
        Column(
            heading(name),
            is_numeric(asked.units.get(name), (row[name] for row in rows)),
            name not in main,
        )
        for name in names
    )
    cells = tuple(
        tuple(
            _run(row[name])
            if name == RUN and row[name] in runs
            else replace(_cell(asked, row, name), href="")
            if name == bare
            else _cell(asked, row, name)
            for name in names
        )
        for row in rows
    )
    return Table(columns, cells, left_out)


def _run(run_id: str) -> Cell:
    """A run that has a page."""
    return Cell(run_id, href=f"/ops/runs/{quote(run_id, safe='')}")


def _tiles(
    asked: Question, rows: Sequence[Mapping[str, Any]], most: int
) -> tuple[Tile, ...] | None:
    chart = asked.chart
    if chart.label and chart.values:
        return tuple(
            Tile(shown(row[chart.label]), _cell(asked, row, chart.values[0])) for row in rows[:most]
        )
    names = chart.values or tuple(rows[0])
    return tuple(Tile(heading(name), _cell(asked, rows[0], name)) for name in names)


# --- bars ----------------------------------------------------------------------------------------


def _bars(asked: Question, rows: Sequence[Mapping[str, Any]], most: int) -> Bars | None:
    if not asked.chart.values:
        return None
    first, *more = asked.chart.values
    values = [number(row[first]) or 0.0 for row in rows]
    low, high = min([0.0, *values]), max([0.0, *values])
    scale = 100 / (high - low or 1.0)
    zero = -low * scale
    told = _labels(asked, rows)
    found = tuple(
        Bar(
            label,
            (_part(zero, value * scale),),
            _cell(asked, row, first),
            tuple(_cell(asked, row, name) for name in more),
        )
        for label, row, value in zip(told[:most], rows, values, strict=False)
    )
    names = tuple(map(heading, more))
    return Bars(found, (heading(first),), round(zero, 2), names, max(0, len(rows) - most))


def _labels(asked: Question, rows: Sequence[Mapping[str, Any]]) -> list[Cell]:
    """What rows are called; where two have one name, another text of theirs stands beside it."""
    label = asked.chart.label
    if not label:
        return [Cell("") for _ in rows]
    cells = [_cell(asked, row, label) for row in rows]
    if len({each.text for each in cells}) == len(cells):
        return cells
    others = [name for name, value in rows[0].items() if isinstance(value, str) and name != label]
    if not others:
        return cells
    return [
        replace(cell, text=f"{cell.text}, {shown(row[others[0]])}")
        for cell, row in zip(cells, rows, strict=True)
    ]


def _part(begin: float, width: float) -> tuple[float, float]:
    return round(begin + min(width, 0.0), 2), round(abs(width), 2)


def _stack(asked: Question, rows: Sequence[Mapping[str, Any]], most: int) -> Bars | None:
    names = asked.chart.values
    if not names[1:]:  # one is no stack
        return _bars(asked, rows, most)
    sums = [sum(max(0.0, number(row[name]) or 0.0) for name in names) for row in rows]
    scale = 100 / (max(sums, default=0.0) or 1.0)
    unit = asked.units.get(names[0])
    found = []
    for label, row in zip(_labels(asked, rows)[:most], rows, strict=False):
        begin, parts = 0.0, []
        for name in names:
            width = max(0.0, number(row[name]) or 0.0) * scale
            parts.append(_part(begin, width))
            begin += width
        whole = sum(number(row[name]) or 0 for name in names)
        cell = Cell(shown(whole, unit), "; ".join(
            f"{heading(name)} {in_full(row[name], asked.units.get(name))}" for name in names
        ))  # fmt: skip
        found.append(Bar(label, tuple(parts), cell))
    return Bars(tuple(found), tuple(map(heading, names)), left_out=max(0, len(rows) - most))


# --- grids ---------------------------------------------------------------------------------------


def _heat(asked: Question, rows: Sequence[Mapping[str, Any]], most: int) -> Heat | None:
    return _grid(asked, rows, most, written=False)


def _matrix(asked: Question, rows: Sequence[Mapping[str, Any]], most: int) -> Heat | None:
    return _grid(asked, rows, most, written=True)


def _grid(
    asked: Question, rows: Sequence[Mapping[str, Any]], most: int, *, written: bool
) -> Heat | None:
    chart = asked.chart
    if not (chart.label and chart.across and chart.values):
        return None
    value = chart.values[0]
    wide = _axis(asked, chart.across, [row[chart.across] for row in rows])
    across = wide[:COLUMNS]
    down = _axis(asked, chart.label, [row[chart.label] for row in rows])
    at = {(row[chart.label], row[chart.across]): row for row in rows}
    first = {row[chart.label]: row for row in reversed(rows)}
    numbers = [float(row[value]) for row in rows if number(row[value]) is not None]
    low, high = min(numbers, default=0.0), max(numbers, default=0.0)
    unit = asked.units.get(value)
    hours = len(across) == HOURS and not written
    names = tuple(shown(x, asked.units.get(chart.across)) for x in across)
    grid = tuple(
        (
            _cell(asked, first[y], chart.label)
            if y in first
            else Cell(shown(y, asked.units.get(chart.label))),
            tuple(_heat_cell(at.get((y, x)), value, unit, low, high) for x in across),
        )
        for y in down[:most]
    )
    return Heat(
        heading(chart.label),
        tuple(name if not hours or n % 3 == 0 else "" for n, name in enumerate(names)),
        grid,
        shown(low, unit),
        shown(high, unit),
        written,
        max(0, len(down) - most),
        len(wide) - len(across),
    )


def _axis(asked: Question, name: str, values: Iterable[Any]) -> list[Any]:
    """What stands along an edge: in its order, whole for days of the week and hours of a day."""
    found = list(dict.fromkeys(values))
    if asked.units.get(name) == "weekday":
        return list(range(len(WEEKDAYS)))
    if are_hours(name, found):
        return list(range(HOURS))
    if found and all(number(each) is not None for each in found):
        found.sort()
    return found


def _heat_cell(
    row: Mapping[str, Any] | None, name: str, unit: Unit | None, low: float, high: float
) -> HeatCell:
    if row is None or row[name] is None:
        return HeatCell(None, "", "no value")
    value = row[name]
    if number(value) is None:
        return HeatCell(None, shown(value, unit), "")
    share = (float(value) - low) / (high - low) if high > low else 0.5
    return HeatCell(round(share * LEVELS), shown(value, unit), in_full(value, unit))


# --- lines ---------------------------------------------------------------------------------------


def _line(asked: Question, rows: Sequence[Mapping[str, Any]], _most: int) -> Line | None:
    chart = asked.chart
    if not (chart.label and chart.values):
        return None
    lines: dict[str, list[tuple[Any, Any]]] = {}
    for row in rows:
        if chart.series:
            name = shown(row[chart.series])
            lines.setdefault(name, []).append((row[chart.label], row[chart.values[0]]))
        else:
            for value in chart.values:
                lines.setdefault(heading(value), []).append((row[chart.label], row[value]))
    left_out = max(0, len(lines) - SERIES)
    if left_out:
        lines = dict(sorted(lines.items(), key=lambda each: -_size(each[1]))[:SERIES])
    along = sorted({x for points in lines.values() for x, _ in points if x is not None})
    values = [y for points in lines.values() for _, y in points if number(y) is not None]
    if not along or not values:
        return None
    unit = asked.units.get(chart.values[0])
    least, largest = min(values), max(values)
    low, high = float(least), float(largest)
    zero = from_zero(low, high)
    bottom = 0.0 if zero else low
    top = high if high > bottom else bottom + 1.0
    where = _positions(along)

    def points(each: Sequence[tuple[Any, Any]]) -> list[tuple[float, float]]:
        told = [(where[x], float(y)) for x, y in each if x is not None and number(y) is not None]
        told.sort()
        return [
            (round(x * WIDTH, 1), round(HEIGHT * (1 - (y - bottom) / (top - bottom)), 1))
            for x, y in thinned(told, POINTS)
        ]

    found = []
    for name, each in lines.items():
        drawn = points(each)
        if not drawn:
            continue
        text = " ".join(f"{x:g},{y:g}" for x, y in drawn)
        area = f"{drawn[0][0]:g},{HEIGHT} {text} {drawn[-1][0]:g},{HEIGHT}"
        last = next(y for _, y in reversed(each) if number(y) is not None)
        found.append(Series(name, text, area, Cell(shown(last, unit), in_full(last, unit))))
    label = asked.units.get(chart.label)
    # Two edges that differ by less than three figures say, are told with all of theirs.
    edge = 0 if zero else least
    told = in_full if shown(largest, unit) == shown(edge, unit) else shown
    return Line(
        tuple(found),
        _end(along[0], label),
        _end(along[-1], label),
        told(largest, unit),
        told(edge, unit),
        zero,
        left_out,
    )


def _size(points: Iterable[tuple[Any, Any]]) -> float:
    """How large the values of a line are, all together."""
    return sum(abs(number(y) or 0.0) for _, y in points)


def _positions(along: Sequence[Any]) -> Mapping[Any, float]:
    """Where each value stands from left to right, from 0 to 1: times and numbers by their size."""
    if isinstance(along[0], datetime):
        sizes = [each.timestamp() for each in along]
    elif isinstance(along[0], date):
        sizes = [float(each.toordinal()) for each in along]
    elif number(along[0]) is not None:
        sizes = [float(each) for each in along]
    else:
        sizes = [float(n) for n in range(len(along))]
    span = sizes[-1] - sizes[0] or 1.0
    return {x: (size - sizes[0]) / span for x, size in zip(along, sizes, strict=True)}


def _end(value: Any, unit: Unit | None) -> str:
    if isinstance(value, datetime | date):
        return f"{value.day} {value:%b}"
    return shown(value, unit)
