"""How long to wait before something that failed is tried again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_DOUBLINGS: Final = 1_000
"""A float holds no more of them; the pause is the longest one long before."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses that double from try to try, up to a longest one.

    Attributes:
        first: the pause after the first try, in seconds.
        longest: no pause is longer before it is spread, in seconds.
        jitter: the part of a pause by which it may be spread, from 0 to 1. It keeps those that
            failed together from coming back together.
    """

    first: float
    longest: float
    jitter: float = 0.0

    def pause(self, tries: int, chance: float = 0.0) -> float:
        """The pause after so many tries that failed, in seconds.

        Args:
            tries: 1 or more.
            chance: from -1 to 1: where in its spread the pause lies.
        """
        seconds = self.first * 2.0 ** min(tries - 1, _DOUBLINGS)
        return min(self.longest, seconds) * (1 + self.jitter * chance)

    def after(self, pause: float) -> float:
        """The pause after one of so many seconds, not spread; after 0 it is the first."""
        return min(self.longest, max(self.first, 2 * pause))
