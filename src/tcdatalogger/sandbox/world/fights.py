"""Attacks by and on the members of a faction, and its chains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from tcdatalogger.sandbox.world import people, wars
from tcdatalogger.sandbox.world.bursts import Bursts
from tcdatalogger.sandbox.world.people import DAY, FACTIONS, GENESIS, Faction, Person
from tcdatalogger.sandbox.world.php_json import number
from tcdatalogger.sandbox.world.rng import Rng, mix
from tcdatalogger.sandbox.world.streams import Row

WEEK = 7 * DAY
_FIRST_ATTACK = 100_000_000
_A_DAY = 4_000
_FIRST_CHAIN = 30_000_000
_WON = ("Attacked", "Mugged", "Hospitalized")
_LOST = ("Lost", "Stalemate", "Escape", "Timeout", "Assist", "Interrupted")
_ANSWERED = 280
"""Seconds after an attack on a member in which the next attack is the answer."""
_RETALIATION, _WAR = 1, 4
"""Flags of an attack."""
_EFFECTS = ("proficience", "stricken", "revitalize", "warlord", "plunder", "irradiate")


@dataclass(frozen=True, slots=True)
class Fighter:
    """One side of an attack, as it was at the time of the attack."""

    id: int
    name: str
    level: int
    faction: Faction | None


@dataclass(frozen=True, slots=True)
class Attack:
    """One attack; the attacker is None where the attack was stealthed."""

    id: int
    code: str
    started: int
    ended: int
    attacker: Fighter | None
    defender: Fighter
    result: str
    gain: float
    loss: float
    chain: int
    flags: int
    effects: tuple[tuple[str, int], ...]
    fair_fight: float

    @property
    def won(self) -> bool:
        """Whether the attacker won."""
        return self.result in _WON


@dataclass(frozen=True, slots=True)
class Occasion:
    """Whose attack it is, and what it may answer.

    Attributes:
        home: the faction.
        before: the attack on a member just before, None where there was none.
    """

    home: Faction
    before: Row | None = None


@dataclass(frozen=True, slots=True)
class Chain:
    """One chain of a faction; times are seconds since 1970."""

    id: int
    length: int
    respect: float
    start: int
    end: int


def attacks(seed: int, home: Faction, bursts: Bursts, day: int) -> Iterator[Row]:
    """The attacks that ended on a day (days since 1970), of kind `incoming` or `outgoing`.

    `attack` computes the details of each, so a day of long ago is as quick as the last one.
    """
    low = day * DAY
    count = Rng(seed, "attacks", home.index, day).between(home.seats // 4, home.seats)
    times = [mix(seed, "attack", home.index, day, place) % DAY + low for place in range(count)]
    for moment in bursts.moments(low, low + DAY, seed, "attacks", home.index):
        times += [moment] * bursts.rows
    first = _FIRST_ATTACK + (day - GENESIS // DAY) * _A_DAY * len(FACTIONS) + home.index * _A_DAY
    before: Row | None = None
    for place, ended in enumerate(sorted(times)):
        outgoing = mix(seed, "way", first + place) % 10 < 7  # noqa: PLR2004, seven of ten
        late = before is None or not 2 < ended - before.at <= _ANSWERED  # noqa: PLR2004, seconds
        fact = Occasion(home, before if outgoing and not late else None)
        row = Row(ended, first + place, ended, "outgoing" if outgoing else "incoming", fact)
        before = None if outgoing else row
        yield row


def of_user(seed: int, home: Faction, user: int, rows: Sequence[Row]) -> list[Row]:
    """The attacks of a faction in which this member attacked or defended."""
    return [
        row for row in rows if _member(seed, Rng(seed, "fight", row.id), home, row.at).id == user
    ]


def day_of(attack_id: int) -> int:
    """The day on which the attack with this id ended."""
    return (attack_id - _FIRST_ATTACK) // (_A_DAY * len(FACTIONS)) + GENESIS // DAY


def chains(seed: int, home: Faction, week: int) -> tuple[Chain, ...]:
    """The chains that started in a week (weeks since 1970): none, one or two."""
    return _chains(seed, home.index, week)


@lru_cache(maxsize=4096)
def _chains(seed: int, home: int, week: int) -> tuple[Chain, ...]:
    rng = Rng(seed, "chains", home, week)
    found = []
    for place in range(rng.pick((0, 1, 1, 2))):
        start = week * WEEK + place * WEEK // 2 + rng.between(0, 2 * DAY)
        length = rng.pick((10, 11, 14, 25, 28, 52, 100, 103, 250, 254, 517, 1000))
        end = start + length * rng.between(20, 120) + 300
        chain_id = _FIRST_CHAIN + (week * len(FACTIONS) + home) * 2 + place
        found.append(Chain(chain_id, length, rng.spread(2, 6.5) * length, start, end))
    return tuple(found)


def chain_place(chain_id: int) -> tuple[int, int, int]:
    """The week, the place of the faction, and the place in the week of the chain with this id."""
    rest, place = divmod(chain_id - _FIRST_CHAIN, 2)
    week, home = divmod(rest, len(FACTIONS))
    return week, home, place


def chain_rows(seed: int, home: Faction, week: int) -> Iterator[Row]:
    """The chains of a week as rows, ordered by start; a chain can be seen after its end."""
    for chain in chains(seed, home, week):
        yield Row(chain.start, chain.id, chain.end, "chain", chain)


def chain_json(chain: Chain) -> dict[str, object]:
    """`FactionChain`."""
    return {
        "id": chain.id,
        "chain": chain.length,
        "respect": number(round(chain.respect, 2)),
        "start": chain.start,
        "end": chain.end,
    }


def full_json(attack: Attack) -> dict[str, object]:
    """`Attack`."""
    chained, war = 1 + attack.chain / 100 if attack.chain else 1.0, attack.flags & _WAR
    return {
        **_head(attack),
        "attacker": _side(attack.attacker) if attack.attacker else None,
        "defender": _side(attack.defender),
        "result": attack.result,
        "respect_gain": number(attack.gain),
        "respect_loss": number(attack.loss),
        "chain": attack.chain,
        "is_interrupted": attack.result == "Interrupted",
        "is_stealthed": attack.attacker is None,
        "is_raid": bool(attack.flags & 8),
        "is_ranked_war": bool(war),
        "is_territory_war": False,
        "territory_war_id": None,
        "finishing_hit_effects": [
            {"name": name, "value": percent} for name, percent in attack.effects
        ],
        "modifiers": {
            "fair_fight": number(attack.fair_fight),
            "war": 2 if war else 1,
            "retaliation": 1.5 if attack.flags & _RETALIATION else 1,
            "group": 1,
            "overseas": 1.25 if attack.flags & 2 else 1,
            "chain": number(round(min(chained, 5.0), 2)),
            "warlord": 1,
        },
    }


def short_json(attack: Attack) -> dict[str, object]:
    """`AttackSimplified`."""
    return {
        **_head(attack),
        "attacker": _short_side(attack.attacker) if attack.attacker else None,
        "defender": _short_side(attack.defender),
        "result": attack.result,
        "respect_gain": number(attack.gain),
        "respect_loss": number(attack.loss),
    }


def _head(attack: Attack) -> dict[str, object]:
    return {
        "id": attack.id,
        "code": attack.code,
        "started": attack.started,
        "ended": attack.ended,
    }


def _side(fighter: Fighter) -> dict[str, object]:
    home = fighter.faction
    return {
        "id": fighter.id,
        "name": fighter.name,
        "level": fighter.level,
        "faction": {"id": home.id, "name": home.name} if home else None,
    }


def _short_side(fighter: Fighter) -> dict[str, object]:
    return {"id": fighter.id, "faction_id": fighter.faction.id if fighter.faction else None}


def corrected(attack: Attack) -> Attack:
    """The same attack after Torn has taken a tenth of its respect back."""
    return replace(attack, gain=round(attack.gain * 0.9, 2), loss=round(attack.loss * 0.9, 2))


def attack(seed: int, row: Row) -> Attack:
    """The details of the attack of this row."""
    home: Faction = row.fact.home
    attack_id, ended, outgoing = row.id, row.at, row.kind == "outgoing"
    rng = Rng(seed, "fight", attack_id)
    ours = _fighter(seed, _member(seed, rng, home, ended), ended)
    someone = _opponent(seed, rng, home, ended)
    won = rng.chance(0.85)
    week = (c for n in (ended // WEEK - 1, ended // WEEK) for c in chains(seed, home, n))
    chain = next((c for c in week if c.start <= ended <= c.end), None)
    hit = 0
    if chain and outgoing and won:
        hit = 1 + (ended - chain.start) * (chain.length - 1) // (chain.end - chain.start)
    fair = rng.spread(1, 3)
    respect = rng.spread(0.4, 9) if won else 0.0
    hidden = not outgoing and rng.chance(0.3)
    effect = (rng.pick(_EFFECTS), rng.between(4, 60))
    started = ended - rng.between(3, 290)
    result = rng.pick(_WON) if won else rng.pick(_LOST)
    flags = rng.roll() & rng.roll() & 15
    effects = (effect,) if won and rng.chance(0.15) else ()
    war = wars.at(seed, home, ended)
    answered = _answered(seed, row)
    if answered is not None:
        started = max(started, answered.ended)
    elif war and Rng(seed, "front", attack_id).chance(0.8):
        someone = _member(seed, Rng(seed, "enemy", attack_id), war.enemy(home), ended)
    theirs = answered.attacker if answered else None
    theirs = theirs or _fighter(seed, someone, ended)
    flags &= ~(_RETALIATION | _WAR)
    flags |= _RETALIATION * (answered is not None and won)
    flags |= _WAR * (war is not None and theirs.faction == war.enemy(home))
    return Attack(
        id=attack_id,
        code=f"{mix(seed, 'code', attack_id):016x}{mix(seed, 'code2', attack_id):016x}",
        started=started,
        ended=ended,
        attacker=ours if outgoing else None if hidden else theirs,
        defender=theirs if outgoing else ours,
        result=result,
        gain=respect if outgoing else 0.0,
        loss=round(respect / 4, 2),
        chain=hit,
        flags=flags,
        effects=effects,
        fair_fight=fair,
    )


def _answered(seed: int, row: Row) -> Attack | None:
    """The attack on a member that this one answers, None for none."""
    if row.fact.before is None:
        return None
    found = attack(seed, row.fact.before)
    return found if found.won and found.attacker else None


def _member(seed: int, rng: Rng, home: Faction, t: int) -> Person:
    person = people.holder(seed, home, rng.between(0, home.seats - 1), t)
    officer = people.holder(seed, home, 0, t)
    found = person or officer
    if found is None:
        raise AssertionError("the leader's seat is never empty")
    return found


def _opponent(seed: int, rng: Rng, home: Faction, t: int) -> Person:
    other = rng.pick(FACTIONS)
    if other.index == home.index or rng.chance(0.4):
        return people.stranger(rng)
    return _member(seed, rng, other, t)


def _fighter(seed: int, person: Person, t: int) -> Fighter:
    name = people.name(seed, person.code)
    return Fighter(person.id, name, people.level(seed, person, t), person.faction)
