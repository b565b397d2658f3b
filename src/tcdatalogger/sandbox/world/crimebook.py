"""All organised crimes: each is computed from the seed, its faction, its team and its number.

A team of a faction plans one crime after another, each in hours of its own. So nobody is in two
crimes at once, and the crimes of any time range can be computed alone.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence

from tcdatalogger.sandbox.world import people
from tcdatalogger.sandbox.world.cache import BoundedCache
from tcdatalogger.sandbox.world.crimes import (
    CATEGORIES,
    LONGEST,
    Crime,
    CrimeSlot,
    Payout,
    pass_rate,
    render,
)
from tcdatalogger.sandbox.world.people import DAY, FACTIONS, GENESIS, HOUR, Faction
from tcdatalogger.sandbox.world.php_json import encode
from tcdatalogger.sandbox.world.rng import Rng, mix
from tcdatalogger.sandbox.world.scenarios import BY_SIZE, SCENARIOS, Scenario

_FIRST_CRIME = 100_000
_TEAMS = 16
_CHUNK = 32 * DAY
_FEW = 3

_ROLES_OF = {2: 2, 3: 2, 4: 3, 5: 4, 6: 5, 7: 6}
"""How many roles the crimes of a team have, by the seats of the team; most have a seat to spare."""

_HOURS_OF = {2: 84, 3: 120, 4: 144, 5: 168, 6: 192}
"""The hours from one crime to the next by the number of roles: a day for each role, and more."""


class CrimeBook:
    """The crimes of all factions, computed when they are asked for, and cached.

    Args:
        seed: chooses the world.
        since: no crime is older; seconds since 1970.
    """

    def __init__(self, seed: int, since: int) -> None:
        self._seed = seed
        self._since = since
        self._chunks: BoundedCache[tuple[int, int], list[Crime]] = BoundedCache(1024)
        self._lists: BoundedCache[tuple[int, int], list[Crime]] = BoundedCache(16)
        self._rows: BoundedCache[int, bytes] = BoundedCache(50_000)

    def created(self, home: Faction, low: int, high: int) -> list[Crime]:
        """The crimes of a faction created from `low` to `high`, both included, oldest first."""
        low = max(low, self._since)
        if high < low:
            return []
        first, last = low // _CHUNK, high // _CHUNK
        if last - first > _FEW:
            crimes = self._upto(home, last)
        else:
            # Only the chunks of this range are computed: the others may never be asked for.
            crimes = [crime for n in range(first, last + 1) for crime in self._chunk(home, n)]
        return crimes[_before(crimes, low) : _before(crimes, high + 1)]

    def alive(self, home: Faction, low: int, high: int) -> list[Crime]:
        """All crimes that may have changed from `low` to `high`, and some more."""
        return self.created(home, low - LONGEST, high)

    def listed(self, home: Faction, category: str, field: str, t: int) -> list[tuple[int, Crime]]:
        """The crimes of a category at `t`, each with the time that orders it, oldest first.

        A crime without this time counts as zero, as in a database that sorts nulls first.
        """
        statuses = CATEGORIES[category][1]
        crimes = self.created(home, self._since, t)
        if category == "all" and field == "created_at":
            return [(crime.created, crime) for crime in crimes]
        rows = [
            (crime.field(field, t) or 0, crime) for crime in crimes if crime.status(t) in statuses
        ]
        rows.sort(key=lambda row: (row[0], row[1].id))
        return rows

    def find(self, crime_id: int, t: int) -> Crime | None:
        """The crime with this id, None where it does not exist at `t`."""
        rest, place = divmod(crime_id - _FIRST_CRIME, len(FACTIONS))
        hours, team = divmod(rest, _TEAMS)
        home = FACTIONS[place]
        if rest < 0 or team > len(home.teams):
            return None
        period, offset = self._rhythm(home, team)
        nth, odd = divmod(hours - offset, period)
        if odd or nth < 0:
            return None
        crime = self._plan(home, team, nth)
        return crime if self._since <= crime.created <= t else None

    def row(self, crime: Crime, viewer: int, t: int) -> bytes:
        """`FactionCrime` as JSON bytes; a crime that does not change any more is encoded once."""
        if t < crime.settled:
            return encode(render(crime, self._seed, viewer, t))
        known = self._rows.get(crime.id)
        if known is None:
            known = self._rows[crime.id] = encode(render(crime, self._seed, viewer, t))
        return known

    def _upto(self, home: Faction, last: int) -> list[Crime]:
        known = self._lists.get((home.index, last))
        if known is None:
            known = [
                crime
                for chunk in range(self._since // _CHUNK, last + 1)
                for crime in self._chunk(home, chunk)
            ]
            self._lists[home.index, last] = known
        return known

    def _chunk(self, home: Faction, chunk: int) -> list[Crime]:
        known = self._chunks.get((home.index, chunk))
        if known is None:
            known = sorted(self._draw(home, chunk), key=lambda crime: (crime.created, crime.id))
            self._chunks[home.index, chunk] = known
        return known

    def _draw(self, home: Faction, chunk: int) -> list[Crime]:
        low, high = chunk * _CHUNK, (chunk + 1) * _CHUNK
        crimes = []
        for team in range(len(home.teams) + 1):
            period, offset = self._rhythm(home, team)
            first = max(0, ((low - GENESIS) // HOUR - offset) // period - 1)
            last = max(0, ((high - GENESIS) // HOUR - offset) // period + 1)
            crimes += [self._plan(home, team, nth) for nth in range(first, last + 1)]
        return [crime for crime in crimes if low <= crime.created < high]

    def _rhythm(self, home: Faction, team: int) -> tuple[int, int]:
        """The hours from one crime of a team to the next, and the hour of its first crime."""
        period = _HOURS_OF[_size(home, team)]
        return period, mix(self._seed, "rhythm", home.index, team) % period

    def _plan(self, home: Faction, team: int, nth: int) -> Crime:
        period, offset = self._rhythm(home, team)
        hours = nth * period + offset
        crime_id = _FIRST_CRIME + (hours * _TEAMS + team) * len(FACTIONS) + home.index
        size = _size(home, team)
        rng = Rng(self._seed, "crime", crime_id)
        created = GENESIS + hours * HOUR + rng.between(0, 6 * HOUR)
        expires = created + (period - 12) * HOUR
        scenario = SCENARIOS[rng.pick(BY_SIZE[size])]
        fills = rng.chance(0.9)
        slots: tuple[CrimeSlot, ...] = (CrimeSlot(None),) * size
        if team < len(home.teams):
            seats: list[int | None] = [*rng.sample(home.team(team), size)]
            if not fills:
                seats[-1] = None
            slots = _fill(self._seed, rng, home, scenario, seats, created, expires)
        if not all(slot.user for slot in slots):
            return Crime(
                *(crime_id, home, scenario, created, None, None, None, expires),
                *(False, None, slots, 0, (), 0, None),
            )
        ready = max(slot.ends for slot in slots)
        executed = min(ready + rng.between(0, 10 * HOUR), expires - 600)
        before = crime_id - period * _TEAMS * len(FACTIONS)
        succeeds = rng.chance(0.78)
        return Crime(
            id=crime_id,
            home=home,
            scenario=scenario,
            created=created,
            full=max(slot.joined for slot in slots),
            ready=ready,
            executed=executed,
            expires=expires,
            succeeds=succeeds,
            previous=before if nth and rng.chance(0.2) else None,
            slots=_outcomes(self._seed, rng, scenario, slots, executed, succeeds=succeeds),
            money=rng.between(*scenario.money) // 100 * 100 if succeeds else 0,
            items=tuple((item, rng.between(1, most)) for item, most in scenario.items),
            respect=rng.between(max(1, scenario.respect // 2), scenario.respect),
            payout=_payout(rng, home, executed) if succeeds else None,
        )


def _size(home: Faction, team: int) -> int:
    """The roles of the crimes of a team; the team after the last has no seats: nobody joins."""
    return _ROLES_OF[home.teams[team]] if team < len(home.teams) else 5


def _before(crimes: Sequence[Crime], t: int) -> int:
    """How many were created before `t`."""
    by_time: Callable[[Crime], int] = lambda crime: crime.created  # noqa: E731
    return bisect_right(crimes, t - 1, key=by_time)


def _fill(
    seed: int,
    rng: Rng,
    home: Faction,
    scenario: Scenario,
    seats: Sequence[int | None],
    created: int,
    expires: int,
) -> tuple[CrimeSlot, ...]:
    """Who takes which role and when; a role without a seat stays empty."""
    window = min(24, max(4, (expires - created) // HOUR - 24 * len(seats) - 4)) * HOUR
    times = sorted(created + 120 + int(rng.unit() * window) for _ in seats)
    slots = []
    free = created
    for role, (seat, joined) in enumerate(zip(seats, times, strict=True)):
        person = None if seat is None else people.holder(seed, home, seat, joined)
        if person is None:
            slots.append(CrimeSlot(None))
            continue
        begins = max(joined, free)
        free = begins + DAY
        rate = pass_rate(seed, person.id, scenario, role)
        equipped = joined + rng.between(0, 30 * HOUR)
        slots.append(CrimeSlot(person.id, joined, begins, free, equipped, rate))
    return tuple(slots)


def _outcomes(
    seed: int,
    rng: Rng,
    scenario: Scenario,
    slots: tuple[CrimeSlot, ...],
    executed: int,
    *,
    succeeds: bool,
) -> tuple[CrimeSlot, ...]:
    """What the execution does to each participant."""
    done = []
    for (_, item), slot in zip(scenario.roles, slots, strict=True):
        bad = ("Failed", "Jailed", "Injured", "Hospitalized")
        outcome = "Successful" if succeeds or rng.chance(0.25) else rng.pick(bad)
        held = outcome in {"Jailed", "Hospitalized"}
        used = {
            "owned_by": rng.pick(("user", "faction")),
            "item_id": item,
            "item_uid": 10_000_000_000 + mix(seed, "uid", slot.user or 0, executed) % 9_000_000_000,
            "outcome": rng.pick(("used", "used", "lost", "unused")),
        }
        done.append(
            CrimeSlot(
                *(slot.user, slot.joined, slot.begins, slot.ends, slot.equipped, slot.pass_rate),
                outcome=outcome,
                duration=rng.between(30, 900) * 60 if held else None,
                item_outcome=used if item else None,
            )
        )
    return tuple(done)


def _payout(rng: Rng, home: Faction, executed: int) -> Payout | None:
    """Most crimes are paid within two days, some never by the automatic system."""
    if rng.chance(0.15):
        return None
    return Payout(
        paid_at=executed + rng.between(300, 40 * HOUR),
        paid_by=people.leader(home, rng.pick((0, 1, 4))),
        kind=rng.pick(("balance", "balance", "balance", "wallet", "inventory")),
        percentage=rng.pick((80.0, 85.5, 90.0, 92.25, 95.0, 97.5)),
    )
