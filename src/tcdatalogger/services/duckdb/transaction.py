"""The hands of DuckDB: what the shared rules of storing do with tables and ledger of a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tcdatalogger.models.evolution import Change, Step, StoredTypes
from tcdatalogger.models.records import RUN, SUBJECT, VERSION, Group
from tcdatalogger.models.schema import TableSchema, Type
from tcdatalogger.services.duckdb import (
    changes,
    history,
    merge,
    new_records,
    people,
    retype,
    tables,
)
from tcdatalogger.services.duckdb.conservation import ENGINE
from tcdatalogger.services.duckdb.engine import quoted
from tcdatalogger.services.duckdb.ledger_tables import DuckDBLedgerTables
from tcdatalogger.services.duckdb.session import Session
from tcdatalogger.services.warehouse.ledger import Ledger
from tcdatalogger.services.warehouse.load import Load
from tcdatalogger.services.warehouse.schema_changes import FORMER
from tcdatalogger.services.warehouse.transaction import Moved

_SINCE: Final = VERSION[0]
_FEW: Final = 10


class DuckDBTransaction:
    """The tables and the ledger of a file (`Transaction`). Every act is done at once.

    Args:
        session: within a transaction, or to ask alone.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._ledger = Ledger(DuckDBLedgerTables(session))

    @property
    def engine(self) -> str:
        """DuckDB and its version."""
        return ENGINE

    @property
    def ledger(self) -> Ledger:
        """The ledger of the file."""
        return self._ledger

    # --- to ask ----------------------------------------------------------------------------------

    def stored(self, names: Sequence[str]) -> StoredTypes:
        """The columns of those tables that are there, and their types."""
        return self._session.stored(names)

    def there(self, names: Sequence[str]) -> list[str]:
        """Those tables that are there."""
        return [name for name in names if self._session.exists(name)]

    def counts(self, names: Sequence[str]) -> dict[str, int]:
        """How many rows tables have."""
        return tables.counts(self._session, names)

    def rows_of(self, names: Sequence[str], runs: Sequence[str]) -> dict[str, int]:
        """How many rows of runs can be read in tables."""
        return tables.of_runs(self._session, names, runs)

    def rows_of_each(self, names: Sequence[str], runs: Sequence[str]) -> dict[str, dict[str, int]]:
        """How many rows of each run can be read in tables: by run, and then by table."""
        return tables.of_each_run(self._session, names, runs)

    def holds(self, table: str, *, versions: bool) -> bool:
        """Whether a table holds rows that are versions of a history, or rows that are none."""
        there = _SINCE in self.stored([table])[table]
        if versions and not there:
            return False
        test = f"{_SINCE} is {'not null' if versions else 'null'}" if there else "true"
        return self._any(f"from {quoted(table)} where {test}")

    def current(self, table: str) -> int:
        """How many rows of a history are current."""
        return history.current(self._session, table)

    def closed_by(self, names: Sequence[str], runs: Sequence[str]) -> dict[str, int]:
        """How many versions runs have ended, by table."""
        return {name: history.closed_by(self._session, name, runs) for name in names}

    def has_value(self, table: str, column: str, without: str) -> bool:
        """Whether a column has a value in a row that is not of a run."""
        name = quoted(column)
        found = self._session.execute(
            f"select 1 from {quoted(table)} "
            f"where {name} is not null and {RUN} is distinct from ? limit 1",
            [without],
        )
        return bool(found.fetchall())

    def subject(self, table: str, runs: Sequence[str]) -> int | None:
        """Whom the rows of the first of these runs are about that a table has rows of."""
        if not {SUBJECT, RUN} <= set(self.stored([table])[table]):
            return None
        if len(runs) <= _FEW:  # by one value DuckDB leaves out the parts of a table without it
            sql = f"select max({SUBJECT}) from {quoted(table)} where {RUN} = ?"
            each = (self._session.execute(sql, [run]).fetchall()[0][0] for run in runs)
            return next((int(subject) for subject in each if subject is not None), None)
        rows = self._session.execute(
            f"select {RUN}, max({SUBJECT}) from {quoted(table)} "
            f"where list_contains(?, {RUN}) and {SUBJECT} is not null group by {RUN}",
            [list(runs)],
        ).fetchall()
        found = {str(run): int(subject) for run, subject in rows}
        return next((found[run] for run in runs if run in found), None)

    def expired(self, table: str, columns: Sequence[str], before: float) -> dict[str, int]:
        """How many rows of a table are of a time before a moment, by run."""
        return tables.expired(self._session, table, columns, before)

    def values(
        self,
        table: str,
        column: str,
        *,
        having: Sequence[str] = (),
        where: tuple[str, object] | None = None,
    ) -> list[object]:
        """The different values of a column that are not null, in no order; JSON as a text."""
        return people.values(self._session, table, column, having=having, where=where)

    def counted(self, table: str, column: str, values: Sequence[object]) -> int:
        """How many rows of a table have one of these values in a column."""
        return people.counted(self._session, table, column, values)

    def rows_with(self, table: str, column: str, values: Sequence[object]) -> dict[str, int]:
        """How many rows have one of these values in a column, by run."""
        return people.rows_with(self._session, table, column, values)

    def why_not(self, table: str, column: str, to: Type) -> str:
        """Why a column cannot get another type, "" where it can."""
        return retype.why_not(self._session, table, column, to)

    def _any(self, what: str) -> bool:
        return bool(self._session.execute(f"select 1 {what} limit 1").fetchall())

    # --- to change tables ------------------------------------------------------------------------

    def create(self, table: TableSchema) -> None:
        """Make a table."""
        self._session.execute(tables.create(table.name, table))

    def change(self, table: str, key: Sequence[str], steps: Sequence[Step]) -> None:
        """Change a table, and keep what is touched."""
        changes.change(self._session, table, key, steps)

    def drop(self, table: str, column: str = "") -> None:
        """Drop a table, or a column of it."""
        column = f"alter table {quoted(table)} drop column {quoted(column)}" if column else ""
        self._session.execute(column or f"drop table {quoted(table)}")

    # --- to store --------------------------------------------------------------------------------

    def append(self, load: Load) -> Moved:
        """Add the rows of a load."""
        for table in load.family.tables:
            tables.insert(self._session, table.name, load.tables[table.name])
        return Moved()

    def append_new(self, load: Load) -> Moved:
        """Add those records of a load that are not stored yet, or have changed since."""
        return new_records.append(self._session, load)

    def replace(
        self, load: Load, steps: Sequence[Step], emptied: Sequence[str], *, keep: bool
    ) -> Moved:
        """All tables beside the old ones first, then each takes the name of the old."""
        swap = tables.swap if keep else tables.swap_in_place
        for table in load.family.tables:
            beside = self._beside(table, [step for step in steps if step.table == table.name])
            tables.insert(self._session, beside, load.tables[table.name])
            swap(self._session, table.name, beside)
        for name in emptied:
            swap(self._session, name, self._empty(name))
        return Moved()

    def _beside(self, table: TableSchema, steps: Sequence[Step]) -> str:
        """An empty table with every column that the rows need; the old one stays until the swap."""
        if any(step.change is Change.TABLE for step in steps):
            self.create(table)
        beside = self._empty(table.name)
        tables.alter(self._session, beside, steps)
        return beside

    def _empty(self, name: str) -> str:
        beside = f"{tables.BESIDE}{name}"
        self._session.execute(f"create table {quoted(beside)} as from {quoted(name)} limit 0")
        return beside

    def merge(self, load: Load, groups: Sequence[Group], *, first: bool) -> Moved:
        """Put each record of a load in the place of the stored one with its key."""
        return merge.merge(self._session, load, groups, first=first)

    def version(self, load: Load, groups: Sequence[Group]) -> Moved:
        """Store the records of a load that changed as new versions."""
        return history.history(self._session, load, groups)

    # --- to take back ----------------------------------------------------------------------------

    def take_out(self, names: Sequence[str], runs: Sequence[str], *, kept: bool = False) -> None:
        """Delete the rows of runs, also from what is kept for the rollback of others."""
        for name in names:
            copies = [f"{FORMER}{name}", *merge.journals_on(self._session, name)] if kept else []
            for table in (*self.there(copies), name):
                tables.take_out(self._session, table, runs)

    def expire(self, table: str, columns: Sequence[str], before: float) -> None:
        """Delete the rows that `expired` counts."""
        tables.expire(self._session, table, columns, before)

    def exchange(self, table: str, column: str, new: Mapping[object, Mapping[str, object]]) -> None:
        """Give columns of rows other values, by the value that one column has now."""
        people.exchange(self._session, table, column, new)

    def delete(self, table: str, column: str, values: Sequence[object]) -> None:
        """Delete the rows that have one of these values in a column."""
        people.delete(self._session, table, column, values)

    def reopen(self, names: Sequence[str], runs: Sequence[str]) -> None:
        """Make the versions current again that runs ended."""
        for name in names:
            history.reopen(self._session, name, runs)

    def kept_by_replace(self, names: Sequence[str]) -> dict[str, int]:
        """The tables of which the former state is kept, and how many rows that has."""
        there = self.there([f"{FORMER}{name}" for name in names])
        return {
            name: tables.count(self._session, f"{FORMER}{name}")
            for name in names
            if f"{FORMER}{name}" in there
        }

    def swap_back(self, names: Sequence[str]) -> None:
        """Give tables their former state again."""
        for name in names:
            tables.swap_back(self._session, name)

    def kept_by_merge(
        self, endpoint: str, keys: Mapping[str, Sequence[str]], without: Sequence[str] = ()
    ) -> dict[str, int] | None:
        """How many of the rows that the newest load of an endpoint replaced can be put back."""
        return merge.restorable(self._session, endpoint, keys, without)

    def put_back(self, endpoint: str, keys: Mapping[str, Sequence[str]]) -> None:
        """Put back what the newest load of an endpoint replaced, and keep it no longer."""
        merge.restore(self._session, endpoint, keys)

    def keep(self, endpoint: str, root: str) -> None:
        """Note that what the newest load of an endpoint replaced is kept."""
        merge.begin_journal(self._session, endpoint, root)

    def forget(
        self, *, endpoint: str = "", replaced: Sequence[str] = (), tables: Sequence[str] = ()
    ) -> None:
        """Forget what is kept for a rollback."""
        if endpoint:
            merge.forget_journal(self._session, endpoint)
        for name in replaced:
            self._session.execute(f"drop table if exists {quoted(f'{FORMER}{name}')}")
        for name in tables:
            merge.forget_kept(self._session, name)
