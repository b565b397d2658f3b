"""How fresh the data of endpoints are: the last good run, and how often there has to be one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from tcdatalogger.core.config.durations import Duration
from tcdatalogger.core.config.settings import EndpointSettings, Settings
from tcdatalogger.core.state.run_stats import LastRuns

LATE: Final = 2.0
"""Periods by which a good run may be overdue before an alert is sent."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """How fresh the data of an endpoint are; times in seconds.

    Attributes:
        endpoint: the endpoint as it is configured.
        last: the results of its last runs.
        period: the time between two runs; None where it runs by hand alone.
        age: the time since its last good run; None before the first.
        overdue: by how much its next good run is late; 0 where it is in time.
    """

    endpoint: EndpointSettings
    last: LastRuns
    period: float | None
    age: float | None
    overdue: float

    @property
    def late(self) -> bool:
        """Whether its next good run is late by `LATE` periods or more."""
        return self.period is not None and self.overdue >= LATE * self.period


def freshness(settings: Settings, lasts: Mapping[str, LastRuns], now: float) -> Iterator[Freshness]:
    """How fresh the data of each configured endpoint are.

    Args:
        settings: the configuration.
        lasts: the results of last runs, by endpoint.
        now: seconds since 1970.
    """
    befores: dict[tuple[Duration, str], float] = {}  # thousands of endpoints have the same
    for endpoint in settings.endpoints:
        last = lasts.get(endpoint.name) or LastRuns(known_since=now)
        age = None if last.success_at is None else max(0.0, now - last.success_at)
        frequency, zone = endpoint.frequency, endpoint.timezone
        if frequency is None or not endpoint.enabled:
            yield Freshness(endpoint, last, None, age, 0.0)
            continue
        if (frequency, zone) not in befores:
            befores[frequency, zone] = frequency.before(now, zone)
        before = befores[frequency, zone]
        since = last.known_since if last.success_at is None else last.success_at
        # A month later is another day for some days, so only months are always counted on.
        fresh = since >= before and not frequency.calendar[0]
        overdue = 0.0 if fresh else max(0.0, now - frequency.after(since, zone))
        yield Freshness(endpoint, last, now - before, age, overdue)
