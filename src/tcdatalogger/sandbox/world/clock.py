"""The world's clock: it starts somewhere, runs at its own speed, and can be pushed forward."""

from __future__ import annotations

import time


class WorldClock:
    """World time = start + real time gone by * speed + what it was advanced by.

    Args:
        start: seconds since 1970 in UTC.
        speed: world seconds in a real second; 0 for a world that stands still until it is moved.
    """

    def __init__(self, start: float, speed: float = 0.0) -> None:
        self._base = start
        self._since = time.monotonic()
        self.speed = speed

    def now(self) -> float:
        return self._base + (time.monotonic() - self._since) * self.speed

    def advance(self, seconds: float) -> float:
        """Move the world forward and return its time; it never goes back.

        Raises:
            ValueError: `seconds` is negative.
        """
        if seconds < 0:
            raise ValueError("the world only goes forward")
        self._base += seconds
        return self.now()

    def run(self, speed: float) -> None:
        """Go on at another speed from now.

        Raises:
            ValueError: `speed` is negative.
        """
        if speed < 0:
            raise ValueError("the world only goes forward")
        self._base, self._since = self.now(), time.monotonic()
        self.speed = speed
