"""The analyst's copy of the warehouse: where it lies, when it is made anew, and who asks it.

It is made when SQL is asked the first time, and again when something was stored since and it is ten
minutes old. It belongs to the process of the pages, which takes it away at its end.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final

import pyarrow as pa

from tcdatalogger import disk
from tcdatalogger.clock import Clock
from tcdatalogger.core.config import sizes
from tcdatalogger.core.config.settings import WarehouseSettings
from tcdatalogger.errors import (
    Busy,
    ConfigError,
    TimedOut,
    TryAgain,
    UsageError,
    WarehouseUnavailable,
)
from tcdatalogger.services.warehouse.protocol import READING
from tcdatalogger.web.sql_process import Copy, Helper, Query

OLD: Final = 600.0
"""Seconds for which a copy serves, even if something was stored since."""
PATIENCE: Final = 5.0
"""Seconds to wait for a warehouse that a run writes to."""
LARGEST_FILE: Final = 1_000_000_000
"""Bytes of the largest warehouse that is copied: a run that wants to write waits meanwhile."""

_Version = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class AnalystCopy:
    """A copy of the warehouse.

    Attributes:
        file: of the copy.
        made_at: the moment that it shows, in seconds since 1970.
        size: in bytes.
        version: what the files of the warehouse were known by: name, time and size of each.
    """

    file: Path
    made_at: float
    size: int
    version: _Version


@dataclass(frozen=True, slots=True)
class Found:
    """What a query found.

    Attributes:
        rows: the first ones.
        more: whether there are more.
        seconds: that it took.
    """

    rows: pa.Table
    more: bool
    seconds: float


class Analyst:
    """Asks anybody's SQL of a copy of the warehouse, one query at a time. Threads may share it.

    Args:
        warehouse: the settings of a warehouse in a file.
        clock: the source of time.
        environ: in which the key of an encrypted warehouse is.
    """

    def __init__(
        self, warehouse: WarehouseSettings, clock: Clock, environ: Mapping[str, str]
    ) -> None:
        self._file = (warehouse.file or Path()).absolute()
        self._folder = self._file.with_name(f"{self._file.name}.analyst")
        self._key = warehouse.encryption_key
        self._clock = clock
        self._turn = Lock()
        self._helper = Helper(environ)
        self._closed = False
        self._copy: AnalystCopy | None = None
        self._too_slow: tuple[TimedOut, float] | None = None

    @property
    def copy(self) -> AnalystCopy | None:
        """The copy that was asked last; None before the first."""
        return self._copy

    def ask(self, sql: str, most: int) -> Found:
        """The answer to a query.

        Args:
            sql: the query.
            most: rows that are wanted, the first ones.

        Raises:
            UsageError: it is refused, or the warehouse is too large to be copied.
            TimedOut: it took too long.
            Busy: another query is being asked.
            WarehouseUnavailable: there is no warehouse yet, or it cannot be copied now.
            ConfigError: the copy cannot be made, or the key of the warehouse is not there.
        """
        if not self._turn.acquire(timeout=READING.seconds):
            raise Busy("Another query is being asked.", remedy="Wait until it has ended.")
        try:
            if self._closed:
                raise Busy("The pages are being ended.")
            file = self._current().file
            query = Query(str(file), self._key, sql, most + 1, READING)
            ended, body = self._helper.do(query)
        finally:
            self._turn.release()
        rows = pa.ipc.open_stream(body).read_all()
        return Found(rows.slice(0, most), rows.num_rows > most, ended.seconds)

    def close(self) -> None:
        """End a query that is being asked, and take the copy away; that of others stays."""
        self._closed = True
        self._helper.kill()
        with self._turn:
            self._helper.close()
            if self._copy is not None:
                shutil.rmtree(self._copy.file.parent, ignore_errors=True)
            with suppress(OSError):  # there is none, or another process has its copy in it
                self._folder.rmdir()
            self._copy = None

    def _current(self) -> AnalystCopy:
        """The copy, made anew where it has to be; an older one while a new one cannot be made."""
        there, now = self._copy, self._clock.now()
        if there is not None and not there.file.exists():  # of another process with these pages
            there = None
        version = self._version()
        if there is not None and (there.version == version or 0 <= now - there.made_at < OLD):
            return there
        try:
            if self._too_slow is not None and 0 <= now - self._too_slow[1] < OLD:
                raise self._too_slow[0]  # no run has to wait for that again
            self._copy = self._copied(version, now)
        except TryAgain as error:
            if isinstance(error, TimedOut) and self._too_slow is None:
                self._too_slow = error, now
            if there is None:
                raise
            return there
        self._too_slow = None
        return self._copy

    def _version(self) -> _Version:
        parts = [self._file, *sorted(self._file.parent.glob(f"{self._file.name}.wal*"))]
        found = [(part.name, part.stat()) for part in parts if part.exists()]
        return tuple((name, facts.st_mtime_ns, facts.st_size) for name, facts in found)

    def _copied(self, version: _Version, now: float) -> AnalystCopy:
        size = sum(bytes_ for _, _, bytes_ in version)
        if not self._file.exists():
            raise WarehouseUnavailable(
                "Nothing is stored yet.", remedy="`tcdatalogger run --all` stores the first rows."
            )
        if size > LARGEST_FILE:
            raise UsageError(
                f"The warehouse has {sizes.shown(size)}; this page copies "
                f"{sizes.shown(LARGEST_FILE)} at most, as runs wait meanwhile.",
                remedy="`tcdatalogger query 'SQL'` asks the warehouse itself; `tcdatalogger "
                "backup` makes a copy that any DuckDB opens.",
            )
        before = self._copy
        try:
            if before is None:
                shutil.rmtree(self._folder, ignore_errors=True)  # of a process that was killed
            self._folder.mkdir(mode=0o700, exist_ok=True)
            if shutil.disk_usage(self._folder).free < 2 * size:
                raise disk.full(f"the copy {self._folder}", remedy=disk.SPACE)
            folder = self._folder / f"{now:.6f}"
            folder.mkdir(mode=0o700)
            try:
                self._helper.do(Copy(str(self._file), self._key, str(folder), PATIENCE))
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
        except OSError as error:
            raise ConfigError(
                f"The copy {self._folder} cannot be made: {error.strerror}.",
                remedy="Give the pages a folder beside the warehouse that they may write to.",
            ) from None
        if before is not None:
            shutil.rmtree(before.file.parent, ignore_errors=True)
        return AnalystCopy(folder / self._file.name, now, size, version)
