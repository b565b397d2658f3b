"""Puts answers of Torn into a warehouse by the road of every answer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from tcdatalogger.core.run.load import Guard, load_of
from tcdatalogger.services.duckdb.warehouse import DuckDBWarehouse
from tcdatalogger.services.torncity.catalog import catalog
from tcdatalogger.services.torncity.endpoints.registry import processor
from tcdatalogger.services.torncity.lists.cursor import WalkSummary
from tcdatalogger.services.torncity.processing.task import Fetched, Page, Task


class Poll(NamedTuple):
    """One answer: of which endpoint, about whom, and when."""

    name: str
    subject: int | None
    at: int
    body: dict[str, Any]


def store(
    file: Path,
    polls: Iterable[Poll],
    paths: Mapping[str, str],
    *,
    modes: Mapping[str, str] | None = None,
    params: Mapping[str, tuple[str, str]] | None = None,
    runs: str = "run",
) -> None:
    """Put answers into a DuckDB file, which may be new.

    Args:
        file: of the warehouse.
        polls: the answers, in the order in which they came; those of one endpoint and one second
            that follow each other are of one run.
        paths: the paths of the endpoints, by name.
        modes: their storage modes, by name; append for all others.
        params: a parameter of the query and its value, by the name of the endpoint.
        runs: how the ids of the runs begin.
    """
    known = catalog.load()
    found = groupby(polls, key=lambda poll: (poll.name, poll.at))
    with DuckDBWarehouse(file) as warehouse:
        for number, ((name, at), group) in enumerate(found):
            endpoint, _ = known.find(paths[name])
            task = Task(
                name, endpoint, known.version, run_id=f"{runs}-{number:02}",
                mode=(modes or {}).get(name, "append"),
                params=(params[name],) if params and name in params else (),
                max_drop=1.0, accept_subject=True,
            )  # fmt: skip
            pages = tuple(
                Page(json.dumps(poll.body).encode(), poll.subject, float(at)) for poll in group
            )
            whole = tuple(
                WalkSummary(str(page.subject_id or ""), None, complete=True, at=at)
                for page in pages
                if endpoint.paging in {"none", "offset"}
            )
            fetched = Fetched(pages, readings=whole)
            worker = processor(endpoint.path)(task)
            made = worker.validate(worker.transform_data(fetched), fetched)
            warehouse.commit(load_of(task, fetched, made, Guard(), cursor=None, at=float(at)))
