"""Organised crimes: `/faction/crimes`.

Slots and reward items are two child tables. Each row has its crime, so a join of both by the crime
multiplies rows: sum money over `faction_crimes` and never over a child. An empty slot has no user;
its `checkpoint_pass_rate` is then the rate of the key's owner.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import ClassVar, Final

import pyarrow as pa
import pyarrow.compute as pc

from tcdatalogger.services.torncity.client.messages import Request
from tcdatalogger.services.torncity.lists.cursor import WalkSummary
from tcdatalogger.services.torncity.lists.links import changed
from tcdatalogger.services.torncity.lists.paging import PageIterator
from tcdatalogger.services.torncity.processing import time_ranges
from tcdatalogger.services.torncity.processing.base import EndpointProcessor
from tcdatalogger.services.warehouse.protocol import Warehouse

UNPAID: Final = 30 * 86_400
"""Seconds after its execution in which a crime without a payout is read again: some are paid after
days, and some never, because a faction may pay without a payout."""


_PAYOUT_PATHS: Final = (("id",), ("status",), ("executed_at",), ("rewards", "payout", "paid_at"))
"""The fields of a crime that show that it waits for its payout."""
_NEWEST: Final = ("_subject_id", "server_timestamp")


class CrimesProcessor(EndpointProcessor):
    """Asks for all crimes, newest first; an incremental run asks for those that may have changed.

    A crime changes for days after its creation: it is planned, executed or expires, and is paid
    still later. So an incremental run reads all open crimes, crimes that were executed or expired
    since the last run, and crimes that wait for their payout.
    """

    defaults: ClassVar[Mapping[str, str]] = {"cat": "all"}
    _unpaid: int | None = None

    def look_back(self, warehouse: Warehouse) -> None:
        """Find the execution time of the oldest crime that waits for its payout."""
        if warehouse.known(self.task.name) is None:
            return
        root = self.family().tables[0]
        names = {column.path: column.name for column in root.data_columns}
        if not names.keys() >= set(_PAYOUT_PATHS):
            return  # another catalogue, whose crimes lack these fields
        crime, status, executed, paid = (names[path] for path in _PAYOUT_PATHS)
        rows = warehouse.rows(
            root.name,
            (crime, status, executed, paid, *_NEWEST),
            since=(executed, self.source.clock.now() - UNPAID),
        )
        waits = _waiting(rows.rename_columns(["crime", "status", "executed", "paid", *_NEWEST]))
        self._unpaid = None if waits is None else math.floor(waits.timestamp())

    def questions(self) -> Iterator[tuple[Request, int | None]]:
        """The requests: one for all crimes, or three for crimes that may have changed."""
        for request, subject in self.requests():
            if not self.task.incremental or request.param("cat") != "all":
                yield request, subject
                continue
            begin = self.begin(time_ranges.place(request, subject))
            finished = begin if self._unpaid is None else min(begin, self._unpaid)
            yield changed(request, cat="available"), subject
            yield _since(request, "completed", "executed_at", finished), subject
            yield _since(request, "expired", "expired_at", begin), subject

    def reading(self, request: Request, subject: int | None, walk: PageIterator) -> WalkSummary:
        """As the base; the next run goes on at the time of this one, as lists go by the end."""
        reading = super().reading(request, subject, walk)
        return replace(reading, newest=reading.at)


def _waiting(rows: pa.Table) -> datetime | None:
    """The execution time of the oldest crime that waits for its payout, by its newest row."""
    if not rows.num_rows:
        return None
    compared = ["status", "executed", "paid"]
    whole = pc.ScalarAggregateOptions(skip_nulls=False)
    newest = (
        rows.sort_by("server_timestamp")
        .group_by(["_subject_id", "crime"], use_threads=False)
        .aggregate([(name, "last", whole) for name in compared])
        .rename_columns(["_subject_id", "crime", *compared])
    )
    waits = newest.filter((pc.field("status") == "Successful") & pc.field("paid").is_null())
    oldest: datetime | None = pc.min(waits["executed"]).as_py()
    return oldest


def _since(request: Request, category: str, field: str, begin: int) -> Request:
    return changed(request, **{"cat": category, "filters": field, "from": str(begin)})
