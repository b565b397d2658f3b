"""What stands in place of the id and the name of a player who is forgotten.

Nobody keeps a list of such players: it would be the very data that they want forgotten. What is
kept is a hash of each id, made with a secret. Whoever meets an id hashes it, and finds it in the
list or not. The alias is made of the hash, so one player has one alias everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

FIRST: Final = 10**15
"""The smallest id of an alias: far larger than any of Torn's, and every program that reads JSON
still holds it exactly."""

_LARGEST: Final = 2**63
_OTHERS: Final = 2**48
"""How many aliases there are."""

SOMEBODY: Final = "forgotten"
"""The start of the name of an alias, and the whole name of a player who is removed."""


@dataclass(frozen=True, slots=True)
class Alias:
    """What stands in place of a player.

    Attributes:
        hash: of the player's id.
        removed: whether nothing is to stand there: then ids and names become null.
    """

    hash: str
    removed: bool = False

    @property
    def number(self) -> int:
        """The id of the alias, also of a player who is removed."""
        return FIRST + int(self.hash[:12], 16) % _OTHERS

    @property
    def id(self) -> int | None:
        """What stands in place of the id."""
        return None if self.removed else self.number

    @property
    def name(self) -> str | None:
        """What stands in place of the name where a value may be null."""
        return None if self.removed else self.word

    @property
    def word(self) -> str:
        """What stands in place of the name within a text."""
        return SOMEBODY if self.removed else f"{SOMEBODY}-{self.hash[:8]}"

    @property
    def digits(self) -> str:
        """What stands in place of the id within a text."""
        return "0" if self.removed else str(self.number)


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """All players who are forgotten.

    Attributes:
        secret: with which ids and names are hashed.
        players: the hashes of the ids, and whether the player is removed.
        names: the hashes of names, each with the hash of the player's id; they count in texts.
        aliases: the hash of the player by the id of an alias that gives way to nothing.
    """

    secret: bytes = field(default=b"", repr=False)
    players: Mapping[str, bool] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[int, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        gone = (Alias(player) for player, removed in self.players.items() if removed)
        object.__setattr__(self, "aliases", {alias.number: alias.hash for alias in gone})

    def __bool__(self) -> bool:
        return bool(self.players)

    def of_id(self, value: object) -> Alias | None:
        """The alias of a player by the id, as a number or as a text; None where nobody is meant."""
        if not self.players or isinstance(value, bool) or not isinstance(value, int | str):
            return None
        digits = str(value)
        if not (digits.isascii() and digits.isdigit()) or digits[0] == "0":
            return None
        if len(digits) >= len(str(FIRST)):
            return self._known(self.aliases.get(int(digits), "")) if self.aliases else None
        return self._known(hash_of_id(self.secret, digits))

    def of_name(self, name: str) -> Alias | None:
        """The alias of a player by a name that counts in texts; None where nobody is meant."""
        if not self.names or not name:
            return None
        player = self.names.get(hash_of_name(self.secret, name))
        return None if player is None else self._known(player)

    def _known(self, player: str) -> Alias | None:
        removed = self.players.get(player)
        return None if removed is None else Alias(player, removed)


def is_alias(value: object) -> bool:
    """Whether an id is that of an alias: Torn knows nobody of it."""
    text = str(value)
    return text.isascii() and text.isdigit() and FIRST <= int(text) < _LARGEST


def is_distinct(name: str) -> bool:
    """Whether a name is like no word of a sentence: it has a digit, a sign, or a capital within.

    A player may be called Xanax, Chain or null: a text does not tell the player from the thing.
    """
    inner = name[1:]
    odd = any(letter.isdigit() or letter in "_-" for letter in name)
    return odd or (inner != inner.lower() and inner != inner.upper())


@lru_cache(maxsize=200_000)
def hash_of_id(secret: bytes, digits: str) -> str:
    """The hash of an id."""
    return _hashed(secret, f"player {digits}")


@lru_cache(maxsize=200_000)
def hash_of_name(secret: bytes, name: str) -> str:
    """The hash of a name; large and small letters are different, as they are in texts."""
    return _hashed(secret, f"name {name}")


def _hashed(secret: bytes, text: str) -> str:
    import hmac  # noqa: PLC0415 - some milliseconds, where nobody is forgotten for nothing

    return hmac.new(secret, text.encode("utf-8", "surrogatepass"), "sha256").hexdigest()[:32]
