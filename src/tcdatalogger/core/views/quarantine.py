"""The records that were set aside, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tcdatalogger.core.main import Application
from tcdatalogger.core.views.ledger_lines import newest
from tcdatalogger.core.views.schema import nothing_stored
from tcdatalogger.errors import UsageError
from tcdatalogger.services.warehouse.ledger_tables import QUARANTINE, SCHEMAS
from tcdatalogger.services.warehouse.protocol import Warehouse


@dataclass(frozen=True, slots=True)
class QuarantinedRecord:
    """A record that was set aside, as the ledger has it.

    Attributes:
        quarantine_id: its own.
        endpoint, run_id: whose it was.
        page: of the answers of the run, 0 for the first.
        path: its place in the page.
        reason: why it was set aside.
        record: itself, as JSON.
        again: whether another try can make it fit.
        archive_file: with the answers of the run; None where there is none.
        quarantined_at: in UTC.
    """

    quarantine_id: str
    endpoint: str
    run_id: str
    page: int
    path: str
    reason: str
    record: str
    again: bool
    archive_file: str | None
    quarantined_at: datetime


def records(application: Application, endpoint: str | None = None) -> tuple[QuarantinedRecord, ...]:
    """What is set aside, the oldest first.

    Args:
        application: with the settings.
        endpoint: only its records; None for all.

    Raises:
        UsageError: there is no such endpoint.
        WarehouseUnavailable: the warehouse cannot be reached now, or nothing is stored in it.
    """
    if endpoint is not None:
        application.chosen([endpoint])
    with application.warehouse(read_only=True) as warehouse:
        found = records_in(warehouse, endpoint=endpoint or "")
        if not found and not warehouse.rows(SCHEMAS.name, ["version"]).num_rows:
            raise nothing_stored(application.settings, warehouse)
    return tuple(sorted(found, key=lambda one: (one.quarantined_at, one.quarantine_id)))


def records_in(
    warehouse: Warehouse, *, endpoint: str = "", run_id: str = "", most: int = 0
) -> tuple[QuarantinedRecord, ...]:
    """What is set aside in a warehouse, the newest first; nothing where nothing is stored yet.

    Args:
        warehouse: to read.
        endpoint: whose, "" for all.
        run_id: of which run, "" for all.
        most: how many, 0 for all.

    Raises:
        WarehouseUnavailable: the warehouse cannot be reached now.
    """
    return newest(
        warehouse, QUARANTINE, QuarantinedRecord, endpoint=endpoint, run_id=run_id, most=most
    )


def by_id(found: Sequence[QuarantinedRecord], ids: Sequence[str]) -> tuple[QuarantinedRecord, ...]:
    """The records of these ids, in the order in which they were found.

    Args:
        found: the records to choose from.
        ids: of those that are wanted.

    Raises:
        UsageError: one is not there.
    """
    known = {record.quarantine_id for record in found}
    for quarantine_id in ids:
        if quarantine_id not in known:
            raise UsageError(
                f"No record {quarantine_id} is in the quarantine.",
                remedy="`tcdatalogger quarantine list` lists them.",
            )
    return tuple(record for record in found if record.quarantine_id in ids)
