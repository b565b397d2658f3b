"""What a run has in its hands and not in memory: one file that nobody else sees.

The file has no name on this machine and is gone with the process, however that ends; on Windows it
has one, and is deleted when it is closed.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import weakref
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from tcdatalogger.errors import DiskFailed

MEMORY: Final = 4 * 2**20
"""Bytes that stay in memory: a run with less never makes a file."""

_PART: Final = ".part"
"""How the file ends where it has a name: what a crash leaves is deleted as other halves are."""


class _File:
    """A file without a name; it is closed when nobody has a piece of it any more."""

    def __init__(self, folder: Path) -> None:
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700, parents=True)
        self._folder = folder
        self._handle: IO[bytes] = tempfile.TemporaryFile(  # noqa: SIM115  # closed with the last piece
            dir=folder, suffix=_PART, buffering=0
        )
        weakref.finalize(self, self._handle.close)
        self._end = 0
        self._last: tuple[int, bytes | memoryview] = (-1, b"")

    def append(self, content: bytes | memoryview) -> int:
        """Write bytes behind all others; their place.

        The disk keeps as much space as the file takes: the archive has to write the same bodies.

        Raises:
            OSError: the disk takes no more; the bytes are not there.
        """
        at, left = self._end, memoryview(content)
        if shutil.disk_usage(self._folder).free < at + 2 * len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._handle.seek(at)
        while left:
            written = self._handle.write(left)
            if not written:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            left = left[written:]
        self._end = at + len(content)
        self._last = at, content
        return at

    def read(self, at: int, size: int) -> bytes:
        """Bytes by their place; those that came or were read last are at hand.

        Raises:
            DiskFailed: the file cannot be read.
        """
        if not size:
            return b""
        if self._last[0] != at:
            try:
                self._handle.seek(at)
                content = self._handle.read(size)
            except OSError as error:
                raise self._failed(str(error.strerror)) from None
            if len(content) != size:
                raise self._failed("it was cut off")
            self._last = at, content
        return bytes(self._last[1])

    def _failed(self, why: str) -> DiskFailed:
        return DiskFailed(
            f"A file of this run in {self._folder} cannot be read: {why}.",
            remedy="Nothing was stored. Look at this disk, and run it again.",
        )


@dataclass(slots=True, eq=False)
class Piece:
    """Bytes in a scratch.

    Attributes:
        content: the bytes, None where they are in the file.
    """

    content: bytes | None
    _file: _File | None = None
    _at: int = 0
    _size: int = 0

    def read(self) -> bytes:
        """The bytes.

        Raises:
            DiskFailed: the file cannot be read.
        """
        if self._file is None:
            return self.content or b""
        return self._file.read(self._at, self._size)

    def move(self, file: _File) -> None:
        """Put the bytes into a file.

        Raises:
            OSError: the disk takes no more; they stay in memory.
        """
        content = self.content or b""
        self._at, self._size = file.append(content), len(content)
        self._file, self.content = file, None


class Scratch:
    """A place for bytes that are read again before the run ends.

    Where the folder takes no file, or has no more space for it and for the archive, all that comes
    stays in memory.

    Args:
        folder: for the file; made with it.
        memory: how many bytes stay in memory before the file is begun.
    """

    def __init__(self, folder: Path, memory: int = MEMORY) -> None:
        self._folder = folder
        self._left = memory
        self._file: _File | None = None
        self._waiting: list[Piece] = []
        self._refused = False

    @property
    def large(self) -> bool:
        """Whether more has come than stays in memory."""
        return self._left < 0

    def put(self, content: bytes | memoryview) -> Piece:
        """Keep bytes; where they are."""
        self._left -= len(content)
        if self.large and not self._refused:
            try:
                return self._beside(content)
            except OSError:
                self._refused = True
        self._waiting.append(Piece(bytes(content)))
        return self._waiting[-1]

    def _beside(self, content: bytes | memoryview) -> Piece:
        """Write bytes into the file, and those that were in memory so far."""
        if self._file is None:
            self._file = _File(self._folder)
        while self._waiting:
            self._waiting[-1].move(self._file)
            self._waiting.pop()
        return Piece(None, self._file, self._file.append(content), len(content))
