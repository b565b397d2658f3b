"""Imported by the forkserver alone, when it starts: what its children find loaded already.

Modules only: a thread, a connection or a file would be broken in a child. The importing itself
starts one thread, of Arrow's allocator, which minds forks by itself.
"""

from __future__ import annotations

import atexit
import gc
import os
import signal
import time
import warnings
from contextlib import suppress
from typing import Final

import pyarrow.compute
import pyarrow.parquet

import tcdatalogger.core.main
import tcdatalogger.core.operations.replay
import tcdatalogger.scheduler.worker
import tcdatalogger.services.torncity.endpoints.registry
from tcdatalogger.scheduler import process_tree

__all__ = ["pyarrow", "tcdatalogger"]

_TIMES: Final = 100


def _end_the_children() -> None:
    """The daemon is gone: nothing that it began may live on, and nothing that those began."""
    # Elsewhere than on Linux none are seen: there each child watches for itself.
    for _ in range(_TIMES):
        mine = list(process_tree.children(os.getpid()))
        for child in mine:
            process_tree.end(child)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not mine:
            return
        time.sleep(0.01)  # what they left behind comes to us when they have ended


# What is here stays. Children that looked through it for garbage would each have a copy of it.
gc.collect()
gc.freeze()

# Whoever stops a service tells all its processes: the daemon then ends us, after the runs.
signal.signal(signal.SIGTERM, signal.SIG_IGN)
atexit.register(_end_the_children)
process_tree.keep_orphans()
# Of the standard library's own, for what a run left behind and we ended.
warnings.filterwarnings("ignore", "forkserver: waitpid returned unexpected pid")
