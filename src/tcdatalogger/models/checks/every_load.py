"""Checks of every load: columns that the catalogue promises, and keys that repeat."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from tcdatalogger.models.checks.promised import CheckResult
from tcdatalogger.models.kept import KeptRows, Rows, nulls
from tcdatalogger.models.records import key_columns, own
from tcdatalogger.models.rows.dedupe import runs
from tcdatalogger.models.schema import TableFamily, TableSchema


def missing(family: TableFamily, tables: Mapping[str, Rows]) -> Iterator[tuple[str, CheckResult]]:
    """The columns that the catalogue promises and some rows lack: a sentence and a result for each.

    No load fails by this: older bodies lack fields that Torn added later.
    """
    for table in family.tables:
        rows = tables[table.name]
        for column in table.data_columns:
            absent = nulls(rows, column.name)
            if absent and not column.nullable and column.level == len(table.lists):
                place = f"{table.name}.{column.name}"
                yield (
                    f"{place} is missing in {absent} of {rows.num_rows} rows, and promised",
                    CheckResult(
                        table.name, f"{column.name} is there, as promised", absent, "", "warn"
                    ),
                )


def repeated_keys(family: TableFamily, tables: Mapping[str, Rows]) -> dict[str, int]:
    """How many rows repeat the key of an earlier row of the same subject, by table.

    Where the key of a table contains that of the root, two rows of two records have two keys: as
    long as no record repeats, the rows of each part are compared alone.
    """
    found: dict[str, int] = {}
    for table in family.tables:
        rows = tables[table.name]
        by_part = isinstance(rows, KeptRows) and not found and _in_records(family, table)
        count = sum(_repeated(table, part) for part in _pieces(table, rows, by_part=by_part))
        if count:
            found[table.name] = count
    return found


def _in_records(family: TableFamily, table: TableSchema) -> bool:
    """Whether the key of a table contains that of the records, each of which is in one part."""
    records = key_columns(family)
    if not records or not family.listed or table.beside or table is family.tables[0]:
        return False
    return {column.name for column in own(table, records) or ()} <= set(table.key)


def _pieces(table: TableSchema, rows: Rows, *, by_part: bool) -> Iterator[pa.Table]:
    names = list(dict.fromkeys((*table.key, "_subject_id")))
    if by_part and isinstance(rows, KeptRows):
        for part in rows.parts:
            yield pa.Table.from_batches([part.read(names)])
    elif table.key:
        yield rows.select(names)


def _repeated(table: TableSchema, keys: pa.Table) -> int:
    if not table.key or keys.num_rows < 2:  # noqa: PLR2004 - one row repeats nothing
        return 0
    _, goes_on = runs(keys)
    return int(pc.sum(goes_on).as_py() or 0)
