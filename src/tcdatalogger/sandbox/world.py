"""The city at a time: a pure function of the seed, the time and the start of its history."""

from __future__ import annotations

from functools import partial

from tcdatalogger.sandbox import fights, news, people
from tcdatalogger.sandbox.crimebook import CrimeBook
from tcdatalogger.sandbox.items import Market
from tcdatalogger.sandbox.memo import Memo
from tcdatalogger.sandbox.people import DAY, FACTIONS
from tcdatalogger.sandbox.streams import Stream


class World:
    """Everything that there is to know about the city.

    What is asked before never changes an answer; what is kept here only saves computing it again.

    Args:
        seed: chooses the city.
        since: when its history begins, seconds since 1970; nothing older is listed.
    """

    def __init__(self, seed: int, since: int) -> None:
        self.seed = seed
        self.since = max(since, people.GENESIS + DAY)
        self.crimes = CrimeBook(seed, self.since)
        self.market = Market(seed)
        self.attacks = [
            Stream(DAY, partial(fights.attacks, seed, home), self.since, fights.day_of)
            for home in FACTIONS
        ]
        self.chains = [
            Stream(fights.WEEK, partial(fights.chain_rows, seed, home), self.since)
            for home in FACTIONS
        ]
        self.news = {
            (home.index, category): Stream(
                news.bucket(category),
                partial(news.rows, seed, home, self.crimes, category),
                self.since,
            )
            for home in FACTIONS
            for category in news.CATEGORIES
        }
        self.generated: Memo[str, Stream] = Memo(300)
        """Lists by time that are made from their shape, by what they are about."""
