"""One run of one endpoint: fetch -> archive -> transform -> validate -> store.

`Run.store` is the only way from what was fetched to rows. Whoever makes rows calls it: a run, one
that goes on, one that is stored later, replay, rebuild, and the quarantine.

A run ends in an `RunResult`, also when it fails: what went wrong is in its record, the answers that
came are in the archive, and the warehouse is as it was. Only what nobody foresaw is raised. Where
the warehouse cannot be had after the fetch, or its rows do not add up, the run ends as `pending`,
and the next one of its endpoint stores its rows first (`pending.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from typing import Final, Protocol, Self

import pyarrow as pa

from tcdatalogger.clock import Clock, utc
from tcdatalogger.core.archive import Archive
from tcdatalogger.core.config.settings import EndpointSettings
from tcdatalogger.core.run import pending, subjects
from tcdatalogger.core.run.checkpoints import StepTables
from tcdatalogger.core.run.fetched import fetched_from
from tcdatalogger.core.run.load import Guard, load_of
from tcdatalogger.core.run.pending_limits import longest
from tcdatalogger.core.run.recorder import CallRecorder
from tcdatalogger.core.run.timeout import deadline
from tcdatalogger.core.state.store import PAUSED, PENDING, RUNNING, RunRecord, State, cut_off
from tcdatalogger.ending import held, no_longer
from tcdatalogger.errors import (
    Busy,
    ConfigError,
    DataRefused,
    DiskFull,
    Failure,
    StateUnavailable,
    TimedOut,
    TryAgain,
    Unbalanced,
    WarehouseUnavailable,
)
from tcdatalogger.models.checks.promised import Checked, CheckFailed, CheckResult
from tcdatalogger.models.evolution import Step
from tcdatalogger.observability import usage
from tcdatalogger.observability.log import bound, get_logger
from tcdatalogger.observability.traces import TraceSpan, span
from tcdatalogger.services.torncity.client.budget import Priority
from tcdatalogger.services.torncity.endpoints import in_file
from tcdatalogger.services.torncity.endpoints.registry import processor
from tcdatalogger.services.torncity.processing.base import EndpointProcessor
from tcdatalogger.services.torncity.processing.task import Fetched, Known, Source, Task, Transformed
from tcdatalogger.services.warehouse.load import Load, Receipt, as_stored
from tcdatalogger.services.warehouse.protocol import Warehouse

WAITS: Final = "waiting for the warehouse"
"""Shown in place of a step to whoever watches; the state has the step."""

LATER_REMEDY: Final = "Its answers are in the archive: the next run of the endpoint stores them."

SHORTLY: Final = 2.0
"""Seconds to wait for a warehouse before the fetch, where the run can do without it until then."""

_PLACES: Final = (WarehouseUnavailable, StateUnavailable, Busy, DiskFull, ConfigError)
"""What keeps any run from being stored now, so that it is no try of a pending one."""

_TOO_LONG: Final = "It stays in the archive, and the next run tries again, for longer."

_log = get_logger("run")
_checks_log = get_logger("checks")


class Parts(Protocol):
    """What a run works with: the program (`main.Application`)."""

    @property
    def clock(self) -> Clock:
        """The one source of time."""
        ...

    @property
    def state(self) -> State:
        """The state, with the runs."""
        ...

    @property
    def archive(self) -> Archive:
        """Where the raw answers go."""
        ...

    @property
    def artifacts(self) -> StepTables:
        """Where the tables of single steps go."""
        ...

    @property
    def calls(self) -> Sequence[float]:
        """The seconds of each call that went over the wire for the run so far."""
        ...

    def warehouse(self, patience: float | None = None) -> Warehouse:
        """The warehouse, waited for that long; None for the usual time."""
        ...

    def source(
        self, endpoint: EndpointSettings, task: Task, priority: Priority | None = None
    ) -> Source:
        """How to call Torn with the endpoint's key; may refuse."""
        ...

    def task(self, endpoint: EndpointSettings, run_id: str = "") -> Task:
        """What one run of the endpoint is to do."""
        ...

    def tell(self, record: RunRecord) -> None:
        """Told of the run as it begins, at each step and page, and when it has ended."""
        ...


@dataclass(frozen=True, slots=True)
class RunResult:
    """What became of a run.

    Attributes:
        record: as the state has it.
        fetched, made, receipt: what each step left, None where it did not come to it.
        plan: how the tables would change, for a run that stores nothing.
        error: why it failed.
        settled: runs before it that were pending and are no longer.
    """

    record: RunRecord
    fetched: Fetched | None = None
    made: Transformed | None = None
    receipt: Receipt | None = None
    plan: tuple[Step, ...] = ()
    error: Failure | None = None
    settled: tuple[RunRecord, ...] = ()

    def __repr__(self) -> str:
        """One line: bodies and tables are far too long to read."""
        rows = ", ".join(f"{name} {number:,}" for name, number in self.rows.items())
        says = f"{type(self.error).__name__}: {self.error}" if self.error else f"rows: {rows or 0}"
        return f"<RunResult {self.record.endpoint} {self.status}, {says}>"

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return self.record.run_id

    @property
    def status(self) -> str:
        """`done`, `failed`, `busy`, `paused` after a step, or `pending`: see `docs/words.md`."""
        return self.record.status

    @property
    def rows(self) -> Mapping[str, int]:
        """How many rows the run has stored, or would store, by table."""
        return self.record.rows

    @property
    def tables(self) -> Mapping[str, pa.Table]:
        """The rows that the run made, by table; empty where it did not come to that."""
        return {} if self.made is None else self.made.tables

    def raise_for_error(self) -> Self:
        """Raise the error of a run that failed; a good result is returned as it is.

        Raises:
            Failure: the run failed, or its endpoint is busy.
        """
        if self.error is not None:
            raise self.error
        return self


@dataclass(slots=True)
class Run:
    """A run, from its beginning to its end.

    Attributes:
        parts: what it works with.
        endpoint: whose run it is.
        task: what it is to do.
        record: as the state has it.
        guard: the claim under which it stores.
        until: the last of `steps.STEPS` to take.
        dry: stop before anything is stored and say what would be.
        waits: whether its rows may be stored by the next run, where they cannot be now; not those
            of a run that somebody takes step by step.
        marks: whether a refusal is marked in the archive, so that no rebuild stores its rows.
        known: what its tables are known by, None to ask the warehouse.
        fetched, made, receipt, plan, error, settled: as those of its outcome.
    """

    parts: Parts
    endpoint: EndpointSettings
    task: Task
    record: RunRecord
    guard: Guard = Guard()  # noqa: RUF009 - a frozen value
    until: str = "store"
    dry: bool = False
    waits: bool = True
    marks: bool = True
    known: Known | None = None
    fetched: Fetched | None = None
    made: Transformed | None = None
    receipt: Receipt | None = None
    plan: tuple[Step, ...] = ()
    error: Failure | None = None
    settled: tuple[RunRecord, ...] = ()
    _has_pending: bool = False
    _commits: Callable[[], None] | None = None

    @property
    def stores(self) -> bool:
        """Whether it is to store its rows."""
        return self.until == "store" and not self.dry

    @property
    def outcome(self) -> RunResult:
        """What became of it."""
        return RunResult(
            self.record,
            self.fetched,
            self.made,
            self.receipt,
            self.plan,
            self.error,
            self.settled,
        )

    @property
    def _can_wait(self) -> bool:
        """Whether its rows can be made from the archive, and are to be."""
        fetched = self.fetched is not None and bool(self.record.archive_file)
        return self.waits and self.stores and fetched

    @property
    def _kind(self) -> type[EndpointProcessor]:
        return processor(self.task.endpoint.path, self.endpoint.processor)

    # --- from the beginning to the end -----------------------------------------------------

    def execute(
        self,
        *,
        timeout: float | None = None,
        priority: Priority | None = None,
        fetched: Fetched | None = None,
    ) -> RunResult:
        """Take the steps, and write down how it ended.

        Args:
            timeout: seconds until the store must have begun, None for no limit.
            priority: of its calls, None for the endpoint's.
            fetched: what an earlier part of the run has fetched, to go on from.
        """
        task = self.task
        names = {"run_id": task.run_id, "endpoint": task.name}
        began = usage.cpu()
        with bound(**names), span("run", **names, path=task.endpoint.path) as measured:
            self._write()
            _log.info("run_started", path=task.endpoint.path, mode=task.mode)
            try:
                with deadline(timeout, task.name) as self._commits:
                    self._steps(priority, fetched)
                self._end_as_told()
            except Failure as failure:
                self._fail(failure)
            except BaseException as error:
                if self.receipt is not None:
                    raise  # told to end while it stored: it has, and ends well
                at = in_file.where(error) if isinstance(error, Exception) else ""
                remedy = f"{at} ended in it: correct the file." if at else ""
                self.record = replace(cut_off(self.record, error), rows={}, remedy=remedy)
                # Ctrl-C, told to end, or out of memory: no word of what was fetched is wrong.
                if self._can_wait and (
                    not isinstance(error, Exception) or type(error) is MemoryError
                ):
                    self.record = replace(self.record, status=PENDING, remedy=LATER_REMEDY)
                raise
            finally:
                self.record = replace(
                    self.record,
                    cpu_seconds=round(usage.cpu() - began, 4),
                    memory=usage.peak_memory(),
                )
                self._close()
                _measure(self.record, measured)
        return self.outcome

    def _steps(self, priority: Priority | None, fetched: Fetched | None) -> None:
        self._store_pending_first()
        goes_on = fetched is not None
        self.fetched = fetched = fetched or self._fetch(priority)
        if self.until == "fetch":
            return
        self.parts.state.write_run(self.record)  # what the calls cost is known, whatever comes
        self._wait()
        with self.parts.warehouse(None) as warehouse:
            self._store_pending(warehouse)
            if goes_on and self.stores:
                self._refuse_overtaken(fetched, warehouse)
            self.store(fetched, warehouse)

    def _refuse_overtaken(self, fetched: Fetched, warehouse: Warehouse) -> None:
        """Refuse to go on with what has no place in the tables any more.

        Raises:
            DataRefused: a later run has taken its place.
        """
        if why := pending.overtaken(self.parts.archive, self.task, fetched.at, warehouse):
            raise DataRefused(why, remedy="Nothing was stored; its answers are in the archive.")

    # --- fetch -----------------------------------------------------------------------------

    def _fetch(self, priority: Priority | None) -> Fetched:
        """Ask Torn, and put every answer into the archive."""
        calls = CallRecorder(self.task, self.parts.clock, self._page, self.parts)
        with self._timed("fetch"):
            try:
                kind = self._kind
                source = self.parts.source(self.endpoint, self.task, priority)
                source = replace(source, clock=self.parts.clock, get=calls.wrap(source.get))
                self._wait()
                asker = self._asker(kind, source)
                self.parts.tell(self.record)
                calls.cursor = asker.source.cursor
                self.fetched = fetched = asker.fetch_data()
                if isinstance(fetched.cut, TimedOut):
                    no_longer(fetched.cut)  # nothing breaks into the storing of what came
            finally:
                with held():  # what was fetched whole is in the archive, and the run knows it
                    self._keep(calls)
        self.record = replace(self.record, warnings=fetched.warnings)
        return replace(fetched, archive=self.record.archive_file)

    def _asker(self, kind: type[EndpointProcessor], source: Source) -> EndpointProcessor:
        """The processor that fetches; an incremental one knows where the last run left off.

        The warehouse is let go before Torn is asked: others may want it meanwhile. Where it cannot
        be had now, the run goes on from where the last one left off by the archive: what Torn shows
        today may be gone tomorrow. The ledger's own cursor moves only over what was read without a
        gap.
        """
        task, parts = self.task, self.parts
        if not task.once or (task.stretch is not None and not task.stretch.newest):
            return kind(task, source=source)
        regular = task.stretch is None
        try:
            with parts.warehouse(SHORTLY if regular else None) as warehouse:
                return _looked_back(kind, task, source, warehouse)
        except WarehouseUnavailable:
            if not regular:
                raise
        remembered = pending.cursor(parts.state, parts.archive, task)
        if remembered is None:  # nothing is known of it: then it is worth the whole wait
            with parts.warehouse(None) as warehouse:
                return _looked_back(kind, task, source, warehouse)
        return kind(task, source=replace(source, cursor=remembered))

    def _page(self, calls: CallRecorder) -> None:
        """Tell how far the fetch is; the state is written once a second, for other processes."""
        self.record = replace(self.record, **calls.so_far)
        self.parts.tell(self.record)
        if calls.due():
            with suppress(Failure):  # to tell of a run must not end it
                self.parts.state.write_run(self.record)

    def _keep(self, calls: CallRecorder) -> None:
        """Write the answers down, those of a failed fetch too."""
        self.record = replace(self.record, **calls.facts())
        file = calls.write(self.parts.archive, self.fetched, stores=self.stores)
        self.record = replace(self.record, archive_file=file)

    # --- what earlier runs owe -------------------------------------------------------------

    def _store_pending_first(self) -> None:
        """Store what earlier runs owe, if the warehouse is free: else it is tried again later."""
        self._has_pending = self.stores and pending.has_pending(self.parts.state, self.task.name)
        if not self._has_pending:
            return
        try:
            with self.parts.warehouse(0.0) as warehouse:
                self._store_pending(warehouse)
        except (WarehouseUnavailable, Busy, DiskFull, ConfigError, Unbalanced) as failure:
            _log.info("pending_runs_deferred", message=failure.message)

    def _store_pending(self, warehouse: Warehouse) -> None:
        if self._has_pending:
            found = store_pending(self.parts, self.endpoint, self.guard, warehouse)
            self.settled += tuple(found)
            self._has_pending = False  # what had not the time for it is for the next run

    # --- from what was fetched to rows -----------------------------------------------------

    def store(self, fetched: Fetched, warehouse: Warehouse) -> None:
        """Transform, validate and commit what was fetched, as far as the run goes.

        What comes of it stands in `made`, `receipt`, `plan` and the record.

        Args:
            fetched: by this run, from the archive or from Torn.
            warehouse: where the rows go.

        Raises:
            DataRefused: the rows are refused; nothing was stored.
            WarehouseUnavailable, Busy, Unbalanced: as `Warehouse.commit`.
        """
        task = self.task
        with self._failed_checks(warehouse):
            digest = self._digest(fetched)
            if self.stores:
                self._look_whose(fetched, warehouse)
                if digest is not None and warehouse.digest(task.name) == digest:
                    self.record = replace(self.record, unchanged=True)
                    return
            maker = self.maker(warehouse)
            with self._timed("transform"):
                result = maker.transform_data(fetched)
                self.made = made = maker.as_tables(result, fetched)
            if self.dry or self.until != "transform":
                with self._timed("validate"), self._marking(fetched, DataRefused):
                    self.made = made = maker.validate(made, fetched)
            self._count(made)
            if not self.stores:
                self._show(made, warehouse)
                return
            if self._commits is not None:
                self._commits()
            load = self.load(fetched, warehouse, digest)
            with self._timed("store"), self._marking(fetched, CheckFailed):
                self.receipt = warehouse.commit(load)
            self.record = replace(self.record, cursor=load.cursor or "")

    def maker(self, warehouse: Warehouse) -> EndpointProcessor:
        """The processor that makes the rows, with what the warehouse knows by now."""
        known = self.known or Known.of(warehouse, self.task.name)
        return self._kind(self.task, known=known)

    def load(self, fetched: Fetched, warehouse: Warehouse, digest: str | None = None) -> Load:
        """What is committed of the rows that were made.

        Raises:
            ValueError: no rows were made yet.
        """
        if self.made is None:
            raise ValueError("a load is made of rows")
        return load_of(
            self.task,
            fetched,
            self.made,
            self.guard,
            cursor=warehouse.cursor(self.task.name) if self.task.once else None,
            digest=digest,
            at=self.parts.clock.now(),
        )

    def _digest(self, fetched: Fetched) -> str | None:
        """Of what a run that replaces has fetched: the same makes the same rows."""
        if self.task.mode != "replace" or not fetched.whole or not self.stores:
            return None
        return fetched.digest(self.task, self._kind)

    def _look_whose(self, fetched: Fetched, warehouse: Warehouse) -> None:
        """Tell, or refuse, rows about somebody else than those that are stored.

        Raises:
            DataRefused: the storage mode holds the rows of one.
        """
        with self._marking(fetched, DataRefused):
            says = subjects.changed(self.task, fetched, warehouse)
        if says:
            self.record = replace(self.record, warnings=(*self.record.warnings, says))

    def _show(self, made: Transformed, warehouse: Warehouse) -> None:
        """Leave what there is to look at: the plan of a dry run, or the tables after a step."""
        if self.dry:
            self.plan = warehouse.plan(as_stored(made.family, self.task.mode, self.task.name))
        elif self.record.status == RUNNING:
            folder = self.parts.artifacts.write(self.task, self.until, made)
            self.record = replace(self.record, artifact=str(folder))

    @contextmanager
    def _marking(self, fetched: Fetched, *refusals: type[DataRefused]) -> Iterator[None]:
        marked = self.parts.archive.marking(fetched.archive, *refusals)
        with marked if self.marks else nullcontext():
            yield

    @contextmanager
    def _failed_checks(self, warehouse: Warehouse) -> Iterator[None]:
        """Write failed checks down as they come, and never hide that they refuse the rows."""
        try:
            yield
        except CheckFailed as failed:
            results = tuple(result for result in failed.results if not result.passed)
            self.record = replace(self.record, failed_checks=tuple(map(str, results)))
            if self.stores:
                note_checks(self.task, results, warehouse, self.parts.clock.now())
            raise
        if self.made is not None:
            told = tuple(str(result) for result in self.made.checks if not result.passed)
            self.record = replace(self.record, failed_checks=told)

    def _count(self, made: Transformed) -> None:
        warnings = tuple(dict.fromkeys((*self.record.warnings, *made.warnings)))
        self.record = replace(
            self.record,
            rows=made.rows,
            quarantined=len(made.rejected),
            drift=len(made.drift),
            repeated=made.repeated,
            warnings=warnings,
        )
        for warning in warnings:
            _log.warning("data_warning", message=warning)
        for one in made.drift:
            _log.warning("drift_found", table=one.table, column=one.column, type=one.type)
        for reject in made.rejected:
            _log.warning("record_quarantined", path=reject.path, reason=reject.reason)

    # --- its record ------------------------------------------------------------------------

    def _write(self) -> None:
        self.parts.state.write_run(self.record)
        self.parts.tell(self.record)

    def _wait(self) -> None:
        """Tell that the warehouse may have to be waited for; the next step tells it is there."""
        self.parts.tell(replace(self.record, step=WAITS))

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        running = self.record.status == RUNNING
        if running:
            self.record = replace(self.record, step=step)
            self._write()
        began = time.monotonic()
        try:
            with span(step):
                yield
        finally:
            seconds = round(time.monotonic() - began, 4)
            self.record = replace(self.record, seconds={**self.record.seconds, step: seconds})
        _log.debug("step_finished", step=step, seconds=seconds)

    def _end_as_told(self) -> None:
        """End now, where the fetch was told to and what it had was to be stored first."""
        cut = None if self.fetched is None else self.fetched.cut
        if cut is not None and not isinstance(cut, Failure):
            raise cut

    def _fail(self, failure: Failure) -> None:
        if isinstance(failure, TimedOut) and failure.reason is not None:
            failure = failure.reason
        later = self._can_wait and isinstance(failure, TryAgain | ConfigError | Unbalanced)
        self.error = failure
        self.record = replace(
            self.record,
            status=PENDING if later else "failed",
            rows={},
            error=failure.message,
            error_class=type(failure).__name__,
            remedy=" ".join(filter(None, (LATER_REMEDY if later else "", failure.remedy))),
            exit_code=failure.exit_code,
        )
        facts = {
            "step": self.record.step,
            "error": type(failure).__name__,
            "message": failure.message,
        }
        if later:
            _log.error("run_pending", **{**failure.facts, **facts})
        else:
            _log.error("run_failed", **{**failure.facts, **facts})

    def _close(self) -> None:
        """Write the end down; a run that ends by what nobody foresaw is `failed` too."""
        record = replace(self.record, finished_at=self.parts.clock.now())
        if self.receipt is not None:
            record = replace(_with(record, self.receipt), status="done")
        elif record.unchanged:
            record = replace(record, status="done")
        elif record.status == RUNNING:
            left = self.fetched if self.until == "fetch" and not self.dry else self.made
            meant = left is not None and not record.error and not self.stores
            status = PAUSED if meant else "failed"
            code = 0 if status == PAUSED else record.exit_code or 1
            record = replace(record, status=status, exit_code=code)
        elif record.status == PENDING and self.error is None:
            record = replace(record, exit_code=record.exit_code or 1, rows={})
        self.record = record
        self._write()
        _log.info(
            "run_finished",
            status=record.status,
            rows=sum(record.rows.values()),
            calls=record.calls,
            seconds=round(sum(record.seconds.values()), 3),
        )


def store_pending(
    parts: Parts, endpoint: EndpointSettings, guard: Guard, warehouse: Warehouse
) -> list[RunRecord]:
    """Store the pending runs of an endpoint, the oldest first, for as long as there is time.

    Each run is a piece: what is stored by then stays, and the rest is for the next time.

    Returns the runs that are pending no more.

    Raises:
        WarehouseUnavailable, StateUnavailable, Busy, DiskFull, ConfigError: it cannot be stored now
            and stays pending.
    """
    now = parts.clock.now()
    waiting = pending.waiting(parts.state, parts.archive, endpoint.name, now)
    left = longest(endpoint.timeout.seconds, (one.record for one in waiting))
    began = time.monotonic()
    settled: list[RunRecord] = []
    for one in waiting:
        spent = time.monotonic() - began
        if left is not None and spent >= left:
            _log.warning("pending_runs_left", runs=len(waiting) - len(settled), seconds=spent)
            break
        seconds = None if left is None else left - spent
        done = _store_pending(parts, endpoint, one, guard, warehouse, seconds)
        settled += [] if done is None else [done]
    return settled


def _store_pending(
    parts: Parts,
    endpoint: EndpointSettings,
    one: pending.Pending,
    guard: Guard,
    warehouse: Warehouse,
    seconds: float | None,
) -> RunRecord | None:
    """Store one, within some time; None where it stays pending, as that did not suffice."""
    record, state, now = one.record, parts.state, parts.clock.now()
    task = replace(
        parts.task(endpoint, record.run_id),
        stretch=one.header.stretch,
        accept_subject=one.header.accept_subject,
    )
    lines = warehouse.loads(endpoint=task.name, run_id=task.run_id)
    for line in lines:
        if line.counts:
            done = pending.stored(record, line, now)
            state.write_run(done)
            return done
    why = "It was stored and taken back." if lines else ""
    why = why or pending.no_place(parts.archive, one, task, warehouse)
    if why:
        return pending.settle(state, record, now, status="superseded", note=why)
    tried = replace(record, tries=record.tries + 1)
    state.write_run(tried)
    run = Run(parts, endpoint, task, record, guard)
    try:
        # A load is in one transaction and known to the ledger: it may be cut off anywhere.
        with deadline(seconds, f"Storing the run {record.run_id}", _TOO_LONG):
            fetched = fetched_from(parts.archive, one.file)
            if fetched is not None:
                run.store(fetched, warehouse)
    except _PLACES:
        state.write_run(record)
        raise
    except Unbalanced as fault:
        # A fault of the engine or of this program: the run is pending until it is mended.
        _log.error("pending_run_kept", pending_run_id=record.run_id, message=fault.message)
        state.write_run(replace(record, note=f"Not stored yet: {fault.message}"))
        return None
    except TryAgain as failure:
        _log.error(
            "pending_run_kept",
            pending_run_id=record.run_id,
            message=failure.message,
            tries=tried.tries,
        )
        state.write_run(replace(tried, note=f"Not stored yet: {failure.message}"))
        return None
    except Failure as failure:
        record = replace(record, failed_checks=run.record.failed_checks)
        return pending.fail(state, record, failure, now)
    clean = replace(run.record, error="", error_class="", remedy="", exit_code=0)
    clean = _with(clean, run.receipt)
    _log.info("pending_run_stored", pending_run_id=record.run_id, rows=sum(clean.rows.values()))
    note = f"Stored later, at {utc(parts.clock.now()):%Y-%m-%d %H:%M:%S} UTC."
    return pending.settle(state, clean, now, status="done", note=note)


def note_checks(
    task: Task, failed: Sequence[CheckResult], warehouse: Warehouse, at: float, load_id: str = ""
) -> None:
    """Write down in the ledger which checks the rows of a run failed that are not stored.

    Args:
        task: of the run.
        failed: the checks, none for nothing.
        warehouse: with the ledger; where it cannot be told, that is logged.
        at: when, seconds since 1970.
        load_id: of the load that the rows would have been, "" for the run's own.
    """
    if not failed:
        return
    try:
        told = Checked(task.name, task.run_id, load_id or task.load_id, at, tuple(failed))
        warehouse.note_checks(told)
    except Failure as failure:
        _checks_log.warning("checks_not_recorded", message=failure.message)


def _with(record: RunRecord, receipt: Receipt | None) -> RunRecord:
    """The record of a run with what its commit came to; None where there was nothing new."""
    if receipt is None:
        return replace(record, rows={}, unchanged=True)
    return replace(
        record,
        rows=dict(receipt.rows),
        unchanged=receipt.unchanged,
        load_id="" if receipt.unchanged else receipt.load_id,
        schema_version=receipt.schema_version,
        steps=tuple(map(str, receipt.steps)),
    )


def _looked_back(
    kind: type[EndpointProcessor], task: Task, source: Source, warehouse: Warehouse
) -> EndpointProcessor:
    asker = kind(task, source=replace(source, cursor=warehouse.cursor(task.name)))
    asker.look_back(warehouse)
    return asker


def _measure(record: RunRecord, measured: TraceSpan) -> None:
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
