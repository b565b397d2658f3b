"""Tables changed without a load: made to fit with somebody's consent, or taken back to a version.

All of it happens inside of a transaction; nothing here begins or ends one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import duckdb

from tcdatalogger.clock import utc
from tcdatalogger.errors import DataRefused, UsageError
from tcdatalogger.models import versions as model
from tcdatalogger.models.evolution import Change, Origin, Step, adopt, taken_back
from tcdatalogger.models.schema import Type
from tcdatalogger.models.shape import Object
from tcdatalogger.models.versions import ROLLBACK, StoredColumn
from tcdatalogger.services.duckdb import evolve, ledger, merge, owners, tables, versions
from tcdatalogger.services.warehouse.protocol import Load

ACCEPTED = "accepted"
"""The cause of a version that somebody asked for."""


def apply(connection: duckdb.DuckDBPyConnection, load: Load, *, accept: bool) -> tuple[Step, ...]:
    """Make the tables fit the family of a load that brings no rows; the steps that were taken.

    Raises:
        DataRefused: a step needs consent, or would change a value.
    """
    owners.take(connection, load)
    steps = evolve.steps_to(connection, load.family)
    taken = [str(step) for step in steps if step.change is Change.REFUSED]
    if taken:
        raise DataRefused(
            f"The tables of {load.endpoint} cannot change so:\n  " + "\n  ".join(taken) + "\n",
            remedy="Choose other names in `columns`.",
        )
    if not accept and not all(step.free for step in steps):
        raise DataRefused(
            f"The tables of {load.endpoint} change only with your consent.",
            remedy=f"`tcdatalogger schema apply {load.endpoint} --accept` gives it.",
        )
    if steps:
        ledger.write_schemas(connection, load, steps, ACCEPTED)
        evolve.apply(connection, load.family, steps)
        _forget_kept(connection, steps)
    return steps


def _forget_kept(connection: duckdb.DuckDBPyConnection, steps: Iterable[Step]) -> None:
    """What is kept for a rollback has the names and types of before: it would be mistaken."""
    for table in {step.table for step in steps if not step.free}:
        merge.forget_kept(connection, table)


@dataclass(frozen=True, slots=True)
class _Newest:
    """The newest version of a table, and that which it goes back to."""

    number: int
    endpoint: str
    catalog_version: str
    shape: Object
    key: list[str]
    then: Object


def roll_back(
    connection: duckdb.DuckDBPyConnection, table: str, version: int, at: float
) -> tuple[Step, ...]:
    """Give a table the columns of an older version, as a new version; the steps that were taken.

    Columns that came since are dropped, those that are gone are there again without their values,
    the others have the names and the types that they had. What was learned since is forgotten, so
    that it is told again when it comes again.

    Raises:
        UsageError: the table has no such version.
        DataRefused: a value does not fit the older type.
    """
    newest = _newest(connection, table, version)
    past = versions.history(connection, table)
    now = model.current_columns(past)
    then = model.current_columns(each for each in past if each.number <= version)
    stored = tables.stored(connection, [table]).get(table)
    if stored is None:
        raise UsageError(f"The table {table} is not there any more.")
    steps = tuple(_back(table, now, then, stored))
    if not steps:
        return ()
    evolve.change(connection, table, newest.key, steps)
    _forget_kept(connection, steps)
    touched = {step.column for step in steps if step.change is not Change.RENAMED}
    places = {
        column.place
        for columns in (now, then)
        for column in columns.values()
        if column.name in touched and column.learned and column.place
    }
    back = any(step.change is Change.COLUMN for step in steps)
    number = newest.number
    for endpoint, shape in _shapes(connection, table, newest):
        known = adopt(shape, newest.then) if back else shape
        left = taken_back(known, places, newest.then)
        if endpoint != newest.endpoint and left == shape:
            continue
        number += 1
        first = number == newest.number + 1
        versions.write(
            connection,
            versions.SchemaEntry(
                endpoint, "", table, number, tuple(then.values()), newest.key,
                [str(step) for step in steps] if first else [],
                f"{ROLLBACK}{version}", newest.catalog_version, left, at,
                evolve.backup("", table, steps),
            ),
        )  # fmt: skip
    _tell_again(connection, table, touched, version, at)
    return steps


def _back(
    table: str,
    now: Mapping[Origin, StoredColumn],
    then: Mapping[Origin, StoredColumn],
    stored: Mapping[str, Type | None],
) -> Iterator[Step]:
    for origin, column in now.items():
        if column.name not in stored:
            continue
        before, kind = then.get(origin), stored[column.name]
        if before is None:
            yield Step(Change.DROPPED, table, column.name, was=kind or "another type")
            continue
        if before.name != column.name:
            yield Step(Change.RENAMED, table, before.name, before.type, column.name)
        if before.type is not kind:
            was = kind or "another type"
            yield Step(Change.RETYPED, table, before.name, before.type, was)
    for origin, before in then.items():
        if origin not in now or now[origin].name not in stored:
            yield Step(Change.COLUMN, table, before.name, before.type)


def _newest(connection: duckdb.DuckDBPyConnection, table: str, version: int) -> _Newest:
    rows = connection.execute(
        f"""select version, endpoint, catalog_version, shape, key from {versions.TABLE}
            where table_name = ? order by version""",
        [table],
    ).fetchall()
    then = [row for row in rows if row[0] == version]
    if not then:
        raise UsageError(
            f"{table} has no version {version}.",
            remedy=f"`tcdatalogger schema history {table}` lists them.",
        )
    number, endpoint, catalogue, shape, _ = rows[-1]
    return _Newest(
        int(number),
        endpoint,
        catalogue,
        versions.shape(shape) or Object(()),
        json.loads(then[0][4]),
        versions.shape(then[0][3]) or Object(()),
    )


def _shapes(
    connection: duckdb.DuckDBPyConnection, table: str, newest: _Newest
) -> list[tuple[str, Object]]:
    """What every endpoint that fills a table knows, the one of its newest version first."""
    rows = connection.execute(
        f"""select endpoint, shape from {versions.TABLE} where endpoint in (
                select endpoint from {versions.TABLE} where table_name = ?)
            qualify row_number() over (partition by endpoint order by rowid desc) = 1
            order by endpoint <> ?""",
        [table, newest.endpoint],
    ).fetchall()
    return [(str(name), versions.shape(text) or Object(())) for name, text in rows]


def _tell_again(
    connection: duckdb.DuckDBPyConnection, table: str, columns: set[str], version: int, at: float
) -> None:
    """A line for each column that was learned: what comes after it is news."""
    connection.execute(
        """insert into _tcd_drift
            select distinct endpoint, table_name, column_name, type, null, ?, '',
                cast(? as timestamptz)
            from _tcd_drift where table_name = ? and list_contains(?, column_name)""",
        [f"{ROLLBACK}{version}", utc(at), table, sorted(columns)],
    )
