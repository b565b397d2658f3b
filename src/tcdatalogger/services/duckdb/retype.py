"""A column given another type, every value compared before and after.

All of it happens inside of a transaction; nothing here begins or ends one.
"""

from __future__ import annotations

from typing import Final

import duckdb

from tcdatalogger.errors import Unbalanced
from tcdatalogger.models.schema import Type
from tcdatalogger.services.duckdb.engine import quoted
from tcdatalogger.services.duckdb.session import TYPES, Session
from tcdatalogger.services.warehouse.schema_changes import refused

_EXAMPLE: Final = 60

_WAYS: Final = {
    ("BIGINT", Type.TIME): ("to_timestamp({})", "cast(epoch({}) as bigint)"),
    ("TIMESTAMP WITH TIME ZONE", Type.INT): ("cast(epoch({}) as bigint)", "to_timestamp({})"),
    ("VARCHAR", Type.JSON): ("to_json({})", "{} ->> '$'"),
}
"""Ways there and back that are no cast: a Unix time, and a text, which in JSON has quotes."""


def why_not(session: Session, table: str, name: str, to: Type) -> str:
    """Why a column cannot get another type, "" where every value comes back as it was."""
    was, there, back = _ways(session, table, name, to)
    own = quoted(name)
    there_and_back = f"({back.format(f'({there.format(own)})')})"
    try:
        [(changed, example)] = session.execute(
            f"""select count(*), any_value(cast({own} as varchar))
                from {quoted(table)} where {there_and_back} is distinct from {own}"""
        ).fetchall()
    except (duckdb.BinderException, duckdb.ConversionException) as error:
        return _why(was, to, str(error).partition("\n")[0])
    if not changed:
        return ""
    shown = example if len(example) <= _EXAMPLE else f"{example[: _EXAMPLE - 1]}…"
    return _why(was, to, f"{changed} of its values would change by it, as {shown}")


def column(session: Session, table: str, name: str, to: Type) -> None:
    """Give a column another type; `why_not` has said that no value of it changes.

    Raises:
        DataRefused: the engine cannot.
        Unbalanced: a value changed, though it should not.
    """
    was, there, _ = _ways(session, table, name, to)
    own = quoted(name)
    new = there.format(own)
    try:
        before = _sum(session, table, f"({new})")
        session.execute(
            f"alter table {quoted(table)} alter {own} set data type {TYPES[to]} using {new}"
        )
        after = _sum(session, table, own)
    except (duckdb.BinderException, duckdb.ConversionException) as error:
        raise refused(table, name, _why(was, to, str(error).partition("\n")[0])) from None
    if before != after:
        raise unlike(table, name)


def _ways(session: Session, table: str, name: str, to: Type) -> tuple[str, str, str]:
    """The type of a column, and how a value of it becomes one of another type and back."""
    was = session.kinds(table)[name]
    there, back = _WAYS.get(
        (was, to), (f"try_cast({{}} as {TYPES[to]})", f"try_cast({{}} as {was})")
    )
    return was, there, back


def _why(was: str, to: Type, why: str) -> str:
    return f"from {was.lower()} to {to}: {why}"


def unlike(table: str, name: str) -> Unbalanced:
    """For values that were the same beforehand, and are not once the column has changed."""
    return Unbalanced(
        f"{table}.{name} has not the values any more that it had before its column changed.",
        remedy=f"Nothing was changed. It is a fault of DuckDB {duckdb.__version__}: please report "
        "it.",
    )


def checksum(session: Session, table: str, name: str) -> object:
    """Tells whether the values of a column are still the same."""
    return _sum(session, table, quoted(name))


def _sum(session: Session, table: str, value: str) -> object:
    return session.execute(
        f"select count(*), count({value}), sum(hash({value})) from {quoted(table)}"
    ).fetchall()
