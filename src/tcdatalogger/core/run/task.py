"""Makes the task of a run from the configuration."""

from __future__ import annotations

from tcdatalogger.core.config.moments import moment
from tcdatalogger.core.config.requests import is_incremental, path_values, query
from tcdatalogger.core.config.settings import QUERY, EndpointSettings
from tcdatalogger.errors import DataRefused
from tcdatalogger.models.people.pseudonyms import is_alias
from tcdatalogger.models.renames import ours
from tcdatalogger.services.torncity.catalog import catalog
from tcdatalogger.services.torncity.processing.task import Task
from tcdatalogger.services.warehouse.protocol import Warehouse


def queried(warehouse: Warehouse, ids: str) -> tuple[str, ...]:
    """The values that a query of the warehouse returns, each once, in the order of the query.

    An alias of a player who is forgotten is left out: Torn knows nobody of that id.

    Args:
        warehouse: the warehouse.
        ids: the query, with `query:` before it.

    Raises:
        DataRefused: the query returns nothing, or values that are neither numbers nor texts.
    """
    table = warehouse.query(ids.removeprefix(QUERY))
    column = table.column(0).to_pylist() if table.num_columns else []
    values = dict.fromkeys(
        str(value) for value in column if isinstance(value, int | str) and not is_alias(value)
    )
    if not values:
        raise DataRefused(
            f"The query for ids gives none: {ids.removeprefix(QUERY)}",
            remedy="Nothing was asked for; the tables stay as they are.",
        )
    return tuple(values)


def task(
    endpoint: EndpointSettings,
    known: catalog.Catalog,
    run_id: str,
    now: float,
    roots: tuple[str, ...] = (),
) -> Task:
    """The task of a run of an endpoint, by the catalogue `known`, now (seconds since 1970).

    `roots` are the root tables of all endpoints.
    """
    found, given = known.find(endpoint.path)
    overlap = endpoint.overlap
    ids = tuple(v for values in path_values(endpoint, found, given) for v in values.values())
    return Task(
        name=endpoint.name,
        endpoint=found,
        catalog_version=known.version,
        run_id=run_id,
        table=endpoint.root_table,
        mode=endpoint.storage_mode,
        ids=ids,
        params=query(endpoint, found),
        key=ours(endpoint.columns, endpoint.key, endpoint.root_table),
        columns=tuple(endpoint.columns.items()),
        checks=tuple(check.rule() for check in endpoint.checks),
        contract=endpoint.contract,
        max_pages=endpoint.max_pages,
        max_drop=endpoint.max_drop,
        subject=endpoint.subject,
        incremental=is_incremental(endpoint, found),
        overlap=None if overlap is None else now - overlap.before(now),
        since=moment(endpoint.since, now),
        roots=roots,
        history_ignore=None
        if endpoint.history_ignore is None
        else ours(endpoint.columns, endpoint.history_ignore, endpoint.root_table),
    )
