"""Recognises a full disk, so that the error says so."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

from tcdatalogger.errors import DiskFull, Failure

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_PIECE: Final = 1 << 16
"""Bytes that must fit: SQLite needs some to open its file, and some more for pages."""

SPACE: Final = "Make space, and run it again."


def failure(error: OSError, place: str, otherwise: Failure, *, remedy: str = SPACE) -> Failure:
    """The failure for a write that failed: `DiskFull` for a full disk, else `otherwise`.

    Args:
        error: the error of the system.
        place: what could not be written, as `the archive data/archive`.
        otherwise: the failure for any other reason.
        remedy: what to do about a full disk.
    """
    return full(place, remedy=remedy) if error.errno in _FULL else otherwise


def full(place: str, *, remedy: str = SPACE) -> DiskFull:
    """The failure of a full disk; the arguments are those of `failure`."""
    return DiskFull(f"The disk of {place} is full.", remedy=remedy)


def is_full(folder: Path, says: str = "") -> bool:
    """Whether a folder takes no more bytes.

    Engines do not always say why a write failed. So this function writes a small file: then quotas
    count too, and space that a file system reserves for others.

    Args:
        folder: the folder of the engine's file.
        says: the text of the engine's error.
    """
    if any(os.strerror(number) in says for number in _FULL):
        return True
    import tempfile  # noqa: PLC0415  # help never needs it

    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_PIECE))
            file.flush()
    except OSError as error:
        return error.errno in _FULL
    return False
