"""Organised crimes: each one's whole life is drawn at once, and shown as it stands at a time.

Every team of a faction plans one crime after another, each in its own stretch of hours, so that
nobody is ever in two at once and the crimes of any time range can be computed by themselves.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tcdatalogger.sandbox import people
from tcdatalogger.sandbox.dice import Dice, mix
from tcdatalogger.sandbox.memo import Memo
from tcdatalogger.sandbox.people import DAY, FACTIONS, GENESIS, HOUR, Faction
from tcdatalogger.sandbox.php import encode, number
from tcdatalogger.sandbox.scenarios import BY_SIZE, SCENARIOS, Scenario

_FIRST_CRIME = 100_000
_TEAMS = 16
_CHUNK = 32 * DAY
LONGEST = 12 * DAY
"""No crime lives longer, its payout included."""

_ROLES_OF = {2: 2, 3: 2, 4: 3, 5: 4, 6: 5, 7: 6}
_HOURS_OF = {2: 84, 3: 120, 4: 144, 5: 168, 6: 192}

FIELDS = ("created_at", "executed_at", "ready_at", "expired_at")

CATEGORIES = {
    "all": ("created_at", ("Recruiting", "Planning", "Successful", "Failure", "Expired")),
    "available": ("created_at", ("Recruiting", "Planning")),
    "recruiting": ("expired_at", ("Recruiting",)),
    "planning": ("ready_at", ("Planning",)),
    "successful": ("executed_at", ("Successful",)),
    "failure": ("executed_at", ("Failure",)),
    "completed": ("executed_at", ("Successful", "Failure")),
    "expired": ("expired_at", ("Expired",)),
}
"""What `cat` may be: the field that orders the crimes, and the statuses that are listed."""


@dataclass(frozen=True, slots=True)
class Slot:
    """What becomes of one position.

    Attributes:
        joined: when the user takes it.
        begins, ends: their own day of planning, one after another.
        equipped: when they have the item they need.
    """

    user: int | None
    joined: int = 0
    begins: int = 0
    ends: int = 0
    equipped: int = 0
    pass_rate: int = 0
    outcome: str = "Successful"
    duration: int | None = None
    item_outcome: dict[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Payout:
    paid_at: int
    paid_by: int
    kind: str
    percentage: float


@dataclass(frozen=True, slots=True)
class Crime:
    """The whole life of one crime; all times are seconds since 1970.

    Attributes:
        full: when the last slot is taken and planning begins; None where that never happens.
        executed: None where it expires.
    """

    id: int
    home: Faction
    scenario: Scenario
    created: int
    full: int | None
    ready: int | None
    executed: int | None
    expires: int
    succeeds: bool
    previous: int | None
    slots: tuple[Slot, ...]
    money: int
    items: tuple[tuple[int, int], ...]
    respect: int
    payout: Payout | None

    @property
    def settled(self) -> int:
        """From when on nothing about it changes."""
        if self.executed is None:
            return self.expires
        return self.payout.paid_at if self.payout else self.executed

    def status(self, t: int) -> str:
        if self.executed is not None and t >= self.executed:
            return "Successful" if self.succeeds else "Failure"
        if self.full is not None and t >= self.full:
            return "Planning"
        return "Expired" if t >= self.expires else "Recruiting"

    def field(self, name: str, t: int) -> int | None:
        """One of `FIELDS` as it stands at `t`."""
        match name:
            case "created_at":
                return self.created
            case "expired_at":
                return self.expires
            case "executed_at":
                return self.executed if self.executed is not None and t >= self.executed else None
            case _:
                return self.ready if self.full is not None and t >= self.full else None


def pass_rate(seed: int, user: int, scenario: Scenario, role: int) -> int:
    """How likely this user passes the checkpoints of this role, in percent."""
    ease = Dice(seed, "skill", user).between(40, 96)
    return max(5, min(99, ease - 3 * scenario.difficulty + mix(seed, user, role) % 25))


def render(crime: Crime, seed: int, viewer: int, t: int) -> dict[str, object]:
    """`FactionCrime` as `viewer` sees it at `t`: empty slots show the viewer's own pass rate."""
    status = crime.status(t)
    done = status in {"Successful", "Failure"}
    return {
        "id": crime.id,
        "previous_crime_id": crime.previous,
        "name": crime.scenario.name,
        "difficulty": crime.scenario.difficulty,
        "status": status,
        "created_at": crime.created,
        "planning_at": crime.full if crime.full is not None and t >= crime.full else None,
        "ready_at": crime.field("ready_at", t),
        "expired_at": crime.expires,
        "executed_at": crime.executed if done else None,
        "slots": [
            _slot(crime, role, seed, viewer, t, status) for role in range(len(crime.scenario.roles))
        ],
        "rewards": _rewards(crime, t) if status == "Successful" else None,
    }


def _slot(
    crime: Crime, role: int, seed: int, viewer: int, t: int, status: str
) -> dict[str, object]:
    roles = crime.scenario.roles
    position, item = roles[role]
    slot = crime.slots[role]
    taken = slot.user is not None and t >= slot.joined
    same = [place for place, (name, _) in enumerate(roles) if name == position]
    nth = same.index(role) + 1
    rate = slot.pass_rate if taken else pass_rate(seed, viewer, crime.scenario, role)
    return {
        "position": position,
        "position_info": {
            "id": f"P{role + 1}",
            "label": f"{position} #{nth}" if len(same) > 1 else position,
            "number": nth,
        },
        "item_requirement": {
            "id": item,
            "is_reusable": item % 2 == 0,
            "is_available": taken and t >= slot.equipped,
        }
        if item
        else None,
        "user": _participant(crime, slot, t) if taken else None,
        "checkpoint_pass_rate": 0 if status == "Expired" else rate,
    }


def _participant(crime: Crime, slot: Slot, t: int) -> dict[str, object]:
    done = crime.executed is not None and t >= crime.executed
    spent = min(max(min(t, crime.settled) - slot.begins, 0), DAY) if slot.begins else 0
    return {
        "id": slot.user,
        "outcome": slot.outcome if done else None,
        "outcome_duration": slot.duration if done else None,
        "item_outcome": slot.item_outcome if done else None,
        "joined_at": slot.joined,
        "progress": number(round(spent * 100 / DAY, 2)),
    }


def _rewards(crime: Crime, t: int) -> dict[str, object]:
    payout = crime.payout
    paid = payout is not None and t >= payout.paid_at
    return {
        "money": crime.money,
        "items": [{"id": item, "quantity": quantity} for item, quantity in crime.items],
        "respect": crime.respect,
        "scope": crime.scenario.difficulty // 2 + 1,
        "payout": {
            "type": payout.kind,
            "percentage": number(payout.percentage),
            "paid_by": payout.paid_by,
            "paid_at": payout.paid_at,
        }
        if payout and paid
        else None,
    }


class CrimeBook:
    """The crimes of every faction from `since` on, computed when asked for and kept."""

    def __init__(self, seed: int, since: int) -> None:
        self._seed = seed
        self._since = since
        self._chunks: Memo[tuple[int, int], list[Crime]] = Memo(1024)
        self._lists: Memo[tuple[int, int], list[Crime]] = Memo(16)
        self._rows: Memo[int, bytes] = Memo(50_000)

    def created(self, home: Faction, low: int, high: int) -> list[Crime]:
        """Those created from `low` to `high`, both included, oldest first."""
        low = max(low, self._since)
        if high < low:
            return []
        crimes = self._upto(home, high // _CHUNK)
        return crimes[_before(crimes, low) : _before(crimes, high + 1)]

    def alive(self, home: Faction, low: int, high: int) -> list[Crime]:
        """All that may have changed from `low` to `high`, and some more."""
        return self.created(home, low - LONGEST, high)

    def listed(self, home: Faction, category: str, field: str, t: int) -> list[tuple[int, Crime]]:
        """The crimes of a category at `t` with the time that orders them, oldest first.

        Where a crime has no such time yet it counts as zero, as in a database that sorts nulls.
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
        """The crime with this id, if it exists at `t`."""
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
        """`FactionCrime` in JSON; encoded once for a crime that no longer changes."""
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
        """The hours from one crime of a team to the next, and when its first begins."""
        period = _HOURS_OF[_size(home, team)]
        return period, mix(self._seed, "rhythm", home.index, team) % period

    def _plan(self, home: Faction, team: int, nth: int) -> Crime:
        period, offset = self._rhythm(home, team)
        hours = nth * period + offset
        crime_id = _FIRST_CRIME + (hours * _TEAMS + team) * len(FACTIONS) + home.index
        size = _size(home, team)
        dice = Dice(self._seed, "crime", crime_id)
        created = GENESIS + hours * HOUR + dice.between(0, 6 * HOUR)
        expires = created + (period - 12) * HOUR
        scenario = SCENARIOS[dice.pick(BY_SIZE[size])]
        fills = dice.chance(0.9)
        slots: tuple[Slot, ...] = (Slot(None),) * size
        if team < len(home.teams):
            seats = dice.sample(home.team(team), size)
            slots = _fill(self._seed, dice, home, scenario, seats, created, expires, fills=fills)
        if not all(slot.user for slot in slots):
            return Crime(
                *(crime_id, home, scenario, created, None, None, None, expires),
                *(False, None, slots, 0, (), 0, None),
            )
        ready = max(slot.ends for slot in slots)
        executed = min(ready + dice.between(0, 10 * HOUR), expires - 600)
        before = crime_id - period * _TEAMS * len(FACTIONS)
        succeeds = dice.chance(0.78)
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
            previous=before if nth and dice.chance(0.2) else None,
            slots=_outcomes(self._seed, dice, scenario, slots, executed, succeeds=succeeds),
            money=dice.between(*scenario.money) // 100 * 100 if succeeds else 0,
            items=tuple((item, dice.between(1, most)) for item, most in scenario.items),
            respect=dice.between(max(1, scenario.respect // 2), scenario.respect),
            payout=_payout(dice, home, executed) if succeeds else None,
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
    dice: Dice,
    home: Faction,
    scenario: Scenario,
    seats: Sequence[int],
    created: int,
    expires: int,
    *,
    fills: bool,
) -> tuple[Slot, ...]:
    """Who takes which role and when; unless it `fills`, the last role stays empty."""
    window = min(24, max(4, (expires - created) // HOUR - 24 * len(seats) - 4)) * HOUR
    times = sorted(created + 120 + int(dice.unit() * window) for _ in seats)
    slots = []
    free = created
    for role, (seat, joined) in enumerate(zip(seats, times, strict=True)):
        person = people.holder(seed, home, seat, joined)
        if person is None or (role == len(seats) - 1 and not fills):
            slots.append(Slot(None))
            continue
        begins = max(joined, free)
        free = begins + DAY
        rate = pass_rate(seed, person.id, scenario, role)
        equipped = joined + dice.between(0, 30 * HOUR)
        slots.append(Slot(person.id, joined, begins, free, equipped, rate))
    return tuple(slots)


def _outcomes(
    seed: int,
    dice: Dice,
    scenario: Scenario,
    slots: tuple[Slot, ...],
    executed: int,
    *,
    succeeds: bool,
) -> tuple[Slot, ...]:
    """What the execution does to each participant."""
    done = []
    for (_, item), slot in zip(scenario.roles, slots, strict=True):
        bad = ("Failed", "Jailed", "Injured", "Hospitalized")
        outcome = "Successful" if succeeds or dice.chance(0.25) else dice.pick(bad)
        held = outcome in {"Jailed", "Hospitalized"}
        used = {
            "owned_by": dice.pick(("user", "faction")),
            "item_id": item,
            "item_uid": 10_000_000_000 + mix(seed, "uid", slot.user or 0, executed) % 9_000_000_000,
            "outcome": dice.pick(("used", "used", "lost", "unused")),
        }
        done.append(
            Slot(
                *(slot.user, slot.joined, slot.begins, slot.ends, slot.equipped, slot.pass_rate),
                outcome=outcome,
                duration=dice.between(30, 900) * 60 if held else None,
                item_outcome=used if item else None,
            )
        )
    return tuple(done)


def _payout(dice: Dice, home: Faction, executed: int) -> Payout | None:
    """Most crimes are paid within two days, some never by the automatic system."""
    if dice.chance(0.15):
        return None
    return Payout(
        paid_at=executed + dice.between(300, 40 * HOUR),
        paid_by=people.leader(home, dice.pick((0, 1, 4))),
        kind=dice.pick(("balance", "balance", "balance", "wallet", "inventory")),
        percentage=dice.pick((80.0, 85.5, 90.0, 92.25, 95.0, 97.5)),
    )
