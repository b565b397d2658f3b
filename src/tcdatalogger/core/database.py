"""A SQLite file that several processes and threads write: one transaction at a time."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Final, Self

from tcdatalogger.errors import Busy, ConfigError, Failure

_PATIENCE: Final = 15.0
"""Seconds to wait for another process that writes."""


class Database:
    """An open file.

    Args:
        path: of the file; made where it is not there.
        schema: the statements that make its tables where they are not there.

    Raises:
        ConfigError: it cannot be opened or written.
    """

    def __init__(self, path: Path, schema: str) -> None:
        self.path = path
        self._alone = Lock()  # the threads of a process share one connection
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(
                path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
            )
            self._db.execute("pragma journal_mode = wal")
            self._db.execute("pragma synchronous = normal")
            self._db.executescript(schema)
        except (OSError, sqlite3.Error) as error:
            why = getattr(error, "strerror", None) or error
            raise ConfigError(
                f"The state database {path} cannot be used: {why}.",
                remedy="Give it a place that this user may write to, in `state.url`.",
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction; other writers wait for it.

        Raises:
            Busy: another process writes for longer than we wait.
            ConfigError: the file cannot be written any more.
        """
        try:
            with self._alone:
                self._db.execute("begin immediate")
                try:
                    yield self._db
                except BaseException:  # Ctrl-C and an alarm too: nothing half-written may stay
                    self._db.execute("rollback")
                    raise
                self._db.execute("commit")
        except sqlite3.OperationalError as error:
            raise self._failure(error) from None

    def reading(self, query: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query; other processes are not waited for.

        To the end and at once: a statement that is left half read would keep the connection at an
        old state of the file, from which no thread could write.
        """
        with self._alone:
            return self._db.execute(query, values).fetchall()

    def _failure(self, error: sqlite3.OperationalError) -> Failure:
        if error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            return Busy(
                f"The state database {self.path} is being written by another process.",
                remedy="Try again.",
            )
        return ConfigError(
            f"The state database {self.path} cannot be written: {error}.",
            remedy="Look at the disk's space, and whether this user may write there.",
        )
