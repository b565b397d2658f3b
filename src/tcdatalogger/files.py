"""Copy files and compare them by SHA-256; every copy is synced to the disk."""

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
"""Called after each piece of work with its name, the bytes that are done and the bytes in all."""


def silent(_what: str, _done: int, _all: int) -> None:
    """Show no progress: the default for `progress`."""


@dataclass(frozen=True, slots=True)
class FileSum:
    """The size and the checksum of a file.

    Attributes:
        bytes: the size in bytes.
        sha256: the SHA-256 of the content, in hexadecimal.
    """

    bytes: int
    sha256: str


def copy(source: BinaryIO, target: Path, progress: Progress = silent) -> FileSum:
    """Copy an open file with its times; only the owner can read the copy.

    Args:
        source: an open file, read from where it stands.
        target: a file that does not exist yet; a missing folder is made.
        progress: called after each piece.

    Returns:
        The size and checksum of the bytes that were read.

    Raises:
        OSError: the target exists, or cannot be written.
    """
    private.folder(target.parent)
    size, done = os.fstat(source.fileno()).st_size, 0
    checksum = hashlib.sha256()
    with open(target, "xb", opener=private.opener) as file:
        while piece := source.read(_PIECE):
            checksum.update(piece)
            file.write(piece)
            done += len(piece)
            progress(f"copying {target.name}", done, size)
        file.flush()
        os.fsync(file.fileno())
    facts = os.fstat(source.fileno())
    os.utime(target, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    return FileSum(done, checksum.hexdigest())


def digest(path: Path, progress: Progress = silent) -> FileSum:
    """The size and checksum of a file, read from the disk and not from the cache where possible."""
    size, done = path.stat().st_size, 0
    checksum = hashlib.sha256()
    with path.open("rb") as file:
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        while piece := file.read(_PIECE):
            checksum.update(piece)
            done += len(piece)
            progress(f"checking {path.name}", done, size)
    return FileSum(done, checksum.hexdigest())


def expect(path: Path, wanted: FileSum, name: str, progress: Progress = silent) -> None:
    """Refuse a file whose size or checksum is not the expected one.

    Args:
        path: the file.
        wanted: the expected size and checksum.
        name: how the message calls the file.
        progress: called after each piece.

    Raises:
        DataRefused: the file is missing, cannot be read, or differs.
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
    """Sync a folder: without this, new file names may be lost after a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folders(root: Path) -> None:
    """Sync a folder and all folders inside it."""
    for folder in [root, *(path for path in root.rglob("*") if path.is_dir())]:
        sync_folder(folder)
