"""A connection that remembers which tables it has, until a statement changes them.

DuckDB tells of its tables by functions that walk through all of them: with hundreds of tables that
takes longer than to store a small load.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import duckdb
import pyarrow as pa

from tcdatalogger.models.kept import KeptRows, Rows, RowStream
from tcdatalogger.models.schema import Type
from tcdatalogger.services.duckdb.connection import sparing, usual
from tcdatalogger.services.duckdb.engine import quoted

TYPES: Final = {
    Type.INT: "BIGINT",
    Type.FLOAT: "DOUBLE",
    Type.TEXT: "VARCHAR",
    Type.BOOL: "BOOLEAN",
    Type.TIME: "TIMESTAMP WITH TIME ZONE",
    Type.JSON: "JSON",
}
"""The types of columns, as DuckDB calls them."""

_BATCH: Final = "_tcd_batch"
"""The name of the rows that are inserted."""

_OURS: Final = {name: kind for kind, name in TYPES.items()}

_CHANGES: Final = re.compile(
    r"\s*(?:alter\s|create\s+(?:or\s+replace\s+)?+(?!temp\b)|drop\s+table\s+(?:if\s+exists\s+)?+(?!temp\.))",
    re.IGNORECASE,
)
"""A statement that changes which tables or columns there are; temporary ones do not count."""

_NAMES: Final = """select table_name from duckdb_tables() where not temporary
    and schema_name = current_schema() and database_name = current_database()"""
"""The tables that are ours: a user may have others of the same names in a schema of their own."""


class Session:
    """One connection, for as long as nothing else changes its tables.

    Args:
        connection: within a transaction, or to ask alone.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._names: frozenset[str] | None = None
        self._columns: dict[str, dict[str, str]] = {}
        self._columns_spared = 0
        self._used = 0

    def execute(self, sql: str, values: object = None) -> duckdb.DuckDBPyConnection:
        """Do what a statement says.

        Raises:
            duckdb.Error: it cannot be done.
        """
        if values is None:
            done = self._connection.execute(sql)
        else:
            done = self._connection.execute(sql, values)
        if _CHANGES.match(sql):
            self._names, self._columns = None, {}
        return done

    def number(self, sql: str, values: object = None) -> int:
        """The one number that a query gives."""
        [(found,)] = self.execute(sql, values).fetchall()
        return int(found)

    def any(self, sql: str, values: object = None) -> bool:
        """Whether a query gives any row."""
        return bool(self.execute(f"{sql} limit 1", values).fetchall())

    def stream(self, sql: str, rows: int) -> Iterator[pa.RecordBatch]:
        """The rows of a query in batches, each read when it is taken.

        Nothing else may be done with the connection until all are taken.

        Args:
            sql: the query.
            rows: how many a batch has at most.
        """
        yield from self._connection.sql(sql).to_arrow_reader(rows)

    def executemany(self, sql: str, values: Sequence[Sequence[Any]]) -> None:
        """Do the same for several lists of values."""
        self._connection.executemany(sql, values)

    def insert(self, target: str, rows: Rows) -> None:
        """Add rows to a table; those of a scratch batch by batch, with little memory until the end
        of the transaction (`spare_no_more`).

        Args:
            target: the table, as SQL calls it.
            rows: its columns by their names.

        Raises:
            duckdb.Error: it cannot be done.
            DiskFailed: rows that stood beside memory cannot be read.
        """
        if not rows.num_rows:
            return
        if isinstance(rows, KeptRows):
            self._spare(rows.num_columns)
        # Not undone in a `finally`: in a transaction that failed it raises an error that hides the
        # first, and `let_go` undoes it after the rollback.
        given = RowStream(rows)
        self._connection.register(_BATCH, given.reader)
        try:
            self._connection.execute(f"insert into {target} by name from {_BATCH}")
        except duckdb.Error:
            if given.failure is not None:
                raise given.failure from None
            raise
        self._connection.unregister(_BATCH)

    def _spare(self, columns: int) -> None:
        """Insert with one thread, which takes less memory and time of the CPU than two do.

        The limit of memory never falls below what is used: DuckDB would refuse it.
        """
        if not self._columns_spared:
            self._used = self.number(
                "select coalesce(sum(memory_usage_bytes), 0) from duckdb_memory()"
            )
            self._connection.execute("set threads = 1")
        if columns > self._columns_spared:
            self._columns_spared = columns
            self._connection.execute(f"set {sparing(columns, self._used)}")

    def commit(self) -> None:
        """Commit the transaction, with all the memory that it needs.

        Raises:
            duckdb.Error: it cannot be done; nothing was changed.
        """
        if self._columns_spared:
            self._connection.execute(usual())
        self.execute("commit")
        self.spare_no_more()

    def give_up(self) -> None:
        """Undo the transaction, and let go of what an insert that failed has left.

        Raises:
            duckdb.Error: it cannot be done.
        """
        self.execute("rollback")
        self._connection.unregister(_BATCH)
        self.spare_no_more()

    def spare_no_more(self) -> None:
        """Have all the memory and threads again, for more than inserts."""
        if self._columns_spared:
            self._columns_spared = 0
            self._connection.execute(usual())
            self._connection.execute("reset threads")

    def names(self) -> frozenset[str]:
        """The names of all tables."""
        if self._names is None:
            rows = self.execute(_NAMES).fetchall()
            self._names = frozenset(str(name) for (name,) in rows)
        return self._names

    def exists(self, name: str) -> bool:
        """Whether a table is there."""
        return name in self.names()

    def kinds(self, name: str) -> dict[str, str]:
        """The columns of a table and what DuckDB calls their types."""
        if name not in self._columns:
            rows = self.execute(f"select * from {quoted(name)} limit 0").description or []
            self._columns[name] = {str(column[0]): str(column[1]) for column in rows}
        return self._columns[name]

    def stored(self, names: Iterable[str]) -> dict[str, dict[str, Type | None]]:
        """The columns of those tables that are there, and their types; None for a stranger's."""
        return {
            name: {column: _OURS.get(kind) for column, kind in self.kinds(name).items()}
            for name in dict.fromkeys(names)
            if self.exists(name)
        }
