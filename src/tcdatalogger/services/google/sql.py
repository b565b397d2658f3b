"""SQL of BigQuery: names, values and types, and what tells records and rows apart."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from tcdatalogger.clock import utc
from tcdatalogger.models.records import facts
from tcdatalogger.models.schema import TableSchema, Type

TYPES: Final = {
    Type.INT: "INT64",
    Type.FLOAT: "FLOAT64",
    Type.TEXT: "STRING",
    Type.BOOL: "BOOL",
    Type.TIME: "TIMESTAMP",
    Type.JSON: "JSON",
}
"""The types of columns, as BigQuery calls them."""

OURS: Final = {name: kind for kind, name in TYPES.items()} | {
    "INTEGER": Type.INT, "FLOAT": Type.FLOAT, "BOOLEAN": Type.BOOL,
}  # fmt: skip
"""The types by BigQuery's names, the older ones too: its API answers with these."""


def quoted(name: str) -> str:
    """A table or a column."""
    return f"`{name}`"


def names(columns: Iterable[str], alias: str = "") -> str:
    """Columns, one after the other; of the relation `alias` where one is given."""
    before = f"{alias}." if alias else ""
    return ", ".join(f"{before}{quoted(column)}" for column in columns)


def text(value: str) -> str:
    """A text as a value, whatever is in it: the escapes of JSON are those of GoogleSQL."""
    return json.dumps(value, ensure_ascii=False)


def time(value: datetime | float) -> str:
    """A time as a value; a number is seconds since 1970."""
    at = value if isinstance(value, datetime) else utc(value)
    return f"timestamp '{at:%Y-%m-%d %H:%M:%S.%f}+00'"


def literal(value: object) -> str:
    """A value of the ledger.

    Raises:
        TypeError: it is of a type that the ledger does not have.
    """
    match value:
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case str():
            return text(value)
        case datetime():
            return time(value)
        case _:
            raise TypeError(value)


def one_of(column: str, values: Sequence[object]) -> str:
    """The test whether a column has one of some values."""
    return f"{column} in ({', '.join(map(literal, values))})" if values else "false"


def key(columns: Sequence[str], alias: str) -> str:
    """What is the same for two rows where they have the same values in these columns.

    It is a text that is never null, null being a value like others: rows are joined by it with an
    equality, which BigQuery needs for every kind of join.
    """
    facts = ", ".join(f"{alias}.{quoted(name)} as k{number}" for number, name in enumerate(columns))
    return f"to_json_string(struct({facts}))"


def digest(table: TableSchema, alias: str) -> str:
    """A text that is the same for rows that are, as far as they are compared (`records.facts`)."""
    told = ", ".join(f"{alias}.{quoted(name)} as {quoted(name)}" for name in facts(table))
    return f"to_hex(md5(to_json_string(struct({told}))))" if told else "''"
