"""A drawing that becomes SVG. Every text is escaped here, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal
from xml.sax.saxutils import escape

from tcdatalogger.questions.pictures import letters
from tcdatalogger.questions.pictures.colours import Colours

WIDTH: Final = 900
"""Of every picture."""
EDGE: Final = 32
"""Empty space around it."""
LEFT: Final = EDGE
RIGHT: Final = WIDTH - EDGE
SIZE: Final = 14.0
"""Of letters."""
SMALL: Final = 12.0

Anchor = Literal["start", "middle", "end"]


class Canvas:
    """What was drawn so far.

    Args:
        colours: the scheme.
    """

    def __init__(self, colours: Colours) -> None:
        self.colours = colours
        self._parts: list[str] = []

    def text(  # noqa: PLR0913  # a text looks in many ways
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float = SIZE,
        fill: str = "",
        bold: bool = False,
        anchor: Anchor = "start",
        most: float = 0,
        turned: float = 0,
    ) -> None:
        """Write a text.

        Args:
            x: where its anchor is.
            y: where its base line is.
            text: of whomever.
            size: of its letters.
            fill: its colour, "" for ink.
            bold: whether it is bold.
            anchor: which end of it is at `x`.
            most: how wide it may be; 0 for as it is.
            turned: degrees by which it is turned around its anchor.
        """
        shown = letters.clean(text)
        if most:
            shown = letters.cut(shown, most, size, bold=bold)
        if not shown:
            return
        facts = f' font-size="{_number(size)}" fill="{fill or self.colours.ink}"'
        facts += ' font-weight="600"' if bold else ""
        facts += f' text-anchor="{anchor}"' if anchor != "start" else ""
        where = f'x="{_number(x)}" y="{_number(y)}"'
        if turned:
            where += f' transform="rotate({_number(turned)} {_number(x)} {_number(y)})"'
        self._parts.append(f"<text {where}{facts}>{escape(shown)}</text>")

    def box(
        self, x: float, y: float, wide: float, high: float, fill: str, *, round_: float = 0
    ) -> None:
        """Fill a box."""
        corner = f' rx="{_number(min(round_, wide / 2, high / 2))}"' if round_ else ""
        self._parts.append(
            f'<rect x="{_number(x)}" y="{_number(y)}" width="{_number(max(wide, 0))}" '
            f'height="{_number(max(high, 0))}"{corner} fill="{fill}"/>'
        )

    def frame(self, x: float, y: float, wide: float, high: float, *, round_: float = 0) -> None:
        """Draw the outline of a box."""
        self._parts.append(
            f'<rect x="{_number(x + 0.5)}" y="{_number(y + 0.5)}" width="{_number(wide - 1)}" '
            f'height="{_number(high - 1)}" rx="{_number(round_)}" fill="none" '
            f'stroke="{self.colours.line}"/>'
        )

    def rule(self, x: float, y: float, to: float) -> None:
        """Draw a thin line from left to right."""
        self._parts.append(
            f'<path d="M{_number(x)} {_number(y)}H{_number(to)}" stroke="{self.colours.line}"/>'
        )

    def curve(self, points: Iterable[tuple[float, float]], stroke: str, *, wide: float = 2) -> None:
        """Draw a line through points."""
        self._parts.append(
            f'<path d="{_through(points)}" fill="none" stroke="{stroke}" '
            f'stroke-width="{_number(wide)}" stroke-linejoin="round" stroke-linecap="round"/>'
        )

    def area(self, points: Iterable[tuple[float, float]], fill: str, *, opacity: float) -> None:
        """Fill the area between points."""
        self._parts.append(
            f'<path d="{_through(points)}Z" fill="{fill}" fill-opacity="{_number(opacity)}"/>'
        )

    def dot(self, x: float, y: float, size: float, fill: str) -> None:
        """Draw a dot."""
        self._parts.append(
            f'<circle cx="{_number(x)}" cy="{_number(y)}" r="{_number(size)}" fill="{fill}"/>'
        )

    def svg(self, high: float, title: str, says: str) -> str:
        """The whole drawing.

        Args:
            high: its height.
            title: for whoever cannot see it.
            says: more for them.
        """
        height = round(high)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
            f'viewBox="0 0 {WIDTH} {height}" role="img" font-family="{letters.FAMILY}">\n'
            f"<title>{escape(letters.clean(title))}</title>\n"
            f"<desc>{escape(letters.clean(says))}</desc>\n"
            f'<rect width="{WIDTH}" height="{height}" fill="{self.colours.paper}"/>\n'
            + "\n".join(self._parts)
            + "\n</svg>\n"
        )


def _through(points: Iterable[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{_number(x)} {_number(y)}" for x, y in points)


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
