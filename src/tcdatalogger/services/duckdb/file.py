"""A DuckDB file: opened for as long as it is needed, waited for while another program holds it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import duckdb

from tcdatalogger.clock import Clock
from tcdatalogger.errors import ConfigError, Failure, WarehouseUnavailable
from tcdatalogger.observability.log import get_logger

FIRST_PAUSE: Final = 0.02
LONGEST_PAUSE: Final = 0.5
SILENCE: Final = 2.0
"""Seconds after which a wait is worth a word."""

_MAGIC: Final = b"DUCK"
_MAGIC_AT: Final = 8
"""Where a DuckDB file says what it is: four bytes after the checksum of its first block."""

_log = get_logger("warehouse")

_HOLDER = re.compile(r"held in (?P<program>\S+) \(PID (?P<pid>\d+)\)")


def connect(
    path: Path, clock: Clock, patience: float, *, read_only: bool = False
) -> duckdb.DuckDBPyConnection:
    """A connection to the file, in UTC.

    Args:
        path: of the file; its folder is made where it is not there.
        clock: that is slept on while another process holds the file.
        patience: seconds to wait for it.
        read_only: for queries: several readers may have it open at once.

    Raises:
        WarehouseUnavailable: another process holds it, or it is to be read and does not exist.
        ConfigError: it is no DuckDB file, or this user may not write there.
    """
    if read_only and not path.exists():
        raise WarehouseUnavailable(
            f"There is no warehouse {path} yet.", remedy="`tcdatalogger run --all` makes it."
        )
    _make_folder(path)
    _look_at(path)
    began, pause, told = clock.now(), FIRST_PAUSE, False
    while True:
        try:
            connection = duckdb.connect(str(path), read_only=read_only)
            connection.execute("set TimeZone = 'UTC'")
        except duckdb.Error as error:
            failure = _failure(path, error)
            waited = clock.now() - began
            if not isinstance(failure, WarehouseUnavailable) or waited + pause > patience:
                raise failure from None
            if waited > SILENCE and not told:
                _log.warning("waiting for the warehouse", **failure.facts, seconds=patience)
                told = True
            clock.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
        else:
            return connection


def _make_folder(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"The folder {path.parent} cannot be made: {error.strerror}.",
            remedy="Give the warehouse a folder that this user may write to.",
        ) from None


def _look_at(path: Path) -> None:
    """Refuse what is no DuckDB file before DuckDB sees it.

    It would open some other kinds (SQLite) by an extension that it fetches from the network.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_MAGIC_AT + len(_MAGIC))
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigError(
            f"The warehouse {path} cannot be opened: {error.strerror}.",
            remedy="Check that this user may write to it and its folder.",
        ) from None
    if head[_MAGIC_AT:] != _MAGIC:
        raise _no_warehouse(path)


def _no_warehouse(path: Path) -> ConfigError:
    return ConfigError(
        f"{path} is not a DuckDB file that this version can read.",
        remedy="Name another file in `warehouse.url`, or move this one away.",
    )


def _failure(path: Path, error: duckdb.Error) -> Failure:
    text = str(error)
    holder = _HOLDER.search(text)
    if holder is not None:
        program = Path(holder["program"]).name
        return WarehouseUnavailable(
            f"The warehouse {path} is open in another program: {program}, process {holder['pid']}.",
            remedy="Close it there, or open it read-only and only as long as you look at it.",
            holder=holder["pid"],
        )
    if "not a valid DuckDB" in text or isinstance(error, duckdb.SerializationException):
        return _no_warehouse(path)
    return ConfigError(
        f"The warehouse {path} cannot be opened: {_first_line(text)}.",
        remedy="Check that this user may write to it and its folder.",
    )


def _first_line(text: str) -> str:
    return text.partition("\n")[0].removeprefix("IO Error: ").rstrip(".!")


def quoted(name: str) -> str:
    """An identifier in SQL, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'
