"""The news of a faction: real crimes, attacks, chains and members, and invented small events."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain

from tcdatalogger.sandbox.world import fights, people
from tcdatalogger.sandbox.world.bursts import Bursts
from tcdatalogger.sandbox.world.crimebook import CrimeBook
from tcdatalogger.sandbox.world.market import GOODS
from tcdatalogger.sandbox.world.people import DAY, Faction
from tcdatalogger.sandbox.world.rng import Rng, mix
from tcdatalogger.sandbox.world.streams import Row, Stream

CATEGORIES = (
    *("main", "attack", "armoryDeposit", "armoryAction", "territoryWar", "rankedWar"),
    *("territoryGain", "chain", "crime", "membership", "depositFunds", "giveFunds"),
)
LIMITED = frozenset({"attack", "depositFunds", "giveFunds"})
"""Categories that need a key of limited access."""

Story = tuple[int, str]
"""The time of an event in seconds since 1970, and its text with HTML tags."""

_ARMORY = [good.name for good in GOODS if good.type in {"Drug", "Medical", "Energy Drink"}]
_MOST_ATTACKS = 20
"""The most attacks of one second that are in the news."""

_GEAR = [good.name for good in GOODS if good.type in {"Weapon", "Armor"}]


@dataclass(frozen=True, slots=True)
class Paper:
    """The sources of the news of one faction.

    Attributes:
        seed: chooses the world.
        home: the faction.
        book: the crimes.
        attacks: the attacks of the faction, in buckets of a day.
        bursts: seconds with many news.

    Raises:
        ValueError: a category of the bursts can have no bursts.
    """

    seed: int
    home: Faction
    book: CrimeBook
    attacks: Stream
    bursts: Bursts

    def __post_init__(self) -> None:
        if not set(self.bursts.categories) <= set(_LIFE):
            raise ValueError(f"a burst of news is in some of {sorted(_LIFE)}")


def bucket(category: str) -> int:
    """The length of a bucket of a category in seconds."""
    return DAY if category in {"attack", "armoryAction"} else 8 * DAY


def rows(paper: Paper, category: str, number: int) -> Iterator[Row]:
    """The news of one category in the bucket of this number, in order of time within a day."""
    low = number * bucket(category)
    days = range(low // DAY, (low + bucket(category)) // DAY)
    for day in days:
        first = (day * len(CATEGORIES) + CATEGORIES.index(category)) * 10_000
        for place, (at, text) in enumerate(sorted(_stories(paper, category, day))):
            yield Row(at, first + place, at, category, text)


def news_json(
    seed: int, home: Faction, row: Row, *, tags: bool, corrected: bool = False
) -> dict[str, object]:
    """`News` of a row; a corrected one has another text."""
    text = row.fact + " (corrected)" if corrected else row.fact
    text = text if tags else re.sub(r"<[^>]*>", "", text)
    return {"id": _uid(seed, home, row.id), "text": text, "timestamp": row.at}


def _uid(seed: int, home: Faction, number: int) -> str:
    """An id of twenty letters and digits, as news of Torn have."""
    letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    rest = mix(seed, home.index, number) << 64 | mix(number, home.index, seed)
    text = ""
    for _ in range(20):
        rest, digit = divmod(rest, 62)
        text += letters[digit]
    return text


def _stories(paper: Paper, category: str, day: int) -> Iterator[Story]:
    seed, home = paper.seed, paper.home
    low, high = day * DAY, (day + 1) * DAY
    match category:
        case "crime":
            return _of_crimes(seed, home, paper.book, low, high)
        case "attack":
            return _of_attacks(seed, paper.attacks, day)
        case "chain":
            return _of_chains(seed, home, low, high)
        case "membership":
            return _of_members(seed, home, low, high)
        case _:
            return chain(
                _of_daily_life(seed, home, category, day), _of_bursts(paper, category, day)
            )


def _profile(user: int, name: str) -> str:
    return f'<a href = "http://www.torn.com/profiles.php?XID={user}">{name}</a>'


def _who(seed: int, home: Faction, seat: int, t: int) -> str:
    person = people.holder(seed, home, seat, t) or people.holder(seed, home, 0, t)
    return _profile(person.id, people.name(seed, person.code)) if person else "Someone"


def _of_crimes(seed: int, home: Faction, book: CrimeBook, low: int, high: int) -> Iterator[Story]:
    for crime in book.alive(home, low, high):
        title = f'<a href = "http://www.torn.com/factions.php?step=your#/tab=crimes&crimeId={crime.id}">'
        title += f"{crime.scenario.name}</a>"
        if crime.executed is not None and low <= crime.executed < high:
            result = "successfully completed" if crime.succeeds else "failed"
            yield crime.executed, f"The faction {result} the organised crime {title}"
        paid = crime.payout
        if paid and low <= paid.paid_at < high:
            by = _who(seed, home, 0, paid.paid_at)
            yield paid.paid_at, f"{by} paid {paid.percentage:g}% of ${crime.money:,} from {title}"


def _of_attacks(seed: int, attacks: Stream, day: int) -> Iterator[Story]:
    """Attacks that ended in hospital; of a second with very many attacks only the first ones."""
    counted: Counter[int] = Counter()
    for row in attacks.drawn(day):
        attack = fights.attack(seed, row)
        counted[row.at] += attack.result == "Hospitalized"
        if attack.result != "Hospitalized" or counted[row.at] > _MOST_ATTACKS:
            continue
        left = attack.attacker
        first = _profile(left.id, left.name) if left else "Someone"
        second = _profile(attack.defender.id, attack.defender.name)
        yield row.at, f"{first} hospitalized {second} and gained {attack.gain:g} respect"


def _of_chains(seed: int, home: Faction, low: int, high: int) -> Iterator[Story]:
    for week in (low // fights.WEEK - 1, low // fights.WEEK):
        for each in fights.chains(seed, home, week):
            if low <= each.end < high:
                yield each.end, f"The chain ended at {each.length} hits, {each.respect:.2f} respect"


def _of_members(seed: int, home: Faction, low: int, high: int) -> Iterator[Story]:
    for seat in range(home.seats):
        for at, what, person in people.changes(seed, home, seat, low, high):
            yield at, f"{_profile(person.id, people.name(seed, person.code))} {what} the faction"


def _of_daily_life(seed: int, home: Faction, category: str, day: int) -> Iterator[Story]:
    most, _ = _LIFE[category]
    rng = Rng(seed, "life", home.index, day, category)
    count = rng.between(0, most) if most > 1 else int(rng.chance(0.1))
    for _ in range(count):
        yield _story(seed, home, category, rng, day * DAY + rng.between(0, DAY - 1))


def _of_bursts(paper: Paper, category: str, day: int) -> Iterator[Story]:
    seed, home, bursts = paper.seed, paper.home, paper.bursts
    for moment in bursts.moments(day * DAY, (day + 1) * DAY, seed, "news", home.index):
        rng = Rng(seed, "rush", home.index, moment)
        if rng.pick(bursts.categories) == category:
            for _ in range(bursts.news):
                yield _story(seed, home, category, rng, moment)


def _story(seed: int, home: Faction, category: str, rng: Rng, at: int) -> Story:
    """An invented event of this category at this time."""
    who = _who(seed, home, rng.between(0, home.seats - 1), at)
    return at, _LIFE[category][1](rng, who)


_LIFE: dict[str, tuple[int, Callable[[Rng, str], str]]] = {
    "main": (1, lambda _, who: f"{who} changed the faction's announcement"),
    "armoryDeposit": (4, lambda d, who: f"{who} deposited {d.between(1, 30)} x {d.pick(_ARMORY)}"),
    "armoryAction": (
        10,
        lambda d, who: (
            f"{who} used one of the faction's {d.pick(_ARMORY)} items"
            if d.chance(0.7)
            else f"{who} loaned 1x {d.pick(_GEAR)} to themselves from the faction armory"
        ),
    ),
    "territoryWar": (1, lambda _, who: f"{who} has issued a territory war declaration"),
    "rankedWar": (1, lambda _, who: f"{who} enlisted the faction for ranked wars"),
    "territoryGain": (1, lambda _, who: f"{who} claimed a sector of territory"),
    "depositFunds": (5, lambda d, who: f"{who} deposited ${d.between(1, 9_000) * 1_000:,}"),
    "giveFunds": (4, lambda d, who: f"{who} was given ${d.between(1, 9_000) * 1_000:,}"),
}
