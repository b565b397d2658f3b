"""The end of a run whose process has ended: its record says how, whatever happened."""

from __future__ import annotations

import signal
from dataclasses import replace
from typing import Final

from tcdatalogger.core.state.store import CRASHED, PENDING, RUNNING, RunRecord, State
from tcdatalogger.errors import Busy, Stopped, TimedOut, TornUnavailable
from tcdatalogger.scheduler.executor import LONGEST, Exit, Job, Report
from tcdatalogger.scheduler.worker import STOPPED, reported

_PASSES: Final = {Busy.exit_code, TornUnavailable.exit_code, TimedOut.exit_code, STOPPED}

_STORED: Final = {"done", PENDING}

CRASH: Final = "Crashed"
"""The class of error of a run whose process broke."""
KILLED: Final = "Killed"
"""The class of error of a run whose process somebody ended from outside."""

_OUTSIDE: Final = {
    getattr(signal, name, 0) for name in ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT")
}
"""Signals that somebody sends; the others come from a fault of the process itself."""


def may_pass(exit_code: int, status: str) -> bool:
    """Whether a run that failed may succeed when it is tried again.

    Args:
        exit_code: the exit code of the run.
        status: its status.
    """
    return exit_code in _PASSES or status == CRASHED


def close(state: State, job: Job, ended: Exit, now: float, began: float, *, cause: str) -> Report:
    """Write down the end of a run that could not do it itself.

    Args:
        state: the state database, with the records of runs.
        job: the job that ran.
        ended: how its process ended.
        now: seconds since 1970.
        began: when the run began, in seconds since 1970.
        cause: why the scheduler ended the run: `timeout`, `stop` or `claim`; "" where it did not.

    Returns the report of the run.

    Raises:
        StateUnavailable: the state cannot be read or written now.
    """
    report = ended.report
    if report is None or (report.error_class == Stopped.__name__ and cause in {"timeout", "claim"}):
        report = _cut_off(job, ended, cause)  # the run does not know why it had to end
    found = state.runs(run_id=job.run_id, most=1)
    record = (
        found[0] if found else RunRecord(run_id=job.run_id, endpoint=job.name, started_at=began)
    )
    if found and record.status in _STORED:
        if record.error:  # it had to end while it committed
            record = replace(record, error="", error_class="", remedy="", exit_code=0)
            state.write_run(record)
        return reported(record)
    if (
        found
        and record.status not in {RUNNING, CRASHED}
        and record.error[:LONGEST] == report.error[:LONGEST]
    ):
        return report  # the run has written its end itself
    # Its answers are in the archive, and `crashed` makes the next run store them.
    unfinished = found and record.status in {RUNNING, CRASHED}
    report = replace(report, status=CRASHED) if unfinished else report
    state.write_run(
        replace(
            record,
            status=report.status,
            finished_at=record.finished_at or now,
            error=report.error,
            error_class=report.error_class,
            remedy=report.remedy,
            exit_code=report.exit_code,
        )
    )
    return report


def _cut_off(job: Job, ended: Exit, cause: str) -> Report:
    """The report of a run whose process sent none."""
    if cause == "timeout":
        limit = f"{job.timeout:g} s"
        return Report(
            "failed",
            TimedOut.exit_code,
            f"It was killed: it took longer than its timeout of {limit} and did not end by itself.",
            TimedOut.__name__,
            "Give it more `timeout`, or fewer pages.",
        )
    if cause == "stop":
        error = "It was killed: the scheduler was stopped, and it did not end by itself."
        return Report("stopped", STOPPED, error, "Stopped")
    if cause == "claim":
        error = "It was killed: another process had taken its endpoint over."
        return Report("failed", Busy.exit_code, error, Busy.__name__)
    if -ended.exit_code in _OUTSIDE:
        return Report(
            CRASHED,
            Busy.exit_code,
            f"Its process {_how(ended.exit_code)} without a word.",
            KILLED,
            "Somebody did that, or the system for want of memory. It is tried again.",
        )
    return Report(
        CRASHED,
        1,
        f"Its process {_how(ended.exit_code)} without a word.",
        CRASH,
        "A crash is a bug of a library or of the endpoint's processor; too little `memory` for it "
        "may look the same.",
    )


def _how(code: int) -> str:
    if code >= 0:
        return f"ended with the exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"was ended by {name}"
