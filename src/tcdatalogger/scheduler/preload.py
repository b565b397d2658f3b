"""Imported by the forkserver alone, when it starts: what its children find loaded already.

Modules only: a thread, a connection or a file would be broken in a child. The importing itself
starts one thread, of Arrow's allocator, which minds forks by itself.
"""

from __future__ import annotations

import atexit
import os
import signal
from contextlib import suppress
from pathlib import Path

import pyarrow.compute
import pyarrow.parquet
import structlog

import tcdatalogger.core.main
import tcdatalogger.core.replay
import tcdatalogger.scheduler.child
import tcdatalogger.services.torncity.registry

__all__ = ["pyarrow", "structlog", "tcdatalogger"]


def _end_the_children() -> None:
    """The daemon is gone: nothing that it began may live on, and nothing that those began."""
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    with suppress(OSError):  # no Linux: there each child watches for itself
        for child in children.read_text(encoding="ascii").split():
            with suppress(OSError):
                os.killpg(int(child), signal.SIGKILL)


# Whoever stops a service tells all its processes: the daemon then ends us, after the runs.
signal.signal(signal.SIGTERM, signal.SIG_IGN)
atexit.register(_end_the_children)
