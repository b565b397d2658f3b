"""Tables of a DuckDB file: what is there, and the statements that make, change and fill them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import duckdb
import pyarrow as pa

from tcdatalogger.models.evolution import Change, Step
from tcdatalogger.models.schema import TableSchema, Type
from tcdatalogger.services.duckdb.connection import quoted
from tcdatalogger.services.duckdb.conservation import agree
from tcdatalogger.services.warehouse.schema_changes import FORMER

BESIDE: Final = "_tcd_new_"
BATCH: Final = "_tcd_batch"

HERE: Final = """from duckdb_tables() where not temporary
    and schema_name = current_schema() and database_name = current_database()"""
"""The tables that are ours: a user may have others of the same names in a schema of their own."""

TYPES: Final = {
    Type.INT: "BIGINT",
    Type.FLOAT: "DOUBLE",
    Type.TEXT: "VARCHAR",
    Type.BOOL: "BOOLEAN",
    Type.TIME: "TIMESTAMP WITH TIME ZONE",
    Type.JSON: "JSON",
}
_OURS: Final = {name: kind for kind, name in TYPES.items()}


def stored(
    connection: duckdb.DuckDBPyConnection, names: Iterable[str]
) -> dict[str, dict[str, Type | None]]:
    """The columns of those tables that are there, and their types."""
    rows = connection.execute(
        """select table_name, column_name, data_type from duckdb_columns()
           where list_contains(?, table_name) and schema_name = current_schema()
           and database_name = current_database()""",
        [list(names)],
    ).fetchall()
    found: dict[str, dict[str, Type | None]] = {}
    for table, column, kind in rows:
        found.setdefault(table, {})[column] = _OURS.get(kind)
    return found


def exists(connection: duckdb.DuckDBPyConnection, name: str) -> bool:
    """Whether a table is there."""
    found = connection.execute(f"select 1 {HERE} and table_name = ?", [name])
    return found.fetchone() is not None


def create(name: str, table: TableSchema) -> str:
    """The statement that makes a table."""
    columns = ", ".join(f"{quoted(c.name)} {TYPES[c.type]}" for c in table.columns)
    return f"create table {quoted(name)} ({columns})"


def alter(connection: duckdb.DuckDBPyConnection, name: str, steps: Sequence[Step]) -> None:
    """Add columns and widen others; other steps are not for this."""
    for step in steps:
        column = quoted(step.column)
        if step.change is Change.COLUMN:
            kind = TYPES[Type(step.type)]
            connection.execute(f"alter table {quoted(name)} add column {column} {kind}")
        elif step.change is Change.WIDER:
            kind = TYPES[Type(step.type)]
            connection.execute(f"alter table {quoted(name)} alter {column} type {kind}")


def insert(connection: duckdb.DuckDBPyConnection, target: str, rows: pa.Table) -> int:
    """Add rows to a table; how many."""
    if not rows.num_rows:
        return 0
    # Not undone in a `finally`: in a transaction that failed it raises an error that hides the
    # first, and the rollback undoes it.
    connection.register(BATCH, rows)
    connection.execute(f"insert into {quoted(target)} by name from {BATCH}")
    connection.unregister(BATCH)
    return int(rows.num_rows)


def copy(connection: duckdb.DuckDBPyConnection, target: str, source: str) -> int:
    """Insert a relation that DuckDB has already."""
    found = connection.execute(f"insert into {quoted(target)} by name from {source}").fetchone()
    return int(found[0]) if found else 0


def swap(connection: duckdb.DuckDBPyConnection, name: str, beside: str) -> None:
    """The new table takes the name; the old one stays under another for one rollback."""
    former = f"{FORMER}{name}"
    connection.execute(f"drop table if exists {quoted(former)}")
    connection.execute(f"alter table {quoted(name)} rename to {quoted(former)}")
    connection.execute(f"alter table {quoted(beside)} rename to {quoted(name)}")


def swap_in_place(connection: duckdb.DuckDBPyConnection, name: str, beside: str) -> None:
    """The new table takes the name, and what is kept for a rollback stays as it is."""
    connection.execute(f"drop table {quoted(name)}")
    connection.execute(f"alter table {quoted(beside)} rename to {quoted(name)}")


def swap_back(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """The former table takes its name again."""
    connection.execute(f"drop table {quoted(name)}")
    connection.execute(f"alter table {quoted(f'{FORMER}{name}')} rename to {quoted(name)}")


def count(connection: duckdb.DuckDBPyConnection, name: str) -> int:
    """How many rows a table has."""
    [(rows,)] = connection.execute(f"select count(*) from {quoted(name)}").fetchall()
    return int(rows)


def counts(connection: duckdb.DuckDBPyConnection, names: Iterable[str]) -> dict[str, int]:
    """How many rows tables have; none where they are not there."""
    return {n: count(connection, n) if exists(connection, n) else 0 for n in names}


def of_runs(
    connection: duckdb.DuckDBPyConnection, names: Iterable[str], runs: Sequence[str]
) -> dict[str, int]:
    """How many rows of runs can be read in tables; none where they are not there.

    DuckDB answers a `count(*)` alone from what it keeps about a table, also where the rows
    cannot be read.
    """
    found = {}
    for name in names:
        found[name] = 0
        if runs and exists(connection, name):
            test = "_run_id = ?" if len(runs) == 1 else "list_contains(?, _run_id)"
            [(found[name],)] = connection.execute(
                f"select count(*) from {quoted(name)} where {test}",
                [runs[0] if len(runs) == 1 else list(runs)],
            ).fetchall()
    return found


def take_out(connection: duckdb.DuckDBPyConnection, name: str, runs: Sequence[str]) -> int:
    """Delete the rows of runs; how many.

    Raises:
        Unbalanced: some of them are still there, or others are not.
    """
    before = count(connection, name)
    ours = f"from {quoted(name)} where list_contains(?, _run_id)"
    [(wanted,)] = connection.execute(f"select count(*) {ours}", [list(runs)]).fetchall()
    connection.execute(f"delete {ours}", [list(runs)])
    gone = before - count(connection, name)
    agree(name, "those that were taken out", int(wanted), gone)
    return gone
