"""The source of time: code that reads a clock or waits gets a `Clock` as an argument."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
from typing import Protocol

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_KILO = 1_000


class Clock(Protocol):
    """Time as the program sees it. Tests pass a `ManualClock`."""

    def now(self) -> float:
        """Seconds since 1970 in UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Return when `seconds` have passed; nothing is done for zero or less."""
        ...


class SystemClock:
    """The clock of the machine."""

    def now(self) -> float:
        """As `Clock.now`."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """As `Clock.sleep`."""
        if seconds > 0:
            time.sleep(seconds)


class AheadClock:
    """A clock that is ahead of another one by so many seconds, or behind it by negative ones."""

    def __init__(self, clock: Clock, ahead: float) -> None:
        self._clock, self._ahead = clock, ahead

    def now(self) -> float:
        """As `Clock.now`."""
        return self._clock.now() + self._ahead

    def sleep(self, seconds: float) -> None:
        """As `Clock.sleep`."""
        self._clock.sleep(seconds)


class ManualClock:
    """A clock that stands still; only `sleep` moves it forward. For tests and the sandbox."""

    def __init__(self, now: float = 1_767_225_600.0) -> None:
        self._now = now

    def now(self) -> float:
        """As `Clock.now`."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Move the clock by `seconds` and return at once."""
        self._now += max(seconds, 0.0)


def utc(seconds: float) -> datetime:
    """The aware UTC datetime of `seconds` since 1970."""
    return datetime.fromtimestamp(seconds, UTC)


def instant(seconds: float | None) -> datetime | None:
    """The aware UTC datetime of `seconds` since 1970; None for None, infinity and NaN."""
    return None if seconds is None or not math.isfinite(seconds) else utc(seconds)


def span(seconds: float) -> str:
    """A length of time in two units at most: `85 ms`, `2.4 s`, `3 min 5 s`, `2 h 10 min`, `4 d`."""
    if seconds < 0:
        return f"-{span(-seconds)}"
    if seconds < 0.9995:  # noqa: PLR2004  # above it rounds to 1,000 ms
        return f"{seconds * _KILO:.0f} ms"
    if seconds < 59.95:  # noqa: PLR2004  # above it rounds to 60.0 s
        return f"{seconds:.1f} s"
    whole = round(seconds)
    units = (("d", _DAY), ("h", _HOUR), ("min", _MINUTE), ("s", 1))
    parts = []
    for name, length in units:
        count, whole = divmod(whole, length)
        parts.append((count, name))
    first = next(index for index, (count, _) in enumerate(parts) if count)
    return " ".join(f"{count} {name}" for count, name in parts[first : first + 2] if count)


def ago(then: float | None, now: float) -> str:
    """How long ago, or until, a moment is: `3 min 5 s ago`, `in 12.0 s`, `never`."""
    if then is None:
        return "never"
    return f"{span(now - then)} ago" if then <= now else f"in {span(then - now)}"
