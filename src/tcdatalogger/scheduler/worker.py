"""What happens inside the process of a run.

The daemon imports this module too, so it imports nothing heavy at its top.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from multiprocessing.process import parent_process
from typing import TYPE_CHECKING, Any, Final

from tcdatalogger import ending, memory, without_pandas
from tcdatalogger.core.config import sizes
from tcdatalogger.core.state.leases import BACKUP, CATALOG, DIGEST, EXPORT, PRUNE
from tcdatalogger.errors import Failure, Stopped
from tcdatalogger.observability import log, redact, usage
from tcdatalogger.scheduler import process_tree
from tcdatalogger.scheduler.executor import Job, Report

if TYPE_CHECKING:
    from tcdatalogger.core.config.settings import Settings
    from tcdatalogger.core.main import Application
    from tcdatalogger.core.state.store import RunRecord

RUNS: Final = 100
"""How many runs one process takes at most: what a library leaks ends with it."""

SECONDS: Final = 30.0
"""How long a process takes runs at most."""

GOES_ON: Final = b"+"
LAST: Final = b"."
"""Before a report: whether the process waits for another job, or ends."""

_PR_SET_PDEATHSIG: Final = 1

STOPPED: Final = Stopped.exit_code
_STOP: Final = Report("stopped", STOPPED, "It was told to end.", "Stopped")


def main(job: Job, pipe: Connection) -> None:
    """Run a job and send its report through the pipe; then those that come back through it.

    A process goes on after a run that ended well, as long as its daemon has more for it: it keeps
    the program with its open state, its connections to Torn and its DuckDB.
    """
    os.setsid()
    with suppress(OSError):  # what a processor prints is no line of `schedule --json`
        os.dup2(2, 1)
    memory.keep_little()
    redact.leave_no_core()
    process_tree.keep_orphans()
    _die_with_the_daemon()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the daemon's to answer
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    told, kept, began, runs = _Told(), OpenProgram(), time.monotonic(), 0
    while True:
        report = _reported(job, told, kept if job.shares else None)
        runs += 1
        goes_on = (
            job.shares
            and report.status == "done"
            and runs < RUNS
            and time.monotonic() - began < SECONDS
            and not told.came()
        )
        pipe.send_bytes((GOES_ON if goes_on else LAST) + report.packed())
        following = _following(pipe, told) if goes_on else None
        if following is None:
            break
        job = following
        usage.forget_peak()
    kept.close()
    pipe.close()


class _Told:
    """Whether SIGTERM came while no run answered it: none may be lost between two runs.

    Attributes:
        fd: a file descriptor to wait for: readable when a signal came.
    """

    def __init__(self) -> None:
        self.fd, raw = os.pipe()
        os.set_blocking(self.fd, False)
        os.set_blocking(raw, False)
        self._came = False
        signal.set_wakeup_fd(raw, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, lambda _number, _frame: None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})  # blocked by the forkserver

    def came(self) -> bool:
        """Whether it came up to now."""
        with suppress(BlockingIOError):
            self._came = signal.SIGTERM in os.read(self.fd, 64) or self._came
        return self._came


def _following(pipe: Connection, told: _Told) -> Job | None:
    """The next job; None where there is none and the process is to end.

    Where it is told to end, it ends at once as by the signal: the daemon may have given it a job by
    then, and sees by that why it did not run.
    """
    wait([pipe, told.fd])
    if told.came():
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)
    try:
        job: Job = pipe.recv()
    except (EOFError, OSError):
        return None
    return job


def _reported(job: Job, told: _Told, kept: OpenProgram | None) -> Report:
    """Run a job in this process, whatever happens; its report."""
    lift = memory.limit(sizes.parse(job.memory) if job.memory else None)
    try:
        log.configure(**job.logs)
        with ending.answered(signal.SIGTERM):
            if told.came():
                return _STOP
            try:
                return run_job(job, kept)
            except Exception:
                ending.check()  # told to end within a query: that comes as an error of its own
                raise
    except Stopped:
        return _STOP
    except SystemExit:
        return _unforeseen("Its code called for the end of the process.", "SystemExit")
    except Failure as failure:  # it could not even write down how it ended
        return _refused(failure)
    except BaseException as error:  # noqa: BLE001  # the edge of the process: nothing is above us
        lift()
        return _failed(job, error)
    finally:
        lift()


class OpenProgram:
    """The program of the last run, whose open parts the next run takes over."""

    def __init__(self) -> None:
        self._last: Application | None = None

    def program(self, settings: Settings) -> Application:
        """The program for a run."""
        from tcdatalogger.core.main import Application  # noqa: PLC0415  # not in the daemon

        last = self._last
        if last is not None and last.serves(settings):
            self._last = last.following(settings)
        else:
            self.close()
            self._last = Application(settings)
        return self._last

    def close(self) -> None:
        """Close what is open."""
        if self._last is not None:
            self._last.close()
            self._last = None


def run_job(job: Job, kept: OpenProgram | None = None) -> Report:
    """Run a job in this process, for any engine.

    Args:
        job: what to run.
        kept: what runs of this process leave to the next; None where nothing may stay open.

    Returns its report.

    Raises:
        Failure: the end of the run cannot be written down.
        Stopped: the process was told to end.
    """
    without_pandas.begin(job.settings.endpoints)
    program = OpenProgram() if kept is None else kept
    try:
        application = program.program(job.settings)
        work = _export if job.name.startswith(EXPORT) else _OTHER_WORK.get(job.name)
        if work is None:
            outcome = application.run(job.endpoint, run_id=job.run_id, claim=job.claim)
            return reported(outcome.record)
        try:
            work(job, application)
        except Failure as failure:
            return _refused(failure)
        return Report("done")
    finally:
        if kept is None:
            program.close()


def _back_up(job: Job, application: Application) -> None:
    from tcdatalogger.core.backup import make, scheduled  # noqa: PLC0415  # not in the daemon

    def wanted() -> bool:
        return make.wanted(job.settings, application.clock.now())

    scheduled.make(application, wanted, claim=job.claim, timeout=job.timeout)


def _prune(job: Job, application: Application) -> None:
    from tcdatalogger.core.operations import prune  # noqa: PLC0415  # not in the daemon

    prune.scheduled(application, job.claim, job.timeout)


def _look_up(job: Job, application: Application) -> None:
    from tcdatalogger.core.operations import catalog_update  # noqa: PLC0415  # not in the daemon

    catalog_update.scheduled(application, job.claim, job.timeout)


def _digest(job: Job, application: Application) -> None:
    from tcdatalogger.questions import digest  # noqa: PLC0415  # not in the daemon

    digest.post(application, claim=job.claim, timeout=job.timeout)


def _export(job: Job, application: Application) -> None:
    from tcdatalogger.questions import exports  # noqa: PLC0415  # not in the daemon

    exports.export(application, job.export, claim=job.claim, timeout=job.timeout)


_OTHER_WORK: Final[Mapping[str, Callable[[Job, Application], None]]] = {
    BACKUP: _back_up,
    PRUNE: _prune,
    CATALOG: _look_up,
    DIGEST: _digest,
}
"""What is no run of an endpoint, by its name; each may raise a `Failure`."""


def reported(record: RunRecord) -> Report:
    """The report that the record of a run makes."""
    return Report(
        status=record.status,
        exit_code=record.exit_code,
        error=record.error,
        error_class=record.error_class,
        remedy=record.remedy,
        rows=dict(record.rows),
        seconds=round(sum(record.seconds.values()), 3),
        calls=record.calls,
    )


def _refused(failure: Failure) -> Report:
    kind, code = type(failure).__name__, failure.exit_code
    return Report("failed", code, failure.message, kind, failure.remedy)


def _failed(job: Job, error: BaseException) -> Report:
    if isinstance(error, MemoryError):
        return Report(
            "failed",
            1,
            f"It ran out of its memory of {job.memory}." if job.memory else "It ran out of memory.",
            "OutOfMemory",
            "Give it more `memory`, or let it fetch less at once with `max_pages`.",
        )
    name = type(error).__name__
    # The text of the error may quote what Torn sent, so the report has its class alone.
    log.get_logger("scheduler").exception("run_crashed", error=name)
    return _unforeseen(f"It ended by {name}.", name)


def _unforeseen(error: str, kind: str) -> Report:
    remedy = "This is a bug, in TCdatalogger or in the endpoint's processor; the log has more."
    return Report("failed", 1, error, kind, remedy)


def _die_with_the_daemon() -> None:
    """End this process and what it started when the daemon is killed."""
    # Each child inherits an end of the pipe by which the forkserver sees that the daemon lives. As
    # long as a child keeps it, the forkserver would outlive the daemon.
    server: Any = forkserver._forkserver  # noqa: SLF001  # there is no public way to it
    if server._forkserver_alive_fd is not None:  # noqa: SLF001
        os.close(server._forkserver_alive_fd)  # noqa: SLF001
        server._forkserver_alive_fd = None  # noqa: SLF001
    if sys.platform == "linux":
        # The parent of this process is the forkserver, which ends with the daemon.
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    daemon = parent_process()
    if daemon is not None:
        sentinel = daemon.sentinel

        def watch() -> None:
            wait([sentinel])
            os.killpg(0, signal.SIGKILL)

        threading.Thread(target=watch, name="watchdog", daemon=True).start()
