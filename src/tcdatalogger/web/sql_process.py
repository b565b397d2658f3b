"""The process that copies the warehouse, or asks the copy, for the SQL page.

SQL of anybody's can take memory beside the engine's limit, not hear an interrupt, or break the
engine. Here it breaks a process that has nothing else to do. And whoever closes a file of DuckDB's
gives up the locks of the whole process on it: so it is copied where nobody else reads it.

The pages begin one helper, which has the engine loaded. It forks a process for each job, and ends
with the pages.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import Any, Final

import msgspec
import pyarrow as pa

from tcdatalogger import disk, errors, memory
from tcdatalogger.core.config.secrets import ENCRYPTION_KEY, Secret, resolve
from tcdatalogger.errors import Busy, ConfigError, Failure, TimedOut, UsageError
from tcdatalogger.observability.redact import leave_no_core
from tcdatalogger.services.warehouse.open import open_warehouse
from tcdatalogger.services.warehouse.protocol import PROCESS, Limits

HOLD: Final = 10.0
"""Seconds for which it is copied at most: a run that wants to write waits meanwhile."""
GRACE: Final = 2.0
"""Seconds after its time in which a query has to end by itself."""
LARGEST: Final = 32_000_000
"""Bytes of the largest answer."""


class Copy(msgspec.Struct, frozen=True, tag="copy"):
    """Copy a warehouse.

    Attributes:
        file: of the warehouse.
        key: where its key is, None for one that is not encrypted.
        folder: into which it is copied.
        patience: seconds to wait for one that another program has open.
    """

    file: str
    key: str | None
    folder: str
    patience: float

    @property
    def seconds(self) -> float:
        """The most that it takes."""
        return self.patience + HOLD

    @property
    def late(self) -> TimedOut:
        """What is said when it takes more."""
        return TimedOut(
            f"To copy the warehouse takes longer than {HOLD:g} s, too long for runs that wait.",
            remedy="`tcdatalogger query 'SQL'` asks the warehouse itself.",
        )

    def do(self) -> tuple[float, bytes]:
        """Copy it."""
        with open_warehouse(
            f"duckdb:///{self.file}", patience=self.patience, read_only=True, key=_key(self.key)
        ) as warehouse:
            try:
                warehouse.back_up(Path(self.folder), checked=False)
            except OSError as error:
                place = f"the copy {self.folder}"
                said = ConfigError(f"It cannot be written, {place}: {error.strerror}.")
                raise disk.failure(error, place, said) from None
        return 0.0, b""


class Query(msgspec.Struct, frozen=True, tag="query"):
    """Ask a copy.

    Attributes:
        file: of the copy.
        key: where its key is, None for one that is not encrypted.
        sql: the query.
        most: rows that are wanted, the first ones.
        limits: of the query.
    """

    file: str
    key: str | None
    sql: str
    most: int
    limits: Limits

    @property
    def seconds(self) -> float:
        """The most that it takes."""
        return self.limits.seconds + GRACE

    @property
    def late(self) -> TimedOut:
        """What is said when it takes more."""
        return TimedOut(
            f"The query took longer than {self.limits.seconds:g} s and was stopped.",
            remedy="Ask for less; `tcdatalogger query --unlimited` takes the time that it needs.",
        )

    def do(self) -> tuple[float, bytes]:
        """The seconds that it took, and the rows as a stream of Arrow's."""
        if hasattr(os, "nice"):
            os.nice(5)  # runs go first
        with open_warehouse(
            f"duckdb:///{self.file}", read_only=True, key=_key(self.key), limits=self.limits
        ) as warehouse:
            began = time.perf_counter()
            rows = warehouse.query(self.sql, self.most)
            took = time.perf_counter() - began
        if rows.nbytes > LARGEST:
            raise UsageError(
                f"The answer is larger than {LARGEST // 1_000_000} MB, too large for a page.",
                remedy="Ask for fewer rows or columns; `tcdatalogger query … --csv` writes all.",
            )
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, rows.schema) as stream:
            stream.write_table(rows)
        return took, sink.getvalue().to_pybytes()


class JobEnd(msgspec.Struct, frozen=True):
    """How a job ended.

    Attributes:
        seconds: that a query took.
        error: the class of the failure, "" for none.
        message, remedy: of the failure.
    """

    seconds: float = 0.0
    error: str = ""
    message: str = ""
    remedy: str = ""


class Helper:
    """Has jobs done, one at a time. Its process begins with the first one.

    Args:
        environ: in which the key of an encrypted warehouse is.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        # numpy, which Arrow imports, would start a thread for each processor before a fork.
        self._environ = {**environ, "OPENBLAS_NUM_THREADS": "1"}
        self._process: Popen[bytes] | None = None
        self._pipe: Connection[Any, Any] | None = None

    def do(self, job: Copy | Query) -> tuple[JobEnd, bytes]:
        """Have a job done.

        Returns:
            How it ended, and the rows of a query as a stream of Arrow's.

        Raises:
            Busy: the system gives no process now.
            Failure: it was refused, it took too long, or it broke its process.
        """
        pipe = self._pipe or self._begun()
        try:
            pipe.send_bytes(msgspec.json.encode(job))
            told = pipe.recv_bytes()
        except (OSError, EOFError):
            self.close()
            told = bytes([signal.SIGKILL])
        if told[0] == signal.SIGALRM:
            raise job.late
        if told[0]:
            raise UsageError(
                f"The process of the query was ended by {signal.Signals(told[0]).name}.",
                remedy="It may have taken too much memory; ask for less.",
            )
        head, _, body = told[1:].partition(b"\n")
        ended = msgspec.json.decode(head, type=JobEnd)
        if ended.error:
            raise getattr(errors, ended.error)(ended.message, remedy=ended.remedy)
        return ended, body

    def kill(self) -> None:
        """End what is being done; another thread may wait for it."""
        if (process := self._process) is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    def close(self) -> None:
        """End the process; nobody waits for it."""
        self.kill()
        if self._process is not None:
            self._process.wait()
        if self._pipe is not None:
            self._pipe.close()
        self._process = self._pipe = None

    def _begun(self) -> Connection[Any, Any]:
        ours, theirs = Pipe()
        try:
            self._process = Popen(  # noqa: S603  # nothing of it comes from anybody else
                [sys.executable, "-P", "-m", __name__, str(theirs.fileno())],
                stdin=DEVNULL,
                stdout=DEVNULL,
                stderr=DEVNULL,
                env=self._environ,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,  # Ctrl-C is for who began it
            )
        except OSError as error:
            ours.close()
            raise Busy(
                f"The system gives no process now: {error.strerror}.", remedy="Try again."
            ) from None
        finally:
            theirs.close()
        self._pipe = ours
        return ours


def _key(reference: str | None) -> Secret | None:
    return None if reference is None else resolve(ENCRYPTION_KEY, reference, os.environ)


def main(descriptor: int) -> None:
    """Fork a process for each job that comes, until nobody can send one any more.

    Args:
        descriptor: of the pipe by which jobs come.
    """
    leave_no_core()
    open_warehouse("duckdb:///none")  # loads the engine, and opens nothing
    with Connection(descriptor) as pipe, suppress(EOFError):
        while True:
            job = msgspec.json.decode(pipe.recv_bytes(), type=Copy | Query)
            reader, writer = Pipe(duplex=False)
            pid = os.fork()
            if pid == 0:
                pipe.close()
                _do(job, writer)
            writer.close()
            told = b""
            with reader, suppress(EOFError, OSError):  # it may end within a message
                told = reader.recv_bytes()
            _, status = os.waitpid(pid, 0)
            pipe.send_bytes(bytes([os.WTERMSIG(status)]) + told)


def _do(job: Copy | Query, writer: Connection[Any, Any]) -> None:
    """Do a job and end this process, at the latest when its time is over."""
    signal.setitimer(signal.ITIMER_REAL, job.seconds)  # the system ends it: nobody takes SIGALRM
    memory.limit(PROCESS)
    body = b""
    try:
        try:
            seconds, body = job.do()
            ended = JobEnd(seconds)
        except Failure as error:
            ended = JobEnd(error=type(error).__name__, message=error.message, remedy=error.remedy)
        writer.send_bytes(msgspec.json.encode(ended) + b"\n" + body)
    except BaseException:  # noqa: BLE001  # the edge of the process: nothing is above us
        os.kill(os.getpid(), signal.SIGABRT)
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
