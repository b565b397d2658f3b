"""The versions of a table, and the columns that it has after some versions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from tcdatalogger.models.evolution import WIDENING, Origin
from tcdatalogger.models.rows.drift import place
from tcdatalogger.models.schema import TableFamily, TableSchema, Type

ROLLBACK: Final = "schema rollback to "
"""The start of the cause of a version that takes a table back to an older version."""

UNDONE: Final = "rollback"
"""The cause of a version that came with the rollback of a run."""


@dataclass(frozen=True, slots=True)
class StoredColumn:
    """A column of a version of a table.

    Attributes:
        name, type, nullable, learned, deprecated, ends: as in `schema.Column`.
        origin: where the values come from.
        place: the path of the field in the body, for a column of the table's own element; empty for
            other columns.
    """

    name: str
    type: Type
    nullable: bool
    learned: bool
    deprecated: bool
    ends: str
    origin: Origin
    place: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a table.

    Attributes:
        number: counts from 1.
        cause: why the version was made.
        columns: the columns of the load that made it; for a rollback, all columns of the table.
    """

    number: int
    cause: str
    columns: tuple[StoredColumn, ...]


def kept(family: TableFamily, table: TableSchema) -> tuple[StoredColumn, ...]:
    """The columns of a table of a family, for a version of it."""
    return tuple(
        StoredColumn(
            column.name,
            column.type,
            column.nullable,
            column.learned,
            column.deprecated,
            column.ends,
            (column.level, column.path, column.ours),
            place(family, table, column)
            if column.level == len(table.lists) and not column.ours
            else (),
        )
        for column in table.columns
    )


def current_columns(versions: Iterable[Version]) -> dict[Origin, StoredColumn]:
    """The columns that a table has after these versions, by their origin.

    A version lists only the columns of its load; columns that the load lacks stay in the table. A
    version of a rollback lists all columns.

    Args:
        versions: the versions of the table, the oldest first.
    """
    found: dict[Origin, StoredColumn] = {}
    for version in versions:
        if version.cause.startswith((ROLLBACK, UNDONE)):
            found = {}
        for column in version.columns:
            before = found.get(column.origin)
            if before is not None and (column.type, before.type) in WIDENING:
                column = replace(column, type=before.type)  # noqa: PLW2901 - whole numbers fit
            found[column.origin] = column
    return found


def write(columns: Iterable[StoredColumn]) -> list[dict[str, Any]]:
    """Columns as JSON."""
    return [
        {
            "name": c.name,
            "type": c.type,
            "nullable": c.nullable,
            "path": list(c.origin[1]),
            "learned": c.learned,
            "deprecated": c.deprecated,
            "ends": c.ends or None,
            "level": c.origin[0],
            "ours": c.origin[2],
            "place": list(c.place),
        }
        for c in columns
    ]


def read(columns: Iterable[Mapping[str, Any]]) -> tuple[StoredColumn, ...]:
    """Columns from JSON; columns that an older ledger stored without their level are left out."""
    return tuple(
        StoredColumn(
            c["name"],
            Type(c["type"]),
            c["nullable"],
            c["learned"],
            c["deprecated"],
            c["ends"] or "",
            (c["level"], tuple(c["path"]), c["ours"]),
            tuple(c["place"]),
        )
        for c in columns
        if "level" in c
    )
