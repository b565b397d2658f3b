"""Records: a row of the root with all of its children, told from each other by the root's key.

What stands beside the payload is a record too, one for each subject.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tcdatalogger.errors import DataRefused
from tcdatalogger.models.records import SUBJECT, Group, key_columns, own
from tcdatalogger.models.schema import INDEX, Column
from tcdatalogger.services.warehouse.load import Load
from tcdatalogger.services.warehouse.transaction import Transaction


def groups(transaction: Transaction, load: Load) -> list[Group]:
    """The records of a load, and what stands beside them.

    Raises:
        DataRefused: nothing tells the records apart, or the key of two of them is the same.
    """
    root = load.family.tables[0]
    key = key_columns(load.family)
    if key is None:
        raise DataRefused(
            f"{load.endpoint} has no key that tells its records apart, which {load.mode} needs.",
            remedy=f'Name columns of {root.name} that do, as key = ["id"]; or append.',
        )
    records = [table for table in load.family.tables if not table.beside]
    keys = {t.name: (SUBJECT, *(c.name for c in own(t, key) or ())) for t in records}
    found = [Group(tuple(records), keys | dict(_gone(transaction, load, key)))]
    _refuse_repeated(load, found[0])
    beside = tuple(table for table in load.family.tables if table.beside)
    if beside:
        found.append(Group(beside, {table.name: (SUBJECT,) for table in beside}, single=False))
    return found


def _refuse_repeated(load: Load, group: Group) -> None:
    """Refuse records that nothing tells apart.

    Raises:
        DataRefused: two of them have the same key.
    """
    rows = load.tables[group.root]
    names = list(group.keys[group.root])
    repeated = rows.num_rows - rows.select(names).group_by(names).aggregate([]).num_rows
    if repeated:
        columns = ", ".join(names[1:]) or SUBJECT
        raise DataRefused(
            f"The key of {group.root} ({columns}) repeats in {repeated} rows.",
            remedy=f"Set `key` of {load.endpoint} to columns that tell its rows apart.",
        )


def gone(transaction: Transaction, load: Load) -> list[str]:
    """The tables of a load's family that are there and that the load no longer has."""
    now = {table.name for table in load.family.tables}
    names = [n for n in transaction.ledger.family(load.family.tables[0].name) if n not in now]
    return transaction.there(names)


def _gone(
    transaction: Transaction, load: Load, key: Sequence[Column]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Children that earlier loads stored and the family no longer has, and their keys."""
    root = load.family.tables[0].name
    for name in gone(transaction, load):
        if not name.startswith(f"{root}_") or f"{name}_".startswith(f"{root}_page_"):
            continue
        past = transaction.ledger.history(name)
        there = transaction.stored([name])[name]
        names = {c.origin: c.name for each in past for c in each.columns if c.name in there}
        wanted = [names.get((0, column.path, column.is_parameter)) for column in key]
        if None not in wanted:
            yield name, (SUBJECT, *(column for column in wanted if column is not None))


def row_keys(transaction: Transaction, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The columns of stored tables that tell whose record a row is of, the root's first.

    Args:
        transaction: with the tables.
        names: of the tables of one family.
    """
    versions = transaction.ledger.newest_versions(names)
    keys = {name: versions[name][1] for name in sorted(versions, key=lambda n: (len(n), n))}
    if not keys:
        return {}
    root = next(iter(keys.values()))
    own_count = 0 if root == (SUBJECT,) else len(root)
    there = transaction.stored(list(keys))
    found = {}
    for name, key in keys.items():
        mine = tuple(c for c in key[:own_count] if c in there.get(name, {}) and c != INDEX)
        found[name] = (SUBJECT, *mine) if len(mine) == own_count else (SUBJECT,)
    return found
