"""Taking back what a run stored: its rows, its lines in the ledger, the tables it brought.

All of it happens inside of one transaction; nothing here begins or ends one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from tcdatalogger.clock import utc
from tcdatalogger.errors import DataRefused, UsageError
from tcdatalogger.models.schema import INDEX, SYSTEM
from tcdatalogger.models.versions import UNDONE, write
from tcdatalogger.services.duckdb import history, ledger, loads, merge, tables, versions
from tcdatalogger.services.duckdb.connection import quoted
from tcdatalogger.services.duckdb.conservation import agree
from tcdatalogger.services.duckdb.records import SUBJECT
from tcdatalogger.services.warehouse.protocol import (
    ROLLED_BACK,
    Clear,
    Load,
    Undo,
)


def rollback(
    connection: duckdb.DuckDBPyConnection, endpoint: str, run_id: str, *, at: float, by: str
) -> Undo:
    """Take back what a run stored.

    Raises:
        UsageError: it stored nothing, or was taken back before.
        DataRefused: a later run of the endpoint stands on it.
    """
    mode = _mode(connection, endpoint, run_id)
    _refuse_older(connection, endpoint, run_id, mode)
    family = loads.family_of_run(connection, endpoint, run_id)
    names = [name for name in family if tables.exists(connection, name)]
    if mode == "replace":
        removed, restored = _swap_back(connection, names)
    else:
        removed, restored = _take_back(connection, run_id, names)
        if mode == "merge":
            _put_back(connection, endpoint, names, restored)
    loads.supersede(connection, endpoint, [run_id], f"{ROLLED_BACK}{by}")
    connection.execute(
        "delete from _tcd_drift where endpoint = ? and run_id = ?", [endpoint, run_id]
    )
    steps = _devolve(connection, endpoint, run_id, at, swapped=mode == "replace")
    return Undo(
        endpoint,
        run_id,
        mode,
        {name: count for name, count in removed.items() if count},
        {name: count for name, count in restored.items() if count},
        steps,
        ledger.latest(connection, endpoint, "cursor"),
    )


def take_out(connection: duckdb.DuckDBPyConnection, load: Load) -> None:
    """Remove what the run of a load stored before, so that it can be made again."""
    newest = loads.newest_run(connection, load.endpoint) == load.run_id
    names = ledger.forget_run(connection, load)
    if load.mode == "replace":
        return  # the swap takes it out
    there = [name for name in names if tables.exists(connection, name)]
    for name in there:
        tables.take_out(connection, name, [load.run_id])
        history.reopen(connection, name, [load.run_id])
    if newest and load.mode == "merge":
        merge.restore(connection, load.endpoint, _keys(connection, there))


def clear(connection: duckdb.DuckDBPyConnection, wanted: Clear) -> bool:
    """Take out what runs stored; those of `out` no longer count.

    Returns whether what the next loads replace is a state that the tables were in: it is none
    where runs are left out of it, or nothing counted that should have been there.
    """
    fits = not wanted.out and loads.newest_that_counts(connection, wanted.endpoint) is not None
    if wanted.out:
        forget_former(connection, wanted.endpoint)
    for name in loads.tables_of(connection, wanted.endpoint):
        if tables.exists(connection, name):
            _take_out(connection, name, wanted.runs)
            history.reopen(connection, name, wanted.runs)
    merge.forget_journal(connection, wanted.endpoint)
    loads.supersede(connection, wanted.endpoint, wanted.out, wanted.by)
    return fits


def forget_former(connection: duckdb.DuckDBPyConnection, endpoint: str) -> None:
    """Forget what the tables of an endpoint were before their newest `replace`."""
    for name in loads.tables_of(connection, endpoint):
        tables.forget_former(connection, name)


def _mode(connection: duckdb.DuckDBPyConnection, endpoint: str, run_id: str) -> str:
    """In which mode a run stored: a record of it that was tried again may have been added since.

    Raises:
        UsageError: it did not, or no longer counts.
    """
    found = loads.of_run(connection, endpoint, run_id)
    counting = [mode for mode, gone in found if gone is None]
    if counting:
        return next((mode for mode in counting if mode != "append"), "append")
    if not found:
        raise UsageError(
            f"The run {run_id} of {endpoint} has stored nothing.",
            remedy="`tcdatalogger runs` lists them.",
        )
    was = "rolled back" if str(found[-1][1]).startswith(ROLLED_BACK) else "left out"
    raise UsageError(
        f"The run {run_id} of {endpoint} was {was} already.",
        remedy=f"`tcdatalogger replay {run_id}` brings its rows back.",
    )


def _refuse_older(
    connection: duckdb.DuckDBPyConnection, endpoint: str, run_id: str, mode: str
) -> None:
    """Refuse what later runs stand on.

    Raises:
        DataRefused: so it is.
    """
    if mode == "append":
        return
    remedy = f"`tcdatalogger rebuild {endpoint} --without {run_id}` makes its rows without it."
    newest = loads.newest_that_counts(connection, endpoint)
    if newest != run_id:
        raise DataRefused(
            f"The run {newest} of {endpoint} has stored since {run_id}: by {mode} only the newest "
            "can be rolled back.",
            remedy=remedy,
        )
    kept = loads.newest_run(connection, endpoint) == run_id
    if mode == "replace":
        root = ledger.tables_of_last_load(connection, endpoint)
        kept = kept and all(tables.exists(connection, f"{tables.FORMER}{name}") for name in root)
    if mode == "merge":
        kept = kept and bool(merge.journals(connection, endpoint))
    if mode != "history" and not kept:
        raise DataRefused(
            f"What the run {run_id} of {endpoint} replaced is no longer kept.", remedy=remedy
        )


def _swap_back(
    connection: duckdb.DuckDBPyConnection, names: Sequence[str]
) -> tuple[dict[str, int], dict[str, int]]:
    removed, restored = {}, {}
    for name in names:
        if tables.exists(connection, f"{tables.FORMER}{name}"):
            removed[name] = tables.count(connection, name)
            former = tables.count(connection, f"{tables.FORMER}{name}")
            tables.swap_back(connection, name)
            restored[name] = tables.count(connection, name)
            agree(name, "those that are there again", former, restored[name])
    return removed, restored


def _take_back(
    connection: duckdb.DuckDBPyConnection, run_id: str, names: Sequence[str]
) -> tuple[dict[str, int], dict[str, int]]:
    removed = {name: _take_out(connection, name, [run_id]) for name in names}
    restored = {name: history.reopen(connection, name, [run_id]) for name in names}
    return removed, restored


def _put_back(
    connection: duckdb.DuckDBPyConnection,
    endpoint: str,
    names: Sequence[str],
    restored: dict[str, int],
) -> None:
    for name, count in merge.restore(connection, endpoint, _keys(connection, names)).items():
        restored[name] += count


def _take_out(connection: duckdb.DuckDBPyConnection, name: str, runs: Sequence[str]) -> int:
    """Delete the rows of runs, also of what is kept for the rollback of others; how many."""
    for copy in (f"{tables.FORMER}{name}", *merge.journals_on(connection, name)):
        if tables.exists(connection, copy):
            tables.take_out(connection, copy, runs)
    return tables.take_out(connection, name, runs)


def _keys(
    connection: duckdb.DuckDBPyConnection, names: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """The columns of tables that tell whose record a row is of, the root's first."""
    rows = connection.execute(
        """select table_name, arg_max(key, version) from _tcd_schemas
           where list_contains(?, table_name) group by table_name order by length(table_name)""",
        [list(names)],
    ).fetchall()
    found = {str(name): tuple(map(str, json.loads(key))) for name, key in rows}
    if not found:
        return {}
    root = next(iter(found.values()))
    own = 0 if root == (SUBJECT,) else len(root)
    there = tables.stored(connection, found)
    keys = {}
    for name, key in found.items():
        mine = tuple(c for c in key[:own] if c in there.get(name, {}) and c != INDEX)
        keys[name] = (SUBJECT, *mine) if len(mine) == own else (SUBJECT,)
    return keys


# --- the evolution that came with a load ---------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Line:
    """A version of a table in the ledger."""

    table: str
    endpoint: str
    run_id: str
    catalog_version: str
    key: Sequence[str]
    changes: Sequence[str]
    shape: str


def _devolve(
    connection: duckdb.DuckDBPyConnection, endpoint: str, run_id: str, at: float, *, swapped: bool
) -> tuple[str, ...]:
    """Drop the columns and tables that a run brought and nobody has filled or built on since."""
    lines = _lines(connection, endpoint)
    own = [line for line in lines if line.run_id == run_id and line.endpoint == endpoint]
    if not own or any(line.run_id != run_id for line in lines[lines.index(own[0]) :]):
        return ()
    before = [line for line in lines if line.run_id != run_id and line.endpoint == endpoint]
    steps: list[str] = []
    for name in dict.fromkeys(line.table for line in own):
        changes = [change for line in own if line.table == name for change in line.changes]
        told = _drop(connection, name, changes, swapped=swapped)
        steps += told
        if told or swapped:
            last = next(line for line in reversed(own) if line.table == name)
            _write(connection, last, before[-1] if before else last, told, at)
    return tuple(steps)


def _lines(connection: duckdb.DuckDBPyConnection, endpoint: str) -> list[_Line]:
    rows = connection.execute(
        """select table_name, endpoint, run_id, catalog_version, key, diff, shape
           from _tcd_schemas where endpoint = $1 or table_name in (
               select table_name from _tcd_schemas where endpoint = $1) order by rowid""",
        [endpoint],
    ).fetchall()
    return [
        _Line(table, owner, run, catalog, tuple(json.loads(key)), tuple(json.loads(diff)), shape)
        for table, owner, run, catalog, key, diff, shape in rows
    ]


def _drop(
    connection: duckdb.DuckDBPyConnection, name: str, changes: Sequence[str], *, swapped: bool
) -> list[str]:
    """Drop what was added to a table, or the table; what was done, in words."""
    if not tables.exists(connection, name):
        return []
    there = tables.stored(connection, [name])[name]
    if f"+ table {name}" in changes:
        if tables.count(connection, name):
            return []
        connection.execute(f"drop table {quoted(name)}")
        return [f"- table {name}"]
    added = [c.removeprefix(f"+ {name}.") for c in changes if c.startswith(f"+ {name}.")]
    steps = []
    for told in added:
        column, _, kind = told.rpartition(" ")
        if column in there and not swapped:
            test = f"select 1 from {quoted(name)} where {quoted(column)} is not null limit 1"
            if connection.execute(test).fetchall():
                continue
            connection.execute(f"alter table {quoted(name)} drop column {quoted(column)}")
        steps.append(f"- {name}.{column} {kind}")
    return steps


def _write(
    connection: duckdb.DuckDBPyConnection, last: _Line, before: _Line, told: list[str], at: float
) -> None:
    """A new version of a table: its columns as they are now, of the shape that was known before."""
    there = tables.stored(connection, [last.table]).get(last.table, {})
    past = versions.history(connection, last.table)
    known = {column.name: column for version in past for column in version.columns}
    columns = [kept for name, kept in known.items() if name in there and name not in SYSTEM] + [
        known[name] for name in SYSTEM if name in there and name in known
    ]
    connection.execute(
        f"""insert into {versions.TABLE} (endpoint, table_name, version, columns, key, diff, cause,
                run_id, catalog_version, shape, created_at)
            values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        [
            last.endpoint, last.table, past[-1].number + 1,
            json.dumps(write(columns)), json.dumps(list(last.key)),
            json.dumps(told), UNDONE, last.run_id, before.catalog_version, before.shape, utc(at),
        ],
    )  # fmt: skip
