"""Makes a family from tables that a processor returns: anything with the Arrow C stream interface.

A pandas or polars frame, a DuckDB relation or an Arrow table becomes one table. Types are not
converted; a column with a type that no warehouse has is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import pyarrow as pa

from tcdatalogger.errors import ConfigError, DataRefused
from tcdatalogger.models.kept import Rows
from tcdatalogger.models.naming import short
from tcdatalogger.models.records import RUN, VERSION
from tcdatalogger.models.rows.normalize import ARROW
from tcdatalogger.models.schema import SYSTEM, SYSTEM_TYPES, Column, TableFamily, TableSchema, Type
from tcdatalogger.models.shape import Object

RESERVED = "_tcd_"
"""The start of the names of a warehouse's own tables."""


class ArrowStream(Protocol):
    """The Arrow PyCapsule interface for streams of record batches."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object: ...


def family_of(
    frames: Mapping[str, ArrowStream], key: Sequence[str], names: Mapping[str, str]
) -> tuple[TableFamily, dict[str, pa.Table]]:
    """The family and the rows of frames, by table name, the root first.

    The rows have the columns of the frame, and of the system columns those that the frame brings.
    The id of the run is never taken from a frame.

    Args:
        frames: the frames that a processor returned, by table name.
        key: the key columns of the root; empty for no key.
        names: the user's names by the names of the shape; a frame may have either name of a key.

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
        own = [each if each in table.column_names else names.get(each, each) for each in key]
        schema = _schema(name, table, own if not schemas else ())
        schemas.append(schema)
        brought = [c for c in schema.columns[-len(SYSTEM) :] if c.name in _brought(name, table)]
        columns = (*schema.data_columns, *brought)
        tables[name] = pa.table(
            [_typed(table.column(c.path[0]), c) for c in columns],
            schema=pa.schema([(c.name, ARROW[c.type]) for c in columns]),
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


def _brought(name: str, table: pa.Table) -> list[str]:
    """The system columns that a frame brings, so that its values are kept."""
    found = [system for system in SYSTEM if system != RUN and system in table.column_names]
    for system in found:
        kind = table.schema.field(system).type
        if not pa.types.is_null(kind):
            _type(name, system, kind)
    return found


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
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataRefused(f"The column {want.name} does not fit {kind}: {error}.") from None


def with_system(table: pa.Table, times: pa.Scalar, subject: int | None, run_id: str) -> pa.Table:
    """`table` with all system columns, last and in their order.

    A column that the table has already keeps its values; the others have one value in every row.

    Args:
        table: the rows.
        times: the time of the answer, for `server_timestamp`.
        subject: the subject, None for none.
        run_id: the run that made the rows.
    """
    rows = table.num_rows
    values = (times, pa.scalar(subject, pa.int64()), pa.scalar(run_id, pa.string()))
    for name, value in zip(SYSTEM, values, strict=True):
        if name not in table.column_names:
            table = table.append_column(name, pa.repeat(value, rows))
    own = [name for name in table.column_names if name not in SYSTEM]
    return table.select([*own, *SYSTEM])


def with_values(
    family: TableFamily,
    tables: Mapping[str, pa.Table],
    name: str,
    values: object,
    *,
    type: str = "",  # noqa: A002
    table: str = "",
) -> tuple[TableFamily, dict[str, pa.Table]]:
    """A family and its rows with a column that a processor adds.

    Args:
        family: the schemas of the tables; it may declare the column already.
        tables: the rows by table name.
        name: the name of the column.
        values: one value for each row, in the order of the rows: an Arrow array or a list.
        type: one of `Type`; "" for the type that `family` declares, else that of the values. A
            column of nulls only is left out where nothing says its type.
        table: the name of the table, "" for the root.

    Raises:
        ConfigError: the column or the table does not fit, or there are too few or many values.
    """
    if name in VERSION:
        raise ConfigError(
            f"The processor adds the column {name}, and history keeps its own under this name.",
            remedy="Give the column of the processor another name.",
        )
    where = table or family.tables[0].name
    found = family.table(where)
    declared = next((c for c in found.added if c.path == (name,)), None) if found else None
    if declared is not None and type not in ("", declared.type):
        raise ConfigError(f"The column {name} is {type} here, and {declared.type} in the family.")
    try:
        [column] = pa.table({name: values}).columns
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise ConfigError(f"The column {name} of a processor is no column: {error}.") from None
    if declared is None:
        unknown = not type and pa.types.is_null(column.type)
        kind = type or (Type.TEXT if unknown else _type(where, name, column.type))
        grown = family.with_column(name, kind, table=where)
        family, found = (family if unknown else grown), grown.table(where)
        declared = found.column(name) if found and not unknown else None
    rows = tables[where]
    if len(column) != rows.num_rows:
        raise ConfigError(
            f"The column {name} has {len(column)} values for {rows.num_rows} rows of {where}.",
            remedy="Give one value for each row, in the order of the rows.",
        )
    if found is None or declared is None:
        return family, dict(tables)
    others = [own for own in rows.column_names if own != declared.name]
    rows = rows.select(others).append_column(declared.name, _typed(column, declared))
    return family, {**tables, where: rows.select([each.name for each in found.columns])}


def refuse_unfit(family: TableFamily, tables: Mapping[str, Rows]) -> None:
    """Refuse rows that are not those of the family; base rows always are.

    Raises:
        ConfigError: a table or a column is missing, is too much or has another type.
    """
    remedy = (
        "The processor made other tables than its family says. Add a column by "
        "`made.with_column(name, values)`, or return a frame."
    )
    for name in sorted({table.name for table in family.tables} ^ tables.keys()):
        says = "has no rows" if family.table(name) else "is not in the family"
        raise ConfigError(f"The table {name} of a processor {says}.", remedy=remedy)
    for table in family.tables:
        rows = tables[table.name]
        wanted = {column.name: ARROW[column.type] for column in table.columns}
        given = dict(zip(rows.column_names, rows.schema.types, strict=True))
        for name in sorted(wanted.keys() ^ given.keys()):
            says = "has no values" if name in wanted else "is not in the family"
            raise ConfigError(f"The column {table.name}.{name} {says}.", remedy=remedy)
        for name, kind in wanted.items():
            if given[name] != kind:
                raise ConfigError(
                    f"The column {table.name}.{name} is {given[name]}, and its family says {kind}.",
                    remedy=remedy,
                )
