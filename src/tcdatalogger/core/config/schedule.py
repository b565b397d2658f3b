"""When something is due: points of time at equal distances from an anchor, never from the last one.

The n-th point is `anchor + n x period`. A run that came late, a night without power or a month of
28 days shifts nothing that follows.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from whenever import Instant, PlainDateTime

from tcdatalogger.core.config.durations import Duration

ANCHOR: Final = "2001-01-01T00:00:00"
"""A Monday and the first of a month and of a year: so weeks begin on Monday, months on the 1st."""

_DAY: Final = 86_400.0
_MONTH: Final = 30.436_875 * _DAY  # as the calendar has it over four hundred years


@dataclass(frozen=True, slots=True)
class Grid:
    """All the moments at which something is due. Moments are seconds since 1970.

    Attributes:
        period: between two points.
        zone: the time zone whose days, months and years are counted, and in which the anchor is
            meant, by its IANA name. A local time that the clocks jump over is taken as much later
            as they jump; of one that comes twice, the first is taken.
        anchor: a local date and time that is a point of the grid, as 2001-01-01T06:30.
        offset: seconds by which every point is later.
    """

    period: Duration
    zone: str = "UTC"
    anchor: str = ANCHOR
    offset: int = 0

    def at_or_before(self, moment: float) -> float:
        """The newest point that is not later than a moment."""
        return self._point(self._last(moment - self.offset)) + self.offset

    def after(self, moment: float) -> float:
        """The first point that is later than a moment."""
        then = moment - self.offset
        count = self._last(then) + 1
        while (point := self._point(count)) <= then:  # two local days may be one moment
            count += 1
        return point + self.offset

    def __str__(self) -> str:
        """What makes it this grid: two that read alike have the same points."""
        return f"{self.period}/{self.zone}/{self.anchor}+{self.offset}"

    def _last(self, moment: float) -> int:
        """The number of the newest point that is not later than a moment.

        Of the clock's periods it is a division; of the calendar's a guess by their mean length,
        which is never more than a few points off, however far away the anchor is.
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
    """Seconds from 0 to `most` that are always the same for a name, on every machine."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % (most + 1)


def anchor(text: str) -> str:
    """A local date and time, checked, from 2001-01-01 or 2001-01-01T06:30.

    Raises:
        ValueError: it is none, it names an offset, or is of another time than 1970 to 2100. The
            message is a sentence that says which.
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
    """The name of a time zone, checked: Europe/Vienna.

    Raises:
        ValueError: there is no zone of that name.
    """
    try:
        Instant.from_timestamp(0).to_tz(name)
    except ValueError:
        raise ValueError(
            "not the name of a time zone; write UTC, Europe/Vienna or America/New_York"
        ) from None
    return name
