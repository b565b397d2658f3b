"""Keys: their owner, what they may read, and what an endpoint needs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

import msgspec

from tcdatalogger.errors import DataRefused
from tcdatalogger.services.torncity.catalog.catalog import Endpoint
from tcdatalogger.services.torncity.client.client import Client
from tcdatalogger.services.torncity.client.messages import ApiKey, Request

LEVELS = {"public": 1, "minimal": 2, "limited": 3, "full": 4}
"""Torn's numbers of the access levels; 0 is a custom key."""

NEW_KEY = "https://www.torn.com/preferences.php#tab=api?step=addNewKey"


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """Torn's answer about a key at `/key/info`.

    Attributes:
        owner_id: the player id of the owner.
        faction_id: the owner's faction, None for none.
        company_id: the owner's company, None for none.
        level: 0 custom, 1 public, 2 minimal, 3 limited, 4 full.
        access_type: the level in Torn's words.
        faction_access: whether the owner's position gives API access in the faction.
        company_access: whether the owner's position gives API access in the company.
        selections: the selections that the key may read, by section, in Torn's spelling.
    """

    owner_id: int
    faction_id: int | None
    company_id: int | None
    level: int
    access_type: str
    faction_access: bool
    company_access: bool = False
    selections: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def custom(self) -> bool:
        """Whether the key is a custom key, with selections that its owner chose."""
        return self.level not in LEVELS.values()


class _Access(msgspec.Struct):
    level: int
    type: str = ""
    faction: bool = False
    company: bool = False


class _User(msgspec.Struct):
    id: int
    faction_id: int | None = None
    company_id: int | None = None


class _Info(msgspec.Struct):
    access: _Access
    user: _User
    selections: dict[str, tuple[str, ...]] = {}


class _Body(msgspec.Struct):
    info: _Info


def key_info(client: Client, key: ApiKey) -> tuple[KeyInfo, float]:
    """Ask Torn about a key: one call, which any key may make.

    Returns:
        The answer, and its time by Torn's clock, seconds since 1970.

    Raises:
        KeyRefused: the key is dead, or cannot be used now.
        DataRefused: the answer has another shape than Torn's document says.
        TryAgain: Torn cannot be asked now.
    """
    answer = client.get(Request("/key/info"), key)
    return read_info(answer.body), answer.server_time


def read_info(body: bytes) -> KeyInfo:
    """The key info in the body of an answer.

    Raises:
        DataRefused: the body has another shape than Torn's document says.
    """
    try:
        info = msgspec.json.decode(body, type=_Body).info
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataRefused(
            f"Torn's answer to /key/info has another shape than Torn documents: {error}.",
            remedy="Look whether a newer version of tcdatalogger knows it.",
        ) from None
    return KeyInfo(
        owner_id=info.user.id,
        faction_id=info.user.faction_id or None,
        company_id=info.user.company_id or None,
        level=info.access.level,
        access_type=info.access.type,
        faction_access=info.access.faction,
        company_access=info.access.company,
        selections=info.selections,
    )


def needs(endpoint: Endpoint, info: KeyInfo) -> str | None:
    """Why a key may not read an endpoint, as a sentence; None where it may.

    A custom key may read all public selections and those that it lists.
    """
    if not _level_suffices(endpoint, info):
        if info.custom:
            section, selection = _spelling(endpoint)
            return (
                f"{endpoint.path} needs the selection {selection} of the section {section}, "
                "which this custom key does not have."
            )
        return (
            f"{endpoint.path} needs a key of the level {endpoint.access}, "
            f"and this one is {info.access_type or info.level}."
        )
    if endpoint.faction_access and not info.faction_access:
        return (
            f"{endpoint.path} needs API access in the faction, "
            "which the position of the key's owner does not give."
        )
    return None


def _level_suffices(endpoint: Endpoint, info: KeyInfo) -> bool:
    if not info.custom:
        return info.level >= LEVELS[endpoint.access]
    if endpoint.access == "public":
        return True
    section, selection = _spelling(endpoint)
    listed = info.selections.get(section, ())
    return selection.lower() in {name.lower() for name in listed}


def custom_key_link(endpoints: Iterable[Endpoint], title: str = "TCdatalogger") -> str:
    """The address at which Torn makes a custom key for exactly these endpoints.

    Sections and selections are sorted, so the same endpoints give the same link.
    """
    parts = [f"title={quote(title, safe='')}"]
    parts += [f"{section}={','.join(names)}" for section, names in selections_of(endpoints)]
    return "&".join([NEW_KEY, *parts])


def selections_of(endpoints: Iterable[Endpoint]) -> list[tuple[str, list[str]]]:
    """The selections that endpoints need, by section, sorted and in Torn's spelling."""
    wanted: dict[str, set[str]] = {}
    for endpoint in endpoints:
        if endpoint.route:  # has no selection of its own
            continue
        section, selection = _spelling(endpoint)
        wanted.setdefault(section, set()).add(selection)
    return [(section, sorted(names)) for section, names in sorted(wanted.items())]


def _spelling(endpoint: Endpoint) -> tuple[str, str]:
    """Section and selection in Torn's spelling; the catalogue has them in snake case."""
    words = re.sub(r"\{[^}]*\}", "", endpoint.path).split("/")
    plain = [word for word in words if word]
    return plain[0], plain[-1]
