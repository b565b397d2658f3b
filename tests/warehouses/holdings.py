"""What a warehouse holds, asked in words that every warehouse understands.

Nothing here speaks the language of an engine: tables are read by `Warehouse.rows`, their columns by
`Warehouse.stored`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tcdatalogger.models.schema import Type
from tcdatalogger.services.warehouse.ledger_tables import TABLES
from tcdatalogger.services.warehouse.protocol import Warehouse
from tcdatalogger.services.warehouse.schema_changes import BEFORE, FORMER

MERGED = "_tcd_merged_"
"""Prefix of the tables that hold what a `merge` replaced: `_tcd_merged_ENDPOINT__TABLE`."""

Row = dict[str, Any]
Types = Mapping[str, Type | None]
Holdings = dict[str, tuple[Types, list[Row]]]

_OF_THE_LEDGER = {table.name: {c.name: c.type for c in table.columns} for table in TABLES}


def rows(
    warehouse: Warehouse,
    table: str,
    *columns: str,
    where: Callable[[Row], bool] | None = None,
    current: bool = False,
    order: Sequence[str] = (),
) -> list[Any]:
    """The rows of a table: values of one column, tuples of several, dicts of all columns for none.

    JSON is read into values. A table and a column that are not there are an error.

    Args:
        warehouse: that has the table.
        table: its name.
        columns: their names.
        where: whether a row, with all its columns, is meant.
        current: whether only the versions of a history are meant that have no end.
        order: the columns by which the rows are sorted, before those that are asked for; null is
            the least of all values.
    """
    types = _OF_THE_LEDGER.get(table) or warehouse.stored([table])[table]
    assert {*columns, *order} <= set(types), (table, columns, order, list(types))
    found = _all_rows(warehouse, table, types)
    found = [row for row in found if where is None or where(row)]
    found = [row for row in found if not current or row["valid_to"] is None]
    keys = (*order, *(columns or sorted(types)))
    _sort(found, keys)
    if not columns:
        return found
    picked = [tuple(row[name] for name in columns) for row in found]
    return picked if len(columns) > 1 else [value for (value,) in picked]


def _all_rows(warehouse: Warehouse, table: str, types: Types) -> list[Row]:
    return [
        {name: _read(types[name], value) for name, value in row.items()}
        for row in warehouse.rows(table, list(types)).to_pylist()
    ]


def _sort(found: list[Row], keys: Sequence[str]) -> None:
    found.sort(key=lambda row: [_sorted_by(row[name]) for name in keys])


def _read(kind: Type | None, value: Any) -> Any:
    """A value of a column: one warehouse gives JSON as a text, another one reads it."""
    return json.loads(value) if kind is Type.JSON and isinstance(value, str) else value


def _sorted_by(value: Any) -> tuple[bool, Any]:
    if isinstance(value, dict | list):
        value = json.dumps(value, sort_keys=True)
    return (value is not None, 0 if value is None else value)


def everything(warehouse: Warehouse, more: Iterable[tuple[str, str]] = ()) -> Holdings:
    """All tables of a warehouse: the columns with their types, and the rows.

    The tables are those of the ledger, those that have or had an owner, and what is kept of them
    for a rollback.

    Args:
        warehouse: that is asked.
        more: endpoints and tables that the ledger may not know.
    """
    ledger = warehouse.ledger
    owned = {*more, *((owner.endpoint, owner.table) for owner in ledger.owners())}
    endpoints = {*(endpoint for endpoint, _ in owned), *(line.endpoint for line in ledger.loads())}
    tables = {table for _, table in owned}
    names = {*tables, *(prefix + name for prefix in (FORMER, BEFORE) for name in tables)}
    names |= {f"{MERGED}{endpoint}__{table}" for endpoint in endpoints for table in tables}
    types = {**_OF_THE_LEDGER, **warehouse.stored(sorted(names))}
    found = {name: (dict(own), _all_rows(warehouse, name, own)) for name, own in types.items()}
    for own, held in found.values():
        _sort(held, sorted(own))
    counts = {name: len(found[name][1]) if name in found else 0 for name in tables}
    assert warehouse.counts(sorted(tables)) == counts  # also of a table that is not told
    return found


def picture(warehouse: Warehouse, more: Iterable[tuple[str, str]] = ()) -> Holdings:
    """All values of a warehouse: `everything` but empty tables, and columns that are null in all.

    A load that fails may leave such tables and columns behind where an engine cannot undo a change
    of tables.
    """
    found = {}
    for name, (types, held) in everything(warehouse, more).items():
        kept = [column for column in types if any(row[column] is not None for row in held)]
        if held:
            values = [{column: row[column] for column in kept} for row in held]
            found[name] = ({column: types[column] for column in kept}, values)
    return found
