"""Whose the tables of a warehouse are: each belongs to one family, and no other may fill it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from tcdatalogger.models.schema import TableFamily, TableSchema


@dataclass(frozen=True, slots=True)
class TableOwner:
    """Whose a table is.

    Endpoints of one path that have the same root table are one owner: their rows lie together.

    Attributes:
        table: its name.
        family: the root table of the family that it belongs to.
        plain: the name that it has by its shape; another where that was somebody else's.
        path: that it is filled from, "" where nobody knows.
        endpoint: that filled it first.
    """

    table: str
    family: str
    plain: str
    path: str
    endpoint: str


def of_another(
    family: TableFamily, endpoint: str, path: str, owners: Iterable[TableOwner]
) -> TableOwner | None:
    """The owner of a table of `family` that belongs to somebody else; None where none does."""
    root = family.tables[0].name
    names = {table.name for table in family.tables}
    for owner in owners:
        shared = owner.endpoint == endpoint or not path or owner.path in ("", path)
        if owner.table in names and not (owner.family == root and shared):
            return owner
    return None


def free(root: str, tables: Iterable[str]) -> str:
    """A name for a root table whose family meets none of these tables."""
    taken, number = [f"{name}_" for name in tables], 2
    while any(name.startswith(f"{root}_{number}_") for name in taken):
        number += 1
    return f"{root}_{number}"


def apart(family: TableFamily, owners: Iterable[TableOwner], roots: Iterable[str]) -> TableFamily:
    """`family` with another name for each learned table whose own is somebody else's.

    What it was called once it is called for ever. Two underscores stand in no name that a user may
    choose, so no family of theirs will ever have such a table.

    Args:
        family: as its shape names it.
        owners: of the tables that are there.
        roots: the root tables of all endpoints.
    """
    root = family.tables[0].name
    known = list(owners)
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
