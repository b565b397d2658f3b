"""One run of one endpoint: fetch -> archive -> transform -> validate -> store.

`Run.store` is the only way from fetched answers to rows. All code that makes rows calls it: a run,
a run that goes on, a pending run, replay, rebuild, and the quarantine.

A run ends in a `RunResult`, also when it fails: the error is in its record, the answers that came
are in the archive, and the warehouse is unchanged. Only unexpected errors are raised. Where the
warehouse cannot be reached after the fetch, or the counts of rows do not agree, the run is
`pending`, and the next run of its endpoint stores its rows first (`pending.py`).
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
from tcdatalogger.core.config.moments import moment
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
    DiskFailed,
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
from tcdatalogger.models.kept import all_in_memory
from tcdatalogger.models.rows.expiry import Expiry, unexpired
from tcdatalogger.observability import usage
from tcdatalogger.observability.log import bound, get_logger
from tcdatalogger.observability.traces import TraceSpan, span
from tcdatalogger.services.torncity.catalog import time_fields
from tcdatalogger.services.torncity.client.budget import Priority
from tcdatalogger.services.torncity.endpoints import in_file
from tcdatalogger.services.torncity.endpoints.registry import processor
from tcdatalogger.services.torncity.processing.base import EndpointProcessor
from tcdatalogger.services.torncity.processing.task import Fetched, Known, Source, Task, Transformed
from tcdatalogger.services.warehouse.load import Load, Receipt, as_stored
from tcdatalogger.services.warehouse.protocol import Warehouse

WAITS: Final = "waiting for the warehouse"
"""Shown in place of a step to those who watch; the state has the step."""

LATER_REMEDY: Final = "Its answers are in the archive: the next run of the endpoint stores them."

SHORTLY: Final = 2.0
"""Seconds to wait for a warehouse before the fetch, where the run can fetch without it."""

_PLACES: Final = (
    WarehouseUnavailable,
    StateUnavailable,
    Busy,
    DiskFull,
    DiskFailed,
    ConfigError,
)
"""Failures that stop every run now, so they do not count as a try of a pending run."""

_TOO_LONG: Final = "It stays in the archive, and the next run tries again, for longer."

_log = get_logger("run")
_checks_log = get_logger("checks")


class Parts(Protocol):
    """The parts of the program that a run needs (`main.Application`)."""

    @property
    def clock(self) -> Clock:
        """The one source of time."""
        ...

    @property
    def today(self) -> float:
        """The time from which ages count: the earlier one of this machine's and Torn's."""
        ...

    @property
    def state(self) -> State:
        """The state, with the runs."""
        ...

    @property
    def archive(self) -> Archive:
        """The archive of raw answers."""
        ...

    @property
    def artifacts(self) -> StepTables:
        """The folder for the tables of single steps."""
        ...

    @property
    def calls(self) -> Sequence[float]:
        """The seconds of each call of the run so far."""
        ...

    def warehouse(self, patience: float | None = None) -> Warehouse:
        """The warehouse, after at most `patience` seconds; None for the usual time."""
        ...

    def source(
        self, endpoint: EndpointSettings, task: Task, priority: Priority | None = None
    ) -> Source:
        """How to call Torn with the endpoint's key; may refuse."""
        ...

    def task(self, endpoint: EndpointSettings, run_id: str = "") -> Task:
        """The task of a run of the endpoint."""
        ...

    def tell(self, record: RunRecord) -> None:
        """Called at the start of the run, at each step and page, and at its end."""
        ...


@dataclass(frozen=True, slots=True)
class RunResult:
    """The result of a run.

    Attributes:
        record: the run as the state has it.
        fetched, made, receipt: the result of each step, None for steps that were not taken.
        plan: how the tables would change, for a run that stores nothing.
        error: why the run failed, None where it did not.
        settled: earlier runs that were pending and are not any more.
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
        """The rows that the run made, by table; empty where it made none."""
        return {} if self.made is None else all_in_memory(self.made.tables)

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
        parts: the program.
        endpoint: the endpoint.
        task: what the run has to do.
        record: the run as the state has it.
        guard: the claim under which it stores its rows.
        until: the last of `steps.STEPS` to take.
        dry: whether nothing is stored, and only shown what would be.
        waits: whether the next run may store the rows where they cannot be stored now; False for a
            run that a user takes step by step.
        marks: whether a refusal is marked in the archive, so that no rebuild stores the rows.
        known: what is known of the tables, None to ask the warehouse.
        transformed: rows that were made together with those of other runs, None to make them.
        fetched, made, receipt, plan, error, settled: as those of `RunResult`.
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
    transformed: Transformed | None = None
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
        """Whether the run has to store its rows."""
        return self.until == "store" and not self.dry

    @property
    def outcome(self) -> RunResult:
        """The result of the run so far."""
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
        """Whether the next run can make the rows from the archive, and may."""
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
        """Take the steps, and store the end of the run in the state.

        Args:
            timeout: seconds until the commit must have begun, None for no limit.
            priority: the priority of its calls, None for that of the endpoint.
            fetched: answers that the run has fetched before; then Torn is not asked.
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
                if self.fetched is None:
                    self._deliver()
            except BaseException as error:
                if self.receipt is not None:
                    raise  # a signal came during the commit: the rows are stored
                at = in_file.where(error) if isinstance(error, Exception) else ""
                remedy = f"{at} ended in it: correct the file." if at else ""
                self.record = replace(cut_off(self.record, error), rows={}, remedy=remedy)
                # Ctrl-C, SIGTERM, or out of memory: the answers are right.
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
        self._deliver_first()
        self._store_pending_first()
        goes_on = fetched is not None
        self.fetched = fetched = fetched or self._fetch(priority)
        self.parts.state.write_run(self.record)  # so the calls are counted in any case
        self._deliver()
        if self.until == "fetch":
            return
        self._wait()
        with self.parts.warehouse(None) as warehouse:
            self._store_pending(warehouse)
            if goes_on and self.stores:
                self._refuse_overtaken(fetched, warehouse)
            self.store(fetched, warehouse)

    def _refuse_overtaken(self, fetched: Fetched, warehouse: Warehouse) -> None:
        """Refuse to go on with a run that cannot be stored any more.

        Raises:
            DataRefused: the rows of a later run are stored.
        """
        if why := pending.overtaken(self.parts.archive, self.task, fetched.at, warehouse):
            raise DataRefused(why, remedy="Nothing was stored; its answers are in the archive.")

    # --- fetch -----------------------------------------------------------------------------

    def _fetch(self, priority: Priority | None) -> Fetched:
        """Call Torn, and put every answer into the archive."""
        calls = CallRecorder(self.task, self.parts.clock, self._page, self.parts)
        calls.scratch = self.parts.archive.scratch()
        if pseudonyms := self.parts.state.forgotten.pseudonyms():
            from tcdatalogger.core.run.people import (  # noqa: PLC0415 - only where somebody is forgotten
                ForgottenInAnswers,
            )

            calls.forgotten = ForgottenInAnswers(self.task, pseudonyms)
        with self._timed("fetch"):
            try:
                kind = self._kind
                source = self.parts.source(self.endpoint, self.task, priority)
                since = moment(self.endpoint.since, source.clock.now())
                self.task = replace(self.task, since=since)
                source = replace(source, get=calls.wrap(source.get))
                self._wait()
                asker = self._asker(kind, source)
                self.parts.tell(self.record)
                calls.cursor = asker.source.cursor
                self.fetched = fetched = replace(
                    asker.fetch_data(),
                    params=asker.params,
                    key_owner=calls.key_owner,
                    scratch=calls.scratch,
                )
                if isinstance(fetched.cut, TimedOut):
                    no_longer(fetched.cut)  # storing the pages is not interrupted
            finally:
                with held():  # so the archive and the record of the run agree
                    self._keep(calls)
                    if calls.forgotten is not None:
                        names, now = calls.forgotten.names, self.parts.clock.now()
                        self.parts.state.forgotten.remember_names(names, now)
        self.record = replace(self.record, warnings=fetched.warnings)
        return replace(fetched, archive=self.record.archive_file)

    def _asker(self, kind: type[EndpointProcessor], source: Source) -> EndpointProcessor:
        """The processor that fetches; for an incremental run it has the cursor.

        The warehouse is closed before Torn is asked, because other processes may need it. Where it
        cannot be opened now, the cursor of the archive is used: rows that Torn shows today may be
        gone tomorrow. The cursor of the ledger moves only over time that was read without a gap.
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
        if remembered is None:  # the archive has no cursor, so wait for the warehouse
            with parts.warehouse(None) as warehouse:
                return _looked_back(kind, task, source, warehouse)
        return kind(task, source=replace(source, cursor=remembered))

    def _page(self, calls: CallRecorder) -> None:
        """Show the progress; it is written to the state once a second, for other processes."""
        self.record = replace(self.record, **calls.so_far)
        self.parts.tell(self.record)
        if calls.due():
            with suppress(Failure):  # a failure to show the progress must not end the run
                self.parts.state.write_run(self.record)

    def _keep(self, calls: CallRecorder) -> None:
        """Write the answers to the archive, also those of a failed fetch."""
        self.record = replace(self.record, **calls.facts())
        file = calls.write(self.parts.archive, self.fetched, stores=self.stores)
        self.record = replace(self.record, archive_file=file)

    def _deliver(self) -> None:
        """Bring the answers to the bucket, before the warehouse is opened: it may take long.

        Raises:
            WarehouseUnavailable, ConfigError: the answers wait on; their rows cannot be stored yet.
        """
        if self.record.archive_file:
            try:
                self.parts.archive.deliver(self.record.archive_file)
            except (WarehouseUnavailable, ConfigError) as failure:
                if self.stores and self.fetched is not None:
                    raise
                _log.warning("archive_files_wait", message=failure.message)

    # --- pending runs ----------------------------------------------------------------------

    def _deliver_first(self) -> None:
        """Bring to the bucket what waits in the spool; if the bucket is away, all waits on."""
        try:
            self.parts.archive.deliver()
        except (WarehouseUnavailable, ConfigError) as failure:
            _log.warning("archive_files_wait", message=failure.message)

    def _store_pending_first(self) -> None:
        """Store pending runs, if the warehouse is free; else this is tried again later."""
        self._has_pending = self.stores and pending.has_pending(self.parts.state, self.task.name)
        if not self._has_pending:
            return
        try:
            with self.parts.warehouse(0.0) as warehouse:
                self._store_pending(warehouse)
        except (
            WarehouseUnavailable,
            Busy,
            DiskFull,
            DiskFailed,
            ConfigError,
            Unbalanced,
        ) as failure:
            _log.info("pending_runs_deferred", message=failure.message)

    def _store_pending(self, warehouse: Warehouse) -> None:
        if self._has_pending:
            found = store_pending(self.parts, self.endpoint, self.guard, warehouse)
            self.settled += tuple(found)
            self._has_pending = False  # those that are left wait for the next run

    # --- from what was fetched to rows -----------------------------------------------------

    def store(self, fetched: Fetched, warehouse: Warehouse) -> None:
        """Transform, validate and commit answers, as far as the run goes.

        The results are in `made`, `receipt`, `plan` and the record.

        Args:
            fetched: the answers, from Torn or from the archive.
            warehouse: the warehouse for the rows.

        Raises:
            DataRefused: the rows are refused; nothing was stored.
            WarehouseUnavailable, Busy, Unbalanced: as `Warehouse.commit`.
            WarehouseUnavailable, ConfigError: as `load`.
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
                result = self.transformed or maker.transform_data(fetched)
                self.made = made = maker.as_tables(result, fetched)
            if self.dry or self.until != "transform":
                with self._timed("validate"), self._marking(fetched, DataRefused):
                    made = maker.as_tables(maker.validate(made, fetched), fetched)
                    self.made = made = self._unexpired(made)
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
        """The processor that makes the rows, with what the warehouse knows of the tables."""
        known = self.known or Known.of(warehouse, self.task)
        return self._kind(self.task, known=known)

    def load(self, fetched: Fetched, warehouse: Warehouse, digest: str | None = None) -> Load:
        """The load of the rows that were made; the answers are durable in the archive by then.

        Args:
            fetched: the answers from which they were made.
            warehouse: the warehouse with the cursor.
            digest: the digest of the answers, None for none.

        Raises:
            ValueError: no rows were made yet.
            WarehouseUnavailable, ConfigError: the answers are not in their bucket yet.
        """
        if self.made is None:
            raise ValueError("a load is made of rows")
        if fetched.archive:
            self.parts.archive.deliver(fetched.archive)
        return load_of(
            self.task,
            fetched,
            self.made,
            self.guard,
            cursor=warehouse.cursor(self.task.name) if self.task.once else None,
            digest=digest,
            at=self.parts.clock.now(),
        )

    def _unexpired(self, made: Transformed) -> Transformed:
        """The rows without those that are older than they are kept, for example of a rebuild.

        Versions of a history hang on all rows before them, so they expire in the tables alone.
        """
        keep, mode = self.endpoint.keep, self.task.mode
        if keep is None or mode not in {"append", "merge"}:
            return made
        time = time_fields.field(self.task.endpoint.path)
        expiry = Expiry.of(made.family, time, mode, keep.before(self.parts.today))
        return replace(made, tables=unexpired(made.tables, expiry))

    def _digest(self, fetched: Fetched) -> str | None:
        """The digest of the answers of a run of `replace`, None for other runs."""
        if self.task.mode != "replace" or not fetched.whole or not self.stores:
            return None
        return fetched.digest(self.task, self._kind)

    def _look_whose(self, fetched: Fetched, warehouse: Warehouse) -> None:
        """Warn of, or refuse, rows about another subject than the stored rows.

        Raises:
            DataRefused: the storage mode is for one subject.
        """
        with self._marking(fetched, DataRefused):
            says = subjects.changed(self.task, fetched, warehouse)
        if says:
            self.record = replace(self.record, warnings=(*self.record.warnings, says))

    def _show(self, made: Transformed, warehouse: Warehouse) -> None:
        """Keep the plan of a dry run, or the tables after a step."""
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
        """Store failed checks in the ledger; the error that refuses the rows is still raised."""
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
        """Show that the run may wait for the warehouse; the next step ends that."""
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
        """Raise the cause that ended the fetch, after its pages are stored."""
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
        """Store the end of the run in the state; a run that ends by a bug is `failed`, too."""
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
    """Store the pending runs of an endpoint, the oldest first, as long as there is time.

    Each run is stored for itself; runs that are left wait for the next time.

    Returns the runs that are not pending any more.

    Raises:
        WarehouseUnavailable, StateUnavailable, Busy, DiskFull, DiskFailed, ConfigError: it cannot
            be stored now and stays pending.
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
    """Store one pending run; None where it stays pending, because the time was too short."""
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
        # A load is one transaction, and the ledger knows it: it may be interrupted anywhere.
        with deadline(seconds, f"Storing the run {record.run_id}", _TOO_LONG):
            fetched = fetched_from(parts.archive, one.file)
            if fetched is not None:
                run.store(fetched, warehouse)
    except _PLACES:
        state.write_run(record)
        raise
    except Unbalanced as fault:
        # A fault of the engine or of this program: the run is pending until that is fixed.
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
    """Store in the ledger which checks refused the rows of a run.

    Args:
        task: the task of the run.
        failed: the failed checks; empty for nothing to do.
        warehouse: the warehouse; where it cannot be written, that is logged.
        at: the time, seconds since 1970.
        load_id: the id of the load that was refused, "" for that of the run.
    """
    if not failed:
        return
    try:
        told = Checked(task.name, task.run_id, load_id or task.load_id, at, tuple(failed))
        warehouse.note_checks(told)
    except Failure as failure:
        _checks_log.warning("checks_not_recorded", message=failure.message)


def _with(record: RunRecord, receipt: Receipt | None) -> RunRecord:
    """The record of a run with the facts of its receipt; None means that nothing was new."""
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
    """Add the facts of a run to its trace."""
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
