"""The values of a run of one endpoint: its task, its source, its pages and its rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, Self

from tcdatalogger import __version__
from tcdatalogger.clock import Clock, SystemClock
from tcdatalogger.models.checks.promised import CheckResult
from tcdatalogger.models.checks.rules import Rule
from tcdatalogger.models.kept import Rows, all_in_memory
from tcdatalogger.models.owners import TableOwner
from tcdatalogger.models.reading.row_reader import RejectedRecord
from tcdatalogger.models.rows.drift import Drift
from tcdatalogger.models.rows.frames import ArrowStream, with_values
from tcdatalogger.models.schema import TableFamily
from tcdatalogger.models.shape import Object
from tcdatalogger.scratch import Scratch
from tcdatalogger.services.torncity.catalog import parameters, time_fields
from tcdatalogger.services.torncity.catalog.catalog import Endpoint
from tcdatalogger.services.torncity.client.envelope import digest
from tcdatalogger.services.torncity.client.messages import Answer, Request
from tcdatalogger.services.torncity.lists import paging
from tcdatalogger.services.torncity.lists.cursor import TimeRange, WalkSummary
from tcdatalogger.services.warehouse.protocol import Warehouse


@dataclass(frozen=True, slots=True)
class Task:
    """What one run of one endpoint has to do.

    Attributes:
        name: the name of the endpoint in the configuration.
        endpoint: the endpoint of the catalogue.
        catalog_version: the version of the catalogue.
        run_id: the id of the run; every row has it.
        table: the name of the root table, "" for the name of the endpoint.
        mode: the storage mode.
        ids: values of the path's placeholder, one request each; empty for a path without one.
        params: the configured parameters of the query.
        key: the key columns of the root; empty for the key of the catalogue.
        columns: pairs of a column name of the shape and the user's name for it.
        checks: the configured checks.
        contract: what happens with a field that the catalogue lacks.
        max_pages: the most pages of a walk, None for the default.
        incremental: whether the run asks only for new rows, and leaves out rows that are stored.
        overlap: seconds that the run goes back behind its cursor, None for the path's default.
        since: how far the first incremental run goes back, seconds since 1970 by Torn's clock.
        stretch: the stretch of history that a backfill reads, None for a regular run.
        stretch_pages: the backfill may end after this many pages, when it is past its first second.
        max_drop: the largest share of the stored records that the run may delete, from 0 to 1.
        subject: the configured subject, None for none.
        accept_subject: whether the run may be about another subject than the last run.
        roots: the root tables of all configured endpoints.
        history_ignore: the columns that `history` does not compare; None for those of the catalogue
            that only restate a time.
    """

    name: str
    endpoint: Endpoint
    catalog_version: str = ""
    run_id: str = "by-hand"
    table: str = ""
    mode: str = "append"
    ids: tuple[str, ...] = ()
    params: tuple[tuple[str, str], ...] = ()
    key: tuple[str, ...] = ()
    columns: tuple[tuple[str, str], ...] = ()
    checks: tuple[Rule, ...] = ()
    contract: str = "evolve"
    max_pages: int | None = None
    incremental: bool = False
    overlap: float | None = None
    since: float = 0.0
    stretch: TimeRange | None = None
    stretch_pages: int = 20
    max_drop: float = 0.5
    subject: int | None = None
    accept_subject: bool = False
    roots: tuple[str, ...] = ()
    history_ignore: tuple[str, ...] | None = None

    @property
    def root_table(self) -> str:
        """The name of the root table."""
        return self.table or self.name

    @property
    def load_id(self) -> str:
        """The id of the load: the same for every try of a run, or of a stretch of history."""
        identity = f"{self.run_id}\n{self.name}"
        if self.stretch is not None:
            identity = f"{self.name}\n{self.stretch.text(self.asked)}"
        return sha256(identity.encode()).hexdigest()[:16]

    @property
    def asked(self) -> str:
        """Identifies the list, for any subject: a cursor of another list does not count."""
        identity = json.dumps([self.endpoint.path, sorted(self.params), self.root_table])
        return sha256(identity.encode()).hexdigest()[:12]

    @property
    def behind(self) -> int:
        """Whole seconds that the run goes back behind its cursor."""
        own = time_fields.settles(self.endpoint.path)
        return round(own if self.overlap is None else self.overlap)

    @property
    def once(self) -> bool:
        """Whether records that are stored already and have not changed are left out."""
        return self.incremental or self.stretch is not None


@dataclass(frozen=True, slots=True)
class Page:
    """One body and its origin.

    Attributes:
        body: the body, byte for byte.
        subject_id: the subject, None for data of the whole city.
        server_time: the time of the answer by the server's clock, seconds since 1970; None for a
            body from a file.
        answer: the whole answer, None for a body from a file.
    """

    body: bytes
    subject_id: int | None = None
    server_time: float | None = None
    answer: Answer | None = None

    @classmethod
    def of(cls, answer: Answer, subject_id: int | None) -> Page:
        """The page of an answer; its body is that of the answer, wherever it stands."""
        return _PageOfAnswer(answer, subject_id)


class _PageOfAnswer(Page):
    """A page whose body is read from its answer, but where `dataclasses.replace` gave another."""

    __slots__ = ("_own",)
    _own: bytes | None

    def __init__(
        self,
        answer: Answer | None,
        subject_id: int | None,
        server_time: float | None = None,
        body: bytes | None = None,
    ) -> None:
        if server_time is None and answer is not None:
            server_time = answer.server_time
        object.__setattr__(self, "subject_id", subject_id)
        object.__setattr__(self, "server_time", server_time)
        object.__setattr__(self, "answer", answer)
        object.__setattr__(self, "_own", body)

    @property
    def body(self) -> bytes:
        """The body of the answer, or its own."""
        if self._own is not None:
            return self._own
        return b"" if self.answer is None else self.answer.body


@dataclass(frozen=True, slots=True)
class Bodies(Sequence[bytes]):
    """The bodies of pages, each read when it is asked for."""

    pages: Sequence[Page]

    def __len__(self) -> int:
        return len(self.pages)

    def __getitem__(self, at: Any) -> Any:
        return self.pages[at].body


@dataclass(frozen=True, slots=True)
class Fetched:
    """The answers of a run, as `fetch_data` returns them.

    Attributes:
        pages: the pages in the order in which they came.
        warnings: whole sentences.
        readings: how far each walk went, for the cursor.
        stretch: the stretch of history that was read, None for a regular run.
        cut: what ended the fetch too early, so some pages are missing; None for a normal end.
        archive: the archive file with the answers, "" for none.
        params: the parameters that were asked with, those of the configuration and the defaults of
            the processor; None where that is unknown, as for bodies from files.
        key_owner: the player whose key made the first of the calls; None where that is unknown.
        scratch: where the bodies stand, and the rows where they are many; None for memory.
    """

    pages: tuple[Page, ...]
    warnings: tuple[str, ...] = ()
    readings: tuple[WalkSummary, ...] = ()
    stretch: TimeRange | None = None
    cut: BaseException | None = None
    archive: str = ""
    params: tuple[tuple[str, str], ...] | None = None
    key_owner: int | None = None
    scratch: Scratch | None = field(default=None, compare=False, repr=False)

    @property
    def at(self) -> float:
        """The time of the last answer by the server's clock, seconds since 1970; 0 for none."""
        return max((page.server_time or 0.0 for page in self.pages), default=0.0)

    @property
    def whole(self) -> bool:
        """Whether every walk read its list to the end."""
        return all(reading.complete for reading in self.readings)

    @classmethod
    def of(cls, *bodies: bytes) -> Fetched:
        """The answers for bodies from a file or a test."""
        return cls(tuple(Page(body) for body in bodies))

    def digest(self, task: Task, kind: type) -> str:
        """A text that is equal for two runs whose answers make exactly the same rows.

        Args:
            task: the task of the run.
            kind: the class that makes the rows.
        """
        how = [__version__, task.catalog_version, task.asked, task.key, task.contract, str(kind)]
        hasher = sha256(json.dumps([*how, task.columns, list(map(str, task.checks))]).encode())
        for page in self.pages:
            hasher.update(f"{page.subject_id} ".encode() + digest(page.body))
        return hasher.hexdigest()[:32]

    def json(self) -> Iterator[Any]:
        """The bodies as Python values, for processors of users."""
        return (json.loads(page.body) for page in self.pages)


@dataclass(frozen=True, slots=True)
class Transformed:
    """The rows of a run.

    Attributes:
        family: the schemas of the tables.
        tables: the rows by table name.
        drift: the fields that the catalogue does not know.
        rejected: the records that were set aside.
        unread: how many pages are no JSON object; each is a rejected record too.
        repeated: how many repeated records are left out.
        warnings: whole sentences.
        rejected_subjects: the subjects with a record that was set aside.
        lacking: the subjects with a page without data, not even an empty list.
        checks: the results of the checks.
    """

    family: TableFamily
    tables: Mapping[str, Rows]
    drift: tuple[Drift, ...] = ()
    rejected: tuple[RejectedRecord, ...] = ()
    unread: int = 0
    repeated: int = 0
    warnings: tuple[str, ...] = ()
    rejected_subjects: frozenset[int | None] = frozenset()
    lacking: frozenset[int | None] = frozenset()
    checks: tuple[CheckResult, ...] = ()

    def whole_of(self, fetched: Fetched | None) -> bool:
        """Whether all lists were read to their end; always true for bodies of a file (None)."""
        return not self.lacking and (fetched is None or fetched.whole)

    def readings(self, fetched: Fetched) -> tuple[WalkSummary, ...]:
        """How far the walks went; a walk with a page without data is not complete."""
        places = set(map(str, self.lacking))

        def whole(reading: WalkSummary) -> bool:
            return reading.complete and reading.place not in places and None not in self.lacking

        return tuple(replace(each, complete=whole(each)) for each in fetched.readings)

    def with_column(
        self,
        name: str,
        values: object,
        *,
        type: str = "",  # noqa: A002
        table: str = "",
    ) -> Transformed:
        """The same rows with one more column; everything else stays as it is.

        Args:
            name: the name of the column.
            values: one value for each row, in the order of the rows: an Arrow array, a list or a
                pandas series.
            type: `int`, `float`, `text`, `bool`, `time` or `json`; "" for the type of the
                values. A column of nulls only is left out where nothing says its type.
            table: the name of the table, "" for the root.

        Raises:
            ConfigError: the column or the table does not fit, or there are too few or many values.
        """
        rows = all_in_memory(self.tables)
        family, tables = with_values(self.family, rows, name, values, type=type, table=table)
        return replace(self, family=family, tables=tables)

    @property
    def rows(self) -> dict[str, int]:
        """The number of rows of each table."""
        return {name: table.num_rows for name, table in self.tables.items()}


Result = Transformed | ArrowStream | Mapping[str, ArrowStream]


@dataclass(frozen=True, slots=True)
class Source:
    """What a fetch needs to call Torn.

    Attributes:
        get: makes one call of Torn's API with the endpoint's key; None where calls are not allowed.
        host: host and port of the API, for links to further pages.
        subject: for a path without a subject: takes the section of the path and returns the id of
            the key owner's player, faction or company, or None for data of the whole city.
        ids: values of the path's placeholder that a query found; empty where the task has them.
        clock: Torn's clock, as far as it is known, else that of this machine.
        cursor: the cursor of the last run as the ledger has it, None for none.
    """

    get: Callable[[Request], Answer] | None = None
    host: str = paging.TORN_HOST
    subject: Callable[[str], int | None] = lambda _section: None
    ids: tuple[str, ...] = ()
    clock: Clock = field(default_factory=SystemClock)
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of an endpoint's tables before its rows are made.

    Attributes:
        shape: the shape of earlier loads with all learned fields; None before the first load.
        owners: the owners of the stored tables.
        warehouse: the warehouse with the tables, to see whether numbers of a column would change;
            None for none.
        telling: the parameters of the query in the key of the stored root table; None where there
            is no such table, or no parameter could be in its key.
        long: the columns of learned integers, as pairs of table and column, of which loads that
            are not in the tables yet have values that no float holds.
    """

    shape: Object | None = None
    owners: tuple[TableOwner, ...] = ()
    warehouse: Warehouse | None = None
    telling: frozenset[str] | None = None
    long: frozenset[tuple[str, str]] = frozenset()

    @classmethod
    def of(cls, warehouse: Warehouse, task: Task) -> Self:
        """What a warehouse knows of the endpoint of a task."""
        owners, root, plain = tuple(warehouse.owners()), task.root_table, task.endpoint.family
        names = parameters.of_content([name for name, _ in task.params])
        asks = plain is not None and parameters.telling(task.endpoint.path, plain, names)
        stored = any(owner.table == root for owner in owners)
        telling = warehouse.ledger.telling(root) if asks and stored else None
        return cls(warehouse.known(task.name), owners, warehouse, telling)
