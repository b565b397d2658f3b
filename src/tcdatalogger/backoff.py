"""The pauses between tries of something that fails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_DOUBLINGS: Final = 1_000
"""The most doublings that a float can hold; the longest pause is reached much earlier."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses that double from try to try, up to a longest one.

    Attributes:
        first: the pause after the first try, in seconds.
        longest: the longest pause without jitter, in seconds.
        jitter: the share of a pause by which it may be longer or shorter, from 0 to 1; so processes
            that failed together do not try again together.
    """

    first: float
    longest: float
    jitter: float = 0.0

    def pause(self, tries: int, chance: float = 0.0) -> float:
        """The pause after a number of failed tries, in seconds.

        Args:
            tries: the failed tries, 1 or more.
            chance: a number from -1 to 1 that is multiplied with the jitter.
        """
        seconds = self.first * 2.0 ** min(tries - 1, _DOUBLINGS)
        return min(self.longest, seconds) * (1 + self.jitter * chance)

    def after(self, pause: float) -> float:
        """The pause without jitter that follows a pause, in seconds; after 0 the first pause."""
        return min(self.longest, max(self.first, 2 * pause))
