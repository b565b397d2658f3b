"""What the forkserver imports and reads when it starts, so that its children have it already.

It holds no thread, no connection and no open file: these would be broken in a child. The imports
start one thread, of Arrow's allocator, which is made for forks. No list becomes an Arrow array
here: by the first one Arrow looks for pandas, and that hangs on the run (`without_pandas`).
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
from tcdatalogger import memory
from tcdatalogger.scheduler import process_tree
from tcdatalogger.services.duckdb import engine, warehouse
from tcdatalogger.services.torncity.catalog import catalog, time_fields
from tcdatalogger.services.torncity.client import connections

__all__ = ["pyarrow", "tcdatalogger", "warehouse"]

_TIMES: Final = 100


def _end_the_children() -> None:
    """End every run and what it started, as the daemon has ended."""
    # On other systems than Linux no child is seen here: each watches the daemon by itself.
    for _ in range(_TIMES):
        mine = list(process_tree.children(os.getpid()))
        for child in mine:
            process_tree.end(child)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not mine:
            return
        time.sleep(0.01)  # their children become ours when they have ended


# What each run would read, make or compile for itself.
catalog.load()
time_fields.paths()
engine.prepare()
with suppress(OSError):  # each run says what is wrong with it
    connections.trusted()
"".encode("idna")

# The garbage collector leaves these objects alone: a child that it ran in would copy their memory.
gc.collect()
gc.freeze()
memory.forget_code()

# A service manager sends SIGTERM to all processes at once. The daemon ends this one after the runs.
# It is blocked and not ignored: a child that gets it before it can answer has it afterwards.
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
atexit.register(_end_the_children)
process_tree.keep_orphans()
# The standard library warns of processes that a run left behind and that are ended here.
warnings.filterwarnings("ignore", "forkserver: waitpid returned unexpected pid")
