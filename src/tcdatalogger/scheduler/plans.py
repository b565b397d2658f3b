"""How the configured endpoints are scheduled."""

from __future__ import annotations

from tcdatalogger.core import schedule
from tcdatalogger.core.schedule import Grid
from tcdatalogger.core.settings import Endpoint, Settings
from tcdatalogger.scheduler.agenda import Plan


def plan(endpoint: Endpoint) -> Plan | None:
    """When an endpoint is due; None for one that runs only when it is asked for."""
    if endpoint.frequency is None or not endpoint.enabled:
        return None
    most = endpoint.jitter.seconds if endpoint.jitter is not None else 0
    return Plan(
        endpoint=endpoint.name,
        grid=Grid(
            endpoint.frequency,
            endpoint.timezone,
            schedule.anchor(endpoint.anchor),
            schedule.jitter(endpoint.name, most or 0),
        ),
        priority=endpoint.priority,
        retries=endpoint.retries,
    )


def plans(settings: Settings) -> dict[str, Plan]:
    """The plan of every endpoint that has one, by its name."""
    found = map(plan, settings.endpoints)
    return {one.endpoint: one for one in found if one is not None}
