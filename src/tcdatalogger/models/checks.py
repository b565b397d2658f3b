"""Checks of rows before they are stored: what is promised and missing, and keys that repeat."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from tcdatalogger.models.schema import TableFamily, TableSchema


def missing(family: TableFamily, tables: Mapping[str, pa.Table]) -> Iterator[str]:
    """A sentence for each column that the catalogue promises and some rows lack.

    An observation: older bodies lack what was promised later, and no load fails on it.
    """
    for table in family.tables:
        rows = tables[table.name]
        for column in table.data_columns:
            absent = rows.column(column.name).null_count
            if absent and not column.nullable and column.level == len(table.lists):
                place = f"{table.name}.{column.name}"
                yield f"{place} is promised, and {absent} of {rows.num_rows} rows lack it"


def repeated_keys(family: TableFamily, tables: Mapping[str, pa.Table]) -> dict[str, int]:
    """How many rows of each table have a key that another row of the same subject has too."""
    found = {}
    for table in family.tables:
        count = _repeated(table, tables[table.name])
        if count:
            found[table.name] = count
    return found


def _repeated(table: TableSchema, rows: pa.Table) -> int:
    if not table.key or rows.num_rows < 2:  # noqa: PLR2004 - one row repeats nothing
        return 0
    names = list(dict.fromkeys((*table.key, "_subject_id")))
    keys = rows.select(names)
    for name in table.key:
        if name != "_subject_id" and keys.column(name).null_count:
            keys = keys.filter(pc.is_valid(keys.column(name)))
    distinct = keys.group_by(names, use_threads=False).aggregate([]).num_rows
    return int(keys.num_rows - distinct)
