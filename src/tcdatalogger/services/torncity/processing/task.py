"""What goes into a run of one endpoint and from step to step: its task, tools, pages and rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, Self

import pyarrow as pa

from tcdatalogger import __version__
from tcdatalogger.clock import Clock, SystemClock
from tcdatalogger.models.checks.promised import CheckResult
from tcdatalogger.models.checks.rules import Rule
from tcdatalogger.models.owners import TableOwner
from tcdatalogger.models.reading.row_reader import RejectedRecord
from tcdatalogger.models.rows.drift import Drift
from tcdatalogger.models.rows.frames import ArrowStream
from tcdatalogger.models.schema import TableFamily
from tcdatalogger.models.shape import Object
from tcdatalogger.services.torncity.catalog import time_fields
from tcdatalogger.services.torncity.catalog.catalog import Endpoint
from tcdatalogger.services.torncity.client.envelope import digest
from tcdatalogger.services.torncity.client.messages import Answer, Request
from tcdatalogger.services.torncity.lists import paging
from tcdatalogger.services.torncity.lists.cursor import TimeRange, WalkSummary
from tcdatalogger.services.warehouse.protocol import Warehouse


@dataclass(frozen=True, slots=True)
class Task:
    """What one run of one endpoint is to do.

    Attributes:
        name: of the endpoint in the configuration.
        endpoint: from the catalogue.
        catalog_version: of that catalogue.
        run_id: of the run; it stands on every row.
        table: the root table.
        mode: the storage mode.
        ids: values of the path's placeholder, one request each; empty where it has none.
        params: of the query, as configured.
        key: columns of the root that are its key; empty for the catalogue's own.
        columns: names of the user's own for columns, by ours.
        checks: of the rows of each run, as the user configures them.
        contract: what to do with a field that the catalogue lacks.
        max_pages: after how many pages a walk stops, None for no limit of ours.
        incremental: whether only what is new is asked for, and what is stored already is left out.
        overlap: seconds that a run goes back behind its cursor, None for the path's own.
        since: how far the first run goes back, seconds since 1970.
        stretch: what a backfill reads, None for a regular run.
        stretch_pages: after how many pages it may end, when it has left its first second.
        max_drop: the largest share of the records there are that may vanish by it.
        subject: whose data is meant, where the configuration names them.
        accept_subject: whether it may be somebody else's than that of the last run.
        roots: the root tables of all endpoints that are configured.
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

    @property
    def root_table(self) -> str:
        return self.table or self.name

    @property
    def load_id(self) -> str:
        """The same for every try of the same run; a backfill's hangs on its stretch alone."""
        told = f"{self.run_id}\n{self.name}"
        if self.stretch is not None:
            told = f"{self.name}\n{self.stretch.text(self.asked)}"
        return sha256(told.encode()).hexdigest()[:16]

    @property
    def asked(self) -> str:
        """What is asked for, whoever it is about: a cursor of something else is no cursor."""
        told = json.dumps([self.endpoint.path, sorted(self.params), self.root_table])
        return sha256(told.encode()).hexdigest()[:12]

    @property
    def behind(self) -> int:
        """Whole seconds that a run goes back behind its cursor."""
        own = time_fields.settles(self.endpoint.path)
        return round(own if self.overlap is None else self.overlap)

    @property
    def once(self) -> bool:
        """Whether a record that is stored already and has not changed is left out."""
        return self.incremental or self.stretch is not None


@dataclass(frozen=True, slots=True)
class Page:
    """One body and where it came from.

    Attributes:
        body: byte for byte.
        subject_id: whom it is about, None for city-wide data.
        server_time: when it was answered by the server's clock, None for a body from a file.
        answer: the whole answer, None for a body from a file.
    """

    body: bytes
    subject_id: int | None = None
    server_time: float | None = None
    answer: Answer | None = None


@dataclass(frozen=True, slots=True)
class Fetched:
    """What `fetch_data` brought.

    Attributes:
        pages: in the order in which they came.
        warnings: what was odd about them, whole sentences.
        readings: how far each walk went, for the cursor.
        stretch: what a backfill has read with it, None for a regular run.
        cut: what ended it before its time; its pages are those that had come. None where it came to
            its own end.
        archive: the file that holds its answers, "" where there is none.
    """

    pages: tuple[Page, ...]
    warnings: tuple[str, ...] = ()
    readings: tuple[WalkSummary, ...] = ()
    stretch: TimeRange | None = None
    cut: BaseException | None = None
    archive: str = ""

    @property
    def at(self) -> float:
        """The time of the last answer by the server's clock, seconds since 1970; 0 for none."""
        return max((page.server_time or 0.0 for page in self.pages), default=0.0)

    @property
    def whole(self) -> bool:
        """Whether every walk came to its end."""
        return all(one.complete for one in self.readings)

    @classmethod
    def of(cls, *bodies: bytes) -> Fetched:
        """Bodies from a file or a test."""
        return cls(tuple(Page(body) for body in bodies))

    def digest(self, task: Task, kind: type) -> str:
        """Tells whether another run's answers would make the very same rows.

        Args:
            task: what was asked for.
            kind: the class that makes the rows.
        """
        how = [__version__, task.catalog_version, task.asked, task.key, task.contract, str(kind)]
        told = sha256(json.dumps([*how, task.columns, list(map(str, task.checks))]).encode())
        for page in self.pages:
            told.update(f"{page.subject_id} ".encode() + digest(page.body))
        return told.hexdigest()[:32]

    def json(self) -> Iterator[Any]:
        """The bodies as Python values, for processors that like them so."""
        return (json.loads(page.body) for page in self.pages)


@dataclass(frozen=True, slots=True)
class Transformed:
    """Rows, before anybody looked at them.

    Attributes:
        family: the tables.
        tables: their rows, by name.
        drift: what the catalogue did not know.
        rejected: the records that were set aside.
        unread: pages that are no JSON object at all; each is a rejected record too.
        repeated: records that came on two pages and count once.
        warnings: what was odd, whole sentences.
        rejected_subjects: the subjects with a record that was set aside.
        lacking: the subjects of which a page had no data, not even an empty list.
        checks: what came of the checks of the rows.
    """

    family: TableFamily
    tables: Mapping[str, pa.Table]
    drift: tuple[Drift, ...] = ()
    rejected: tuple[RejectedRecord, ...] = ()
    unread: int = 0
    repeated: int = 0
    warnings: tuple[str, ...] = ()
    rejected_subjects: frozenset[int | None] = frozenset()
    lacking: frozenset[int | None] = frozenset()
    checks: tuple[CheckResult, ...] = ()

    def whole_of(self, fetched: Fetched | None) -> bool:
        """Whether all that was asked for was read to its end; what nobody fetched is whole."""
        return not self.lacking and (fetched is None or fetched.whole)

    def readings(self, fetched: Fetched) -> tuple[WalkSummary, ...]:
        """How far the walks went; one with a page that lacks its data came to no end."""
        places = set(map(str, self.lacking))

        def whole(one: WalkSummary) -> bool:
            return one.complete and one.place not in places and None not in self.lacking

        return tuple(replace(one, complete=whole(one)) for one in fetched.readings)

    @property
    def rows(self) -> dict[str, int]:
        return {name: table.num_rows for name, table in self.tables.items()}


Result = Transformed | ArrowStream | Mapping[str, ArrowStream]


@dataclass(frozen=True, slots=True)
class Source:
    """What a fetch asks, and what it has to know for that.

    Attributes:
        get: one call of Torn's API with the endpoint's key; None where nobody may call.
        host: of the API, for links to further pages.
        subject: whom rows are about when the path does not say it: given the section of the path,
            the id of the key owner's player, faction or company, or None for city-wide data.
        ids: values of the path's placeholder that a query found; empty where the task has them.
        clock: what is read.
        cursor: where the run before left off, as the ledger has it.
    """

    get: Callable[[Request], Answer] | None = None
    host: str = paging.TORN_HOST
    subject: Callable[[str], int | None] = lambda _section: None
    ids: tuple[str, ...] = ()
    clock: Clock = field(default_factory=SystemClock)
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of an endpoint's tables before rows are made for them.

    Attributes:
        shape: of earlier loads, with what they learned; None before the first.
        owners: whose the tables are that are there.
        warehouse: that holds them, to look whether numbers of a column would change; None for none.
    """

    shape: Object | None = None
    owners: tuple[TableOwner, ...] = ()
    warehouse: Warehouse | None = None

    @classmethod
    def of(cls, warehouse: Warehouse, endpoint: str) -> Self:
        """What a warehouse knows of an endpoint."""
        return cls(warehouse.known(endpoint), tuple(warehouse.owners()), warehouse)
