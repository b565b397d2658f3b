"""Bursts (seconds with more rows than a page holds) and rows that are edited after they were shown.

Both are off unless `Rules` turns them on; both are pure functions of the seed.
"""

from __future__ import annotations

from dataclasses import dataclass

from tcdatalogger.sandbox.world.people import DAY, HOUR
from tcdatalogger.sandbox.world.rng import mix, unit

_MOST = 3_000
"""The most rows of a burst: a day has no more free ids."""


@dataclass(frozen=True, slots=True)
class Bursts:
    """The seconds in which many rows lie.

    Attributes:
        every: one burst in this many days, at a second that the seed chooses; 0 for none.
        at: more bursts, in every list, in seconds since 1970.
        rows: how many attacks or log lines a burst has. With more than 100 no cursor by time gets
            past the second; only `nanostamp` (log), ids (attacks) or a larger page do.
        news: how many news of one category a burst has. With more than 100 nothing gets past the
            second: Torn has no other cursor for news.
        categories: the categories of news that can have bursts; each burst is in one of them.

    Raises:
        ValueError: a number is out of range.
    """

    every: int = 0
    at: tuple[int, ...] = ()
    rows: int = 130
    news: int = 60
    categories: tuple[str, ...] = (
        *("main", "armoryAction", "armoryDeposit", "depositFunds", "giveFunds"),
    )

    def __post_init__(self) -> None:
        if self.every < 0 or not (0 < self.rows <= _MOST and 0 < self.news <= _MOST):
            raise ValueError(f"a burst has from 1 to {_MOST} rows, and `every` is days")
        if not self.categories:
            raise ValueError("a burst of news is in at least one category")

    def moments(self, low: int, high: int, *parts: int | str) -> list[int]:
        """The seconds of bursts from `low` up to but not including `high`, in order.

        Args:
            low: seconds since 1970.
            high: seconds since 1970.
            parts: the seed and the names of the list.
        """
        found = {moment for moment in self.at if low <= moment < high}
        size = self.every * DAY
        if size and high > low:
            for number in range(low // size, (high - 1) // size + 1):
                moment = number * size + mix("burst", number, *parts) % size
                if low <= moment < high:
                    found.add(moment)
        return sorted(found)


@dataclass(frozen=True, slots=True)
class Corrections:
    """The rows that are edited after they were first shown.

    Attributes:
        share: the share of the attacks and news that are edited, from 0 to 1.
        within: seconds after which every edit is done; no edit comes in the first hour.

    Raises:
        ValueError: a number is out of range.
    """

    share: float = 0.0
    within: int = DAY

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1 or self.within <= HOUR:
            raise ValueError("share is from 0 to 1, and within more than an hour")

    def done(self, at: int, t: int, *parts: int | str) -> bool:
        """Whether a row is edited by the time `t`.

        Args:
            at: the time of the row.
            t: the time of the world.
            parts: the seed, the names of the list and the id of the row.
        """
        if not self.share or unit("corrected", *parts) >= self.share:
            return False
        return t >= at + HOUR + mix("correction", *parts) % (self.within - HOUR)
