"""The clock of the world: it has a start and a speed, and can be moved forward."""

from __future__ import annotations

import time


class WorldClock:
    """World time = start + passed real time * speed + all that `advance` added.

    Args:
        start: seconds since 1970 in UTC.
        speed: world seconds in a real second; 0 for a world that stands still.
    """

    def __init__(self, start: float, speed: float = 0.0) -> None:
        self._base = start
        self._since = time.monotonic()
        self.speed = speed

    def now(self) -> float:
        """The time of the world, seconds since 1970 in UTC."""
        return self._base + (time.monotonic() - self._since) * self.speed

    def advance(self, seconds: float) -> float:
        """Move the world forward and return its new time.

        Raises:
            ValueError: `seconds` is negative.
        """
        if seconds < 0:
            raise ValueError("the world only goes forward")
        self._base += seconds
        return self.now()

    def run(self, speed: float) -> None:
        """Change the speed from now on.

        Raises:
            ValueError: `speed` is negative.
        """
        if speed < 0:
            raise ValueError("the world only goes forward")
        self._base, self._since = self.now(), time.monotonic()
        self.speed = speed
