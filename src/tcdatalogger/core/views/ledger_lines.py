"""Lines of a table of the ledger as values: of an endpoint, of a run or of all."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from tcdatalogger.services.warehouse.ledger_tables import LedgerTable
from tcdatalogger.services.warehouse.protocol import Warehouse

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")


def newest(
    warehouse: Warehouse,
    table: LedgerTable,
    made: type[T],
    *,
    endpoint: str,
    run_id: str,
    most: int,
) -> tuple[T, ...]:
    """Lines of a table, the newest first; none where nothing is stored yet.

    Args:
        warehouse: to read.
        table: with `endpoint` and `run_id`.
        made: the dataclass of a line; its fields are columns of the table.
        endpoint: whose, "" for all.
        run_id: of which run, "" for all.
        most: how many, 0 for all.

    Raises:
        WarehouseUnavailable: the warehouse cannot be reached now.
    """
    columns = tuple(field.name for field in fields(made))
    wanted = {"endpoint": endpoint, "run_id": run_id}
    where = {name: value for name, value in wanted.items() if value}
    found = warehouse.ledger.lines(table, columns, where, most)
    return tuple(made(**{name: _utc(value) for name, value in line.items()}) for line in found)


def _utc(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value
