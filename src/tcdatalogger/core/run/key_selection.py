"""Which of an endpoint's keys makes a call: a healthy one that may do it, with most calls left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tcdatalogger.core.state.store import State
from tcdatalogger.errors import Failure, KeyRefused, TryAgain
from tcdatalogger.services.torncity.catalog.catalog import Endpoint
from tcdatalogger.services.torncity.client import error_codes
from tcdatalogger.services.torncity.client.budget import Budget, Priority
from tcdatalogger.services.torncity.client.client import Client, fingerprint
from tcdatalogger.services.torncity.client.error_codes import TornFault
from tcdatalogger.services.torncity.client.key_health import OK
from tcdatalogger.services.torncity.client.messages import Answer, ApiKey, Request
from tcdatalogger.services.torncity.keys import KeyInfo, needs


@dataclass(frozen=True, slots=True)
class KnownHealth:
    """What is known of a key without asking: `untried`, `ok`, `parked` or `dead`.

    Attributes:
        until: when it is asked again; None for never, or where nothing stops it.
        refused: the paths that it may not read.
    """

    name: str
    state: str
    code: str = ""
    since: float | None = None
    until: float | None = None
    refused: tuple[str, ...] = ()


def health(state: State, key: ApiKey, now: float) -> KnownHealth:
    """The health of a key; what was refused for a time that is over counts no more."""
    states = state.key_health.states(fingerprint(key))
    paths = tuple(known.path for known in states if known.path and known.refuses(known.path, now))
    whole = next((known for known in states if not known.path), None)
    if whole is None:
        return KnownHealth(key.name, "untried", refused=paths)
    if whole.health == OK or not whole.refuses("", now):
        return KnownHealth(key.name, OK if whole.health == OK else "untried", refused=paths)
    until = None if whole.health == error_codes.KeyRefusal.DEAD else whole.until
    return KnownHealth(key.name, whole.health, whole.code, whole.since, until, paths)


class Parts(Protocol):
    """What the choice of a key works with."""

    @property
    def client(self) -> Client:
        """Torn's API."""
        ...

    @property
    def budget(self) -> Budget:
        """The calls that all processes share."""
        ...

    @property
    def state(self) -> State:
        """The state, with the health of keys."""
        ...

    def info(self, key: ApiKey) -> KeyInfo:
        """What Torn says of a key.

        Raises:
            Failure: Torn refuses the key, or cannot be asked.
        """
        ...

    def owner(self, key: ApiKey) -> str:
        """Under which name a key's calls are counted."""
        ...


class KeySelector:
    """The keys of one endpoint, while it runs.

    The first call chooses; later ones go on with the same key until it has no call left or is
    refused. Keys are exchanged only for keys that speak of the same faction, player or company:
    the first key whose owner is known says of which.

    Args:
        keys: in the order of the configuration.
        parts: what it works with.
        priority: of its calls.
        meant: whose data is meant, where the configuration names them.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        keys: Sequence[ApiKey],
        parts: Parts,
        *,
        priority: Priority = "normal",
        meant: int | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._keys = tuple(keys)
        self._parts = parts
        self._priority = priority
        self._meant = meant
        self._out: dict[str, Failure] = {}
        self._chosen: tuple[ApiKey, KeyInfo] | None = None

    def choose(self) -> KeyInfo:
        """Choose the key for the next call; what Torn says of it.

        Raises:
            KeyRefused: none of them may do it.
            TryAgain: none of them can do it now.
        """
        return self._best()[1]

    def _best(self) -> tuple[ApiKey, KeyInfo]:
        """The chosen key, or another where its calls are used up; it stays chosen."""
        chosen = self._chosen
        if chosen is not None and (len(self._keys) == 1 or self._calls_left(chosen[0])):
            return chosen
        for key in sorted(self._keys, key=self._calls_left, reverse=True):
            if key.name in self._out:
                continue
            if chosen is not None and key is chosen[0]:
                return chosen
            info = self._usable(key)
            if info is not None:
                self._chosen = (key, info)
                return self._chosen
        raise self._none_left()

    def get(self, request: Request) -> Answer:
        """One call with the best key, or with the next one where that is refused.

        Raises:
            Failure: as `Client.get`; of a key, when no other can take its place.
        """
        while True:
            key, _ = self._best()
            try:
                return self._parts.client.get(request, key, priority=self._priority)
            except TornFault as fault:
                if not _of_the_key(fault) or not self._others(key):
                    raise
                self._out[key.name] = fault
                self._chosen = None

    def _calls_left(self, key: ApiKey) -> int:
        return self._parts.budget.left(self._parts.owner(key))

    def _others(self, key: ApiKey) -> bool:
        return any(other is not key and other.name not in self._out for other in self._keys)

    def _usable(self, key: ApiKey) -> KeyInfo | None:
        """What Torn says of the key; None where it may not do this, and why is noted."""
        try:
            info = self._parts.info(key)
        except (KeyRefused, TornFault) as failure:
            if isinstance(failure, TornFault) and not _of_the_key(failure):
                raise
            self._out[key.name] = failure
            return None
        why = needs(self._endpoint, info) or self._other_subject(key, info)
        if why is None:
            return info
        remedy = "Nothing was asked for with it."
        self._out[key.name] = KeyRefused(why, remedy=remedy, key=key.name)
        return None

    def _other_subject(self, key: ApiKey, info: KeyInfo) -> str | None:
        """Why a key speaks of somebody else than the keys before it, None where it does not."""
        if not self._endpoint.of_key_owner:
            return None
        section, path = self._endpoint.section, self._endpoint.path
        if self._meant is not None:
            its = subject(section, info)
            if its == self._meant:
                return None
            return (
                f"The key {key.name!r} would read {path} of {its or 'nobody'}, and the "
                f"configuration means {self._meant}."
            )
        for other in self._keys:
            known = self._parts.state.key(fingerprint(other))
            if known is None:
                continue
            meant, found = (subject(self._endpoint.section, i) for i in (known[0], info))
            if meant == found:
                return None
            return (
                f"The key {key.name!r} would read {self._endpoint.path} of {found}, "
                f"and {other.name!r} reads that of {meant}."
            )
        return None

    def _none_left(self) -> Failure:
        """The error of the first key that may work later, or else of the first of all."""
        failures = [self._out[key.name] for key in self._keys]
        return next((f for f in failures if isinstance(f, TryAgain)), failures[0])


def subject(section: str, info: KeyInfo) -> int | None:
    """Whom a path without an id is about: the owner's player, faction or company."""
    return {
        "user": info.owner_id,
        "key": info.owner_id,
        "faction": info.faction_id,
        "company": info.company_id,
    }.get(section)


def _of_the_key(fault: TornFault) -> bool:
    """Whether another key may do what this one may not."""
    return fault.health is not None or fault.kind.waits is error_codes.Scope.CATEGORY
