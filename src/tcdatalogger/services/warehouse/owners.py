"""Whose each table is: written with the first load, asked before every other."""

from __future__ import annotations

from collections.abc import Sequence

from tcdatalogger.errors import DataRefused
from tcdatalogger.models.owners import TableOwner, free, of_another
from tcdatalogger.services.warehouse.load import Load
from tcdatalogger.services.warehouse.transaction import Transaction


def read(transaction: Transaction, tables: Sequence[str] | None = None) -> tuple[TableOwner, ...]:
    """The owners of all tables that are there, or of those of `tables` that are."""
    owners = transaction.ledger.owners(tables)
    there = set(transaction.there([owner.table for owner in owners]))
    return tuple(owner for owner in owners if owner.table in there)


def refuse_others(transaction: Transaction, load: Load) -> tuple[TableOwner, ...]:
    """The owners of those tables of a load that are there, unless one is somebody else's.

    Raises:
        DataRefused: one is.
    """
    known = read(transaction, [table.name for table in load.family.tables])
    root = load.family.tables[0].name
    other = of_another(load.family, load.endpoint, load.path, known)
    if other is not None:
        name = free(root, [owner.table for owner in read(transaction)])
        raise DataRefused(
            f"The table {other.table} belongs to the endpoint {other.endpoint} ({other.family}), "
            f"and {load.endpoint} would fill it too.",
            remedy="Nothing was changed; the answers are in the archive. Give the endpoint "
            f'{load.endpoint} a table of its own: table = "{name}"',
        )
    return known


def take(transaction: Transaction, load: Load) -> None:
    """Write down that the tables of a load are its family's.

    Raises:
        DataRefused: one of them is somebody else's.
    """
    known, root = refuse_others(transaction, load), load.family.tables[0].name
    before = {owner.table: owner for owner in known}
    new = []
    for table in load.family.tables:
        old = before.get(table.name)
        path = load.path or (old.path if old else "")
        if old is None or old.path != path:
            endpoint, plain = old.endpoint if old else load.endpoint, table.plain or table.name
            new.append(TableOwner(table.name, root, plain, path, endpoint))
    transaction.ledger.write_owners(new, load.committed_at)
