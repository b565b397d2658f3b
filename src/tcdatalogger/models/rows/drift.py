"""What Torn sent that the catalogue does not know, as tables and columns."""

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
        table, column: where the value is kept.
        type: of the column; for a text that was sent as something else, `text`.
        example: the first value seen, as JSON, cut where it is long.
        cause: why it is told.
    """

    table: str
    column: str
    type: str
    example: str
    cause: str = UNKNOWN


def drift(family: TableFamily, examples: Mapping[Path, str]) -> tuple[Drift, ...]:
    """The columns of `family` that hold something for which there is an example."""
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
    """A sentence for each table that is new and has not the name that its shape gives it."""
    told = {one.table for one in found}
    for table in family.tables:
        if table.moved and table.name in told:
            yield f"{table.plain} is the table of another endpoint, so this list is {table.name}"


def place(family: TableFamily, table: TableSchema, column: Column) -> Path:
    """Where a table's own column stands in the body."""
    path: list[str] = []
    if not table.beside:
        path += family.root
        if family.listed:
            path.append("[]")
    for way in table.lists:
        path += [*way, "[]"]
    return (*path, *column.path)
