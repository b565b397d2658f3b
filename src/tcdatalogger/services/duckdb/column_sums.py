"""What each column of a table is known by, whichever warehouse its rows come from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Final

import duckdb
import pyarrow as pa

from tcdatalogger.models.schema import Type
from tcdatalogger.services.duckdb.engine import quoted
from tcdatalogger.services.warehouse.copying import CopiedTable

_ROWS: Final = "_rows"
_WRAP: Final = 1 << 64

VERSION: Final = duckdb.__version__
"""Two versions of DuckDB may give one value different checksums."""


@dataclass(frozen=True, slots=True)
class ColumnSum:
    """What a column is known by, whatever the order of its rows.

    Attributes:
        values: how many are not null.
        checksum: of them.
    """

    values: int = 0
    checksum: int = 0


class ColumnSums:
    """Counts rows and values as they go by, and adds up a checksum of each column.

    JSON counts by its value: white space, the order of names and the way to write a number do not.

    Args:
        table: whose rows they are.

    Attributes:
        table: as given.
        rows: how many there were.
        columns: what each column is known by.
    """

    def __init__(self, table: CopiedTable) -> None:
        self.table = table
        self.rows = 0
        self.columns = dict.fromkeys(table.columns, ColumnSum())
        self._json = [name for name, kind in table.columns.items() if kind is Type.JSON]
        self._connection = _memory().cursor()
        self._sql = ", ".join(
            f"count({name}), coalesce(sum(case when {name} is not null then hash({name}) end), 0)"
            for name in map(quoted, table.columns)
        )

    def through(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The same batches; each is counted when it is taken."""
        for batch in batches:
            self._add(batch)
            yield batch

    def unlike(self, wanted: ColumnSums) -> str:
        """How these differ from others, in words with the first column; "" where they are alike."""
        if self.rows != wanted.rows:
            return f"it has {self.rows:,} rows, and the source {wanted.rows:,}"
        for name, now in self.columns.items():
            was = wanted.columns[name]
            if now.values != was.values:
                return (
                    f"its column {name} has {now.values:,} values, and in the source {was.values:,}"
                )
            if now != was:
                return f"its column {name} has other values"
        return ""

    def _add(self, batch: pa.RecordBatch) -> None:
        for name in self._json:
            at = batch.schema.get_field_index(name)
            texts = [None if text is None else _canonical(text) for text in batch[at].to_pylist()]
            batch = batch.set_column(at, name, pa.array(texts, pa.string()))
        self._connection.register(_ROWS, pa.Table.from_batches([batch]))
        [found] = self._connection.execute(f"select {self._sql} from {_ROWS}").fetchall()
        self._connection.unregister(_ROWS)
        self.rows += batch.num_rows
        for number, (name, before) in enumerate(self.columns.items()):
            values, checksum = found[2 * number : 2 * number + 2]
            self.columns[name] = ColumnSum(
                before.values + int(values), (before.checksum + int(checksum)) % _WRAP
            )


@cache
def _memory() -> duckdb.DuckDBPyConnection:
    """A database in memory; to make one takes longer than to sum a small table."""
    connection = duckdb.connect()
    connection.execute("set enable_progress_bar = false")  # it would stand among what is printed
    return connection


@lru_cache(maxsize=10_000)
def _canonical(text: str) -> str:
    """The one way to write a JSON value: sorted names, no white space, 1.0 and 1e0 as 1."""
    value = json.loads(text, parse_float=_number)
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _number(text: str) -> Any:
    value = float(text)
    return int(value) if value.is_integer() else value
