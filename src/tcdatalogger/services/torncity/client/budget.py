"""How many calls may be made: 100 a minute for a key's owner, 1,000 for an address, both rolling.

A call waits for its slot (`slots.py`), which is written down before it goes: first come, first
served among equals, and a process that is killed wastes its slot but never goes over. (Torn's own
words on the limits: api-notes 2.1.)
"""

from __future__ import annotations

import math
from typing import Final, Literal

from tcdatalogger.clock import Clock
from tcdatalogger.errors import ConfigError, TimedOut
from tcdatalogger.services.torncity.client import error_codes, rate_limiter
from tcdatalogger.services.torncity.client.error_codes import TornFault
from tcdatalogger.services.torncity.client.rate_limiter import (
    ADDRESS,
    CallSlot,
    Pause,
    Rank,
    Slots,
    Terms,
)

Priority = Literal["low", "normal", "high"]

OWNER_CALLS: Final = 100
ADDRESS_CALLS: Final = 1_000
WINDOW: Final = 60.0
MARGIN: Final = 1.0
"""Seconds added to the window: a call reaches Torn a little later than it was sent, and calls do
not all take the same way. Without it, 1 to 4 in 100 were over (research/engine.md, section 4)."""
LOW_SHARE: Final = 0.7
"""The part of a window that calls of low priority may fill, all callers counted: what reads old
history leaves room for what happens now."""

_RANKS: Final = {"low": Rank.LOW, "normal": Rank.NORMAL, "high": Rank.HIGH}


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
        self._margin = margin
        self._slack = margin / 2
        whole = part(owner_calls, share), part(address_calls, share)
        low = part(whole[0], LOW_SHARE), part(whole[1], LOW_SHARE)
        self._limits = (low, whole, whole)
        self.share = share

    @property
    def calls(self) -> int:
        """How many calls of one owner we make within a window."""
        return self._limits[Rank.NORMAL][0]

    def wait(
        self, owner: str, priority: Priority = "normal", *, patience: float = math.inf
    ) -> float:
        """Return when a call of `owner` may go; the seconds that were waited."""
        began = self._clock.now()
        self.turn(owner, priority, patience=patience)
        return max(0.0, self._clock.now() - began)

    def turn(
        self, owner: str, priority: Priority = "normal", *, patience: float = math.inf
    ) -> CallSlot:
        """Return when a call of `owner` may go, with its slot, which is to be given to `done`.

        Of calls that wait, one of a higher priority gets the earlier time.

        Args:
            owner: whose calls are counted.
            priority: `low` calls fill no more than `LOW_SHARE` of a window.
            patience: seconds that a hold is waited out; not counted in it is the wait for a slot.

        Raises:
            TornFault: the owner or the address is held for longer than `patience`; of the class
                of the error that said so.
        """
        terms = Terms(owner, _RANKS[priority], self._limits, self._window, self._slack)
        self._raise_if_paused((owner, ADDRESS), patience)
        with self._slots.open() as store:
            slot = rate_limiter.reserve(store, terms, self._clock.now())
        try:
            while not slot.taken:
                self._clock.sleep(slot.at - self._clock.now())
                self._raise_if_paused((owner, ADDRESS), patience)
                with self._slots.open() as store:
                    slot = rate_limiter.claim(store, slot, terms, self._clock.now())
        except BaseException as end:  # whatever ends the wait: nobody uses the slot
            self.unused(slot)
            if isinstance(end, TimedOut):
                end.reason = self._pause_of((owner, ADDRESS), 0.0)
            raise
        return slot

    def done(self, slot: CallSlot) -> None:
        """The call of a slot is over, well or not.

        Torn counted it between its slot and now. Where that is longer than the margin covers, it
        counts from now on; a call that was stuck on its way would let others go too early. (It
        is known in time: connecting and the first byte together may take less than a window.)
        """
        latest = self._clock.now() - self._margin
        if latest > slot.at:
            with self._slots.open() as store:
                rate_limiter.correct(store, slot, latest)

    def pause(self, name: str, until: float, code: str = error_codes.TOO_MANY.name) -> None:
        """Let no call of an owner go before `until`; `ADDRESS` holds those of every owner."""
        self._slots.pause(Pause(name, until, code))

    def paused(self, name: str) -> Pause | None:
        """The hold of a name that is not over, None without one."""
        pause = self._slots.paused(name)
        return pause if pause is not None and pause.until > self._clock.now() else None

    def left(self, owner: str) -> int:
        """How many calls of `owner` could go at once."""
        used = self._slots.count(owner, self._clock.now() - self._window)
        return 0 if self.paused(owner) else max(0, self.calls - used)

    def unused(self, slot: CallSlot) -> None:
        """Leave the time of a call that is not made to others."""
        with self._slots.open() as store:
            store.remove(slot.id)

    def _raise_if_paused(self, names: tuple[str, ...], patience: float) -> None:
        fault = self._pause_of(names, patience)
        if fault is not None:
            raise fault

    def _pause_of(self, names: tuple[str, ...], patience: float) -> TornFault | None:
        """The error that a call waits for longer than `patience`, None where it does not."""
        for pause in filter(None, map(self.paused, names)):
            if pause.until - self._clock.now() > patience:
                return error_codes.again(pause.code, pause.until, self._clock.now())
        return None


def part(calls: int, share: float) -> int:
    """The calls that are a share of a limit: whole ones, and at least one."""
    return max(1, math.floor(calls * share + 1e-9))  # 0.7 * 10 must not be 6
