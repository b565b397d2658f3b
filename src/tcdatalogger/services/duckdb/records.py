"""Records: a row of the root with all of its children, told from each other by the root's key.

What stands beside the payload is a record too, one for each subject. A load is set beside its
tables first, as they would hold it; `merge` and `history` then choose from there. Temporary tables
only, inside of the transaction of the commit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import duckdb
import pyarrow as pa

from tcdatalogger.errors import DataRefused
from tcdatalogger.models.records import VERSION, key_columns, own
from tcdatalogger.models.schema import SYSTEM, Column, TableFamily, TableSchema
from tcdatalogger.services.duckdb import loads, owners, tables, versions
from tcdatalogger.services.duckdb.connection import quoted
from tcdatalogger.services.duckdb.conservation import agree
from tcdatalogger.services.warehouse.protocol import Load

SEEN: Final = "server_timestamp"
SUBJECT: Final = "_subject_id"
RUN: Final = "_run_id"
CHOSEN: Final = "_tcd_chosen"
"""The temporary table with the keys of the records that are to be stored, as k0, k1, …"""

LEFT: Final = "_tcd_left"
"""The temporary table with the keys of those that are left out, each found stored."""

_STAGED: Final = "_tcd_staged_"


@dataclass(frozen=True, slots=True)
class Group:
    """Tables that hold records together.

    Attributes:
        tables: of the load's family, that of the records first.
        keys: the columns of each table that tell whose record a row is of, the subject first; also
            of children that are no longer in the family.
        single: whether a record has one row in the first table.
    """

    tables: tuple[TableSchema, ...]
    keys: Mapping[str, tuple[str, ...]]
    single: bool = True

    @property
    def root(self) -> str:
        return self.tables[0].name

    def names(self) -> str:
        """The key's columns in `CHOSEN`."""
        return ", ".join(f"k{number}" for number in range(len(self.keys[self.root])))

    def named(self, table: str, alias: str) -> str:
        """The key of a table's rows, called as in `CHOSEN`."""
        columns = self.keys[table]
        return ", ".join(f"{alias}.{quoted(c)} as k{number}" for number, c in enumerate(columns))

    def matches(self, table: str, alias: str, other: str) -> str:
        """The rows of a table that are of a record in `CHOSEN` or the like."""
        return " and ".join(
            f"{alias}.{quoted(column)} is not distinct from {other}.k{number}"
            for number, column in enumerate(self.keys[table])
        )

    def same(self, left: str, right: str) -> str:
        """Two relations with the key as in `CHOSEN`."""
        count = len(self.keys[self.root])
        return " and ".join(f"{left}.k{n} is not distinct from {right}.k{n}" for n in range(count))


def groups(connection: duckdb.DuckDBPyConnection, load: Load) -> list[Group]:
    """The records of a load.

    Raises:
        DataRefused: nothing tells them apart.
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
    found = [Group(tuple(records), keys | dict(_gone(connection, load, key)))]
    beside = tuple(table for table in load.family.tables if table.beside)
    if beside:
        found.append(Group(beside, {table.name: (SUBJECT,) for table in beside}, single=False))
    return found


def _gone(
    connection: duckdb.DuckDBPyConnection, load: Load, key: Sequence[Column]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Children that earlier loads wrote and the family no longer has, and their keys."""
    root = load.family.tables[0].name
    now = {table.name for table in load.family.tables}
    for name in loads.family_of(connection, load.endpoint, root):
        is_child = name.startswith(f"{root}_") and not f"{name}_".startswith(f"{root}_page_")
        if not is_child or name in now or not tables.exists(connection, name):
            continue
        if not owners.is_of(connection, name, root):
            continue
        columns = [c for version in versions.history(connection, name) for c in version.columns]
        there = tables.stored(connection, [name])[name]
        names = {c.origin: c.name for c in columns if c.name in there}
        wanted = [names.get((0, column.path, False)) for column in key]
        if None not in wanted:
            yield name, (SUBJECT, *(column for column in wanted if column is not None))


def stage(connection: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> None:
    """Set rows beside a table, with its types and columns."""
    connection.execute(
        f"create temp table {quoted(f'{_STAGED}{name}')} as from {quoted(name)} limit 0"
    )
    if rows.num_rows:
        connection.register(tables.BATCH, rows)
        connection.execute(f"insert into {staged(name)} by name from {tables.BATCH}")
        connection.unregister(tables.BATCH)


def staged(name: str) -> str:
    """What `stage` has set beside a table."""
    return f"temp.{quoted(f'{_STAGED}{name}')}"


def stage_all(connection: duckdb.DuckDBPyConnection, group: Group, load: Load) -> None:
    """Set the rows of a group beside its tables.

    Raises:
        DataRefused: a key repeats.
    """
    for table in group.tables:
        stage(connection, table.name, load.tables[table.name])
    if not group.single:
        return
    repeated = connection.execute(
        f"select (select count(*) from {staged(group.root)}) - (select count(*) from (select "
        f"distinct {group.named(group.root, 't')} from {staged(group.root)} t))"
    ).fetchall()
    if repeated[0][0]:
        columns = ", ".join(group.keys[group.root][1:]) or SUBJECT
        raise DataRefused(
            f"The key of {group.root} ({columns}) repeats in {repeated[0][0]} rows.",
            remedy=f"Set `key` of {load.endpoint} to columns that tell its rows apart.",
        )


def forget(connection: duckdb.DuckDBPyConnection, family: TableFamily) -> None:
    """Drop what was set beside."""
    connection.execute(f"drop table if exists temp.{CHOSEN}")
    connection.execute(f"drop table if exists temp.{LEFT}")
    for table in family.tables:
        connection.execute(f"drop table if exists {staged(table.name)}")


def told(table: TableSchema, alias: str) -> str:
    """A text that is the same for rows that are, but for when and by which run they were seen."""
    facts = ", ".join(
        f"{quoted(c.name)} := {alias}.{quoted(c.name)}"
        for c in table.columns
        if c.name not in SYSTEM and not (c.ours and c.name in VERSION)
    )
    return f"md5(cast(to_json(struct_pack({facts})) as varchar))" if facts else "''"


def left_rows(connection: duckdb.DuckDBPyConnection, group: Group) -> dict[str, int]:
    """How many rows of a load the records in `LEFT` have, by table."""
    found = {}
    for table in group.tables:
        [(count,)] = connection.execute(
            f"select count(*) from {staged(table.name)} t semi join temp.{LEFT} l "
            f"on {group.matches(table.name, 't', 'l')}"
        ).fetchall()
        found[table.name] = int(count)
    return found


def must_hold(
    connection: duckdb.DuckDBPyConnection, group: Group, table: str, rows: int, where: str = "true"
) -> None:
    """Refuse a table in which the chosen records have not just the rows that it was given.

    Raises:
        Unbalanced: so it is.
    """
    [(found,)] = connection.execute(
        f"select count(*) from {quoted(table)} o semi join temp.{CHOSEN} c "
        f"on {group.matches(table, 'o', 'c')} where {where}"
    ).fetchall()
    agree(table, "those that its new records have in it", rows, int(found))


def insert(connection: duckdb.DuckDBPyConnection, group: Group, table: str, extra: str = "") -> int:
    """Store the rows of the chosen records; `extra` replaces columns, `c` being `CHOSEN`."""
    return tables.copy(
        connection,
        table,
        f"(select t.* {extra} from {staged(table)} t join temp.{CHOSEN} c "
        f"on {group.matches(table, 't', 'c')})",
    )
