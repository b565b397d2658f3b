"""Where calls stand in time: the book of slots, and the rule by which a call gets one.

A call gets the earliest time that leaves no window with more slots than the limit, those of calls
that still wait among them. So whichever slot of a window was written last, there were fewer than
the limit beside it: never over, whatever the order in which callers come. The rule is here once; a
store (`SlotStore`) keeps the slots for all processes.
"""

from __future__ import annotations

import bisect
import math
import secrets
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final, Protocol

ADDRESS: Final = "address"
"""The name under which the whole address is held."""
UNKNOWN_OWNER: Final = "key:"
"""How the owner of a key begins that nobody knows yet: its calls may be anybody's, so they count
for every owner until it is known whose they are."""


class Rank(IntEnum):
    """Who goes first."""

    LOW = 0
    NORMAL = 1
    HIGH = 2


@dataclass(frozen=True, slots=True)
class CallSlot:
    """One call in the book.

    Attributes:
        at: when it may go, seconds since 1970.
        asked_at: when it was asked for.
        taken: whether the call was let go; until then a call of a higher rank may get its time.
    """

    id: str
    owner: str
    rank: Rank
    asked_at: float
    at: float
    taken: bool = False


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing goes before `until`; `code` is the name of the error (`codes.py`) that says so."""

    name: str
    until: float
    code: str


@dataclass(frozen=True, slots=True)
class Terms:
    """What a caller may do, the same for all processes of one configuration.

    Attributes:
        owner: whose calls are counted.
        rank: of the caller.
        limits: for each rank the calls of an owner and of the address within a window.
        window: seconds, with the margin.
        slack: seconds that a call may go after its slot's time; later, it needs a new slot.
    """

    owner: str
    rank: Rank
    limits: tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
    window: float
    slack: float


class SlotStore(Protocol):
    """The slots while one caller has the book to itself."""

    def tidy(self, now: float, terms: Terms) -> None:
        """Forget slots that bind nobody; those taken in what is now the future were taken now."""
        ...

    def times(self, owner: str | None, after: float) -> list[float]:
        """The times of the slots that count for an owner (None: for the address), in order."""
        ...

    def newest(self, place: int) -> float:
        """The time of the `place`-th newest slot of all, minus infinity where there are fewer."""
        ...

    def owners(self) -> list[str]:
        """Everybody who has a slot."""
        ...

    def waiting(self, owner: str, rank: Rank, after: float, asked_after: float) -> list[CallSlot]:
        """The owner's slots of lower ranks that were not taken, in the order of their times."""
        ...

    def find(self, id: str) -> CallSlot | None: ...  # noqa: A002 - it is one

    def write(self, slot: CallSlot) -> None: ...

    def remove(self, id: str) -> None: ...  # noqa: A002

    def paused_until(self, owner: str) -> float:
        """The end of the holds of an owner and of the address, 0 without one."""
        ...


class Slots(Protocol):
    """A store of slots and holds."""

    def open(self) -> AbstractContextManager[SlotStore]:
        """The book for one caller alone; what is written is kept at the end of the block."""
        ...

    def pause(self, pause: Pause) -> None:
        """Let nothing of `hold.name` go before its end; a longer hold stays as it is."""
        ...

    def paused(self, name: str) -> Pause | None:
        """The hold of a name, also one that is over."""
        ...

    def count(self, owner: str, since: float) -> int:
        """How many slots after `since` count for an owner."""
        ...


def reserve(store: SlotStore, terms: Terms, now: float) -> CallSlot:
    """Write a call down and return its slot."""
    store.tidy(now, terms)
    new = CallSlot(secrets.token_hex(8), terms.owner, terms.rank, now, now)
    return _place(store, new, terms, now)


def claim(store: SlotStore, slot: CallSlot, terms: Terms, now: float) -> CallSlot:
    """Let a call go whose time has come, or say when it comes.

    It comes later where a call of a higher rank got its time, where a hold came meanwhile, where
    an earlier call took longer than was thought, or where the time was missed: a call that went
    long after its slot would be counted too early.
    """
    current = store.find(slot.id) or replace(slot, at=-math.inf)
    if current.at > now:
        return current
    store.remove(slot.id)
    in_time = now - current.at <= terms.slack and store.paused_until(slot.owner) <= now
    # With the whole limit: who has a slot of low rank already keeps it beside those who came since.
    anyone = replace(current, rank=Rank.HIGH)
    if in_time and _first_fit(store, anyone, terms, current.at) == current.at:
        taken = replace(current, taken=True)
        store.write(taken)
        return taken
    return _place(store, current, terms, now)


def correct(store: SlotStore, slot: CallSlot, at: float) -> None:
    """Count a call later than its slot: so when it may have reached Torn only then."""
    known = store.find(slot.id)
    if known is not None and known.at < at:
        store.write(replace(known, at=at))


def _place(store: SlotStore, slot: CallSlot, terms: Terms, now: float) -> CallSlot:
    """Give a slot the earliest time, or that of the first call of a lower rank that waits.

    The call that gives way is placed anew. Whoever has waited for a window gives way no more, so
    that nobody waits for ever.
    """
    at = _earliest(store, slot, terms, now)
    placed = replace(slot, at=at, taken=at <= now)
    if not placed.taken:
        for other in store.waiting(slot.owner, slot.rank, now, now - terms.window):
            if other.at >= at or other.at < store.paused_until(slot.owner):
                continue
            placed = replace(slot, at=other.at)
            store.remove(other.id)
            store.write(placed)
            _place(store, other, terms, now)
            return placed
    store.write(placed)
    return placed


def _earliest(store: SlotStore, slot: CallSlot, terms: Terms, now: float) -> float:
    return _first_fit(store, slot, terms, max(now, store.paused_until(slot.owner)))


def _first_fit(store: SlotStore, slot: CallSlot, terms: Terms, start: float) -> float:
    """The earliest time from `start` on that fits for the owner and for the address."""
    of_owner, of_address = terms.limits[slot.rank]
    owners = [slot.owner]
    if slot.owner.startswith(UNKNOWN_OWNER):
        owners += [owner for owner in store.owners() if not owner.startswith(UNKNOWN_OWNER)]
    since = start - terms.window
    limits = [(store.times(owner, since), of_owner) for owner in owners]
    if store.newest(of_address) > since:  # rarely so: all of their times are many
        limits.append((store.times(None, since), of_address))
    at = start
    while True:
        fits = max(earliest_fit(times, limit, terms.window, at) for times, limit in limits)
        if fits == at:
            return at
        at = fits


def earliest_fit(times: Sequence[float], limit: int, window: float, start: float) -> float:
    """The earliest time from `start` on with which no `limit` + 1 times lie within a window.

    Args:
        times: in order; those from a window before `start` on suffice.
        limit: of times in a window.
        window: seconds.
        start: no time before it is wanted.
    """
    at = start
    while True:
        first, end = bisect.bisect_right(times, at - window), bisect.bisect_left(times, at + window)
        # Where the limit stands within a window already, a time beside it would be one too many.
        full = [
            times[place]
            for place in range(first, end - limit + 1)
            if times[place + limit - 1] - times[place] < window
        ]
        if not full:
            return at
        # Not a sum alone: rounded down, it would find itself in the same window again.
        at = max(full[-1] + window, math.nextafter(at, math.inf))
