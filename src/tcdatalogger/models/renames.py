"""Names for columns that the user chooses: `columns = { rewards_money = "money" }`.

A plain name means a column of the root, and the copies of this column in child tables. With a table
before it, as `"faction_crimes_slots.user_id"`, it means the column of that table only. The user's
names are applied after all other names, so they change no other name. Only a storage mode may move
them: names that it needs for its own columns are not free.
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
    """`family` with the user's names. Names of columns that do not exist are ignored.

    Args:
        family: the family with the names of its shape.
        names: the user's names by the names of the shape, which may have their table before them.

    Raises:
        ConfigError: two columns of a table would have one name.
    """
    if not names:
        return family
    tables = tuple(_renamed(table, _wanted(family, table, names)) for table in family.tables)
    return replace(family, tables=tables)


def _wanted(family: TableFamily, table: TableSchema, names: Mapping[str, str]) -> dict[str, str]:
    """The new names of the columns of a table, by the old names."""
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
    """`family` without these names: a column with such a name gets the name of its level before it.

    Args:
        family: the family with the user's names.
        names: the names that a storage mode needs for its own columns.
    """
    tables = tuple(_renamed(table, _around(family, table, names)) for table in family.tables)
    return replace(family, tables=tables)


def _around(family: TableFamily, table: TableSchema, names: Collection[str]) -> dict[str, str]:
    taken = {column.name for column in table.columns} | set(names)
    wanted: dict[str, str] = {}
    for column in table.data_columns:
        # Frames of a processor may have capital letters; two columns must differ by more.
        if column.name.lower() not in names:
            continue
        prefix, name = _level(family, table, column), column.name
        while name.lower() in taken:
            name = prefixed(name, prefix)
        taken.add(name)
        wanted[column.name] = name
    return wanted


def _level(family: TableFamily, table: TableSchema, column: Column) -> str:
    """The name of the level of a column."""
    if column.level < len(table.lists) and len(column.path) > 1:
        return snake(column.path[-2])
    if column.level:
        way = table.lists[column.level - 1]
        return singular(snake(way[-1])) if way else "value"
    if family.root:
        return singular(snake(family.root[-1])) if family.listed else snake(family.root[-1])
    return singular(family.tables[0].name)


def ours(names: Mapping[str, str], yours: Iterable[str], table: str) -> tuple[str, ...]:
    """The names of the shape for columns of the root; `key` may use either name of a column.

    Args:
        names: as in `renamed`.
        yours: names of columns, the user's or the shape's.
        table: the name of the root table.
    """
    back = {new: old.removeprefix(f"{table}.") for old, new in names.items()}
    return tuple(name if name in names else back.get(name, name) for name in yours)


def new(old: str, name: str) -> str:
    """The user's name for a column, with the table before it where the old name has one."""
    table, dot, _ = old.rpartition(".")
    return f"{table}{dot}{name}"


def unknown(family: TableFamily, names: Iterable[str]) -> list[str]:
    """The names that mean no column of `family`, in quotes, each with a similar name if there is.

    Args:
        family: the family with the names of its shape.
        names: names of columns, with or without their table.
    """
    root = family.tables[0]
    known = [column.name for column in root.data_columns]
    known += [f"{table.name}.{c.name}" for table in family.tables for c in table.data_columns]
    return [f"{name!r}{near(name, known)}" for name in names if name not in known]


def near(name: str, known: Iterable[str]) -> str:
    """` (did you mean 'that'?)`, or nothing."""
    found = text.near(name, known, cutoff=0.7)  # it decides whether a run is refused
    return f" (did you mean {found[0]!r}?)" if found else ""
