"""What this process used of the machine."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

resource: Any = None
with suppress(ImportError):  # not on Windows
    import resource


def cpu() -> float:
    """Seconds of processor time that this process has used."""
    return time.process_time()


def peak_memory() -> int:
    """The most bytes of memory that this process had; 0 on a system that does not say."""
    if resource is None:
        return 0
    most: int = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = {"darwin": 1}.get(sys.platform, 1024)
    return most * unit


def forget_peak() -> None:
    """Let `peak_memory` begin anew, at what this process has now; works on Linux alone."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
