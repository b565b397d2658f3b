"""Whose each table is, in the ledger: written with the first load, asked before every other.

Nothing here begins or ends a transaction.
"""

from __future__ import annotations

from typing import Final

import duckdb

from tcdatalogger.clock import utc
from tcdatalogger.errors import DataRefused
from tcdatalogger.models.owners import TableOwner, free, of_another
from tcdatalogger.services.duckdb import tables
from tcdatalogger.services.warehouse.protocol import Load

TABLE: Final = "_tcd_owners"

_CREATE: Final = f"""
create table {TABLE} (
    table_name varchar not null, family varchar not null, plain varchar not null,
    path varchar not null, endpoint varchar not null, owned_at timestamptz not null
)"""

_BY_LOADS: Final = """
select name, arg_min(root, number), name, '', arg_min(endpoint, number),
    arg_min(committed_at, number)
from (select unnest(json_keys(rows)) as name, json_keys(rows)[1] as root, endpoint, committed_at,
        rowid as number from _tcd_loads)
group by name"""
"""Of a warehouse from before there were owners: a table is theirs who stored in it first."""


def prepare(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the book of owners; the loads must be there."""
    if not tables.exists(connection, TABLE):
        connection.execute(_CREATE)
        connection.execute(f"insert into {TABLE} {_BY_LOADS}")


def read(connection: duckdb.DuckDBPyConnection) -> tuple[TableOwner, ...]:
    """The owners of all tables that are there."""
    source = TABLE if tables.exists(connection, TABLE) else f"({_BY_LOADS})"
    rows = connection.execute(
        f"""select o.* exclude (owned_at) from {source} o(
                table_name, family, plain, path, endpoint, owned_at)
            where table_name in (select table_name {tables.HERE})"""
    ).fetchall()
    return tuple(TableOwner(*map(str, row)) for row in rows)


def take(connection: duckdb.DuckDBPyConnection, load: Load) -> None:
    """Write down that the tables of a load are its family's.

    Raises:
        DataRefused: one of them is somebody else's.
    """
    known = read(connection)
    root = load.family.tables[0].name
    other = of_another(load.family, load.endpoint, load.path, known)
    if other is not None:
        name = free(root, [owner.table for owner in known])
        raise DataRefused(
            f"The table {other.table} belongs to the endpoint {other.endpoint} ({other.family}), "
            f"and {load.endpoint} would fill it too.",
            remedy="Nothing was changed; the answers are in the archive. Give the endpoint "
            f'{load.endpoint} a table of its own: table = "{name}"',
        )
    before = {owner.table: owner for owner in known}
    new = []
    for table in load.family.tables:
        old = before.get(table.name)
        path = load.path or (old.path if old else "")
        if old is None or old.path != path:
            endpoint, plain = old.endpoint if old else load.endpoint, table.plain or table.name
            new.append((table.name, root, plain, path, endpoint, utc(load.committed_at)))
    if new:
        names = [line[0] for line in new]
        connection.execute(f"delete from {TABLE} where list_contains(?, table_name)", [names])
        connection.executemany(f"insert into {TABLE} values (?, ?, ?, ?, ?, ?)", new)


def is_of(connection: duckdb.DuckDBPyConnection, table: str, family: str) -> bool:
    """Whether a table belongs to the family of this root."""
    found = connection.execute(
        f"select 1 from {TABLE} where table_name = ? and family = ?", [table, family]
    )
    return found.fetchone() is not None
