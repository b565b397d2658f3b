"""Reads the tables of the first tool, github.com/shepner/TCdatalogger, from BigQuery.

That tool let BigQuery find out the types of its columns, so they are those of the live tables and
not those of its code: a time is DATETIME without a zone where the code says TIMESTAMP. Its
container ran in UTC, so such a time is taken as one of UTC.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from tcdatalogger.errors import UsageError
from tcdatalogger.models.records import RUN, SEEN
from tcdatalogger.models.rows.normalize import ARROW
from tcdatalogger.models.schema import Type
from tcdatalogger.text import did_you_mean

if TYPE_CHECKING:
    from google.cloud.bigquery import SchemaField, Table

    from tcdatalogger.services.google.client import Client

LARGE: Final = 1_000_000
"""Rows of a table from which on it is read month by month."""

SEEN_TEXT: Final = f"{SEEN}_text"
"""The column with the text of a `server_timestamp` that the first tool stored as a text."""

_JSON: Final = "if({0} is null, null, to_json_string({0}))"
_PLAIN: Final[Mapping[str, tuple[Type, str]]] = {
    "INTEGER": (Type.INT, "{}"),
    "INT64": (Type.INT, "{}"),
    "FLOAT": (Type.FLOAT, "{}"),
    "FLOAT64": (Type.FLOAT, "{}"),
    "BOOLEAN": (Type.BOOL, "{}"),
    "BOOL": (Type.BOOL, "{}"),
    "STRING": (Type.TEXT, "{}"),
    "TIMESTAMP": (Type.TIME, "{}"),
    "DATETIME": (Type.TIME, "timestamp({})"),
    "BYTES": (Type.TEXT, "to_base64({})"),
    "JSON": (Type.JSON, _JSON),
}
"""The type that a type of BigQuery becomes, and how its values are read; others become texts."""

_TEXT: Final = (Type.TEXT, "cast({} as string)")
_NESTED: Final = (Type.JSON, _JSON)
_SAME: Final = frozenset({"INTEGER", "INT64", "FLOAT", "FLOAT64", "BOOLEAN", "BOOL", "STRING",
                          "TIMESTAMP", "JSON"})  # fmt: skip


@dataclass(frozen=True, slots=True)
class OldColumn:
    """A column of a table of the first tool.

    Attributes:
        type: that its values have here.
        sql: that reads them.
        was: the type in BigQuery where that is another one; "" where the values stay as they are.
    """

    type: Type
    sql: str
    was: str = ""


@dataclass(frozen=True, slots=True)
class OldTable:
    """A table of the first tool.

    Attributes:
        name: in its dataset, as `v2_faction_40832_crimes-raw`.
        rows: how many it has.
        columns: by name, in the order of the table; `server_timestamp` is a time.
    """

    name: str
    rows: int
    columns: Mapping[str, OldColumn]

    @property
    def types(self) -> Mapping[str, Type]:
        """The types of the columns here."""
        return {name: column.type for name, column in self.columns.items()}


def find(client: Client, names: tuple[str, ...] = ()) -> tuple[list[OldTable], dict[str, str]]:
    """The tables to read, and why each of the others is left out.

    Args:
        client: of the dataset.
        names: of the tables; none for all tables with a column `server_timestamp`.

    Raises:
        UsageError: there is no table of such a name, or it is one of this program's own.
    """
    there = {item.table_id: item.table_type for item in client.tables()}
    for name in names:
        if name not in there:
            raise UsageError(
                f"The dataset {client.address} has no table {name}.",
                remedy=did_you_mean(name, there, f"There are: {', '.join(sorted(there))}."),
            )
    found, left = [], {}
    for name in names or sorted(there):
        why = "" if there[name] == "TABLE" or names else f"a {there[name].lower()}, not a table"
        table = None if why else client.table(name)
        if table is None:
            left[name] = why or "deleted meanwhile"
            continue
        columns = {field.name for field in table.schema}
        if RUN in columns or name.startswith("_tcd_"):
            why = "a table of this program"
        elif SEEN not in columns and not names:
            why = f"no column {SEEN}; `--table {name}` reads it"
        if not why:
            found.append(OldTable(name, int(table.num_rows or 0), dict(_columns(table))))
        elif names:
            raise UsageError(f"{client.address}.{name} is {why}.")
        else:
            left[name] = why
    return found, left


def _columns(table: Table) -> Iterator[tuple[str, OldColumn]]:
    for field in table.schema:
        name = quoted(field.name)
        kind, sql = _reads(field)
        if field.name == SEEN and kind is not Type.TIME:
            yield SEEN, OldColumn(Type.TIME, f"safe_cast({name} as timestamp)", field.field_type)
            yield SEEN_TEXT, OldColumn(kind, sql.format(name))
            continue
        same = field.field_type in _SAME and field.mode != "REPEATED"
        yield field.name, OldColumn(kind, sql.format(name), "" if same else field.field_type)


def _reads(field: SchemaField) -> tuple[Type, str]:
    if field.mode == "REPEATED" or field.field_type in ("RECORD", "STRUCT"):
        return _NESTED
    return _PLAIN.get(field.field_type, _TEXT)


def months(client: Client, table: OldTable) -> list[datetime | None]:
    """The months of which a table has rows, by their first moment; None for rows without a time."""
    if SEEN not in table.columns:
        return [None]
    seen = table.columns[SEEN].sql
    sql = f"select distinct timestamp_trunc({seen}, month) as month from {quoted(table.name)}"
    found = client.ask(sql)["month"].to_pylist()
    return sorted(found, key=lambda month: (month is not None, month))


def read(client: Client, table: OldTable, month: datetime | None = None, *, part: bool) -> pa.Table:
    """Rows of a table, with the types that they have here.

    Args:
        client: of the dataset.
        table: whose rows.
        month: which of them, where they are only a part; None for those without a time.
        part: whether they are only a part.
    """
    columns = ", ".join(f"{column.sql} as {quoted(name)}" for name, column in table.columns.items())
    sql, given = f"select {columns} from {quoted(table.name)}", {}
    if part and SEEN in table.columns:
        seen = table.columns[SEEN].sql
        sql += f" where {seen} is null"
        if month is not None:
            after = datetime(month.year + month.month // 12, month.month % 12 + 1, 1, tzinfo=UTC)
            sql = sql.removesuffix(" is null") + f" >= @begin and {seen} < @after"
            given = {"begin": month, "after": after}
    rows = client.ask(sql, parameters=given)
    schema = pa.schema([(name, ARROW[column.type]) for name, column in table.columns.items()])
    return rows.cast(schema)


def quoted(name: str) -> str:
    """A name in GoogleSQL."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
