"""Two versions of Torn's document side by side: which endpoints, tables and columns changed."""

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
    """What changed of one endpoint.

    Attributes:
        path: of the catalogue.
        change: `added`, `removed` or `changed`.
        facts: of access, paging, limit and the like: name, before, after.
        differences: of its tables.
    """

    path: str
    change: str
    facts: tuple[tuple[str, str, str], ...] = ()
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class Ending:
    """A column that is announced to go; `on` is the ISO date, "" where none is named."""

    path: str
    table: str
    column: str
    on: str


def read(file: Path) -> Catalog:
    """A compiled catalogue, or Torn's own document, which is compiled.

    Raises:
        ConfigError: it is neither, or cannot be read.
    """
    return catalog.read(compiled(file), str(file))


def compiled(file: Path) -> bytes:
    """The bytes of a catalogue: those of the file, or what Torn's own document compiles to.

    Raises:
        ConfigError: it is neither, or cannot be read.
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
    """What changed between two catalogues, in the order of the later one."""
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
    """Every endpoint (without table and column) and column that is announced to go."""
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
