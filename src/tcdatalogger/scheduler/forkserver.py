"""A process for each run, forked from one that has all modules loaded: about ten milliseconds.

The forkserver is the standard library's. It is started with the first run and ends with us.
"""

from __future__ import annotations

import errno
import os
import signal
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import Any

from tcdatalogger.scheduler import child
from tcdatalogger.scheduler.spawn import MOST, Ended, Job, Report

_HEADER = 4  # how `Connection.send_bytes` begins: the length, in network order


class ForkServer:
    """Begins runs by the forkserver; the one implementation of `Spawn`."""

    def __init__(self) -> None:
        self._context = get_context("forkserver")
        # numpy, which Arrow imports, would start a thread for each processor before the fork.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        # Without `__main__`, which would be run again in each child.
        self._context.set_forkserver_preload(["tcdatalogger.scheduler.preload"])

    def __call__(self, job: Job) -> Forked:
        reader, writer = self._context.Pipe(duplex=False)
        process = self._context.Process(target=child.main, args=(job, writer), name=job.run_id)
        process.start()
        writer.close()
        return Forked(process, reader)

    def close(self) -> None:
        """Nothing to do: it ends with this process."""


class Forked:
    """A run in a process group of its own."""

    def __init__(self, process: ForkServerProcess, pipe: Connection) -> None:
        self._process = process
        self._pipe = pipe
        self._said = bytearray()
        os.set_blocking(pipe.fileno(), False)

    @property
    def waitables(self) -> list[Any]:
        # A full pipe would keep the child from its end, so that is read too.
        return [self._process.sentinel, *([] if self._pipe.closed else [self._pipe])]

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    def ended(self) -> Ended | None:
        self._listen()
        code = self._process.exitcode
        if code is None:
            return None
        self._listen()
        self._pipe.close()
        self.kill()  # what it started and left behind
        self._process.close()
        return Ended(self._report(), code)

    def terminate(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        # Not in a group of its own for its first moment; and the group may outlive it.
        for end in (os.killpg, os.kill) if self._process.exitcode is None else (os.killpg,):
            with suppress(ProcessLookupError, PermissionError):
                end(self.pid, signal.SIGKILL)

    def _listen(self) -> None:
        """Take what is in the pipe, and no more than a report can be: never wait for more."""
        while not self._pipe.closed:
            try:
                data = os.read(self._pipe.fileno(), MOST)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.EINTR:
                    self._pipe.close()
                continue
            if not data or len(self._said) > MOST:
                self._pipe.close()
            self._said += data[: MOST + 1]

    def _report(self) -> Report | None:
        size = int.from_bytes(self._said[:_HEADER], "big")
        body = bytes(self._said[_HEADER:])
        return Report.unpacked(body) if len(body) == size else None
