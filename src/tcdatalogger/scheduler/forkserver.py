"""A process for each run, forked from one that has all modules loaded: about ten milliseconds.

The forkserver is the standard library's. It starts with the first run and ends with this process.
"""

from __future__ import annotations

import errno
import os
import signal
from contextlib import suppress
from multiprocessing import forkserver, get_context, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import Any

from tcdatalogger.errors import Busy
from tcdatalogger.scheduler import process_tree, worker
from tcdatalogger.scheduler.executor import MOST, Exit, Job, Report

_HEADER = 4  # how `Connection.send_bytes` begins: the length, in network order


class ForkServer:
    """Begins each run in a process that is forked by the forkserver: an `Executor`."""

    def __init__(self) -> None:
        self._context = get_context("forkserver")
        # numpy, which Arrow imports, would start a thread for each processor before the fork.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        # Without `__main__`, which would be run again in each child.
        self._context.set_forkserver_preload(["tcdatalogger.scheduler.preload"])
        _track_nothing()
        self._alive: set[int] = set()

    def __call__(self, job: Job) -> Forked:
        """Begin a run.

        Raises:
            Busy: the system gives no process or no pipe now.
        """
        try:
            reader, writer = self._context.Pipe(duplex=False)
        except OSError as error:
            raise _no_process(error) from None
        process = self._context.Process(target=worker.main, args=(job, writer), name=job.run_id)
        try:
            process.start()
        except (OSError, EOFError) as error:  # EOFError: the forkserver could not, and has ended
            reader.close()
            raise _no_process(error) from None
        finally:
            writer.close()
        return Forked(process, reader, self._alive)

    def close(self) -> None:
        """Do nothing: the forkserver ends with this process."""


class Forked:
    """A run in a process group of its own: a `Handle`.

    Args:
        process: the process of the run.
        pipe: the process sends its report through it.
        alive: the process numbers of all runs that have not ended.
    """

    def __init__(self, process: ForkServerProcess, pipe: Connection, alive: set[int]) -> None:
        self._process = process
        self._pipe = pipe
        self._alive = alive
        alive.add(self.pid)
        self._received = bytearray()
        self._ended: Exit | None = None
        os.set_blocking(pipe.fileno(), False)

    @property
    def waitables(self) -> list[Any]:
        """The process and the pipe; nothing after the end."""
        if self._ended is not None:
            return []
        # A full pipe would keep the child from its end, so that is read too.
        return [self._process.sentinel, *([] if self._pipe.closed else [self._pipe])]

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid or 0

    def ended(self) -> Exit | None:
        """How the run ended; None while it runs. What it left behind is ended too."""
        if self._ended is not None:
            return self._ended
        self._receive()
        code = self._process.exitcode
        if code is None:
            return None
        self._receive()
        self._pipe.close()
        self.kill()  # what the run started and left behind
        self._alive.discard(self.pid)
        self._end_strays()
        self._process.close()
        self._ended = Exit(self._report(), code)
        return self._ended

    def terminate(self) -> None:
        """Send SIGTERM to the process."""
        if self._ended is not None:
            return
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL to the process and its group."""
        if self._ended is not None:
            return
        # The process has no group of its own at its first moment, and the group may outlive it.
        for end in (os.killpg, os.kill) if self._process.exitcode is None else (os.killpg,):
            with suppress(ProcessLookupError, PermissionError):
                end(self.pid, signal.SIGKILL)

    def _end_strays(self) -> None:
        """End processes that left the group: each is a child of the forkserver now, and no run."""
        server: Any = forkserver._forkserver  # noqa: SLF001  # there is no public way to it
        for each in process_tree.children(server._forkserver_pid or 0):  # noqa: SLF001
            if each not in self._alive:
                process_tree.end(each)

    def _receive(self) -> None:
        """Read what is in the pipe without waiting, and no more than a report can have."""
        while not self._pipe.closed:
            try:
                data = os.read(self._pipe.fileno(), MOST)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.EINTR:
                    self._pipe.close()
                continue
            if not data or len(self._received) > MOST:
                self._pipe.close()
            self._received += data[: MOST + 1]

    def _report(self) -> Report | None:
        size = int.from_bytes(self._received[:_HEADER], "big")
        body = bytes(self._received[_HEADER:])
        return Report.unpacked(body) if len(body) == size else None


def _no_process(error: OSError | EOFError) -> Busy:
    why = getattr(error, "strerror", None) or "the system gave none"
    return Busy(
        f"No process for a run can be begun: {why}.",
        remedy="Look at the machine's memory, and at the limits of processes and of open files.",
    )


def _track_nothing() -> None:
    """Keep the standard library from starting its resource tracker, a process of 6 MB.

    It removes named semaphores and shared memory, and this program has none. What would be sent to
    it goes to the null device. In a Python with other internals the tracker starts as ever.
    """
    tracker: Any = getattr(resource_tracker, "_resource_tracker", None)
    if getattr(tracker, "_fd", 0) is None:
        tracker._fd = os.open(os.devnull, os.O_WRONLY)  # noqa: SLF001  # no public way to it
