"""How each export does, for people and programs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tcdatalogger.clock import instant
from tcdatalogger.core.config.settings import Settings
from tcdatalogger.core.state import run_stats
from tcdatalogger.core.state.due import DueQueue, first_entry
from tcdatalogger.core.state.leases import EXPORT
from tcdatalogger.core.state.plans import plans
from tcdatalogger.core.state.store import State
from tcdatalogger.core.views.runs import RunView, view


@dataclass(frozen=True, slots=True)
class ExportStatus:
    """How an export does.

    Attributes:
        export: its name.
        of: the question or the table that is written.
        place: where it is written.
        frequency: as it is written in the configuration; None where it is written by hand alone.
        last_run: None before the first.
        success_at: when it was written last, in UTC; None before the first time.
        next_due: in UTC; None where it is not due by itself.
    """

    export: str
    of: str
    place: str
    frequency: str | None
    last_run: RunView | None
    success_at: datetime | None
    next_due: datetime | None


def exports(settings: Settings, state: State | None, now: float) -> tuple[ExportStatus, ...]:
    """How each export of the configuration does.

    Args:
        settings: the configuration.
        state: None before the first run.
        now: seconds since 1970.

    Raises:
        StateUnavailable: the state cannot be read.
    """
    if not settings.exports:
        return ()
    planned = plans(settings)
    entries = {} if state is None else DueQueue(state).entries()
    lasts = {} if state is None else run_stats.lasts(state)
    found = []
    for each in settings.exports:
        name = EXPORT + each.name
        runs = [] if state is None else state.runs(endpoint=name, most=1)
        last, plan = lasts.get(name), planned.get(name)
        entry = entries.get(name) or (None if plan is None else first_entry(plan, last, now))
        found.append(
            ExportStatus(
                export=each.name,
                of=each.of,
                place=each.place,
                frequency=None if each.frequency is None else str(each.frequency),
                last_run=view(runs[0]) if runs else None,
                success_at=instant(None if last is None else last.success_at),
                next_due=instant(None if plan is None or entry is None else entry.due_at),
            )
        )
    return tuple(found)
