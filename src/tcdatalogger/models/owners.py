"""The owners of tables: each table belongs to one family, and no other family may fill it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from tcdatalogger.models.schema import TableFamily, TableSchema


@dataclass(frozen=True, slots=True)
class TableOwner:
    """The owner of a table.

    Endpoints of one path with the same root table are one owner: they share the tables.

    Attributes:
        table: the name of the table.
        family: the root table of the family that owns the table.
        plain: the name that the shape gives the table; it differs from `table` where that name was
            taken by another owner.
        path: the path that fills the table, "" where it is unknown.
        endpoint: the endpoint that filled the table first.
    """

    table: str
    family: str
    plain: str
    path: str
    endpoint: str


def of_another(
    family: TableFamily, endpoint: str, path: str, owners: Iterable[TableOwner]
) -> TableOwner | None:
    """The first owner of a table of `family` that is another owner; None for none.

    Args:
        family: the tables that an endpoint wants to fill.
        endpoint: the name of the endpoint.
        path: the path of the endpoint, "" where it is unknown.
        owners: the owners of the stored tables.
    """
    root = family.tables[0].name
    names = {table.name for table in family.tables}
    for owner in owners:
        shared = owner.endpoint == endpoint or not path or owner.path in ("", path)
        if owner.table in names and not (owner.family == root and shared):
            return owner
    return None


def free(root: str, tables: Iterable[str]) -> str:
    """A name for a root table such that no name of its family is one of `tables`."""
    taken, number = [f"{name}_" for name in tables], 2
    while any(name.startswith(f"{root}_{number}_") for name in taken):
        number += 1
    return f"{root}_{number}"


def apart(family: TableFamily, owners: Iterable[TableOwner], roots: Iterable[str]) -> TableFamily:
    """`family` with another name for each learned table whose name belongs to another owner.

    A table keeps its name for ever. The new name has two underscores; names that users choose have
    none, so no family of theirs gets such a table.

    Args:
        family: the family with the names of its shape.
        owners: the owners of the stored tables.
        roots: the root tables of all endpoints.
    """
    root = family.tables[0].name
    known = list(owners)
    if not known and not any(table.learned for table in family.tables):
        return family
    ours = {owner.plain: owner.table for owner in known if owner.family == root}
    theirs = {owner.table for owner in known if owner.family != root}
    inside = {*roots, *(owner.family for owner in known)}
    spaces = [f"{name}_" for name in inside if name.startswith(f"{root}_")]
    taken = theirs | {table.name for table in family.tables} | set(ours.values())
    tables: list[TableSchema] = []
    for table in family.tables:
        name = ours.get(table.name, "")
        if not name and table.learned and _meets(table.name, theirs, spaces):
            name = _other_name(root, table.name, taken)
            taken.add(name)
        tables.append(replace(table, name=name, plain=table.name) if name else table)
    return replace(family, tables=tuple(tables))


def _meets(name: str, theirs: Collection[str], spaces: Iterable[str]) -> bool:
    return name in theirs or any(f"{name}_".startswith(space) for space in spaces)


def _other_name(root: str, name: str, taken: Collection[str]) -> str:
    wanted = found = f"{root}__{name.removeprefix(f'{root}_')}"
    number = 2
    while found in taken:
        found, number = f"{wanted}_{number}", number + 1
    return found
