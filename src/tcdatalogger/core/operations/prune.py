"""Deletes what is older than it is kept: rows by the `keep` of their endpoint, and raw answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from tcdatalogger.core.config.settings import EndpointSettings
from tcdatalogger.core.main import Application
from tcdatalogger.core.operations.exclusive import exclusive
from tcdatalogger.core.operations.recorded import recorded
from tcdatalogger.core.run.timeout import deadline
from tcdatalogger.core.state.leases import PRUNE, Claim
from tcdatalogger.core.state.run_id import new_run_id
from tcdatalogger.errors import Busy, Failure, FixIt
from tcdatalogger.models.rows.expiry import Expiry
from tcdatalogger.observability.log import bound, get_logger
from tcdatalogger.services.torncity.catalog import time_fields
from tcdatalogger.services.torncity.endpoints.registry import processor
from tcdatalogger.services.torncity.processing.task import Known
from tcdatalogger.services.warehouse.load import Fence
from tcdatalogger.services.warehouse.protocol import Warehouse
from tcdatalogger.services.warehouse.retention import of_stored

STEP: Final = "prune"

PATIENCE: Final = 30.0
"""Seconds for which the scheduler waits for a run of an endpoint to end."""

_log = get_logger("prune")


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was deleted of one endpoint, or would be.

    Attributes:
        endpoint: its name.
        rows: how many rows, by table; without tables of which none has expired.
        files: how many files of the archive.
        busy: why it was left out, "" where it was not.
    """

    endpoint: str
    rows: Mapping[str, int] = field(default_factory=dict)
    files: int = 0
    busy: str = ""


def prune(
    application: Application,
    names: Sequence[str] = (),
    *,
    dry: bool = False,
    patience: float = 0.0,
) -> list[Pruned]:
    """Delete what is older than it is kept, one endpoint after the other.

    Args:
        application: the application.
        names: the endpoints; empty for all of the configuration.
        dry: whether it is only counted.
        patience: seconds to wait for an endpoint that somebody else runs.

    Returns:
        A result for each endpoint that keeps something for a time only. An endpoint that somebody
        else runs is left out, and `busy` says so.

    Raises:
        TornUnavailable: nobody can say what time it is; nothing is deleted.
        WarehouseUnavailable: the warehouse cannot be reached now; the endpoints before are done.
    """
    settings = application.settings
    chosen = application.chosen(names) if names else settings.endpoints
    limited = [
        each for each in chosen if each.keep is not None or settings.archive.keep is not None
    ]
    _ask_the_time(application, limited)
    found = []
    for endpoint in limited:
        try:
            by = new_run_id(application.clock)
            with exclusive(application, endpoint.name, by, dry=dry, patience=patience) as guard:
                rows = _rows(application, endpoint, guard.fence, dry=dry)
                one = Pruned(endpoint.name, rows, application.prune_archive(endpoint, dry=dry))
        except Busy as busy:
            one = Pruned(endpoint.name, busy=busy.message)
        found.append(one)
    return found


def _ask_the_time(application: Application, endpoints: Sequence[EndpointSettings]) -> None:
    """Know Torn's time before anything is deleted by it: this machine's clock may be far ahead.

    Where no endpoint has a key that works, Torn cannot be asked, and the clock has to do.

    Raises:
        TornUnavailable: Torn does not answer now.
    """
    for endpoint in endpoints:
        with suppress(FixIt):
            application.torn_now(endpoint)
            return


def _rows(
    application: Application, endpoint: EndpointSettings, fence: Fence, *, dry: bool
) -> Mapping[str, int]:
    if endpoint.keep is None:
        return {}
    with application.warehouse(read_only=dry) as warehouse:
        if not warehouse.exists():
            return {}
        return expire(application, endpoint, warehouse, fence, dry=dry)


def expire(
    application: Application,
    endpoint: EndpointSettings,
    warehouse: Warehouse,
    fence: Fence,
    *,
    dry: bool = False,
) -> Mapping[str, int]:
    """Delete the expired rows of an endpoint; how many, by table.

    Args:
        application: the application.
        endpoint: whose rows; it is claimed already, or `dry`.
        warehouse: with the tables.
        fence: asked before the commit.
        dry: whether they are only counted.
    """
    if endpoint.keep is None:
        return {}
    task, before = application.task(endpoint), endpoint.keep.before(application.today)
    kind = processor(task.endpoint.path, endpoint.processor)
    expiry = Expiry(before, {})
    if kind.declares():
        family = kind(task, known=Known.of(warehouse, task)).family()
        expiry = Expiry.of(family, time_fields.field(task.endpoint.path), task.mode, before)
    expiry = of_stored(expiry, warehouse.ledger.tables_of(endpoint.name), task.mode)
    gone = warehouse.expire(endpoint.name, expiry, dry=dry, fence=fence)
    if gone and not dry:
        _log.info("rows_expired", endpoint=endpoint.name, rows=sum(gone.values()))
    return gone


def scheduled(application: Application, claim: Claim, timeout: float | None) -> list[Pruned]:
    """Prune under a claim of the scheduler; the state has it as a run of the name `PRUNE`.

    Raises:
        Failure: as `prune`; the state has it.
    """
    names = {"run_id": claim.run_id, "endpoint": PRUNE}
    with (
        application.claimed(PRUNE, claim.run_id, claim) as held,
        bound(**names),
        recorded(application, held, STEP),
        deadline(timeout, STEP),
    ):
        try:
            return prune(application, patience=PATIENCE)
        except Failure as failure:
            _log.error("prune_failed", error=type(failure).__name__, message=failure.message)
            raise
