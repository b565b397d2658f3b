"""What the archive asks of the place where its files live.

A name is relative to the place and has slashes, as `faction_crimes/2026-11-23/RUN.parquet`. The
archive knows nothing of file systems, and a place knows nothing of runs and Parquet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Protocol

PATIENCE: Final = 90.0
"""Seconds after which a request to a bucket ends at the latest, with all times that it was tried
again. A try has a third of them."""


Content = bytes | Callable[[IO[bytes]], None]
"""The bytes of a file; or a function that writes them into a file, twice where it is asked twice.
So large files are never in memory as a whole."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a place.

    Attributes:
        name: relative to the place.
        bytes: its size.
        changed: when it was written, in nanoseconds since 1970.
    """

    name: str
    bytes: int
    changed: int


class Storage(Protocol):
    """A place for files: each is there as a whole, or not at all.

    Every function may raise `WarehouseUnavailable` where a bucket cannot be reached now, and
    `ConfigError` where it may not be used so; the message names the missing permission.
    """

    @property
    def place(self) -> str:
        """The place, as messages name it."""
        ...

    @property
    def halves_folder(self) -> Path:
        """The folder of this machine for what is not whole yet."""
        ...

    def write(self, name: str, content: Content) -> None:
        """Write a file, in place of an earlier one; on return it is durable.

        Raises:
            ConfigError: the place may not be written to.
            DiskFull: the disk is full; nothing was written.
        """
        ...

    def read(self, name: str, last: int | None = None) -> bytes:
        """The bytes of a file.

        Args:
            name: of the file.
            last: how many bytes of its end, None for all; a shorter file is read as a whole.

        Raises:
            FileNotFoundError: there is no such file.
            OSError: the file cannot be read.
        """
        ...

    def read_part(self, name: str, start: int, size: int) -> bytes:
        """Some bytes of a file; fewer where it ends before.

        Args:
            name: of the file.
            start: the place of the first of them.
            size: how many.

        Raises:
            FileNotFoundError: there is no such file.
            OSError: the file cannot be read.
        """
        ...

    def exists(self, name: str) -> bool:
        """Whether there is such a file."""
        ...

    def files(self, prefix: str = "", after: str = "") -> Iterator[StoredFile]:
        """The files below a prefix, in the order of their names; no file is opened.

        Args:
            prefix: "" for all, or a folder with a slash at its end.
            after: only files whose names come after it.
        """
        ...

    def delete(self, names: Iterable[str]) -> None:
        """Delete files; one that is not there is no error."""
        ...

    def deliver(self, name: str = "") -> None:
        """Upload files that wait on the disk of this machine; nothing to do for a folder.

        Args:
            name: the file that has to be in the bucket on return; "" for all files that wait.

        Raises:
            WarehouseUnavailable, ConfigError: the bucket does not take them; they wait on.
        """
        ...

    def halves(self) -> list[Path]:
        """Files on this machine whose write has begun and not ended; their stems name runs."""
        ...

    def local(self, name: str) -> Path | None:
        """The file on the disk of this machine, None where it is not there."""
        ...
