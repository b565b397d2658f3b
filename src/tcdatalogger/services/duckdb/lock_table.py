"""Who has a file locked, as the kernel tells: a hundredth of the work of trying to open it."""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path
from typing import Final

_LAYOUTS: Final = {"linux": ("hhqqi4x", 0, 4), "darwin": ("qqihh", 3, 2)}
"""How each system lays out what it is asked, and where in it the kind and the process stand."""


def holder(path: Path, *, read_only: bool = False) -> int | None:
    """The process with a lock that keeps this one from opening a file.

    The file is opened for it, and that is never done where this process has it open already:
    whoever closes a file gives up every lock of its process on it (`engine.holder`).

    Args:
        path: of the file.
        read_only: whether it is to be opened for reading, beside others that read.

    Returns:
        Its number; 0 or -1 where the other one is in another container or on another machine. None
        where there is none, or where this system does not tell.
    """
    layout = _LAYOUTS.get(sys.platform)
    if layout is None:
        return None
    import fcntl  # noqa: PLC0415  # there is none on Windows

    form, kind, process = layout
    facts = [0] * 5
    facts[kind] = fcntl.F_RDLCK if read_only else fcntl.F_WRLCK
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        told = struct.unpack(form, fcntl.fcntl(file, fcntl.F_GETLK, struct.pack(form, *facts)))
    except OSError:  # a disk without locks
        return None
    finally:
        os.close(file)
    return None if told[kind] == fcntl.F_UNLCK else int(told[process])
