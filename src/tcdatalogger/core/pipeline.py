"""One run of one endpoint: fetch -> archive -> transform -> validate -> store.

A run ends in an `Outcome`, also when it fails: what went wrong is in its record, the answers that
came are in the archive, and the warehouse is as it was. Only what nobody foresaw is raised.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final

from tcdatalogger.clock import Clock
from tcdatalogger.core.archive import Archive, Kept
from tcdatalogger.core.deadline import deadline
from tcdatalogger.core.state import RUNNING, RunRecord, State
from tcdatalogger.errors import Failure
from tcdatalogger.models.evolution import Step
from tcdatalogger.observability.log import bound, get_logger
from tcdatalogger.services.torncity.base import (
    EndpointProcessor,
    Fetched,
    Task,
    Tools,
    Transformed,
)
from tcdatalogger.services.torncity.codes import TornFault
from tcdatalogger.services.torncity.messages import Answer, Request
from tcdatalogger.services.warehouse import Receipt, Warehouse

STEPS: Final = ("fetch", "transform", "validate", "store")

BROKEN_OFF: Final = "the fetch broke off after this page"

_log = get_logger("pipeline")


@dataclass(frozen=True, slots=True)
class Workplace:
    """What a run works with.

    Attributes:
        warehouse: opens it; the run keeps it from the transform to the end of the store.
        prepare: makes the tools for calling Torn with the endpoint's key; may refuse.
        on_page: told of each page as it comes, for progress.
    """

    clock: Clock
    state: State
    archive: Archive
    warehouse: Callable[[], Warehouse]
    prepare: Callable[[Task], Tools]
    on_page: Callable[[Task, int], None] = lambda _task, _page: None


@dataclass(slots=True)
class Outcome:
    """What became of a run.

    Attributes:
        record: as the books have it.
        fetched, made, receipt: what each step left, None where it did not come to it.
        plan: how the tables would change, for a run that stores nothing.
        error: why it failed.
    """

    record: RunRecord
    fetched: Fetched | None = None
    made: Transformed | None = None
    receipt: Receipt | None = None
    plan: tuple[Step, ...] = ()
    error: Failure | None = None


def run(
    task: Task,
    choose: Callable[[], type[EndpointProcessor]],
    place: Workplace,
    *,
    until: str = "store",
    dry: bool = False,
    timeout: float | None = None,
    record: RunRecord,
) -> Outcome:
    """Run an endpoint.

    Args:
        task: what to do.
        choose: finds the processor's class; may refuse.
        place: what to work with.
        until: the last of `STEPS` to take.
        dry: stop before anything is stored and say what would be.
        timeout: seconds until the store must have begun, None for no limit.
        record: of the run, as it begins.
    """
    outcome = Outcome(record)
    with bound(run_id=task.run_id, endpoint=task.name):
        place.state.write_run(record)
        _log.info("run begins", path=task.endpoint.path, mode=task.mode)
        try:
            with deadline(timeout, task.name) as unlimited:
                last = "validate" if dry else until
                _steps(outcome, task, choose, place, until=last, plan=dry, commits=unlimited)
        except Failure as failure:
            _fail(outcome, failure)
        except BaseException as error:
            # Its text may quote what Torn sent, so the books have the kind alone.
            name = type(error).__name__
            outcome.record = replace(outcome.record, error=f"It ended by {name}.", error_class=name)
            raise
        finally:
            _close(outcome, place, until=until, dry=dry)
    return outcome


def _steps(
    outcome: Outcome,
    task: Task,
    choose: Callable[[], type[EndpointProcessor]],
    place: Workplace,
    *,
    until: str,
    plan: bool,
    commits: Callable[[], None],
) -> None:
    wanted = STEPS[: STEPS.index(until) + 1]
    calls = _Calls(task, place)
    with _timed(outcome, "fetch", place):
        try:
            kind = choose()
            fetching = replace(place.prepare(task), clock=place.clock)
            fetching = replace(fetching, get=calls.wrap(fetching.get))
            outcome.fetched = _asker(kind, task, fetching, place).fetch_data()
        finally:
            _keep(outcome, task, calls, place)
    if "transform" not in wanted:
        return
    digest = outcome.fetched.digest(task, kind) if task.mode == "replace" else None
    with place.warehouse() as warehouse:
        if digest is not None and "store" in wanted and warehouse.digest(task.name) == digest:
            outcome.record = replace(
                outcome.record, unchanged=True, warnings=outcome.fetched.warnings
            )
            return
        tools = replace(
            fetching,
            warehouse=warehouse,
            known=warehouse.known(task.name),
            archive=outcome.record.archive_file,
            cursor=warehouse.cursor(task.name) if task.once else None,
            readings=outcome.fetched.readings,
            stretch=outcome.fetched.stretch,
            digest=digest,
        )
        processor = kind(task, tools)
        with _timed(outcome, "transform", place):
            result = processor.transform_data(outcome.fetched)
            outcome.made = processor.as_tables(result, outcome.fetched)
        if "validate" in wanted:
            with _timed(outcome, "validate", place):
                outcome.made = processor.validate(outcome.made, outcome.fetched)
        _count(outcome, outcome.made)
        if plan:
            outcome.plan = warehouse.plan(outcome.made.family)
        if "store" in wanted:
            commits()
            with _timed(outcome, "store", place):
                outcome.receipt = processor.store(outcome.made)


def _asker(
    kind: type[EndpointProcessor], task: Task, tools: Tools, place: Workplace
) -> EndpointProcessor:
    """The processor that fetches; an incremental one knows where the last run left off.

    The warehouse is let go before Torn is asked: others may want it meanwhile.
    """
    if not task.once or (task.stretch is not None and not task.stretch.newest):
        return kind(task, tools)
    with place.warehouse() as warehouse:
        asker = kind(task, replace(tools, cursor=warehouse.cursor(task.name)))
        asker.look_back(warehouse)
    return asker


@dataclass(slots=True)
class _Calls:
    """Every answer that came, data or not, for the archive."""

    task: Task
    place: Workplace
    kept: list[Kept] = field(default_factory=list)

    def wrap(self, get: Callable[[Request], Answer] | None) -> Callable[[Request], Answer] | None:
        if get is None:
            return None

        def keeping(request: Request) -> Answer:
            try:
                answer = get(request)
            except TornFault as fault:
                if fault.answer is not None:
                    self.kept.append(Kept(fault.answer, error=fault.message))
                raise
            self.kept.append(Kept(answer))
            self.place.on_page(self.task, len(self.kept))
            return answer

        return keeping


def _keep(outcome: Outcome, task: Task, calls: _Calls, place: Workplace) -> None:
    """Write the answers down, those of a failed fetch too."""
    subjects = {
        id(page.answer): page.subject_id
        for page in (outcome.fetched.pages if outcome.fetched else ())
    }
    kept = [replace(one, subject_id=subjects.get(id(one.answer))) for one in calls.kept]
    answers = [one.answer for one in kept]
    outcome.record = replace(
        outcome.record,
        calls=len(kept),
        pages=sum(not one.error for one in kept),
        bytes=sum(len(answer.body) for answer in answers),
        server_time=max((answer.server_time for answer in answers), default=None),
        archive_file=place.archive.write(task.run_id, task.name, _marked(outcome, kept))
        if kept
        else "",
    )


def _marked(outcome: Outcome, kept: list[Kept]) -> list[Kept]:
    """A fetch that broke off without an answer leaves a mark: its pages are not the whole."""
    if outcome.fetched is None and kept and not kept[-1].error:
        return [*kept[:-1], replace(kept[-1], error=BROKEN_OFF)]
    return kept


def _count(outcome: Outcome, made: Transformed) -> None:
    warnings = (*(outcome.fetched.warnings if outcome.fetched else ()), *made.warnings)
    outcome.record = replace(
        outcome.record,
        rows=made.rows,
        quarantined=len(made.misfits),
        drift=len(made.drift),
        repeated=made.repeated,
        warnings=warnings,
    )
    for warning in warnings:
        _log.warning("odd", what=warning)
    for one in made.drift:
        _log.warning("drift", table=one.table, column=one.column, type=one.type)
    for misfit in made.misfits:
        _log.warning("set aside", path=misfit.path, reason=misfit.reason)


@contextmanager
def _timed(outcome: Outcome, step: str, place: Workplace) -> Iterator[None]:
    outcome.record = replace(outcome.record, step=step)
    place.state.write_run(outcome.record)
    began = time.monotonic()
    try:
        yield
    finally:
        seconds = round(time.monotonic() - began, 4)
        outcome.record = replace(outcome.record, seconds={**outcome.record.seconds, step: seconds})
    _log.debug("step done", step=step, seconds=seconds)


def _fail(outcome: Outcome, failure: Failure) -> None:
    outcome.error = failure
    outcome.record = replace(
        outcome.record,
        status="failed",
        rows={},
        error=failure.message,
        error_class=type(failure).__name__,
        remedy=failure.remedy,
        exit_code=failure.exit_code,
    )
    facts = {
        "step": outcome.record.step,
        "error": type(failure).__name__,
        "message": failure.message,
    }
    _log.error("run failed", **{**failure.facts, **facts})


def _close(outcome: Outcome, place: Workplace, *, until: str, dry: bool) -> None:
    """Write the end of the run down; a run that ends by what nobody foresaw is `failed` too."""
    record = replace(outcome.record, finished_at=place.clock.now())
    receipt = outcome.receipt
    if receipt is not None:
        record = replace(
            record,
            status="done",
            rows=dict(receipt.rows),
            unchanged=receipt.unchanged,
            load_id="" if receipt.unchanged else receipt.load_id,
            schema_version=receipt.schema_version,
            steps=tuple(map(str, receipt.steps)),
        )
    elif record.unchanged:
        record = replace(record, status="done")
    elif record.status == RUNNING:
        held = outcome.fetched if until == "fetch" and not dry else outcome.made
        meant = held is not None and not outcome.record.error and (dry or until != "store")
        status = "stopped" if meant else "failed"
        record = replace(record, status=status, exit_code=0 if status == "stopped" else 1)
    outcome.record = record
    place.state.write_run(record)
    _log.info(
        "run ends",
        status=record.status,
        rows=sum(record.rows.values()),
        calls=record.calls,
        seconds=round(sum(record.seconds.values()), 3),
    )
