"""The city at a time: a pure function of the seed, the time and the start of its history."""

from __future__ import annotations

from functools import partial

from tcdatalogger.sandbox.world import fights, news, people
from tcdatalogger.sandbox.world.bursts import Bursts, Corrections
from tcdatalogger.sandbox.world.crimebook import CrimeBook
from tcdatalogger.sandbox.world.items import Market
from tcdatalogger.sandbox.world.memo import Memo
from tcdatalogger.sandbox.world.people import DAY, FACTIONS, Person
from tcdatalogger.sandbox.world.streams import Row, Stream


class World:
    """Everything that there is to know about the city.

    What is asked before never changes an answer; what is kept here only saves computing it again.

    Args:
        seed: chooses the city.
        since: when its history begins, seconds since 1970; nothing older is listed.
        bursts, corrections: what it does to those who read it; nothing by default.
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
        self.generated: Memo[str, Stream] = Memo(300)
        """Lists by time that are made from their shape, by what they are about."""
        self._attacks_of: Memo[int, Stream] = Memo(50)
        self._fought: Memo[int, fights.Attack] = Memo(100_000)

    def attacks_of(self, person: Person) -> Stream:
        """The attacks that a member of a faction made or suffered, as the faction's list has them.

        Somebody without a faction has none.
        """
        known = self._attacks_of.get(person.id)
        if known is None:
            known = self._attacks_of[person.id] = Stream(
                DAY, partial(self._fights_of, person), self.since, fights.day_of
            )
        return known

    def attack(self, row: Row, t: int) -> fights.Attack:
        """What happened in the attack of this row, as it is told at `t`."""
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
