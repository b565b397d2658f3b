"""Which records of a load are new: those that are not stored yet, or have changed since.

A record is a row of the root with all of its children. It is compared with its newest state that
was seen no later than itself, so that rows which are made again from the archive, in whatever
order, come out the same; and with the next one that was seen later, as a run may be stored after
one that was made after it. Everything counts but the time at which it was seen and by which run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import duckdb
import pyarrow as pa

from tcdatalogger.models.records import own
from tcdatalogger.models.schema import INDEX, Column, TableFamily, TableSchema
from tcdatalogger.services.duckdb import records as of_records
from tcdatalogger.services.duckdb.file import quoted
from tcdatalogger.services.duckdb.records import RUN, SEEN, SUBJECT, staged

_FRESH: Final = "_tcd_fresh"


@dataclass(frozen=True, slots=True)
class Fresh:
    """What is to be stored of a load.

    Attributes:
        rows: relations to insert, by table; each has the columns of the table.
        left_out: how many records were stored already.
    """

    rows: Mapping[str, str]
    left_out: int


def find(
    connection: duckdb.DuckDBPyConnection, family: TableFamily, tables: Mapping[str, pa.Table]
) -> Fresh | None:
    """The records of a load that are new; None where it has no key to tell records by.

    The tables must be there with all the columns that the load has. Call `forget` afterwards.

    Args:
        connection: in the transaction of the load.
        family: of the load.
        tables: its rows.
    """
    root = family.tables[0]
    records = [table for table in family.tables if not table.beside]
    key = [column for name in root.key if (column := root.column(name)) is not None]
    if not key or INDEX in root.key or any(own(table, key) is None for table in records):
        return None
    for table in records:
        of_records.stage(connection, table.name, tables[table.name])
    names = ", ".join(f"k{number}" for number in range(len(key)))
    states = {which: _states(records, key, which) for which in ("new", "old")}
    same = " and ".join(f"n.k{n} is not distinct from o.k{n}" for n in range(len(key)))
    connection.execute(
        f"""create temp table {_FRESH} as
            with new as ({states["new"]}),
            nearest as (
                select {_key(root, key, "o")}, o.{RUN} as run, o.{SEEN} > n.{SEEN} as later
                from {quoted(root.name)} o join {staged(root.name)} n on {_matches(root, key)}
                qualify row_number() over (
                    partition by {_columns(root, key, "o")}, later
                    order by greatest(o.{SEEN} - n.{SEEN}, n.{SEEN} - o.{SEEN}), o.rowid desc
                ) = 1),
            old as ({states["old"]})
            select n.s, {", ".join(f"n.k{n}" for n in range(len(key)))} from new n
            where not exists (from old o
                where n.s is not distinct from o.s and {same} and o.state = n.state)"""
    )
    counts = connection.execute(
        f"select (select count(*) from {staged(root.name)}), (select count(*) from {_FRESH})"
    ).fetchone()
    whole, fresh = counts or (0, 0)
    rows = {table.name: _chosen(table, key, names) for table in records}
    return Fresh(rows, int(whole) - int(fresh))


def forget(connection: duckdb.DuckDBPyConnection, family: TableFamily) -> None:
    """Drop what `find` has set beside."""
    connection.execute(f"drop table if exists temp.{_FRESH}")
    for table in family.tables:
        connection.execute(f"drop table if exists {staged(table.name)}")


def _states(records: Sequence[TableSchema], key: Sequence[Column], which: str) -> str:
    """A query for the state of each record: a text that is the same for records that are."""
    names = ", ".join(f"k{number}" for number in range(len(key)))
    parts = []
    later = "l.later" if which == "old" else "false"
    for number, table in enumerate(records):
        source = f"{staged(table.name)} t"
        if which == "old":
            mine = own(table, key) or ()
            on = " and ".join(
                f"t.{quoted(c.name)} is not distinct from l.k{n}" for n, c in enumerate(mine)
            )
            source = (
                f"{quoted(table.name)} t join nearest l on t.{RUN} is not distinct from l.run "
                f"and t.{SUBJECT} is not distinct from l.s and {on}"
            )
        parts.append(
            f"select {number} as part, {_key(table, key, 't')}, {later} as later, "
            f"{of_records.told(table, 't')} as told from {source}"
        )
    return (
        f"select s, {names}, string_agg(part || told, '' order by part, told) as state "
        f"from ({' union all '.join(parts)}) group by s, {names}, later"
    )


def _columns(table: TableSchema, key: Sequence[Column], alias: str) -> str:
    mine = own(table, key) or ()
    return ", ".join([f"{alias}.{SUBJECT}", *(f"{alias}.{quoted(c.name)}" for c in mine)])


def _key(table: TableSchema, key: Sequence[Column], alias: str) -> str:
    mine = own(table, key) or ()
    named = [f"{alias}.{quoted(column.name)} as k{n}" for n, column in enumerate(mine)]
    return ", ".join([f"{alias}.{SUBJECT} as s", *named])


def _matches(table: TableSchema, key: Sequence[Column]) -> str:
    names = [SUBJECT, *(quoted(column.name) for column in own(table, key) or ())]
    return " and ".join(f"o.{name} is not distinct from n.{name}" for name in names)


def _chosen(table: TableSchema, key: Sequence[Column], names: str) -> str:
    mine = own(table, key) or ()
    on = " and ".join(f"t.{quoted(c.name)} is not distinct from f.k{n}" for n, c in enumerate(mine))
    return (
        f"(select t.* from {staged(table.name)} t join (select s, {names} from {_FRESH}) f "
        f"on t.{SUBJECT} is not distinct from f.s and {on})"
    )
