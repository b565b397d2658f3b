"""Rows that are too many for memory: they stand in a scratch and are read batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from tcdatalogger.errors import Failure
from tcdatalogger.scratch import Piece, Scratch


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows that follow each other.

    Attributes:
        kept: the rows as an Arrow stream of one batch.
        rows: how many they are.
        nulls: how many nulls each column has, by its place.
    """

    kept: Piece
    rows: int
    nulls: tuple[int, ...]

    @classmethod
    def of(cls, batch: pa.RecordBatch, scratch: Scratch) -> Part:
        """Put rows into a scratch."""
        kept = scratch.put(memoryview(_written(batch)))
        return cls(kept, batch.num_rows, tuple(column.null_count for column in batch.columns))

    def read(self, names: Sequence[str] | None = None) -> pa.RecordBatch:
        """The rows, or some of their columns."""
        [batch] = pa.ipc.open_stream(pa.py_buffer(self.kept.read()))
        return batch if names is None else batch.select(list(names))


@dataclass(frozen=True)
class KeptRows:
    """The rows of a table in a scratch; it has those functions of `pa.Table` that a load needs.

    A function that gives columns or a table reads them into memory.

    Attributes:
        schema: of the table.
        parts: the rows in their order.
        scratch: where they stand.
    """

    schema: pa.Schema
    parts: tuple[Part, ...]
    scratch: Scratch

    @cached_property
    def num_rows(self) -> int:
        """How many rows there are."""
        return sum(part.rows for part in self.parts)

    @property
    def column_names(self) -> list[str]:
        """The names of the columns."""
        return list(self.schema.names)

    @property
    def num_columns(self) -> int:
        """How many columns there are."""
        return len(self.schema)

    def to_batches(self) -> Iterator[pa.RecordBatch]:
        """The rows, each part when it is taken."""
        return (part.read() for part in self.parts)

    def column(self, name: str) -> pa.ChunkedArray:
        """The values of a column."""
        return self.select([name]).column(0)

    __getitem__ = column

    def select(self, names: Sequence[str]) -> pa.Table:
        """Some columns."""
        schema = pa.schema([self.schema.field(name) for name in names])
        return pa.Table.from_batches([detached(part.read(names)) for part in self.parts], schema)

    def read_all(self) -> pa.Table:
        """All of it."""
        return self.select(self.column_names)

    def slice(self, start: int, length: int) -> pa.Table:
        """Some rows that follow each other."""
        found, before = [], 0
        for part in self.parts:
            first, last = max(start - before, 0), min(start + length - before, part.rows)
            if first < last:
                found.append(part.read().slice(first, last - first))
            before += part.rows
        return pa.Table.from_batches(found, self.schema)

    def take(self, rows: pa.Array) -> pa.Table:
        """Rows by their numbers, in the order of the numbers."""
        found, places, before = [], [], 0
        for part in self.parts:
            inside = pc.and_(pc.greater_equal(rows, before), pc.less(rows, before + part.rows))
            at = pc.indices_nonzero(inside)
            if len(at):
                found.append(part.read().take(pc.subtract(rows.take(at), before)))
                places.append(at)
            before += part.rows
        if not found:
            return self.schema.empty_table()
        back = pc.sort_indices(pa.concat_arrays(places))
        return pa.Table.from_batches(found, self.schema).take(back)

    def filter(self, mask: pa.ChunkedArray) -> KeptRows:
        """The rows for which a mask is true, beside these."""
        found, before = [], 0
        for part in self.parts:
            some = pa.chunked_array(mask.slice(before, part.rows)).combine_chunks()
            before += part.rows
            if pc.all(some).as_py() is not False:
                found.append(part)
            elif pc.any(some).as_py():
                found.append(Part.of(part.read().filter(some), self.scratch))
        return KeptRows(self.schema, tuple(found), self.scratch)


Rows: TypeAlias = pa.Table | KeptRows
"""The rows of a table, in memory or in a scratch."""


class RowMaker:
    """Makes the rows of a table from pieces that come one after the other.

    Args:
        schema: of the table.
        scratch: where the rows stand; None for memory.
    """

    def __init__(self, schema: pa.Schema, scratch: Scratch | None = None) -> None:
        self._schema = schema
        self._scratch = scratch
        self._tables: list[pa.Table] = []
        self._parts: list[Part] = []

    def add(self, rows: pa.Table) -> None:
        """Add rows behind the others."""
        if self._scratch is None:
            self._tables.append(rows)
            return
        for batch in rows.combine_chunks().to_batches():
            self._parts.append(Part.of(batch, self._scratch))

    def rows(self) -> Rows:
        """All rows that came."""
        if self._scratch is None:
            return pa.concat_tables([self._schema.empty_table(), *self._tables])
        return KeptRows(self._schema, tuple(self._parts), self._scratch)


def nulls(rows: Rows, name: str) -> int:
    """How many nulls a column has."""
    if isinstance(rows, KeptRows):
        at = rows.schema.get_field_index(name)
        return sum(part.nulls[at] for part in rows.parts)
    return int(rows.column(name).null_count)


def in_memory(rows: Rows) -> pa.Table:
    """Rows as a table of Arrow."""
    return rows.read_all() if isinstance(rows, KeptRows) else rows


class RowStream:
    """Rows as a stream for an engine; it holds none that were taken, however long it lives.

    Attributes:
        reader: the stream.
        failure: why it broke off, None where it did not: an engine does not pass errors on.
    """

    def __init__(self, rows: Rows) -> None:
        self.failure: Failure | None = None
        self.reader = pa.RecordBatchReader.from_batches(rows.schema, self._batches(rows))

    def _batches(self, rows: Rows) -> Iterator[pa.RecordBatch]:
        try:
            yield from rows.to_batches()
        except Failure as failure:
            self.failure = failure
            raise


def all_in_memory(tables: Mapping[str, Rows]) -> dict[str, pa.Table]:
    """The rows of each table as a table of Arrow."""
    return {name: in_memory(rows) for name, rows in tables.items()}


def detached(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A copy of columns: as long as they live, so do all columns that were read with them."""
    [copied] = pa.ipc.open_stream(_written(batch))
    return copied


def _written(batch: pa.RecordBatch) -> pa.Buffer:
    """Rows as an Arrow stream of one batch."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue()
