"""A column given another type, every value compared before and after.

All of it happens inside of a transaction; nothing here begins or ends one.
"""

from __future__ import annotations

from typing import Final

import duckdb

from tcdatalogger.errors import DataRefused, Unbalanced
from tcdatalogger.models.schema import Type
from tcdatalogger.services.duckdb import tables
from tcdatalogger.services.duckdb.connection import quoted

_EXAMPLE: Final = 60

_WAYS: Final = {
    ("BIGINT", Type.TIME): ("to_timestamp({})", "cast(epoch({}) as bigint)"),
    ("TIMESTAMP WITH TIME ZONE", Type.INT): ("cast(epoch({}) as bigint)", "to_timestamp({})"),
    ("VARCHAR", Type.JSON): ("to_json({})", "{} ->> '$'"),
}
"""Ways there and back that are no cast: a Unix time, and a text, which in JSON has quotes."""


def column(connection: duckdb.DuckDBPyConnection, table: str, name: str, to: Type) -> None:
    """Give a column another type, if that changes no value of it.

    Raises:
        DataRefused: it would; nothing was changed yet.
        Unbalanced: it did, though it should not.
    """
    was = _kind(connection, table, name)
    there, back = _WAYS.get(
        (was, to), (f"try_cast({{}} as {tables.TYPES[to]})", f"try_cast({{}} as {was})")
    )
    own = quoted(name)
    new = there.format(own)
    try:
        _compare(connection, table, name, f"({back.format(f'({new})')})", to)
        before = _sum(connection, table, f"({new})")
        connection.execute(
            f"alter table {quoted(table)} alter {own} set data type {tables.TYPES[to]} using {new}"
        )
        after = _sum(connection, table, own)
    except (duckdb.BinderException, duckdb.ConversionException) as error:
        raise _refused(table, name, was, to, str(error).partition("\n")[0]) from None
    if before != after:
        raise unlike(table, name)


def _compare(
    connection: duckdb.DuckDBPyConnection, table: str, name: str, there_and_back: str, to: Type
) -> None:
    """Every value must come back as it was."""
    own = quoted(name)
    row = connection.execute(
        f"""select count(*), any_value(cast({own} as varchar)), any_value(typeof({own}))
            from {quoted(table)} where {there_and_back} is distinct from {own}"""
    ).fetchall()
    [(changed, example, was)] = row
    if changed:
        shown = example if len(example) <= _EXAMPLE else f"{example[: _EXAMPLE - 1]}…"
        raise _refused(
            table, name, was, to, f"{changed} of its values would change by it, as {shown}"
        )


def _refused(table: str, name: str, was: str, to: Type, why: str) -> DataRefused:
    return DataRefused(
        f"{table}.{name} cannot change from {was.lower()} to {to}: {why}.",
        remedy="Nothing was changed. Give the endpoint another `table`, and both stay.",
    )


def unlike(table: str, name: str) -> Unbalanced:
    """For values that were the same beforehand, and are not once the column has changed."""
    return Unbalanced(
        f"{table}.{name} has not the values any more that it had before its column changed.",
        remedy=f"Nothing was changed. It is a fault of DuckDB {duckdb.__version__}: please report "
        "it.",
    )


def checksum(connection: duckdb.DuckDBPyConnection, table: str, name: str) -> object:
    """Tells whether the values of a column are still the same."""
    return _sum(connection, table, quoted(name))


def _sum(connection: duckdb.DuckDBPyConnection, table: str, value: str) -> object:
    return connection.execute(
        f"select count(*), count({value}), sum(hash({value})) from {quoted(table)}"
    ).fetchall()


def _kind(connection: duckdb.DuckDBPyConnection, table: str, name: str) -> str:
    [(kind,)] = connection.execute(
        """select data_type from duckdb_columns() where table_name = ? and column_name = ?
           and schema_name = current_schema() and database_name = current_database()""",
        [table, name],
    ).fetchall()
    return str(kind)
