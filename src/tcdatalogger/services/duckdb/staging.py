"""Loads set beside their tables, as these would hold them; `merge` and `history` choose from there.

Temporary tables only, inside of the transaction of the commit.
"""

from __future__ import annotations

from typing import Final

from tcdatalogger.models.kept import Rows
from tcdatalogger.models.records import Group, facts
from tcdatalogger.models.schema import TableFamily, TableSchema, Type
from tcdatalogger.services.duckdb import tables
from tcdatalogger.services.duckdb.conservation import agree
from tcdatalogger.services.duckdb.engine import quoted
from tcdatalogger.services.duckdb.session import Session
from tcdatalogger.services.warehouse.load import Load

CHOSEN: Final = "_tcd_chosen"
"""The temporary table with the keys of the records that are to be stored, as k0, k1, …"""

LEFT: Final = "_tcd_left"
"""The temporary table with the keys of those that are left out, each found stored."""

_STAGED: Final = "_tcd_staged_"


def names(group: Group) -> str:
    """The columns of the key in `CHOSEN`."""
    return ", ".join(f"k{number}" for number in range(len(group.keys[group.root])))


def named(group: Group, table: str, alias: str) -> str:
    """The key of a table's rows, called as in `CHOSEN`."""
    columns = group.keys[table]
    return ", ".join(f"{alias}.{quoted(c)} as k{number}" for number, c in enumerate(columns))


def matches(group: Group, table: str, alias: str, other: str) -> str:
    """The test for rows of a table that are of a record in `CHOSEN` or the like."""
    return " and ".join(
        f"{alias}.{quoted(column)} is not distinct from {other}.k{number}"
        for number, column in enumerate(group.keys[table])
    )


def same(group: Group, left: str, right: str) -> str:
    """The test for the same record in two relations that have the key as in `CHOSEN`."""
    count = len(group.keys[group.root])
    return " and ".join(f"{left}.k{n} is not distinct from {right}.k{n}" for n in range(count))


def stage(session: Session, name: str, rows: Rows) -> None:
    """Set rows beside a table, with its types and columns."""
    session.execute(
        f"create temp table {quoted(f'{_STAGED}{name}')} as from {quoted(name)} limit 0"
    )
    session.insert(staged(name), rows)
    session.spare_no_more()


def staged(name: str) -> str:
    """What `stage` has set beside a table."""
    return f"temp.{quoted(f'{_STAGED}{name}')}"


def stage_all(session: Session, group: Group, load: Load) -> None:
    """Set the rows of a group beside its tables."""
    for table in group.tables:
        stage(session, table.name, load.tables[table.name])


def forget(session: Session, family: TableFamily) -> None:
    """Drop what was set beside."""
    session.execute(f"drop table if exists temp.{CHOSEN}")
    session.execute(f"drop table if exists temp.{LEFT}")
    for table in family.tables:
        session.execute(f"drop table if exists {staged(table.name)}")


STATE: Final = "concat(sum(told), ' ', sum(told_again))"
"""The state of a record: a text of the digests of all of its rows, in whatever order."""


def row_digests(table: TableSchema, part: int, alias: str) -> str:
    """Two numbers that are the same for rows that are, as far as they are compared.

    Together they have 128 bits, so they differ where the rows do. A text of each row as JSON, and
    its MD5, took five times as long.

    Args:
        table: whose rows they are.
        part: the place of the table among those of a record.
        alias: of its relation.
    """
    json = {column.name for column in table.columns if column.type is Type.JSON}
    told = [str(part)]
    for name in facts(table):
        value = f"{alias}.{quoted(name)}"
        told.append(f"json({value})" if name in json else value)  # white space is no change
    return (
        f"hash({', '.join(told)}) as told, hash({', '.join([*told[::-1], 'true'])}) as told_again"
    )


def left_rows(session: Session, group: Group) -> dict[str, int]:
    """How many rows of a load the records in `LEFT` have, by table."""
    found = {}
    for table in group.tables:
        [(count,)] = session.execute(
            f"select count(*) from {staged(table.name)} t semi join temp.{LEFT} l "
            f"on {matches(group, table.name, 't', 'l')}"
        ).fetchall()
        found[table.name] = int(count)
    return found


def must_hold(session: Session, group: Group, table: str, rows: int, where: str = "true") -> None:
    """Refuse a table in which the chosen records have not just the rows that it was given.

    Raises:
        Unbalanced: so it is.
    """
    [(found,)] = session.execute(
        f"select count(*) from {quoted(table)} o semi join temp.{CHOSEN} c "
        f"on {matches(group, table, 'o', 'c')} where {where}"
    ).fetchall()
    agree(table, "those that its new records have in it", rows, int(found))


def insert(session: Session, group: Group, table: str, extra: str = "") -> int:
    """Store the rows of the chosen records; `extra` replaces columns, `c` being `CHOSEN`."""
    return tables.copy(
        session,
        table,
        f"(select t.* {extra} from {staged(table)} t join temp.{CHOSEN} c "
        f"on {matches(group, table, 't', 'c')})",
    )
