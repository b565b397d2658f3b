"""The processes that a run started, also those in a session or a group of their own.

This works on Linux alone. There a process whose parent ended becomes a child of the next process
above it that called `keep_orphans`: a run or the forkserver. So every process can be found.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_PR_SET_CHILD_SUBREAPER: Final = 36


def keep_orphans() -> None:
    """Make this process the parent of every process that its children leave behind."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def children(pid: int) -> Iterator[int]:
    """The numbers of a process's children; none on another system than Linux."""
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                yield from map(int, (task / "children").read_text(encoding="ascii").split())


def end(pid: int) -> None:
    """End a process and every process below it."""
    below = list(children(pid))  # before they get another parent
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)
    for each in below:
        end(each)
