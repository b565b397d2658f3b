"""A dataset copied to another warehouse, or filled from one.

Rows come by load jobs into tables of their own, whose names tell what they hold. One script puts
them into their table and notes that it is whole: before it the table is empty, so a copy that ended
anywhere can go on and doubles nothing.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Final

import pyarrow as pa
from google.cloud.bigquery import SchemaField

from tcdatalogger.errors import DataRefused, Failure
from tcdatalogger.models.schema import Column, TableSchema, Type
from tcdatalogger.services.google import acts, ledger_tables, sql, turns
from tcdatalogger.services.google.client import Client
from tcdatalogger.services.google.staging import EXPIRES, digest
from tcdatalogger.services.google.tables import Tables
from tcdatalogger.services.google.turns import KeptTable, Turn
from tcdatalogger.services.warehouse import copying
from tcdatalogger.services.warehouse.copying import CopiedTable, Copying
from tcdatalogger.services.warehouse.ledger_tables import COPY, LEDGER, SEQ, TABLES
from tcdatalogger.services.warehouse.schema_changes import BEFORE, FORMER, MERGED

ROWS: Final = 200_000
"""Rows of a load job."""
_STAGE: Final = "_tcd_stage_copy_"
_LABELS: Final = {"run": "copy"}


def batches(
    client: Client, tables: Tables, place: str, table: CopiedTable
) -> Iterator[pa.RecordBatch]:
    """All rows of the table in a place, in batches of the schema of `table`."""
    if tables.get(place) is None:
        return
    there = tables.columns(place) or {}
    text = (
        set() if table.name in LEDGER else {n for n, k in table.columns.items() if k is Type.JSON}
    )
    columns = ", ".join(
        f"if({sql.quoted(name)} is null, null, to_json_string({sql.quoted(name)})) "
        f"as {sql.quoted(name)}"
        if name in text
        else sql.quoted(name)
        if name in there
        else f"cast(null as {sql.TYPES[kind]}) as {sql.quoted(name)}"
        for name, kind in table.columns.items()
    )
    for rows in client.pages(f"select {columns} from {tables.relation(place)}"):
        yield from rows.cast(table.schema).to_batches()


def begun(client: Client) -> Copying | None:
    """The copy into the dataset that is not finished; None where there is none."""
    there = {str(item.table_id) for item in client.tables()}
    if COPY.name not in there:
        return None
    rows = client.ask(f"select source, state, table_name from {COPY.name}").to_pylist()
    found = copying.of_lines([(r["source"], r["state"], r["table_name"]) for r in rows])
    if found is None:
        return None
    whole = frozenset(name for name in found.whole if place(found, name) in there)
    return replace(found, whole=whole)


def place(wanted: Copying, table: str) -> str:
    """Where a copy has a table: what is kept for a rollback has a name of BigQuery's own."""
    if table in LEDGER or not table.startswith((FORMER, BEFORE, MERGED)):
        return copying.begun(table)
    return f"{table}_0_{_digest(wanted, table)[:8]}"


def begin(client: Client, tables: Tables, wanted: Copying) -> None:
    """Become the target of a copy; what an earlier one brought goes."""
    before = begun(client)
    for name in before.whole if before is not None else ():
        client.delete(place(before or wanted, name))
    tables.make(COPY.name, ledger_tables.schema(COPY))
    client.run(
        acts.script(
            [
                "begin transaction",
                f"delete from {COPY.name} where true",
                _note(wanted, ""),
                "commit transaction",
            ]
        )
    )


def take_in(
    client: Client,
    tables: Tables,
    wanted: Copying,
    table: CopiedTable,
    rows: Iterable[pa.RecordBatch],
) -> None:
    """Make a table with these columns and rows, and note that it is whole.

    Args:
        client: of the dataset.
        tables: of the dataset.
        wanted: the copy.
        table: its name, columns and key.
        rows: in batches of its schema.

    Raises:
        DataRefused: BigQuery cannot hold a value.
    """
    target = place(wanted, table.name)
    staged, count = [], 0
    expires = turns.time(client) + EXPIRES
    for part in _parts(rows, table):
        staged.append(_stage(client, wanted, table, part, expires))
        count += part.num_rows
    _make(tables, target, table)
    made = tables.get(target)
    statements = ["begin transaction"]
    if staged:
        listed = sql.names(table.columns)
        found = " union all ".join(f"select {_values(table)} from {sql.quoted(s)}" for s in staged)
        statements.append(f"insert into {sql.quoted(target)} ({listed}) {found}")
    rows_there = f"(select count(*) from {tables.relation(target)})"
    statements += [
        f"assert {rows_there} = {count} as 'rows were lost or doubled'",
        _note(wanted, table.name),
        "commit transaction",
    ]
    created = "" if made is None else str(made.created)
    try:
        client.run(
            acts.script(statements),
            name=client.job_name("copy", table.name, wanted.state, created),
            labels=_LABELS,
        )
    except DataRefused as error:
        raise DataRefused(
            f"BigQuery cannot take the rows of {table.name}: {error.message}",
            remedy="The copy is not finished.",
        ) from None
    for name in staged:
        with suppress(Failure):  # it expires
            client.delete(name)


def end(client: Client, tables: Tables) -> None:
    """Make the ledger of what was taken in, and let runs store: all of it in one script."""
    wanted = begun(client)
    if wanted is None:
        return
    marker = client.table(COPY.name)
    for table in TABLES:
        clusters = ledger_tables.CLUSTERS[table.name]
        tables.make(table.name, ledger_tables.schema(table), clusters)
    tables.make(turns.TABLE, turns.SCHEMA)
    kept = {name: _kept(tables, wanted, name) for name in sorted(wanted.whole) if _is_kept(name)}
    statements = ["begin transaction"]
    for table in TABLES:
        listed = sql.names(column.name for column in table.columns)
        source = sql.quoted(place(wanted, table.name))
        statements.append(f"insert into {table.name} ({listed}) select {listed} from {source}")
    turn = ", ".join(map(sql.text, (turns.TURN, turns.ALL, uuid.uuid4().hex)))
    statements += [
        f"insert into {turns.TABLE} (kind, name, value) values ({turn})",
        *turns.write(Turn(), kept, (), 0.0),
        f"delete from {COPY.name} where true",
        "assert @@row_count > 0 as 'the copy is finished'",
        "commit transaction",
    ]
    created = "" if marker is None else str(marker.created)
    client.run(
        acts.script(statements),
        name=client.job_name("copy-end", wanted.state, created),
        labels=_LABELS,
    )
    for name in (COPY.name, *(place(wanted, name) for name in LEDGER)):
        with suppress(Failure):  # nobody reads them
            client.delete(name)


def _is_kept(table: str) -> bool:
    return table.startswith((FORMER, BEFORE, MERGED))


def _kept(tables: Tables, wanted: Copying, table: str) -> KeptTable:
    where = place(wanted, table)
    columns = tables.columns(where) or {}
    return KeptTable(where, {name: kind for name, kind in columns.items() if kind is not None})


def _make(tables: Tables, target: str, table: CopiedTable) -> None:
    """Make the table of rows that come; one that is there is empty, or not of this program.

    Raises:
        DataRefused: somebody else's table has the name, and rows.
    """
    if table.name in LEDGER:
        found = next(each for each in TABLES if each.name == table.name)
        tables.make(target, ledger_tables.schema(found))
    elif _is_kept(table.name):
        tables.like(target, table.columns)
    else:
        made = [
            table.facts.get(name) or Column(name, kind, nullable=True, level=0, path=(), ours=True)
            for name, kind in table.columns.items()
        ]
        columns = tuple(replace(column, type=table.columns[column.name]) for column in made)
        tables.create(TableSchema(target, (), columns, table.key))


def _parts(rows: Iterable[pa.RecordBatch], table: CopiedTable) -> Iterator[pa.Table]:
    """The rows in pieces of the size of a load job."""
    held: list[pa.RecordBatch] = []
    for batch in rows:
        held.append(batch)
        if sum(each.num_rows for each in held) >= ROWS:
            yield pa.Table.from_batches(held, table.schema)
            held = []
    if any(each.num_rows for each in held):
        yield pa.Table.from_batches(held, table.schema)


def _stage(
    client: Client, wanted: Copying, table: CopiedTable, rows: pa.Table, expires: float
) -> str:
    """Load rows into a table of their own, once; its name."""
    name = f"{_STAGE}{digest(wanted.source, wanted.state, table.name, rows=rows)}"
    schema = [
        SchemaField(column, sql.TYPES[Type.TEXT if kind is Type.JSON else kind])
        for column, kind in table.columns.items()
    ]
    client.load(
        name,
        rows,
        schema,
        name=client.job_name("load", table.name, name),
        labels=_LABELS,
        expires=expires,
    )
    return name


def _values(table: CopiedTable) -> str:
    """The columns of staged rows as their table has them; the ledger has JSON as a text."""
    parsed = (
        set() if table.name in LEDGER else {n for n, k in table.columns.items() if k is Type.JSON}
    )
    return ", ".join(
        f"parse_json({sql.quoted(name)}, wide_number_mode=>'exact') as {sql.quoted(name)}"
        if name in parsed
        else sql.quoted(name)
        for name in table.columns
    )


def _note(wanted: Copying, table: str) -> str:
    values = ", ".join(map(sql.text, (wanted.source, wanted.state, table)))
    return f"insert into {COPY.name} (source, state, table_name, {SEQ}) values ({values}, 0)"


def _digest(wanted: Copying, table: str) -> str:
    return hashlib.sha256(f"{wanted.source}\0{wanted.state}\0{table}".encode()).hexdigest()
