"""The versions of the tables, and why each came to be."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Final

from tcdatalogger.core.config.paths import without_password
from tcdatalogger.core.config.settings import Settings
from tcdatalogger.core.main import Application
from tcdatalogger.errors import UsageError, WarehouseUnavailable
from tcdatalogger.services.warehouse.ledger_tables import SCHEMAS
from tcdatalogger.services.warehouse.protocol import Warehouse
from tcdatalogger.text import did_you_mean


@dataclass(frozen=True, slots=True)
class TableVersion:
    """One version of a table, as the ledger has it.

    Attributes:
        endpoint: whose load made it, or for which it was asked.
        table_name: its name.
        version: 1 for the first.
        columns: of the table: `name`, `type`, `nullable`, and what else the ledger keeps of each.
        key: the columns that identify a row.
        diff: the changes against the version before, in words.
        cause: why it came to be, as `first load`, `drift`, `catalogue change`, `processor`.
        run_id: the run that made it; "" where a person asked for it.
        catalog_version: of the catalogue that it was made from.
        created_at: in UTC.
    """

    endpoint: str
    table_name: str
    version: int
    columns: tuple[Mapping[str, Any], ...]
    key: tuple[str, ...]
    diff: tuple[str, ...]
    cause: str
    run_id: str
    catalog_version: str
    created_at: datetime


_COLUMNS: Final = tuple(field.name for field in fields(TableVersion))


@dataclass(frozen=True, slots=True)
class ColumnChange:
    """A column that two versions of a table do not have in common.

    Attributes:
        change: `+` for a new column, `-` for one that is gone, `~` for one of another type.
        column: its name.
        before, after: its types; "" where it is not there.
    """

    change: str
    column: str
    before: str
    after: str


def versions(application: Application, name: str | None = None) -> tuple[TableVersion, ...]:
    """The versions of a table, of the tables of an endpoint or of all, the oldest first.

    Args:
        application: with the settings.
        name: of a table or an endpoint; None for all.

    Raises:
        UsageError: there is no such table or endpoint.
        WarehouseUnavailable: the warehouse cannot be reached now, or nothing is stored in it.
    """
    with application.warehouse(read_only=True) as warehouse:
        every = versions_in(warehouse)
        if not every:
            raise nothing_stored(application.settings, warehouse)
    found = tuple(one for one in every if name in {None, one.table_name, one.endpoint})
    if name is not None and not found:
        known = sorted({one.table_name for one in every} | {one.endpoint for one in every})
        raise UsageError(
            f"No table or endpoint {name!r} was ever stored.",
            remedy=did_you_mean(name, known, "`tcdatalogger schema history` lists all."),
        )
    return found


def versions_in(warehouse: Warehouse) -> tuple[TableVersion, ...]:
    """The versions of all tables of a warehouse, the oldest first.

    Raises:
        WarehouseUnavailable: the warehouse cannot be reached now.
    """
    rows = warehouse.rows(SCHEMAS.name, _COLUMNS).to_pylist()
    rows.sort(key=lambda row: (row["created_at"], row["table_name"], row["version"]))
    return tuple(_version(row) for row in rows)


def version_of(
    found: Sequence[TableVersion], table: str, number: int | None = None
) -> TableVersion:
    """One version of a table.

    Args:
        found: versions of this table or of its endpoint, the oldest first.
        table: its name.
        number: of the version; None for the newest.

    Raises:
        UsageError: the name is that of an endpoint, or there is no such version.
    """
    of_table = [one for one in found if one.table_name == table]
    if not of_table:
        tables = sorted({one.table_name for one in found})
        raise UsageError(
            f"{table!r} is an endpoint; name one of its tables.", remedy=", ".join(tables)
        )
    newest = of_table[-1]
    if number is None:
        return newest
    for one in of_table:
        if one.version == number:
            return one
    raise UsageError(
        f"{table} has no version {number}.",
        remedy="It has version 1 alone: it was never changed."
        if newest.version == 1
        else f"It has 1 to {newest.version}: `tcdatalogger schema history {table}` tells of each.",
    )


def changes(before: TableVersion, after: TableVersion) -> tuple[ColumnChange, ...]:
    """What changed from one version of a table to another: new columns, gone ones, other types."""
    old = {column["name"]: column["type"] for column in before.columns}
    new = {column["name"]: column["type"] for column in after.columns}
    return (
        *(ColumnChange("+", name, "", kind) for name, kind in new.items() if name not in old),
        *(ColumnChange("-", name, kind, "") for name, kind in old.items() if name not in new),
        *(
            ColumnChange("~", name, old[name], kind)
            for name, kind in new.items()
            if name in old and old[name] != kind
        ),
    )


def nothing_stored(settings: Settings, warehouse: Warehouse) -> WarehouseUnavailable:
    """The error of whoever asks a ledger that has no line.

    Raises:
        ConfigError: what the warehouse lies in is not there.
    """
    warehouse.must_have_place()
    where = settings.warehouse.file or without_password(settings.warehouse.url)
    return WarehouseUnavailable(
        f"There is no warehouse {where} yet."
        if settings.warehouse.file
        else f"Nothing has been stored in {where} yet.",
        remedy="`tcdatalogger run --all` stores some.",
    )


def _version(row: Mapping[str, Any]) -> TableVersion:
    return TableVersion(
        endpoint=row["endpoint"],
        table_name=row["table_name"],
        version=row["version"],
        columns=tuple(json.loads(row["columns"])),
        key=tuple(json.loads(row["key"])),
        diff=tuple(json.loads(row["diff"])),
        cause=row["cause"],
        run_id=row["run_id"],
        catalog_version=row["catalog_version"],
        created_at=row["created_at"].astimezone(UTC),
    )
