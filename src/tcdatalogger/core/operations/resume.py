"""Goes on with a run from its answers in the archive; its rows are made again each time.

Torn is not asked. The run keeps its id and its load id, so its rows are stored once, however often
it goes on. Its cursor goes into the ledger with its rows, and moves only over time that was read
without a gap.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tcdatalogger.core.config.settings import EndpointSettings
from tcdatalogger.core.main import Application
from tcdatalogger.core.run.already_stored import already, busy_outcome
from tcdatalogger.core.run.fetched import FetchHeader, fetched_from
from tcdatalogger.core.run.run import Run, RunResult
from tcdatalogger.core.run.steps import STEPS
from tcdatalogger.core.state.store import (
    CRASHED,
    PAUSED,
    PENDING,
    RUNNING,
    STOPPED,
    RunRecord,
    gone_on,
)
from tcdatalogger.errors import Busy, UsageError
from tcdatalogger.services.torncity.lists.cursor import Cursor, WalkSummary
from tcdatalogger.services.torncity.processing.task import Fetched, Task

GOES_ON: Final = frozenset({PAUSED, STOPPED, "failed", PENDING, CRASHED})
"""The statuses of runs that may go on; other runs are stored, or cannot be stored any more."""


def resume(
    application: Application,
    endpoint: EndpointSettings,
    run_id: str,
    *,
    step: str | None = None,
    dry: bool = False,
) -> RunResult:
    """Go on with a run, without a call of Torn.

    Args:
        application: the application.
        endpoint: the endpoint of the run.
        run_id: the id of the run.
        step: the one step to take; None for all steps that are left.
        dry: whether nothing is stored, and only shown what would be.

    Raises:
        UsageError: there is no such run, it is of another endpoint, or its answers are incomplete.
        DataRefused: its answers are damaged.
    """
    task = application.task(endpoint, run_id)
    known = _record(application, endpoint, run_id)
    try:
        with application.claimed(endpoint.name, run_id) as claim:
            record = _record(application, endpoint, run_id)
            stored = already(application, endpoint, task)
            if stored is not None:
                if record.status != stored.record.status:  # killed between the commit and its end
                    application.state.write_run(replace(stored.record, settled=True))
                application.artifacts.remove(run_id)
                return stored
            fetched, waits = _fetched(application, task, record, step)
            run = Run(
                application,
                endpoint,
                task,
                gone_on(record, application.record(task, claim)),
                application.guard(claim, task.name),
                until=step or "store",
                dry=dry,
                waits=waits,
            )
            outcome = application.execute(run, timeout=endpoint.timeout.seconds, fetched=fetched)
    except Busy as busy:
        return busy_outcome(replace(known, error=""), busy)
    if outcome.record.status == "done":
        application.archive.accept(outcome.record.archive_file)
        application.artifacts.remove(run_id)
    return outcome


def _record(application: Application, endpoint: EndpointSettings, run_id: str) -> RunRecord:
    """The run as the state has it.

    Raises:
        UsageError: the run is unknown, or of another endpoint.
    """
    found = application.state.runs(run_id=run_id, most=1)
    if not found:
        raise UsageError(
            f"There is no run {run_id}.",
            remedy=f"`tcdatalogger runs --endpoint {endpoint.name}` lists them.",
        )
    [record] = found
    if record.endpoint != endpoint.name:
        raise UsageError(
            f"The run {run_id} is one of {record.endpoint}, not of {endpoint.name}.",
            remedy=f"`tcdatalogger run {record.endpoint} --run {run_id}` goes on with it.",
        )
    return record


def _fetched(
    application: Application, task: Task, record: RunRecord, step: str | None
) -> tuple[Fetched, bool]:
    """The answers of the run, and whether it had to store its rows from the beginning.

    Raises:
        UsageError: the run has no answers, asked for another list, or has no such step left.
    """
    if record.status not in {*GOES_ON, RUNNING}:
        raise UsageError(
            f"The run {task.run_id} is {record.status}, and does not go on.",
            remedy=f"`tcdatalogger replay {task.run_id}` stores it from the archive.",
        )
    if step == STEPS[0]:
        raise UsageError(
            f"The answers of the run {task.run_id} are in the archive already.",
            remedy=f"`tcdatalogger run {task.name} --run {task.run_id} --step transform` goes on "
            "from there.",
        )
    file = record.archive_file or application.archive.find(task.name, task.run_id)
    header = FetchHeader.read(application.archive, file) if file else FetchHeader()
    fetched = fetched_from(application.archive, str(file)) if header.whole else None
    if fetched is None:
        raise UsageError(
            f"The run {task.run_id} has no whole answers to go on from.",
            remedy=f"`tcdatalogger run {task.name}` asks Torn again.",
        )
    if header.asked != task.asked:
        raise UsageError(
            f"{task.name} asks for something else now than the run {task.run_id} did.",
            remedy="Go on with the path, params and table that it had, or run it anew.",
        )
    if step in {None, "store"}:
        fetched = replace(fetched, readings=_joined(application, task, header))
    return fetched, header.stores


def _joined(application: Application, task: Task, header: FetchHeader) -> tuple[WalkSummary, ...]:
    """The walks that may move the cursor.

    A walk that went on from a cursor may not move it where the endpoint has no cursor any more
    (all earlier runs were rolled back): the time before it would never be read again.
    """
    then = Cursor.read(header.cursor, task.asked).spans
    on = {
        one.place
        for one in header.readings
        if one.since is not None and one.place in then and then[one.place][0] < one.since
    }
    if not task.once or not on:
        return header.readings
    with application.warehouse() as warehouse:
        now = Cursor.read(warehouse.cursor(task.name), task.asked).spans
    return tuple(one for one in header.readings if one.place in now or one.place not in on)
