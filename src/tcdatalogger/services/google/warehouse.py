"""BigQuery as a warehouse: one script commits all tables of a family and the ledger, or none."""

from __future__ import annotations

import itertools
import random
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial, wraps
from typing import Concatenate, Final, ParamSpec, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from tcdatalogger.backoff import Backoff
from tcdatalogger.clock import Clock, SystemClock
from tcdatalogger.errors import DataRefused, Failure, UsageError, WarehouseUnavailable
from tcdatalogger.models.checks.promised import Checked
from tcdatalogger.models.records import SEEN
from tcdatalogger.services.google import acts, copying, ledger_tables, sql, turns
from tcdatalogger.services.google.client import Client
from tcdatalogger.services.google.ledger_tables import ahead
from tcdatalogger.services.google.session import Session
from tcdatalogger.services.google.staging import EXPIRES
from tcdatalogger.services.google.tables import PLACE, SNAPSHOT, Layout, Tables
from tcdatalogger.services.google.transaction import BigQueryTransaction
from tcdatalogger.services.google.turns import Turn
from tcdatalogger.services.warehouse.copying import CopiedTable, Copying, unfinished
from tcdatalogger.services.warehouse.dialect import Dialect
from tcdatalogger.services.warehouse.ledger_tables import OWNERS, TABLES
from tcdatalogger.services.warehouse.load import Clear, Load, Receipt
from tcdatalogger.services.warehouse.protocol import TableSum, Warehouse
from tcdatalogger.services.warehouse.transaction import Transaction

_T = TypeVar("_T")
_P = ParamSpec("_P")

DIALECT: Final = Dialect(
    quote="`", json_text="to_json_string({})", spellings={"first_group": "regexp_extract"}
)
"""The SQL of BigQuery, where engines differ."""

_PAUSES: Final = Backoff(first=0.5, longest=8.0, jitter=0.5)
"""Between tries of a commit that others have overtaken."""
_REFUSED: Final = 3
"""How often where BigQuery refuses it while others commit, and does not say that this is why."""
_TRIES: Final = 12
"""How often a commit is tried in all: for more than a minute."""


class _Overtaken(WarehouseUnavailable):
    """Somebody else has committed since the transaction began."""

    def __init__(self) -> None:
        super().__init__(
            "Others store in the same tables all the time.",
            remedy="Nothing was changed; the next run tries again.",
            reason="overtaken",
        )


@dataclass(frozen=True, slots=True)
class _Purpose:
    """What a transaction is for, as far as it is known at its start.

    Attributes:
        endpoints: that it has to do with; None for all.
        loads: that it stores.
        clears: whether something is taken out before them.
    """

    endpoints: frozenset[str] | None = None
    loads: Sequence[Load] = ()
    clears: bool = False

    @property
    def mine(self) -> set[str] | None:
        """The turns of its endpoints, None for all."""
        return None if self.endpoints is None else set(map(turns.endpoint, self.endpoints))

    @property
    def only(self) -> Load | None:
        """The one load that is all that it does; None where there is more, or something else."""
        return self.loads[0] if len(self.loads) == 1 and not self.clears else None


def _again(
    method: Callable[Concatenate[Warehouse, _P], _T],
) -> Callable[Concatenate[BigQueryWarehouse, _P], _T]:
    """The same, and again where others have stored in the same tables meanwhile."""

    @wraps(method)
    def again(self: BigQueryWarehouse, /, *given: _P.args, **named: _P.kwargs) -> _T:
        return self.try_again(partial(method, self, *given, **named), _Purpose())

    return again


class BigQueryWarehouse(Warehouse):
    """A warehouse in one dataset, shared by any number of machines.

    Args:
        client: of the dataset; it is closed with the warehouse.
        clock: slept on while others commit; what time it is, BigQuery says.
        layout: of new tables.
        most_billed: bytes that Google may bill for one `query`; None for any.
    """

    def __init__(
        self,
        client: Client,
        clock: Clock | None = None,
        layout: Layout | None = None,
        most_billed: int | None = None,
    ) -> None:
        self._client = client
        self._clock = clock or SystemClock()
        self._layout = layout or Layout()
        self._most_billed = most_billed
        self._there = False
        self._lacks: ledger_tables.Lacks | None = None
        self._copy: Copying | None = None
        self._purpose = _Purpose()

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
        try:
            yield BigQueryTransaction(session)
        except DataRefused as error:
            # Of two who store the same load, one deletes its rows on their way for the other.
            if error.facts.get("reason") == "notFound" and self._is_overtaken(session):
                raise _Overtaken from None
            raise
        self._commit(session)

    def _session(self) -> Session:
        if self._lacks is None:
            self._lacks = ledger_tables.lacking(self._client)
        return Session(self._client, self._layout, self._lacks)

    def _turn(self) -> Turn:
        return turns.current(self._client)

    def _begin(self) -> Session:
        """Make what a dataset lacks, do what a crash has left undone, and begin."""
        purpose, undone = self._purpose, dict[str, Failure]()
        while True:
            session = self._session()
            try:
                turn = session.begin([s for load in purpose.loads[:1] for s in ahead(load)])
            except DataRefused as error:
                if error.facts.get("reason") != "notFound":
                    raise
                turn = Turn()
            if turns.ALL not in turn.values:
                self._make()
            elif self._lacks:
                self._grow(self._lacks)
            elif any(step.table not in undone for step in turn.to_do.values()):
                undone |= self._finish(turn)
            else:
                session.undone = undone
                session.working = len(purpose.loads) > 1
                if purpose.only is not None:
                    _look_no_further(session, purpose.only)
                return session

    def _make(self) -> None:
        """Make the ledger of an empty dataset; the table of the turns is the last of it.

        Raises:
            Busy: a copy into it is not finished.
        """
        if copying.begun(self._client) is not None:
            raise unfinished()
        tables = Tables(self._client, self._layout)
        for table in TABLES:
            clusters = ledger_tables.CLUSTERS[table.name]
            tables.make(table.name, ledger_tables.schema(table), clusters)
        tables.make(turns.TABLE, turns.SCHEMA)
        self._first_turn()

    def _grow(self, lacks: ledger_tables.Lacks) -> None:
        """Give the ledger of an older version the columns that it lacks."""
        for name, columns in lacks.items():
            kinds = {column.name: column.type for column in columns}
            Tables(self._client, self._layout).add(name, kinds)
        self._lacks = None

    def _first_turn(self) -> None:
        """Write the first turn: of several who try, BigQuery lets one."""
        rows = pa.table({"kind": [turns.TURN], "name": [turns.ALL], "value": ["begin"]})
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
        if session.working:
            session.take_over()
        written, values = session.lines.statements(session.turn.now + EXPIRES)
        kept = turns.write(session.turn, session.kept, session.steps, session.turn.now)
        if session.acts.statements or written or kept or session.dropped:
            if session.lines.writes(OWNERS):
                session.mine.add(turns.OWNERS)
            self._run(session, [*session.acts.statements, *written, *kept], values)
            if session.steps:
                self._finish(self._turn())
        self._clean(session)

    def _mine(self, session: Session) -> set[str] | None:
        """The turns that a commit takes, None for all."""
        mine = self._purpose.mine
        return None if mine is None else mine | session.mine

    def _run(self, session: Session, statements: Sequence[str], values: Mapping[str, str]) -> None:
        """Run the script of a commit, and again where BigQuery ran that of others at once.

        Raises:
            DataRefused, WarehouseUnavailable, Unbalanced: as `_transaction`.
        """
        for tries in itertools.count(1):
            by = uuid.uuid4().hex
            done = [
                f"declare {acts.FOUND} string",
                "begin transaction",
                *turns.take(session.turn, self._mine(session), by),
                *statements,
                "commit transaction",
            ]
            try:
                self._client.run(
                    acts.script(done),
                    name=self._client.job_name("commit", by),
                    parameters=values,
                    labels=session.labels,
                )
            except Failure as error:
                if self._has_committed(session, by, error):
                    return
                if tries == (_TRIES if isinstance(error, WarehouseUnavailable) else _REFUSED):
                    raise
                self._pause(tries)
            else:
                return

    def _has_committed(self, session: Session, by: str, error: Failure) -> bool:
        """Whether a script has committed though its answer was an error; if not, it may be again.

        Raises:
            WarehouseUnavailable, DataRefused, Unbalanced: it must not be run again as it is.
        """
        if isinstance(error, DataRefused):
            session.acts.refuse(error.message)
        before, now = session.turn.values, self._turn().values
        if by in now.values():
            return True
        if turns.LOST in str(error) or self._is_overtaken(session, now):
            raise _Overtaken from None
        if before[turns.ALL] == now[turns.ALL]:
            raise error
        return False

    def _is_overtaken(self, session: Session, now: Mapping[str, str] | None = None) -> bool:
        """Whether a turn of a transaction is no longer as it was at the start.

        Args:
            session: of the transaction.
            now: the turns as they are, None to look.
        """
        before, mine = session.turn.values, self._mine(session)
        now = self._turn().values if now is None else now
        names = {*before, *now} - {turns.ALL} if mine is None else mine
        return any(before.get(name) != now.get(name) for name in names)

    def _pause(self, tries: int) -> None:
        """Let others go first."""
        chance = random.uniform(-1, 1)  # noqa: S311  # it spreads pauses
        self._clock.sleep(_PAUSES.pause(tries, chance))

    def _finish(self, turn: Turn) -> dict[str, Failure]:
        """Change tables as commits have said that it is to be done after them.

        Returns why a table could not be changed: nobody stores in it until it can.
        """
        tables = Tables(self._client, self._layout)
        undone: dict[str, Failure] = {}
        for name, step in turn.to_do.items():
            if step.table in undone:
                continue  # its steps hang on each other
            try:
                tables.take(step)
                self._client.run(turns.done(name))
            except DataRefused as error:
                undone[step.table] = error
        return undone

    def _clean(self, session: Session) -> None:
        """Delete what nobody needs any more, also what crashes have left; it matters little if not.

        A place of yesterday that is not kept is of a transaction that ended long ago.
        """
        kept = {each.place for each in session.kept.values()}
        left = [
            name
            for name in (session.tables.names() if session.dropped else ())
            if (found := PLACE.fullmatch(name)) and int(found[1]) < session.turn.now - EXPIRES
        ]
        gone = [
            *session.staged.values(),
            *session.lines.staged,
            *session.dropped,
            *session.works.values(),
            *left,
        ]
        for name in dict.fromkeys(gone):
            if name not in kept:
                with suppress(Failure):
                    self._client.delete(name)

    def try_again(self, act: Callable[[], _T], purpose: _Purpose) -> _T:
        """Do something that commits, and again where others have changed the same meanwhile.

        Args:
            act: it asks anew each time.
            purpose: of its transaction.

        Raises:
            WarehouseUnavailable: they do so all the time.
        """
        self._purpose = purpose
        for tries in itertools.count(1):
            try:
                return act()
            except _Overtaken:
                if tries == _TRIES:
                    raise
                self._pause(tries)
        raise AssertionError

    def commit_all(self, wanted: Iterable[Load], clear: Clear | None = None) -> list[Receipt]:
        """As `Warehouse.commit_all`, and again where others have stored in the tables meanwhile."""
        loads = list(wanted)
        endpoints = {load.endpoint for load in loads} | ({clear.endpoint} if clear else set())
        purpose = _Purpose(frozenset(endpoints), loads, clears=clear is not None)
        return self.try_again(partial(super().commit_all, loads, clear), purpose)

    def note_checks(self, checked: Checked) -> None:
        """As `Warehouse.note_checks`, and again where others have noted some meanwhile."""
        purpose = _Purpose(frozenset({checked.endpoint}))
        self.try_again(partial(super().note_checks, checked), purpose)

    reshape = _again(Warehouse.reshape)
    reshape_back = _again(Warehouse.reshape_back)
    rollback = _again(Warehouse.rollback)
    expire = _again(Warehouse.expire)
    forget = _again(Warehouse.forget)

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
        """Whether something was ever stored; what is there once stays."""
        self._there = self._there or self._client.table(turns.TABLE) is not None
        return self._there

    def must_have_place(self) -> None:
        """Ask whether the dataset is there: no run makes it.

        Raises:
            ConfigError: it is not.
            WarehouseUnavailable: BigQuery cannot be asked now.
        """
        self._client.dataset()

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

    def query(self, sql: str, most: int | None = None) -> pa.Table:
        """The rows of a query.

        Args:
            sql: the query.
            most: how many rows are wanted, the first ones; None for all.

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
            return self._client.ask(sql, most_billed=self._most_billed).slice(0, most)
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
        found = tables.get(place)
        there = tables.columns(place) or {}
        asked = {*(where or {}), *([since[0]] if since else [])}
        if found is None or not asked <= set(there):
            return pa.table({name: pa.nulls(0) for name in columns})
        if not asked and set(columns) <= set(there):
            return self._client.read(found, columns)
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

    # --- to be copied ----------------------------------------------------------------------------

    def batches(self, table: CopiedTable) -> Iterator[pa.RecordBatch]:
        """All rows of a table, in batches of its schema."""
        begun = self._copy or self.copying()
        place = self._place(table.name) if begun is None else copying.place(begun, table.name)
        tables = Tables(self._client, self._layout)
        yield from copying.batches(self._client, tables, place, table)

    def copying(self) -> Copying | None:
        """The copy into the dataset that is not finished; None where there is none."""
        self._copy = copying.begun(self._client)
        return self._copy

    def begin_copy(self, wanted: Copying) -> None:
        """Become the target of a copy: until `end_copy` no run stores here."""
        copying.begin(self._client, Tables(self._client, self._layout), wanted)
        self._copy = wanted

    def take_in(self, table: CopiedTable, rows: Iterable[pa.RecordBatch]) -> None:
        """Make a table with these columns and rows, and note that it is whole, in one step."""
        wanted = self._copy or self.copying()
        if wanted is None:
            raise ValueError(table.name)  # whoever copies begins first
        tables = Tables(self._client, self._layout)
        copying.take_in(self._client, tables, wanted, table, rows)

    def end_copy(self) -> None:
        """Finish the copy in one step: the ledger counts, and runs may store."""
        copying.end(self._client, Tables(self._client, self._layout))
        self._copy = None

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
            hidden = name.startswith(("_tcd_stage_", SNAPSHOT))
            if name == turns.TABLE or PLACE.fullmatch(name) or hidden:
                continue
            [row] = self._client.ask(
                "select count(*) as n, bit_xor(farm_fingerprint(to_json_string(t))) as told "
                f"from {tables.relation(name)} t"
            ).to_pylist()
            found[name] = TableSum(int(row["n"]), str(row["told"] or 0))
        return found


def _look_no_further(session: Session, load: Load) -> None:
    """Look for rows of a load's run only among answers of its time, if it has stored none before.

    By the law of conservation a run that the ledger does not know has no rows.
    """
    if load.again or session.ledger.loads(endpoint=load.endpoint, run_id=load.run_id, most=1):
        return
    times = [table.column(SEEN) for table in load.tables.values() if table.num_rows]
    if any(column.null_count for column in times):
        return
    bounds = [pc.min_max(column).as_py() for column in times]
    if bounds:
        lowest = min(each["min"] for each in bounds)
        highest = max(each["max"] for each in bounds)
        session.windows[load.run_id] = (
            f"o.{SEEN} between {sql.time(lowest)} and {sql.time(highest)}"
        )
