"""Random numbers without state: every number is a pure function of its parts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TypeVar
from zlib import crc32

T = TypeVar("T")

_MASK = (1 << 64) - 1
_STEP = 0x9E3779B97F4A7C15


def _scramble(state: int) -> int:
    """The finaliser of splitmix64: every bit of the input changes every bit of the output."""
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
    return state ^ (state >> 31)


@lru_cache(maxsize=4096)
def _number(text: str) -> int:
    return crc32(text.encode())


def mix(*parts: int | str) -> int:
    """A number of 64 bits that is always the same for the same parts."""
    state = 0
    for part in parts:
        number = _number(part) if isinstance(part, str) else part
        state = _scramble((state + _STEP + number) & _MASK)
    return state


def unit(*parts: int | str) -> float:
    """A fraction from 0 up to but not including 1, always the same for the same parts."""
    return mix(*parts) / 18446744073709551616.0


class Rng:
    """A sequence of random numbers; the same parts give the same sequence."""

    __slots__ = ("_state",)

    def __init__(self, *parts: int | str) -> None:
        self._state = mix(*parts)

    def roll(self) -> int:
        """The next number of 64 bits."""
        self._state = (self._state + _STEP) & _MASK
        return _scramble(self._state)

    def unit(self) -> float:
        """A fraction from 0 up to but not including 1."""
        return self.roll() / 18446744073709551616.0

    def chance(self, probability: float) -> bool:
        """True with this probability, from 0 to 1."""
        return self.unit() < probability

    def between(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return low + self.roll() % (high - low + 1)

    def spread(self, low: float, high: float, digits: int = 2) -> float:
        """A fraction from `low` to `high`, rounded."""
        return round(low + (high - low) * self.unit(), digits)

    def pick(self, options: Sequence[T]) -> T:
        """One of the options, each equally likely."""
        return options[self.roll() % len(options)]

    def sample(self, options: Sequence[T], count: int) -> list[T]:
        """`count` different options, in the order in which they were drawn."""
        rest = list(options)
        return [rest.pop(self.roll() % len(rest)) for _ in range(min(count, len(rest)))]


def wander(t: float, step: int, *parts: int | str) -> float:
    """A value between -1 and 1 that changes slowly: straight lines between points `step` apart."""
    place, rest = divmod(t, step)
    left = unit(*parts, int(place))
    right = unit(*parts, int(place) + 1)
    return 2 * (left + (right - left) * rest / step) - 1
