"""Python imports this first in every process of a soak: it makes time run fast there.

All time that the program sees goes `SOAK_SPEED` times as fast, waits and alarms too, so leases,
timeouts and pauses keep their proportions: it is as if the machine were that much slower.
"""

from __future__ import annotations

import fcntl
import multiprocessing.connection
import os
import re
import selectors  # noqa: F401  # it and those below take their clock when they are imported: the real one
import signal
import subprocess  # noqa: F401
import threading
import time
from functools import wraps
from pathlib import Path

SPEED = float(os.environ["SOAK_SPEED"])
BASE = float(os.environ["SOAK_BASE"])
HERE = Path(os.environ["SOAK_FOLDER"])

_time, _monotonic, _sleep = time.time, time.monotonic, time.sleep
_event_wait, _wait = threading.Event.wait, multiprocessing.connection.wait
_setitimer = signal.setitimer


def fast(real: float) -> float:
    return BASE + (real - BASE) * SPEED


def short(seconds: float | None) -> float | None:
    return None if seconds is None else seconds / SPEED


time.time = lambda: fast(_time())
time.monotonic = lambda: _monotonic() * SPEED
time.sleep = lambda seconds: _sleep(seconds / SPEED)
threading.Event.wait = lambda self, timeout=None: _event_wait(self, short(timeout))
multiprocessing.connection.wait = lambda those, timeout=None: _wait(those, short(timeout))
signal.setitimer = lambda which, seconds, interval=0.0: _setitimer(
    which, seconds / SPEED, interval / SPEED
)

from tcdatalogger.core.state import postgres  # noqa: E402  # what follows needs the fast clock
from tcdatalogger.scheduler import worker  # noqa: E402

_asked, _main = postgres.Postgres.time, worker.main
postgres.Postgres.time = lambda self: fast(_asked(self))
postgres._SESSION = re.sub(  # noqa: SLF001
    r"'(\d+)s'",
    lambda found: f"'{int(found[1]) * 1000 / SPEED:.0f}ms'",
    postgres._SESSION,  # noqa: SLF001
)


def say(what: str, *words: object) -> None:
    """A line in the witness's book: one write, which no other can part."""
    line = " ".join(map(str, (what, _time(), os.getpid(), os.getppid(), *words))) + "\n"
    book = os.open(HERE / "witness", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(book, line.encode())
    os.close(book)


def locked(task) -> int:
    """Take a lock of the system on the endpoint; the open file that has it, to be closed.

    The lock knows nothing of leases, and it ends with the process however that ends.
    """
    name = task.name
    lock = os.open(HERE / "locks" / name, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(lock, 200, 0).decode() or "0 0 ?"
        say("overlap", name, task.run_id, holder)
    else:
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()} {os.getppid()} {task.run_id}".encode(), 0)
    return lock


@wraps(_main)
def witnessed(job, pipe):
    """The whole of a run's process, and within it what works for the endpoint."""
    from tcdatalogger.core.run.run import Run  # noqa: PLC0415  # loaded already, but not in a daemon

    execute = Run.execute

    def witnessed_run(self, **options):
        lock = locked(self.task)
        say("begin", self.task.name, self.task.run_id)
        try:
            return execute(self, **options)
        finally:
            say("end", self.task.name, self.task.run_id)
            os.close(lock)  # not by the end of the process: that may go on to another run

    Run.execute = witnessed_run
    _main(job, pipe)


worker.main = witnessed
