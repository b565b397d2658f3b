"""The colours of pictures, by light and by dark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Colours:
    """The colours of one scheme, as `#rrggbb`.

    Attributes:
        paper: of the picture.
        ink, mute: of text, and of text beside it.
        line: between rows, and of axes.
        series: of series, in their order; of two series the first and `second`.
        second: of the second of two series.
        ramp: from little to much; colours between them are mixed.
        good, warn, bad: of ratings.
    """

    paper: str
    ink: str
    mute: str
    line: str
    series: tuple[str, ...]
    second: str
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
    paper="#ffffff",
    ink="#15181c",
    mute="#636972",
    line="#e4e6e4",
    series=("#0b7a6f", "#d9922b", "#4477cc", "#bb4f76", "#7d62b3", "#7f8832", "#878d95"),
    second="#8fd0c4",
    ramp=("#edf2f0", "#8fd0c4", "#0b7a6f", "#063f39"),
    good="#157a3c",
    warn="#95600a",
    bad="#c22f2f",
)

DARK: Final = Colours(
    paper="#191c20",
    ink="#eceef0",
    mute="#9ba2aa",
    line="#2d3238",
    series=("#3fbfae", "#e5ae57", "#7ea6ee", "#e489ab", "#b09ae0", "#b7c066", "#8f959d"),
    second="#1f6a60",
    ramp=("#22292c", "#1f6a60", "#3fbfae", "#bff5ec"),
    good="#5fc98a",
    warn="#e5ae57",
    bad="#f08080",
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
