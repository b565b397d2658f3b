"""What the process of a run started and left behind, also in a session or group of its own.

On Linux alone: a process whose parent ended goes to the next `keep_orphans` above it, a run or the
forkserver, so none gets away from those who end it.
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
    """Be the parent of all that the own children leave behind."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def children(pid: int) -> Iterator[int]:
    """The children of a process; of no other system than Linux, and of none that has ended."""
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                yield from map(int, (task / "children").read_text(encoding="ascii").split())


def end(pid: int) -> None:
    """End a process with all its offspring."""
    its = list(children(pid))  # before they are another's
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)
    for each in its:
        end(each)
