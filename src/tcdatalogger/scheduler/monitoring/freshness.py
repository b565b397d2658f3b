"""How far endpoints are behind: the last good run beside how often there is to be one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from tcdatalogger.core.config.settings import EndpointSettings, Settings
from tcdatalogger.core.state.run_stats import LastRuns

LATE: Final = 2.0
"""Periods by which a good run may be overdue before somebody is told."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """An endpoint beside its clock; all but the first two in seconds.

    Attributes:
        last: what its runs came to.
        period: how often it is to run, None where it runs only when it is asked for.
        age: since its last good run, None before the first.
        overdue: since when there should have been another one, 0 where it is in time.
    """

    endpoint: EndpointSettings
    last: LastRuns
    period: float | None
    age: float | None
    overdue: float

    @property
    def late(self) -> bool:
        """Whether it is late by `LATE` periods."""
        return self.period is not None and self.overdue >= LATE * self.period


def paces(settings: Settings, lasts: Mapping[str, LastRuns], now: float) -> Iterator[Freshness]:
    """Each configured endpoint."""
    for endpoint in settings.endpoints:
        last = lasts.get(endpoint.name) or LastRuns(known_since=now)
        age = None if last.success_at is None else max(0.0, now - last.success_at)
        if endpoint.frequency is None or not endpoint.enabled:
            yield Freshness(endpoint, last, None, age, 0.0)
            continue
        since = last.known_since if last.success_at is None else last.success_at
        due = endpoint.frequency.after(since, endpoint.timezone)
        period = now - endpoint.frequency.before(now, endpoint.timezone)
        yield Freshness(endpoint, last, period, age, max(0.0, now - due))
