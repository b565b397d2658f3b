"""Files copied and compared byte by byte: every copy is synced, and known by its SHA-256."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from tcdatalogger import private
from tcdatalogger.errors import DataRefused

_PIECE: Final = 1 << 20

Progress = Callable[[str, int, int], None]
"""Told of each piece of work: what it is, how many bytes of it are done, and how many there are."""


def silent(_what: str, _done: int, _all: int) -> None:
    """Progress that nobody looks at."""


@dataclass(frozen=True, slots=True)
class FileSum:
    """What a file is known by.

    Attributes:
        bytes: its size.
        sha256: of its content, in hexadecimal.
    """

    bytes: int
    sha256: str


def copy(source: BinaryIO, target: Path, progress: Progress = silent) -> FileSum:
    """Copy an open file, with its times, for its owner alone, and tell what was read.

    Args:
        source: at its beginning.
        target: a file that does not exist; its folder is made where it is not there.
        progress: told of each piece.

    Raises:
        OSError: the target exists, or cannot be written.
    """
    private.folder(target.parent)
    size, done = os.fstat(source.fileno()).st_size, 0
    found = hashlib.sha256()
    with open(target, "xb", opener=private.opener) as file:
        while piece := source.read(_PIECE):
            found.update(piece)
            file.write(piece)
            done += len(piece)
            progress(f"copying {target.name}", done, size)
        file.flush()
        os.fsync(file.fileno())
    facts = os.fstat(source.fileno())
    os.utime(target, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    return FileSum(done, found.hexdigest())


def digest(path: Path, progress: Progress = silent) -> FileSum:
    """What a file is known by, read anew, from the disk itself where the system lets us ask."""
    size, done = path.stat().st_size, 0
    found = hashlib.sha256()
    with path.open("rb") as file:
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        while piece := file.read(_PIECE):
            found.update(piece)
            done += len(piece)
            progress(f"checking {path.name}", done, size)
    return FileSum(done, found.hexdigest())


def expect(path: Path, wanted: FileSum, name: str, progress: Progress = silent) -> None:
    """Refuse a file that is not what it was.

    Args:
        path: of the file.
        wanted: what it was.
        name: for the message.
        progress: told of each piece.

    Raises:
        DataRefused: it is gone, or another one.
    """
    try:
        found = digest(path, progress)
    except FileNotFoundError:
        raise DataRefused(f"The file {name} of the backup is missing.", remedy=_OTHER) from None
    except OSError as error:
        raise DataRefused(
            f"The file {name} of the backup cannot be read: {error.strerror}.", remedy=_OTHER
        ) from None
    if found != wanted:
        what = "another size" if found.bytes != wanted.bytes else "other bytes"
        raise DataRefused(
            f"The file {name} of the backup is damaged: it has {what} than when it was made.",
            remedy=_OTHER,
        )


_OTHER: Final = "Take another backup, and look at the disk."


def sync_folder(folder: Path) -> None:
    """Make names last: without it they may be gone after a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folders(root: Path) -> None:
    """As `sync_folder`, for a folder and all within."""
    for folder in [root, *(path for path in root.rglob("*") if path.is_dir())]:
        sync_folder(folder)
