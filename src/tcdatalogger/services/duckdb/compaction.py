"""A DuckDB file written anew: what was changed or deleted in it is nowhere in its bytes any more.

DuckDB leaves old rows in blocks that are free, until others take their place. So all tables are
copied into a new file beside, which is compared and then gets the name of the old one. Nobody can
write meanwhile: the old file is open for reading, and its log is empty. Killed at any moment, the
one or the other file is there as a whole, without a log of the other.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

import duckdb

from tcdatalogger import disk, ending, files, private
from tcdatalogger.clock import Clock
from tcdatalogger.errors import DataRefused, WarehouseUnavailable
from tcdatalogger.services.duckdb import connection as duckdb_file
from tcdatalogger.services.duckdb import engine
from tcdatalogger.services.duckdb.connection import connect
from tcdatalogger.services.duckdb.engine import quoted
from tcdatalogger.services.warehouse.protocol import EncryptionKey

FRESH: Final = ".fresh"
"""The ending of the new file until it has its name."""

_FRESH: Final = "_tcd_fresh"
"""The name of the new file's database."""

_TRIES: Final = 20
_PAUSE: Final = 0.25


def compact(path: Path, clock: Clock, patience: float, *, key: EncryptionKey | None = None) -> None:
    """Write a file anew.

    Args:
        path: of the file; nobody in this process has it open.
        clock: as `connect` takes it.
        patience: as `connect` takes it.
        key: of an encrypted file.

    Raises:
        WarehouseUnavailable, ConfigError: as `connect`; the file is as it was.
        DataRefused: what was written is not the same; the file is as it was.
        DiskFull: the file is as it was.
    """
    fresh = path.with_name(f"{path.name}{FRESH}")
    for _ in range(_TRIES):
        _remove(fresh)
        opened = connect(path, clock, patience, key=key)
        try:
            opened.connection.execute("checkpoint")
        finally:
            opened.close()
        try:
            with private.umask():
                done = _written(path, fresh, key)
        except duckdb.Error as error:
            _remove(fresh)
            ending.check()
            raise _failure(path, error) from None
        except BaseException:
            _remove(fresh)
            raise
        if done:
            return
        clock.sleep(_PAUSE)  # somebody wrote between
    raise WarehouseUnavailable(
        f"The warehouse {path} is written all the time, and cannot be written anew."
    )


def _written(path: Path, fresh: Path, key: EncryptionKey | None) -> bool:
    """Copy all into the new file and give it the name; False where the old one was written to."""
    with _reading(path, key) as connection:
        if any(path.parent.glob(f"{path.name}.wal*")):
            return False
        [(old,)] = connection.execute("select current_database()").fetchall()
        told = ", read_write" + ("" if key is None else ", encryption_key $key")
        values = None if key is None else {"key": key.reveal()}
        file = str(fresh).replace("'", "''")
        connection.execute(f"attach '{file}' as {_FRESH} (type duckdb{told})", values)
        connection.execute(f"copy from database {quoted(old)} to {_FRESH}")
        before, after = _sums(connection, str(old)), _sums(connection, _FRESH)
        if before != after:
            names = [name for (_, name), sums in before.items() if sums not in after.values()]
            raise DataRefused(
                f"The warehouse {path} cannot be written anew: {', '.join(names)} would not be "
                "the same.",
                remedy="It is as it was. `tcdatalogger check` looks at it.",
            )
        connection.execute(f"detach {_FRESH}")
        if any(fresh.parent.glob(f"{fresh.name}.wal*")):
            raise DataRefused(f"The warehouse {path} cannot be written anew: it has a log left.")
        handle = os.open(fresh, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        fresh.replace(path)
        files.sync_folder(path.parent)
    return True


@contextmanager
def _reading(path: Path, key: EncryptionKey | None) -> Iterator[duckdb.DuckDBPyConnection]:
    """The old file, open for reading until the end of the block: nobody writes it meanwhile."""
    if key is None:
        connection = engine.read(path)
        try:
            connection.execute("set enable_progress_bar = false")
            connection.execute("set temp_directory = ?", [f"{path}.tmp"])
            yield connection
        finally:
            engine.end_reading(path, connection)
        return
    with closing(duckdb.connect(config=engine.ALONE)) as connection:
        connection.execute("set enable_progress_bar = false")
        duckdb_file.load_cipher(connection, required=True)
        connection.execute("set temp_file_encryption = true")
        options = ", read_only, encryption_key $key"
        engine.attach(connection, path, options, {"key": key.reveal()})
        connection.execute(f"use {quoted(engine.database(path))}")
        yield connection


def _sums(
    connection: duckdb.DuckDBPyConnection, database: str
) -> Mapping[tuple[str, str], tuple[object, ...]]:
    """What the tables of an attached file are known by; all rows are read."""
    rows = connection.execute(
        """select schema_name, table_name, column_name from duckdb_columns()
           semi join (select database_oid, table_oid from duckdb_tables() where not temporary)
           using (database_oid, table_oid)
           where database_name = ? and not internal
           order by schema_name, table_name, column_index""",
        [database],
    ).fetchall()
    columns: dict[tuple[str, str], list[str]] = {}
    for schema, table, column in rows:
        columns.setdefault((schema, table), []).append(column)
    found = {}
    for (schema, table), names in columns.items():
        sql = (
            f"select count(*), coalesce(sum(hash({', '.join(map(quoted, names))})), 0) "
            f"from {quoted(database)}.{quoted(schema)}.{quoted(table)}"
        )
        found[schema, table] = tuple(connection.execute(sql).fetchone() or ())
    return found


def _remove(fresh: Path) -> None:
    for path in (fresh, *fresh.parent.glob(f"{fresh.name}.wal*")):
        with suppress(OSError):
            path.unlink()


def _failure(path: Path, error: duckdb.Error) -> Exception:
    text = str(error)  # its last line may be the one that has the cause
    if disk.is_full(path.parent, text):
        return disk.full(f"the warehouse {path}", remedy="It is as it was. Make space.")
    return WarehouseUnavailable(
        f"The warehouse {path} cannot be written anew: {' '.join(text.split()).rstrip('.')}.",
        remedy="It is as it was.",
    )
