"""What a query may be where nothing is to be written: DuckDB itself minds the tables alone.

Opened for reading it still writes files (`copy … to`, `attach` of a new one), and it has no setting
that lets files be read and not written. So the kinds of statement that can are let through by name.
"""

from __future__ import annotations

import re
from typing import Final

import duckdb

from tcdatalogger.errors import UsageError

_KIND: Final = duckdb.StatementType
_READ: Final = {_KIND.SELECT, _KIND.MULTI, _KIND.PRAGMA, _KIND.VARIABLE_SET, _KIND.RELATION}
"""`MULTI` is a pivot."""
_ANSWERS: Final = {_KIND.SELECT, _KIND.MULTI, _KIND.EXPLAIN, _KIND.RELATION}
"""What gives rows that somebody wants to see."""
_PASSING: Final = {
    _KIND.CREATE: re.compile(
        r"\s*create\s+(or\s+replace\s+)?temp(orary)?\s+(?!secret)", re.IGNORECASE
    ),
    _KIND.SET: re.compile(r"\s*set\s+variable\s", re.IGNORECASE),
}
"""What goes with the connection."""
_EXPLAIN: Final = re.compile(r"\s*explain\s*(\([^)]*\)|analyze\b)?\s*", re.IGNORECASE)


def refuse_writing(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Refuse what is no query, nor anything that goes with the connection.

    Raises:
        UsageError: a statement may write something, or several give rows.
        duckdb.Error: it is no SQL.
    """
    statements = connection.extract_statements(sql)
    if sum(statement.type in _ANSWERS for statement in statements) > 1:
        raise UsageError(
            "The query is refused: it is more than one statement, and only one can be shown.",
            remedy="Ask one after the other; `create temp table` and `set variable` may come "
            "before a query.",
        )
    for statement in statements:
        kind, text = statement.type, statement.query
        if kind == _KIND.EXPLAIN and (prefix := _EXPLAIN.match(text)) is not None:
            refuse_writing(connection, text[prefix.end() :])  # `analyze` does what it explains
        elif kind not in _READ and not (kind in _PASSING and _PASSING[kind].match(text)):
            raise UsageError(
                f"The query is refused: {kind.name} is no reading, and the warehouse is opened "
                "read-only.",
                remedy="`tcdatalogger query` writes what a query gives: --csv, --parquet FILE.",
            )
