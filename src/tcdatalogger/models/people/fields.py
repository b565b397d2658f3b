"""Which fields are about people: by the catalogue where it knows them, else by their names.

The catalogue knows of every id of Torn's document whether it is a player's. The rules here are for
what stands beside such an id, for texts, and for fields that nobody knows: those of a log entry,
and those that Torn has added since.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

ELEMENT: Final = "[]"
"""The step of a path into an element of a list."""

NAMES: Final = ("name", "username", "user_name", "player_name")
"""Fields with the name of the player whose `id` stands beside them."""

ERASED: Final = ("discord_id", "image", "profile_image", "signature")
"""Fields beside a player's id that tell who it is, and have no alias: they become null."""

TEXTS: Final = frozenset({"text", "event", "content", "content_raw", "topic", "note", "reason"})
"""Fields with texts that people write, or that tell of them."""

WORDS: Final = frozenset(
    """applicant attacker author borrower buyer captain co_leader contributor creator defender
    director driver employee enemy friend giver inviter leader lender lister loser member opponent
    owner participant planter player poster receiver recruiter renter reporter reviver seller sender
    spouse target tenant trader user victim winner""".split()
)
"""Words that mean a player, where neither the catalogue nor Torn's document knows the field."""

_ID: Final = re.compile(r"_?ids?$", re.IGNORECASE)


def is_person(name: str) -> bool:
    """Whether an unknown field of this name has ids of players: `seller`, `user_id`, `users`."""
    word = _snake(name)
    plain = _ID.sub("", word) or word
    return plain in WORDS or plain.removesuffix("s") in WORDS


def is_id(name: str) -> bool:
    """Whether a field is the id of the object that it stands in."""
    return name.lower() == "id"


def names_beside(name: str) -> tuple[str, ...]:
    """The fields that have the name of a player, beside the field with the id."""
    if is_id(name):
        return NAMES
    word = _ID.sub("", name)
    own = (f"{word}_name", f"{word}_username") if word != name else (f"{name}_name",)
    return (*own, *NAMES) if word in {"user", "player", "member"} else own


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


@dataclass(slots=True)
class PeopleInside:
    """What is known of a place in a body.

    Attributes:
        person: whether it holds the id of a player.
        inner: what is known of the places inside, by the name of the field, or `ELEMENT`.
    """

    person: bool = False
    inner: dict[str, PeopleInside] = field(default_factory=dict)


def people_inside(paths: Iterable[tuple[str, ...]]) -> PeopleInside:
    """The places of a body that hold ids of players.

    Args:
        paths: the path to each, with `ELEMENT` for an element of a list.
    """
    whole = PeopleInside()
    for path in paths:
        mark = whole
        for step in path:
            mark = mark.inner.setdefault(step, PeopleInside())
        mark.person = True
    return whole
