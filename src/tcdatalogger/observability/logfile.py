"""A log file that several processes write and that begins anew when it is large.

Each writer locks a file beside it for the time of one line. So nobody writes into a file that has
been renamed, and each line is in exactly one of them. `docs/decisions/30-logs.md` says why no
library does this.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

from tcdatalogger import private

fcntl: Any = None
with suppress(ImportError):  # not on Windows, where a file that is open cannot be renamed either
    import fcntl


class LogFile:
    """The end of a log file.

    A forked child opens it anew, as a lock that it inherits would be its parent's.

    Args:
        path: of the file; made where it is not there.
        max_bytes: a line that would make it larger goes into a new file; 0 for no limit.
        keep: how many old files stay, as `PATH.1` (the newest), `PATH.2` and so on.

    Raises:
        OSError: it cannot be written.
    """

    def __init__(self, path: Path, max_bytes: int = 0, keep: int = 5) -> None:
        self._path = path
        self._max_bytes = max_bytes if fcntl is not None else 0
        self._keep = keep
        self._file = self._lock = self._process = -1
        private.folder(path.parent)
        self._open()

    def isatty(self) -> bool:
        """False: nobody reads it as it is written."""
        return False

    def write(self, text: str) -> int:
        """Append whole lines at once.

        Raises:
            OSError: they cannot be written.
            ValueError: the file is closed.
        """
        if self._process == -1:
            raise ValueError("The log file is closed.")
        if self._process != os.getpid():
            self._process = -1  # the numbers are the parent's too; closing ours does not close its
            self._shut()
            self._open()
        data = text.encode("utf-8", "backslashreplace")
        with self._locked():
            self._follow()
            if not self._fits(data):
                self._rotate()
            return self._append(data)

    def flush(self) -> None:
        """Nothing: a line is with the system when `write` returns."""

    def close(self) -> None:
        """Close it; a second time does nothing."""
        self._process = -1
        self._shut()

    def _shut(self) -> None:
        for number in (self._file, self._lock):
            if number != -1:
                with suppress(OSError):
                    os.close(number)
        self._file = self._lock = -1

    def _open(self) -> None:
        self._file = private.opener(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        if self._max_bytes:
            lock = self._path.with_name(f".{self._path.name}.lock")
            self._lock = private.opener(lock, os.O_RDWR | os.O_CREAT)
        self._process = os.getpid()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if self._lock == -1:
            yield
            return
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def _follow(self) -> None:
        """Open the file that has the name now, where another process has put ours away."""
        ours = os.fstat(self._file)
        try:
            named = self._path.stat()
        except FileNotFoundError:
            named = None
        if named is None or (named.st_dev, named.st_ino) != (ours.st_dev, ours.st_ino):
            fresh = private.opener(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.close(self._file)
            self._file = fresh

    def _fits(self, data: bytes) -> bool:
        size = os.fstat(self._file).st_size
        return not self._max_bytes or size == 0 or size + len(data) <= self._max_bytes

    def _rotate(self) -> None:
        if not self._keep:
            os.ftruncate(self._file, 0)
            return
        names = [self._path, *(self._old(number) for number in range(1, self._keep + 1))]
        for newer, older in reversed(list(pairwise(names))):
            with suppress(FileNotFoundError):
                newer.replace(older)
        self._follow()

    def _old(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

    def _append(self, data: bytes) -> int:
        written = 0
        while written < len(data):
            written += os.write(self._file, data[written:])
        return written
