"""Rows once more from the archive: a run replayed, an endpoint rebuilt, a quarantine tried again.

Nothing is asked of Torn. What the catalogue knows by now, and what was learned since, counts: a
record that was set aside may fit today.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa

from tcdatalogger.core.main import Application, new_run_id
from tcdatalogger.core.settings import Endpoint
from tcdatalogger.errors import DataRefused, Failure, UsageError
from tcdatalogger.models.normalize import arrow_schema
from tcdatalogger.models.schema import TableFamily
from tcdatalogger.services.torncity.base import EndpointProcessor
from tcdatalogger.services.torncity.registry import processor
from tcdatalogger.services.torncity.task import Fetched, Page, Tools, Transformed
from tcdatalogger.services.warehouse import Load, Receipt, Warehouse


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of one archived run.

    Attributes:
        run_id: of the run whose answers these are.
        made: its rows as they are now, None where it has none.
        receipt: of the commit, None where nothing was stored.
        why: why it was passed over, "" where it was not.
    """

    run_id: str
    made: Transformed | None = None
    receipt: Receipt | None = None
    why: str = ""


def replay(application: Application, run_id: str, *, dry: bool = False) -> Replayed:
    """Make the rows of one run again, in place of what it stored before.

    Raises:
        UsageError: no archive file is of that run, or no endpoint is.
        DataRefused: its answers make no rows, the warehouse refuses them, or the storage mode is
            replace and the tables hold a later run.
    """
    endpoint, file = _find(application, run_id)
    with application.warehouse() as warehouse:
        _refuse_older(warehouse, endpoint, run_id)
        one, load = _again(application, endpoint, file, warehouse, new_run_id(application.clock))
        if load is None:
            raise DataRefused(f"The run {run_id} has no rows: {one.why}")
        return one if dry else replace(one, receipt=warehouse.commit(load))


def rebuild(
    application: Application, name: str, *, without: Sequence[str] = (), dry: bool = False
) -> list[Replayed]:
    """Make all rows of an endpoint again from the archive, in one step.

    Runs that were not to store anything (`--dry-run`, `--step`) are passed over.

    Args:
        application: with the settings.
        name: of the endpoint.
        without: runs whose rows are left out from now on.
        dry: make the rows and store nothing.

    Raises:
        UsageError: there is no such endpoint or run, or the archive has none of it.
        DataRefused, WarehouseUnavailable: as a commit; then the tables are as they were.
    """
    [endpoint] = application.chosen([name])
    files = _files(application, endpoint, without)
    token = new_run_id(application.clock)
    found: list[Replayed] = []

    def loads(warehouse: Warehouse) -> Iterator[Load]:
        for file in files:
            if _run_of(file) in without:
                found.append(Replayed(_run_of(file), why="left out"))
                yield _nothing(application, endpoint, file, warehouse, token)
                continue
            if _stopped(application, file):
                found.append(Replayed(_run_of(file), why="it was not to store anything"))
                continue
            one, load = _again(application, endpoint, file, warehouse, token)
            found.append(one)
            if load is not None:
                yield load

    with application.warehouse() as warehouse:
        if dry:
            list(loads(warehouse))
            return found
        receipts = {receipt.load_id: receipt for receipt in warehouse.commit_all(loads(warehouse))}
    return [
        replace(one, receipt=receipts.get(_load_id(one.run_id, endpoint.name, token)))
        for one in found
    ]


def _files(application: Application, endpoint: Endpoint, without: Sequence[str]) -> list[str]:
    """The archive files of the runs that a rebuild has to do with, the oldest first.

    For `replace` these are those to leave out and then the newest that is left.
    """
    files = sorted(application.archive.files(endpoint.name), key=_run_of)
    known = {_run_of(file) for file in files}
    for run_id in without:
        if run_id not in known:
            raise UsageError(f"The archive has no run {run_id} of {endpoint.name}.")
    if not files:
        raise UsageError(f"The archive has no answers of {endpoint.name}.")
    if endpoint.storage_mode != "replace":
        return files
    others = [f for f in files if _run_of(f) not in without and not _stopped(application, f)]
    return [f for f in files if _run_of(f) in without] + _newest(application, endpoint, others)


def _stopped(application: Application, file: str) -> bool:
    """Whether a run was told to end before its store; not known once the state is gone."""
    runs = application.state.runs(run_id=_run_of(file), most=1)
    return bool(runs) and runs[0].status == "stopped"


def _newest(application: Application, endpoint: Endpoint, files: list[str]) -> list[str]:
    """For `replace`, the newest run whose answers are whole: only its rows have a place."""
    for file in reversed(files):
        if _pages(application, file):
            return [file]
    raise UsageError(f"No run of {endpoint.name} in the archive has whole answers.")


def _again(
    application: Application,
    endpoint: Endpoint,
    file: str,
    warehouse: Warehouse,
    token: str,
) -> tuple[Replayed, Load | None]:
    """The rows of an archived run, and the load that puts them in place of the former ones."""
    run_id = _run_of(file)
    pages = _pages(application, file)
    if not pages:
        return Replayed(run_id, why="its fetch failed"), None
    worker = _worker(application, endpoint, run_id, warehouse, file)
    fetched = Fetched(pages)
    try:
        made = worker.validate(worker.transform_data(fetched), fetched)
    except Failure as failure:
        return Replayed(run_id, why=failure.message), None
    load = replace(worker.load(made), id=_load_id(run_id, endpoint.name, token), again=True)
    return Replayed(run_id, made), load


def _worker(
    application: Application, endpoint: Endpoint, run_id: str, warehouse: Warehouse, file: str
) -> EndpointProcessor:
    task = application.task(endpoint, run_id)
    tools = Tools(
        warehouse=warehouse,
        clock=application.clock,
        known=warehouse.known(endpoint.name),
        archive=file,
    )
    return processor(task.endpoint.path, endpoint.processor)(task, tools)


def _pages(application: Application, file: str) -> tuple[Page, ...]:
    """The pages of an archived run, none where its fetch ended in an error.

    An id that Torn did not know stands among the answers as an error too and is passed over.
    """
    kept = list(application.archive.read(file))
    whole = not kept or not kept[-1][0] or len({page.subject_id for _, page in kept}) > 1
    return tuple(page for error, page in kept if not error) if whole else ()


def _nothing(
    application: Application, endpoint: Endpoint, file: str, warehouse: Warehouse, token: str
) -> Load:
    """A load that only takes out what a run stored; its answers, damaged maybe, are not read."""
    worker = _worker(application, endpoint, _run_of(file), warehouse, file)
    family = worker.family()
    tables = {table.name: arrow_schema(table).empty_table() for table in family.tables}
    load = worker.load(Transformed(family, tables))
    load_id = _load_id(load.run_id, endpoint.name, token)
    return replace(load, id=load_id, mode="append", again=True)


def _find(application: Application, run_id: str) -> tuple[Endpoint, str]:
    for endpoint in application.settings.endpoints:
        for file in application.archive.files(endpoint.name):
            if _run_of(file) == run_id:
                return endpoint, file
    raise UsageError(
        f"The archive has no run {run_id} of an endpoint that is configured.",
        remedy="`tcdatalogger runs` lists them.",
    )


def _refuse_older(warehouse: Warehouse, endpoint: Endpoint, run_id: str) -> None:
    if endpoint.storage_mode != "replace":
        return
    newest = _newest_run(warehouse, endpoint.name)
    if newest is not None and newest > run_id:
        raise DataRefused(
            f"The tables of {endpoint.name} hold the later run {newest}.",
            remedy="Its storage mode is replace, so an older run has no place in them.",
        )


def _newest_run(warehouse: Warehouse, endpoint: str) -> str | None:
    """The run whose rows an endpoint stored last, None before its first load."""
    if warehouse.known(endpoint) is None:
        return None
    name = endpoint.replace("'", "''")
    rows = warehouse.query(
        f"select run_id from _tcd_loads where endpoint = '{name}' and superseded_by is null "
        "order by committed_at desc, rowid desc limit 1"
    ).to_pylist()
    return str(rows[0]["run_id"]) if rows else None


def _run_of(file: str) -> str:
    return Path(file).stem


def _load_id(run_id: str, endpoint: str, token: str) -> str:
    return sha256(f"{run_id}\n{endpoint}\n{token}".encode()).hexdigest()[:16]


# --- quarantine --------------------------------------------------------------------------------


def retry(application: Application, records: Sequence[dict[str, Any]]) -> list[str]:
    """Try records of the quarantine again; the ids of those that are stored now.

    Args:
        application: with the settings.
        records: lines of `_tcd_quarantine`. Those that fit no better than before stay there.
    """
    stored: list[str] = []
    token = new_run_id(application.clock)
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for record in records:
        if record["again"]:
            groups.setdefault((record["endpoint"], record["run_id"]), []).append(record)
    with application.warehouse() as warehouse:
        for (name, run_id), lines in groups.items():
            endpoint = application.settings.endpoint(name)
            if endpoint is None or not lines[0]["archive_file"]:
                continue
            stored += _retry(application, endpoint, run_id, lines, warehouse, token)
    return stored


def _retry(
    application: Application,
    endpoint: Endpoint,
    run_id: str,
    lines: list[dict[str, Any]],
    warehouse: Warehouse,
    token: str,
) -> list[str]:
    """Try the records of one run, each by itself, and store those that fit in one load."""
    if endpoint.storage_mode == "replace" and _newest_run(warehouse, endpoint.name) != run_id:
        return []
    file = lines[0]["archive_file"]
    pages = [page for error, page in application.archive.read(file) if not error]
    worker = _worker(application, endpoint, run_id, warehouse, file)
    family = worker.family()
    there = _there(warehouse, family, run_id)
    good = []
    for line in lines:
        body = _body(line, family, worker.task.endpoint.content)
        page = replace(pages[line["page"]], body=body)
        made = worker.as_tables(worker.transform_data(Fetched((page,))), Fetched((page,)))
        if not made.misfits and not there & _keys(made.tables[family.tables[0].name], family):
            good.append((line["quarantine_id"], page))
    if not good:
        return []
    fetched = Fetched(tuple(page for _, page in good))
    made = worker.validate(worker.transform_data(fetched), fetched)
    ids = tuple(quarantine_id for quarantine_id, _ in good)
    load = replace(
        worker.load(made), id=_load_id(run_id, endpoint.name, token), mode="append", settles=ids
    )
    warehouse.commit(load)
    return list(ids)


def _there(warehouse: Warehouse, family: TableFamily, run_id: str) -> set[tuple[object, ...]]:
    """The keys of the records that a run has stored: none of them is stored twice."""
    root = family.tables[0]
    names = ", ".join(f'"{name}"' for name in (*root.key, "_subject_id"))
    return _keys(
        warehouse.query(f"select {names} from \"{root.name}\" where _run_id = '{run_id}'"), family
    )


def _keys(table: pa.Table, family: TableFamily) -> set[tuple[object, ...]]:
    """The keys of root rows, where Torn sends one; a place in a list tells nothing across loads."""
    root = family.tables[0]
    own = {column.name for column in root.data_columns if not column.ours}
    if not own.issuperset(root.key):
        return set()
    rows = table.select([*root.key, "_subject_id"]).to_pylist()
    return {tuple(row.values()) for row in rows}


def _body(line: dict[str, Any], family: TableFamily, content: str) -> bytes:
    """A body that holds the one record, as Torn would have sent it."""
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
