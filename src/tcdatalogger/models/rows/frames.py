"""Makes a family from tables that a processor returns: anything with the Arrow C stream interface.

A pandas or polars frame, a DuckDB relation or an Arrow table becomes one table. Types are not
converted; a column with a type that no warehouse has is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import pyarrow as pa

from tcdatalogger.errors import DataRefused
from tcdatalogger.models.naming import short
from tcdatalogger.models.rows.normalize import ARROW
from tcdatalogger.models.schema import SYSTEM, SYSTEM_TYPES, Column, TableFamily, TableSchema, Type
from tcdatalogger.models.shape import Object

RESERVED = "_tcd_"
"""The begin of the names of a warehouse's own tables."""


class ArrowStream(Protocol):
    """The Arrow PyCapsule interface for streams of record batches."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object: ...


def family_of(
    frames: Mapping[str, ArrowStream], key: Sequence[str]
) -> tuple[TableFamily, dict[str, pa.Table]]:
    """The family and the rows of frames, by table name, the root first.

    Args:
        frames: the frames that a processor returned, by table name.
        key: the key columns of the root; empty for no key.

    Raises:
        DataRefused: a column has a type that no warehouse has, a name is repeated or reserved, or
            the root lacks a key column.
    """
    tables: dict[str, pa.Table] = {}
    schemas: list[TableSchema] = []
    for long, stream in frames.items():
        name = short(long)
        table = _table(name, stream)
        if name.startswith(RESERVED) or name.lower() in {other.lower() for other in tables}:
            raise DataRefused(f"{name!r} is taken.", remedy="Give the table another name.")
        schema = _schema(name, table, key if not schemas else ())
        schemas.append(schema)
        tables[name] = pa.table(
            [_typed(table.column(c.path[0]), c) for c in schema.data_columns],
            schema=pa.schema([(c.name, ARROW[c.type]) for c in schema.data_columns]),
        )
    return TableFamily(Object(()), (), listed=True, tables=tuple(schemas)), tables


def _table(name: str, stream: ArrowStream) -> pa.Table:
    try:
        return pa.table(stream)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise DataRefused(
            f"The table {name} cannot be read as Arrow: {error}.",
            remedy="Return a frame or anything with __arrow_c_stream__, each column of one type.",
        ) from None


def _schema(name: str, table: pa.Table, key: Sequence[str]) -> TableSchema:
    """The schema of a table. A column of nulls only is left out, because its type is unknown."""
    names = [
        field.name
        for field in table.schema
        if field.name not in SYSTEM
        and not field.name.startswith("__index_level")
        and not pa.types.is_null(field.type)
    ]
    if len({short(n).lower() for n in names}) != len(names):
        raise DataRefused(
            f"The table {name} has a column twice.",
            remedy="Name each column once; names that differ only by capital letters are the same.",
        )
    columns = [
        Column(
            short(n), _type(name, n, table.schema.field(n).type), nullable=True, level=0, path=(n,)
        )
        for n in names
    ]
    missing = [wanted for wanted in key if wanted not in {column.name for column in columns}]
    if missing:
        raise DataRefused(f"The table {name} lacks the key column {missing[0]}.")
    system = [
        Column(n, kind, nullable=True, level=0, path=(n,))
        for n, kind in zip(SYSTEM, SYSTEM_TYPES, strict=True)
    ]
    return TableSchema(name, (), (*columns, *system), tuple(key))


def _type(table: str, column: str, kind: pa.DataType) -> Type:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_boolean(kind):
        return Type.BOOL
    if pa.types.is_integer(kind):
        return Type.INT
    if pa.types.is_floating(kind):
        return Type.FLOAT
    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    if any(test(kind) for test in texts):
        return Type.TEXT
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        return Type.TIME
    remedy = "Give integers, floats, texts, truth values or times with a time zone."
    if pa.types.is_timestamp(kind):
        remedy = "Say its time zone: localize it to UTC."
    raise DataRefused(f"The column {table}.{column} has the type {kind}.", remedy=remedy)


def _typed(column: pa.ChunkedArray, want: Column) -> pa.ChunkedArray:
    kind = ARROW[want.type]
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    try:
        return column.cast(kind)
    except pa.ArrowInvalid as error:
        raise DataRefused(f"The column {want.name} does not fit {kind}: {error}.") from None


def with_system(table: pa.Table, times: pa.Scalar, subject: int | None, run_id: str) -> pa.Table:
    """`table` with the system columns, with the same values in every row.

    Args:
        table: the rows.
        times: the time of the answer, for `server_timestamp`.
        subject: the subject, None for none.
        run_id: the run that made the rows.
    """
    rows = table.num_rows
    values = (times, pa.scalar(subject, pa.int64()), pa.scalar(run_id, pa.string()))
    for name, value in zip(SYSTEM, values, strict=True):
        table = table.append_column(name, pa.repeat(value, rows))
    return table
