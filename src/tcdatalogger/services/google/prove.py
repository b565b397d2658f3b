"""Proves what may be done in a dataset, by doing each thing once; nothing is left behind."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

import pyarrow as pa
from google.cloud.bigquery import SchemaField, Table

from tcdatalogger.clock import utc
from tcdatalogger.errors import ConfigError, Failure, TryAgain
from tcdatalogger.services.google.client import Client

_SCHEMA: Final = (SchemaField("i", "INT64"),)
_ROW: Final = pa.table({"i": pa.array([1], pa.int64())})
_HOUR: Final = 3_600.0
"""Seconds after which BigQuery deletes the table, where this program could not."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What came of one thing that was tried.

    Attributes:
        what: was tried: `jobs` of the project, `tables` of the dataset.
        failure: why it cannot be done, None where it can.
    """

    what: str
    failure: Failure | None = None


def place(client: Client) -> str:
    """Where the dataset lies.

    Raises:
        ConfigError: it is not there, it lies elsewhere than the address says, or it deletes its
            tables by itself.
        WarehouseUnavailable: BigQuery cannot be asked now.
    """
    address, dataset = client.address, client.dataset()
    lies = str(dataset.location)
    if address.location is not None and address.location.lower() != lies.lower():
        raise ConfigError(
            f"The dataset {address} lies in {lies}, and the address says {address.location}.",
            remedy=f"Write bigquery://{address.project}/{address.dataset}?location={lies}.",
        )
    if dataset.default_table_expiration_ms or dataset.default_partition_expiration_ms:
        raise ConfigError(
            f"BigQuery deletes what is in {address} after a while: the dataset says so.",
            remedy="Let it stay: `bq update --default_table_expiration 0 "
            f"--default_partition_expiration 0 {address.project}:{address.dataset}`.",
        )
    return lies


def prove(client: Client, now: float) -> Iterator[Proof]:
    """Whether the account may do all that the warehouse does: two proofs, or more that failed.

    A query is parsed, and a table is made, loaded, changed and deleted. It costs what BigQuery asks
    for the smallest query: 10 MB.

    Args:
        client: of a dataset that is there.
        now: seconds since 1970.
    """
    name = f"_tcd_check_{uuid.uuid4().hex}"
    jobs = _tried(partial(client.dry_run, "select 1"))
    yield Proof("jobs", jobs)
    if isinstance(jobs, TryAgain):
        return
    steps = [partial(_make, client, name, now), partial(_change, client, name)]
    if jobs is None:
        steps += [partial(step, client, name) for step in (_load, _insert, _read)]
    wrong: list[Failure] = []
    made = False
    try:
        for step in steps:
            failure = _tried(step)
            wrong += [] if failure is None else [failure]
            if isinstance(failure, TryAgain) or not (made or failure is None):
                break  # the others cannot be tried
            made = True
    finally:
        gone = _tried(partial(client.delete, name))
    wrong += [gone] if made and gone is not None else []
    told = {str(failure): failure for failure in wrong}
    yield from [Proof("tables", failure) for failure in told.values()] or [Proof("tables")]


def _tried(act: Callable[[], object]) -> Failure | None:
    try:
        act()
    except Failure as failure:
        return failure
    return None


def _make(client: Client, name: str, now: float) -> None:
    table = Table(client.reference(name), schema=_SCHEMA)
    table.expires = utc(now + _HOUR)
    client.create(table)


def _change(client: Client, name: str) -> None:
    table = client.table(name)
    if table is not None:
        table.description = "tcdatalogger check"
        client.patch(table, ["description"])


def _load(client: Client, name: str) -> None:
    job = client.job_name("check", name)
    client.load(name, _ROW, _SCHEMA, name=job, labels={}, disposition="WRITE_APPEND")


def _insert(client: Client, name: str) -> None:
    """Also a project without billing loads and reads, but it changes no rows by statements."""
    client.run(f"insert into `{name}` (i) values (2)")


def _read(client: Client, name: str) -> None:
    client.ask(f"select i from `{name}`")
