"""Tries records of the quarantine again, because a newer catalogue may know their fields.

Torn is not asked.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tcdatalogger.core.config.settings import EndpointSettings
from tcdatalogger.core.main import Application
from tcdatalogger.core.operations.exclusive import exclusive
from tcdatalogger.core.operations.from_archive import ORDERED, load_id, newest_run
from tcdatalogger.core.run.fetched import fetched_from
from tcdatalogger.core.run.load import Guard
from tcdatalogger.core.run.run import Run
from tcdatalogger.core.state.run_id import new_run_id
from tcdatalogger.core.state.store import RunRecord
from tcdatalogger.models.checks.promised import CheckFailed
from tcdatalogger.models.kept import Rows
from tcdatalogger.models.schema import TableFamily
from tcdatalogger.services.torncity.processing.task import Fetched, Page
from tcdatalogger.services.warehouse.protocol import Warehouse


def retry(application: Application, records: Sequence[dict[str, Any]]) -> list[str]:
    """Try records of the quarantine again; returns the ids of those that are stored now.

    Args:
        application: the application.
        records: rows of `_tcd_quarantine`. Records that still do not fit stay there.

    Raises:
        Busy: another process has one of the endpoints; the endpoints before it are done.
    """
    stored: list[str] = []
    token = new_run_id(application.clock)
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for record in records:
        if record["again"]:
            groups.setdefault((record["endpoint"], record["run_id"]), []).append(record)
    for (name, run_id), lines in groups.items():
        endpoint = application.settings.endpoint(name)
        if endpoint is None or not lines[0]["archive_file"]:
            continue
        claimed = exclusive(application, name, token)
        with claimed as guard, application.warehouse() as warehouse:
            stored += _retry(application, endpoint, run_id, lines, warehouse, token, guard)
    return stored


def _retry(
    application: Application,
    endpoint: EndpointSettings,
    run_id: str,
    lines: list[dict[str, Any]],
    warehouse: Warehouse,
    token: str,
    guard: Guard,
) -> list[str]:
    """Try each record of one run, and store those that fit in one load; returns their ids."""
    if endpoint.storage_mode == "replace" and newest_run(warehouse, endpoint.name) != run_id:
        return []
    file = lines[0]["archive_file"]
    before = fetched_from(application.archive, file)
    if before is None:
        return []
    pages = before.pages
    task = application.task(endpoint, run_id)
    rules = tuple(rule for rule in task.checks if not rule.rows)  # a few records of a load
    task = replace(task, checks=rules)
    record = RunRecord(run_id, endpoint.name, application.clock.now(), status="")
    run = Run(application, endpoint, task, record, guard, until="validate", marks=False)
    maker = run.maker(warehouse)
    family = maker.family()
    there = _there(warehouse, family, run_id)
    good = []
    for line in lines:
        body = _body(line, family, maker.task.endpoint.content)
        its = pages[line["page"]]
        page = Page(body, its.subject_id, its.server_time, its.answer)
        fetched = Fetched((page,), params=before.params)
        made = maker.as_tables(maker.transform_data(fetched), fetched)
        try:
            made = maker.held_to_rules(made, fetched)
        except CheckFailed:
            continue
        if not made.rejected and not there & _keys(made.tables[family.tables[0].name], family):
            good.append((line["quarantine_id"], page))
    if not good:
        return []
    pages = tuple(page for _, page in good)
    fetched = Fetched(pages, archive=file, params=before.params, key_owner=before.key_owner)
    run.store(fetched, warehouse)
    ids = tuple(quarantine_id for quarantine_id, _ in good)
    load = replace(
        run.load(fetched, warehouse),
        id=load_id(run_id, endpoint.name, token),
        mode=endpoint.storage_mode if endpoint.storage_mode in ORDERED else "append",
        settles=ids,
    )
    warehouse.commit(load)
    return list(ids)


def _there(warehouse: Warehouse, family: TableFamily, run_id: str) -> set[tuple[object, ...]]:
    """The keys of the records that a run has stored, so no record is stored twice."""
    root = family.tables[0]
    columns = [*root.key, "_subject_id"]
    return _keys(warehouse.rows(root.name, columns, where={"_run_id": run_id}), family)


def _keys(table: Rows, family: TableFamily) -> set[tuple[object, ...]]:
    """The keys of root rows, where Torn sends a key; a place in a list identifies no record."""
    root = family.tables[0]
    own = {column.name for column in root.data_columns if not column.ours}
    names = [n for n in root.key if not ((c := root.column(n)) and c.is_parameter)]
    if not names or not own.issuperset(names):
        return set()
    rows = table.select([*names, "_subject_id"]).to_pylist()
    return {tuple(row.values()) for row in rows}


def _body(line: dict[str, Any], family: TableFamily, content: str) -> bytes:
    """A body with one record, as Torn would send it."""
    record, path = str(line["record"]), str(line["path"])
    if content == "csv":
        return _csv(json.loads(record))
    if family.listed and path.startswith(f"{family.root[0]}["):
        return f"{{{json.dumps(family.root[0])}:[{record}]}}".encode()
    return record.encode()


def _csv(record: dict[str, str | None]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows((record, record.values()))
    return text.getvalue().encode()
