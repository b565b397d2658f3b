"""Where the emulator answers otherwise than BigQuery: one place, looked at by a test.

None of it sets what this program promises. What BigQuery does is from its documentation, not seen
here. A test that meets one of these asks for it by name, and `test_emulator.py` tells when a new
version of the emulator answers rightly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
from google.api_core.exceptions import GoogleAPICallError
from google.cloud import bigquery as google
from google.cloud.bigquery import SchemaField


@dataclass(frozen=True)
class Asked:
    """The emulator by Google's own library: what is looked at is its answers, not our client.

    Attributes:
        google: the client of the library.
        dataset: PROJECT.DATASET, empty.
    """

    google: google.Client
    dataset: str

    def name(self, table: str) -> str:
        return f"{self.dataset}.{table}"

    def make(self, name: str, *fields: tuple[str, str, str], **rest: object) -> google.Table:
        table = google.Table(self.name(name), [SchemaField(n, k, m) for n, k, m in fields])
        for field, value in rest.items():
            setattr(table, field, value)
        return self.google.create_table(table, retry=None, timeout=60)

    def table(self, name: str) -> google.Table:
        return self.google.get_table(self.name(name), retry=None, timeout=60)

    def run(self, sql: str) -> list[google.Row]:
        config = google.QueryJobConfig(default_dataset=self.dataset)
        job = self.google.query(sql, config, retry=None, job_retry=None, timeout=60)
        return list(job.result(retry=None, job_retry=None, timeout=60))

    def load(self, name: str, rows: pa.Table, *schema: SchemaField, **config: object) -> None:
        sink = pa.BufferOutputStream()
        pq.write_table(rows, sink)
        job = self.google.load_table_from_file(
            pa.BufferReader(sink.getvalue()), self.name(name), num_retries=0, timeout=60,
            job_config=google.LoadJobConfig(
                schema=list(schema), source_format="PARQUET", **config  # as they are named there
            ),
        )  # fmt: skip
        job.result(retry=None, timeout=60)

    def copy(self, source: str, to: str, **config: object) -> None:
        job = self.google.copy_table(
            self.name(source), self.name(to), job_config=google.CopyJobConfig(**config),
            retry=None, timeout=60,
        )  # fmt: skip
        job.result(retry=None, timeout=60)


@dataclass(frozen=True)
class Wrong:
    """One wrong answer.

    Attributes:
        right: what BigQuery does.
        guard: what keeps this program right though the emulator would not show a fault.
        still: whether the emulator still answers wrongly.
    """

    right: str
    guard: str
    still: Callable[[Asked], bool]


def refuses(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except GoogleAPICallError:
        return True
    return False


def json_from_parquet(bq: Asked) -> bool:
    bq.make("t", ("j", "JSON", "NULLABLE"))
    rows = pa.table({"j": ["[1]"]})
    return not refuses(lambda: bq.load("t", rows, SchemaField("j", "JSON")))


def number_into_text(bq: Asked) -> bool:
    bq.make("t", ("s", "STRING", "NULLABLE"))
    rows = pa.table({"s": [1]})
    return not refuses(lambda: bq.load("t", rows, SchemaField("s", "STRING")))


def expiry_of_a_snapshot(bq: Asked) -> bool:
    bq.make("t", ("i", "INT64", "NULLABLE"))
    bq.copy("t", "kept", operation_type="SNAPSHOT",
            destination_expiration_time="2030-01-01T00:00:00Z")  # fmt: skip
    return bq.table("kept").expires is None


def snapshot_with_options(bq: Asked) -> bool:
    bq.make("t", ("i", "INT64", "NULLABLE"))
    return refuses(
        lambda: bq.run(
            "create snapshot table kept clone t options "
            "(expiration_timestamp = timestamp '2030-01-01')"
        )
    )


def layout_of_a_copy(bq: Asked) -> bool:
    bq.make("t", ("i", "INT64", "REQUIRED"), ("seen", "TIMESTAMP", "NULLABLE"),
            time_partitioning=google.TimePartitioning(type_="MONTH", field="seen"),
            clustering_fields=["i"])  # fmt: skip
    bq.copy("t", "other")
    return bq.table("other").time_partitioning is None


def required_after_truncate(bq: Asked) -> bool:
    bq.make("t", ("i", "INT64", "REQUIRED"))
    field = SchemaField("i", "INT64", "REQUIRED")
    bq.load("t", pa.table({"i": [1]}), field, write_disposition="WRITE_TRUNCATE")
    return bq.table("t").schema[0].mode == "NULLABLE"


def type_that_is_patched(bq: Asked) -> bool:
    table = bq.make("t", ("seen", "TIMESTAMP", "NULLABLE"))
    table.schema = [SchemaField("seen", "STRING")]
    return not refuses(lambda: bq.google.update_table(table, ["schema"], retry=None))


def bytes_of_a_dry_run(bq: Asked) -> bool:
    bq.make("t", ("i", "INT64", "NULLABLE"))
    bq.run("insert into t (i) values (1), (2)")
    config = google.QueryJobConfig(dry_run=True, default_dataset=bq.dataset)
    return bq.google.query("select i from t", config, retry=None).total_bytes_processed == 0


def mixed_times(bq: Asked) -> bool:
    seen = datetime(2026, 1, 1, tzinfo=UTC).isoformat()
    sql = f"select timestamp_diff(cast(timestamp '{seen}' as datetime), timestamp '{seen}', day)"
    return not refuses(lambda: bq.run(sql))


def table_without_its_dataset(bq: Asked) -> bool:
    try:
        bq.google.get_table("tcd-tests.nowhere.t", retry=None, timeout=60)
    except GoogleAPICallError as error:
        return "Dataset" not in str(error.errors[0]["message"])
    return True


def clone_of_a_table_that_wants_a_filter(bq: Asked) -> bool:
    bq.make("t", ("seen", "TIMESTAMP", "NULLABLE"), require_partition_filter=True,
            time_partitioning=google.TimePartitioning(type_="MONTH", field="seen"))  # fmt: skip
    return refuses(lambda: bq.run("create table kept clone t"))


WRONG = (
    Wrong("refuses JSON in Parquet: 'Unsupported field type: JSON'",
          "services/google/parquet.py sends no JSON column", json_from_parquet),
    Wrong("refuses an INT64 column of a file for a STRING column",
          "services/google/parquet.py compares types before it sends", number_into_text),
    Wrong("keeps `destinationExpirationTime` of a snapshot",
          "a test looks at what is sent", expiry_of_a_snapshot),
    Wrong("takes OPTIONS (expiration_timestamp) of CREATE SNAPSHOT TABLE",
          "a snapshot is made by a copy job", snapshot_with_options),
    Wrong("keeps partitions, clustering, modes and descriptions in a copy to a new table",
          "make the table first, then copy into it", layout_of_a_copy),
    Wrong("keeps REQUIRED in a load with WRITE_TRUNCATE and the whole schema",
          "none: a table that stays is not loaded with WRITE_TRUNCATE", required_after_truncate),
    Wrong("refuses to patch a TIMESTAMP column into STRING",
          "the warehouse plans changes of types itself", type_that_is_patched),
    Wrong("tells the bytes that a dry run would read",
          "none: what a query costs is not tested here", bytes_of_a_dry_run),
    Wrong("refuses TIMESTAMP_DIFF of a DATETIME and a TIMESTAMP",
          "analyzer.py refuses it", mixed_times),
    Wrong("clones a table whose queries have to say which time they mean",
          "none: `replace` of such a table is not tested", clone_of_a_table_that_wants_a_filter),
    Wrong("says of a table whose dataset is not there: 'Not found: Dataset'",
          "`Client.dataset` asks for the dataset itself", table_without_its_dataset),
)  # fmt: skip
