"""Seconds in which more rows lie than a page holds, and rows that are edited after they were shown.

Both are off unless `Rules` says otherwise; both are pure functions of the seed.
"""

from __future__ import annotations

from dataclasses import dataclass

from tcdatalogger.sandbox.world.people import DAY, HOUR
from tcdatalogger.sandbox.world.rng import mix, unit

_MOST = 3_000
"""The ids of one day have room for no more."""


@dataclass(frozen=True, slots=True)
class Bursts:
    """When many rows lie in one second.

    Attributes:
        every: one burst in so many days, at a second that the seed chooses; 0 for none.
        at: seconds since 1970 at which there is one besides, in every list.
        rows: how many attacks or lines of the log lie in such a second. With more than 100 no
            cursor by time gets past it: only `nanostamp` (log), ids (attacks) or a larger page.
        news: how many news of one category lie in such a second. By more than 100 nothing gets
            past: Torn has no other cursor for news.
        categories: of the news; each burst is in one of them.

    Raises:
        ValueError: a number makes no sense.
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
        """The seconds from `low` up to, not including, `high`; `parts` name seed and list."""
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
    """How rows are edited after they were first shown.

    Attributes:
        share: of the rows of attacks and news.
        within: seconds after which every one of these is done; the first come after an hour.

    Raises:
        ValueError: a number makes no sense.
    """

    share: float = 0.0
    within: int = DAY

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1 or self.within <= HOUR:
            raise ValueError("share is from 0 to 1, and within more than an hour")

    def done(self, at: int, t: int, *parts: int | str) -> bool:
        """Whether the row of time `at` has been edited by `t`; `parts` name seed, list and row."""
        if not self.share or unit("corrected", *parts) >= self.share:
            return False
        return t >= at + HOUR + mix("correction", *parts) % (self.within - HOUR)
