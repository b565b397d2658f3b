"""The fields of Torn's that the catalogue lacks, and the columns that they became."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tcdatalogger.core.views.ledger_lines import newest
from tcdatalogger.services.warehouse.ledger_tables import DRIFT
from tcdatalogger.services.warehouse.protocol import Warehouse


@dataclass(frozen=True, slots=True)
class NewField:
    """A column that was learned, as the ledger has it.

    Attributes:
        endpoint: whose answer had it.
        table_name, column_name, type: what it became.
        example: a value, as text; None where none was kept.
        cause: why it came to be.
        run_id: the run that saw it first; "" where a person asked for it.
        seen_at: in UTC.
    """

    endpoint: str
    table_name: str
    column_name: str
    type: str
    example: str | None
    cause: str
    run_id: str
    seen_at: datetime


def new_fields(
    warehouse: Warehouse, *, endpoint: str = "", run_id: str = "", most: int = 0
) -> tuple[NewField, ...]:
    """What was learned, the newest first; nothing where nothing is stored yet.

    Args:
        warehouse: to read.
        endpoint: whose, "" for all.
        run_id: of which run, "" for all.
        most: how many, 0 for all.

    Raises:
        WarehouseUnavailable: the warehouse cannot be reached now.
    """
    return newest(warehouse, DRIFT, NewField, endpoint=endpoint, run_id=run_id, most=most)
