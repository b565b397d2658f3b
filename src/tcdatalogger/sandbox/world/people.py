"""The people of the city: factions, their seats, and what each person does at a time.

A faction has a fixed number of seats. Most seats keep the same person, some change. The person in
a seat at a time, and everything about a person at a time, is computed and not stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from tcdatalogger.sandbox.world.rng import Rng, mix, unit

GENESIS = 1_577_836_800
"""2020-01-01T00:00:00Z: the world has nothing older."""

DAY = 86_400
HOUR = 3_600

_FIRST_USER = 150_001
_USERS = 3_300_001  # a prime, so that multiplying walks through all of them
_STRIDE = 1_487_219
_UNSTRIDE = pow(_STRIDE, -1, _USERS)
_SEATS = 128
_TENURES = 64
_BLOCK = 8 * HOUR

_FRONT = (
    *("Velvet", "Rusty", "Night", "Iron", "Silent", "Copper", "Lucky", "Grim", "Salty", "Paper"),
    *("Ash", "Bitter", "Candle", "Dust", "Ember", "Fable", "Gravel", "Hollow", "Ivory", "Jolly"),
    *("Kilo", "Lunar", "Mad", "Neon", "Onyx", "Pale", "Quick", "Raven", "Slate", "Tin"),
)
_BACK = (
    *("Fox", "Anchor", "Baron", "Cobra", "Dealer", "Echo", "Falcon", "Ghost", "Hammer", "Imp"),
    *("Jackal", "Knave", "Lark", "Mule", "Nomad", "Otter", "Piper", "Queen", "Rook", "Saint"),
    *("Tailor", "Usher", "Viper", "Warden", "Yeti", "Zephyr", "Badger", "Crow", "Duke", "Fiddler"),
)
_COUNTRIES = (
    ("Mexico", 26),
    ("Cayman Islands", 35),
    ("Canada", 41),
    ("Hawaii", 134),
    ("United Kingdom", 120),
    ("Argentina", 130),
    ("Switzerland", 125),
    ("Japan", 140),
)
_POSITIONS = ("Leader", "Co-leader", "Quartermaster", "Recruiter", "Banker")


@dataclass(frozen=True, slots=True)
class Faction:
    """One faction.

    Attributes:
        index: the place in `FACTIONS`.
        founded: seconds since 1970.
        teams: the sizes of the groups of seats that plan crimes together; every seat is in a team.
    """

    index: int
    id: int
    name: str
    tag: str
    founded: int
    teams: tuple[int, ...]

    @property
    def seats(self) -> int:
        """The number of seats."""
        return sum(self.teams)

    def team(self, number: int) -> range:
        """The seats of one team."""
        first = sum(self.teams[:number])
        return range(first, first + self.teams[number])


FACTIONS = (
    Faction(0, 40832, "Harbour Lights", "HL", 1_420_000_000, (7, 6, 5, 4, 4, 2, 2)),
    Faction(1, 40991, "The Tin Orchestra", "TTO", 1_431_500_000, (7, 7, 6, 6, 5, 5, 4, 4, 2, 2)),
    Faction(2, 41210, "Paper Wolves", "PWo", 1_455_800_000, (6, 5, 4, 4, 2)),
    Faction(
        3, 42007, "Order of the Kettle", "OK", 1_470_200_000, (7, 7, 7, 6, 6, 6, 5, 5, 5, 4, 4)
    ),
    Faction(4, 43555, "1312 Club", "1312", 1_502_000_000, (5, 4, 2)),
    Faction(5, 44718, "Midnight Gardeners", "MnG", 1_523_000_000, (7, 6, 6, 5, 5, 4, 2)),
)

_BY_ID = {faction.id: faction for faction in FACTIONS}


def faction(faction_id: int) -> Faction | None:
    """The faction with this id, None where there is none."""
    return _BY_ID.get(faction_id)


@dataclass(frozen=True, slots=True)
class Person:
    """One user of the city.

    Attributes:
        id: the user id.
        code: the number from which everything about this person is computed.
        faction: the faction of the person, None for none.
        seat: the seat in the faction.
        joined: when the person took the seat, seconds since 1970.
        leaves: when the person leaves the seat, None for never.
    """

    id: int
    code: int
    faction: Faction | None = None
    seat: int = 0
    joined: int = 0
    leaves: int | None = None


def user_id(code: int) -> int:
    """The user id of the person with this code."""
    return _FIRST_USER + code * _STRIDE % _USERS


_CIVILIANS = len(FACTIONS) * _SEATS * _TENURES


def holder(seed: int, home: Faction, seat: int, t: int) -> Person | None:
    """The person in a seat at `t`; None for about a day when the person changes."""
    changes, term, phase = _terms(seed, home.index, seat)
    if seat < 5 or not changes:  # noqa: PLR2004, the officers stay
        joined = max(home.founded, GENESIS - phase * 3)
        return Person(_seat_user(home, seat, 0), _seat_code(home, seat, 0), home, seat, joined)
    tenure, held = divmod(t - GENESIS + phase, term)
    gap = int(unit(seed, "gap", home.index, seat, tenure) * 2 * DAY)
    if held < gap:
        return None
    code = _seat_code(home, seat, tenure % _TENURES)
    return Person(user_id(code), code, home, seat, t - held + gap, t - held + term)


@lru_cache(maxsize=1024)
def _terms(seed: int, home: int, seat: int) -> tuple[bool, int, int]:
    """Whether the person of a seat changes, after how many seconds, and the offset of the first."""
    rng = Rng(seed, "seat", home, seat)
    changes = rng.chance(0.2)
    term = rng.between(90, 300) * DAY
    return changes, term, rng.between(0, term)


def changes(
    seed: int, home: Faction, seat: int, low: int, high: int
) -> Iterator[tuple[int, str, Person]]:
    """Who left and who joined a seat, from `low` up to but not including `high`.

    Callers ask for at most 60 days: in that time the person of a seat changes at most once.
    """
    before, after = holder(seed, home, seat, low), holder(seed, home, seat, high - 1)
    if before and before.leaves and low <= before.leaves < high:
        yield before.leaves, "left", before
    if after and low <= after.joined < high:
        yield after.joined, "joined", after


def members(seed: int, home: Faction, t: int) -> list[Person]:
    """The members at `t`, ordered by seat."""
    held = (holder(seed, home, seat, t) for seat in range(home.seats))
    return [person for person in held if person]


def leader(home: Faction, seat: int = 0) -> int:
    """The user id of the leader (seat 0) or of another officer; officers never change."""
    return _seat_user(home, seat, 0)


def find(seed: int, user: int, t: int) -> Person | None:
    """The person with this user id at `t`, None where the city has no such user."""
    if not _FIRST_USER <= user < _FIRST_USER + _USERS:
        return None
    code = (user - _FIRST_USER) * _UNSTRIDE % _USERS
    if code >= _CIVILIANS:
        return Person(user, code)
    place, seat = divmod(code // _TENURES, _SEATS)
    home = FACTIONS[place]
    if seat >= home.seats:
        return Person(user, code)
    person = holder(seed, home, seat, t)
    return person if person and person.id == user else Person(user, code)


def stranger(rng: Rng) -> Person:
    """A random person without a faction."""
    code = rng.between(_CIVILIANS, _USERS - 1)
    return Person(user_id(code), code)


@lru_cache(maxsize=16_384)
def name(seed: int, code: int) -> str:
    """The name of a person."""
    rng = Rng(seed, "name", code)
    joint = rng.pick(("", "", "", "_", "-"))
    tail = str(rng.between(1, 99)) if rng.chance(0.35) else ""
    return f"{rng.pick(_FRONT)}{joint}{rng.pick(_BACK)}{tail}"


def gender(seed: int, code: int) -> str:
    """The gender of a person, in Torn's words."""
    return Rng(seed, "gender", code).pick(("Male", "Male", "Female", "Female", "Enby"))


def level(seed: int, person: Person, t: int) -> int:
    """The level of a person at `t`: it never falls and ends at 100."""
    start, pace = _growth(seed, person.code)
    return min(100, start + max(0, t - GENESIS) // pace)


@lru_cache(maxsize=16_384)
def _growth(seed: int, code: int) -> tuple[int, int]:
    """The first level of a person, and the seconds from one level to the next."""
    rng = Rng(seed, "level", code)
    return rng.between(3, 60), rng.between(40, 300) * DAY


def position(person: Person, t: int) -> str:
    """The name of the person's position in the faction at `t`."""
    if person.seat < len(_POSITIONS):
        return _POSITIONS[person.seat]
    return "Recruit" if t - person.joined < 14 * DAY else "Member"


def last_action(seed: int, code: int, t: int) -> tuple[str, int]:
    """Online, Idle or Offline, and the time of the person's last action.

    Some people come every few hours, some once a day, some stay away for days.
    """
    rng = Rng(seed, "habit", code)
    rhythm = rng.pick((2, 2, 3, 4, 6, 8, 12, 24, 24, 96, 240)) * HOUR
    phase = rng.between(0, rhythm)
    block = (t + phase) // rhythm
    for number in (block, block - 1):
        visit = Rng(seed, "visit", code, number)
        start = number * rhythm - phase + int(visit.unit() * rhythm * 0.8)
        end = start + visit.between(120, max(180, rhythm // 5))
        if start <= t:
            idle = t - end
            status = "Online" if idle <= 0 else "Idle" if idle < 15 * 60 else "Offline"
            return status, min(t, end)
    raise AssertionError("the visit of the block before is always over")


def relative(seconds: int) -> str:
    """An age in Torn's words, as `2 hours ago`."""
    for size, word in ((DAY, "day"), (HOUR, "hour"), (60, "minute")):
        if seconds >= size:
            count = seconds // size
            return f"{count} {word}{'s' if count > 1 else ''} ago"
    return f"{seconds} second{'' if seconds == 1 else 's'} ago"


def _span(seconds: int) -> str:
    hours, minutes = divmod(max(seconds, 60) // 60, 60)
    parts = [f"{hours} hrs"] if hours else []
    return " ".join([*parts, f"{minutes} mins"])


def status(seed: int, code: int, t: int, *, tags: bool = False) -> dict[str, object]:
    """`UserStatus` of a person: jail, hospital or a journey at most once in eight hours."""
    phase = mix(seed, "phase", code) % _BLOCK
    block = (t + phase) // _BLOCK
    rng = Rng(seed, "episode", code, block)
    kind = rng.unit()
    start = block * _BLOCK - phase + int(rng.unit() * _BLOCK / 4)
    if t < start:
        return _state("Okay", "Okay", "green")
    if kind < 0.3:  # noqa: PLR2004, a share of the blocks
        return _hospital(seed, rng, start, t, tags=tags)
    if kind < 0.37:  # noqa: PLR2004
        until = start + rng.between(5, 120) * 60
        if t < until:
            why = rng.pick(("Caught shoplifting", "Being interrogated", "Caught trying to escape"))
            return _state("Jail", f"In jail for {_span(until - t)}", "red", why, until)
    elif kind < 0.65:  # noqa: PLR2004
        return _journey(rng, start, t)
    return _state("Okay", "Okay", "green")


def _state(
    state: str, description: str, color: str, details: str | None = None, until: int | None = None
) -> dict[str, object]:
    return {
        "description": description,
        "details": details,
        "state": state,
        "color": color,
        "until": until,
    }


def _hospital(seed: int, rng: Rng, start: int, t: int, *, tags: bool) -> dict[str, object]:
    until = start + rng.between(10, 300) * 60
    if t >= until:
        return _state("Okay", "Okay", "green")
    by = stranger(rng)
    who = name(seed, by.code)
    link = f'<a href="https://www.torn.com/profiles.php?XID={by.id}">{who}</a>' if tags else who
    why = rng.pick((f"Hospitalized by {link}", f"Mugged by {link}", "Overdosed on Xanax"))
    return _state("Hospital", f"In hospital for {_span(until - t)}", "red", why, until)


def _journey(rng: Rng, start: int, t: int) -> dict[str, object]:
    country, minutes = rng.pick(_COUNTRIES)
    plane = rng.pick(("private_jet", "light_aircraft", "airliner"))
    there = start + minutes * 60
    leaves = there + rng.between(4, 60) * 60
    if t < there:
        state = _state("Traveling", f"Traveling to {country}", "blue")
        return {**state, "plane_image_type": plane}
    if t < leaves:
        return _state("Abroad", f"In {country}", "blue")
    if t < leaves + minutes * 60:
        state = _state("Traveling", f"Returning to Torn from {country}", "blue")
        return {**state, "plane_image_type": plane}
    return _state("Okay", "Okay", "green")


def _seat_code(home: Faction, seat: int, tenure: int) -> int:
    return (home.index * _SEATS + seat) * _TENURES + tenure


def _seat_user(home: Faction, seat: int, tenure: int) -> int:
    return user_id(_seat_code(home, seat, tenure))
