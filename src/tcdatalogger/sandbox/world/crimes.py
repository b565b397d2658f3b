"""Organised crimes: the whole life of a crime, and how the API shows it at a time."""

from __future__ import annotations

from dataclasses import dataclass

from tcdatalogger.sandbox.world.people import DAY, Faction
from tcdatalogger.sandbox.world.php_json import number
from tcdatalogger.sandbox.world.rng import Rng, mix
from tcdatalogger.sandbox.world.scenarios import Scenario

LONGEST = 12 * DAY
"""The longest life of a crime in seconds, from its creation to its payout."""


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
"""The values of `cat`: the field that orders the crimes, and the statuses that are listed."""


@dataclass(frozen=True, slots=True)
class CrimeSlot:
    """One position of a crime and how it goes; all times are seconds since 1970.

    Attributes:
        user: the id of the participant, None where nobody joins.
        joined: when the user takes the position.
        begins, ends: the user's day of planning.
        equipped: when the user has the item that the position needs.
        pass_rate: how likely the user passes, in percent.
        duration: seconds in jail or hospital, None for none.
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
    """The payment of a crime.

    Attributes:
        paid_at: seconds since 1970.
        paid_by: the user id of the payer.
        kind: `balance` or another type of Torn's.
        percentage: the share of the participants, in percent.
    """

    paid_at: int
    paid_by: int
    kind: str
    percentage: float


@dataclass(frozen=True, slots=True)
class Crime:
    """The whole life of one crime; all times are seconds since 1970.

    Attributes:
        full: when the last slot is taken and planning begins; None where slots stay free.
        ready: when planning ends, None where it never begins.
        executed: when the crime happens, None where it expires.
        previous: the id of the crime before in a series, None for none.
        money: dollars that it earns.
        items: pairs of item id and count that it earns.
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
    slots: tuple[CrimeSlot, ...]
    money: int
    items: tuple[tuple[int, int], ...]
    respect: int
    payout: Payout | None

    @property
    def settled(self) -> int:
        """The time after which nothing of the crime changes."""
        if self.executed is None:
            return self.expires
        return self.payout.paid_at if self.payout else self.executed

    def status(self, t: int) -> str:
        """Torn's word for the status at `t`."""
        if self.executed is not None and t >= self.executed:
            return "Successful" if self.succeeds else "Failure"
        if self.full is not None and t >= self.full:
            return "Planning"
        return "Expired" if t >= self.expires else "Recruiting"

    def field(self, name: str, t: int) -> int | None:
        """The value of one of `FIELDS` at `t`, None where it is not known yet."""
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
    """How likely a user passes the checkpoints of a role, in percent."""
    ease = Rng(seed, "skill", user).between(40, 96)
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


def _participant(crime: Crime, slot: CrimeSlot, t: int) -> dict[str, object]:
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
