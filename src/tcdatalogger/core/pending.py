"""Stored later: runs whose answers are in the archive and whose rows are not in the tables yet.

A run ends so where the warehouse cannot be had when it has fetched, and where its process is killed
between the archive and the commit. The next run of its endpoint stores what is owed, the oldest
first, from the archive: Torn is not asked again. A load is a pure function of its run, so one that
was committed before the end came is found in the ledger and not doubled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Self

from tcdatalogger.clock import Clock, utc
from tcdatalogger.core.archive import Archive
from tcdatalogger.core.state import LATER, LOST, RunRecord, State
from tcdatalogger.errors import ConfigError, DataRefused, Failure, TryAgain
from tcdatalogger.observability.log import get_logger
from tcdatalogger.services.torncity import history
from tcdatalogger.services.torncity.base import EndpointProcessor, Fetched, Task, Tools
from tcdatalogger.services.torncity.cursor import Cursor, Reading, Stretch
from tcdatalogger.services.warehouse import LedgerLine, Receipt, Warehouse

TRIES: Final = 5
"""After so many tries that ended with their process a run is left to `tcdatalogger replay`: answers
that kill whoever reads them would else keep their endpoint from running for ever."""

_LOOKS_BACK: Final = 50
"""Runs that are looked through for where to go on while the ledger cannot be read."""

_log = get_logger("pending")


@dataclass(frozen=True, slots=True)
class About:
    """What a run was to do, as its archive file says it.

    Attributes:
        whole: whether its fetch came to its end.
        stores: whether it was to store its rows, and not to stop before.
        asked: what it asked for (`Task.asked`).
        at: the time of its last answer by the server's clock, seconds since 1970.
        readings, stretch: how far its walks went (`Fetched`).
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
        )

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
    """

    name: str
    state: State
    archive: Archive
    clock: Clock
    task: Callable[[str], Task]
    kind: Callable[[], type[EndpointProcessor]]
    fenced: Callable[[Tools], Tools] = lambda tools: tools

    def owes(self) -> bool:
        """Whether any run may be owed: one question to the state database."""
        return bool(self.state.unsettled(self.name))

    def settle(self, warehouse: Warehouse) -> list[RunRecord]:
        """Store what is owed, the oldest run first; the runs that are settled by it.

        Raises:
            WarehouseUnavailable, Busy, ConfigError: it cannot be stored now and stays owed.
        """
        found = [self._look(record) for record in self.state.unsettled(self.name)]
        owed = [one for one in found if one is not None]
        owed.sort(key=lambda one: (one.about.at, one.record.started_at, one.record.run_id))
        return [self._settle(one, warehouse) for one in owed]

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

    def _settle(self, owed: _Owed, warehouse: Warehouse) -> RunRecord:
        record, task = owed.record, self.task(owed.record.run_id)
        lines = warehouse.loads(endpoint=task.name, run_id=task.run_id)
        counting = [line for line in lines if line.counts]
        if lines and not counting:
            return self._write(record, status="dropped", note="It was stored and taken back.")
        for line in counting:
            return self._done(
                record,
                "Its rows are in the tables.",
                rows=line.rows,
                load_id=line.load_id,
                schema_version=line.schema_version,
            )
        why = self._no_place(owed, task, warehouse)
        if why:
            return self._write(record, status="dropped", note=why)
        self.state.write_run(replace(record, tries=record.tries + 1))
        try:
            made, receipt = self._store(owed, task, warehouse)
        except (TryAgain, ConfigError):
            self.state.write_run(record)
            raise
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
            return "Storing it ended the process each time: `tcdatalogger replay` tries it again."
        if owed.about.asked != task.asked:
            return "Its endpoint asks for something else now: `tcdatalogger replay` stores it."
        return self.overtaken(owed.about, task, warehouse)

    def overtaken(self, about: About, task: Task, warehouse: Warehouse) -> str:
        """Why a run has no place beside the one whose rows the tables hold, "" where it has one."""
        if task.mode != "replace":
            return ""
        for newest in warehouse.loads(endpoint=task.name, counting=True, most=1):
            if self._is_older(about, task, newest):
                its = newest.run_id
                return f"The tables hold the later run {its}, and its storage mode is replace."
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
        task = replace(task, stretch=about.stretch)
        pages = tuple(page for error, page in self.archive.read(owed.file) if not error)
        fetched = Fetched(pages, readings=about.readings, stretch=about.stretch)
        digest = fetched.digest(task, kind) if task.mode == "replace" else None
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
        made = worker.validate(worker.transform_data(fetched), fetched)
        return (len(made.misfits), len(made.drift)), worker.store(made)

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
