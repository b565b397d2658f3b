"""The rate limiter: each call gets a slot in time, and no window has more slots than the limit.

A call gets the earliest time at which every window has at most `limit` slots; slots of waiting
calls count too. So the limit holds in whatever order callers come. The rule is a function here; a
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
"""The name for a pause of the whole address."""
UNKNOWN_OWNER: Final = "key:"
"""The start of the name of an unknown owner. Calls of an unknown owner count for every owner,
because it may be any of them."""


class Rank(IntEnum):
    """The order of waiting calls: a higher rank goes first."""

    LOW = 0
    NORMAL = 1
    HIGH = 2


@dataclass(frozen=True, slots=True)
class CallSlot:
    """The slot of one call.

    Attributes:
        id: tells slots apart.
        owner: the owner whose calls are counted.
        rank: the rank of the call.
        at: when the call may go, seconds since 1970.
        asked_at: when the slot was asked for, seconds since 1970.
        taken: whether the call went; until then a call of a higher rank may get its time.
    """

    id: str
    owner: str
    rank: Rank
    asked_at: float
    at: float
    taken: bool = False


@dataclass(frozen=True, slots=True)
class Pause:
    """A time in which no call goes.

    Attributes:
        name: the owner, `ADDRESS`, or an owner and a category of rows.
        until: the end, seconds since 1970.
        code: the name of the error (`error_codes.py`) that led to the pause.
    """

    name: str
    until: float
    code: str


@dataclass(frozen=True, slots=True)
class Terms:
    """The limits for a caller; they are the same for all processes of one configuration.

    Attributes:
        owner: the owner whose calls are counted.
        rank: the rank of the caller.
        limits: for each rank the calls of an owner and of the address that a window may have.
        window: the length of the window in seconds, with the margin.
        slack: seconds that a call may be late; a call that is later needs a new slot.
    """

    owner: str
    rank: Rank
    limits: tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
    window: float
    slack: float


class SlotStore(Protocol):
    """The slots, while one caller has the store alone."""

    def tidy(self, now: float, terms: Terms) -> None:
        """Delete slots that are too old to count; taken slots in the future move to `now`.

        A taken slot can be in the future after the clock was set back.
        """
        ...

    def times(self, owner: str | None, after: float) -> list[float]:
        """The times after `after` of the slots that count for an owner, in order.

        The owner None means the address, for which all slots count.
        """
        ...

    def newest(self, place: int) -> float:
        """The time of the `place`-th newest of all slots, minus infinity where there are fewer."""
        ...

    def owners(self) -> list[str]:
        """All owners that have a slot."""
        ...

    def waiting(self, owner: str, rank: Rank, after: float, asked_after: float) -> list[CallSlot]:
        """The owner's slots of lower ranks that are not taken, in the order of their times.

        Args:
            owner: the owner.
            rank: slots of a lower rank are returned.
            after: only slots with a later time.
            asked_after: only slots that were asked for later.
        """
        ...

    def find(self, id: str) -> CallSlot | None:  # noqa: A002 - it is one
        """The slot with this id, None where there is none."""
        ...

    def write(self, slot: CallSlot) -> None:
        """Store a slot, in place of the earlier one with its id."""
        ...

    def remove(self, id: str) -> None:  # noqa: A002
        """Delete the slot with this id, if there is one."""
        ...

    def paused_until(self, owner: str) -> float:
        """The end of the pauses of an owner and of the address, 0 for none."""
        ...


class Slots(Protocol):
    """A store of slots and pauses that all processes share."""

    def open(self) -> AbstractContextManager[SlotStore]:
        """The slots for one caller alone until the end of the block; then changes are stored."""
        ...

    def pause(self, pause: Pause) -> None:
        """Store a pause; a longer pause of the same name stays."""
        ...

    def paused(self, name: str) -> Pause | None:
        """The newest pause of a name, also one that is over; None for none."""
        ...

    def count(self, owner: str, since: float) -> int:
        """How many slots after `since` count for an owner."""
        ...


def reserve(store: SlotStore, terms: Terms, now: float) -> CallSlot:
    """Reserve a slot for a new call and return it."""
    store.tidy(now, terms)
    new = CallSlot(secrets.token_hex(8), terms.owner, terms.rank, now, now)
    return _place(store, new, terms, now)


def claim(store: SlotStore, slot: CallSlot, terms: Terms, now: float) -> CallSlot:
    """Take a slot whose time has come, or return the slot with a later time.

    The time is later where a call of a higher rank got it, where a pause began, where an earlier
    call took longer than expected, or where the caller is late: a call that goes long after its
    slot would be counted too early.
    """
    current = store.find(slot.id) or replace(slot, at=-math.inf)
    if current.at > now:
        return current
    store.remove(slot.id)
    in_time = now - current.at <= terms.slack and store.paused_until(slot.owner) <= now
    # With the whole limit: a slot of low rank stays valid beside calls that came later.
    anyone = replace(current, rank=Rank.HIGH)
    if in_time and _first_fit(store, anyone, terms, current.at) == current.at:
        taken = replace(current, taken=True)
        store.write(taken)
        return taken
    return _place(store, current, terms, now)


def correct(store: SlotStore, slot: CallSlot, at: float) -> None:
    """Move a slot to a later time, because the call may have reached Torn only then."""
    known = store.find(slot.id)
    if known is not None and known.at < at:
        store.write(replace(known, at=at))


def _place(store: SlotStore, slot: CallSlot, terms: Terms, now: float) -> CallSlot:
    """Give a slot the earliest time, or the time of the first waiting call of a lower rank.

    The other call then gets a new time. A call that has waited for a whole window keeps its time,
    so no call waits for ever.
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
    if store.newest(of_address) > since:  # rarely true; the list of all times is long
        limits.append((store.times(None, since), of_address))
    at = start
    while True:
        fits = max(earliest_fit(times, limit, terms.window, at) for times, limit in limits)
        if fits == at:
            return at
        at = fits


def earliest_fit(times: Sequence[float], limit: int, window: float, start: float) -> float:
    """The earliest time from `start` on that can be added without `limit` + 1 times in a window.

    Args:
        times: the present times in order, from a window before `start` on.
        limit: the times that a window may have.
        window: the length of the window in seconds.
        start: the earliest time that is wanted.
    """
    at = start
    while True:
        first, end = bisect.bisect_right(times, at - window), bisect.bisect_left(times, at + window)
        # The begins of windows that are full: no time may be added to them.
        full = [
            times[place]
            for place in range(first, end - limit + 1)
            if times[place + limit - 1] - times[place] < window
        ]
        if not full:
            return at
        # `nextafter`, because a sum that is rounded down would give the same window again.
        at = max(full[-1] + window, math.nextafter(at, math.inf))
