"""The simulated city: a pure function of the seed, the time and the start of its history."""

from __future__ import annotations

from functools import partial

from tcdatalogger.sandbox.world import fights, news, people
from tcdatalogger.sandbox.world.bursts import Bursts, Corrections
from tcdatalogger.sandbox.world.cache import BoundedCache
from tcdatalogger.sandbox.world.crimebook import CrimeBook
from tcdatalogger.sandbox.world.items import Market
from tcdatalogger.sandbox.world.people import DAY, FACTIONS, Person
from tcdatalogger.sandbox.world.streams import Row, Stream


class World:
    """The whole city.

    An answer never depends on earlier questions; the caches only save time.

    Args:
        seed: chooses the city.
        since: the start of its history, seconds since 1970; nothing older is listed.
        bursts: seconds with more rows than a page holds; none by default.
        corrections: rows that are edited after they were shown; none by default.
    """

    def __init__(
        self,
        seed: int,
        since: int,
        bursts: Bursts | None = None,
        corrections: Corrections | None = None,
    ) -> None:
        self.seed = seed
        self.bursts = bursts or Bursts()
        self.corrections = corrections or Corrections()
        self.since = max(since, people.GENESIS + DAY)
        self.crimes = CrimeBook(seed, self.since)
        self.market = Market(seed)
        self.attacks = [
            Stream(DAY, partial(fights.attacks, seed, home, self.bursts), self.since, fights.day_of)
            for home in FACTIONS
        ]
        self.chains = [
            Stream(fights.WEEK, partial(fights.chain_rows, seed, home), self.since)
            for home in FACTIONS
        ]
        papers = [
            news.Paper(seed, home, self.crimes, self.attacks[home.index], self.bursts)
            for home in FACTIONS
        ]
        self.news = {
            (paper.home.index, category): Stream(
                news.bucket(category), partial(news.rows, paper, category), self.since
            )
            for paper in papers
            for category in news.CATEGORIES
        }
        self.generated: BoundedCache[str, Stream] = BoundedCache(300)
        """The invented lists by time, by their subject (`generate`)."""
        self._attacks_of: BoundedCache[int, Stream] = BoundedCache(50)
        self._fought: BoundedCache[int, fights.Attack] = BoundedCache(100_000)

    def attacks_of(self, person: Person) -> Stream:
        """The attacks of the person's faction in which the person attacked or defended.

        A person without a faction has none.
        """
        known = self._attacks_of.get(person.id)
        if known is None:
            known = self._attacks_of[person.id] = Stream(
                DAY, partial(self._fights_of, person), self.since, fights.day_of
            )
        return known

    def attack(self, row: Row, t: int) -> fights.Attack:
        """The details of the attack of this row, as they are shown at `t`."""
        found = self._fought.get(row.id)
        if found is None:
            found = self._fought[row.id] = fights.attack(self.seed, row)
        if found.won and self.corrections.done(row.at, t, self.seed, "attacks", row.id):
            return fights.corrected(found)
        return found

    def _fights_of(self, person: Person, day: int) -> list[Row]:
        home = person.faction
        if home is None:
            return []
        return fights.of_user(self.seed, home, person.id, self.attacks[home.index].drawn(day))
