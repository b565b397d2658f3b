"""The ledger tables in DuckDB; those of an older version get what they lack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import duckdb
import pyarrow as pa

from tcdatalogger.errors import ConfigError
from tcdatalogger.models.rows.normalize import ARROW
from tcdatalogger.services.duckdb.conservation import agree
from tcdatalogger.services.duckdb.engine import quoted
from tcdatalogger.services.duckdb.session import TYPES, Session
from tcdatalogger.services.warehouse.copying import unfinished
from tcdatalogger.services.warehouse.ledger_tables import (
    COPY,
    LEDGER,
    LOADS,
    OWNERS,
    PRESENT,
    SEQ,
    TABLES,
    VERSION,
    LedgerTable,
    Where,
)

_INSTEAD: Final = {
    (SEQ, ""): "rowid + 1",
    ("root_table", LOADS.name): "json_keys(rows)[1]",
}
"""What a column of an older version is made of, for all tables or for one; others are null."""

_MADE_BY: Final = "TCdatalogger ledger "
"""How the comment of the table of loads begins; the version of the ledger follows."""

_SAYS: Final = (
    f"select comment from duckdb_tables() where table_name = '{LOADS.name}' "
    "and database_name = current_database()"
)

_FIRST_OWNERS: Final = """
    select name as table_name, arg_min(root, number) as family, name as plain, '' as path,
        arg_min(endpoint, number) as endpoint, arg_min(committed_at, number) as owned_at,
        row_number() over (order by name) as seq
    from (select unnest(json_keys(rows)) as name, json_keys(rows)[1] as root, endpoint,
            committed_at, rowid as number from _tcd_loads)
    group by name"""
"""Of a warehouse from before there were owners: a table is theirs who stored in it first."""


_ALL_THERE: Final = "select 1 from " + ", ".join(
    f"(select {', '.join(column.name for column in table.columns)} from {table.name} limit 0)"
    for table in TABLES
)
"""Binds where every table has every column."""


class DuckDBLedgerTables:
    """The ledger tables of one file.

    Args:
        session: to it.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._last: dict[str, int] = {}
        self._older: dict[str, str] | None = None

    def complete(self) -> bool:
        """Whether every table is there with every column; ask it before a transaction."""
        try:
            self._session.execute(_ALL_THERE)
        except (duckdb.CatalogException, duckdb.BinderException):
            return False
        finally:
            self._refuse_later()
        return True

    def _refuse_later(self) -> None:
        """Refuse a ledger that a later version has made: this one does not know what it means.

        Raises:
            ConfigError: it is of a later version.
        """
        for (says,) in self._session.execute(_SAYS).fetchall():
            number = str(says or "").removeprefix(_MADE_BY)
            if number.isdecimal() and int(number) > VERSION:
                raise ConfigError(
                    "The warehouse was written by a newer version of TCdatalogger.",
                    remedy="Nothing was changed. Update this one (docs/upgrade.md), or name "
                    "another warehouse in `warehouse.url`.",
                )

    def make(self) -> None:
        """Make the tables that are not there, and give those of an older version what they lack.

        Raises:
            Busy: a copy into this file is not finished.
        """
        if self._session.exists(COPY.name):
            raise unfinished()
        there = self._there()
        for table in TABLES:
            if table.name not in there:
                self.create(table)
                if table is OWNERS and LOADS.name in there:
                    names = ", ".join(column.name for column in OWNERS.columns)
                    self._session.execute(
                        f"insert into {OWNERS.name} ({names}) select {names} from ({_FIRST_OWNERS})"
                    )
                continue
            for column in table.columns:
                if column.name not in there[table.name]:
                    self._session.execute(
                        f"alter table {table.name} add column {column.name} {TYPES[column.type]}"
                    )
                    self._session.execute(
                        f"update {table.name} set {column.name} = {_instead(table, column.name)}"
                    )
        self._session.execute(f"comment on table {LOADS.name} is '{_MADE_BY}{VERSION}'")
        self._older = None

    def create(self, table: LedgerTable) -> None:
        """Make one table."""
        columns = [
            f"{column.name} {TYPES[column.type]}{' not null' if column.required else ''}"
            for column in table.columns
        ]
        key = [f"primary key ({', '.join(table.key)})"] if table.key else []
        self._session.execute(f"create table {quoted(table.name)} ({', '.join([*columns, *key])})")

    def source(self, table: str) -> str | None:
        """What a query reads a table of the ledger from; None where it is not there yet.

        That of an older version gets the columns of today.
        """
        return self._sources().get(table)

    def read(
        self, table: LedgerTable, columns: Sequence[str], where: Where, *, newest: int = 0
    ) -> list[tuple[Any, ...]]:
        """Read lines, the newest first."""
        test, values = _where(where)
        limit = f" limit {newest}" if newest else ""
        sql = f"select {', '.join(columns)} from {{}}{test} order by {SEQ} desc{limit}"
        return self._asked(table, sql, values)

    def distinct(
        self, table: LedgerTable, columns: Sequence[str], where: Where
    ) -> list[tuple[Any, ...]]:
        """Read the different values that some columns have together."""
        test, values = _where(where)
        if len(columns) == 1:  # mostly there is one value; a distinct takes ten times as long
            least = f"select min({columns[0]}), max({columns[0]}), count(*) - count({columns[0]})"
            for first, last, nulls in self._asked(table, f"{least} from {{}}{test}", values):
                if first == last and not (nulls and first is not None):
                    return [(first,)] if nulls or first is not None else []
        return self._asked(table, f"select distinct {', '.join(columns)} from {{}}{test}", values)

    def add(self, table: LedgerTable, lines: Sequence[Mapping[str, object]]) -> None:
        """Write lines, numbered in this order.

        Raises:
            Unbalanced: not all of them are there.
        """
        if not lines:
            return
        if table.name not in self._last:
            newest = f"select coalesce(max({SEQ}), 0) from {table.name}"
            self._last[table.name] = self._session.number(newest)
        last = self._last[table.name]
        self._last[table.name] += len(lines)
        names = [column.name for column in table.columns[:-1]]
        if len(lines) == 1:
            [line] = lines
            marks = ", ".join("?" * len(table.columns))
            self._session.execute(
                f"insert into {table.name} ({', '.join([*names, SEQ])}) values ({marks})",
                [*map(line.get, names), last + 1],
            )
            return
        columns = {
            column.name: pa.array([line.get(column.name) for line in lines], ARROW[column.type])
            for column in table.columns[:-1]
        }
        numbers = pa.array(range(last + 1, last + len(lines) + 1), pa.int64())
        self._session.insert(table.name, pa.table({**columns, SEQ: numbers}))
        found = self._session.number(
            f"select count({SEQ}) from {table.name} where {SEQ} > ?", [last]
        )
        agree(table.name, "its new lines", len(lines), found)

    def change(self, table: LedgerTable, values: Mapping[str, object], where: Where) -> None:
        """Give columns of some lines other values."""
        test, wanted = _where(where)
        new = ", ".join(f"{name} = ?" for name in values)
        self._session.execute(f"update {table.name} set {new}{test}", [*values.values(), *wanted])

    def change_each(
        self, table: LedgerTable, column: str, by: str, values: Mapping[str, str], where: Where
    ) -> None:
        """Give a column of some lines other values, each by the value of another column."""
        test, wanted = _where({**where, by: tuple(values)})
        self._session.execute(
            f"update {table.name} set {column} = list_extract(?, list_position(?, {by})){test}",
            [list(values.values()), list(values), *wanted],
        )

    def remove(self, table: LedgerTable, where: Where) -> None:
        """Delete some lines."""
        test, values = _where(where)
        self._session.execute(f"delete from {table.name}{test}", values)

    def _asked(self, table: LedgerTable, sql: str, values: list[object]) -> list[tuple[Any, ...]]:
        """The lines of a query, also where the table is of an older version or not there yet."""
        if self._older is None:
            try:
                return self._session.execute(sql.format(table.name), values).fetchall()
            except (duckdb.CatalogException, duckdb.BinderException):
                self._older = self._sources()
        source = self._older.get(table.name)
        if source is None:
            return []
        return self._session.execute(sql.format(source), values).fetchall()

    def _sources(self) -> dict[str, str]:
        """What stands for each table that is there, with all columns of today."""
        there = self._there()
        found = {}
        for table in TABLES:
            if table.name in there:
                columns = ", ".join(
                    column.name
                    if column.name in there[table.name]
                    else f"{_instead(table, column.name)} as {column.name}"
                    for column in table.columns
                )
                found[table.name] = f"(select {columns} from {table.name})"
        if LOADS.name in there and OWNERS.name not in there:
            found[OWNERS.name] = f"({_FIRST_OWNERS})"
        return found

    def _there(self) -> Mapping[str, Mapping[str, object]]:
        return self._session.stored(LEDGER)


def _instead(table: LedgerTable, column: str) -> str:
    return _INSTEAD.get((column, table.name)) or _INSTEAD.get((column, "")) or "null"


def _where(where: Where) -> tuple[str, list[object]]:
    """A filter as SQL, and the values in it."""
    tests, values = [], list[object]()
    for column, value in where.items():
        if value is None:
            tests.append(f"{column} is null")
        elif value is PRESENT:
            tests.append(f"{column} is not null")
        elif isinstance(value, tuple):
            tests.append(f"list_contains(?, {column})")
            values.append(list(value))
        else:
            tests.append(f"{column} = ?")
            values.append(value)
    return f" where {' and '.join(tests)}" if tests else "", values
