"""The catalogue: all endpoints of Torn's API with their parameters, access and shapes.

`openapi.py` compiles it from Torn's own document; the package ships it as one JSON file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from tcdatalogger.errors import ConfigError
from tcdatalogger.models import notation
from tcdatalogger.models.naming import snake
from tcdatalogger.models.schema import TableFamily, family
from tcdatalogger.models.shape import Shape
from tcdatalogger.services.torncity.client.envelope import Payload
from tcdatalogger.text import did_you_mean

SUCCESSORS = {
    "/faction/currency": "/faction/balance",
    "/faction/donations": "/faction/balance",
} | {
    f"/faction/{kind}news": "/faction/news"
    for kind in ("armory", "attack", "crime", "funds", "main", "membership", "territory")
}
"""Selections that version 2 of the API refuses with error 22, and the path that has their data."""

_OF_OWNERS: Final = ("user", "key", "faction", "company")
"""The sections that are about a player, a faction or a company."""

CITY_WIDE = frozenset(
    """search snapshot lookup timestamp rackets territoryownership dirtybombs warfare warfarechains
    warfareraids warfareranked warfareterritory""".split()
)
"""Selections whose rows are not about the key's owner, although their section is."""


BY_TIME: Final = frozenset({"time", "nanostamp", "all"})
"""The kinds of paging whose lists take `from` and `to`."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of an endpoint.

    Attributes:
        where: `path` or `query`.
        required: whether a call must have it.
        kind: `int`, `text` or `bool`.
        many: whether it takes a comma-separated list.
        values: the values that Torn's document names; empty for any value.
        default: the value that Torn takes where it is not given, None where that is unknown.
        minimum, maximum: bounds of an integer, None for no bound.
    """

    name: str
    where: str = "query"
    required: bool = False
    kind: str = "text"
    many: bool = False
    values: tuple[str | int, ...] = ()
    default: str | int | bool | None = None
    minimum: int | None = None
    maximum: int | None = None


@dataclass(frozen=True)
class Endpoint:
    """One path of Torn's API.

    Attributes:
        path: the path with its placeholders, as `/faction/{id}/members`.
        section, selection: the first and the last word of the path.
        access: the lowest level of key that may read it.
        faction_access: whether the key's owner needs API access in the faction.
        stable: whether Torn's document calls it stable.
        deprecated, ends: whether Torn's document says that it will be removed, and the day as an
            ISO date, "" where it is unknown.
        content: `json` or `csv`.
        route: whether it is one of the nine paths that take any selection of their section. Their
            bodies depend on the selections, so they have no tables of their own.
        paging: `none`, `time`, `offset`, `all` (both), `cursor` or `nanostamp`.
        limit: the most rows of a page, None where the caller cannot choose it.
        parameters: all parameters, except the key and the comment.
        people: where the ids of players are in a body, as `members.[].id`.
        notation: the shape of the body in the notation of `models/notation.py`.
        shapes: the named shapes of the catalogue.
    """

    path: str
    section: str
    selection: str
    access: str
    faction_access: bool
    stable: bool
    deprecated: bool
    ends: str
    content: str
    route: bool
    paging: str
    limit: int | None
    parameters: tuple[Parameter, ...]
    people: tuple[str, ...]
    notation: notation.Notation = field(repr=False)
    shapes: NamedShapes = field(repr=False)

    @cached_property
    def shape(self) -> Shape:
        """The shape of the whole body, `_metadata` included."""
        return self.shapes.read(self.notation)

    @cached_property
    def family(self) -> TableFamily | None:
        """The tables under the endpoint's own name, None for a route."""
        if self.route:
            return None
        return family(self.shape, self.name, selection=self.selection)

    @cached_property
    def payload(self) -> Payload | None:
        """The members that an answer must have; None for a route, and for CSV."""
        if self.family is None or self.content != "json":
            return None
        return Payload.of(self.shape, self.family.root[0] if self.family.listed else "")

    @property
    def name(self) -> str:
        """Section and selection: the default name of the root table."""
        return self.section if self.route else f"{self.section}_{self.selection}"

    @property
    def city_wide(self) -> bool:
        """Whether its rows are about the whole city, where the path has no id."""
        return self.selection in CITY_WIDE

    @property
    def of_key_owner(self) -> bool:
        """Whether its rows are about the owner of the key."""
        return self.section in _OF_OWNERS and not self.path_parameters and not self.city_wide

    @property
    def about_player(self) -> bool:
        """Whether its rows are about one player: the key's owner, or the one of the path."""
        given = {parameter.name for parameter in self.path_parameters}
        return self.section in ("user", "key") and not self.city_wide and given <= {"id"}

    @property
    def path_parameters(self) -> tuple[Parameter, ...]:
        """The placeholders of the path, in order."""
        return tuple(p for p in self.parameters if p.where == "path")

    def parameter(self, name: str) -> Parameter | None:
        """The parameter with this name, None where there is none."""
        return next((p for p in self.parameters if p.name == name), None)


@dataclass(frozen=True)
class NamedShapes:
    """The named shapes of a catalogue; each is read when it is first needed.

    Attributes:
        named: the notation of each named shape.
    """

    named: Mapping[str, notation.Notation]

    @cached_property
    def _known(self) -> dict[str, Shape]:
        return {}

    def read(self, text: notation.Notation) -> Shape:
        """The shape of a notation that may use the named shapes."""
        return notation.read(text, self.named, self._known)


class Catalog:
    """All endpoints of one version of Torn's document.

    Attributes:
        version: the version of the document.
        endpoints: the endpoints in the order of the document.
    """

    def __init__(self, version: str, endpoints: tuple[Endpoint, ...]) -> None:
        self.version = version
        self.endpoints = endpoints
        self._by_path = {endpoint.path: endpoint for endpoint in endpoints}

    def find(self, path: str) -> tuple[Endpoint, dict[str, str]]:
        """The endpoint of a path and the values of its placeholders.

        Args:
            path: a path of the catalogue (`/faction/{id}/members`), a path with values
                (`/faction/40832/members`), or a whole address of Torn's API.

        Raises:
            ConfigError: the catalogue has no such path; the message names similar ones.
        """
        wanted = "/" + urlsplit(path).path.strip("/")
        wanted = wanted.removeprefix("/v2") or "/"
        if wanted in self._by_path:
            return self._by_path[wanted], {}
        parts = wanted.split("/")
        for endpoint in self.endpoints:
            values = _fill(endpoint.path.split("/"), parts)
            if values is not None and all(
                _takes(endpoint, name, value) for name, value in values.items()
            ):
                return endpoint, values
        if wanted in SUCCESSORS:
            raise ConfigError(
                f"Version 2 of Torn's API has no {wanted}; version 1 had it.",
                remedy=f"Use {SUCCESSORS[wanted]}.",
            )
        otherwise = "`tcdatalogger catalog` lists them all."
        raise ConfigError(
            f"The catalogue ({self.version}) has no path {wanted}.",
            remedy=did_you_mean(wanted, self._by_path, otherwise, most=3),
        )


def _takes(endpoint: Endpoint, name: str, value: str) -> bool:
    """Whether a placeholder may have this value: `/user/{crimeId}/crimes` takes numbers only."""
    parameter = endpoint.parameter(name)
    if parameter is None or parameter.kind != "int" or value == f"{{{name}}}":
        return True
    parts = value.split(",") if parameter.many else [value]
    return all(part.isdecimal() for part in parts)


def _fill(template: list[str], parts: list[str]) -> dict[str, str] | None:
    """The values of the placeholders for which `template` equals `parts`, None where it cannot."""
    if len(template) != len(parts):
        return None
    values = {}
    for want, have in zip(template, parts, strict=True):
        if want.startswith("{"):
            values[want.strip("{}")] = have
        elif want != have:
            return None
    return values


class _ParameterFacts(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    name: str
    where: str = "query"
    required: bool = False
    kind: str = "text"
    many: bool = False
    values: tuple[str | int, ...] = ()
    default: str | int | bool | None = None
    minimum: int | None = None
    maximum: int | None = None


class _EndpointFacts(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    path: str
    shape: Any
    access: str = "public"
    faction_access: bool = False
    stable: bool = True
    deprecated: bool = False
    ends: str = ""
    content: str = "json"
    route: bool = False
    paging: str = "none"
    limit: int | None = None
    parameters: tuple[str | _ParameterFacts, ...] = ()
    people: tuple[str, ...] = ()


class CatalogFile(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """The content of a catalogue file.

    Attributes:
        version: the version of Torn's document.
        endpoints: the endpoints; a shared parameter stands there by its label.
        parameters: the shared parameters by their label.
        shapes: the notation of each named shape.
    """

    version: str
    endpoints: tuple[_EndpointFacts, ...]
    parameters: dict[str, _ParameterFacts]
    shapes: dict[str, Any]


def read(raw: bytes, place: str) -> Catalog:
    """The catalogue in the bytes of a file.

    Args:
        raw: the bytes.
        place: where they came from, for the message.

    Raises:
        ConfigError: the bytes are no catalogue.
    """
    try:
        facts = msgspec.json.decode(raw, type=CatalogFile)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(
            f"{place} is not a compiled catalogue: {error}.",
            remedy="Make one with `tcdatalogger catalog compile SPEC --to FILE`.",
        ) from None
    shapes = NamedShapes(facts.shapes)
    shared = {name: _parameter(parameter) for name, parameter in facts.parameters.items()}
    return Catalog(facts.version, tuple(_endpoint(e, shared, shapes) for e in facts.endpoints))


def load(path: Path | None = None) -> Catalog:
    """The catalogue of a file, or the shipped one; a process reads each once, until it changes.

    Raises:
        ConfigError: the file cannot be read, or is no catalogue.
    """
    if path is None:
        return _load(None, None)
    try:
        facts = path.stat()
        return _load(path, (facts.st_mtime_ns, facts.st_size, facts.st_ino))
    except OSError as error:
        raise ConfigError(f"The catalogue {path} cannot be read: {error.strerror}.") from None


@lru_cache(maxsize=4)
def _load(path: Path | None, _stamp: tuple[int, ...] | None) -> Catalog:
    if path is None:
        return read(files(__package__).joinpath("catalog.json").read_bytes(), "the package")
    return read(path.read_bytes(), str(path))


def selection_name(path: str) -> tuple[str, str]:
    """Section and selection of a path, in snake case: the first and the last plain word."""
    words = [word for word in path.strip("/").split("/") if not word.startswith("{")]
    return snake(words[0]), snake(words[-1])


def _parameter(facts: _ParameterFacts) -> Parameter:
    return Parameter(**msgspec.structs.asdict(facts))


def _endpoint(
    facts: _EndpointFacts, shared: Mapping[str, Parameter], shapes: NamedShapes
) -> Endpoint:
    section, selection = selection_name(facts.path)
    return Endpoint(
        path=facts.path,
        section=section,
        selection=selection,
        access=facts.access,
        faction_access=facts.faction_access,
        stable=facts.stable,
        deprecated=facts.deprecated,
        ends=facts.ends,
        content=facts.content,
        route=facts.route,
        paging=facts.paging,
        limit=facts.limit,
        parameters=tuple(
            shared[p] if isinstance(p, str) else _parameter(p) for p in facts.parameters
        ),
        people=facts.people,
        notation=facts.shape,
        shapes=shapes,
    )
