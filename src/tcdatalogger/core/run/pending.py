"""Pending runs: their answers are in the archive, and their rows are not in the tables yet.

A run ends so where the warehouse cannot be had when it has fetched, and where its process is killed
between the archive and the commit. The next run of its endpoint stores what is pending, the oldest
first, from the archive: Torn is not asked again (`run.store_pending`). A load is a pure function of
its run, so one that was committed before the end came is found in the ledger and not doubled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from tcdatalogger.core.archive import Archive
from tcdatalogger.core.run.fetched import FetchHeader, fetched_at
from tcdatalogger.core.run.pending_limits import TRIES
from tcdatalogger.core.state.store import CRASHED, PENDING, RunRecord, State
from tcdatalogger.errors import ConfigError, DataRefused, Failure, TryAgain
from tcdatalogger.observability.log import get_logger
from tcdatalogger.services.torncity.lists.cursor import Cursor
from tcdatalogger.services.torncity.processing.task import Task
from tcdatalogger.services.warehouse.ledger import LedgerLine
from tcdatalogger.services.warehouse.protocol import Warehouse

_IN_ORDER: Final = {
    "replace": "",
    "history": " `tcdatalogger replay` puts it in its place, and those after it again.",
}
"""The storage modes that take no older run after a later one, and what to do then."""

_LOOKS_BACK: Final = 50
"""Runs that are looked through for where to go on while the ledger cannot be read."""

_log = get_logger("pending")


@dataclass(frozen=True, slots=True)
class Pending:
    """A run whose rows are to be made from the archive.

    Attributes:
        record: as the state has it.
        file: of its answers.
        header: what the file says of them.
    """

    record: RunRecord
    file: str
    header: FetchHeader


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
        _log.info("ledger_unavailable", message=failure.message)


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


def has_pending(state: State, endpoint: str) -> bool:
    """Whether any run of an endpoint may be pending: one question to the state database."""
    return bool(state.unsettled(endpoint))


def waiting(state: State, archive: Archive, endpoint: str, now: float) -> list[Pending]:
    """The pending runs of an endpoint, the oldest first.

    A run that may be pending and is not is written down as such, and not looked at again.
    """
    found = []
    for record in state.unsettled(endpoint):
        file = record.archive_file or archive.find(endpoint, record.run_id)
        if not file:
            # Killed before its answers were in the archive: to the tables it did not happen.
            note = "" if record.status == CRASHED else "Its answers are gone."
            settle(state, record, now, note=note)
            continue
        try:
            header = FetchHeader.read(archive, file)
        except DataRefused as damaged:
            fail(state, record, damaged, now)
            continue
        record = replace(record, archive_file=file)  # noqa: PLW2901 - the same run, with its file
        if not header.whole or not header.stores:
            settle(state, record, now)
            continue
        found.append(Pending(record, file, header))
    return sorted(found, key=lambda one: (one.header.at, one.record.started_at, one.record.run_id))


def cursor(state: State, archive: Archive, task: Task) -> str | None:
    """Where to go on asking while the ledger cannot be read: where the last run left off.

    A pending run counts too. None where no run of this question is known.
    """
    for record in state.runs(endpoint=task.name, most=_LOOKS_BACK):
        if record.status not in {"done", PENDING} or not record.archive_file:
            continue
        try:
            header = FetchHeader.read(archive, record.archive_file)
        except DataRefused:
            continue
        if header.stores and Cursor.read(header.cursor, task.asked).spans:
            return header.cursor
    return None


def no_place(archive: Archive, one: Pending, task: Task, warehouse: Warehouse) -> str:
    """Why a pending run has no place in the tables any more, "" where it has one."""
    if one.record.tries >= TRIES:
        return (
            f"Storing it came to no end {TRIES} times: `tcdatalogger replay` takes the time "
            "that it needs."
        )
    if one.header.asked != task.asked:
        return "Its endpoint asks for something else now: `tcdatalogger replay` stores it."
    return overtaken(archive, task, one.header.at, warehouse)


def overtaken(archive: Archive, task: Task, at: float, warehouse: Warehouse) -> str:
    """Why a run has no place beside the one whose rows the tables hold, "" where it has one.

    Args:
        archive: with the answers of both.
        task: of the run.
        at: of its answers, by the server's clock: ours may have jumped.
        warehouse: with the tables.
    """
    if task.mode not in _IN_ORDER:
        return ""
    for newest in warehouse.loads(endpoint=task.name, counting=True, most=1):
        its = fetched_at(archive, newest.archive)
        if (at if its else 0.0, task.run_id) < (its, newest.run_id):
            return (
                f"The tables hold the later run {newest.run_id}, and its storage mode is "
                f"{task.mode}.{_IN_ORDER[task.mode]}"
            )
    return ""


# --- its record ------------------------------------------------------------------------------


def settle(
    state: State, record: RunRecord, now: float, *, status: str = "", note: str = ""
) -> RunRecord:
    """Write down that a run is pending no more.

    Args:
        state: with the runs.
        record: of the run.
        now: seconds since 1970.
        status: what became of it, "" for what it was.
        note: why.
    """
    settled = replace(
        record,
        status=status or record.status,
        note=note,
        settled=True,
        tries=0,
        finished_at=record.finished_at or now,
    )
    state.write_run(settled)
    return settled


def fail(state: State, record: RunRecord, failure: Failure, now: float) -> RunRecord:
    """Write down that a pending run cannot be stored."""
    failed = replace(
        record,
        error=failure.message,
        error_class=type(failure).__name__,
        remedy=failure.remedy,
        exit_code=failure.exit_code,
    )
    _log.error("pending_run_failed", pending_run_id=record.run_id, message=failure.message)
    return settle(state, failed, now, status="failed", note="It was pending, and cannot be stored.")
