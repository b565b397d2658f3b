"""Compares two versions of Torn's document: which endpoints, tables and columns changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tcdatalogger.errors import ConfigError
from tcdatalogger.models.comparison import Difference, compare
from tcdatalogger.services.torncity.catalog import catalog
from tcdatalogger.services.torncity.catalog.catalog import Catalog, Endpoint


@dataclass(frozen=True, slots=True)
class EndpointChange:
    """The changes of one endpoint.

    Attributes:
        path: the path of the catalogue.
        change: `added`, `removed` or `changed`.
        facts: changes of access, paging, limit and so on, each as name, old value, new value.
        differences: changes of its tables.
    """

    path: str
    change: str
    facts: tuple[tuple[str, str, str], ...] = ()
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class Ending:
    """A column or an endpoint that will be removed.

    Attributes:
        path: the path of the endpoint.
        table, column: the column, "" where the whole endpoint is removed.
        on: the day as an ISO date, "" where it is unknown.
    """

    path: str
    table: str
    column: str
    on: str


def read(file: Path) -> Catalog:
    """The catalogue of a file: a compiled catalogue, or Torn's own document.

    Raises:
        ConfigError: the file is neither, or cannot be read.
    """
    return catalog.read(compiled(file), str(file))


def compiled(file: Path) -> bytes:
    """The bytes of a compiled catalogue, from a file with one or with Torn's own document.

    Raises:
        ConfigError: the file is neither, or cannot be read.
    """
    from tcdatalogger.services.torncity.catalog.openapi import compile_catalog  # noqa: PLC0415 - rarely

    try:
        raw = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}.") from None
    try:
        keys = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ConfigError(
            f"{file} is neither a catalogue nor an OpenAPI document.",
            remedy="Give Torn's openapi.json or what `tcdatalogger catalog compile` made of it.",
        ) from None
    return compile_catalog(raw, str(file)) if "openapi" in keys else raw


def changes(before: Catalog, after: Catalog) -> Iterator[EndpointChange]:
    """The changes between two catalogues, in the order of `after`; removed endpoints come last."""
    old = {endpoint.path: endpoint for endpoint in before.endpoints}
    new = {endpoint.path: endpoint for endpoint in after.endpoints}
    for path, endpoint in new.items():
        if path not in old:
            yield EndpointChange(path, "added")
            continue
        facts = tuple(_facts(old[path], endpoint))
        one, other = old[path].family, endpoint.family
        differences = tuple(compare(one, other)) if one and other else ()
        if facts or differences:
            yield EndpointChange(path, "changed", facts, differences)
    for path in old:
        if path not in new:
            yield EndpointChange(path, "removed")


def endings(after: Catalog) -> Iterator[Ending]:
    """All endpoints and columns that will be removed."""
    for endpoint in after.endpoints:
        if endpoint.deprecated:
            yield Ending(endpoint.path, "", "", endpoint.ends)
        tables = endpoint.family
        for table in tables.tables if tables else ():
            for column in table.data_columns:
                if column.deprecated and column.level == len(table.lists):
                    yield Ending(endpoint.path, table.name, column.name, column.ends)


def _facts(before: Endpoint, after: Endpoint) -> Iterator[tuple[str, str, str]]:
    for name in ("access", "faction_access", "stable", "deprecated", "content", "paging", "limit"):
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            yield name, _word(old), _word(new)
    ours = {parameter.name for parameter in before.parameters}
    theirs = {parameter.name for parameter in after.parameters}
    for name in sorted(theirs - ours):
        yield f"parameter {name}", "", "added"
    for name in sorted(ours - theirs):
        yield f"parameter {name}", "", "removed"


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)
