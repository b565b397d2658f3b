"""The hands of BigQuery: what the shared rules of storing do with tables and ledger of a dataset.

Every act is put into the script of the commit (`acts.py`). What an act tells is asked beforehand,
and counted again within the script.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tcdatalogger.models.evolution import Change, Step, StoredTypes
from tcdatalogger.models.records import RUN, SUBJECT, VERSION, Group
from tcdatalogger.models.schema import TableSchema, Type
from tcdatalogger.services.google import (
    changes,
    history,
    merge,
    new_records,
    people,
    sql,
    staging,
    turns,
)
from tcdatalogger.services.google.acts import ENGINE, Count
from tcdatalogger.services.google.records import of_each_run, of_runs
from tcdatalogger.services.google.session import Session
from tcdatalogger.services.warehouse.ledger import Ledger
from tcdatalogger.services.warehouse.load import Load
from tcdatalogger.services.warehouse.schema_changes import FORMER
from tcdatalogger.services.warehouse.transaction import Moved

_SINCE = VERSION[0]


class BigQueryTransaction:
    """The tables and the ledger of a dataset (`Transaction`). Every act is done at the commit.

    Args:
        session: of the transaction, or to ask alone.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def engine(self) -> str:
        """The engine's name: it has no version."""
        return ENGINE

    @property
    def ledger(self) -> Ledger:
        """The ledger of the dataset."""
        return self._session.ledger

    # --- to ask ----------------------------------------------------------------------------------

    def stored(self, names: Sequence[str]) -> StoredTypes:
        """The columns of those tables that are there, and their types.

        Raises:
            DataRefused: a change of one of them is not done.
        """
        self._session.must_be_done(names)
        return self._session.stored(names)

    def there(self, names: Sequence[str]) -> list[str]:
        """Those tables that are there."""
        return self._session.there(names)

    def counts(self, names: Sequence[str]) -> dict[str, int]:
        """How many rows tables have."""
        there = self.there(names)
        rows = self._session.numbers([self._session.count(name) for name in there])
        return dict.fromkeys(names, 0) | dict(zip(there, rows, strict=True))

    def rows_of(self, names: Sequence[str], runs: Sequence[str]) -> dict[str, int]:
        """How many rows of runs can be read in tables."""
        there = self.there(names)
        rows = self._session.numbers([of_runs(self._session, name, runs) for name in there])
        return dict.fromkeys(names, 0) | dict(zip(there, rows, strict=True))

    def rows_of_each(self, names: Sequence[str], runs: Sequence[str]) -> dict[str, dict[str, int]]:
        """How many rows of each run can be read in tables: by run, and then by table."""
        there = self.there(names)
        queries = {name: of_each_run(self._session, name, runs) for name in there}
        told = self._session.answers(queries) if queries else {}
        found = {run: dict.fromkeys(names, 0) for run in runs}
        for name in there:
            for counted in filter(None, str(told[name] or "").split(",")):
                run, _, rows = counted.rpartition(" ")
                found[run][name] = int(rows)
        return found

    def holds(self, table: str, *, versions: bool) -> bool:
        """Whether a table holds rows that are versions of a history, or rows that are none."""
        there = _SINCE in self.stored([table])[table]
        if versions and not there:
            return False
        test = f"{_SINCE} is {'not null' if versions else 'null'}" if there else ""
        return self._any(table, test)

    def current(self, table: str) -> int:
        """How many rows of a history are current."""
        [rows] = self._session.numbers([history.current(self._session, table)])
        return rows

    def closed_by(self, names: Sequence[str], runs: Sequence[str]) -> dict[str, int]:
        """How many versions runs have ended, by table."""
        session = self._session
        asked = [name for name in names if history.has_versions(session, name)]
        rows = session.numbers([history.closed_by(session, name, runs) for name in asked])
        return dict.fromkeys(names, 0) | dict(zip(asked, rows, strict=True))

    def has_value(self, table: str, column: str, without: str) -> bool:
        """Whether a column has a value in a row that is not of a run."""
        other = f"o.{RUN} is distinct from {sql.text(without)}"
        return self._any(table, f"o.{sql.quoted(column)} is not null and {other}")

    def subject(self, table: str, runs: Sequence[str]) -> int | None:
        """Whom the rows of the first of these runs are about that a table has rows of."""
        if not runs or not {SUBJECT, RUN} <= set(self.stored([table])[table]):
            return None
        places = " ".join(f"when {sql.text(run)} then {n}" for n, run in enumerate(runs))
        row = self._session.row(
            f"select (select subject from ("
            f"select case o.{RUN} {places} end as place, max(o.{SUBJECT}) as subject "
            f"from {self._session.relation(table)} o "
            f"where {sql.one_of(RUN, runs)} and o.{SUBJECT} is not null group by place) "
            f"order by place limit 1) as subject"
        )
        return None if row["subject"] is None else int(row["subject"])

    def expired(self, table: str, columns: Sequence[str], before: float) -> dict[str, int]:
        """How many rows of a table are of a time before a moment, by run."""
        session = self._session
        place = session.private(table) if table in session.kept else table
        rows = session.client.ask(
            f"select coalesce({RUN}, '') as run, count(*) as n from {session.relation(place)} o "
            f"where {_is_before(columns, before)} group by run",
            labels=session.labels,
        )
        return {str(row["run"]): int(row["n"]) for row in rows.to_pylist()}

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
        return sum(self.rows_with(table, column, values).values())

    def rows_with(self, table: str, column: str, values: Sequence[object]) -> dict[str, int]:
        """How many rows have one of these values in a column, by run."""
        return people.rows_with(self._session, table, column, values)

    def why_not(self, table: str, column: str, to: Type) -> str:
        """Why a column cannot get another type, "" where it can."""
        return changes.why_not(self._session, table, column, to)

    def _any(self, table: str, test: str) -> bool:
        where = f" where {test}" if test else ""
        rows = f"select 1 from {self._session.relation(table)} o{where} limit 1"
        [found] = self._session.numbers([f"select count(*) from ({rows})"])
        return bool(found)

    # --- to change tables ------------------------------------------------------------------------

    def create(self, table: TableSchema) -> None:
        """Make a table, before the commit: it is empty until then, and nobody knows it."""
        self._session.tables.create(table)
        self._session.types.pop(table.name, None)

    def change(self, table: str, key: Sequence[str], steps: Sequence[Step]) -> None:
        """Change a table, and keep what is touched."""
        self._session.touch([table])
        changes.change(self._session, table, key, steps)

    def drop(self, table: str, column: str = "") -> None:
        """Drop a table, or a column of it, after the commit."""
        session = self._session
        if not column:
            session.dropped.append(table)
            session.types[table] = {}
            return
        left = dict(session.stored([table])[table])
        del left[column]
        session.types[table] = left
        session.steps.append(turns.Step(turns.DROP, table, column))

    # --- to store --------------------------------------------------------------------------------

    def append(self, load: Load) -> Moved:
        """Add the rows of a load."""
        self._labelled(load)
        new_records.append(self._session, load, [table.name for table in load.family.tables])
        return self._done(Moved())

    def append_new(self, load: Load) -> Moved:
        """Add those records of a load that are not stored yet, or have changed since."""
        self._labelled(load)
        return self._done(new_records.append_new(self._session, load))

    def replace(
        self, load: Load, steps: Sequence[Step], emptied: Sequence[str], *, keep: bool
    ) -> Moved:
        """All former rows are kept first; then each table is emptied and filled."""
        self._labelled(load)
        session = self._session
        for table in load.family.tables:
            if any(s.change is Change.TABLE and s.table == table.name for s in steps):
                self.create(table)
        names = [*(table.name for table in load.family.tables), *emptied]
        for name in names if keep else ():
            self._keep_former(name)
        for table in load.family.tables:
            self._grow(table, [step for step in steps if step.table == table.name])
        after = {}
        for name in names:
            session.acts.add(f"truncate table {sql.quoted(session.at(name))}")
            after[name] = 0 if name in emptied else load.tables[name].num_rows
            if after[name]:
                columns = staging.columns(session, load, name)
                source = staging.rows(session, load, name)
                session.insert(name, columns, f"select {sql.names(columns)} from {source}")
        of_run = {name: of_runs(session, name, [load.run_id]) for name in names}
        whole = "those after the rows were replaced"
        session.acts.must_be(
            *(Count(name, whole, rows, session.count(name)) for name, rows in after.items()),
            *(Count(name, "those of the run", after[name], of_run[name]) for name in names),
        )
        for name, rows in after.items():
            session.expect(of_run[name], rows)
        return self._done(Moved())

    def _grow(self, table: TableSchema, steps: Sequence[Step]) -> None:
        """Give a table the columns that rows need."""
        session = self._session
        names = {step.column for step in steps if step.change is Change.COLUMN}
        new = [column for column in table.columns if column.name in names]
        if new:
            session.add(table.name, new)
        if table.name in session.types:
            session.types[table.name] |= {column.name: column.type for column in new}
        for step in steps:
            if step.change is Change.WIDER:
                changes.widen(session, table.name, step.column, Type(step.type))

    def _keep_former(self, name: str) -> None:
        """Keep a table as it is: a clone costs nothing until the two differ."""
        session = self._session
        former = f"{FORMER}{name}"
        columns = {column: kind for column, kind in session.stored([name])[name].items() if kind}
        place = session.new_place(former)
        if session.acts.statements:  # it is to change before, which a clone would not have
            session.tables.like(place, columns)
            [rows] = session.numbers([session.count(name)])
            listed = sql.names(columns)
            session.insert(place, columns, f"select {listed} from {session.relation(name)}")
            kept = f"select count(*) from {sql.quoted(place)}"
            session.acts.must_be(Count(name, "those kept for a rollback", rows, kept))
        else:
            session.clone(session.at(name), place)
        session.keep(former, place, columns)

    def merge(self, load: Load, groups: Sequence[Group], *, first: bool) -> Moved:
        """Put each record of a load in the place of the stored one with its key."""
        self._labelled(load)
        return self._done(merge.merge(self._session, load, groups, first=first))

    def version(self, load: Load, groups: Sequence[Group]) -> Moved:
        """Store the records of a load that changed as new versions."""
        self._labelled(load)
        return self._done(history.history(self._session, load, groups))

    def _done(self, moved: Moved) -> Moved:
        """Do what an act has to do, if it is done at once."""
        self._session.flush()
        return moved

    def _labelled(self, load: Load) -> None:
        self._session.labels = {"run": load.run_id, "endpoint": load.endpoint}
        self._session.touch(table.name for table in load.family.tables)

    # --- to take back ----------------------------------------------------------------------------

    def take_out(self, names: Sequence[str], runs: Sequence[str], *, kept: bool = False) -> None:
        """Delete the rows of runs, also from what is kept for the rollback of others."""
        session = self._session
        session.touch(names)
        places = {name: name for name in names}
        for name in names if kept else ():
            copies = [f"{FORMER}{name}", *merge.journals_on(session, name)]
            places |= {session.private(c): name for c in copies if c in session.kept}
        test = sql.one_of(RUN, runs)
        queries = [(f"select count(*) from {session.relation(place)}",
                    f"select count(*) from {session.relation(place)} where {test}")
                   for place in places]  # fmt: skip
        numbers = session.numbers([query for pair in queries for query in pair])
        counts = []
        for place, (whole, theirs), (count, _) in zip(
            places, zip(numbers[::2], numbers[1::2], strict=True), queries, strict=True
        ):
            if theirs:
                where = session.where(place, test)
                session.acts.add(f"delete from {sql.quoted(session.at(place))} where {where}")
                left = "those that are left"
                counts.append(Count(places[place], left, whole - theirs, count))
        if counts:
            session.acts.must_be(*counts)
        session.flush()

    def expire(self, table: str, columns: Sequence[str], before: float) -> None:
        """Delete the rows that `expired` counts; whole partitions of them cost nothing."""
        session = self._session
        place = session.private(table) if table in session.kept else table
        session.touch([table])
        gone = sum(self.expired(table, columns, before).values())
        [rows] = session.numbers([session.count(place)])
        where = session.where(place, _is_before(columns, before))
        session.acts.add(f"delete from {sql.quoted(session.at(place))} where {where}")
        session.acts.must_be(Count(table, "those that are left", rows - gone, session.count(place)))

    def exchange(self, table: str, column: str, new: Mapping[object, Mapping[str, object]]) -> None:
        """Give columns of rows other values, by the value that one column has now."""
        people.exchange(self._session, table, column, new)

    def delete(self, table: str, column: str, values: Sequence[object]) -> None:
        """Delete the rows that have one of these values in a column."""
        people.delete(self._session, table, column, values)

    def reopen(self, names: Sequence[str], runs: Sequence[str]) -> None:
        """Make the versions current again that runs ended."""
        self._session.touch(names)
        for name in names:
            history.reopen(self._session, name, runs)
        self._session.flush()

    def kept_by_replace(self, names: Sequence[str]) -> dict[str, int]:
        """The tables of which the former state is kept, and how many rows that has."""
        session = self._session
        kept = [name for name in names if f"{FORMER}{name}" in session.kept]
        # A clone wants a test of the time where its table does.
        places = [session.tables.relation(self._former(name)) for name in kept]
        queries = [f"select count(*) from {place}" for place in places]
        return dict(zip(kept, session.numbers(queries), strict=True))

    def swap_back(self, names: Sequence[str]) -> None:
        """Give tables their former rows and columns again."""
        session = self._session
        session.touch(names)
        rows = self.kept_by_replace(names)
        for name in names:
            former = session.kept[f"{FORMER}{name}"]
            columns = sql.names(former.columns)
            session.acts.add(f"truncate table {sql.quoted(session.at(name))}")
            source = session.tables.relation(former.place)
            session.insert(name, former.columns, f"select {columns} from {source}")
            now = session.stored([name])[name]
            session.steps += [
                turns.Step(turns.DROP, name, c) for c in now if c not in former.columns
            ]
            session.types[name] = dict(former.columns)
        session.acts.must_be(
            *(
                Count(name, "those that are there again", rows[name], session.count(name))
                for name in names
            )
        )
        session.forget([f"{FORMER}{name}" for name in names])

    def _former(self, name: str) -> str:
        return self._session.kept[f"{FORMER}{name}"].place

    def kept_by_merge(
        self, endpoint: str, keys: Mapping[str, Sequence[str]], without: Sequence[str] = ()
    ) -> dict[str, int] | None:
        """How many of the rows that the newest load of an endpoint replaced can be put back."""
        return merge.restorable(self._session, endpoint, keys, without)

    def put_back(self, endpoint: str, keys: Mapping[str, Sequence[str]]) -> None:
        """Put back what the newest load of an endpoint replaced, and keep it no longer."""
        self._session.touch(keys)
        merge.restore(self._session, endpoint, keys)
        self._session.flush()

    def keep(self, endpoint: str, root: str) -> None:
        """Note that what the newest load of an endpoint replaced is kept."""
        merge.begin_journal(self._session, endpoint, root)

    def forget(
        self, *, endpoint: str = "", replaced: Sequence[str] = (), tables: Sequence[str] = ()
    ) -> None:
        """Forget what is kept for a rollback."""
        session = self._session
        if endpoint:
            merge.forget_journal(session, endpoint)
        session.forget([f"{FORMER}{name}" for name in replaced])
        for name in tables:
            merge.forget_kept(session, name)


def _is_before(columns: Sequence[str], before: float) -> str:
    """The test for rows of a time before a moment."""
    age = ", ".join(map(sql.quoted, columns))
    return f"coalesce({age}, null) < {sql.time(before)}"
