"""One run of one endpoint: fetch -> archive -> transform -> validate -> store.

A run ends in an `Outcome`, also when it fails: what went wrong is in its record, the answers that
came are in the archive, and the warehouse is as it was. Only what nobody foresaw is raised. Where
the warehouse cannot be had after the fetch, or its rows do not add up, the run ends as `later`, and
the next one of its endpoint stores its rows first (`pending.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Final

from tcdatalogger.core import subjects
from tcdatalogger.core.artifacts import Left
from tcdatalogger.core.calls import Calls
from tcdatalogger.core.deadline import deadline
from tcdatalogger.core.noting import noting
from tcdatalogger.core.state import LATER, PAUSED, RUNNING, RunRecord, cut_off
from tcdatalogger.core.workplace import Outcome, Workplace
from tcdatalogger.ending import held
from tcdatalogger.errors import (
    Busy,
    ConfigError,
    DataRefused,
    DiskFull,
    Failure,
    TimedOut,
    TryAgain,
    Unbalanced,
    WarehouseUnavailable,
)
from tcdatalogger.models.checks import CheckFailed
from tcdatalogger.observability import usage
from tcdatalogger.observability.log import bound, get_logger
from tcdatalogger.observability.traces import Span, span
from tcdatalogger.services.torncity import history
from tcdatalogger.services.torncity.base import (
    EndpointProcessor,
    Fetched,
    Task,
    Tools,
    Transformed,
)
from tcdatalogger.services.warehouse import Warehouse, as_stored

__all__ = ["LATER_REMEDY", "SHORTLY", "STEPS", "Outcome", "Workplace", "run"]

STEPS: Final = ("fetch", "transform", "validate", "store")

WAITS: Final = "waiting for the warehouse"
"""Told in place of a step to whoever looks on; the books have the step."""

LATER_REMEDY: Final = "Its answers are in the archive: the next run of the endpoint stores them."

SHORTLY: Final = 2.0
"""Seconds to wait for a warehouse before the fetch, where the run can do without it until then."""

_log = get_logger("pipeline")


def run(
    task: Task,
    choose: Callable[[], type[EndpointProcessor]],
    place: Workplace,
    *,
    until: str = "store",
    dry: bool = False,
    timeout: float | None = None,
    record: RunRecord,
    left: Left | None = None,
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
        left: what an earlier part of it has left, to go on from; None for a run that begins.
    """
    outcome = Outcome(record, stores=until == "store" and not dry, left=left)
    names = {"run_id": task.run_id, "endpoint": task.name}
    began = usage.cpu()
    with bound(**names), span("run", **names, path=task.endpoint.path) as measured:
        _write(outcome, place)
        _log.info("run begins", path=task.endpoint.path, mode=task.mode)
        try:
            with deadline(timeout, task.name) as unlimited:
                last = "validate" if dry else until
                _steps(outcome, task, choose, place, until=last, plan=dry, commits=unlimited)
            _end_as_told(outcome.fetched)
        except Failure as failure:
            _fail(outcome, failure)
        except BaseException as error:
            if outcome.receipt is not None:
                raise  # told to end while it stored: it has, and ends well
            outcome.record = replace(cut_off(outcome.record, error), rows={})
            # Ctrl-C, told to end, or out of memory: no word of what was fetched is wrong.
            if outcome.owed and (not isinstance(error, Exception) or type(error) is MemoryError):
                outcome.record = replace(outcome.record, status=LATER, remedy=LATER_REMEDY)
            raise
        finally:
            outcome.record = replace(
                outcome.record,
                cpu_seconds=round(usage.cpu() - began, 4),
                memory=usage.peak_memory(),
            )
            _close(outcome, place, until=until, dry=dry)
            _measure(outcome.record, measured)
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
    left = outcome.left
    wanted = STEPS[STEPS.index(left.step) + 1 if left else 0 : STEPS.index(until) + 1]
    _settle_first(outcome, place)
    if left is None:
        kind, fetching, outcome.fetched = _fetch(outcome, task, choose, place)
    else:
        kind, fetching = choose(), replace(left.tools, clock=place.clock)
        outcome.fetched, outcome.made = left.fetched, left.made
    if until == "fetch":
        return
    whole = task.mode == "replace" and outcome.fetched.whole
    digest = outcome.fetched.digest(task, kind) if whole else None
    place.state.write_run(outcome.record)  # what the calls cost is known, whatever comes
    _wait(outcome, place)
    with place.warehouse(None) as warehouse, noting(outcome, task, warehouse, place.clock):
        _settle(outcome, place, warehouse)
        if "store" in wanted:
            _look_first(outcome, task, place, warehouse)
        if digest is not None and "store" in wanted and warehouse.digest(task.name) == digest:
            outcome.record = replace(outcome.record, unchanged=True)
            return
        tools = replace(
            fetching,
            warehouse=warehouse,
            known=warehouse.known(task.name),
            owners=warehouse.owners(),
            archive=outcome.record.archive_file,
            cursor=warehouse.cursor(task.name) if task.once else None,
            readings=outcome.fetched.readings,
            stretch=outcome.fetched.stretch,
            digest=digest,
        )
        processor, made, file = kind(task, tools), outcome.made, outcome.record.archive_file
        if made is None or "transform" in wanted:
            with _timed(outcome, "transform", place):
                result = processor.transform_data(outcome.fetched)
                outcome.made = made = processor.as_tables(result, outcome.fetched)
        if "validate" in wanted:
            with _timed(outcome, "validate", place), place.archive.marking(file, DataRefused):
                outcome.made = made = processor.validate(made, outcome.fetched)
        _count(outcome, made)
        if plan:
            outcome.plan = warehouse.plan(as_stored(made.family, task.mode, task.name))
        elif "store" not in wanted and place.artifacts is not None:
            folder = place.artifacts.write(task, until, made)
            outcome.record = replace(outcome.record, artifact=str(folder))
        if "store" in wanted:
            commits()
            with _timed(outcome, "store", place), place.archive.marking(file, CheckFailed):
                outcome.receipt = processor.store(made)
            left_at = history.cursor(task, tools) or ""
            outcome.record = replace(outcome.record, cursor=left_at)


def _fetch(
    outcome: Outcome, task: Task, choose: Callable[[], type[EndpointProcessor]], place: Workplace
) -> tuple[type[EndpointProcessor], Tools, Fetched]:
    """Ask Torn, and put every answer into the archive; the processor's class and its tools too."""
    calls = Calls(task, place.clock, lambda calls: _page(outcome, calls, place), place.made)
    with _timed(outcome, "fetch", place):
        try:
            kind = choose()
            fetching = replace(place.prepare(task), clock=place.clock)
            fetching = replace(fetching, get=calls.wrap(fetching.get))
            _wait(outcome, place)
            asker = _asker(kind, task, fetching, place)
            place.tell(outcome.record)
            calls.cursor = asker.tools.cursor
            outcome.fetched = fetched = asker.fetch_data()
        finally:
            with held():  # what was fetched whole is in the archive, and the run knows it
                _keep(outcome, calls, place)
    outcome.record = replace(outcome.record, warnings=fetched.warnings)
    return kind, fetching, fetched


def _settle_first(outcome: Outcome, place: Workplace) -> None:
    """Store what earlier runs owe, if the warehouse is free: else it is tried again afterwards."""
    outcome.owing = outcome.stores and place.desk is not None and place.desk.owes()
    if not outcome.owing:
        return
    try:
        with place.warehouse(0.0) as warehouse:
            _settle(outcome, place, warehouse)
    except (WarehouseUnavailable, Busy, DiskFull, ConfigError, Unbalanced) as failure:
        _log.info("what is owed has to wait", why=failure.message)


def _settle(outcome: Outcome, place: Workplace, warehouse: Warehouse) -> None:
    if outcome.owing and place.desk is not None:
        outcome.settled += tuple(place.desk.settle(warehouse))
        outcome.owing = False  # what had not the time for it is for the next run


def _look_first(outcome: Outcome, task: Task, place: Workplace, warehouse: Warehouse) -> None:
    """Tell, or refuse, rows about somebody else than those that are stored, or made too long ago.

    Raises:
        DataRefused: they must not be stored.
    """
    if outcome.fetched is not None:
        with place.archive.marking(outcome.record.archive_file, DataRefused):
            says = subjects.changed(task, outcome.fetched, warehouse)
        told = (*outcome.record.warnings, *([says] if says else []))
        outcome.record = replace(outcome.record, warnings=told)
    if outcome.left is not None:
        outcome.left.refuse_stale(warehouse, task.name)


def _asker(
    kind: type[EndpointProcessor], task: Task, tools: Tools, place: Workplace
) -> EndpointProcessor:
    """The processor that fetches; an incremental one knows where the last run left off.

    The warehouse is let go before Torn is asked: others may want it meanwhile. Where it cannot be
    had now, the run goes on from where the last one left off by the archive: what Torn shows today
    may be gone tomorrow. The ledger's own cursor moves only over what was read without a gap.
    """
    if not task.once or (task.stretch is not None and not task.stretch.newest):
        return kind(task, tools)
    instead = place.desk.cursor if place.desk is not None and task.stretch is None else None
    remembered: str | None = None
    try:
        with place.warehouse(SHORTLY if instead else None) as warehouse:
            return _looked_back(kind, task, tools, warehouse)
    except WarehouseUnavailable:
        remembered = instead() if instead is not None else None
        if remembered is None and instead is None:
            raise
    if remembered is None:  # nothing is known of it: then it is worth the whole wait
        with place.warehouse(None) as warehouse:
            return _looked_back(kind, task, tools, warehouse)
    return kind(task, replace(tools, cursor=remembered))


def _looked_back(
    kind: type[EndpointProcessor], task: Task, tools: Tools, warehouse: Warehouse
) -> EndpointProcessor:
    asker = kind(task, replace(tools, cursor=warehouse.cursor(task.name)))
    asker.look_back(warehouse)
    return asker


def _page(outcome: Outcome, calls: Calls, place: Workplace) -> None:
    """Tell how far the fetch is; the books are told once a second, for whoever looks from afar."""
    outcome.record = replace(outcome.record, **calls.so_far)
    place.tell(outcome.record)
    if calls.due():
        with suppress(Failure):  # to tell of a run must not end it
            place.state.write_run(outcome.record)


def _keep(outcome: Outcome, calls: Calls, place: Workplace) -> None:
    """Write the answers down, those of a failed fetch too."""
    outcome.record = replace(outcome.record, **calls.facts())
    file = calls.write(place.archive, outcome.fetched, stores=outcome.stores)
    outcome.record = replace(outcome.record, archive_file=file)


def _write(outcome: Outcome, place: Workplace) -> None:
    place.state.write_run(outcome.record)
    place.tell(outcome.record)


def _wait(outcome: Outcome, place: Workplace) -> None:
    """Tell that the warehouse may have to be waited for; the next step tells that it is there."""
    place.tell(replace(outcome.record, step=WAITS))


def _count(outcome: Outcome, made: Transformed) -> None:
    warnings = tuple(dict.fromkeys((*outcome.record.warnings, *made.warnings)))
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
    _write(outcome, place)
    began = time.monotonic()
    try:
        with span(step):
            yield
    finally:
        seconds = round(time.monotonic() - began, 4)
        outcome.record = replace(outcome.record, seconds={**outcome.record.seconds, step: seconds})
    _log.debug("step done", step=step, seconds=seconds)


def _end_as_told(fetched: Fetched | None) -> None:
    """End now, where the fetch was told to and what it had was to be stored first."""
    if fetched is not None and fetched.cut is not None and not isinstance(fetched.cut, Failure):
        raise fetched.cut


def _fail(outcome: Outcome, failure: Failure) -> None:
    if isinstance(failure, TimedOut) and failure.reason is not None:
        failure = failure.reason
    later = outcome.owed and isinstance(failure, TryAgain | ConfigError | Unbalanced)
    outcome.error = failure
    outcome.record = replace(
        outcome.record,
        status=LATER if later else "failed",
        rows={},
        error=failure.message,
        error_class=type(failure).__name__,
        remedy=" ".join(filter(None, (LATER_REMEDY if later else "", failure.remedy))),
        exit_code=failure.exit_code,
    )
    facts = {
        "step": outcome.record.step,
        "error": type(failure).__name__,
        "message": failure.message,
    }
    _log.error("not stored yet" if later else "run failed", **{**failure.facts, **facts})


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
        status = PAUSED if meant else "failed"
        code = 0 if status == PAUSED else record.exit_code or 1
        record = replace(record, status=status, exit_code=code)
    elif record.status == LATER and outcome.error is None:
        record = replace(record, exit_code=record.exit_code or 1, rows={})
    outcome.record = record
    _write(outcome, place)
    _log.info(
        "run ends",
        status=record.status,
        rows=sum(record.rows.values()),
        calls=record.calls,
        seconds=round(sum(record.seconds.values()), 3),
    )


def _measure(record: RunRecord, measured: Span) -> None:
    """What a run came to, for its trace."""
    measured.note(
        status=record.status,
        rows=sum(record.rows.values()),
        calls=record.calls,
        bytes=record.bytes,
        quarantined=record.quarantined,
        drift=record.drift,
    )
    if record.error_class:
        measured.fail(record.error_class)
