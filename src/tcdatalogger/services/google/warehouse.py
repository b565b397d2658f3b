"""BigQuery as a warehouse: one script commits all tables of a family and the ledger, or none."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import pyarrow as pa

from tcdatalogger.backoff import Backoff
from tcdatalogger.clock import Clock, SystemClock
from tcdatalogger.errors import DataRefused, Failure, UsageError, WarehouseUnavailable
from tcdatalogger.files import Progress, silent
from tcdatalogger.models.checks.promised import Checked
from tcdatalogger.models.evolution import Step
from tcdatalogger.services.google import acts, ledger_tables, sql, turns
from tcdatalogger.services.google.client import Client
from tcdatalogger.services.google.session import Session
from tcdatalogger.services.google.staging import EXPIRES
from tcdatalogger.services.google.tables import PLACE, Layout, Tables
from tcdatalogger.services.google.transaction import BigQueryTransaction
from tcdatalogger.services.google.turns import Turn
from tcdatalogger.services.warehouse.dialect import Dialect
from tcdatalogger.services.warehouse.ledger_tables import TABLES
from tcdatalogger.services.warehouse.load import Clear, Fence, Load, Receipt, Undo
from tcdatalogger.services.warehouse.protocol import Backup, TableSum, Warehouse
from tcdatalogger.services.warehouse.transaction import Transaction

_T = TypeVar("_T")

DIALECT: Final = Dialect(quote="`", json_text="to_json_string({})")
"""The SQL of BigQuery, where engines differ."""

_PAUSES: Final = Backoff(first=0.5, longest=8.0, jitter=0.5)
"""Between tries of a commit that others have overtaken."""
PATIENCE: Final = 120.0
"""Seconds for which a commit is tried again."""


class _Overtaken(WarehouseUnavailable):
    """Somebody else has committed since the transaction began."""


class BigQueryWarehouse(Warehouse):
    """A warehouse in one dataset, shared by any number of machines.

    Args:
        client: of the dataset; it is closed with the warehouse.
        clock: slept on while others commit.
        layout: of new tables.
    """

    def __init__(
        self, client: Client, clock: Clock | None = None, layout: Layout | None = None
    ) -> None:
        self._client = client
        self._clock = clock or SystemClock()
        self._layout = layout or Layout()
        self._ahead: list[ledger_tables.Slice] = []

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    @contextmanager
    def _reading(self) -> Iterator[Transaction | None]:
        """The tables and the ledger as they are; None where nothing was ever stored.

        Raises:
            WarehouseUnavailable, ConfigError: BigQuery cannot be asked.
        """
        yield BigQueryTransaction(self._session()) if self.exists() else None

    @contextmanager
    def _transaction(self) -> Iterator[Transaction]:
        """A transaction over everything that is done within the block.

        Raises:
            DataRefused: BigQuery does not take the rows; nothing was changed.
            WarehouseUnavailable: it cannot be reached, or others have committed; nothing was
                changed.
            Unbalanced: not every row is accounted for; nothing was changed.
        """
        session = self._begin()
        yield BigQueryTransaction(session)
        self._commit(session)

    def _session(self) -> Session:
        return Session(self._client, self._layout, self._clock.now())

    def _turn(self) -> Turn:
        return turns.current(self._client)

    def _begin(self) -> Session:
        """Make what a dataset lacks, do what a crash has left undone, and begin."""
        while True:
            session = self._session()
            try:
                turn = session.begin(self._ahead)
            except DataRefused as error:
                if error.facts.get("reason") != "notFound":
                    raise
                turn = Turn()
            if not turn.number:
                self._make()
            elif turn.to_do:
                self._finish(turn)
            else:
                return session

    def _make(self) -> None:
        """Make the ledger of an empty dataset; the table of the turns is the last of it."""
        tables = Tables(self._client, self._layout)
        for table in TABLES:
            clusters = ledger_tables.CLUSTERS[table.name]
            tables.make(table.name, ledger_tables.schema(table), clusters)
        tables.make(turns.TABLE, turns.SCHEMA)
        self._first_turn()

    def _first_turn(self) -> None:
        """Write the first turn: of several who try, BigQuery lets one."""
        first = Turn().next(0)
        rows = pa.table(
            {"kind": [turns.TURN], "name": [""], "value": [first.value]},
        )
        made = self._client.table(turns.TABLE)
        created = "" if made is None else str(made.created)
        with suppress(DataRefused):  # somebody else was first
            self._client.load(
                turns.TABLE,
                rows,
                turns.SCHEMA,
                name=self._client.job_name("load", turns.TABLE, created),
                labels={},
            )

    # --- the commit ------------------------------------------------------------------------------

    def _commit(self, session: Session) -> None:
        """Do all that is to be done, in one script, or nothing of it.

        Raises:
            DataRefused, WarehouseUnavailable, Unbalanced: as `_transaction`.
        """
        written, values = session.lines.statements(session.now + EXPIRES)
        after = session.turn.next(session.lines.seq)
        kept = turns.write(session.turn, session.kept, session.steps, after.number)
        if session.acts.statements or written or kept or session.dropped:
            done = [
                f"declare {acts.FOUND} string",
                "begin transaction",
                *turns.take(session.turn, after),
                *session.acts.statements,
                *written,
                *kept,
                "commit transaction",
            ]
            try:
                self._client.run(
                    acts.script(done),
                    name=self._client.job_name("commit", str(after.number), after.by),
                    parameters=values,
                    labels=session.labels,
                )
            except Failure as error:
                self._look(session, after, error)
            self._finish(self._turn() if session.steps else after)
        self._clean(session)

    def _look(self, session: Session, after: Turn, error: Failure) -> None:
        """Find out whether a script has committed though its answer was an error.

        Raises:
            WarehouseUnavailable, DataRefused, Unbalanced: it has not.
        """
        if isinstance(error, DataRefused):
            session.acts.refuse(error.message)
        now = self._turn()
        if now.value == after.value:
            return
        if now.value != session.turn.value or turns.LOST in str(error):
            raise _Overtaken(
                "Others commit to this dataset all the time.",
                remedy="Nothing was changed; the next run tries again.",
                reason="overtaken",
            ) from None
        raise error

    def _finish(self, turn: Turn) -> None:
        """Change tables as commits have said that it is to be done after them."""
        tables = Tables(self._client, self._layout)
        for name, step in turn.to_do.items():
            columns = tables.columns(step.table) or {}
            own, table = sql.quoted(step.column), sql.quoted(step.table)
            if step.what == turns.ADD and columns and step.column not in columns:
                self._client.run(f"alter table {table} add column {own} {step.to}")
            elif step.what == turns.RENAME and step.column in columns:
                to = sql.quoted(step.to)
                self._client.run(f"alter table {table} rename column {own} to {to}")
            elif step.what == turns.DROP and step.column in columns:
                self._client.run(f"alter table {table} drop column if exists {own}")
            tables.forget(step.table)
            self._client.run(turns.done(name))

    def _clean(self, session: Session) -> None:
        """Delete what nobody needs any more, also what crashes have left; it matters little if not.

        A place of an earlier turn that is not kept is of a transaction that cannot commit.
        """
        kept = {each.place for each in session.kept.values()}
        left = [
            name
            for name in (session.tables.names() if session.dropped else ())
            if (found := PLACE.fullmatch(name)) and int(found[1]) < session.turn.number
        ]
        for name in dict.fromkeys(
            [*session.staged.values(), *session.lines.staged, *session.dropped, *left]
        ):
            if name not in kept:
                with suppress(Failure):
                    self._client.delete(name)

    def _again(self, act: Callable[[], _T]) -> _T:
        """Do something that commits, and again where others have committed meanwhile.

        Raises:
            WarehouseUnavailable: they do so all the time.
        """
        tries, waited = 0, 0.0
        while True:
            try:
                return act()
            except _Overtaken:
                tries += 1
                pause = _PAUSES.pause(tries, random.uniform(-1, 1))  # noqa: S311  # it spreads pauses
                if waited + pause > PATIENCE:
                    raise
                waited += pause
                self._clock.sleep(pause)

    def commit_all(self, wanted: Iterable[Load], clear: Clear | None = None) -> list[Receipt]:
        """As `Warehouse.commit_all`, and again where others have committed meanwhile."""
        loads = list(wanted)
        self._ahead = [slice_ for load in loads[:1] for slice_ in ledger_tables.ahead(load)]
        try:
            return self._again(partial(super().commit_all, loads, clear))
        finally:
            self._ahead = []

    def note_checks(self, checked: Checked) -> None:
        """As `Warehouse.note_checks`, and again where others have committed meanwhile."""
        self._again(partial(super().note_checks, checked))

    def reshape(self, load: Load, *, accept: bool = False, dry: bool = False) -> tuple[Step, ...]:
        """As `Warehouse.reshape`, and again where others have committed meanwhile."""
        return self._again(partial(super().reshape, load, accept=accept, dry=dry))

    def reshape_back(
        self, table: str, version: int, *, at: float, dry: bool = False, fence: Fence = None
    ) -> tuple[Step, ...]:
        """As `Warehouse.reshape_back`, and again where others have committed meanwhile."""
        back = partial(super().reshape_back, table, version, at=at, dry=dry, fence=fence)
        return self._again(back)

    def rollback(
        self,
        endpoint: str,
        run_id: str,
        *,
        at: float,
        by: str,
        dry: bool = False,
        fence: Fence = None,
    ) -> Undo:
        """As `Warehouse.rollback`, and again where others have committed meanwhile."""
        undo = partial(super().rollback, endpoint, run_id, at=at, by=by, dry=dry, fence=fence)
        return self._again(undo)

    # --- to ask ----------------------------------------------------------------------------------

    @property
    def engine(self) -> str:
        """The engine's name: it has no version."""
        return acts.ENGINE

    @property
    def dialect(self) -> Dialect:
        """The SQL of BigQuery."""
        return DIALECT

    def exists(self) -> bool:
        """Whether something was ever stored."""
        return self._client.table(turns.TABLE) is not None

    def layout(self, table: str) -> tuple[str, bool]:
        """By what a table is partitioned and clustered; whether by the time of the answers."""
        there = self._client.table(table)
        if there is None:
            return "not there", False
        by = there.time_partitioning
        unit = "" if by is None else f"partitions by {by.type_.lower()} of {by.field}"
        clusters = ", ".join(there.clustering_fields or [])
        words = [unit or "no partitions", f"clustered by {clusters}" if clusters else "no clusters"]
        return f"{there.num_rows or 0} rows; {'; '.join(words)}", bool(unit)

    def query(self, sql: str) -> pa.Table:
        """The rows of a query.

        Raises:
            UsageError: BigQuery refuses it, or it would change something.
        """
        try:
            kind = self._client.dry_run(sql).statement
            if kind != "SELECT":
                raise UsageError(
                    f"The query is refused: it is no question, but {kind}.",
                    remedy="`tcdatalogger query` changes nothing; `bq query` does.",
                )
            return self._client.ask(sql)
        except DataRefused as error:
            raise UsageError(
                f"The query is refused: {error.message}",
                remedy="`tcdatalogger query 'select table_name from INFORMATION_SCHEMA.TABLES'` "
                "lists the tables.",
            ) from None

    def rows(
        self,
        table: str,
        columns: Sequence[str],
        *,
        since: tuple[str, float] | None = None,
        where: Mapping[str, str] | None = None,
    ) -> pa.Table:
        """Some columns of a table; those that it lacks are null. No rows where it is not there."""
        place = self._place(table)
        tables = Tables(self._client, self._layout)
        there = tables.columns(place) or {}
        asked = {*(where or {}), *([since[0]] if since else [])}
        if not there or not asked <= set(there):
            return pa.table({name: pa.nulls(0) for name in columns})
        picked = ", ".join(
            sql.quoted(name) if name in there else f"null as {sql.quoted(name)}" for name in columns
        )
        tests = [f"{sql.quoted(name)} = {sql.text(value)}" for name, value in (where or {}).items()]
        if since is not None:
            tests.append(f"{sql.quoted(since[0])} >= {sql.time(since[1])}")
        test = " and ".join(tests) or "true"
        return self._client.ask(f"select {picked} from {tables.relation(place)} where {test}")

    def _place(self, table: str) -> str:
        """Where a table is: what is kept for a rollback has another name in the dataset."""
        if not table.startswith("_tcd_") or table in {each.name for each in TABLES}:
            return table
        kept = self._turn().kept if self.exists() else {}
        return kept[table].place if table in kept else table

    def sums(self) -> Mapping[str, TableSum]:
        """What every table of the dataset is known by.

        Raises:
            WarehouseUnavailable: it cannot be reached now, or is not there yet.
        """
        if not self.exists():
            raise WarehouseUnavailable(f"There is nothing in {self._client.address} yet.")
        tables = Tables(self._client, self._layout)
        found = {}
        for name in sorted(tables.names()):
            if name == turns.TABLE or PLACE.fullmatch(name) or name.startswith("_tcd_stage_"):
                continue
            [row] = self._client.ask(
                "select count(*) as n, bit_xor(farm_fingerprint(to_json_string(t))) as told "
                f"from {tables.relation(name)} t"
            ).to_pylist()
            found[name] = TableSum(int(row["n"]), str(row["told"] or 0))
        return found

    def back_up(self, folder: Path, progress: Progress = silent) -> Backup:
        """Refuse: there is no backup of a dataset yet."""
        raise UsageError(
            f"There is no backup of a dataset yet: {folder} stays as it is.",
            remedy="BigQuery keeps seven days of every table by itself (time travel).",
            progress=progress is not silent,
        )
