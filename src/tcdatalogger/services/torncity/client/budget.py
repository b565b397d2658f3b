"""The call budget: 100 calls in a rolling minute for a key's owner, 1,000 for an address.

A call waits for its slot (`rate_limiter.py`), and the slot is stored before the call is made. Calls
of the same rank go in the order in which they asked. A process that is killed wastes its slot, but
the limit is never exceeded. Torn's document names the limits.
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
"""Seconds that are added to the window: a call reaches Torn a little later than it was sent, and
the delay differs. Without the margin 1 to 4 of 100 calls were over the limit in measurements."""
LOW_SHARE: Final = 0.7
"""The share of a window that calls of low priority may fill, with all other calls counted too: so a
reader of old history leaves room for current data."""

_RANKS: Final = {"low": Rank.LOW, "normal": Rank.NORMAL, "high": Rank.HIGH}


class Budget:
    """Makes callers wait until their call may go.

    Args:
        slots: the store of calls and pauses.
        clock: the clock to read and to sleep on.
        share: the share of Torn's limits that this program uses, over 0 and up to 1; less than 1
            where other programs use keys of the same owners.
        owner_calls: the calls of one owner that are allowed in a window.
        address_calls: the calls of this address that are allowed in a window.
        window: the length of the window in seconds.
        margin: seconds that are added to the window.

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
        """How many calls of one owner this program makes within a window."""
        return self._limits[Rank.NORMAL][0]

    def wait(
        self, owner: str, priority: Priority = "normal", *, patience: float = math.inf
    ) -> float:
        """Wait until a call of `owner` may go; returns the seconds of waiting.

        The arguments and errors are those of `turn`.
        """
        began = self._clock.now()
        self.turn(owner, priority, patience=patience)
        return max(0.0, self._clock.now() - began)

    def turn(
        self, owner: str, priority: Priority = "normal", *, patience: float = math.inf
    ) -> CallSlot:
        """Wait until a call of `owner` may go; returns its slot, which the caller gives to `done`.

        Of waiting calls, the one with the higher priority gets the earlier time.

        Args:
            owner: the owner whose calls are counted.
            priority: `low` calls fill at most `LOW_SHARE` of a window.
            patience: the longest pause in seconds that is waited for; the wait for a slot does not
                count.

        Raises:
            TornFault: the owner or the address is paused for longer than `patience`; the class is
                that of the error that led to the pause.
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
        except BaseException as end:  # the wait ends without a call: the slot is free again
            self.unused(slot)
            if isinstance(end, TimedOut):
                end.reason = self._pause_of((owner, ADDRESS), 0.0)
            raise
        return slot

    def done(self, slot: CallSlot) -> None:
        """Say that the call of a slot is over, with or without success.

        Torn counted the call at some time between its slot and now. Where that time is longer than
        the margin, the call counts from now on: otherwise a slow call would let later calls go too
        early. This is known in time, because connecting and the first byte take less than a window.
        """
        latest = self._clock.now() - self._margin
        if latest > slot.at:
            with self._slots.open() as store:
                rate_limiter.correct(store, slot, latest)

    def pause(self, name: str, until: float, code: str = error_codes.TOO_MANY.name) -> None:
        """Pause the calls of an owner until a time; `ADDRESS` pauses the calls of all owners.

        Args:
            name: the owner, or `ADDRESS`, or an owner and a category of rows.
            until: seconds since 1970.
            code: the name of the error that led to the pause.
        """
        self._slots.pause(Pause(name, until, code))

    def paused(self, name: str) -> Pause | None:
        """The present pause of a name, None for none."""
        pause = self._slots.paused(name)
        return pause if pause is not None and pause.until > self._clock.now() else None

    def left(self, owner: str) -> int:
        """How many calls of `owner` may go now; 0 during a pause."""
        used = self._slots.count(owner, self._clock.now() - self._window)
        return 0 if self.paused(owner) else max(0, self.calls - used)

    def unused(self, slot: CallSlot) -> None:
        """Give the slot of a call that is not made to others."""
        with self._slots.open() as store:
            store.remove(slot.id)

    def _raise_if_paused(self, names: tuple[str, ...], patience: float) -> None:
        fault = self._pause_of(names, patience)
        if fault is not None:
            raise fault

    def _pause_of(self, names: tuple[str, ...], patience: float) -> TornFault | None:
        """The error for a pause that lasts longer than `patience`, None for none."""
        for pause in filter(None, map(self.paused, names)):
            if pause.until - self._clock.now() > patience:
                return error_codes.again(pause.code, pause.until, self._clock.now())
        return None


def part(calls: int, share: float) -> int:
    """The number of calls that is a share of a limit; at least one."""
    return max(1, math.floor(calls * share + 1e-9))  # 0.7 * 10 must not be 6
