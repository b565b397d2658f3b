"""Which records of a load are new: those that are not stored yet, or have changed since.

A record is a row of the root with all of its children. It is compared with its newest state that
was seen no later than itself, so that rows which are made again from the archive, in whatever
order, come out the same. Everything counts but the time at which it was seen and by which run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import duckdb
import pyarrow as pa

from tcdatalogger.models.schema import INDEX, SYSTEM, Column, TableFamily, TableSchema
from tcdatalogger.services.duckdb.file import quoted

_SEEN: Final = "server_timestamp"
_SUBJECT: Final = "_subject_id"
_RUN: Final = "_run_id"
_ARROW: Final = "_tcd_batch"
_STAGED: Final = "_tcd_staged_"
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
    if not key or INDEX in root.key or any(_own(table, key) is None for table in records):
        return None
    for table in records:
        _stage(connection, table.name, tables[table.name])
    names = ", ".join(f"k{number}" for number in range(len(key)))
    states = {which: _states(records, key, which) for which in ("new", "old")}
    same = " and ".join(f"n.k{n} is not distinct from o.k{n}" for n in range(len(key)))
    connection.execute(
        f"""create temp table {_FRESH} as
            with new as ({states["new"]}),
            latest as (
                select {_key(root, key, "o")}, o.{_RUN} as run from {quoted(root.name)} o
                join {_staged(root.name)} n on {_matches(root, key)} and o.{_SEEN} <= n.{_SEEN}
                qualify row_number() over (
                    partition by {_columns(root, key, "o")} order by o.{_SEEN} desc, o.rowid desc
                ) = 1),
            old as ({states["old"]})
            select n.s, {", ".join(f"n.k{n}" for n in range(len(key)))} from new n
            left join old o on n.s is not distinct from o.s and {same}
            where o.state is null or o.state <> n.state"""
    )
    counts = connection.execute(
        f"select (select count(*) from {_staged(root.name)}), (select count(*) from {_FRESH})"
    ).fetchone()
    whole, fresh = counts or (0, 0)
    rows = {table.name: _chosen(table, key, names) for table in records}
    return Fresh(rows, int(whole) - int(fresh))


def forget(connection: duckdb.DuckDBPyConnection, family: TableFamily) -> None:
    """Drop what `find` has set beside."""
    connection.execute(f"drop table if exists temp.{_FRESH}")
    for table in family.tables:
        connection.execute(f"drop table if exists {_staged(table.name)}")


def _stage(connection: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> None:
    """The rows as the table would hold them: its types, its columns."""
    connection.execute(
        f"create temp table {_staged(name, bare=True)} as from {quoted(name)} limit 0"
    )
    if rows.num_rows:
        connection.register(_ARROW, rows)
        connection.execute(f"insert into {_staged(name)} by name from {_ARROW}")
        connection.unregister(_ARROW)


def _states(records: Sequence[TableSchema], key: Sequence[Column], which: str) -> str:
    """A query for the state of each record: a text that is the same for records that are."""
    names = ", ".join(f"k{number}" for number in range(len(key)))
    parts = []
    for number, table in enumerate(records):
        source = f"{_staged(table.name)} t"
        if which == "old":
            own = _own(table, key) or ()
            on = " and ".join(
                f"t.{quoted(c.name)} is not distinct from l.k{n}" for n, c in enumerate(own)
            )
            source = (
                f"{quoted(table.name)} t join latest l on t.{_RUN} is not distinct from l.run "
                f"and t.{_SUBJECT} is not distinct from l.s and {on}"
            )
        facts = ", ".join(
            f"{quoted(c.name)} := t.{quoted(c.name)}" for c in table.columns if c.name not in SYSTEM
        )
        parts.append(
            f"select {number} as part, {_key(table, key, 't')}, "
            f"md5(cast(to_json(struct_pack({facts})) as varchar)) as told from {source}"
        )
    return (
        f"select s, {names}, string_agg(part || told, '' order by part, told) as state "
        f"from ({' union all '.join(parts)}) group by s, {names}"
    )


def _own(table: TableSchema, key: Sequence[Column]) -> tuple[Column, ...] | None:
    """The columns in which a table has the root's key; None where it lacks one."""
    found = []
    for wanted in key:
        column = next(
            (c for c in table.columns if c.level == 0 and c.path == wanted.path and not c.ours),
            None,
        )
        if column is None:
            return None
        found.append(column)
    return tuple(found)


def _columns(table: TableSchema, key: Sequence[Column], alias: str) -> str:
    own = _own(table, key) or ()
    return ", ".join([f"{alias}.{_SUBJECT}", *(f"{alias}.{quoted(c.name)}" for c in own)])


def _key(table: TableSchema, key: Sequence[Column], alias: str) -> str:
    own = _own(table, key) or ()
    named = [f"{alias}.{quoted(column.name)} as k{n}" for n, column in enumerate(own)]
    return ", ".join([f"{alias}.{_SUBJECT} as s", *named])


def _matches(table: TableSchema, key: Sequence[Column]) -> str:
    names = [_SUBJECT, *(quoted(column.name) for column in _own(table, key) or ())]
    return " and ".join(f"o.{name} is not distinct from n.{name}" for name in names)


def _chosen(table: TableSchema, key: Sequence[Column], names: str) -> str:
    own = _own(table, key) or ()
    on = " and ".join(f"t.{quoted(c.name)} is not distinct from f.k{n}" for n, c in enumerate(own))
    return (
        f"(select t.* from {_staged(table.name)} t join (select s, {names} from {_FRESH}) f "
        f"on t.{_SUBJECT} is not distinct from f.s and {on})"
    )


def _staged(name: str, *, bare: bool = False) -> str:
    table = quoted(f"{_STAGED}{name}")
    return table if bare else f"temp.{table}"
