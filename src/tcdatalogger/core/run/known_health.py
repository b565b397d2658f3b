"""The health of a key as the state knows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tcdatalogger.services.torncity.client import error_codes
from tcdatalogger.services.torncity.client.key_health import OK, fingerprint

if TYPE_CHECKING:
    from tcdatalogger.core.state.store import State
    from tcdatalogger.services.torncity.client.messages import ApiKey


@dataclass(frozen=True, slots=True)
class KnownHealth:
    """The health of a key as the state has it: `untried`, `ok`, `parked` or `dead`.

    Attributes:
        until: when the key is tried again; None for never, or for a key that may be used.
        refused: the paths that the key may not read.
    """

    name: str
    state: str
    code: str = ""
    since: float | None = None
    until: float | None = None
    refused: tuple[str, ...] = ()


def health(state: State, key: ApiKey, now: float) -> KnownHealth:
    """The health of a key; refusals whose time is over do not count."""
    states = state.key_health.states(fingerprint(key))
    paths = tuple(known.path for known in states if known.path and known.refuses(known.path, now))
    whole = next((known for known in states if not known.path), None)
    if whole is None:
        return KnownHealth(key.name, "untried", refused=paths)
    if whole.health == OK or not whole.refuses("", now):
        return KnownHealth(key.name, OK if whole.health == OK else "untried", refused=paths)
    until = None if whole.health == error_codes.KeyRefusal.DEAD else whole.until
    return KnownHealth(key.name, whole.health, whole.code, whole.since, until, paths)
