"""Stored later: runs whose answers are in the archive and whose rows are not in the tables yet.

A run ends so where the warehouse cannot be had when it has fetched, and where its process is killed
between the archive and the commit. The next run of its endpoint stores what is owed, the oldest
first, from the archive: Torn is not asked again. A load is a pure function of its run, so one that
was committed before the end came is found in the ledger and not doubled.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Self

from tcdatalogger.clock import Clock, utc
from tcdatalogger.core import subjects
from tcdatalogger.core.archive import Archive
from tcdatalogger.core.deadline import deadline
from tcdatalogger.core.owed import TRIES, longest
from tcdatalogger.core.state import LATER, LOST, RunRecord, State
from tcdatalogger.errors import (
    Busy,
    ConfigError,
    DataRefused,
    DiskFull,
    Failure,
    StateUnavailable,
    TryAgain,
    Unbalanced,
    WarehouseUnavailable,
)
from tcdatalogger.models.checks import CheckFailed
from tcdatalogger.observability.log import get_logger
from tcdatalogger.services.torncity import history
from tcdatalogger.services.torncity.base import EndpointProcessor, Fetched, Task, Tools
from tcdatalogger.services.torncity.cursor import Cursor, Reading, Stretch
from tcdatalogger.services.warehouse import LedgerLine, Receipt, Warehouse

_PLACES: Final = (WarehouseUnavailable, StateUnavailable, Busy, DiskFull, ConfigError)
"""What keeps any run from being stored now, so that it is no try of this one."""

_TOO_LONG: Final = "It stays in the archive, and the next run tries again, for longer."

_IN_ORDER: Final = {
    "replace": "",
    "history": " `tcdatalogger replay` puts it in its place, and those after it again.",
}
"""The storage modes that take no older run after a later one, and what to do then."""

_LOOKS_BACK: Final = 50
"""Runs that are looked through for where to go on while the ledger cannot be read."""

_log = get_logger("pending")


def acknowledge(state: State, warehouse: Callable[[], Warehouse], now: float) -> None:
    """Write down as done what the ledger has of runs that ended with their process.

    Whoever asks what became of runs calls this first. Where the warehouse cannot be had now they
    stay as they are: the next one who asks, or the next run of their endpoint, sees to it.
    """
    runs = state.perhaps_stored()
    if not runs:
        return
    try:
        with warehouse() as ledger:
            for run in runs:
                for line in ledger.loads(
                    endpoint=run.endpoint, run_id=run.run_id, counting=True, most=1
                ):
                    state.write_run(stored(run, line, now))
    except (TryAgain, ConfigError) as failure:
        _log.info("the ledger cannot be asked now", why=failure.message)


def stored(run: RunRecord, line: LedgerLine, now: float) -> RunRecord:
    """The record of a run whose rows the ledger has, though it could not write down its end."""
    return replace(
        run,
        status="done",
        step="store",
        error="",
        error_class="",
        remedy="",
        exit_code=0,
        rows=line.rows,
        load_id=line.load_id,
        schema_version=line.schema_version,
        settled=True,
        tries=0,
        note="Its rows are in the tables.",
        finished_at=run.finished_at or now,
    )


@dataclass(frozen=True, slots=True)
class About:
    """What a run was to do, as its archive file says it.

    Attributes:
        whole: whether its fetch came to its end.
        stores: whether it was to store its rows, and not to stop before.
        asked: what it asked for (`Task.asked`).
        at: the time of its last answer by the server's clock, seconds since 1970.
        readings, stretch: how far its walks went (`Fetched`).
        accept_subject: whether it may be about another than the last run.
        cursor: after it, as its load would have it: to ask by while the ledger cannot be read, and
            never to be stored.
    """

    whole: bool = False
    stores: bool = False
    asked: str = ""
    at: float = 0.0
    readings: tuple[Reading, ...] = ()
    stretch: Stretch | None = None
    cursor: str | None = None
    accept_subject: bool = False

    @classmethod
    def of(cls, task: Task, fetched: Fetched | None, cursor: str | None, *, stores: bool) -> Self:
        """Of a run whose fetch has ended; `cursor` is the one that it began with."""
        if fetched is None:
            return cls(asked=task.asked)
        tools = Tools(cursor=cursor, readings=fetched.readings, stretch=fetched.stretch)
        return cls(
            whole=True,
            stores=stores,
            asked=task.asked,
            at=max((page.server_time or 0.0 for page in fetched.pages), default=0.0),
            readings=fetched.readings,
            stretch=fetched.stretch,
            cursor=history.cursor(task, tools),
            accept_subject=task.accept_subject,
        )

    @property
    def complete(self) -> bool:
        """Whether all that was asked for was read to its end."""
        return all(one.complete for one in self.readings)

    @classmethod
    def read(cls, archive: Archive, file: str) -> Self:
        """Of an archive file.

        Raises:
            DataRefused: it is gone or damaged.
        """
        facts = archive.about(file)
        readings = tuple(Reading(**one) for one in facts.pop("readings", ()))
        stretch = facts.pop("stretch", None)
        return cls(**facts, readings=readings, stretch=Stretch(**stretch) if stretch else None)

    def facts(self) -> dict[str, Any]:
        """As JSON for the archive file."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Desk:
    """What is needed to store the runs of one endpoint that are owed.

    Attributes:
        task: of a run, by its id.
        kind: finds the processor's class; may refuse.
        fenced: puts the claim of the run that stores them on the tools.
        seconds: that a run may take, None for no limit; what is owed has its own time beside it
            (`longest`).
    """

    name: str
    state: State
    archive: Archive
    clock: Clock
    task: Callable[[str], Task]
    kind: Callable[[], type[EndpointProcessor]]
    fenced: Callable[[Tools], Tools] = lambda tools: tools
    seconds: float | None = None

    def owes(self) -> bool:
        """Whether any run may be owed: one question to the state database."""
        return bool(self.state.unsettled(self.name))

    def settle(self, warehouse: Warehouse) -> list[RunRecord]:
        """Store what is owed, the oldest run first, for as long as there is time for it.

        Each run is a piece: what is stored by then stays, and the rest is for the next time.

        Returns the runs that are settled by it.

        Raises:
            WarehouseUnavailable, StateUnavailable, Busy, DiskFull, ConfigError: it cannot be stored
                now and stays owed.
        """
        found = [self._look(record) for record in self.state.unsettled(self.name)]
        owed = [one for one in found if one is not None]
        owed.sort(key=lambda one: (one.about.at, one.record.started_at, one.record.run_id))
        settled: list[RunRecord] = []
        began = time.monotonic()
        left = longest(self.seconds, (one.record for one in owed))
        for one in owed:
            spent = time.monotonic() - began
            if left is not None and spent >= left:
                _log.warning("owed for longer", runs=len(owed) - len(settled), seconds=spent)
                break
            done = self._settle(one, warehouse, None if left is None else left - spent)
            settled += [] if done is None else [done]
        return settled

    def cursor(self) -> str | None:
        """Where to go on asking while the ledger cannot be read: where the last run left off.

        A run that is owed counts too. None where no run of this question is known.
        """
        asked = self.task("").asked
        for record in self.state.runs(endpoint=self.name, most=_LOOKS_BACK):
            if record.status not in {"done", LATER} or not record.archive_file:
                continue
            try:
                about = About.read(self.archive, record.archive_file)
            except DataRefused:
                continue
            if about.stores and Cursor.read(about.cursor, asked).spans:
                return about.cursor
        return None

    # --- one run -----------------------------------------------------------------------------

    def _look(self, record: RunRecord) -> _Owed | None:
        """The run with its file; None, and never looked at again, where nothing is owed."""
        file = record.archive_file or self.archive.find(self.name, record.run_id)
        if not file:
            # Killed before its answers were in the archive: to the tables it did not happen.
            self._write(record, note="" if record.status == LOST else "Its answers are gone.")
            return None
        try:
            about = About.read(self.archive, file)
        except DataRefused as damaged:
            self._failed(record, damaged)
            return None
        record = replace(record, archive_file=file)
        if not about.whole or not about.stores:
            self._write(record)
            return None
        return _Owed(record, file, about)

    def _settle(self, owed: _Owed, warehouse: Warehouse, seconds: float | None) -> RunRecord | None:
        """Store it, within some time; None where it stays owed, as that did not suffice."""
        record, task = owed.record, self.task(owed.record.run_id)
        lines = warehouse.loads(endpoint=task.name, run_id=task.run_id)
        counting = [line for line in lines if line.counts]
        if lines and not counting:
            return self._write(record, status="dropped", note="It was stored and taken back.")
        for line in counting:
            done = stored(record, line, self.clock.now())
            self.state.write_run(done)
            return done
        why = self._no_place(owed, task, warehouse)
        if why:
            return self._write(record, status="dropped", note=why)
        tried = replace(record, tries=record.tries + 1)
        self.state.write_run(tried)
        try:
            # A load is in one transaction and known to the ledger: it may be cut off anywhere.
            with deadline(seconds, f"Storing the run {record.run_id}", _TOO_LONG):
                made, receipt = self._store(owed, task, warehouse)
        except _PLACES:
            self.state.write_run(record)
            raise
        except Unbalanced as fault:
            # Of the engine or of ours, and mended some day: until then it is owed, and no try.
            _log.error("stays owed", run=record.run_id, message=fault.message)
            self.state.write_run(replace(record, note=f"Not stored yet: {fault.message}"))
            return None
        except TryAgain as failure:
            _log.error("stays owed", run=record.run_id, message=failure.message, tries=tried.tries)
            self.state.write_run(replace(tried, note=f"Not stored yet: {failure.message}"))
            return None
        except Failure as failure:
            return self._failed(record, failure)
        rows = dict(receipt.rows) if receipt else {}
        return self._done(
            record,
            f"Stored later, at {utc(self.clock.now()):%Y-%m-%d %H:%M:%S} UTC.",
            rows=rows,
            unchanged=receipt is None or receipt.unchanged,
            load_id=receipt.load_id if receipt and not receipt.unchanged else "",
            schema_version=receipt.schema_version if receipt else record.schema_version,
            steps=tuple(map(str, receipt.steps)) if receipt else (),
            quarantined=made[0],
            drift=made[1],
        )

    def _no_place(self, owed: _Owed, task: Task, warehouse: Warehouse) -> str:
        """Why a run has no place in the tables any more, "" where it has one."""
        if owed.record.tries >= TRIES:
            return (
                f"Storing it came to no end {TRIES} times: `tcdatalogger replay` takes the time "
                "that it needs."
            )
        if owed.about.asked != task.asked:
            return "Its endpoint asks for something else now: `tcdatalogger replay` stores it."
        return self.overtaken(owed.about, task, warehouse)

    def overtaken(self, about: About, task: Task, warehouse: Warehouse) -> str:
        """Why a run has no place beside the one whose rows the tables hold, "" where it has one."""
        if task.mode not in _IN_ORDER:
            return ""
        for newest in warehouse.loads(endpoint=task.name, counting=True, most=1):
            if self._is_older(about, task, newest):
                its = newest.run_id
                return (
                    f"The tables hold the later run {its}, and its storage mode is {task.mode}."
                    f"{_IN_ORDER[task.mode]}"
                )
        return ""

    def _is_older(self, about: About, task: Task, newest: LedgerLine) -> bool:
        """By the server's clock: ours may have jumped."""
        try:
            at = About.read(self.archive, newest.archive).at if newest.archive else 0.0
        except DataRefused:
            at = 0.0
        return (about.at if at else 0.0, task.run_id) < (at, newest.run_id)

    def _store(
        self, owed: _Owed, task: Task, warehouse: Warehouse
    ) -> tuple[tuple[int, int], Receipt | None]:
        """Its rows, as the run itself would have stored them; how many were set aside and new."""
        about, kind = owed.about, self.kind()
        task = replace(task, stretch=about.stretch, accept_subject=about.accept_subject)
        pages = tuple(page for error, page in self.archive.read(owed.file) if not error)
        fetched = Fetched(pages, readings=about.readings, stretch=about.stretch)
        with self.archive.marking(owed.file, DataRefused):
            subjects.changed(task, fetched, warehouse)
        whole = task.mode == "replace" and fetched.whole
        digest = fetched.digest(task, kind) if whole else None
        if digest is not None and warehouse.digest(task.name) == digest:
            return (0, 0), None
        tools = Tools(
            warehouse=warehouse,
            clock=self.clock,
            known=warehouse.known(task.name),
            owners=warehouse.owners(),
            archive=owed.file,
            cursor=warehouse.cursor(task.name) if task.once else None,
            readings=about.readings,
            stretch=about.stretch,
            digest=digest,
        )
        worker = kind(task, self.fenced(tools))
        result = worker.transform_data(fetched)
        with self.archive.marking(owed.file, DataRefused):
            made = worker.validate(result, fetched)
        with self.archive.marking(owed.file, CheckFailed):
            receipt = worker.store(made)
        return (len(made.misfits), len(made.drift)), receipt

    # --- its record --------------------------------------------------------------------------

    def _done(self, record: RunRecord, note: str, **facts: Any) -> RunRecord:
        clean = replace(record, error="", error_class="", remedy="", exit_code=0, **facts)
        _log.info("stored later", run=record.run_id, rows=sum(clean.rows.values()))
        return self._write(clean, status="done", note=note)

    def _failed(self, record: RunRecord, failure: Failure) -> RunRecord:
        failed = replace(
            record,
            error=failure.message,
            error_class=type(failure).__name__,
            remedy=failure.remedy,
            exit_code=failure.exit_code,
        )
        _log.error("cannot be stored", run=record.run_id, message=failure.message)
        return self._write(failed, status="failed", note="It was owed, and cannot be stored.")

    def _write(self, record: RunRecord, *, status: str = "", note: str = "") -> RunRecord:
        settled = replace(
            record,
            status=status or record.status,
            note=note,
            settled=True,
            tries=0,
            finished_at=record.finished_at or self.clock.now(),
        )
        self.state.write_run(settled)
        return settled


@dataclass(frozen=True, slots=True)
class _Owed:
    """A run that is owed."""

    record: RunRecord
    file: str
    about: About
