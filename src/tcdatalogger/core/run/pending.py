"""Pending runs: their answers are in the archive, and their rows are not in the tables yet.

A run is pending where the warehouse cannot be reached after the fetch, and where its process is
killed between the archive and the commit. The next run of its endpoint stores the pending runs from
the archive, the oldest first, without a call of Torn (`run.store_pending`). The load of a run is
always the same, so a load that was committed before the kill is found in the ledger.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from tcdatalogger.core.archive import Archive
from tcdatalogger.core.run.fetched import FetchHeader, fetched_at
from tcdatalogger.core.run.pending_limits import TRIES
from tcdatalogger.core.state.store import CRASHED, PENDING, RunRecord, State
from tcdatalogger.errors import (
    ConfigError,
    DataRefused,
    Failure,
    TryAgain,
    WarehouseUnavailable,
)
from tcdatalogger.observability.log import get_logger
from tcdatalogger.services.torncity.lists.cursor import Cursor
from tcdatalogger.services.torncity.processing.task import Task
from tcdatalogger.services.warehouse.ledger import LedgerLine
from tcdatalogger.services.warehouse.protocol import Warehouse

_IN_ORDER: Final = {
    "replace": "",
    "history": " `tcdatalogger replay` puts it in its place, and those after it again.",
}
"""The storage modes that refuse an older run after a later one, and what to do then."""

_LOOKS_BACK: Final = 50
"""How many runs are searched for a cursor while the ledger cannot be read."""

ELSEWHERE: Final = 7 * 86_400.0
"""Seconds for which a pending run of another machine waits for its answers in the bucket."""

_log = get_logger("pending")


@dataclass(frozen=True, slots=True)
class Pending:
    """A run whose rows are to be made from the archive.

    Attributes:
        record: the run as the state has it.
        file: the archive file with its answers.
        header: the header of the file.
    """

    record: RunRecord
    file: str
    header: FetchHeader


def acknowledge(state: State, warehouse: Callable[[], Warehouse], now: float) -> None:
    """Mark runs as done whose load is in the ledger, although their process ended before.

    Code that shows runs calls this first. Where the warehouse cannot be reached now, the runs stay
    as they are until the next call or the next run of their endpoint.

    Args:
        state: the state with the runs.
        warehouse: opens the warehouse.
        now: seconds since 1970.
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
    """The record of a run that is stored by the ledger, and that could not store its own end."""
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
    """Whether a run of an endpoint may be pending; one query of the state."""
    return bool(state.unsettled(endpoint))


def waiting(state: State, archive: Archive, endpoint: str, now: float) -> list[Pending]:
    """The pending runs of an endpoint, the oldest first.

    A run that is not pending after all is marked so in the state.
    """
    found = []
    for record in state.unsettled(endpoint):
        file = record.archive_file or archive.find(endpoint, record.run_id)
        if not file:
            # Killed before its answers were in the archive: there is nothing to store.
            note = "" if record.status == CRASHED else "Its answers are gone."
            settle(state, record, now, note=note)
            continue
        try:
            header = FetchHeader.read(archive, file)
        except DataRefused as damaged:
            if _elsewhere(record, now) and not archive.exists(file):
                _log.warning(
                    "pending_run_elsewhere", pending_run_id=record.run_id, host=record.host
                )
                continue
            fail(state, record, damaged, now)
            continue
        record = replace(record, archive_file=file)  # noqa: PLW2901 - the same run, with its file
        if not header.whole or not header.stores:
            settle(state, record, now)
            continue
        found.append(Pending(record, file, header))
    return sorted(found, key=lambda one: (one.header.at, one.record.started_at, one.record.run_id))


def _elsewhere(record: RunRecord, now: float) -> bool:
    """Whether the answers of a run may wait for a bucket on another machine's disk."""
    ended = record.finished_at or record.started_at
    return record.host != socket.gethostname() and now - ended < ELSEWHERE


def cursor(state: State, archive: Archive, task: Task) -> str | None:
    """The cursor of the last run by the archive, for a time when the ledger cannot be read.

    Pending runs count too. None where there is no run of this list.
    """
    for record in state.runs(endpoint=task.name, most=_LOOKS_BACK):
        if record.status not in {"done", PENDING} or not record.archive_file:
            continue
        try:
            header = FetchHeader.read(archive, record.archive_file)
        except (DataRefused, WarehouseUnavailable):
            continue
        if header.stores and Cursor.read(header.cursor, task.asked).spans:
            return header.cursor
    return None


def no_place(archive: Archive, one: Pending, task: Task, warehouse: Warehouse) -> str:
    """Why a pending run cannot be stored any more, "" where it can."""
    if one.record.tries >= TRIES:
        return (
            f"Storing it came to no end {TRIES} times: `tcdatalogger replay` takes the time "
            "that it needs."
        )
    if one.header.asked != task.asked:
        return "Its endpoint asks for something else now: `tcdatalogger replay` stores it."
    return overtaken(archive, task, one.header.at, warehouse)


def overtaken(archive: Archive, task: Task, at: float, warehouse: Warehouse) -> str:
    """Why a run cannot be stored after the run whose rows the tables have, "" where it can.

    Args:
        archive: the archive with the answers of both runs.
        task: the task of the run.
        at: the time of its answers by the server's clock, as this machine's clock may be wrong.
        warehouse: the warehouse.
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
    """Mark a run in the state as not pending any more; returns its new record.

    Args:
        state: the state with the runs.
        record: the record of the run.
        now: seconds since 1970.
        status: the new status, "" for the former one.
        note: the reason.
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
    """Mark a pending run as failed in the state; returns its new record."""
    failed = replace(
        record,
        error=failure.message,
        error_class=type(failure).__name__,
        remedy=failure.remedy,
        exit_code=failure.exit_code,
    )
    _log.error("pending_run_failed", pending_run_id=record.run_id, message=failure.message)
    return settle(state, failed, now, status="failed", note="It was pending, and cannot be stored.")
