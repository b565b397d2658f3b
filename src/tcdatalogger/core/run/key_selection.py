"""Chooses the key for a call: a healthy key with the needed rights and the most calls left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from tcdatalogger.core.state.store import State
from tcdatalogger.errors import Failure, KeyRefused, TryAgain
from tcdatalogger.services.torncity.catalog.catalog import Endpoint
from tcdatalogger.services.torncity.client import error_codes
from tcdatalogger.services.torncity.client.budget import Budget, Priority
from tcdatalogger.services.torncity.client.client import Client
from tcdatalogger.services.torncity.client.error_codes import TornFault
from tcdatalogger.services.torncity.client.key_health import fingerprint
from tcdatalogger.services.torncity.client.messages import Answer, ApiKey, Request
from tcdatalogger.services.torncity.keys import KeyInfo, needs


class Parts(Protocol):
    """The parts of the program that are needed here (`main.Application`)."""

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
        """Torn's answer about a key.

        Raises:
            Failure: Torn refuses the key, or cannot be asked.
        """
        ...

    def owner(self, key: ApiKey) -> str:
        """The name under which the calls of a key are counted."""
        ...


class KeySelector:
    """The keys of one endpoint during a run.

    The first call chooses a key; later calls use the same key until it has no call left or is
    refused. Another key is used only where it is about the same faction, player or company as the
    first key whose owner is known.

    Args:
        keys: the keys in the order of the configuration.
        parts: the program.
        priority: the priority of the calls.
        meant: the configured subject, None for none.
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
        """Choose the key for the next call; returns Torn's answer about it.

        Raises:
            KeyRefused: no key has the needed rights.
            TryAgain: no key can be used now.
        """
        return self._best()[1]

    def _best(self) -> tuple[ApiKey, KeyInfo]:
        """The chosen key, or another one where its calls are used up; that one is chosen then."""
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
        """Make one call with the best key, or with the next one where that key is refused.

        The answer says who owns the key.

        Raises:
            Failure: as `Client.get`; an error of a key only where no other key is left.
        """
        while True:
            key, info = self._best()
            try:
                answer = self._parts.client.get(request, key, priority=self._priority)
                return replace(answer, key_owner=info.owner_id)
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
        """Torn's answer about the key; None where the key cannot be used, with a noted reason."""
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
        """Why a key is about another subject than the keys before it, None where it is not."""
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
        """The error of the first key that may work later, else of the first key."""
        failures = [self._out[key.name] for key in self._keys]
        return next((f for f in failures if isinstance(f, TryAgain)), failures[0])


def subject(section: str, info: KeyInfo) -> int | None:
    """The subject of a path without an id: the owner's player, faction or company."""
    return {
        "user": info.owner_id,
        "key": info.owner_id,
        "faction": info.faction_id,
        "company": info.company_id,
    }.get(section)


def _of_the_key(fault: TornFault) -> bool:
    """Whether another key may succeed where this one failed."""
    return fault.health is not None or fault.kind.waits is error_codes.Scope.CATEGORY
