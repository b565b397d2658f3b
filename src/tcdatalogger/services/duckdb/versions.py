"""The versions of tables in the ledger: read as a history, written one by one.

Nothing here begins or ends a transaction.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import duckdb
import msgspec

from tcdatalogger.clock import utc
from tcdatalogger.models import notation, versions
from tcdatalogger.models.evolution import Names, Origin, origin
from tcdatalogger.models.schema import TableFamily
from tcdatalogger.models.shape import Object
from tcdatalogger.models.versions import StoredColumn, Version

TABLE: Final = "_tcd_schemas"


@dataclass(frozen=True, slots=True)
class SchemaEntry:
    """A line of the ledger for a new version of a table.

    Attributes:
        endpoint, run_id: for whom and by which run; no run where somebody asked for it.
        table: its name.
        number: of the version.
        columns, key: of the table.
        changes: against the version before, in words.
        cause: why.
        catalog_version, shape: what the tables were made from.
        at: seconds since 1970.
        backup: the table that holds what the change touched as it was, "" where it touched nothing.
    """

    endpoint: str
    run_id: str
    table: str
    number: int
    columns: Sequence[StoredColumn]
    key: Sequence[str]
    changes: Sequence[str]
    cause: str
    catalog_version: str
    shape: Object
    at: float
    backup: str = ""


def write(connection: duckdb.DuckDBPyConnection, entry: SchemaEntry) -> None:
    connection.execute(
        f"""insert into {TABLE} (endpoint, table_name, version, columns, key, diff, cause, run_id,
                catalog_version, shape, created_at, backup)
            values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        [
            entry.endpoint, entry.table, entry.number,
            json.dumps(versions.write(entry.columns)), json.dumps(list(entry.key)),
            json.dumps(list(entry.changes)), entry.cause, entry.run_id, entry.catalog_version,
            msgspec.json.encode(notation.write_whole(entry.shape, {})).decode(), utc(entry.at),
            entry.backup or None,
        ],
    )  # fmt: skip


def exists(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether there is a ledger that has versions."""
    found = connection.execute(
        "select 1 from duckdb_tables() where table_name = ? and not temporary", [TABLE]
    )
    return bool(found.fetchall())


def history(connection: duckdb.DuckDBPyConnection, table: str) -> list[Version]:
    """The versions of a table, the oldest first."""
    rows = connection.execute(
        f"select version, cause, columns from {TABLE} where table_name = ? order by version",
        [table],
    ).fetchall()
    return [Version(n, cause, _read(columns)) for n, cause, columns in rows]


def names(connection: duckdb.DuckDBPyConnection, family: TableFamily) -> Names:
    """What the columns of a family's tables are called, by where they come from.

    Tables whose newest version calls all of them as the family does are left out: no load of a
    table that stays as it is reads its whole history.
    """
    if not exists(connection):
        return {}
    newest = connection.execute(
        f"""select table_name, arg_max(columns, version) from {TABLE}
            where list_contains(?, table_name) group by table_name""",
        [[table.name for table in family.tables]],
    ).fetchall()
    called = {name: _called([Version(0, "", _read(columns))]) for name, columns in newest}
    return {
        table.name: _called(history(connection, table.name))
        for table in family.tables
        if table.name in called
        and any(called[table.name].get(origin(c)) != c.name for c in table.data_columns)
    }


def _called(past: Iterable[Version]) -> dict[Origin, str]:
    return {source: column.name for source, column in versions.current_columns(past).items()}


def _read(columns: str) -> tuple[StoredColumn, ...]:
    return versions.read(msgspec.json.decode(columns))


def shape(text: str) -> Object | None:
    """The shape that a version keeps."""
    found = notation.read(json.loads(text), {}, {})
    return found if isinstance(found, Object) else None
