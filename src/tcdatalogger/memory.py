"""The memory of a process of ours: little is kept, and where there is a limit, it holds.

What needs more than its limit ends by an error, and takes none from others.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

_ARENA_MAX: Final = -8
"""The number of glibc's setting for how many heaps the threads of a process have."""

_STACKS: Final = 16 * 1024**2
"""Bytes that DuckDB and Arrow reserve for a thread on each processor, and hardly use."""


def keep_little() -> None:
    """Let this process give back what it no longer uses; to be called before Arrow is loaded.

    Arrow's own allocator and glibc's heaps of single threads keep what was used once: by them a
    large run took half as much again. Processes that this one starts take over what Arrow is told.
    """
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library has no such function
            ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)


def forget_code() -> None:
    """Give back the memory of code that ran and may never run again here; works on Linux alone.

    What still runs comes back from the cache of files. A child of a fork maps the code that it runs
    by itself in any case.
    """
    if sys.platform != "linux":
        return
    forget = ctypes.CDLL(None).madvise
    forget.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        place, rights, *_, file = line.split(maxsplit=5)
        if rights == "r-xp" and file.startswith("/"):  # never written, so nothing can be lost
            begin, end = (int(number, 16) for number in place.split("-"))
            forget(begin, end - begin, mmap.MADV_DONTNEED)


def limit(most: int | None) -> Callable[[], None]:
    """Limit the memory of this process to what it has now and so much more. Works on Linux alone.

    An engine's own limit is not enough: DuckDB makes a text of `repeat('x', 2000000000)` beside it.

    Args:
        most: in bytes; None for no limit.

    Returns:
        A function that lifts the limit: to report that it was reached takes memory too.
    """
    if most is None or sys.platform != "linux":
        return lambda: None  # other systems do not hold this limit
    import resource  # noqa: PLC0415  # there is none on Windows

    kind = resource.RLIMIT_DATA
    before = resource.getrlimit(kind)
    bare = next(
        int(line.split()[1]) * 1024
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        if line.startswith("VmData:")
    )
    whole = bare + (os.cpu_count() or 1) * _STACKS + most
    if before[1] != resource.RLIM_INFINITY:
        whole = min(whole, before[1])
    resource.setrlimit(kind, (whole, before[1]))
    return lambda: resource.setrlimit(kind, before)
