"""The tables of a dataset as they are: their columns, how they are made, how they grow."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from google.cloud import bigquery
from google.cloud.bigquery import SchemaField

from tcdatalogger.errors import DataRefused, WarehouseUnavailable
from tcdatalogger.models.records import RUN, SEEN
from tcdatalogger.models.schema import INDEX, Column, TableSchema, Type
from tcdatalogger.services.google.client import Client
from tcdatalogger.services.google.sql import OURS, TYPES, quoted
from tcdatalogger.services.google.turns import ADD, CLUSTER, DROP, RENAME, Step

Unit = Literal["hour", "day", "month", "year"]

_CLUSTERS: Final = 4
"""The most columns by which BigQuery clusters a table."""
NO_CLUSTER: Final = frozenset({Type.FLOAT, Type.JSON})
"""The types by which it clusters none."""
_TRIES: Final = 5
"""How often a table is changed that others change at the same time."""
EVER: Final = f"({SEEN} is null or {SEEN} >= timestamp '0001-01-01 00:00:00+00')"
"""Holds for every row; a table may be asked only with a test of the time in it."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How new tables lie.

    Attributes:
        unit: of a partition by `server_timestamp`.
        require_filter: whether a query has to say of which time it wants rows.
    """

    unit: Unit = "month"
    require_filter: bool = False


class Tables:
    """The tables of a dataset, remembered until they are changed here.

    Args:
        client: of the dataset.
        layout: of new tables.
    """

    def __init__(self, client: Client, layout: Layout) -> None:
        self._client, self._layout = client, layout
        self._listed: frozenset[str] | None = None
        self._known: dict[str, bigquery.Table | None] = {}

    def names(self) -> frozenset[str]:
        """The names of all tables."""
        if self._listed is None:
            self._listed = frozenset(str(item.table_id) for item in self._client.tables())
        return self._listed

    def has(self, name: str) -> bool:
        """Whether a table is there."""
        if name in self._known:
            return self._known[name] is not None
        return name in self.names()

    def get(self, name: str) -> bigquery.Table | None:
        """A table, None where it is not there."""
        if name not in self._known:  # the list does not have what a statement has made since
            self._known[name] = self._client.table(name)
        return self._known[name]

    def columns(self, name: str) -> dict[str, Type | None] | None:
        """The columns of a table and their types, None for a stranger's type or no table."""
        table = self.get(name)
        if table is None:
            return None
        return {
            str(f.name): OURS.get(f.field_type) if f.mode != "REPEATED" else None
            for f in table.schema
        }

    def relation(self, name: str) -> str:
        """A table to read all rows from."""
        table = self.get(name)
        if table is not None and table.require_partition_filter:
            return f"(select * from {quoted(name)} where {EVER})"
        return quoted(name)

    def where(self, name: str, test: str) -> str:
        """The test of a statement that changes rows."""
        table = self.get(name)
        if table is not None and table.require_partition_filter:
            return f"{EVER} and {test}"
        return test

    # --- to make and to change -------------------------------------------------------------------

    def create(self, table: TableSchema) -> None:
        """Make a table of the warehouse; an empty one is of a load that was not stored.

        If it is as it should be it stays: another machine may be about to fill it.

        Raises:
            DataRefused: somebody else's table has the name, and rows.
        """
        there = self.get(table.name)
        if there is not None:
            self._must_be_empty(table.name, f"select 1 from {self.relation(table.name)}", "")
            if self.columns(table.name) == {column.name: column.type for column in table.columns}:
                return
            self._client.delete(table.name)
        made = bigquery.Table(
            self._client.reference(table.name), schema=[_field(column) for column in table.columns]
        )
        made.description = _about(table)
        kinds = {column.name: column.type for column in table.columns}
        if kinds.get(SEEN) is Type.TIME:
            made.time_partitioning = bigquery.TimePartitioning(
                type_=self._layout.unit.upper(), field=SEEN
            )
            made.require_partition_filter = self._layout.require_filter
        clusters = [n for n in table.key if n in kinds and kinds[n] not in NO_CLUSTER]
        if clusters:
            made.clustering_fields = clusters[:_CLUSTERS]
        self._make(made)

    def like(self, name: str, columns: Mapping[str, Type], *, cluster: Sequence[str] = ()) -> None:
        """Make a table that people do not see, with these columns."""
        made = bigquery.Table(
            self._client.reference(name),
            schema=[SchemaField(column, TYPES[kind]) for column, kind in columns.items()],
        )
        if cluster:
            made.clustering_fields = list(cluster)[:_CLUSTERS]
        self._make(made)

    def make(self, name: str, schema: Sequence[SchemaField], cluster: Sequence[str] = ()) -> None:
        """Make a table of the ledger."""
        made = bigquery.Table(self._client.reference(name), schema=list(schema))
        if cluster:
            made.clustering_fields = list(cluster)
        self._make(made)

    def _make(self, made: bigquery.Table) -> None:
        self._known[str(made.table_id)] = self._client.create(made)

    def add(self, name: str, columns: Sequence[Column] | Mapping[str, Type]) -> None:
        """Add columns that the ledger does not know to a table.

        One of the same name and type may be there: a load has left it that was not stored.

        Raises:
            DataRefused: somebody else's column has the name, and values.
        """
        fields = (
            [SchemaField(column, TYPES[kind]) for column, kind in columns.items()]
            if isinstance(columns, Mapping)
            else [_field(column, added=True) for column in columns]
        )
        there = self.columns(name) or {}
        for field in fields:
            if there.get(field.name) is not OURS[field.field_type]:
                self.vacate(name, field.name)
            elif field.name in there:
                self._must_be_null(name, field.name)
        for _ in range(_TRIES):
            table = self.get(name)
            if table is None:
                raise DataRefused(f"The table {name} is not there any more.")
            have = {str(field.name) for field in table.schema}
            missing = [field for field in fields if field.name not in have]
            if not missing:
                return
            table.schema = [*table.schema, *missing]
            try:
                self._known[name] = self._client.patch(table, ["schema"])
            except WarehouseUnavailable as error:
                if error.facts.get("reason") != "conditionNotMet":
                    raise
                self.forget(name)
        raise WarehouseUnavailable(
            f"The table {name} is changed by others all the time.",
            remedy="Nothing was stored; the next run tries again.",
        )

    def vacate(self, name: str, column: str) -> None:
        """Make the name of a column free, which the ledger does not know.

        Raises:
            DataRefused: somebody else's column has it, and values.
        """
        if column in (self.columns(name) or {}):
            self._must_be_null(name, column)
            self._drop(name, column)

    def cluster(self, name: str, columns: Sequence[str]) -> None:
        """Cluster a table by other columns: BigQuery changes none by which it is clustered."""
        table = self.get(name)
        if table is not None and list(table.clustering_fields or []) != list(columns):
            table.clustering_fields = list(columns) or None
            self._known[name] = self._client.patch(table, ["clustering_fields"])

    def take(self, step: Step) -> None:
        """Take a step that comes after a commit, unless it is taken already."""
        columns = self.columns(step.table) or {}
        own, table = quoted(step.column), quoted(step.table)
        if step.what == CLUSTER:
            self.cluster(step.table, [name for name in step.to.split(",") if name])
        elif step.what == ADD and columns and step.column not in columns:
            self._client.run(f"alter table {table} add column {own} {step.to}")
        elif step.what == RENAME and step.column in columns:
            self._client.run(f"alter table {table} rename column {own} to {quoted(step.to)}")
        elif step.what == DROP and step.column in columns:
            self._drop(step.table, step.column)
        self.forget(step.table)

    def _drop(self, name: str, column: str) -> None:
        self._client.run(f"alter table {quoted(name)} drop column if exists {quoted(column)}")
        self.forget(name)

    def _must_be_null(self, name: str, column: str) -> None:
        test = f"select 1 from {self.relation(name)} where {quoted(column)} is not null"
        self._must_be_empty(name, test, column)

    def _must_be_empty(self, name: str, sql: str, column: str) -> None:
        found = self._client.ask(f"select count(*) as n from ({sql} limit 1)").to_pylist()
        if found[0]["n"]:
            what = f"column {name}.{column}" if column else f"table {name}"
            raise DataRefused(
                f"The {what} is there already, and is not of this program.",
                remedy="Nothing was changed. Give it another name, or the endpoint another "
                "`table`.",
            )

    def forget(self, name: str) -> None:
        """Look at a table anew when it is asked for."""
        self._known.pop(name, None)
        if self._listed is not None:
            self._listed |= {name}


def _field(column: Column, *, added: bool = False) -> SchemaField:
    """A column as BigQuery takes it. A column that is added later cannot be required."""
    required = column.name in (RUN, SEEN) and column.ours and not added
    return SchemaField(
        column.name,
        TYPES[column.type],
        mode="REQUIRED" if required else "NULLABLE",
        description=_description(column),
    )


def _description(column: Column) -> str:
    """What the catalogue says of a column."""
    if column.ours and column.path == (INDEX,):
        return "The place in the list of Torn's answer, counted from 0."
    known = _SYSTEM.get(column.name)
    if known is not None:
        return known
    if column.is_parameter:
        return f"The parameter {column.path[1]} with which Torn was asked."
    if column.ours:
        return "Of this program or of a processor."
    facts = [f"{'.'.join(column.path)} of Torn's answer." if column.path else "The value itself."]
    if column.learned:
        facts.append("The catalogue does not know it.")
    if column.deprecated:
        facts.append("Torn no longer wants it to be used.")
    if column.ends:
        facts.append(f"Torn ends it: {column.ends}.")
    return " ".join(facts)


_SYSTEM: Final[Mapping[str, str]] = {
    "server_timestamp": "When Torn answered.",
    "_subject_id": "Whom the row is about.",
    "_run_id": "The run that stored the row.",
    "valid_from": "When this version was first seen.",
    "valid_to": "When it was seen no more; null for the current version.",
    "_closed_by": "The run that ended this version.",
}


def _about(table: TableSchema) -> str:
    lists = [".".join(path) for path in table.lists]
    return f"The list {'[].'.join(lists)} of Torn's answer." if lists else "Torn's answer."


PLACE: Final = re.compile(r"_tcd_(?:former|before|merged|work)_.*_(\d+)_[0-9a-f]{8}")
"""The name in the dataset of a table that people do not see: since when, and a part by chance."""
SNAPSHOT: Final = "_tcd_snapshot_"
"""Prefix of snapshots and of the tables that list them: no table of the warehouse."""
