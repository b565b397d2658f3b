"""How the rows of a load go into their tables, one way for each storage mode.

All of it happens inside of the transaction of the commit; nothing here begins or ends one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import duckdb

from tcdatalogger.models.evolution import Change, Step
from tcdatalogger.models.schema import TableSchema
from tcdatalogger.services.duckdb import evolve, ledger, states, tables
from tcdatalogger.services.duckdb.file import quoted
from tcdatalogger.services.warehouse import Load, Receipt


@dataclass(frozen=True, slots=True)
class Stored:
    """What a mode did with a load.

    Attributes:
        rows: that were added, by table.
        left_out: records that were stored already and had not changed.
        news: whether it is worth a line in the ledger.
    """

    rows: Mapping[str, int]
    left_out: int = 0
    news: bool = True


def store(connection: duckdb.DuckDBPyConnection, load: Load) -> Receipt:
    """Change the tables where they must, put the rows in, and write the ledger's line.

    Raises:
        DataRefused: a column cannot become what the load needs.
    """
    steps = evolve.plan_of(connection, load)
    version = ledger.write_schemas(connection, load, steps)
    if load.once:
        before = ledger.set_aside_before(connection, load.endpoint)
        load = replace(load, misfits=tuple(m for m in load.misfits if m.record not in before))
        done = _once(connection, load, steps)
    else:
        done = _MODES[load.mode](connection, load, steps)
    receipt = Receipt(
        load.id, done.rows, steps=steps, schema_version=version, left_out=done.left_out
    )
    if not done.news:
        return replace(receipt, unchanged=True)
    ledger.write_load(connection, load, dict(done.rows), version)
    return receipt


def _append(connection: duckdb.DuckDBPyConnection, load: Load, steps: Sequence[Step]) -> Stored:
    evolve.apply(connection, load.family, steps)
    return Stored(
        {t.name: tables.insert(connection, t.name, load.tables[t.name]) for t in load.family.tables}
    )


def _once(connection: duckdb.DuckDBPyConnection, load: Load, steps: Sequence[Step]) -> Stored:
    """Add the records of a load that are not stored yet, or have changed since."""
    evolve.apply(connection, load.family, steps)
    fresh = states.find(connection, load.family, load.tables)
    rows: dict[str, int] = {}
    for table in load.family.tables:
        source = fresh.rows.get(table.name) if fresh else None
        if fresh and source is None and not any(rows.values()):
            rows[table.name] = 0  # what stands beside the records is not news of its own
        elif source is None:
            rows[table.name] = tables.insert(connection, table.name, load.tables[table.name])
        else:
            rows[table.name] = tables.copy(connection, table.name, source)
    states.forget(connection, load.family)
    told = any(rows.values()) or steps or load.misfits or load.drift
    asked = load.again or load.settles or load.stretch is not None
    moved = load.cursor != ledger.latest(connection, load.endpoint, "cursor")
    return Stored(rows, fresh.left_out if fresh else 0, news=bool(told or asked or moved))


def _replace(connection: duckdb.DuckDBPyConnection, load: Load, steps: Sequence[Step]) -> Stored:
    """All tables beside the old ones first, then each takes the name of the old."""
    rows = {}
    for table in load.family.tables:
        beside = _beside(connection, table, [step for step in steps if step.table == table.name])
        rows[table.name] = tables.insert(connection, beside, load.tables[table.name])
        tables.swap(connection, table.name, beside)
    _empty_others(connection, load)
    return Stored(rows)


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


def _empty_others(connection: duckdb.DuckDBPyConnection, load: Load) -> None:
    """A child that left the family holds nothing of the latest run: it is swapped too."""
    names = {table.name for table in load.family.tables}
    for name in ledger.tables_of_last_load(connection, load.endpoint):
        if name in names or not tables.exists(connection, name):
            continue
        beside = f"{tables.BESIDE}{name}"
        connection.execute(f"create table {quoted(beside)} as from {quoted(name)} limit 0")
        tables.swap(connection, name, beside)


_Mode = Callable[[duckdb.DuckDBPyConnection, Load, Sequence[Step]], Stored]
_MODES: Mapping[str, _Mode] = {"append": _append, "replace": _replace}
