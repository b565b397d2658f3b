"""The DuckDB of this process: made once, and lent to all that write a file.

To make a DuckDB takes longer than to store a small load. So a process keeps the one that it has
made: a file is attached for as long as it is needed, and its lock ends when it is detached.

A lock belongs to a process, not to a connection: whoever opens a file a second time and closes it
takes the lock from the first. So each file that is open for writing has one DuckDB here, which is
lent to all parts of the process, and no part opens such a file in another way.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

import duckdb

from tcdatalogger import ending
from tcdatalogger.errors import WarehouseUnavailable
from tcdatalogger.services.duckdb import lock_table

ALONE: Final[dict[str, bool | int | float | str | list[str]]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}
"""Without this, DuckDB would open files of other kinds by an extension that it fetches from the
network. The kind of a file cannot be looked at before: whoever opens the file and closes it again
ends the locks that this process has on it.
"""

_TAKEN: Final = ("memory", "system", "temp")
"""Names of databases that every connection has."""


@dataclass(slots=True)
class _Engine:
    """A DuckDB without a file of its own.

    Attributes:
        own: its first connection; all that are lent are made from it.
        file: the last file that it had attached; "" before the first.
        users: how many connections to the file are lent.
        good: whether all of them ended well.
    """

    own: duckdb.DuckDBPyConnection
    file: str = ""
    users: int = 0
    good: bool = True


@dataclass(slots=True)
class _Engines:
    """What this process has of them.

    Attributes:
        idle: one that has no file now.
        lent: those whose file is attached, by the file.
        readers: how many connections that only read each file has.
        lock: held for each change, and while a file is looked at.
    """

    idle: _Engine | None = None
    lent: dict[str, _Engine] = field(default_factory=dict)
    readers: Counter[str] = field(default_factory=Counter)
    lock: threading.RLock = field(default_factory=threading.RLock)


@cache
def _of(pid: int) -> _Engines:  # noqa: ARG001  # a child has nothing of its parent's
    return _Engines()


def _here() -> _Engines:
    return _of(os.getpid())


def prepare() -> None:
    """Make a DuckDB for the children of this process, which is to be forked.

    It has no thread of its own, as a child would lack it: not one to work, of which the first large
    load gives it more (`Session.spare_no_more`), and none to read ahead.
    """
    global _prepared  # noqa: PLW0603  # what all children inherit
    with suppress(duckdb.Error):  # a later one without these settings: each child makes its own
        _prepared = _Engine(duckdb.connect(config={**ALONE, "threads": 1, "async_threads": 0}))


_prepared: _Engine | None = None


def lend(path: Path) -> duckdb.DuckDBPyConnection:
    """A connection to a file, for writing; the file is locked until `take_back`.

    Raises:
        duckdb.Error: the file cannot be opened.
        WarehouseUnavailable: this process reads it.
    """
    here, file = _here(), os.path.realpath(path)
    with ending.held(), here.lock:
        if here.readers[file]:
            raise elsewhere(path)
        engine = here.lent.get(file) or _attached(here, path, file)
        connection = engine.own.cursor()
        connection.execute(f"use {quoted(database(path))}")
        engine.users += 1
        here.lent[file] = engine
        return connection


def take_back(path: Path, connection: duckdb.DuckDBPyConnection, *, good: bool) -> None:
    """End a connection that was lent; with the last one the file is let go.

    Args:
        path: of the file.
        connection: that was lent.
        good: whether it was used without an error; the DuckDB is used again only then.
    """
    here, file = _here(), os.path.realpath(path)
    with ending.held(), here.lock:
        engine = here.lent.get(file)
        if engine is None:
            return  # of the process that this one was forked from
        connection.close()
        engine.users -= 1
        engine.good = engine.good and good
        if not engine.users:
            del here.lent[file]
            _let_go(here, engine, path)


def read(path: Path) -> duckdb.DuckDBPyConnection:
    """A connection for reading, beside others that read; to be given to `end_reading`.

    Raises:
        duckdb.Error: the file cannot be opened.
        WarehouseUnavailable: this process writes it.
    """
    here, file = _here(), os.path.realpath(path)
    with here.lock:
        if file in here.lent:
            raise elsewhere(path)
        connection = duckdb.connect(str(path), read_only=True, config=ALONE)
        here.readers[file] += 1
        return connection


def end_reading(path: Path, connection: duckdb.DuckDBPyConnection) -> None:
    """End a connection for reading."""
    here, file = _here(), os.path.realpath(path)
    with ending.held(), here.lock:
        connection.close()
        here.readers[file] = max(0, here.readers[file] - 1)


def holder(path: Path, *, read_only: bool) -> int | None:
    """As `lock_table.holder`; None where this process has the file open, as it may not look."""
    here, file = _here(), os.path.realpath(path)
    with here.lock:
        if file in here.lent or here.readers[file]:
            return None
        return lock_table.holder(path, read_only=read_only)


def database(path: Path) -> str:
    """How DuckDB calls the database of a file, so that views of a user's find it by its name."""
    name = path.name.lstrip(".").partition(".")[0]
    return f"{name}_db" if name in _TAKEN else name


def quoted(name: str) -> str:
    """An identifier in SQL, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def attach(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    options: str = "",
    values: Mapping[str, str] | None = None,
) -> None:
    """Attach a file; what does not fit into memory goes beside it.

    Its kind is said, so that DuckDB does not open the file before it to find out.

    Args:
        connection: of a DuckDB in memory.
        path: of the file.
        options: of the statement, each with a comma before it.
        values: of the parameters in them.

    Raises:
        duckdb.Error: it cannot be opened.
    """
    connection.execute("set temp_directory = ?", [f"{path}.tmp"])
    file, name = str(path).replace("'", "''"), quoted(database(path))
    connection.execute(f"attach '{file}' as {name} (type duckdb{options})", values)


def _attached(here: _Engines, path: Path, file: str) -> _Engine:
    """A DuckDB with the file: the idle one, where it had no other file, or a new one."""
    engine, here.idle = here.idle or _inherited(), None
    if engine is None or engine.file not in {"", file}:
        engine = _Engine(duckdb.connect(config=ALONE))
    try:
        attach(engine.own, path)
    except duckdb.IOException:  # such as a lock of another process: it is tried again
        here.idle = engine
        raise
    except BaseException:
        engine.own.close()
        raise
    engine.file, engine.good = file, True
    return engine


def _inherited() -> _Engine | None:
    """What `prepare` made before the fork, once in each child."""
    global _prepared  # of this process alone
    found, _prepared = _prepared, None
    return found


def _let_go(here: _Engines, engine: _Engine, path: Path) -> None:
    """Detach the file; a DuckDB that is in doubt, or has files of its own beside it, ends too."""
    if engine.good and here.idle is None and not Path(f"{path}.tmp").exists():
        try:
            engine.own.execute(f"detach {quoted(database(path))}")
        except duckdb.Error:
            pass  # closing lets the file go, whatever is wrong
        else:
            here.idle = engine
            return
    engine.own.close()


def elsewhere(path: Path) -> WarehouseUnavailable:
    """The error for a file that this process has open in another way."""
    return WarehouseUnavailable(
        f"The warehouse {path} is open in another part of this program.", remedy="Try again."
    )
