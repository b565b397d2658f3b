"""ISO 8601 durations: how often an endpoint runs, how long a run may take, how long files stay."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from whenever import Instant, ItemizedDelta

_FRACTION = re.compile(r"\d[.,]\d")
_CENTURY = 36_525 * 86_400
_SHORT = {"hours": "h", "minutes": "min", "seconds": "s"}
"""Units that have no plural."""


@dataclass(frozen=True, slots=True)
class Duration:
    """A length of time: of the clock (hours, minutes, seconds) or of the calendar (days, months).

    A day of the calendar has 23 or 25 hours when the clocks change, and a month has 28 to 31 days.
    So only a duration of the clock has a length in seconds.

    Attributes:
        text: the duration in upper case, as `PT15M`.
        seconds: the length of a duration of the clock, None for one of the calendar.
    """

    text: str
    seconds: int | None

    def after(self, moment: float, zone: str = "UTC") -> float:
        """The moment one duration later, in seconds since 1970.

        Args:
            moment: seconds since 1970.
            zone: the IANA name of the time zone whose calendar counts.
        """
        return self._from(moment, zone, 1)

    def before(self, moment: float, zone: str = "UTC") -> float:
        """The moment one duration earlier; the arguments are those of `after`."""
        return self._from(moment, zone, -1)

    @property
    def calendar(self) -> tuple[int, int]:
        """The months and days of a duration of the calendar; (0, 0) for one of the clock."""
        return _calendar(self.text)

    @property
    def words(self) -> str:
        """The duration as people read it: `24 h`, `1 h 30 min`, `2 weeks`."""
        told = ItemizedDelta.parse_iso(self.text)
        return " ".join(f"{count} {_words(unit, count)}" for unit, count in told.items() if count)

    def _from(self, moment: float, zone: str, sign: int) -> float:
        if self.seconds is not None:
            return moment + sign * self.seconds
        there = Instant.from_timestamp(moment).to_tz(zone)
        delta = ItemizedDelta.parse_iso(self.text)
        moved = there.add(delta) if sign > 0 else there.subtract(delta)
        return moved.timestamp() + moment % 1

    def __str__(self) -> str:
        return self.text


@lru_cache(maxsize=1024)  # thousands of endpoints have a handful of frequencies
def _calendar(text: str) -> tuple[int, int]:
    parts = dict(ItemizedDelta.parse_iso(text).date_and_time_parts()[0] or {})
    months = 12 * parts.get("years", 0) + parts.get("months", 0)
    return months, 7 * parts.get("weeks", 0) + parts.get("days", 0)


def _words(unit: str, count: int) -> str:
    return _SHORT.get(unit) or (unit.removesuffix("s") if count == 1 else unit)


@lru_cache(maxsize=1024)
def parse(text: str) -> Duration:
    """The duration that `text` means: `PT15M`, `PT1H30M`, `P1D`, `P2W`, `P1M`, `P1Y6M`.

    Raises:
        ValueError: the text is no duration, or one that is refused: zero, negative, with a
            fraction, longer than a century, or of calendar and clock together (`P1DT12H` has no
            fixed length). The message is a sentence without the text itself.
    """
    upper = text.strip().upper()
    if _FRACTION.search(upper):
        raise ValueError("fractions are not taken; write PT90M for an hour and a half")
    try:
        delta = ItemizedDelta.parse_iso(upper)
    except ValueError:
        raise ValueError(
            "not an ISO 8601 duration; write PT15M for 15 minutes, P1D for a day"
        ) from None
    if delta.sign() == 0:
        raise ValueError("a duration of zero is no duration; write at least PT1S")
    if delta.sign() < 0:
        raise ValueError("a duration cannot be negative")
    calendar, clock = delta.date_and_time_parts()
    if calendar is not None and clock is not None:
        raise ValueError(
            "days and longer do not mix with hours and shorter, as a day is not always 24 hours; "
            "write PT36H or P1D"
        )
    duration = Duration(upper, None if clock is None else int(clock.total("seconds")))
    if not _within_a_century(duration):
        raise ValueError("longer than a hundred years")
    return duration


def _within_a_century(duration: Duration) -> bool:
    """Whether the duration is at most a century: a longer one is a mistake, and calendars end."""
    if duration.seconds is not None:
        return duration.seconds <= _CENTURY
    try:
        return duration.after(0.0) <= _CENTURY
    except (ValueError, OverflowError):
        return False
