"""The records of a load in SQL: which of them are chosen, and how their rows move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tcdatalogger.models.records import RUN, SEEN, Group
from tcdatalogger.services.google import sql, staging
from tcdatalogger.services.google.acts import Count
from tcdatalogger.services.google.session import Session
from tcdatalogger.services.warehouse.load import Load


class Records:
    """The records of one group of a load, and the temporary tables that are made of them.

    Args:
        session: of the transaction.
        load: with the rows.
        group: which tables.

    Attributes:
        chosen, left: the temporary tables with those that are stored and those that are not; each
            has the key of a record as `k`.
    """

    def __init__(self, session: Session, load: Load, group: Group) -> None:
        self.session, self.load, self.group = session, load, group
        mark = f"{len(session.acts.statements)}_{group.root}"
        self.chosen, self.left = f"_tcd_chosen_{mark}", f"_tcd_left_{mark}"
        self.judged = f"_tcd_judged_{mark}"
        self._given = {t.name: staging.rows(session, load, t.name) for t in group.tables}

    def key(self, table: str, alias: str) -> str:
        """Whose record a row of a table is of."""
        return sql.key(self.group.keys[table], alias)

    def given(self, table: str) -> str:
        """The rows of the load."""
        return self._given[table]

    def stored(self, table: str) -> str:
        """The rows of the table."""
        return self.session.relation(table)

    def of(self, table: str, alias: str, which: str) -> str:
        """The test for rows of records that a temporary table has."""
        return f"{self.key(table, alias)} in (select k from {sql.quoted(which)})"

    def count(self, table: str, which: str, test: str = "true") -> str:
        """How many stored rows of a table are of records that a temporary table has."""
        return (
            f"select count(*) from {self.stored(table)} o "
            f"where {self.of(table, 'o', which)} and {test}"
        )

    def fresh(self, table: str, which: str) -> str:
        """How many rows of the load are of records that a temporary table has."""
        return f"select count(*) from {self.given(table)} t where {self.of(table, 't', which)}"

    def temporary(self, name: str, query: str) -> str:
        """The statement that makes a temporary table."""
        return f"create temp table {sql.quoted(name)} as {query}"

    def states(self, tables: Mapping[str, str], *, alias: str, test: str = "true") -> str:
        """A query for the state of each record: a text that is the same for records that are.

        Args:
            tables: relations to read, by table.
            alias: for each of them.
            test: which rows.
        """
        parts = " union all ".join(
            f"select '{number}' as part, {self.key(table.name, alias)} as k, "
            f"{sql.digest(table, alias)} as told from {tables[table.name]} {alias} where {test}"
            for number, table in enumerate(self.group.tables)
        )
        return (
            "select k, string_agg(concat(part, told), '' order by part, told) as state, "
            f"count(*) as n from ({parts}) group by k"
        )

    def rows_of_run(self, table: str) -> str:
        """How many rows of the load's run a table has."""
        return of_runs(self.session, table, [self.load.run_id])

    def insert(self, table: str, changed: Mapping[str, str] | None = None) -> None:
        """Store the rows of the chosen records.

        Args:
            table: that gets them.
            changed: columns that have another value; `c` is the chosen record.
        """
        columns = staging.columns(self.session, self.load, table)
        other = dict(changed or {})
        listed = [*columns, *(name for name in other if name not in columns)]
        values = ", ".join(other.get(name, f"t.{sql.quoted(name)}") for name in listed)
        self.session.insert(
            table,
            listed,
            f"select {values} from {self.given(table)} t "
            f"join {sql.quoted(self.chosen)} c on {self.key(table, 't')} = c.k",
        )

    def must_hold(self, table: str, rows: int, test: str = "true") -> Count:
        """That the chosen records have just these rows in a table."""
        found = self.count(table, self.chosen, test)
        return Count(table, "those that its new records have in it", rows, found)


def of_runs(session: Session, table: str, runs: Sequence[str]) -> str:
    """A query for the number of rows of runs.

    Of a run that has stored nothing before, BigQuery reads only the times of its answers.
    """
    window = session.windows.get(runs[0], "") if len(runs) == 1 else ""
    return session.count(table, sql.one_of(RUN, runs) + (f" and {window}" if window else ""))


def of_each_run(session: Session, table: str, runs: Sequence[str]) -> str:
    """A query for a text with the number of rows of each run, as `run 12,other 3`.

    The id of a run has neither a blank nor a comma.
    """
    return (
        "select string_agg(concat(run, ' ', cast(n as string)), ',') from ("
        f"select o.{RUN} as run, count(*) as n from {session.relation(table)} o "
        f"where {sql.one_of(RUN, runs)} group by run)"
    )


def between(lowest: int | None, highest: int | None) -> str:
    """The test for times of answers, in microseconds; BigQuery reads no other partitions then."""
    if lowest is None or highest is None:
        return "true"
    return f"o.{SEEN} between timestamp_micros({lowest}) and timestamp_micros({highest})"
