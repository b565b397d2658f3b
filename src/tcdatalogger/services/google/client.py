"""The one way to BigQuery: each method is one thing that Google's API does, and no more.

What a call means for a warehouse is not known here. Three things hold for every call. It is tried
again by `retrying` only, never by Google's library, which would wait for ten minutes. Its errors
are ours (`refusals`). And it may be sent twice without harm: a job has a name that its caller
gives, so BigQuery refuses a second one of that name, and the first one is looked at instead.
"""

from __future__ import annotations

import io
import itertools
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Final, Literal, TypeVar

import pyarrow as pa
from google.api_core.client_info import ClientInfo
from google.api_core.exceptions import Conflict
from google.cloud import bigquery
from google.cloud.bigquery.table import TableListItem

from tcdatalogger.backoff import Backoff
from tcdatalogger.clock import Clock, SystemClock, utc
from tcdatalogger.errors import WarehouseUnavailable
from tcdatalogger.services.google import names, parquet, refusals
from tcdatalogger.services.google.access import Access
from tcdatalogger.services.google.address import Address
from tcdatalogger.services.google.parameters import Parameters, parameter
from tcdatalogger.services.google.retrying import ONCE, Patience, Retrying

_Job = TypeVar("_Job", bigquery.LoadJob, bigquery.QueryJob, bigquery.CopyJob)

Disposition = Literal["WRITE_EMPTY", "WRITE_APPEND", "WRITE_TRUNCATE"]

_POLLS: Final = Backoff(first=0.1, longest=2.0)
"""How long to wait before a job is looked at again."""
_ONE_REQUEST: Final = 5 * 1024 * 1024
"""Bytes of a file below which it is sent within the request that begins the job."""
_PAGE_TABLES: Final = 1_000
"""Tables of a dataset that are asked for at once."""
_PAGE_ROWS: Final = 50_000
"""Rows of a result that are asked for at once; BigQuery gives fewer where they are large."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a statement or a script did.

    Attributes:
        job: the name of its job.
        statement: what it was, in BigQuery's word: SELECT, MERGE, SCRIPT, …
        affected: the rows that a statement changed; None for a script or a query.
        billed: the bytes that are paid for.
    """

    job: str
    statement: str
    affected: int | None
    billed: int


@dataclass(frozen=True, slots=True)
class DryRun:
    """What a statement would do.

    Attributes:
        statement: what it is, in BigQuery's word: SELECT, MERGE, SCRIPT, …
        scanned: the bytes that it would read.
    """

    statement: str
    scanned: int


class Client:
    """Asks BigQuery about one dataset.

    Args:
        address: of the dataset. A statement that names only a table means one of this dataset.
        access: where BigQuery answers, and as whom it is asked.
        clock: to wait by.
        patience: how long.
        kms_key: the full name of the key of Cloud KMS for all tables that are made here, "" for
            Google's.

    Every method raises:
        ConfigError: somebody has to change something at Google first; the remedy has the command.
        WarehouseUnavailable: BigQuery cannot do it now; `reason` among the facts says why.
        DataRefused: BigQuery does not take the rows or the statement; `reason` says why.
    """

    def __init__(
        self,
        address: Address,
        access: Access,
        clock: Clock | None = None,
        *,
        patience: Patience | None = None,
        kms_key: str = "",
    ) -> None:
        self.address = address
        self._kms_key = kms_key
        self._clock = clock or SystemClock()
        self._retrying = Retrying(address, access.member, self._clock, patience or Patience())
        self._google = bigquery.Client(
            project=address.project,
            credentials=access.credentials,
            client_options={"api_endpoint": access.endpoint} if access.endpoint else None,
            client_info=_caller(),
        )
        self._dataset = bigquery.DatasetReference(address.project, address.dataset)

    def job_name(self, kind: str, *parts: str) -> str:
        """The name of a job of this dataset: a project knows its jobs only by their names.

        Args:
            kind: what the job does, as `load`; people see it in the list of jobs.
            parts: whatever makes the job another one: the id of the load, the table, a digest.
        """
        return names.job(kind, self.address.dataset, *parts)

    def close(self) -> None:
        """Close all connections."""
        self._google.close()  # type: ignore[no-untyped-call]  # google's

    # --- the dataset and its tables --------------------------------------------------------------

    @cached_property
    def location(self) -> str:
        """Where the dataset lies: a job has to be looked for in the place where it runs."""
        return self.address.location or str(self.dataset().location)

    def dataset(self) -> bigquery.Dataset:
        """The dataset as it is."""
        return self._retrying.ask(self._google.get_dataset, self._dataset)

    def reference(self, table: str) -> bigquery.TableReference:
        """How Google's library names a table of the dataset."""
        return self._dataset.table(table)

    def table(self, name: str) -> bigquery.Table | None:
        """A table as it is, with its etag; None where it is not there."""
        return self._retrying.look_for(self._google.get_table, self.reference(name))

    def tables(self) -> list[TableListItem]:
        """The tables, views and snapshots of the dataset: names, kinds, labels."""
        return self._retrying.ask(self._tables)

    def _tables(self, **one_try: Any) -> list[TableListItem]:
        return list(self._google.list_tables(self._dataset, page_size=_PAGE_TABLES, **one_try))

    def create(self, table: bigquery.Table) -> bigquery.Table:
        """Make a table; one that is there already is given as it is.

        Args:
            table: its reference comes from `reference`.
        """
        if self._kms_key:
            table.encryption_configuration = bigquery.EncryptionConfiguration(self._kms_key)
        make = partial(
            self._google.create_table, table, retry=ONCE, timeout=self._retrying.patience.call
        )
        made = self._retrying.unless(Conflict, make)
        return made or self._retrying.ask(self._google.get_table, table.reference)

    def patch(self, table: bigquery.Table, fields: Sequence[str]) -> bigquery.Table:
        """Change fields of a table, if nobody has changed the table since it was read.

        Where it was changed meanwhile the reason is `conditionNotMet`: read it again. That is also
        the answer where the change was made and the first answer was lost.

        Args:
            table: as `table` gave it, with the new values.
            fields: the names of the attributes that are new.
        """
        return self._retrying.ask(self._google.update_table, table, fields)

    def delete(self, name: str) -> None:
        """Delete a table, a view or a snapshot; one that is not there is no error."""
        self._retrying.ask(self._google.delete_table, self.reference(name), not_found_ok=True)

    def read(self, table: bigquery.Table, columns: Sequence[str]) -> pa.Table:
        """Some columns of all rows of a table, in no order, without a job: it costs nothing.

        Args:
            table: as `table` gave it.
            columns: their names.
        """
        return self._retrying.make(partial(self._read, table, columns))

    def _read(self, table: bigquery.Table, columns: Sequence[str]) -> pa.Table:
        found = self._google.list_rows(
            table,
            # In the order of the table: in this one BigQuery gives them.
            selected_fields=[field for field in table.schema if field.name in columns],
            page_size=_PAGE_ROWS,
            retry=ONCE,
            timeout=self._retrying.patience.call,
        )
        return found.to_arrow(create_bqstorage_client=False).select(list(columns))

    # --- jobs ------------------------------------------------------------------------------------

    def load(
        self,
        table: str,
        rows: pa.Table,
        schema: Sequence[bigquery.SchemaField],
        *,
        name: str,
        labels: Mapping[str, str],
        disposition: Disposition = "WRITE_EMPTY",
        expires: float | None = None,
    ) -> None:
        """Put rows into a table: all of them, or none.

        Args:
            table: it has to be there, unless it is made with `expires`.
            rows: their types are those of `parquet.ARROW`.
            schema: of the table.
            name: of the job, as `job_name` makes one: of all that makes these rows other rows.
            labels: for the job, and for a table that is made.
            disposition: what happens to rows that are there: they refuse the load, they stay, or
                they give way.
            expires: when BigQuery deletes the table, seconds since 1970. The table is made if it is
                not there. None for a table that stays.

        Raises:
            DataRefused: a column is of another type than the table's; nothing was sent.
        """
        parquet.check(rows, schema)
        if expires is not None:
            self._make_staging(table, schema, labels, expires)
        body = parquet.written(rows)
        config = bigquery.LoadJobConfig(
            schema=list(schema),
            source_format=bigquery.SourceFormat.PARQUET,
            create_disposition=bigquery.CreateDisposition.CREATE_NEVER,
            write_disposition=disposition,
            labels=names.labels(labels),
        )
        self._finished(
            name,
            partial(self._begin_load, body, table, config),
            # Staging may have expired since its job was done. A table that stays is never loaded
            # twice: others may have changed it since.
            stands=None if expires is None else partial(self._holds, table, rows.num_rows),
        )

    def _make_staging(
        self,
        name: str,
        schema: Sequence[bigquery.SchemaField],
        labels: Mapping[str, str],
        expires: float,
    ) -> None:
        wanted = bigquery.Table(self.reference(name), schema=list(schema))
        wanted.labels = names.labels(labels)
        wanted.expires = utc(expires)
        there = self.create(wanted)
        if there.expires is None or there.expires < wanted.expires:
            there.expires = wanted.expires
            self.patch(there, ["expires"])

    def _holds(self, table: str, rows: int) -> bool:
        there = self.table(table)
        return there is not None and there.num_rows == rows

    def _begin_load(
        self, body: bytes, table: str, config: bigquery.LoadJobConfig, name: str
    ) -> bigquery.LoadJob:
        return self._google.load_table_from_file(
            io.BytesIO(body),
            self.reference(table),
            size=len(body) if len(body) < _ONE_REQUEST else None,
            num_retries=0,
            job_id=name,
            location=self.location,
            job_config=config,
            timeout=self._retrying.patience.call,
        )

    def run(
        self,
        sql: str,
        *,
        name: str = "",
        parameters: Parameters | None = None,
        labels: Mapping[str, str] | None = None,
        most_billed: int | None = None,
    ) -> Ran:
        """Run a statement, or a script of several, once.

        Args:
            sql: GoogleSQL.
            name: of the job, as `job_name` makes one; "" for one that is never asked for again.
            parameters: for `@name` in the statement.
            labels: for the job.
            most_billed: bytes; a statement that would cost more is refused. None for any.
        """
        job = self._query(sql, name, parameters, labels, most_billed)
        return Ran(
            job=str(job.job_id),
            statement=job.statement_type or "",
            affected=job.num_dml_affected_rows,
            billed=job.total_bytes_billed or 0,
        )

    def ask(
        self,
        sql: str,
        *,
        name: str = "",
        parameters: Parameters | None = None,
        labels: Mapping[str, str] | None = None,
        most_billed: int | None = None,
    ) -> pa.Table:
        """The rows of a query, or of the last statement of a script; arguments as of `run`."""
        job = self._query(sql, name, parameters, labels, most_billed)
        return self._retrying.make(partial(self._rows, job))

    def _rows(self, job: bigquery.QueryJob) -> pa.Table:
        found = job.result(
            page_size=_PAGE_ROWS, retry=ONCE, job_retry=ONCE, timeout=self._retrying.patience.call
        )
        return found.to_arrow(create_bqstorage_client=False)

    def pages(self, sql: str, *, labels: Mapping[str, str] | None = None) -> Iterator[pa.Table]:
        """The rows of a query, page by page: each is read when it is taken, and again if it fails.

        BigQuery keeps the result for a day.
        """
        job = self._query(sql, "", None, labels, None)
        found = self._retrying.ask(self._google.get_table, job.destination)
        start = 0
        while start < (found.num_rows or 0):
            rows = self._retrying.make(partial(self._page, found, start))
            start += rows.num_rows
            yield rows

    def _page(self, table: bigquery.Table, start: int) -> pa.Table:
        found = self._google.list_rows(
            table,
            start_index=start,
            max_results=_PAGE_ROWS,
            retry=ONCE,
            timeout=self._retrying.patience.call,
        )
        return found.to_arrow(create_bqstorage_client=False)

    def dry_run(self, sql: str, parameters: Parameters | None = None) -> DryRun:
        """What a statement would do, for nothing; it is parsed and its names are looked up."""
        config = self._query_config(parameters, None, None)
        config.dry_run = True
        config.use_query_cache = False
        job = self._retrying.make(
            partial(self._begin_query, sql, config, f"tcd-dry-{uuid.uuid4().hex}")
        )
        self._raise_for(job)
        return DryRun(job.statement_type or "", job.total_bytes_processed or 0)

    def _query(
        self,
        sql: str,
        name: str,
        parameters: Parameters | None,
        labels: Mapping[str, str] | None,
        most_billed: int | None,
    ) -> bigquery.QueryJob:
        config = self._query_config(parameters, labels, most_billed)
        # Also a job that nobody asks for again has a name: its answer may be lost.
        name = name or f"tcd-query-{uuid.uuid4().hex}"
        return self._finished(name, partial(self._begin_query, sql, config))

    def _query_config(
        self,
        parameters: Parameters | None,
        labels: Mapping[str, str] | None,
        most_billed: int | None,
    ) -> bigquery.QueryJobConfig:
        config = bigquery.QueryJobConfig(
            default_dataset=self._dataset,
            labels=names.labels(labels or {}),
            query_parameters=[parameter(*pair) for pair in (parameters or {}).items()],
            use_legacy_sql=False,
        )
        if most_billed is not None:
            config.maximum_bytes_billed = most_billed
        return config

    def _begin_query(
        self, sql: str, config: bigquery.QueryJobConfig, name: str
    ) -> bigquery.QueryJob:
        return self._google.query(
            sql,
            job_config=config,
            job_id=name,
            location=self.location,
            retry=ONCE,
            job_retry=ONCE,
            timeout=self._retrying.patience.call,
        )

    def copy(
        self,
        sources: Sequence[str],
        to: str,
        *,
        name: str,
        labels: Mapping[str, str],
        disposition: Disposition = "WRITE_EMPTY",
    ) -> None:
        """Copy the rows of tables into one: all of them, or none. It costs nothing.

        Args:
            sources: names of tables; `table@MILLISECONDS` for one as it was then.
            to: the table that gets the rows; it is made if it is not there.
            name: of the job, as `job_name` makes one.
            labels: for the job.
            disposition: what happens to rows that are there: they refuse the copy, they stay, or
                they give way.
        """
        config = bigquery.CopyJobConfig(write_disposition=disposition, labels=names.labels(labels))
        found = [self.reference(source) for source in sources]
        self._finished(name, partial(self._begin_copy, found, to, config))

    def snapshot(
        self, source: str, to: str, *, name: str, labels: Mapping[str, str], expires: float | None
    ) -> None:
        """Keep a table as it is now, to be read only; what is kept costs what differs later.

        Args:
            source: the table.
            to: the snapshot's name.
            name: of the job, as `job_name` makes one.
            labels: for the job.
            expires: when BigQuery deletes the snapshot, seconds since 1970; None for never.
        """
        config = bigquery.CopyJobConfig(labels=names.labels(labels))
        config.operation_type = bigquery.OperationType.SNAPSHOT
        if expires is not None:
            config.destination_expiration_time = f"{utc(expires):%Y-%m-%dT%H:%M:%SZ}"
        self._finished(name, partial(self._begin_copy, [self.reference(source)], to, config))

    def restore(
        self,
        snapshot: bigquery.TableReference,
        to: str,
        *,
        name: str,
        labels: Mapping[str, str],
    ) -> None:
        """Make a table of a snapshot; one that is there and has rows refuses it.

        Args:
            snapshot: of any dataset in the same place, as `reference` gives one.
            to: the name of the table.
            name: of the job, as `job_name` makes one.
            labels: for the job.
        """
        config = bigquery.CopyJobConfig(
            write_disposition=bigquery.WriteDisposition.WRITE_EMPTY, labels=names.labels(labels)
        )
        config.operation_type = bigquery.OperationType.RESTORE
        self._finished(name, partial(self._begin_copy, [snapshot], to, config))

    def _begin_copy(
        self,
        sources: Sequence[bigquery.TableReference],
        to: str,
        config: bigquery.CopyJobConfig,
        name: str,
    ) -> bigquery.CopyJob:
        return self._google.copy_table(
            sources,
            self.reference(to),
            job_id=name,
            location=self.location,
            job_config=config,
            retry=ONCE,
            timeout=self._retrying.patience.call,
        )

    def _finished(
        self, name: str, begin: Callable[[str], _Job], stands: Callable[[], bool] | None = None
    ) -> _Job:
        """The job of a name when it has ended well; a job that failed earlier is begun anew.

        Args:
            name: of the first attempt; the second one's ends with `-2`.
            begin: begins a job of a name.
            stands: asked about a job that ended well earlier: whether what it did is still there.
        """
        for attempt in itertools.count(1):
            of = name if attempt == 1 else f"{name}-{attempt}"
            begun = self._retrying.unless(Conflict, partial(begin, of))
            job = self._met(of) if begun is None else begun
            self._wait(job)
            if begun is not None:
                self._raise_for(job)
                return job
            if job.error_result is None and (stands is None or stands()):
                return job
        raise AssertionError

    def _met(self, name: str) -> Any:
        """The job of a name that BigQuery has already, whatever its kind."""
        return self._retrying.ask(self._google.get_job, name, location=self.location)

    def _wait(self, job: Any) -> None:
        """Return when a job has ended, well or not."""
        waited, polls = 0.0, 0
        while job.state != "DONE":
            if waited > self._retrying.patience.job:
                raise WarehouseUnavailable(
                    f"The job {job.job_id} of BigQuery is not done after {waited:.0f} s.",
                    remedy="It goes on; the next run looks at it again.",
                    reason="running",
                )
            polls += 1
            pause = _POLLS.pause(polls)
            self._clock.sleep(pause)
            waited += pause
            self._retrying.ask(job.reload)

    def _raise_for(self, job: Any) -> None:
        if job.error_result is not None:
            raise self._retrying.failure(refusals.of_job(job.error_result))


def _caller() -> ClientInfo:
    return ClientInfo(user_agent="tcdatalogger")  # type: ignore[no-untyped-call]  # google's
