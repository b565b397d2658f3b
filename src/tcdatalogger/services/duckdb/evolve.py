"""Tables made to fit a load: planned, refused where a value could be lost, backed up, applied.

All of it happens inside of the transaction of the commit; nothing here begins or ends one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import duckdb
import pyarrow as pa

from tcdatalogger.errors import DataRefused
from tcdatalogger.models.evolution import Change, Step, Stored, plan, too_long
from tcdatalogger.models.schema import SYSTEM, TableFamily, Type
from tcdatalogger.services.duckdb import retype, tables, versions
from tcdatalogger.services.duckdb.connection import quoted
from tcdatalogger.services.duckdb.conservation import agree
from tcdatalogger.services.warehouse.protocol import Load

BEFORE: Final = "_tcd_before_"
"""Prefix of the tables that hold the columns which a change touched, as they were before it."""

_TOUCHES: Final = {Change.WIDER, Change.RETYPED, Change.DROPPED}
_PASSING: Final = "_tcd_renaming_"
_REMEDY: Final = "Nothing was changed. Give the endpoint another `table`: it keeps both."


def steps_to(connection: duckdb.DuckDBPyConnection, family: TableFamily) -> tuple[Step, ...]:
    """How the tables must change for a family, whether they may or not."""
    return plan(_stored(connection, family), family, versions.names(connection, family))


def _stored(connection: duckdb.DuckDBPyConnection, family: TableFamily) -> Stored:
    return tables.stored(connection, [table.name for table in family.tables])


def plan_of(connection: duckdb.DuckDBPyConnection, load: Load) -> tuple[Step, ...]:
    """How the tables must change for a load.

    Raises:
        DataRefused: a change needs somebody's consent, or a column cannot hold what the load has.
    """
    stored = _stored(connection, load.family)
    steps = plan(stored, load.family, versions.names(connection, load.family))
    if not all(step.free for step in steps):
        diff = "\n  ".join(map(str, steps))
        raise DataRefused(
            f"The tables of {load.endpoint} cannot take these rows:\n  {diff}\n",
            remedy=f"`tcdatalogger schema apply {load.endpoint} --accept` changes them, if no "
            "value is lost by it; or give the endpoint another `table`.",
        )
    _compare_whole(stored, load)
    return steps


def _compare_whole(stored: Stored, load: Load) -> None:
    """Refuse integers that a column of floats would change.

    Raises:
        DataRefused: there is one.
    """
    for table in load.family.tables:
        for column in table.columns:
            is_float = stored.get(table.name, {}).get(column.name) is Type.FLOAT
            if is_float and column.type is Type.INT:
                _refuse_long(table.name, column.name, load.tables[table.name].column(column.name))


def _refuse_long(table: str, column: str, values: pa.ChunkedArray) -> None:
    changed = too_long(values)
    if changed:
        raise DataRefused(
            f"{table}.{column} is float, which would change {len(changed)} of the values, "
            f"as {changed[0]}.",
            remedy=_REMEDY,
        )


def backup(mode: str, table: str, steps: Sequence[Step]) -> str:
    """The table that holds what these steps touch as it was; "" where they touch nothing.

    A `replace` leaves the whole of the former table untouched.
    """
    if not any(step.table == table and step.change in _TOUCHES for step in steps):
        return ""
    return f"{tables.FORMER if mode == 'replace' else BEFORE}{table}"


def apply(
    connection: duckdb.DuckDBPyConnection, family: TableFamily, steps: Sequence[Step]
) -> None:
    """Make the tables and columns that are missing, and change those that do not fit.

    What a change touches is copied first, and its values are compared before and after.

    Raises:
        DataRefused: a value would change.
    """
    for table in family.tables:
        own = [step for step in steps if step.table == table.name]
        if any(step.change is Change.TABLE for step in own):
            connection.execute(tables.create(table.name, table))
        change(connection, table.name, table.key, own)


def change(
    connection: duckdb.DuckDBPyConnection, name: str, key: Sequence[str], steps: Sequence[Step]
) -> None:
    """Change one table: drop first, then rename, add, and change types.

    Args:
        connection: in a transaction.
        name: of the table.
        key: of it, by its names after the change.
        steps: all of them are taken.

    Raises:
        DataRefused: a value would change.
    """
    before = tables.count(connection, name)
    _back_up(connection, name, key, steps)
    for step in steps:
        if step.change is Change.DROPPED:
            connection.execute(f"alter table {quoted(name)} drop column {quoted(step.column)}")
    _rename(connection, name, [step for step in steps if step.change is Change.RENAMED])
    tables.alter(connection, name, [step for step in steps if step.change is Change.COLUMN])
    for step in steps:
        if step.change in {Change.WIDER, Change.RETYPED}:
            retype.column(connection, name, step.column, Type(step.type))
    agree(name, "those after its columns changed", before, tables.count(connection, name))


def _rename(connection: duckdb.DuckDBPyConnection, name: str, steps: Sequence[Step]) -> None:
    """By way of names in passing, as two columns may change places."""
    before = {step.column: retype.checksum(connection, name, step.was) for step in steps}
    passing = {step.column: f"{_PASSING}{number}" for number, step in enumerate(steps)}
    ways = [(step.was, passing[step.column]) for step in steps]
    ways += [(passing[step.column], step.column) for step in steps]
    for old, new in ways:
        connection.execute(
            f"alter table {quoted(name)} rename column {quoted(old)} to {quoted(new)}"
        )
    after = {step.column: retype.checksum(connection, name, step.column) for step in steps}
    _must_agree(name, before, after)


def _must_agree(name: str, before: Mapping[str, object], after: Mapping[str, object]) -> None:
    for column, sum_ in before.items():
        if sum_ != after[column]:
            raise retype.unlike(name, column)


def _back_up(
    connection: duckdb.DuckDBPyConnection, name: str, key: Sequence[str], steps: Sequence[Step]
) -> None:
    """Keep the columns that will be touched, each row with its key: the newest copy of a table."""
    touched = [step.column for step in steps if step.change in _TOUCHES]
    if not touched:
        return
    now = {step.column: step.was for step in steps if step.change is Change.RENAMED}
    there = tables.stored(connection, [name])[name]
    wanted = dict.fromkeys(now.get(column, column) for column in (*key, *SYSTEM, *touched))
    columns = ", ".join(quoted(column) for column in wanted if column in there)
    target = quoted(f"{BEFORE}{name}")
    connection.execute(f"create or replace table {target} as select {columns} from {quoted(name)}")
    whole = tables.count(connection, name)
    agree(name, "those of its copy", whole, tables.count(connection, f"{BEFORE}{name}"))
