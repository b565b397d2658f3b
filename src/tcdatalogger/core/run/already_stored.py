"""Runs that do nothing: the endpoint is busy, or the run is stored already."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, Protocol

from tcdatalogger.core.config.settings import EndpointSettings, Settings
from tcdatalogger.core.run.run import RunResult
from tcdatalogger.core.state.store import RunRecord, State
from tcdatalogger.errors import Busy, DiskFull, UsageError, WarehouseUnavailable
from tcdatalogger.services.torncity.processing.task import Task
from tcdatalogger.services.warehouse.load import Receipt
from tcdatalogger.services.warehouse.protocol import Warehouse

BUSY: Final = "busy"

_RUN_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Parts(Protocol):
    """The parts of the program that are needed here (`main.Application`)."""

    @property
    def settings(self) -> Settings:
        """The configuration."""
        ...

    @property
    def state(self) -> State:
        """The state, with the runs."""
        ...

    def warehouse(self, patience: float | None = None) -> Warehouse:
        """The warehouse, after at most `patience` seconds; None for the usual time."""
        ...

    def record(self, task: Task) -> RunRecord:
        """The record of a run that begins now."""
        ...


def run_id(text: str) -> str:
    """Check the id of a run that a user gives, and return it.

    Raises:
        UsageError: the id cannot be a part of a file name.
    """
    if _RUN_ID.fullmatch(text) is None:
        raise UsageError(
            f"{text!r} is no id for a run.",
            remedy="Use letters, digits, - and _, and no more than 64 of them.",
        )
    return text


def busy_outcome(record: RunRecord, busy: Busy) -> RunResult:
    """The result of a run that did not begin, because another process has its endpoint."""
    record = replace(
        record,
        status=BUSY,
        finished_at=record.started_at,
        error=busy.message,
        error_class=type(busy).__name__,
        remedy=busy.remedy,
        exit_code=busy.exit_code,
    )
    return RunResult(record, error=busy)


def already(parts: Parts, endpoint: EndpointSettings, task: Task) -> RunResult | None:
    """The result of a run that is stored already; None where it is not, or cannot be known now.

    Raises:
        UsageError: the run with this id is of another endpoint.
    """
    known = next(iter(parts.state.runs(run_id=task.run_id, most=1)), None)
    if known is not None and known.endpoint != endpoint.name:
        raise UsageError(
            f"The run {task.run_id} is one of {known.endpoint}.", remedy="Give it another id."
        )
    if known is not None and known.status == "done":
        return _stored(known, known.load_id, known.rows)
    try:
        with parts.warehouse(None) as warehouse:  # as the run will: one DuckDB serves both
            if not warehouse.exists():
                return None
            lines = warehouse.loads(endpoint=task.name, run_id=task.run_id, counting=True, most=1)
    except (WarehouseUnavailable, DiskFull):
        return None  # the ledger refuses a load that is stored already
    if not lines:
        return None
    record = replace(known or parts.record(task), status="done", error="", exit_code=0)
    return _stored(record, lines[0].load_id, known.rows if known else {})


def _stored(record: RunRecord, load_id: str, rows: Mapping[str, int]) -> RunResult:
    return RunResult(record, receipt=Receipt(load_id, dict(rows), repeated=True))
