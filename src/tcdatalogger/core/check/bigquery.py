"""Checks a warehouse on BigQuery: whether it can be used, and what the schedule takes of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing

from tcdatalogger.core.check.finding import Finding
from tcdatalogger.core.config.settings import EndpointSettings, Settings
from tcdatalogger.core.main import Application
from tcdatalogger.errors import ConfigError, Failure
from tcdatalogger.models.schema import TableFamily
from tcdatalogger.services.google import address, quotas
from tcdatalogger.services.google.quotas import Scheduled

_DAY = 86_400.0
_DONE = {
    "jobs": "a query may be begun",
    "tables": "one was made, loaded, changed, read and deleted",
}
_LOWER = (
    "To lower it: a longer `frequency`; append instead of merge or history; a shorter `partition` "
    "for new tables"
)


def not_asked(settings: Settings) -> Finding:
    """Where the warehouse is by its address."""
    place = address.parse(settings.warehouse.url)
    return Finding("warehouse", f"{place} of BigQuery, which was not asked")


def access(application: Application) -> Iterator[Finding]:
    """Whether the dataset is there, and whether the account may do in it what the warehouse does.

    A table is made, and deleted again.
    """
    place = address.parse(application.settings.warehouse.url)
    try:
        with closing(application.bigquery()) as client:
            # Google's library is there: the client was made.
            from tcdatalogger.services.google import prove  # noqa: PLC0415

            yield Finding("warehouse", f"{place} in {prove.place(client)}, on BigQuery")
            for proof in prove.prove(client, application.clock.now()):
                says = _DONE[proof.what]
                yield Finding(f"{proof.what} of warehouse", says, proof.failure)
    except Failure as failure:
        yield Finding("warehouse", str(place), failure)


def schedule(
    application: Application, families: Mapping[str, TableFamily | None]
) -> Iterator[Finding]:
    """What the schedule takes of Google's limits in a day, and what it costs in a month.

    Args:
        application: the application.
        families: the tables of the endpoints; None where they are not known yet.
    """
    try:
        scheduled = _scheduled(application, families)
    except Failure as failure:
        yield Finding("quotas", "", failure)
        return
    if scheduled:
        yield _writes(scheduled)
        yield _loads(scheduled)
        yield _cost(scheduled)


def _scheduled(
    application: Application, families: Mapping[str, TableFamily | None]
) -> list[Scheduled]:
    found, sizes = [], dict[str, int]()
    with closing(application.bigquery()) as client:
        for endpoint in application.settings.endpoints:
            family, runs = families.get(endpoint.name), _runs(endpoint, application.clock.now())
            if not runs:
                continue
            names = [table.name for table in family.tables] if family else [endpoint.root_table]
            for name in names:
                if name not in sizes:
                    stored = client.table(name)
                    sizes[name] = 0 if stored is None else stored.num_bytes or 0
            task = application.task(endpoint)
            found.append(
                Scheduled(
                    endpoint=endpoint.name,
                    mode=endpoint.storage_mode,
                    once=task.once,
                    tables=tuple(names),
                    runs=runs,
                    stored=sum(sizes[name] for name in names),
                )
            )
    return found


def _runs(endpoint: EndpointSettings, now: float) -> float:
    """How often a day an endpoint runs by itself."""
    if endpoint.frequency is None or not endpoint.enabled:
        return 0.0
    return _DAY / (endpoint.frequency.after(now, endpoint.timezone) - now)


def _writes(scheduled: Sequence[Scheduled]) -> Finding:
    writes = quotas.writes(scheduled)
    table = max(writes, key=lambda name: writes[name])
    says = f"{table} is written to {writes[table]:,.0f} times a day, more than any other table"
    if writes[table] <= quotas.OUR_WRITES:
        return Finding("quota of a table", f"{says}; up to {quotas.OUR_WRITES:,} are well")
    by = ", ".join(one.endpoint for one in scheduled if table in one.tables)
    says += (
        f": over {quotas.OUR_WRITES:,}; beyond {quotas.WRITES:,} BigQuery lets statements wait. "
        f"Give {by} a longer `frequency`"
    )
    return Finding("quota of a table", says, warning=True)


def _loads(scheduled: Sequence[Scheduled]) -> Finding:
    part, loads = "quota of the project", quotas.loads(scheduled)
    says = f"{loads:,.0f} load jobs a day"
    if loads <= quotas.OUR_LOADS:
        return Finding(part, f"{says}; up to {quotas.OUR_LOADS:,} are well")
    most = max(scheduled, key=lambda one: one.runs * len(one.tables))
    remedy = f"Give {most.endpoint} a longer `frequency`: it has most of them."
    if loads <= quotas.LOADS:
        return Finding(part, f"{says}: over {quotas.OUR_LOADS:,}. {remedy}", warning=True)
    wrong = f"The schedule needs {says}, and Google allows a project {quotas.LOADS:,}."
    return Finding(part, says, ConfigError(wrong, remedy=remedy))


def _cost(scheduled: Sequence[Scheduled]) -> Finding:
    scanned = sum(one.scanned for one in scheduled)
    most = max(scheduled, key=lambda one: one.scanned)
    says = f"at most {_bytes(scanned)} read in a month, {_bytes(most.scanned)} by {most.endpoint}"
    dollars = quotas.price(scanned)
    if not dollars:
        return Finding("cost", f"{says}; {_bytes(quotas.FREE)} are free")
    says += f": up to {math.ceil(dollars):,} US dollars on demand. {_LOWER}"
    return Finding("cost", says, warning=True)


def _bytes(count: float) -> str:
    mib = count / 2**20
    if mib < 2**10:
        return f"{mib:,.0f} MiB"
    return f"{mib / 2**10:,.0f} GiB" if mib < 2**20 else f"{mib / 2**20:,.1f} TiB"
