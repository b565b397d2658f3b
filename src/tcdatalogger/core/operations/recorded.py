"""Work that is no run of an endpoint, and stands with the runs: a backup, a digest."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from tcdatalogger.core.main import Application
from tcdatalogger.core.state.leases import Claim
from tcdatalogger.core.state.store import RunRecord, cut_off
from tcdatalogger.errors import Failure


@contextmanager
def recorded(application: Application, claim: Claim, step: str) -> Iterator[dict[str, Any]]:
    """Write a run into the state at the start of the block, and at its end how it ended.

    Args:
        application: with the state.
        claim: under which the work is done; the run has its name and its id.
        step: what is done, a word.

    Yields:
        What the record of a good end has besides, by its attributes; the block fills it.

    Raises:
        StateUnavailable: the state cannot be written.
    """
    record = RunRecord(
        run_id=claim.run_id,
        endpoint=claim.endpoint,
        started_at=application.clock.now(),
        step=step,
        pid=os.getpid(),
        host=socket.gethostname(),
        token=claim.token,
        owner=claim.owner,
        log_file=str(application.settings.log.file or ""),
    )
    application.state.write_run(record)
    found: dict[str, Any] = {}
    try:
        yield found
    except BaseException as error:  # of a signal, or of a bug, the state keeps the class only
        _close(application, record, error)
        raise
    _close(application, replace(record, status="done", **found), None)


def _close(application: Application, record: RunRecord, error: BaseException | None) -> None:
    now = application.clock.now()
    seconds = {record.step: round(max(0.0, now - record.started_at), 3)}
    record = replace(record, finished_at=now, seconds=seconds)
    if isinstance(error, Failure):
        record = replace(
            record,
            status="failed",
            error=error.message,
            error_class=type(error).__name__,
            remedy=error.remedy,
            exit_code=error.exit_code,
        )
    elif error is not None:
        record = cut_off(record, error)
    application.state.write_run(record)
