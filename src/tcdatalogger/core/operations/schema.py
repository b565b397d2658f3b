"""Changes tables on request: to fit the configuration and the catalogue, or to an older version."""

from __future__ import annotations

from dataclasses import dataclass

from tcdatalogger.core.config.settings import EndpointSettings
from tcdatalogger.core.main import Application
from tcdatalogger.core.operations.exclusive import exclusive
from tcdatalogger.core.state.run_id import new_run_id
from tcdatalogger.errors import UsageError
from tcdatalogger.models.evolution import Step
from tcdatalogger.models.rows.normalize import arrow_schema
from tcdatalogger.models.schema import TableFamily
from tcdatalogger.services.torncity.endpoints.registry import processor
from tcdatalogger.services.torncity.processing.task import Known
from tcdatalogger.services.warehouse.load import Load, as_stored
from tcdatalogger.services.warehouse.protocol import Warehouse
from tcdatalogger.text import did_you_mean


@dataclass(frozen=True, slots=True)
class Evolved:
    """The changes of tables, done or planned.

    Attributes:
        name: the name of the endpoint or the table.
        steps: the changes in their order.
        next: the changes that the next load of the endpoint needs after these.
    """

    name: str
    steps: tuple[Step, ...]
    next: tuple[Step, ...] = ()


def planned(application: Application, name: str) -> Evolved:
    """The changes of tables that the next load of an endpoint needs.

    Raises:
        UsageError: there is no such endpoint, or its processor does not declare its tables.
        ConfigError: the user's names give a table two columns of one name.
    """
    [endpoint] = application.chosen([name])
    with application.warehouse() as warehouse:
        return Evolved(name, warehouse.plan(_family(application, endpoint, warehouse)))


def apply(
    application: Application, name: str, *, accept: bool = False, dry: bool = False
) -> Evolved:
    """Change the tables of an endpoint in one step; they get new versions.

    Args:
        application: the application.
        name: the name of the endpoint.
        accept: whether changes are made that a load does not make by itself.
        dry: whether the changes are only checked.

    Raises:
        UsageError, ConfigError: as for `planned`.
        DataRefused: a change needs `accept`, or a value would change; nothing was changed.
        Busy: another process has the endpoint.
        WarehouseUnavailable: the warehouse cannot be reached now.
    """
    [endpoint] = application.chosen([name])
    by = new_run_id(application.clock)
    with exclusive(application, name, by, dry=dry) as guard, application.warehouse() as warehouse:
        family = _family(application, endpoint, warehouse)
        load = Load(
            id="",
            run_id="",
            endpoint=name,
            mode="append",
            family=family,
            tables={table.name: arrow_schema(table).empty_table() for table in family.tables},
            catalog_version=application.catalog.version,
            committed_at=application.clock.now(),
            token=guard.token,
            fence=guard.fence,
            path=application.task(endpoint).endpoint.path,
        )
        return Evolved(name, warehouse.reshape(load, accept=accept or dry, dry=dry))


def roll_back(application: Application, name: str, version: int, *, dry: bool = False) -> Evolved:
    """Give a table the columns of an older version, as a new version.

    Args:
        application: the application.
        name: the name of the table, or of an endpoint for its root table.
        version: the older version.
        dry: whether the changes are only checked.

    Raises:
        UsageError: there is no such table or version.
        DataRefused: a value does not fit the older type; nothing was changed.
        Busy: another process has the endpoint.
        WarehouseUnavailable: the warehouse cannot be reached now.
    """
    with application.warehouse(read_only=True) as warehouse:
        table, owner = _table(warehouse, name)
    endpoint = application.settings.endpoint(owner)
    by = new_run_id(application.clock)
    with (
        exclusive(application, owner, by, dry=dry) as guard,
        application.warehouse() as warehouse,
    ):
        at = application.clock.now()
        steps = warehouse.reshape_back(table, version, at=at, dry=dry, fence=guard.fence)
        if dry or endpoint is None:
            return Evolved(table, steps)
        again = warehouse.plan(_family(application, endpoint, warehouse))
        return Evolved(table, steps, tuple(step for step in again if step.table == table))


def _table(warehouse: Warehouse, name: str) -> tuple[str, str]:
    """The name of the table, and the endpoint that made it."""
    found = warehouse.ledger.first_versions()
    for table, endpoint in found:
        if table == name:
            return table, endpoint
    for table, endpoint in found:
        if endpoint == name:
            return table, endpoint
    known = {value for line in found for value in line}
    raise UsageError(
        f"No table or endpoint {name!r} was ever stored.",
        remedy=did_you_mean(name, sorted(known)),
    )


def _family(
    application: Application, endpoint: EndpointSettings, warehouse: Warehouse
) -> TableFamily:
    """The tables of the next load of an endpoint, as far as they are known."""
    task = application.task(endpoint)
    kind = processor(task.endpoint.path, endpoint.processor)
    if not kind.declares():
        raise UsageError(
            f"The processor of {endpoint.name} makes tables of its own.",
            remedy="They are known when it runs, or when it overrides `plain_family`.",
        )
    known = Known.of(warehouse, task)
    return as_stored(kind(task, known=known).family(), task.mode, task.name)
