"""Makes a backup when it is due, as a run with a claim, so only one process makes it.

The state has the result as a run with the name `BACKUP`, for `status` and for alerts.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from tcdatalogger.core.backup.make import Made, back_up
from tcdatalogger.core.main import Application
from tcdatalogger.core.operations.recorded import recorded
from tcdatalogger.core.run.timeout import deadline
from tcdatalogger.core.state.leases import BACKUP, Claim
from tcdatalogger.core.state.run_id import new_run_id
from tcdatalogger.errors import Failure
from tcdatalogger.files import Progress, silent
from tcdatalogger.observability.log import bound, get_logger

_STEP: Final = "backup"

_log = get_logger("backup")


def make(
    application: Application,
    wanted: Callable[[], bool],
    *,
    claim: Claim | None = None,
    timeout: float | None = None,
    place: Path | None = None,
    archive: bool | None = None,
    progress: Progress = silent,
) -> Made | None:
    """Make a backup if it is wanted, under a claim; None where it is not wanted.

    Args:
        application: the application.
        wanted: called after the claim, because another process may have made a backup before.
        claim: the claim, where it exists already.
        timeout: seconds that the backup may take, None for no limit.
        place: the folder of the backups, None for that of the settings.
        archive: whether the files of the archive are copied too, None for the settings.
        progress: called after each piece of work.

    Raises:
        Busy: another process makes a backup.
        StateUnavailable: the state cannot be reached.
        Failure: as `back_up`; the state has it.
    """
    run_id = new_run_id(application.clock) if claim is None else claim.run_id
    with application.claimed(BACKUP, run_id, claim) as held, bound(run_id=run_id, endpoint=BACKUP):
        if not wanted():
            return None
        with recorded(application, held, _STEP):
            try:
                with deadline(timeout, "backup"):
                    return back_up(application, place, archive=archive, progress=progress)
            except Failure as failure:
                _log.error("backup_failed", error=type(failure).__name__, message=failure.message)
                raise
