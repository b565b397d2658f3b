"""The key of records in every table of a family, and the columns of a history."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from tcdatalogger.models.schema import INDEX, SYSTEM, Column, TableFamily, TableSchema, Type

VERSION = ("valid_from", "valid_to", "_closed_by")
"""The columns that `history` adds to every table: begin and end of a version, and the run that
ended it."""

SEEN, SUBJECT, RUN = SYSTEM
"""The system columns: the time of the answer, the subject, and the run that stored the row."""


@dataclass(frozen=True, slots=True)
class Group:
    """Tables whose rows belong to the same records.

    Attributes:
        tables: the tables of the family of a load; the table of the records is first.
        keys: for each table the columns with the subject (first) and the key of the record; also
            for child tables that are no longer in the family.
        single: whether a record has one row in the first table.
    """

    tables: tuple[TableSchema, ...]
    keys: Mapping[str, tuple[str, ...]]
    single: bool = True

    @property
    def root(self) -> str:
        """The table of the records."""
        return self.tables[0].name


def key_columns(family: TableFamily) -> tuple[Column, ...] | None:
    """The columns of the root table that are the key of a record of one subject.

    Returns:
        The columns; () where each subject has one record; None where the family has no such key.
    """
    root = family.tables[0]
    names = [name for name in root.key if not ((c := root.column(name)) and _is_ours(c))]
    if names == [SYSTEM[1]]:
        return ()
    key = [column for name in names if (column := root.column(name)) is not None]
    if not key or len(key) != len(names) or INDEX in names:
        return None
    records = [table for table in family.tables if not table.beside]
    return None if any(own(table, key) is None for table in records) else tuple(key)


def key_fields(family: TableFamily) -> tuple[tuple[str, ...], ...]:
    """The paths of the key fields of a record, from the record down.

    A key field that the shape does not know yet is included. The result is empty where the key is
    the place in a list, or the subject.
    """
    root = family.tables[0]
    found = [(name, root.column(name)) for name in root.key]
    return tuple(c.path if c else (name,) for name, c in found if c is None or not c.ours)


def own(table: TableSchema, key: Sequence[Column]) -> tuple[Column, ...] | None:
    """The columns of a table that hold the key of the root; None where one is missing."""
    found = []
    for wanted in key:
        source = (0, wanted.path, wanted.is_parameter)
        column = next((c for c in table.columns if (c.level, c.path, c.ours) == source), None)
        if column is None:
            return None
        found.append(column)
    return tuple(found)


def facts(table: TableSchema) -> list[str]:
    """The columns that say what a record is: it has changed where one of their values has."""
    return [
        column.name
        for column in table.columns
        if column.compared and column.name not in SYSTEM and not _is_ours(column)
    ]


def ignoring(family: TableFamily, names: Collection[str]) -> TableFamily:
    """The family with columns that are not compared: a record has not changed where they have.

    Args:
        family: the tables.
        names: of columns. A plain name means a column of the root and its copies in child tables,
            one with a table before it, as `table.column`, the column of that table alone.
    """
    root = family.tables[0]
    origins = {(c.level, c.path, c.ours) for c in root.data_columns if c.name in names}

    def quiet(table: TableSchema, column: Column) -> bool:
        named = f"{table.name}.{column.name}" in names
        return named or (column.level, column.path, column.ours) in origins

    tables = [
        replace(
            t, columns=tuple(replace(c, compared=False) if quiet(t, c) else c for c in t.columns)
        )
        for t in family.tables
    ]
    return replace(family, tables=tuple(tables))


def versioned(family: TableFamily) -> TableFamily:
    """The family that `history` stores: with the columns of `VERSION` before the system columns.

    Raises:
        ValueError: a table has a column with such a name already; the message names the column.
    """
    return replace(family, tables=tuple(map(_versioned, family.tables)))


def _versioned(table: TableSchema) -> TableSchema:
    taken = [column.name for column in table.columns if column.name in VERSION]
    if taken:
        raise ValueError(f"{table.name}.{taken[0]}")
    level = len(table.lists)
    new = tuple(
        Column(name, kind, nullable=True, level=level, path=(name,), ours=True)
        for name, kind in zip(VERSION, (Type.TIME, Type.TIME, Type.TEXT), strict=True)
    )
    columns = (*table.data_columns, *new, *table.columns[-len(SYSTEM) :])
    return replace(table, columns=columns, key=(*table.key, VERSION[0]))


def _is_ours(column: Column) -> bool:
    return column.ours and column.name in VERSION
