"""A full disk, told as one. Trying again is of use as soon as there is space."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

from tcdatalogger.errors import DiskFull, Failure

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_PIECE: Final = 1 << 16
"""Bytes that have to fit: what SQLite needs beside its file to open it, and some pages."""

SPACE: Final = "Make space, and run it again."


def told(error: OSError, place: str, otherwise: Failure, *, remedy: str = SPACE) -> Failure:
    """What a write that failed comes to: a full disk is told as one.

    Args:
        error: of the system.
        place: what could not be written, as `the archive data/archive`.
        otherwise: where it was something else.
        remedy: for a full disk.
    """
    return full(place, remedy=remedy) if error.errno in _FULL else otherwise


def full(place: str, *, remedy: str = SPACE) -> DiskFull:
    """The failure of a full disk; `place` as for `told`."""
    return DiskFull(f"The disk of {place} is full.", remedy=remedy)


def is_full(folder: Path, says: str = "") -> bool:
    """Whether an engine failed because nothing more could be written to a folder.

    Engines do not always say why: then it is tried, so that a quota counts too, and what a file
    system keeps back for others.

    Args:
        folder: of the engine's file.
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
