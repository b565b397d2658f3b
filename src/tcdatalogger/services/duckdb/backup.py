"""A copy of a DuckDB file, byte for byte, made while nobody may write to it.

The file is copied as it is, with its write-ahead log, under a shared lock: readers go on, and who
wants to write waits for about as long as the disk takes to read it. That keeps what a copy through
SQL would not: the places of rows (the ledger goes by them), indexes, and the encryption. It also
needs no cipher to write, and leaves nothing unencrypted behind.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path

import duckdb

from tcdatalogger import ending, files
from tcdatalogger.clock import Clock
from tcdatalogger.errors import DataRefused
from tcdatalogger.files import FileSum, Progress, silent
from tcdatalogger.observability.log import get_logger
from tcdatalogger.services.duckdb.connection import connect
from tcdatalogger.services.duckdb.engine import quoted
from tcdatalogger.services.warehouse.protocol import Backup, EncryptionKey, TableSum

_log = get_logger("warehouse")


def back_up(
    path: Path,
    folder: Path,
    clock: Clock,
    patience: float,
    *,
    key: EncryptionKey | None = None,
    progress: Progress = silent,
    checked: bool = True,
) -> Backup:
    """Copy a file into a folder, and check the copy: its bytes, and that every row can be read.

    Args:
        path: of the file.
        folder: that is there, and has no file of the name yet.
        clock: as `connect` takes it.
        patience: as `connect` takes it.
        key: of an encrypted file.
        progress: told of each piece.
        checked: False for a copy that is no backup: then `tables` is empty.

    Raises:
        WarehouseUnavailable, ConfigError: as `connect`.
        DataRefused: the file is damaged, or the copy is not what was read.
        OSError: the copy cannot be written.
    """
    copied = _copied(path, folder, clock, patience, key, progress)
    tables = {}
    if checked:
        for name, wanted in copied.items():
            files.expect(folder / name, wanted, name, progress)
        tables = sums(folder / path.name, clock, patience, key=key, called=str(path))
    return Backup(
        kind="duckdb",
        engine=duckdb.__version__,
        file=path.name,
        encrypted=key is not None,
        files=copied,
        tables=tables,
    )


def _copied(
    path: Path,
    folder: Path,
    clock: Clock,
    patience: float,
    key: EncryptionKey | None,
    progress: Progress,
) -> Mapping[str, FileSum]:
    # Closing any handle of a file gives up the process's lock on it: so those of ours are closed
    # last of all, when the connection is closed already.
    with ExitStack() as handles:
        opened = connect(path, clock, patience, read_only=True, key=key)
        began = time.perf_counter()
        try:
            # The log of a process that was killed is a part of the file.
            parts = [path, *sorted(path.parent.glob(f"{path.name}.wal*"))]
            found = {
                part.name: files.copy(
                    handles.enter_context(part.open("rb")), folder / part.name, progress
                )
                for part in parts
            }
        finally:
            opened.close()
    seconds = round(time.perf_counter() - began, 3)
    size = sum(part.bytes for part in found.values())
    _log.info("warehouse_copied", seconds_locked=seconds, bytes=size)
    return found


def sums(
    path: Path, clock: Clock, patience: float, *, key: EncryptionKey | None = None, called: str = ""
) -> dict[str, TableSum]:
    """What every table of a file is known by; all rows are read.

    Two versions of DuckDB may give one row different sums.

    Args:
        path: of the file; nothing is written to it.
        clock: as `connect` takes it.
        patience: as `connect` takes it.
        key: of an encrypted file.
        called: the name of the file in messages, where not its own.

    Raises:
        WarehouseUnavailable, ConfigError: as `connect`.
        DataRefused: a table cannot be read.
    """
    found: dict[str, TableSum] = {}
    with closing(connect(path, clock, patience, read_only=True, key=key)) as opened:
        connection = opened.connection
        for (schema, name), columns in _tables(connection).items():
            label = name if schema == "main" else f"{schema}.{name}"
            try:
                row = connection.execute(
                    f"select count(*), coalesce(sum(hash({', '.join(map(quoted, columns))})), 0) "
                    f"from {quoted(schema)}.{quoted(name)}"
                ).fetchone()
            except duckdb.Error:
                ending.check()
                raise DataRefused(
                    f"The table {label} of {called or path} cannot be read: the file is damaged.",
                    remedy="`tcdatalogger rebuild` makes it again from the archive.",
                ) from None
            rows, checksum = row or (0, 0)
            found[label] = TableSum(int(rows), str(int(checksum)))
    return found


def _tables(connection: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], list[str]]:
    """The columns of every table, by its schema and name."""
    rows = connection.execute(
        """select schema_name, table_name, column_name from duckdb_columns()
           semi join (select database_oid, table_oid from duckdb_tables() where not temporary)
           using (database_oid, table_oid)
           where database_name = current_database() and not internal
           order by schema_name, table_name, column_index"""
    ).fetchall()
    found: dict[tuple[str, str], list[str]] = {}
    for schema, table, column in rows:
        found.setdefault((schema, table), []).append(column)
    return found
