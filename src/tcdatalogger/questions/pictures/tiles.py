"""Pictures of few numbers, each in a tile."""

from __future__ import annotations

from typing import Final

from tcdatalogger.questions.numbers import heading
from tcdatalogger.questions.pictures import letters
from tcdatalogger.questions.pictures.canvas import LEFT, RIGHT, SMALL, Canvas
from tcdatalogger.questions.pictures.cells import Cells, more

_MOST: Final = 12
_GAP: Final = 14.0
_ACROSS: Final = 4
_BIG: Final = 27.0


def draw(canvas: Canvas, cells: Cells, top: float) -> tuple[float, list[str]]:
    """Draw a tile for each row; for each value where a row has no name.

    Returns where the drawing ends, and what is to be said below it.
    """
    tiles = _tiles(cells)
    shown = tiles[:_MOST]
    across = min(_ACROSS, max(len(shown), 2))
    wide = (RIGHT - LEFT - _GAP * (across - 1)) / across
    more_lines = max((len(lines) for _, _, lines in shown), default=0)
    high = 88.0 + 19 * more_lines
    for at, (name, value, lines) in enumerate(shown):
        x = LEFT + (at % across) * (wide + _GAP)
        y = top + (at // across) * (high + _GAP)
        canvas.frame(x, y, wide, high, round_=12)
        room = wide - 32
        canvas.text(x + 16, y + 29, name, size=13, fill=canvas.colours.mute, most=room)
        size = _BIG if letters.width(value, _BIG, bold=True) <= room else 18.0
        canvas.text(x + 16, y + 64, value, size=size, bold=True, most=room)
        for nth, line in enumerate(lines):
            canvas.text(x + 16, y + 87 + 19 * nth, line, size=SMALL, fill=canvas.colours.mute,
                        most=room)  # fmt: skip
    lines_of_tiles = -(-len(shown) // across)
    bottom = top + lines_of_tiles * (high + _GAP) - _GAP
    return bottom, [more(len(tiles) - _MOST)] if len(tiles) > _MOST else []


def _tiles(cells: Cells) -> list[tuple[str, str, list[str]]]:
    """Of each tile its name, its number, and lines below it."""
    chart = cells.chart
    if not chart.label:
        row = cells.rows[0]
        return [(heading(name), cells.shown(row, name), []) for name in chart.values]
    first, *others = chart.values
    return [
        (
            cells.shown(row, chart.label),
            cells.shown(row, first) or "-",
            [f"{heading(n)} {said}" for n in others if (said := cells.shown(row, n))],
        )
        for row in cells.rows
    ]
