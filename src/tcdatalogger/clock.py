"""The one source of time: everything that reads a clock or waits is handed one of these."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Time as the program sees it. Tests hand in one that they move by hand."""

    def now(self) -> float:
        """Seconds since 1970 in UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Return when `seconds` have passed; nothing is done for zero or less."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        if seconds > 0:
            time.sleep(seconds)


class ManualClock:
    """A clock that stands still until it is moved; to sleep on it moves it."""

    def __init__(self, now: float = 1_767_225_600.0) -> None:
        self._now = now

    def now(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += max(seconds, 0.0)


def utc(seconds: float) -> datetime:
    """The aware UTC datetime of `seconds` since 1970."""
    return datetime.fromtimestamp(seconds, UTC)


def instant(seconds: float | None) -> datetime | None:
    """The aware UTC datetime of `seconds` since 1970; None for None and for what is not finite."""
    return None if seconds is None or not math.isfinite(seconds) else utc(seconds)
