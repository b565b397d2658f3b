"""What all processes must know: which keys are refused, whether Torn is down, which rows are used.

The rules are functions over plain values; a store (`KeyHealth`) keeps the values for all processes.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

from tcdatalogger.backoff import Backoff
from tcdatalogger.services.torncity.client.error_codes import (
    DAY,
    DOWN_AFTER,
    HOUR,
    Code,
    KeyRefusal,
)

if TYPE_CHECKING:
    from tcdatalogger.services.torncity.client.messages import ApiKey

DAY_ROWS: Final = 50_000
"""The rows of one category that Torn gives an owner in any 24 hours, by Torn's document."""

CATEGORIES: Final = {
    "faction_news": ("/faction/news",),
    "events": ("/user/events", "/user/newevents"),
    "activity_log": ("/user/log",),
    "personal_stats": ("/user/personalstats", "/user/{id}/personalstats"),
}
"""The paths of each category with a daily limit of rows."""

BACKOFF: Final = Backoff(30.0, 600.0)
"""The pauses between two probes while Torn is down."""
PROBE_SECONDS: Final = 150.0
"""Seconds that a caller has for the probe; after that another caller probes."""
PEEK: Final = 2.0
"""Seconds after which callers that wait for the probe look at its result."""
RECHECK: Final = 6 * HOUR
"""Seconds after which a refused permission is tried again: a player's position may change."""

TRIAL_SECONDS: Final = 150.0
"""Seconds that the first call with a key may take before another caller tries the key."""


def fingerprint(key: ApiKey) -> str:
    """A name for a key: the same for the same key, and it does not reveal the key."""
    return "key:" + hashlib.sha256(key.reveal().encode(errors="surrogatepass")).hexdigest()[:16]


# --- the health of keys ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class KeyState:
    """The health of a key, for all paths or for one path.

    Attributes:
        fingerprint: the fingerprint of the key.
        path: the path that the key may not read, "" for a state that is true for all paths.
        health: `ok` for a key that has worked, else a value of `KeyRefusal`.
        code: the name of the error that led to this state.
        until: when the key is tried again, infinity for never.
        since: when the state was found, seconds since 1970.
        name: the name of the key in the configuration at that time.
    """

    fingerprint: str
    health: str
    path: str = ""
    code: str = ""
    until: float = math.inf
    since: float = 0.0
    name: str = ""

    def refuses(self, path: str, now: float) -> bool:
        """Whether the key must not be used for a call of `path` now."""
        return self.health != OK and self.path in {"", path} and now < self.until


OK: Final = "ok"


def key_state(
    kind: Code, fingerprint: str, path: str, now: float, pause: float, name: str
) -> KeyState:
    """The state of a key after an error.

    Args:
        kind: the code of the error.
        fingerprint: the fingerprint of the key.
        path: the path of the call.
        now: seconds since 1970.
        pause: seconds to wait, for a key that is refused for a while.
        name: the name of the key in the configuration.
    """
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
    """Stops calls while Torn is down; from time to time one call (the probe) goes through.

    Attributes:
        faults: how many calls in a row had no answer.
        pause: seconds until the next probe; it doubles with each failed probe.
        until: when the next probe may go, seconds since 1970.
        probe_until: until when other callers wait for the present probe, seconds since 1970.
    """

    faults: int = 0
    pause: float = 0.0
    until: float = 0.0
    probe_until: float = 0.0

    @property
    def open(self) -> bool:
        """Whether Torn counts as down, so calls must wait."""
        return self.faults >= DOWN_AFTER

    def wait(self, now: float) -> float:
        """Seconds until a caller should look again, 0 where a call may go."""
        if not self.open:
            return 0.0
        if now < self.until:
            return self.until - now
        return min(PEEK, self.probe_until - now) if now < self.probe_until else 0.0


def entered(circuit: CircuitBreaker, now: float) -> CircuitBreaker:
    """The circuit after a call went: where the circuit is open, the call is the probe."""
    return replace(circuit, probe_until=now + PROBE_SECONDS) if circuit.open else circuit


def failed(circuit: CircuitBreaker, now: float, weight: int) -> CircuitBreaker:
    """The circuit after a call without an answer.

    Calls that were sent before the circuit opened count, but they do not make the pause longer.

    Args:
        circuit: the circuit before.
        now: seconds since 1970.
        weight: how much the failure counts (`Code.down`).
    """
    after = replace(circuit, faults=circuit.faults + weight)
    if not after.open or (circuit.open and now < circuit.until):
        return after
    pause = BACKOFF.after(circuit.pause)
    return replace(after, pause=pause, until=now + pause, probe_until=0.0)


# --- rows of the day -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RowQuota:
    """Rows of one call that count towards the daily limit.

    Attributes:
        id: tells calls apart.
        at: when the rows were reserved or given, seconds since 1970.
        count: how many rows.
    """

    id: str
    at: float
    count: int


def category(path: str) -> str:
    """The category of rows of a path (also with ids), "" for a path without a daily limit."""
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
    """When more rows fit into the limit of a day.

    Args:
        given: the rows of earlier calls.
        wanted: how many more rows.
        limit: the rows that are allowed in 24 hours.
        now: seconds since 1970.

    Returns:
        Seconds since 1970; not later than `now` where they fit already.
    """
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
    """The store of key states, of the circuit and of rows. Each method is one atomic step."""

    def states(self, fingerprint: str) -> list[KeyState]:
        """All states of a key: one for all paths, and one for each path that it was refused."""
        ...

    def set_state(self, state: KeyState) -> None:
        """Store a state, in place of the earlier one of the same key and path."""
        ...

    def forget_permissions(self, fingerprint: str) -> None:
        """Delete the states of single paths: the rights of the key have changed."""
        ...

    def trial(self, fingerprint: str, now: float) -> bool:
        """Whether the caller may be the first to try a key that never worked yet."""
        ...

    def end_trial(self, fingerprint: str) -> None:
        """Let the next caller try the key."""
        ...

    def circuit(self) -> CircuitBreaker:
        """The present circuit."""
        ...

    def change_circuit(
        self, change: Callable[[CircuitBreaker], CircuitBreaker | None]
    ) -> CircuitBreaker | None:
        """Replace the circuit by what `change` returns, unless it returns None; return the same."""
        ...

    def reserve_rows(self, name: str, rows: RowQuota, limit: int) -> float:
        """Reserve rows if they fit into the limit of a day.

        Args:
            name: the owner and the category.
            rows: the rows.
            limit: the rows that are allowed in 24 hours.

        Returns:
            0 where they fit, else the time at which they would fit, seconds since 1970.
        """
        ...

    def settle_rows(self, rows: RowQuota) -> None:
        """Correct reserved rows to the number and time of the rows that came."""
        ...
