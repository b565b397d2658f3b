"""Organised crimes: `/faction/crimes`.

Slots and reward items are two child tables that know their crime and not each other: joined by
crime alone they would multiply, so sum money over `faction_crimes`, never over a child. An empty
slot has no user, and its `checkpoint_pass_rate` is then that of the key's owner, not of the slot.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import ClassVar, Final

from tcdatalogger.services.torncity import history
from tcdatalogger.services.torncity.base import EndpointProcessor
from tcdatalogger.services.torncity.cursor import Reading
from tcdatalogger.services.torncity.links import changed
from tcdatalogger.services.torncity.messages import Request
from tcdatalogger.services.torncity.paging import Walk
from tcdatalogger.services.warehouse import Warehouse

UNPAID: Final = 30 * 86_400
"""Seconds after its execution for which a crime without a payout is read again: some are paid after
days, and some never, for a faction may pay by hand."""


class CrimesProcessor(EndpointProcessor):
    """All crimes, newest first; where it is incremental, those that may have changed.

    A crime changes for days after it was created: it is planned, executed or expires, and is paid
    later still. So a run reads all that are open, what was executed or expired since the last run,
    and what still waits for its payout.
    """

    defaults: ClassVar[Mapping[str, str]] = {"cat": "all"}
    _unpaid: int | None = None

    def look_back(self, warehouse: Warehouse) -> None:
        """Find when the oldest crime was executed that still waits for its payout."""
        known = warehouse.known(self.task.name)
        if known is None:
            return
        root = self.family().tables[0]
        table = root.name.replace('"', '""')
        names = {c.path: c.name.replace('"', '""') for c in root.data_columns}
        crime, status = names["id",], names["status",]
        executed, paid = names["executed_at",], names["rewards", "payout", "paid_at"]
        since = int(self.tools.clock.now()) - UNPAID
        [row] = warehouse.query(
            f"""select cast(floor(epoch(min(executed_at))) as bigint) as oldest from (
                    select "{status}" as status, "{executed}" as executed_at, "{paid}" as paid_at,
                        row_number() over (
                            partition by _subject_id, "{crime}" order by server_timestamp desc
                        ) as age
                    from "{table}" where "{executed}" >= to_timestamp({since}))
                where age = 1 and status = 'Successful' and paid_at is null"""
        ).to_pylist()
        self._unpaid = row["oldest"]

    def questions(self) -> Iterator[tuple[Request, int | None]]:
        """Everything, or in three lists what may have changed since the last run."""
        for request, subject in self.requests():
            if not self.task.incremental or request.param("cat") != "all":
                yield request, subject
                continue
            begin = self.begin(history.place(request, subject))
            finished = begin if self._unpaid is None else min(begin, self._unpaid)
            yield changed(request, cat="available"), subject
            yield _since(request, "completed", "executed_at", finished), subject
            yield _since(request, "expired", "expired_at", begin), subject

    def reading(self, request: Request, subject: int | None, walk: Walk) -> Reading:
        """The next run goes on at the time of this one: what ends later is listed later."""
        reading = super().reading(request, subject, walk)
        return replace(reading, newest=reading.at)


def _since(request: Request, category: str, field: str, begin: int) -> Request:
    return changed(request, **{"cat": category, "filters": field, "from": str(begin)})
