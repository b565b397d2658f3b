"""Rolls a run back: its rows, and the tables and columns that it added."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tcdatalogger.core.main import Application
from tcdatalogger.core.operations.exclusive import exclusive
from tcdatalogger.core.operations.replay import ROLLED_BACK
from tcdatalogger.core.state.run_id import new_run_id
from tcdatalogger.errors import UsageError
from tcdatalogger.services.warehouse.ledger import LedgerLine
from tcdatalogger.services.warehouse.load import Undo
from tcdatalogger.services.warehouse.protocol import Warehouse


def roll_back(
    application: Application,
    run_id: str,
    *,
    dry: bool = False,
    tell: Callable[[LedgerLine], None] = lambda _line: None,
) -> Undo:
    """Roll a run back: any run of `append`, and the newest run of an endpoint of other modes.

    Args:
        application: the application.
        run_id: the id of the run.
        dry: whether nothing is changed, and only shown what would be removed.
        tell: called with the line of the ledger before anything is changed.

    Raises:
        UsageError: no run with this id has stored rows, or it was rolled back already.
        DataRefused: a later run of the endpoint depends on it; the remedy says what to do.
        Busy: another process has the endpoint.
        WarehouseUnavailable: the warehouse cannot be reached now; nothing was changed.
    """
    clock = application.clock
    with application.warehouse() as warehouse:
        line = _newest_of(warehouse, run_id)
    tell(line)
    endpoint = line.endpoint
    by = new_run_id(clock)
    with (
        exclusive(application, endpoint, by, dry=dry) as guard,
        application.warehouse() as warehouse,
    ):
        at = clock.now()
        undo = warehouse.rollback(endpoint, run_id, at=at, by=by, dry=dry, fence=guard.fence)
        for run in () if dry else application.state.runs(run_id=run_id, most=1):
            application.state.write_run(replace(run, status=ROLLED_BACK))
    return undo


def _newest_of(warehouse: Warehouse, run_id: str) -> LedgerLine:
    """The newest line of a run in the ledger; its endpoint may be missing in the configuration.

    Raises:
        UsageError: the ledger does not know the run.
    """
    for line in warehouse.loads(run_id=run_id, most=1):
        return line
    raise UsageError(
        f"No run {run_id} has stored anything.", remedy="`tcdatalogger runs` lists them."
    )
