"""Columns under names of the user's own: `columns = { rewards_money = "money" }`.

A plain name means a column of the root, and every child's copy of it that bears the same name; with
a table before it, `"faction_crimes_slots.user_id"`, it means the column of that table alone. Names
are given last, so that they change nothing of how the others are called. But for one thing: names
that a storage mode needs for itself are left to it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from tcdatalogger import text
from tcdatalogger.errors import ConfigError
from tcdatalogger.models.evolution import origin
from tcdatalogger.models.naming import prefixed, singular, snake
from tcdatalogger.models.schema import Column, TableFamily, TableSchema


def renamed(family: TableFamily, names: Mapping[str, str]) -> TableFamily:
    """`family` with the names of the user's own. Names of columns that it lacks do nothing.

    Args:
        family: as the catalogue and what was learned make it.
        names: yours by ours; ours with or without its table.

    Raises:
        ConfigError: two columns of a table would have one name.
    """
    if not names:
        return family
    tables = tuple(_renamed(table, _wanted(family, table, names)) for table in family.tables)
    return replace(family, tables=tables)


def _wanted(family: TableFamily, table: TableSchema, names: Mapping[str, str]) -> dict[str, str]:
    """The new names of a table's columns by the old."""
    root = family.tables[0]
    wanted = {}
    for column in table.data_columns:
        own = names.get(f"{table.name}.{column.name}")
        source = root.column(column.name)
        if own is None and source is not None and origin(source) == origin(column):
            own = names.get(column.name)
        if own is not None and own != column.name:
            wanted[column.name] = own
    return wanted


def _renamed(table: TableSchema, wanted: Mapping[str, str]) -> TableSchema:
    columns = tuple(replace(c, name=wanted.get(c.name, c.name)) for c in table.columns)
    taken: set[str] = set()
    for column in columns:
        if column.name in taken:
            raise ConfigError(
                f"`columns` gives the table {table.name} two columns of the name {column.name}.",
                remedy="Choose another name, or put the table before it: "
                f'"{table.name}.COLUMN" means the column of that table alone.',
            )
        taken.add(column.name)
    key = tuple(wanted.get(name, name) for name in table.key)
    return replace(table, columns=columns, key=key)


def around(family: TableFamily, names: Collection[str]) -> TableFamily:
    """`family` with none of these names: a column that bears one is prefixed with its level.

    Args:
        family: with the names of the user's own.
        names: that a storage mode has columns of its own for.
    """
    tables = tuple(_renamed(table, _around(family, table, names)) for table in family.tables)
    return replace(family, tables=tables)


def _around(family: TableFamily, table: TableSchema, names: Collection[str]) -> dict[str, str]:
    taken = {column.name for column in table.columns} | set(names)
    wanted: dict[str, str] = {}
    for column in table.data_columns:
        # Frames of a user's own may have capital letters, which tell no two columns apart.
        if column.name.lower() not in names:
            continue
        prefix, name = _level(family, table, column), column.name
        while name.lower() in taken:
            name = prefixed(name, prefix)
        taken.add(name)
        wanted[column.name] = name
    return wanted


def _level(family: TableFamily, table: TableSchema, column: Column) -> str:
    """What the level of a column is called."""
    if column.level < len(table.lists) and len(column.path) > 1:
        return snake(column.path[-2])
    if column.level:
        way = table.lists[column.level - 1]
        return singular(snake(way[-1])) if way else "value"
    if family.root:
        return singular(snake(family.root[-1])) if family.listed else snake(family.root[-1])
    return singular(family.tables[0].name)


def ours(names: Mapping[str, str], yours: Iterable[str], table: str) -> tuple[str, ...]:
    """Columns of the root by our names for them: `key` may name them by either.

    Args:
        names: as in `renamed`.
        yours: of the columns.
        table: the root's name.
    """
    back = {new: old.removeprefix(f"{table}.") for old, new in names.items()}
    return tuple(name if name in names else back.get(name, name) for name in yours)


def unknown(family: TableFamily, names: Iterable[str]) -> list[str]:
    """Those of the names that mean no column of `family`, each with a near one where there is.

    Args:
        family: with our names.
        names: of columns, with or without their table.
    """
    root = family.tables[0]
    known = [column.name for column in root.data_columns]
    known += [f"{table.name}.{c.name}" for table in family.tables for c in table.data_columns]
    return [f"{name!r}{near(name, known)}" for name in names if name not in known]


def near(name: str, known: Iterable[str]) -> str:
    """` (did you mean 'that'?)`, or nothing."""
    found = text.near(name, known, cutoff=0.7)  # it decides whether a run is refused
    return f" (did you mean {found[0]!r}?)" if found else ""
