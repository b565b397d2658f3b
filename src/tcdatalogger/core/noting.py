"""Failed checks written down: in the run's record, and in the ledger where nothing is stored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol

from tcdatalogger.clock import Clock
from tcdatalogger.core.state import RunRecord
from tcdatalogger.errors import Failure
from tcdatalogger.models.checks import Checked, CheckFailed
from tcdatalogger.observability.log import get_logger
from tcdatalogger.services.torncity.task import Task, Transformed
from tcdatalogger.services.warehouse import Warehouse

_log = get_logger("checks")


class Noted(Protocol):
    """What is told of failed checks: the outcome of a run."""

    record: RunRecord
    made: Transformed | None
    stores: bool


@contextmanager
def noting(outcome: Noted, task: Task, warehouse: Warehouse, clock: Clock) -> Iterator[None]:
    """Write failed checks down as they come, and never hide that they refuse the rows.

    Args:
        outcome: of the run, whose record is told of them.
        task: of the run.
        warehouse: that is open for it; told of a refusal only where the run is to store.
        clock: by which it is told.
    """
    try:
        yield
    except CheckFailed as failed:
        told = tuple(str(result) for result in failed.results if not result.passed)
        outcome.record = replace(outcome.record, failed_checks=told)
        if outcome.stores:
            results = tuple(result for result in failed.results if not result.passed)
            checked = Checked(task.name, task.run_id, task.load_id, clock.now(), results)
            try:
                warehouse.note_checks(checked)
            except Failure as failure:
                _log.warning("failed checks are not in the ledger", why=failure.message)
        raise
    if outcome.made is not None:
        told = tuple(str(result) for result in outcome.made.checks if not result.passed)
        outcome.record = replace(outcome.record, failed_checks=told)
