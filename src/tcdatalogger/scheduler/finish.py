"""What the books say of a run whose process has ended, however it ended."""

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
KILLED: Final = "Killed"

_OUTSIDE: Final = {
    getattr(signal, name, 0) for name in ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT")
}
"""By what a process is ended from outside; by others it ends itself."""


def may_pass(exit_code: int, status: str) -> bool:
    """Whether what went wrong with a run may be gone when it is tried again."""
    return exit_code in _PASSES or status == CRASHED


def close(state: State, job: Job, ended: Exit, now: float, began: float, *, told: str) -> Report:
    """Write down how a run ended that could not do it itself; how it ended.

    Args:
        state: where the books are.
        job: what was to run.
        ended: how its process ended.
        now: seconds since 1970.
        began: when it did.
        told: why the scheduler ended it, "" where it did not: `timeout`, `stop` or `claim`.
    """
    report = ended.report
    if report is None or (report.error_class == Stopped.__name__ and told in {"timeout", "claim"}):
        report = _cut_off(job, ended, told)  # it was told to end, and does not know why
    found = state.runs(run_id=job.run_id, most=1)
    record = (
        found[0] if found else RunRecord(run_id=job.run_id, endpoint=job.name, started_at=began)
    )
    if found and record.status in _STORED:
        if record.error:  # told to end while it committed
            record = replace(record, error="", error_class="", remedy="", exit_code=0)
            state.write_run(record)
        return reported(record)
    if (
        found
        and record.status not in {RUNNING, CRASHED}
        and record.error[:LONGEST] == report.error[:LONGEST]
    ):
        return report  # it wrote its own end
    # What was fetched is in the archive, and `crashed` tells the next run to store it.
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


def _cut_off(job: Job, ended: Exit, told: str) -> Report:
    """What is to be said for a process that said nothing."""
    if told == "timeout":
        limit = f"{job.timeout:g} s"
        return Report(
            "failed",
            TimedOut.exit_code,
            f"It was killed: it took longer than its timeout of {limit} and did not end by itself.",
            TimedOut.__name__,
            "Give it more `timeout`, or fewer pages.",
        )
    if told == "stop":
        error = "It was killed: the scheduler was stopped, and it did not end by itself."
        return Report("stopped", STOPPED, error, "Stopped")
    if told == "claim":
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
