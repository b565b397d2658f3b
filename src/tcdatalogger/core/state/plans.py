"""How the configured endpoints are scheduled."""

from __future__ import annotations

from tcdatalogger.core.config import schedule
from tcdatalogger.core.config.schedule import Grid
from tcdatalogger.core.config.settings import EndpointSettings, Settings
from tcdatalogger.core.state.due import Plan
from tcdatalogger.core.state.leases import BACKUP


def plan(endpoint: EndpointSettings) -> Plan | None:
    """When an endpoint is due; None for one that runs by hand alone."""
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
    """The plans of the endpoints and of the backup, by name; what runs by hand alone has none."""
    found = {one.endpoint: one for one in map(plan, settings.endpoints) if one is not None}
    often = settings.backup.frequency
    if found and often is not None:  # after the endpoints: nobody waits for a backup
        found[BACKUP] = Plan(BACKUP, Grid(often), priority="low")
    return found
