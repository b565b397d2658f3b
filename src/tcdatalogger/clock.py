"""The source of time: code that reads a clock or waits gets a `Clock` as an argument."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
from typing import Protocol


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
