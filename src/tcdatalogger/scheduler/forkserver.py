"""A process for runs, forked from one that has all modules loaded: about ten milliseconds.

It takes one run after the other while more is due, and then it ends.

The forkserver is the standard library's. It starts with the first run and ends with this process.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from contextlib import suppress
from multiprocessing import forkserver, get_context, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import Any, Final

from tcdatalogger.errors import Busy
from tcdatalogger.scheduler import process_tree, worker
from tcdatalogger.scheduler.executor import MOST, Exit, Job, Report

_LEAVING: Final = 5.0
"""Seconds until a process is killed that got no more jobs and has not ended."""

_HEADER: Final = 4  # how `Connection.send_bytes` begins: the length, in network order


class ForkServer:
    """Begins runs in processes that the forkserver forks: an `Executor` that is `Resting`.

    A process that ended its run well waits for another one until `rest` ends it.
    """

    def __init__(self) -> None:
        self._context = get_context("forkserver")
        # numpy, which Arrow imports, would start a thread for each processor before the fork.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        # Without `__main__`, which would be run again in each child.
        self._context.set_forkserver_preload(["tcdatalogger.scheduler.preload"])
        _track_nothing()
        self._alive: set[int] = set()
        self._waiting: list[_Worker] = []
        self._leaving: list[_Worker] = []

    def __call__(self, job: Job) -> Forked:
        """Begin a run.

        Raises:
            Busy: the system gives no process or no pipe now.
        """
        while self._waiting and job.shares:
            waits = self._waiting.pop()
            if waits.takes(job):
                return Forked(waits, self._waiting)
            self._leaving.append(waits)  # it has ended, by itself or by somebody
        return Forked(self._begun(job), self._waiting)

    def rest(self) -> None:
        """End the processes that wait, and see which of them have ended."""
        for each in self._waiting:
            each.dismiss()
        self._leaving += self._waiting
        self._waiting.clear()
        self._leaving = [each for each in self._leaving if each.exit_code() is None]

    def close(self) -> None:
        """End what waits or has not ended yet; the forkserver ends with this process."""
        for each in (*self._waiting, *self._leaving):
            each.kill()

    def _begun(self, job: Job) -> _Worker:
        try:
            pipe, its = self._context.Pipe(duplex=True)
        except OSError as error:
            raise _no_process(error) from None
        process = self._context.Process(target=worker.main, args=(job, its), name=job.run_id)
        try:
            process.start()
        except (OSError, EOFError) as error:  # EOFError: the forkserver could not, and has ended
            pipe.close()
            raise _no_process(error) from None
        finally:
            its.close()
        return _Worker(process, pipe, self._alive)


class _Worker:
    """A process in a group of its own, which takes one run after the other.

    Args:
        process: the process.
        pipe: jobs go through it, and reports come back.
        alive: the process numbers of all that have not ended.
    """

    def __init__(self, process: ForkServerProcess, pipe: Connection, alive: set[int]) -> None:
        self._process = process
        self._pipe = pipe
        self._alive = alive
        self.pid = process.pid or 0
        alive.add(self.pid)
        self._received = bytearray()
        self._code: int | None = None
        self._leaves_at: float | None = None
        os.set_blocking(pipe.fileno(), False)

    @property
    def waitables(self) -> list[Any]:
        """The process and the pipe; nothing after the end."""
        if self._code is not None:
            return []
        # A full pipe would keep the child from its end, so that is read too.
        return [self._process.sentinel, *([] if self._pipe.closed else [self._pipe])]

    def takes(self, job: Job) -> bool:
        """Give another job to a process that waits; False where it has ended."""
        self._received.clear()
        try:
            self._pipe.send(job)
        except OSError:  # also where the pipe takes a part of it: it is closed by that
            self.dismiss()
            return False
        return True

    def goes_on(self) -> Report | None:
        """The report of a process that waits for another job; None where it does not wait."""
        self._receive()
        body = self._body()
        return Report.unpacked(body[1:]) if body[:1] == worker.GOES_ON else None

    def report(self) -> Report | None:
        """The report of a process that has ended; None where it sent none."""
        return Report.unpacked(self._body()[1:])

    def exit_code(self) -> int | None:
        """The exit code; None while the process is there. What it left behind is ended too."""
        if self._code is not None:
            return self._code
        self._receive()
        code = self._process.exitcode
        if code is None:
            if self._leaves_at is not None and time.monotonic() > self._leaves_at:
                self.kill()
            return None
        self._receive()
        self._pipe.close()
        self.kill()  # what the run started and left behind
        self._alive.discard(self.pid)
        self._end_strays()
        self._process.close()
        self._code = code
        return code

    def dismiss(self) -> None:
        """Let a process end that waits: it gets no more jobs."""
        self._pipe.close()
        self._leaves_at = time.monotonic() + _LEAVING

    def terminate(self) -> None:
        """Send SIGTERM to the process."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL to the process and its group."""
        if self._code is not None:
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

    def _body(self) -> bytes:
        """What was received, where it is one whole message; else nothing."""
        size = int.from_bytes(self._received[:_HEADER], "big")
        whole = len(self._received) == _HEADER + size
        return bytes(self._received[_HEADER:]) if whole else b""


class Forked:
    """A run in a process: a `Handle`.

    Args:
        worker: the process.
        waiting: takes the process up when it waits for another run.
    """

    def __init__(self, worker: _Worker, waiting: list[_Worker]) -> None:
        self._worker = worker
        self._waiting = waiting
        self._ended: Exit | None = None

    @property
    def waitables(self) -> list[Any]:
        """The process and the pipe; nothing after the end."""
        return [] if self._ended is not None else self._worker.waitables

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._worker.pid

    def ended(self) -> Exit | None:
        """How the run ended; None while it runs. What it left behind is ended too."""
        if self._ended is None:
            code = self._worker.exit_code()
            if code is not None:
                self._ended = Exit(self._worker.report(), code)
            elif (report := self._worker.goes_on()) is not None:
                self._ended = Exit(report, 0)
                self._waiting.append(self._worker)
        return self._ended

    def terminate(self) -> None:
        """Send SIGTERM to the process."""
        if self._ended is None:
            self._worker.terminate()

    def kill(self) -> None:
        """Send SIGKILL to the process and its group."""
        if self._ended is None:
            self._worker.kill()


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
