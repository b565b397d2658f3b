"""Snapshots of all tables of a dataset, of one state and until they expire; and the way back.

They are in the dataset itself. One more table lists them and is made last: so a set that has its
list is whole. BigQuery deletes list and snapshots at the same time.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import pyarrow as pa
from google.cloud import bigquery
from google.cloud.bigquery import SchemaField

from tcdatalogger.clock import utc
from tcdatalogger.errors import Busy, DataRefused, UsageError, WarehouseUnavailable
from tcdatalogger.services.google import copying, turns
from tcdatalogger.services.google.client import Client
from tcdatalogger.services.google.tables import SNAPSHOT, Layout, Tables
from tcdatalogger.services.google.turns import Turn
from tcdatalogger.services.google.warehouse import BigQueryWarehouse
from tcdatalogger.services.warehouse.copying import Copying, unfinished
from tcdatalogger.services.warehouse.ledger_tables import COPY, LEDGER

TRIES: Final = 3
"""How often snapshots are made of a dataset that is changed meanwhile."""

_NAME: Final = "%Y%m%dT%H%M%SZ"
_LIST: Final = re.compile(rf"{SNAPSHOT}(\d{{8}}T\d{{6}}Z)")
_SCHEMA: Final = (
    SchemaField("table_name", "STRING"),
    SchemaField("snapshot", "STRING"),
    SchemaField("row_count", "INT64"),
)
_LABELS: Final = {"run": "snapshots"}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A table as it was.

    Attributes:
        place: the name of the snapshot in the dataset.
        rows: how many it has.
    """

    place: str
    rows: int


@dataclass(frozen=True, slots=True)
class Snapshots:
    """All tables of a dataset, of one state.

    Attributes:
        name: by which people call them: when they were made, as `20261123T081500Z`.
        expires_at: when BigQuery deletes them, seconds since 1970.
        tables: by the name of the table.
    """

    name: str
    expires_at: float
    tables: Mapping[str, Snapshot]

    @property
    def made_at(self) -> float:
        """When they were made, seconds since 1970."""
        return datetime.strptime(self.name, _NAME).replace(tzinfo=UTC).timestamp()


def take(client: Client, now: float, expires: float) -> Snapshots:
    """Make a snapshot of every table of the warehouse, with the ledger and the turns.

    They are of one state: the turns are read before the first and after the last of them, and where
    somebody has committed meanwhile all are made again.

    Args:
        client: of the dataset.
        now: seconds since 1970, by BigQuery's clock.
        expires: when BigQuery deletes them, by the same clock.

    Raises:
        WarehouseUnavailable: nothing is stored yet, or BigQuery cannot be asked.
        Busy: others commit all the time, or the dataset is the target of a copy that is not
            finished.
    """
    warehouse = BigQueryWarehouse(client)
    if warehouse.copying() is not None:
        raise unfinished()
    if not warehouse.exists():
        raise WarehouseUnavailable(
            f"Nothing has been stored in {client.address} yet.",
            remedy="`tcdatalogger run --all` stores some.",
        )
    name = f"{utc(now):{_NAME}}"
    for _ in range(TRIES):
        before = turns.current(client)
        by = uuid.uuid4().hex[:8]
        try:
            found = {
                table: _taken(client, table, f"{SNAPSHOT}{name}_{by}_{table}", expires)
                for table in _tables(client, warehouse, before)
            }
        except DataRefused:  # a commit may have dropped the table
            if turns.current(client) == before:
                raise
            continue
        if turns.current(client) == before:
            _write_list(client, name, found, expires)
            return Snapshots(name, expires, found)
    raise Busy(
        f"{client.address} was changed each of the {TRIES} times that snapshots were made.",
        remedy="Try again when fewer runs are due. Those that were made expire.",
    )


def _tables(client: Client, warehouse: BigQueryWarehouse, turn: Turn) -> list[str]:
    """The tables of the warehouse by their names in the dataset."""
    there = Tables(client, Layout()).names()
    kept = [table.place for table in turn.kept.values()]
    wanted = (*warehouse.ledger.tables(), *kept, *LEDGER, turns.TABLE)
    return [table for table in wanted if table in there]


def _taken(client: Client, table: str, place: str, expires: float) -> Snapshot:
    client.snapshot(
        table, place, name=client.job_name("snapshot", place), labels=_LABELS, expires=expires
    )
    made = client.table(place)
    return Snapshot(place, 0 if made is None else made.num_rows or 0)


def _write_list(client: Client, name: str, found: Mapping[str, Snapshot], expires: float) -> None:
    rows = pa.table(
        {
            "table_name": list(found),
            "snapshot": [each.place for each in found.values()],
            "row_count": pa.array([each.rows for each in found.values()], pa.int64()),
        }
    )
    table = f"{SNAPSHOT}{name}"
    by = found[turns.TABLE].place
    client.load(
        table,
        rows,
        _SCHEMA,
        name=client.job_name("load", table, by),
        labels=_LABELS,
        expires=expires,
    )


def kept(client: Client) -> list[Snapshots]:
    """The snapshots of a dataset that are whole, the newest first."""
    found = []
    for item in client.tables():
        name = _LIST.fullmatch(str(item.table_id))
        table = None if name is None else client.table(name[0])
        if name is not None and table is not None and table.num_rows:
            found.append(_read(client, name[1], table))
    return sorted(found, key=lambda each: each.name, reverse=True)


def _read(client: Client, name: str, table: bigquery.Table) -> Snapshots:
    rows = client.read(table, [field.name for field in _SCHEMA]).to_pylist()
    tables = {row["table_name"]: Snapshot(row["snapshot"], row["row_count"]) for row in rows}
    return Snapshots(name, table.expires.timestamp() if table.expires else 0.0, tables)


def restore(source: Client, wanted: Snapshots, target: Client) -> None:
    """Make the tables of snapshots in another dataset; none that is there is written over.

    Until the end of it no run stores there. Where it ends before its end, it goes on when it is
    called again.

    Args:
        source: of the dataset with the snapshots.
        wanted: the snapshots.
        target: of a dataset that has none of the tables; it lies in the same place.

    Raises:
        UsageError: the target has tables already.
        DataRefused: a table has not all rows of its snapshot.
        WarehouseUnavailable: BigQuery cannot be asked now.
    """
    marker = Copying(f"the snapshots of {source.address}", wanted.name)
    tables = Tables(target, Layout())
    begun = copying.begun(target)
    if begun is None:
        taken = sorted(tables.names() & set(wanted.tables))
        if taken:
            raise UsageError(
                f"The target has tables already, as {taken[0]}.",
                remedy="Name a dataset that is empty.",
            )
        copying.begin(target, tables, marker)
    elif (begun.source, begun.state) != (marker.source, marker.state):
        raise UsageError(
            f"The target holds a copy of {begun.source} that is not finished.",
            remedy="Name another dataset.",
        )
    # The turns are the last: where they are, the dataset is a warehouse.
    for table in sorted(set(wanted.tables) - tables.names(), key=lambda each: each == turns.TABLE):
        snapshot = source.reference(wanted.tables[table].place)
        target.restore(
            snapshot,
            table,
            name=target.job_name("restore", table, snapshot.table_id),
            labels=_LABELS,
        )
        _must_have(target, table, wanted.tables[table].rows)
    target.delete(COPY.name)


def _must_have(target: Client, table: str, rows: int) -> None:
    made = target.table(table)
    found = 0 if made is None else made.num_rows
    if found != rows:
        raise DataRefused(
            f"The table {table} was restored with {found} rows, and its snapshot has {rows}.",
            remedy="Nothing stores in this dataset. Restore into another one that is empty.",
        )
