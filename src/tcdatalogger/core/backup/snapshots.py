"""Snapshots of a warehouse on BigQuery: they lie at Google, and expire."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tcdatalogger.core.config.durations import Duration
from tcdatalogger.core.config.paths import without_password
from tcdatalogger.core.main import Application
from tcdatalogger.errors import UsageError
from tcdatalogger.observability.log import get_logger
from tcdatalogger.services.google.address import SCHEME

if TYPE_CHECKING:
    from tcdatalogger.services.google.client import Client
    from tcdatalogger.services.google.snapshots import Snapshots

_log = get_logger("backup")


@contextmanager
def _client(application: Application) -> Iterator[Client]:
    """The way to the dataset of the warehouse.

    Raises:
        UsageError: the warehouse is not on BigQuery.
    """
    url = application.settings.warehouse.url
    if not url.startswith(SCHEME):
        raise UsageError(
            f"The warehouse {without_password(url)} has no snapshots: only BigQuery makes them.",
            remedy="`tcdatalogger backup` copies it into files, `tcdatalogger restore` brings "
            "them back.",
        )
    client = application.bigquery()
    try:
        yield client
    finally:
        client.close()


def take(application: Application, keep: Duration) -> Snapshots:
    """Make snapshots of all tables of the warehouse, of one state.

    Args:
        application: the application.
        keep: how long they stay.

    Raises:
        UsageError: the warehouse is not on BigQuery.
        WarehouseUnavailable: nothing is stored yet, or BigQuery cannot be asked.
        Busy: runs store all the time.
    """
    with _client(application) as client:
        from tcdatalogger.services.google import snapshots, turns  # noqa: PLC0415  # with the extra

        now = turns.time(client)
        made = snapshots.take(client, now, keep.after(now))
    _log.info("snapshots_made", snapshots=made.name, tables=len(made.tables))
    return made


def kept(application: Application) -> list[Snapshots]:
    """The snapshots of the warehouse, the newest first; none where it is not on BigQuery."""
    if not application.settings.warehouse.url.startswith(SCHEME):
        return []
    with _client(application) as client:
        from tcdatalogger.services.google import snapshots  # noqa: PLC0415  # with the extra

        return snapshots.kept(client)


def restore(application: Application, name: str, to: Application) -> Snapshots:
    """Make the tables of snapshots in an empty dataset; none that is there is written over.

    Args:
        application: its warehouse has the snapshots.
        name: of the snapshots, as `20261123T081500Z`.
        to: the same with the other dataset.

    Raises:
        UsageError: one of the two is not on BigQuery, there are no such snapshots, or the target
            has tables already.
        DataRefused: a table has not all rows of its snapshot.
        WarehouseUnavailable: BigQuery cannot be asked now.
    """
    with _client(application) as source, _client(to) as target:
        from tcdatalogger.services.google import snapshots  # noqa: PLC0415  # with the extra

        found = {each.name: each for each in snapshots.kept(source)}
        if name not in found:
            raise UsageError(
                f"{source.address} has no snapshots of the name {name}.",
                remedy="`tcdatalogger backup --list` lists those that it has.",
            )
        snapshots.restore(source, found[name], target)
        return found[name]
