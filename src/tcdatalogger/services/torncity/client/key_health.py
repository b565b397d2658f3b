"""What all processes must know of keys and of Torn: who is refused, who is down, which rows are
spent.

The rules are functions over plain values; a store (`KeyHealth`) keeps the values for all processes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final, Protocol

from tcdatalogger.backoff import Backoff
from tcdatalogger.services.torncity.client.error_codes import (
    DAY,
    DOWN_AFTER,
    HOUR,
    Code,
    KeyRefusal,
)

DAY_ROWS: Final = 50_000
"""Rows of one category that Torn's cloud gives an owner in any 24 hours (api-notes 2.1)."""

CATEGORIES: Final = {
    "faction_news": ("/faction/news",),
    "events": ("/user/events", "/user/newevents"),
    "activity_log": ("/user/log",),
    "personal_stats": ("/user/personalstats", "/user/{id}/personalstats"),
}
"""Which paths draw on which daily budget of rows, by the catalogue's templates."""

BACKOFF: Final = Backoff(30.0, 600.0)
"""Between two probes of a Torn that is down."""
PROBE_SECONDS: Final = 150.0
"""How long the caller that probes has to come back; then another one does."""
PEEK: Final = 2.0
"""Seconds after which those that wait for the probe look what became of it."""
RECHECK: Final = 6 * HOUR
"""When a permission that was refused is asked for again: a player's position may change."""

TRIAL_SECONDS: Final = 150.0
"""How long the first call with a key may take before another one tries it."""


# --- the health of keys ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class KeyState:
    """What is known of a key's health.

    Attributes:
        fingerprint: of the key.
        path: the one path that it may not read, "" for what is true of all.
        health: `ok` for a key that has worked.
        code: the name of the error that says so.
        until: when it is asked again, infinity for never.
        since: when it was found.
        name: of the key in the configuration, then.
    """

    fingerprint: str
    health: str
    path: str = ""
    code: str = ""
    until: float = math.inf
    since: float = 0.0
    name: str = ""

    def refuses(self, path: str, now: float) -> bool:
        """Whether a call of `path` must not be made with the key."""
        return self.health != OK and self.path in {"", path} and now < self.until


OK: Final = "ok"


def key_state(
    kind: Code, fingerprint: str, path: str, now: float, pause: float, name: str
) -> KeyState:
    """What an error says about a key."""
    health = KeyRefusal.DEAD if kind.health is None else kind.health
    until = {
        KeyRefusal.DEAD: math.inf,
        KeyRefusal.PARKED: now + pause,
        KeyRefusal.PERMISSION: now + RECHECK,
    }[health]
    where = path if health is KeyRefusal.PERMISSION else ""
    return KeyState(fingerprint, health.value, where, kind.name, until, now, name)


# --- Torn is down ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CircuitBreaker:
    """Whether calls go through.

    Attributes:
        faults: how many calls in a row found nobody.
        pause: seconds from the last of them to the probe; it doubles.
        until: when the probe may go.
        probe_until: until when the caller that probes is waited for.
    """

    faults: int = 0
    pause: float = 0.0
    until: float = 0.0
    probe_until: float = 0.0

    @property
    def open(self) -> bool:
        return self.faults >= DOWN_AFTER

    def wait(self, now: float) -> float:
        """Seconds until a caller should ask again, 0 where one may go."""
        if not self.open:
            return 0.0
        if now < self.until:
            return self.until - now
        return min(PEEK, self.probe_until - now) if now < self.probe_until else 0.0


def entered(circuit: CircuitBreaker, now: float) -> CircuitBreaker:
    """The circuit after a caller that may go went: where it was open, as the probe."""
    return replace(circuit, probe_until=now + PROBE_SECONDS) if circuit.open else circuit


def failed(circuit: CircuitBreaker, now: float, weight: int) -> CircuitBreaker:
    """The circuit after a call that found nobody.

    Calls that were on their way when it opened count, but make the pause no longer.
    """
    after = replace(circuit, faults=circuit.faults + weight)
    if not after.open or (circuit.open and now < circuit.until):
        return after
    pause = BACKOFF.after(circuit.pause)
    return replace(after, pause=pause, until=now + pause, probe_until=0.0)


# --- rows of the day -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RowQuota:
    """Rows that were, or may yet be, given."""

    id: str
    at: float
    count: int


def category(path: str) -> str:
    """The daily budget that a path draws on, "" for none. Ids may stand in the path."""
    parts = path.split("/")
    for name, templates in CATEGORIES.items():
        for template in templates:
            wanted = template.split("/")
            if len(wanted) == len(parts) and all(
                want == part or want.startswith("{")
                for want, part in zip(wanted, parts, strict=True)
            ):
                return name
    return ""


def frees_at(given: Iterable[RowQuota], wanted: int, limit: int, now: float) -> float:
    """When so many rows more fit into a day; not later than `now` where they do already."""
    recent = sorted((rows for rows in given if rows.at > now - DAY), key=lambda rows: rows.at)
    total, at = sum(rows.count for rows in recent), now
    for rows in recent:
        if total + wanted <= limit:
            break
        total -= rows.count
        at = rows.at + DAY
    return at


# --- where it is kept ------------------------------------------------------------------------


class KeyHealth(Protocol):
    """A store of all this. Each method is one step that no other caller sees half of."""

    def states(self, fingerprint: str) -> list[KeyState]: ...

    def set_state(self, state: KeyState) -> None: ...

    def forget_permissions(self, fingerprint: str) -> None:
        """Forget which paths a key was refused: what it may do has changed."""
        ...

    def trial(self, fingerprint: str, now: float) -> bool:
        """Whether the caller may be the one who tries a key that never worked yet."""
        ...

    def end_trial(self, fingerprint: str) -> None: ...

    def circuit(self) -> CircuitBreaker: ...

    def change_circuit(
        self, change: Callable[[CircuitBreaker], CircuitBreaker | None]
    ) -> CircuitBreaker | None:
        """Put what `change` makes of the circuit in its place, unless it is None; return it."""
        ...

    def reserve_rows(self, name: str, rows: RowQuota, limit: int) -> float:
        """Book rows of a category if they fit into the day: then 0, else when they would."""
        ...

    def settle_rows(self, rows: RowQuota) -> None:
        """Correct what was booked to what was given, and when."""
        ...
