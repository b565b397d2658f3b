"""How the rows of a load go into their tables, one way for each storage mode.

All of it happens inside of the transaction of the commit; nothing here begins or ends one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import duckdb

from tcdatalogger.errors import DataRefused
from tcdatalogger.models.evolution import Change, Step
from tcdatalogger.models.records import VERSION
from tcdatalogger.models.schema import TableSchema
from tcdatalogger.services.duckdb import (
    conservation,
    evolve,
    ledger,
    loads,
    new_records,
    owners,
    tables,
)
from tcdatalogger.services.duckdb.connection import quoted
from tcdatalogger.services.duckdb.history import history
from tcdatalogger.services.duckdb.merge import forget_journal, merge
from tcdatalogger.services.duckdb.mode_result import ModeResult, is_news, refuse_drop
from tcdatalogger.services.warehouse.protocol import Load, Receipt, as_stored, not_whole


def store(connection: duckdb.DuckDBPyConnection, load: Load) -> Receipt:
    """Change the tables where they must, put the rows in, and write the ledger's line.

    Raises:
        DataRefused: a column cannot become what the load needs, or its mode cannot take it.
        Unbalanced: rows of the load are neither in the tables nor stored already.
    """
    load = replace(load, family=as_stored(load.family, load.mode, load.endpoint))
    owners.take(connection, load)
    _refuse_mixed(connection, load)
    steps = evolve.plan_of(connection, load)
    version = ledger.write_schemas(connection, load, steps, load.cause)
    if load.once:
        before = ledger.set_aside_before(connection, load.endpoint)
        load = replace(load, rejected=tuple(m for m in load.rejected if m.record not in before))
    mode = _once if load.once and load.mode == "append" else _MODES[load.mode]
    own = [table.name for table in load.family.tables]
    had = tables.of_run(connection, own, load.run_id)
    done = mode(connection, load, steps)
    has = tables.of_run(connection, own, load.run_id)
    rows = conservation.check(load, had, has, done.taken, done.left)
    receipt = Receipt(load.id, rows, steps=steps, schema_version=version, left_out=done.left_out)
    if not done.news:
        return replace(receipt, unchanged=True)
    if load.mode != "merge":
        forget_journal(connection, load.endpoint)
    ledger.write_load(connection, load, rows, version)
    return receipt


def _refuse_mixed(connection: duckdb.DuckDBPyConnection, load: Load) -> None:
    """Refuse to mix versions with rows that are none.

    Raises:
        DataRefused: the tables hold rows of the other kind.
    """
    root = load.family.tables[0]
    there = tables.stored(connection, [root.name]).get(root.name)
    if there is None:
        return
    _refuse_fewer(connection, load, root.name)
    since = VERSION[0]
    if load.mode != "history" and (since not in there or root.column(since) is not None):
        return
    other = "true" if since not in there else f"{since} is null"
    test = other if load.mode == "history" else f"{since} is not null"
    if connection.execute(f"select 1 from {quoted(root.name)} where {test} limit 1").fetchall():
        held = "rows without versions" if load.mode == "history" else "versions of a history"
        raise DataRefused(
            f"{root.name} holds {held}, and {load.endpoint} stores by {load.mode} now.",
            remedy=f"`tcdatalogger rebuild {load.endpoint}` makes its rows again from the archive, "
            "or give it another `table`.",
        )


def _refuse_fewer(connection: duckdb.DuckDBPyConnection, load: Load, root: str) -> None:
    """Refuse a mode that would keep less of the rows than the one by which they were stored.

    Raises:
        DataRefused: the first load after the change would wipe rows that no load can bring back.
    """
    more = _KEEP_MORE.get(load.mode, frozenset())
    if more and (other := loads.others(connection, load.endpoint, root, more)) is not None:
        name, how = other
        raise DataRefused(
            f"{root} holds rows that {name} stored by {how}, and {load.endpoint} stores by "
            f"{load.mode}, which would keep only a part of them.",
            remedy=f"Give {load.endpoint} a table of its own, or call it {name} again and look "
            f"what `tcdatalogger rebuild {name} --dry-run` would make of its rows.",
        )
    if load.cause == "rebuild":  # all of its own are made again
        return
    mode = loads.mode(connection, load.endpoint, root)
    if mode in more and tables.count(connection, root):
        raise DataRefused(
            f"{root} holds rows that {load.endpoint} stored by {mode}, and it stores by "
            f"{load.mode} now, which would keep only a part of them.",
            remedy=f"`tcdatalogger rebuild {load.endpoint}` makes its rows again from the "
            "archive, or give it another `table`.",
        )


def _append(connection: duckdb.DuckDBPyConnection, load: Load, steps: Sequence[Step]) -> ModeResult:
    evolve.apply(connection, load.family, steps)
    return ModeResult(
        {t.name: tables.insert(connection, t.name, load.tables[t.name]) for t in load.family.tables}
    )


def _once(connection: duckdb.DuckDBPyConnection, load: Load, steps: Sequence[Step]) -> ModeResult:
    """Add the records of a load that are not stored yet, or have changed since."""
    evolve.apply(connection, load.family, steps)
    fresh = new_records.find(connection, load.family, load.tables)
    rows: dict[str, int] = {}
    left = dict(fresh.left) if fresh else {}
    for table in load.family.tables:
        source = fresh.rows.get(table.name) if fresh else None
        if fresh and source is None and not any(rows.values()):
            rows[table.name] = 0  # what stands beside the records is not news of its own
            left[table.name] = load.tables[table.name].num_rows
        elif source is None:
            rows[table.name] = tables.insert(connection, table.name, load.tables[table.name])
        else:
            rows[table.name] = tables.copy(connection, table.name, source)
    new_records.forget(connection, load.family)
    news = is_news(connection, load, steps, any(rows.values()))
    return ModeResult(rows, left_out=fresh.left_out if fresh else 0, left=left, news=news)


def _replace(
    connection: duckdb.DuckDBPyConnection, load: Load, steps: Sequence[Step]
) -> ModeResult:
    """All tables beside the old ones first, then each takes the name of the old.

    Raises:
        DataRefused: the list was not read whole, or too many rows would vanish.
    """
    if not load.whole:
        raise not_whole(load.endpoint)
    root = load.family.tables[0].name
    there = tables.count(connection, root) if tables.exists(connection, root) else 0
    refuse_drop(load, root, there - load.tables[root].num_rows, there)
    swap = tables.swap_in_place if _holds(connection, load) else tables.swap
    rows = {}
    taken = tables.of_run(connection, [t.name for t in load.family.tables], load.run_id)
    for table in load.family.tables:
        beside = _beside(connection, table, [step for step in steps if step.table == table.name])
        rows[table.name] = tables.insert(connection, beside, load.tables[table.name])
        swap(connection, table.name, beside)
    for name in _others(connection, load):
        beside = f"{tables.BESIDE}{name}"
        connection.execute(f"create table {quoted(beside)} as from {quoted(name)} limit 0")
        swap(connection, name, beside)
    return ModeResult(rows, taken)


def _holds(connection: duckdb.DuckDBPyConnection, load: Load) -> bool:
    """Whether a load makes the very rows again that the tables hold: the former ones then stay."""
    if not load.again:
        return False
    newest = loads.newest_that_counts(connection, load.endpoint, load.id)
    return newest == load.run_id


def _others(connection: duckdb.DuckDBPyConnection, load: Load) -> list[str]:
    """Children that left the family: they hold nothing of the latest run."""
    root = load.family.tables[0].name
    names = {table.name for table in load.family.tables}
    return [
        name
        for name in loads.family_of(connection, load.endpoint, root)
        if name not in names
        and tables.exists(connection, name)
        and owners.is_of(connection, name, root)
    ]


def _beside(
    connection: duckdb.DuckDBPyConnection, table: TableSchema, steps: Sequence[Step]
) -> str:
    """An empty table with every column that the rows need; the old one stays until the swap."""
    if any(step.change is Change.TABLE for step in steps):
        connection.execute(tables.create(table.name, table))
    beside = f"{tables.BESIDE}{table.name}"
    connection.execute(f"create table {quoted(beside)} as from {quoted(table.name)} limit 0")
    tables.alter(connection, beside, steps)
    return beside


_KEEP_MORE: Mapping[str, frozenset[str]] = {
    "merge": frozenset({"append"}),
    "replace": frozenset({"append", "merge", "history"}),
}
"""For a mode, those that keep rows which it would wipe."""

_Mode = Callable[[duckdb.DuckDBPyConnection, Load, Sequence[Step]], ModeResult]
_MODES: Mapping[str, _Mode] = {
    "append": _append,
    "replace": _replace,
    "merge": merge,
    "history": history,
}
