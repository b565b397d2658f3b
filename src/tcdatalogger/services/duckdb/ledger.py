"""The books of the warehouse, in tables beside the data: loads, schemas, drift and quarantine.

They are written in the same transaction as the rows that they speak of.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

import duckdb

from tcdatalogger.clock import utc
from tcdatalogger.errors import Busy
from tcdatalogger.models import notation
from tcdatalogger.models.checks.promised import Checked
from tcdatalogger.models.evolution import Step, adopt
from tcdatalogger.models.schema import TableFamily, TableSchema
from tcdatalogger.models.shape import Object
from tcdatalogger.models.versions import kept
from tcdatalogger.services.duckdb import checks, evolve, loads, owners, versions
from tcdatalogger.services.duckdb.connection import quoted
from tcdatalogger.services.warehouse.protocol import Load

_TABLES: Final = """
create table if not exists _tcd_loads (
    load_id varchar primary key, run_id varchar not null, endpoint varchar not null,
    mode varchar not null, rows json not null, cursor varchar, schema_version bigint not null,
    archive_file varchar, quarantined bigint not null, drift bigint not null,
    catalog_version varchar not null, committed_at timestamptz not null, superseded_by varchar,
    stretch varchar, digest varchar, token bigint
);
alter table _tcd_loads add column if not exists stretch varchar;
alter table _tcd_loads add column if not exists digest varchar;
alter table _tcd_loads add column if not exists token bigint;
create table if not exists _tcd_schemas (
    endpoint varchar not null, table_name varchar not null, version bigint not null,
    columns json not null, key json not null, diff json not null, cause varchar not null,
    run_id varchar not null, catalog_version varchar not null, shape json not null,
    created_at timestamptz not null, backup varchar, primary key (table_name, version)
);
alter table _tcd_schemas add column if not exists backup varchar;
create table if not exists _tcd_drift (
    endpoint varchar not null, table_name varchar not null, column_name varchar not null,
    type varchar not null, example varchar, cause varchar not null, run_id varchar not null,
    seen_at timestamptz not null
);
create table if not exists _tcd_quarantine (
    quarantine_id varchar primary key, endpoint varchar not null, run_id varchar not null,
    page bigint not null, path varchar not null, reason varchar not null, record varchar not null,
    again boolean not null, archive_file varchar, quarantined_at timestamptz not null
);
create table if not exists _tcd_checks (
    endpoint varchar not null, table_name varchar not null, check_text varchar not null,
    passed boolean not null, failed_rows bigint not null, example varchar,
    on_failure varchar not null, run_id varchar not null, load_id varchar not null,
    times bigint not null, checked_at timestamptz not null
);
"""


_NEWEST: Final = 1_000
"""Loads that are looked through for rows: a table of years is not read for its last ones."""

_LATER: Final = frozenset({"stretch", "digest"})
"""Columns of `_tcd_loads` that warehouses of older versions lack until their next load."""


def prepare(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(_TABLES)
    owners.prepare(connection)


def exists(connection: duckdb.DuckDBPyConnection) -> bool:
    found = connection.execute(
        "select 1 from duckdb_tables() where table_name = '_tcd_loads' and not temporary"
    )
    return found.fetchone() is not None


def load_rows(connection: duckdb.DuckDBPyConnection, load_id: str) -> tuple[Any, int] | None:
    """The rows and the schema version of a load that is in the books, None for another."""
    row = connection.execute(
        "select rows, schema_version from _tcd_loads where load_id = ?", [load_id]
    ).fetchone()
    return None if row is None else (json.loads(row[0]), int(row[1]))


def refuse_overtaken(connection: duckdb.DuckDBPyConnection, load: Load) -> None:
    """Keep a run from storing that was thought dead, and whose endpoint another has run since.

    Raises:
        Busy: the ledger has a load of a later claim.
    """
    if load.token is None:
        return
    row = connection.execute(
        "select max(token) from _tcd_loads where endpoint = ?", [load.endpoint]
    ).fetchone()
    if row is not None and row[0] is not None and row[0] > load.token:
        raise Busy(
            f"The run {load.run_id} of {load.endpoint} lost its claim, and a later one has stored.",
            remedy="Nothing of it was stored; its answers are in the archive.",
        )


def subject(connection: duckdb.DuckDBPyConnection, endpoint: str, table: str) -> int | None:
    """Whom the newest rows of an endpoint are about; another's may be in the table too."""
    row = connection.execute(
        f"""select arg_max(_subject_id, load) from {quoted(table)} join (
                select run_id as _run_id, max(rowid) as load from _tcd_loads where endpoint = ?
                group by run_id order by load desc limit {_NEWEST}) using (_run_id)""",
        [endpoint],
    ).fetchone()
    return None if row is None or row[0] is None else int(row[0])


def known_shape(connection: duckdb.DuckDBPyConnection, endpoint: str) -> Object | None:
    """The newest shape of an endpoint, with what others learned that write the same tables."""
    rows = connection.execute(
        """select shape from _tcd_schemas where endpoint = ?1 or table_name in (
               select unnest(json_keys(rows)) from _tcd_loads where endpoint = ?1)
           qualify row_number() over (
               partition by endpoint order by rowid desc) = 1
           order by endpoint <> ?1""",
        [endpoint],
    ).fetchall()
    known: Object | None = None
    for (text,) in rows:
        shape = notation.read(json.loads(text), {}, {})
        if isinstance(shape, Object):
            known = shape if known is None else adopt(known, shape)
    return known


def tables_of_last_load(connection: duckdb.DuckDBPyConnection, endpoint: str) -> list[str]:
    """The tables that an endpoint's newest load that counts wrote; none before its first."""
    row = connection.execute(
        """select json_keys(rows) from _tcd_loads where endpoint = ? and superseded_by is null
           order by rowid desc limit 1""",
        [endpoint],
    ).fetchone()
    return [] if row is None else [str(name) for name in row[0]]


def forget_run(connection: duckdb.DuckDBPyConnection, load: Load) -> list[str]:
    """Take the loads and the quarantine of a run off the books, for a load that replaces them.

    Returns the tables that hold rows of it.
    """
    key = [load.endpoint, load.run_id]
    rows = connection.execute(
        """select distinct unnest(json_keys(rows)) from _tcd_loads
           where endpoint = ? and run_id = ? and superseded_by is null""",
        key,
    ).fetchall()
    loads.supersede(connection, load.endpoint, [load.run_id], load.id)
    return [str(name) for (name,) in rows]


def latest(connection: duckdb.DuckDBPyConnection, endpoint: str, column: str) -> str | None:
    """A fact of the newest load that counts and has one; None where none has."""
    found = _of_loads(connection, endpoint, column)
    return found[0] if found else None


def digest(connection: duckdb.DuckDBPyConnection, endpoint: str) -> str | None:
    """That of the newest load that counts: its rows are what the tables hold."""
    if not _has(connection, "digest"):
        return None
    row = connection.execute(
        """select digest from _tcd_loads where endpoint = ? and superseded_by is null
           order by rowid desc limit 1""",
        [endpoint],
    ).fetchone()
    return None if row is None else row[0]


def stretches(connection: duckdb.DuckDBPyConnection, endpoint: str) -> list[str]:
    """What backfills have read, of all loads that count."""
    return _of_loads(connection, endpoint, "stretch")


def _of_loads(connection: duckdb.DuckDBPyConnection, endpoint: str, column: str) -> list[str]:
    """What the loads of an endpoint that count have in a column, the newest first."""
    if column in _LATER and not _has(connection, column):
        return []
    rows = connection.execute(
        f"""select {column} from _tcd_loads where endpoint = ? and superseded_by is null
            and {column} is not null order by rowid desc""",
        [endpoint],
    ).fetchall()
    return [str(value) for (value,) in rows]


def _has(connection: duckdb.DuckDBPyConnection, column: str) -> bool:
    found = connection.execute(
        """select 1 from duckdb_columns()
           where table_name = '_tcd_loads' and column_name = ?""",
        [column],
    )
    return found.fetchone() is not None


def inherited(connection: duckdb.DuckDBPyConnection, load: Load) -> Load:
    """A load that is made again, with what the ledger knows of the one that it replaces.

    Call it before `forget_run`.
    """
    row = connection.execute(
        """select arg_max(cursor, rowid), arg_max(stretch, rowid) from _tcd_loads
           where endpoint = ? and run_id = ? and superseded_by is null""",
        [load.endpoint, load.run_id],
    ).fetchone()
    cursor, stretch = row or (None, None)
    return replace(load, cursor=cursor, stretch=stretch)


def set_aside_before(connection: duckdb.DuckDBPyConnection, endpoint: str) -> set[str]:
    """The records of an endpoint that are in the quarantine."""
    rows = connection.execute(
        "select record from _tcd_quarantine where endpoint = ?", [endpoint]
    ).fetchall()
    return {str(record) for (record,) in rows}


def settle(connection: duckdb.DuckDBPyConnection, quarantine_ids: Sequence[str]) -> None:
    """Take records out of the quarantine that are stored now."""
    connection.execute(
        "delete from _tcd_quarantine where list_contains(?, quarantine_id)", [list(quarantine_ids)]
    )


def write_load(
    connection: duckdb.DuckDBPyConnection, load: Load, rows: dict[str, int], version: int
) -> None:
    connection.execute(
        """insert into _tcd_loads (load_id, run_id, endpoint, mode, rows, cursor, schema_version,
               archive_file, quarantined, drift, catalog_version, committed_at, stretch, digest,
               token)
           values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        [
            load.id, load.run_id, load.endpoint, load.mode, json.dumps(rows), load.cursor, version,
            load.archive or None, len(load.rejected), len(load.drift), load.catalog_version,
            utc(load.committed_at), load.stretch, load.digest, load.token,
        ],
    )  # fmt: skip
    told = set(
        connection.execute(
            """select table_name, column_name, type from _tcd_drift where endpoint = ?
               qualify row_number() over (
                   partition by table_name, column_name, type order by rowid desc) = 1
               and not starts_with(cause, 'schema rollback')""",
            [load.endpoint],
        ).fetchall()
    )
    _insert(
        connection,
        "_tcd_drift",
        (
            (load.endpoint, d.table, d.column, d.type, d.example, d.cause,
             load.run_id, utc(load.committed_at))
            for d in load.drift
            if (d.table, d.column, d.type) not in told
        ),
    )  # fmt: skip
    _insert(
        connection,
        "_tcd_quarantine",
        (
            (f"{load.id}-{number}", load.endpoint, load.run_id, m.page, m.path, m.reason, m.record,
             m.again, load.archive or None, utc(load.committed_at))
            for number, m in enumerate(load.rejected)
        ),
    )  # fmt: skip
    checked = Checked(load.endpoint, load.run_id, load.id, load.committed_at, load.checks)
    checks.note(connection, checked)


def write_schemas(
    connection: duckdb.DuckDBPyConnection, load: Load, steps: Sequence[Step], cause: str = ""
) -> int:
    """A new version of each table that changes; the newest version of the family's tables.

    The cause is found out where none is given.
    """
    there = _versions(connection, load.family)
    before = _last_catalogue(connection, load.endpoint)
    newest = {name: version for name, (version, _) in there.items()}
    for table in load.family.tables:
        version, key = there.get(table.name, (0, None))
        of_table = [step for step in steps if step.table == table.name]
        changes = [str(step) for step in of_table]
        if key is not None and key != list(table.key):
            changes.append(f"key: {', '.join(key)} -> {', '.join(table.key)}")
        learned = _learned(load, table, {step.column for step in of_table})
        if not changes and not learned:
            continue
        newest[table.name] = version + 1
        entry = versions.SchemaEntry(
            load.endpoint,
            load.run_id,
            table.name,
            version + 1,
            kept(load.family, table),
            table.key,
            changes,
            cause or _cause(load, before, learned=learned),
            load.catalog_version,
            load.family.shape,
            load.committed_at,
            evolve.backup(load.mode, table.name, of_table),
        )
        versions.write(connection, entry)
    return max(newest.values(), default=0)


def _versions(
    connection: duckdb.DuckDBPyConnection, family: TableFamily
) -> dict[str, tuple[int, list[str]]]:
    """The newest version of each table of a family, and its key."""
    rows = connection.execute(
        """select table_name, max(version), arg_max(key, version) from _tcd_schemas
           where list_contains(?, table_name) group by table_name""",
        [[table.name for table in family.tables]],
    ).fetchall()
    return {str(name): (int(version), json.loads(key)) for name, version, key in rows}


def _last_catalogue(connection: duckdb.DuckDBPyConnection, endpoint: str) -> str | None:
    """The version of the catalogue that an endpoint's newest load used, None before the first."""
    # All is fetched: a result that is not read to its end blocks the connection.
    rows = connection.execute(
        "select catalog_version from _tcd_loads where endpoint = ? order by rowid desc limit 1",
        [endpoint],
    ).fetchall()
    return str(rows[0][0]) if rows else None


def _learned(load: Load, table: TableSchema, added: set[str]) -> bool:
    """Whether a load brings columns of a table that the catalogue lacks and that are new.

    They are added, or were there already, of a field that the catalogue lost.
    """
    told = {found.column for found in load.drift if found.table == table.name}
    return any(column.learned for column in table.columns if column.name in told | added)


def _cause(load: Load, before: str | None, *, learned: bool) -> str:
    """Why a table changes: the version of the catalogue before tells it from the configuration."""
    if learned:
        return "drift"
    if before is None:
        return "first load"
    return "catalogue change" if before != load.catalog_version else "configuration"


def _insert(
    connection: duckdb.DuckDBPyConnection, table: str, rows: Iterable[tuple[object, ...]]
) -> None:
    values = list(rows)
    if values:
        marks = ", ".join("?" * len(values[0]))
        connection.executemany(f"insert into {table} values ({marks})", values)
