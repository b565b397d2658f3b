"""The rows of a load in tables of their own: loaded by jobs, read by the script of the commit."""

from __future__ import annotations

import hashlib
import re
from typing import Final

import pyarrow as pa
from google.cloud.bigquery import SchemaField

from tcdatalogger.errors import DataRefused
from tcdatalogger.models.kept import in_memory
from tcdatalogger.models.rows.normalize import ARROW
from tcdatalogger.models.schema import Type
from tcdatalogger.services.google import sql
from tcdatalogger.services.google.session import Session, fitting
from tcdatalogger.services.warehouse.load import Load

_PREFIX: Final = "_tcd_stage_"
EXPIRES: Final = 86_400.0
"""Seconds until BigQuery deletes rows that a crash has left; those of a commit are deleted then."""


def rows(session: Session, load: Load, table: str) -> str:
    """The rows of a load as its table would hold them: a relation to select from.

    Raises:
        DataRefused: a value does not fit its column.
    """
    types = _types(session, load, table)
    given = load.tables[table]
    if not given.num_rows:
        nothing = ", ".join(
            f"cast(null as {sql.TYPES[kind]}) as {sql.quoted(name)}" for name, kind in types.items()
        )
        return f"(select {nothing} from unnest([1]) limit 0)"
    place = _stage(session, load, table)
    found = ", ".join(
        f"parse_json({sql.quoted(name)}, wide_number_mode=>'exact') as {sql.quoted(name)}"
        if kind is Type.JSON
        else sql.quoted(name)
        for name, kind in types.items()
    )
    return f"(select {found} from {sql.quoted(place)})"


def columns(session: Session, load: Load, table: str) -> list[str]:
    """The columns of a table that a load has values for."""
    return list(_types(session, load, table))


def _types(session: Session, load: Load, table: str) -> dict[str, Type]:
    there = session.stored([table])[table]
    kinds = {name: there.get(name) for name in load.tables[table].column_names}
    strange = [name for name, kind in kinds.items() if kind is None]
    if strange:
        raise DataRefused(f"The column {table}.{strange[0]} is of a type that is not ours.")
    return {name: kind for name, kind in kinds.items() if kind is not None}


def _stage(session: Session, load: Load, table: str) -> str:
    """Load rows into a table of their own, once; its name."""
    if (load.id, table) in session.staged:
        return session.staged[load.id, table]
    types = _types(session, load, table)
    try:
        given = fitting(in_memory(load.tables[table]), types, ARROW)
    except pa.ArrowInvalid as error:
        raise DataRefused(f"BigQuery cannot take the rows of {table}: {error}.") from None
    tells = digest(load.id, table, rows=given)
    place = f"{_PREFIX}{re.sub(r'[^A-Za-z0-9_]+', '_', load.id)[:100]}_{tells}"
    schema = [
        SchemaField(name, sql.TYPES[Type.TEXT if kind is Type.JSON else kind])
        for name, kind in types.items()
    ]
    session.client.load(
        place,
        given,
        schema,
        name=session.client.job_name("load", load.id, table, tells),
        labels=session.labels,
        expires=session.turn.now + EXPIRES,
    )
    session.staged[load.id, table] = place
    return place


def digest(*words: str, rows: pa.Table) -> str:
    """Tells rows that are set aside from all others: what they are for, and what they hold."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    found = hashlib.sha256("\0".join(words).encode())
    found.update(sink.getvalue())
    return found.hexdigest()[:24]
