"""Computes when something is due: the n-th point of time is `anchor + n x period`.

The points do not depend on the last run. So a late run, a power cut or a short month does not shift
the following points.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from whenever import Instant, PlainDateTime

from tcdatalogger.core.config.durations import Duration

ANCHOR: Final = "2001-01-01T00:00:00"
"""The default anchor: a Monday and the first day of a year, so weeks begin on Monday and months on
the 1st."""

_DAY: Final = 86_400.0
_MONTH: Final = 30.436_875 * _DAY  # as the calendar has it over four hundred years


@dataclass(frozen=True, slots=True)
class Grid:
    """All moments at which something is due. Moments are seconds since 1970.

    Attributes:
        period: the time between two points.
        zone: the IANA name of the time zone of the anchor, whose days, months and years count. A
            local time that does not exist (the clocks jump over it) is later by the jump; of a
            local time that exists twice the first is taken.
        anchor: a local date and time that is a point of the grid, as 2001-01-01T06:30.
        offset: seconds by which every point is later.
    """

    period: Duration
    zone: str = "UTC"
    anchor: str = ANCHOR
    offset: int = 0

    def at_or_before(self, moment: float) -> float:
        """The last point that is not later than a moment."""
        return self._point(self._last(moment - self.offset)) + self.offset

    def after(self, moment: float) -> float:
        """The first point that is later than a moment."""
        then = moment - self.offset
        count = self._last(then) + 1
        while (point := self._point(count)) <= then:  # two local days may be one moment
            count += 1
        return point + self.offset

    def __str__(self) -> str:
        """A text that is equal for grids with the same settings."""
        return f"{self.period}/{self.zone}/{self.anchor}+{self.offset}"

    def _last(self, moment: float) -> int:
        """The number of the last point that is not later than a moment.

        For a period of the clock it is a division. For a period of the calendar it is an estimate
        by the mean length, which is wrong by a few points at most, and then corrected.
        """
        seconds = self.period.seconds
        if seconds is not None:
            return int((moment - self._point(0)) // seconds)
        months, days = self.period.calendar
        count = int((moment - self._point(0)) // (months * _MONTH + days * _DAY))
        while self._point(count) > moment:
            count -= 1
        while self._point(count + 1) <= moment:
            count += 1
        return count

    def _point(self, count: int) -> float:
        begin = PlainDateTime.parse_iso(self.anchor)
        seconds = self.period.seconds
        if seconds is not None:
            return _instant(begin, self.zone) + count * seconds
        months, days = self.period.calendar
        return _instant(begin.add(months=count * months, days=count * days), self.zone)


def _instant(local: PlainDateTime, zone: str) -> float:
    return float(local.assume_tz(zone, disambiguation="compatible").timestamp())


def jitter(name: str, most: int) -> int:
    """Seconds from 0 to `most` that depend on the name only, on every machine."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % (most + 1)


def anchor(text: str) -> str:
    """Check an anchor and return it as a local date and time, from 2001-01-01 or 2001-01-01T06:30.

    Raises:
        ValueError: the text is no date, has an offset or fractions of a second, or is not between
            1970 and 2100. The message is a sentence.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            "not a date or a date and time; write 2001-01-01 or 2001-01-01T06:30"
        ) from None
    if found.tzinfo is not None:
        raise ValueError("an anchor is in the endpoint's `timezone`; write it without an offset")
    if not 1970 <= found.year <= 2100:  # noqa: PLR2004  # said in the message
        raise ValueError("an anchor lies between 1970 and 2100")
    if found.microsecond:
        raise ValueError("an anchor is exact to the second")
    return found.isoformat()


def zone(name: str) -> str:
    """Check the IANA name of a time zone, as Europe/Vienna, and return it.

    Raises:
        ValueError: there is no time zone with that name. The message is a sentence.
    """
    try:
        Instant.from_timestamp(0).to_tz(name)
    except ValueError:
        raise ValueError(
            "not the name of a time zone; write UTC, Europe/Vienna or America/New_York"
        ) from None
    return name
