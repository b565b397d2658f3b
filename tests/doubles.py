"""Stores of the client that live in memory: they stand in for the state where one process calls."""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import RLock

from tcdatalogger.services.torncity.client.key_health import (
    TRIAL_SECONDS,
    CircuitBreaker,
    KeyState,
    RowQuota,
    frees_at,
)
from tcdatalogger.services.torncity.client.rate_limiter import (
    ADDRESS,
    UNKNOWN_OWNER,
    CallSlot,
    Pause,
    Rank,
    SlotStore,
    Terms,
)


class MemorySlots:
    """The slots of one process, for as long as it lives."""

    def __init__(self) -> None:
        self._slots: dict[str, CallSlot] = {}
        self._times: dict[str | None, list[float]] = {}
        self._pauses: dict[str, Pause] = {}
        self._lock = RLock()

    @contextmanager
    def open(self) -> Iterator[SlotStore]:
        with self._lock:
            yield self

    def tidy(self, now: float, terms: Terms) -> None:
        everything = self._times.get(None, [])
        oldest = now - terms.window - terms.slack
        if everything and everything[0] < oldest:
            for slot in [s for s in self._slots.values() if s.at < oldest]:
                self.remove(slot.id)
        if everything and everything[-1] > now:
            for slot in [s for s in self._slots.values() if s.taken and s.at > now]:
                self.write(replace(slot, at=now))

    def times(self, owner: str | None, after: float) -> list[float]:
        times = self._counted(owner)
        return times[bisect.bisect_right(times, after) :]

    def newest(self, place: int) -> float:
        times = self._times.get(None, [])
        return times[-place] if len(times) >= place else -math.inf

    def _counted(self, owner: str | None) -> list[float]:
        """The times of the slots that count for an owner, in order."""
        unknown = [o for o in self._times if o and o.startswith(UNKNOWN_OWNER) and o != owner]
        own = self._times.get(owner, [])
        if owner is None or not unknown:
            return own
        return sorted([*own, *(at for other in unknown for at in self._times[other])])

    def owners(self) -> list[str]:
        return sorted({slot.owner for slot in self._slots.values()})

    def waiting(self, owner: str, rank: Rank, after: float, asked_after: float) -> list[CallSlot]:
        found = [
            slot
            for slot in self._slots.values()
            if slot.owner == owner and slot.rank < rank and not slot.taken
            if slot.at > after and slot.asked_at > asked_after
        ]
        return sorted(found, key=lambda slot: slot.at)

    def find(self, id: str) -> CallSlot | None:  # noqa: A002
        return self._slots.get(id)

    def write(self, slot: CallSlot) -> None:
        self.remove(slot.id)
        self._slots[slot.id] = slot
        for name in (slot.owner, None):
            bisect.insort(self._times.setdefault(name, []), slot.at)

    def remove(self, id: str) -> None:  # noqa: A002
        slot = self._slots.pop(id, None)
        if slot is None:
            return
        for name in (slot.owner, None):
            times = self._times[name]
            del times[bisect.bisect_left(times, slot.at)]
            if not times:
                del self._times[name]

    def paused_until(self, owner: str) -> float:
        pauses = (self._pauses.get(owner), self._pauses.get(ADDRESS))
        return max((pause.until for pause in pauses if pause), default=0.0)

    def pause(self, pause: Pause) -> None:
        with self._lock:
            known = self._pauses.get(pause.name)
            if known is None or known.until < pause.until:
                self._pauses[pause.name] = pause

    def paused(self, name: str) -> Pause | None:
        return self._pauses.get(name)

    def count(self, owner: str, since: float) -> int:
        with self._lock:
            times = self._counted(owner)
            return len(times) - bisect.bisect_right(times, since)


class MemoryKeyHealth:
    """What one process knows, for as long as it lives."""

    def __init__(self) -> None:
        self._states: dict[tuple[str, str], KeyState] = {}
        self._trials: dict[str, float] = {}
        self._circuit = CircuitBreaker()
        self._rows: dict[str, dict[str, RowQuota]] = {}
        self._lock = RLock()

    def states(self, fingerprint: str) -> list[KeyState]:
        with self._lock:
            return [state for (whose, _), state in self._states.items() if whose == fingerprint]

    def set_state(self, state: KeyState) -> None:
        self._states[state.fingerprint, state.path] = state

    def forget_permissions(self, fingerprint: str) -> None:
        with self._lock:
            for whose, path in list(self._states):
                if whose == fingerprint and path:
                    del self._states[whose, path]

    def trial(self, fingerprint: str, now: float) -> bool:
        with self._lock:
            if now < self._trials.get(fingerprint, 0.0):
                return False
            self._trials[fingerprint] = now + TRIAL_SECONDS
            return True

    def end_trial(self, fingerprint: str) -> None:
        self._trials.pop(fingerprint, None)

    def circuit(self) -> CircuitBreaker:
        return self._circuit

    def change_circuit(
        self, change: Callable[[CircuitBreaker], CircuitBreaker | None]
    ) -> CircuitBreaker | None:
        with self._lock:
            changed = change(self._circuit)
            if changed is not None:
                self._circuit = changed
            return changed

    def reserve_rows(self, name: str, rows: RowQuota, limit: int) -> float:
        with self._lock:
            booked = self._rows.setdefault(name, {})
            at = frees_at(booked.values(), rows.count, limit, rows.at)
            if at <= rows.at:
                booked[rows.id] = rows
                return 0.0
            return at

    def settle_rows(self, rows: RowQuota) -> None:
        with self._lock:
            for booked in self._rows.values():
                if rows.id in booked:
                    booked[rows.id] = rows
