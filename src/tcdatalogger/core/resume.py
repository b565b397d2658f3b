"""A run goes on from what it left: from its answers in the archive, or from its looked-at rows.

Torn is not asked again. The run keeps its id and so its load, so it is stored once however often it
goes on; its cursor goes into the ledger with its rows, and moves that of the endpoint only over
what was read without a gap.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final

from tcdatalogger.core.artifacts import Left
from tcdatalogger.core.main import Application
from tcdatalogger.core.pending import About
from tcdatalogger.core.pipeline import STEPS, Outcome
from tcdatalogger.core.settings import Endpoint
from tcdatalogger.core.skipped import already, busy_outcome
from tcdatalogger.core.state import LATER, LOST, PAUSED, RUNNING, STOPPED, RunRecord
from tcdatalogger.errors import Busy, UsageError
from tcdatalogger.services.torncity.cursor import Cursor, Reading
from tcdatalogger.services.torncity.task import Fetched, Task, Tools

GOES_ON: Final = frozenset({PAUSED, STOPPED, "failed", LATER, LOST})
"""Of a run that may go on; one that is stored is done, and others have lost their place."""

_WORDS: Final = {"fetch": "fetched", "transform": "transformed", "validate": "validated"}


def resume(
    application: Application,
    endpoint: Endpoint,
    run_id: str,
    *,
    step: str | None = None,
    dry: bool = False,
) -> Outcome:
    """Go on with a run, without a call to Torn.

    Args:
        application: with the settings.
        endpoint: whose run it is.
        run_id: of the run.
        step: the one step to take; None for all that are left.
        dry: stop before anything is stored and say what would be.

    Raises:
        UsageError: there is no such run, it is another endpoint's, or it did not get so far.
        DataRefused: what it left is damaged, changed, or made by other settings.
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
            left = _left(application, endpoint, task, record, step)
            outcome = application.run_task(
                endpoint,
                task,
                claim=claim,
                until=step or "store",
                dry=dry,
                timeout=endpoint.timeout.seconds,
                left=left,
                before=record,
            )
    except Busy as busy:
        return busy_outcome(replace(known, error=""), busy)
    if outcome.record.status == "done":
        application.archive.accept(outcome.record.archive_file)
        application.artifacts.remove(run_id)
    return outcome


def _record(application: Application, endpoint: Endpoint, run_id: str) -> RunRecord:
    """The run as the books have it.

    Raises:
        UsageError: it is unknown, or another endpoint's.
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


def _left(
    application: Application, endpoint: Endpoint, task: Task, record: RunRecord, step: str | None
) -> Left:
    """What the run goes on from.

    Raises:
        UsageError: it has no answers, has not come so far, or asked for something else.
    """
    if record.status not in {*GOES_ON, RUNNING}:
        raise UsageError(
            f"The run {task.run_id} is {record.status}, and does not go on.",
            remedy=f"`tcdatalogger replay {task.run_id}` stores it from the archive.",
        )
    file = record.archive_file or application.archive.find(task.name, task.run_id)
    about = About.read(application.archive, file) if file else About()
    if not about.whole:
        raise UsageError(
            f"The run {task.run_id} has no whole answers to go on from.",
            remedy=f"`tcdatalogger run {task.name}` asks Torn again.",
        )
    if about.asked != task.asked:
        raise UsageError(
            f"{task.name} asks for something else now than the run {task.run_id} did.",
            remedy="Go on with the path, params and table that it had, or run it anew.",
        )
    begin = _begin(task, application.artifacts.step(task.run_id) or "fetch", step)
    pages = tuple(page for error, page in application.archive.read(str(file)) if not error)
    made = None if begin == "fetch" else application.artifacts.read(task)
    readings = about.readings
    if step in {None, "store"}:
        readings = _joined(application, task, about)
    desk = application.desk(endpoint)
    return Left(
        begin,
        Fetched(pages, readings=readings, stretch=about.stretch),
        made,
        Tools(ids=_ids(task, readings)),
        stores=about.stores,
        overtaken=partial(desk.overtaken, about, task),
    )


def _begin(task: Task, reached: str, step: str | None) -> str:
    """The step after which the run goes on.

    Raises:
        UsageError: it has not come to the step before the one that is to be taken.
    """
    if step is None:
        return reached
    before = STEPS[STEPS.index(step) - 1] if step != STEPS[0] else ""
    call = f"tcdatalogger run {task.name} --run {task.run_id}"
    if not before:
        raise UsageError(
            f"The answers of the run {task.run_id} are in the archive already.",
            remedy=f"`{call} --step transform` goes on from there.",
        )
    if before not in {STEPS[0], reached}:
        raise UsageError(
            f"The run {task.run_id} has been {_WORDS[reached]}, which is not what {step} goes on "
            "from.",
            remedy=f"`{call} --step {_next(reached, step)}` first; `{call}` goes on to the end.",
        )
    return before


def _next(reached: str, step: str) -> str:
    """The step to take instead of one that cannot be taken now."""
    after = STEPS[STEPS.index(reached) + 1]
    return "transform" if after == "store" and step != "store" else after


def _joined(application: Application, task: Task, about: About) -> tuple[Reading, ...]:
    """The readings that may move the cursor.

    One that went on from a cursor may not where the endpoint has none any more, as all before it
    was rolled back: nobody would read again what lies between.
    """
    then = Cursor.read(about.cursor, task.asked).spans
    on = {
        one.place
        for one in about.readings
        if one.since is not None and one.place in then and then[one.place][0] < one.since
    }
    if not task.once or not on:
        return about.readings
    with application.warehouse() as warehouse:
        now = Cursor.read(warehouse.cursor(task.name), task.asked).spans
    return tuple(one for one in about.readings if one.place in now or one.place not in on)


def _ids(task: Task, readings: tuple[Reading, ...]) -> tuple[str, ...]:
    """The values of the path's placeholder: a query of the warehouse may give others by now."""
    many = task.endpoint.path_parameters
    return tuple(dict.fromkeys(one.place for one in readings)) if many else ()
