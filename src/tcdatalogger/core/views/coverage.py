"""How far back the history of an endpoint was read, by regular runs and by backfills."""

from __future__ import annotations

import json
from dataclasses import dataclass

from tcdatalogger.services.torncity.lists.cursor import Coverage, Cursor, Span, TimeRange
from tcdatalogger.services.warehouse.protocol import Warehouse


@dataclass(frozen=True, slots=True)
class PlaceCoverage:
    """What was read of one list.

    Attributes:
        place: of the list: the id of a subject, or the path where there is none.
        spans: that were read, the newest first: first and last second since 1970; None for the
            beginning of all history. Between two of them lies a gap.
    """

    place: str
    spans: tuple[Span, ...]


def coverage(warehouse: Warehouse, endpoint: str, asked: str) -> tuple[PlaceCoverage, ...]:
    """What was read of each list of an endpoint, by place; nothing for what is no list by time.

    Args:
        warehouse: whose ledger knows it.
        endpoint: its name.
        asked: identifies the list (`Task.asked`).

    Raises:
        WarehouseUnavailable: the warehouse cannot be reached now.
    """
    regular = Cursor.read(warehouse.cursor(endpoint), asked).spans
    read = warehouse.stretches(endpoint)
    read += [
        TimeRange(place, high, low).text(asked) for place, (low, high) in sorted(regular.items())
    ]
    places = sorted({each["place"] for each in map(json.loads, read) if each["asked"] == asked})
    return tuple(PlaceCoverage(place, Coverage.read(read, asked, place).spans) for place in places)
