"""The colours of pages and pictures, by light and by dark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Colours:
    """The colours of one scheme, as `#rrggbb`.

    Attributes:
        ground: of a page, behind its cards.
        paper: of a card, and of a picture.
        ink, mute: of text, and of text beside it.
        line: between rows, and of axes.
        series: of series, in their order; of two series the first and `second`.
        second: of the second of two series.
        area: below a line.
        ramp: from little to much; colours between them are mixed.
        good, warn, bad: of ratings.
    """

    ground: str
    paper: str
    ink: str
    mute: str
    line: str
    series: tuple[str, ...]
    second: str
    area: str
    ramp: tuple[str, ...]
    good: str
    warn: str
    bad: str

    @property
    def accent(self) -> str:
        """The colour of a single series."""
        return self.series[0]

    def of_series(self, count: int) -> tuple[str, ...]:
        """The colours of some series, one each; what is over has the last one."""
        if count == 2:  # noqa: PLR2004
            return (self.accent, self.second)
        return tuple(self.series[min(at, len(self.series) - 1)] for at in range(count))

    def of_share(self, share: float) -> str:
        """The colour of the ramp at a share from 0 to 1."""
        steps = len(self.ramp) - 1
        at = min(int(share * steps), steps - 1)
        return _mixed(self.ramp[at], self.ramp[at + 1], share * steps - at)

    def on(self, ground: str) -> str:
        """The ink that can be read on a ground."""
        return max(("#000000", "#ffffff"), key=lambda ink: contrast(ink, ground))


LIGHT: Final = Colours(
    ground="#f7f7f5",
    paper="#ffffff",
    ink="#1a1d1f",
    mute="#5d656b",
    line="#e4e5e2",
    series=("#0b7a6f", "#b2701a", "#5b6cae", "#8a5a83", "#bb4f76", "#7f8832", "#878d95"),
    second="#8fcfc5",
    area="#dcefeb",
    ramp=(
        *("#efefec", "#dceeea", "#bfe2db", "#96d0c5", "#68bbad"),
        *("#3aa394", "#147e71", "#0b6b61", "#064f48"),
    ),
    good="#18794e",
    warn="#8f5200",
    bad="#b3261e",
)

DARK: Final = Colours(
    ground="#121416",
    paper="#1a1d21",
    ink="#e8eaec",
    mute="#9aa3ab",
    line="#2b3036",
    series=("#3fbfae", "#dba14d", "#93a4ea", "#cb93c2", "#e489ab", "#b7c066", "#8f959d"),
    second="#22685f",
    area="#17332f",
    ramp=(
        *("#20252a", "#1d302f", "#1b413d", "#1c554f", "#1f6d64"),
        *("#2f9a8d", "#43b0a2", "#5cc5b6", "#a3e6db"),
    ),
    good="#5bc98f",
    warn="#e0a74a",
    bad="#ff7b72",
)


def style() -> str:
    """The colours as CSS: variables of a page, by light, and by dark where a screen is dark."""
    return (
        f":root {{ color-scheme: light dark; {_variables(LIGHT)} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{ {_variables(DARK)} }} }}\n"
    )


def _variables(colours: Colours) -> str:
    first, *others = colours.series
    series = (first, colours.second, *others)
    return " ".join(
        f"--{name}: {colour};"
        for name, colour in {
            "bg": colours.ground,
            "card": colours.paper,
            "ink": colours.ink,
            "mute": colours.mute,
            "line": colours.line,
            "accent": colours.accent,
            "on-accent": colours.on(colours.accent),
            **{f"s{number}": colour for number, colour in enumerate(series, 1)},
            "area": colours.area,
            **{f"h{level}": colour for level, colour in enumerate(colours.ramp)},
            **{f"on-h{level}": colours.on(each) for level, each in enumerate(colours.ramp)},
            "good": colours.good,
            "warn": colours.warn,
            "bad": colours.bad,
        }.items()
    )


def _mixed(one: str, other: str, share: float) -> str:
    pairs = zip(_parts(one), _parts(other), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def _parts(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[at : at + 2], 16) for at in (1, 3, 5))


def contrast(one: str, other: str) -> float:
    """The contrast of two colours as WCAG reckons it, from 1 to 21."""
    lights = sorted((_light(one), _light(other)))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def _light(colour: str) -> float:
    parts = [
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4  # noqa: PLR2004
        for share in (part / 255 for part in _parts(colour))
    ]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
