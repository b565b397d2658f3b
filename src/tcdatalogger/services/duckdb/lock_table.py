"""Who has a file locked, as the kernel tells: a hundredth of the work of trying to open it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_LOCKS: Final = Path("/proc/locks")


def holder(path: Path, *, read_only: bool = False) -> int | None:
    """The process with a lock that keeps this one from opening a file.

    Args:
        path: of the file.
        read_only: whether it is to be opened for reading, beside others that read.

    Returns:
        Its number. None where there is none, or where the kernel does not tell: it is not Linux,
        or the other one is in another container or on another machine.
    """
    try:
        lines, file = _LOCKS.read_text(encoding="ascii").splitlines(), path.stat()
    except OSError:
        return None
    place = f"{os.major(file.st_dev):02x}:{os.minor(file.st_dev):02x}:{file.st_ino}"
    for line in lines:
        # 1: POSIX  ADVISORY  WRITE 4711 fe:01:130822 0 EOF
        words = line.split()
        if words[1:2] != ["POSIX"]:  # DuckDB opens a file beside a lock of `flock` or a lease
            continue
        if words[5:6] == [place] and not (read_only and words[3] == "READ"):
            number = int(words[4])
            if number > 0 and number != os.getpid():
                return number
    return None
