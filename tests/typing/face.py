"""The public face under `mypy --strict`, as a program of somebody else uses it.

`make lint` checks this file; nothing runs it. What is wrong is marked with its error: were it no
longer an error, mypy would say that the mark is not needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, assert_type

import pyarrow as pa

import tcdatalogger
from tcdatalogger import EndpointProcessor, Fetched, Page, Task, Transformed, errors

# What is right.

logger = tcdatalogger.open("tcdatalogger.toml")
assert_type(logger, tcdatalogger.DataLogger)
tcdatalogger.open()
tcdatalogger.open(Path("tcdatalogger.toml"), environ={"TORN_API_KEY": "…"})
tcdatalogger.open({"endpoints": [{"name": "members", "path": "/faction/members"}]})
with tcdatalogger.open() as opened:
    assert_type(opened, tcdatalogger.DataLogger)

assert_type(logger.endpoints, tuple[str, ...])
result = logger.run("members", step="transform", dry_run=True)
assert_type(result, tcdatalogger.RunResult)
assert_type(result.status, str)
assert_type(result.rows, Mapping[str, int])
assert_type(result.error, errors.Failure | None)
assert_type(result.fetched, Fetched | None)
assert_type(result.raise_for_error(), tcdatalogger.RunResult)
assert_type(logger.resume(result.run_id), tcdatalogger.RunResult)
assert_type(logger.runs("members", status="done", limit=5), tuple[tcdatalogger.RunView, ...])
assert_type(logger.status(), tcdatalogger.Status)
assert_type(logger.tables(), list[str])
assert_type(logger.processor("members"), EndpointProcessor)
table: pa.Table = logger.table("members")
rows: pa.Table = logger.query("select 1")

try:
    logger.run("members").raise_for_error()
except errors.Busy as busy:
    assert_type(busy.remedy, str)

with tcdatalogger.Sandbox() as city:
    assert_type(city.keys, dict[str, str])


class Levels(EndpointProcessor):
    """A processor with frames of its own."""

    defaults: ClassVar[Mapping[str, str]] = {"striptags": "true"}

    def transform_data(self, fetched: Fetched) -> dict[str, pa.Table]:
        """Make one table."""
        assert_type(self.task, Task)
        assert_type(fetched.pages, tuple[Page, ...])
        bodies: list[Any] = list(fetched.json())
        return {self.task.root_table: pa.Table.from_pylist(bodies)}


class Whole(EndpointProcessor):
    """A processor that goes on from what the catalogue makes."""

    def validate(
        self, result: tcdatalogger.Transformed | Any, fetched: Fetched | None = None
    ) -> Transformed:
        """Look at the rows as well."""
        return super().validate(result, fetched)

    def transform_data(self, fetched: Fetched) -> Transformed:
        """Add a column."""
        made = self.as_tables(super().transform_data(fetched))
        return made.with_column("one", [1] * made.rows["members"], type="int")


# What is wrong.

tcdatalogger.open(3)  # type: ignore[arg-type]
tcdatalogger.open("tcdatalogger.toml", environ={"TORN_API_KEY": 1})  # type: ignore[dict-item]
print(tcdatalogger.no_such_name)  # type: ignore[attr-defined]
logger.run(1)  # type: ignore[arg-type]
logger.run("members", step="fetsh")  # type: ignore[arg-type]
logger.run("members", "store")  # type: ignore[call-arg]
logger.runs(limit="5")  # type: ignore[arg-type]
logger.settings = None  # type: ignore[assignment, misc]
result.rows["members"] = 3  # type: ignore[index]
print(result.error.remedy)  # type: ignore[union-attr]


class Wrong(EndpointProcessor):
    """A processor whose step takes something else."""

    def transform_data(self, fetched: str) -> str:  # type: ignore[override]
        """Take a text."""
        return fetched
