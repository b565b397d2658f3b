"""How many calls may be made: 100 a minute for a key's owner, 1,000 for an address, both rolling.

A call is a slot in a table. It goes at the later of now and one window after the hundredth newest
slot, and is written down before it goes: first come, first served, and a process that is killed
wastes its slot but never goes over. (Torn's own words on the limits: api-notes 2.1.)
"""

from __future__ import annotations

import bisect
import itertools
import math
from threading import Lock
from typing import Protocol

from tcdatalogger.clock import Clock
from tcdatalogger.errors import ConfigError

OWNER_CALLS = 100
ADDRESS_CALLS = 1_000
WINDOW = 60.0
MARGIN = 1.0
"""Seconds added to the window: a call reaches Torn a little later than it was sent, and calls do
not all take the same way. Without it, 1 to 4 in 100 were over (research/engine.md, section 4)."""
ADDRESS = "address"
"""The owner under whose name the calls of this address are counted."""

_ROUNDS = 6


class Slots(Protocol):
    """Where the slots are written down; in one process, or in a database for all of them."""

    def reserve(self, owner: str, *, limit: int, window: float, now: float) -> float:
        """Write down one call and return when it may go, in seconds since 1970.

        Never earlier than `now`, and so that no more than `limit` slots of `owner` lie within
        `window` seconds.
        """
        ...


class MemorySlots:
    """The slots of one process, for as long as it lives."""

    def __init__(self) -> None:
        self._newest: dict[str, list[float]] = {}
        self._lock = Lock()

    def reserve(self, owner: str, *, limit: int, window: float, now: float) -> float:
        with self._lock:
            newest = self._newest.setdefault(owner, [])
            at = now if len(newest) < limit else max(now, newest[-limit] + window)
            bisect.insort(newest, at)
            del newest[:-limit]
            return at


class Budget:
    """Makes callers wait until their call may go.

    Args:
        slots: where calls are written down.
        clock: what is read and slept on.
        share: the part of Torn's limits that is ours, over 0 and up to 1, for owners whose keys
            other programs use too.
        owner_calls: calls of one owner in a window.
        address_calls: calls of this address in a window.
        window: seconds.
        margin: seconds added to the window.

    Raises:
        ConfigError: `share` is out of bounds.
    """

    def __init__(
        self,
        slots: Slots,
        clock: Clock,
        *,
        share: float = 1.0,
        owner_calls: int = OWNER_CALLS,
        address_calls: int = ADDRESS_CALLS,
        window: float = WINDOW,
        margin: float = MARGIN,
    ) -> None:
        if not 0 < share <= 1:
            raise ConfigError(
                f"The share of Torn's call limit is {share}, which is not over 0 and up to 1.",
                remedy="Use 1 for all of it, or 0.5 for half.",
            )
        self._slots = slots
        self._clock = clock
        self._window = window + margin
        self._owner_calls = max(1, math.floor(owner_calls * share))
        self._address_calls = max(1, math.floor(address_calls * share))
        self._held: dict[str, float] = {}

    def wait(self, owner: str) -> float:
        """Return when a call of `owner` may go; the seconds that were waited."""
        began = now = self._clock.now()
        at = self._reserve(owner, now)
        while now < at:
            self._clock.sleep(at - now)
            now = self._clock.now()
            held = self._held_until(owner)
            if held > max(at, now):  # held while we slept: queue again
                at = self._reserve(owner, now)
        return max(0.0, now - began)

    def hold(self, owner: str, until: float) -> None:
        """Let no call of `owner` go before `until`; `ADDRESS` holds those of every owner."""
        self._held[owner] = max(until, self._held.get(owner, 0.0))

    def _held_until(self, owner: str) -> float:
        return max(self._held.get(owner, 0.0), self._held.get(ADDRESS, 0.0))

    def _reserve(self, owner: str, now: float) -> float:
        """The time that is written down both for `owner` and for the address.

        Where one pushes the call back, the other is reserved again at that time: a slot for an
        earlier time than the call's own would let too many go at once. The slots that are given up
        on the way lower the rate a little and never raise it. Two small limits could push each
        other on for ever; so after a few rounds the call goes a window later, beyond both.
        """
        limits = itertools.cycle(((owner, self._owner_calls), (ADDRESS, self._address_calls)))
        wanted, written = max(now, self._held_until(owner)), None
        for turn, (name, limit) in enumerate(limits, start=1):
            at = self._slots.reserve(name, limit=limit, window=self._window, now=wanted)
            if at == written:
                return at
            written = at
            wanted = at if turn % _ROUNDS else at + self._window
        raise AssertionError  # pragma: no cover - the cycle has no end
