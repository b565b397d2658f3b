"""Copies a SQLite file as of one moment, while other processes write to it."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

from tcdatalogger import disk, private
from tcdatalogger.core.state.sqlite import reader
from tcdatalogger.errors import DataRefused, Failure, WarehouseUnavailable
from tcdatalogger.services.warehouse.protocol import TableSum


def copy(source: Path, target: Path) -> dict[str, TableSum]:
    """Copy a file; returns the sums of its tables.

    The sums are of the same moment as the copy, and they are compared with those of the copy.

    Raises:
        DataRefused: the file is damaged.
        WarehouseUnavailable: the file cannot be read now.
        DiskFull: the disk is too full for the copy.
        OSError: the copy cannot be written.
    """
    private.folder(target.parent)
    private.file(target)
    try:
        with closing(reader(source)) as there, closing(sqlite3.connect(target)) as here:
            there.execute("begin")  # so sums and copy are of the same moment
            wanted = _sums(there)
            there.backup(here)
            # The copy is one file, without other files beside it.
            here.execute("pragma journal_mode = delete")
    except sqlite3.Error as error:
        # What SQLite gave back when it failed may be space again.
        if _says_full(error) or disk.is_full(target.parent):
            raise disk.full(f"the backup {target}") from None
        raise _failure(source, error) from None
    if sums(target) != wanted:
        raise DataRefused(f"The copy of the state {source} is not what was read.")
    return wanted


def make_one_file(path: Path) -> None:
    """Put all of a copy that was changed into the one file, without other files beside it.

    Raises:
        DataRefused: the file is damaged.
    """
    try:
        with closing(sqlite3.connect(path)) as here:
            here.execute("pragma journal_mode = delete").fetchall()
    except sqlite3.Error as error:
        raise _failure(path, error) from None


def sums(path: Path) -> dict[str, TableSum]:
    """The sums of every table of a file.

    Raises:
        DataRefused: the file is damaged.
    """
    try:
        with closing(reader(path)) as opened:
            (result,) = opened.execute("pragma integrity_check(1)").fetchone()
            if result != "ok":
                raise DataRefused(f"The state {path} is damaged: {result}.", remedy=_LOST)
            return _sums(opened)
    except sqlite3.Error as error:
        raise _failure(path, error) from None


def _sums(connection: sqlite3.Connection) -> dict[str, TableSum]:
    names = [
        str(name)
        for (name,) in connection.execute(
            "select name from sqlite_schema where type = 'table' and name not like 'sqlite\\_%' "
            "escape '\\' order by name"
        )
    ]
    found = {}
    for name in names:
        rows = total = 0
        for row in connection.execute(f'select * from "{name.replace(chr(34), chr(34) * 2)}"'):
            rows += 1
            total += int.from_bytes(hashlib.sha256(repr(row).encode()).digest()[:8], "big")
        found[name] = TableSum(rows, str(total))
    return found


def _says_full(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) == sqlite3.SQLITE_FULL


def _failure(path: Path, error: sqlite3.Error) -> Failure:
    if isinstance(error, sqlite3.OperationalError):
        return WarehouseUnavailable(f"The state {path} cannot be copied now: {error}.")
    return DataRefused(f"The state {path} is damaged: {error}.", remedy=_LOST)


_LOST = "It can be moved away: nothing in it is needed to keep data right."
