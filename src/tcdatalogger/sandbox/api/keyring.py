"""The keys of the simulated city: their owners, their rights, and which keys are dead.

These keys work with the sandbox only, and their texts say so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tcdatalogger.sandbox.api.errors import Refusal
from tcdatalogger.sandbox.world import people
from tcdatalogger.sandbox.world.people import FACTIONS

LEVELS = ("custom", "public", "minimal", "limited", "full")
"""The names of the levels by Torn's number of the level."""

TYPES = ("Custom", "Public Only", "Minimal Access", "Limited Access", "Full Access")


@dataclass(frozen=True, slots=True)
class SandboxKey:
    """One key.

    Attributes:
        name: the name that tests and people use.
        text: the key itself.
        level: 0 custom, 1 public, 2 minimal, 3 limited, 4 full.
        owner: the user id of the owner.
        faction_access: whether the owner's position in the faction includes API access.
        refusal: the error that every call with the key gets, 0 for a key that works.
        dies_after: how many more calls are answered before the key dies, None for no end.
        dies_at: the time of the world at which the key dies, None for never.
        dies_of: the error that the key gives after it died.
    """

    name: str
    text: str
    level: int
    owner: int
    faction_access: bool = True
    refusal: int = 0
    dies_after: int | None = None
    dies_at: float | None = None
    dies_of: int = 2


def demo_keys() -> tuple[SandboxKey, ...]:
    """The keys of every sandbox."""
    ours, other = FACTIONS[0], FACTIONS[1]
    boss, plain = people.leader(ours), people.leader(ours, 3)
    return (
        SandboxKey("public", "sandboxPublic001", 1, boss),
        SandboxKey("minimal", "sandboxMinimal01", 2, boss),
        SandboxKey("limited", "sandboxLimited01", 3, boss),
        SandboxKey("full", "sandboxFull00001", 4, boss),
        SandboxKey("second", "sandboxSecond001", 3, boss),
        SandboxKey("other", "sandboxOther0001", 4, plain, faction_access=False),
        SandboxKey("rival", "sandboxRival0001", 4, people.leader(other)),
        SandboxKey("dead", "sandboxDead00001", 4, people.leader(ours, 4), refusal=2),
    )


class Keyring:
    """All keys that the city knows."""

    def __init__(self, keys: tuple[SandboxKey, ...]) -> None:
        self._keys = {key.text: key for key in keys}

    def __iter__(self) -> Iterator[SandboxKey]:
        return iter(self._keys.values())

    def named(self, name: str) -> SandboxKey | None:
        """The key with this name or this text, None where there is none."""
        return next((key for key in self if name in {key.name, key.text}), None)

    def admit(self, text: str) -> SandboxKey:
        """The key of a call.

        Raises:
            Refusal: the call has no key (1), or an unknown key (2).
        """
        if not text:
            raise Refusal(1)
        key = self._keys.get(text)
        if key is None:
            raise Refusal(2)
        return key

    def add(self, key: SandboxKey) -> None:
        """Add a key, or replace the key with the same text."""
        self._keys[key.text] = key

    def use(self, key: SandboxKey, now: float) -> int:
        """Use a key for one call at a time of the world; returns the key's error, 0 for none."""
        if not key.refusal and (
            key.dies_after == 0 or (key.dies_at is not None and now >= key.dies_at)
        ):
            key = replace(key, refusal=key.dies_of)
        elif not key.refusal and key.dies_after is not None:
            key = replace(key, dies_after=key.dies_after - 1)
        self._keys[key.text] = key
        return key.refusal

    def change(self, name: str, **changes: float | None) -> SandboxKey:
        """Change fields of a key; a new `refusal` clears the `dies_` fields that are not given.

        Args:
            name: the name or the text of the key.
            changes: fields of `SandboxKey` and their new values.

        Returns:
            The changed key.

        Raises:
            KeyError: there is no such key.
        """
        key = self.named(name)
        if key is None:
            raise KeyError(name)
        if "refusal" in changes:
            key = replace(key, dies_after=None, dies_at=None, dies_of=2)
        self._keys[key.text] = replace(key, **changes)  # type: ignore[arg-type]  # checked by the caller
        return self._keys[key.text]
