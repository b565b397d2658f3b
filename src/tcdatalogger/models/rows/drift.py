"""Drift: the tables and columns of what Torn sent and the catalogue does not know."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from tcdatalogger.models.reading.infer import Path
from tcdatalogger.models.schema import Column, TableFamily, TableSchema

UNKNOWN: Final = "unknown to the catalogue"


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference between the data and the catalogue.

    Attributes:
        table, column: where the value is stored.
        type: the type of the column; `text` for a text that was sent as another kind.
        example: the first value as JSON, shortened where it is long.
        cause: why this is drift.
    """

    table: str
    column: str
    type: str
    example: str
    cause: str = UNKNOWN


def drift(family: TableFamily, examples: Mapping[Path, str]) -> tuple[Drift, ...]:
    """The columns of `family` for which there is an example."""
    return tuple(_drift(family, examples))


def _drift(family: TableFamily, examples: Mapping[Path, str]) -> Iterator[Drift]:
    for table in family.tables:
        for column in table.data_columns:
            if column.ours or column.level != len(table.lists):
                continue
            example = examples.get(place(family, table, column))
            if example is not None:
                cause = f"{UNKNOWN}; {table.plain} is another's" if table.moved else UNKNOWN
                yield Drift(table.name, column.name, column.type, example, cause)


def moved(family: TableFamily, found: Iterable[Drift]) -> Iterator[str]:
    """A sentence for each table with drift whose name differs from the name of its shape."""
    tables = {each.table for each in found}
    for table in family.tables:
        if table.moved and table.name in tables:
            yield f"{table.plain} is the table of another endpoint, so this list is {table.name}"


def place(family: TableFamily, table: TableSchema, column: Column) -> Path:
    """The path in the body of a table's own column."""
    path: list[str] = []
    if not table.beside:
        path += family.root
        if family.listed:
            path.append("[]")
    for way in table.lists:
        path += [*way, "[]"]
    return (*path, *column.path)
