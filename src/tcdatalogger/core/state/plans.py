"""How the configured endpoints are scheduled."""

from __future__ import annotations

from typing import Final

from tcdatalogger.core.config import schedule
from tcdatalogger.core.config.durations import parse
from tcdatalogger.core.config.schedule import Grid
from tcdatalogger.core.config.settings import DigestSettings, EndpointSettings, Settings
from tcdatalogger.core.state.due import Plan
from tcdatalogger.core.state.leases import BACKUP, CATALOG, DIGEST, EXPORT, PRUNE

_TRIES: Final = 12
"""Of a digest that the channel does not take: for about two hours."""


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
    """The plans of endpoints and of what goes on beside them, by name.

    What runs by hand alone has none.
    """
    found = {one.endpoint: one for one in map(plan, settings.endpoints) if one is not None}
    often = settings.backup.frequency
    if found and often is not None:  # after the endpoints: nobody waits for a backup
        found[BACKUP] = Plan(BACKUP, Grid(often), priority="low")
    keeps = [settings.archive.keep, *(endpoint.keep for endpoint in settings.endpoints)]
    if found and any(keep is not None for keep in keeps):
        found[PRUNE] = Plan(PRUNE, Grid(parse("P1D")), priority="low")
    if found and settings.torn.documented:
        found[CATALOG] = Plan(CATALOG, Grid(settings.torn.document_frequency), priority="low")
    if found and settings.digest.questions:
        grid = digest_grid(settings.digest)
        found[DIGEST] = Plan(DIGEST, grid, priority="low", retries=_TRIES, waits=True)
    for export in settings.exports if found else ():
        if export.frequency is not None:
            name = EXPORT + export.name
            grid = Grid(export.frequency, export.timezone, schedule.anchor(export.anchor))
            found[name] = Plan(name, grid, priority="low")
    return found


def digest_grid(digest: DigestSettings) -> Grid:
    """The times at which the digest is posted."""
    day, _, _ = schedule.ANCHOR.partition("T")
    return Grid(digest.frequency, digest.timezone, schedule.anchor(f"{day}T{digest.at}"))
