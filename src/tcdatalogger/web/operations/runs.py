"""The pages of runs: the last day as a timeline, and one run with the command that mends it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from tcdatalogger.clock import span
from tcdatalogger.core.config import sizes
from tcdatalogger.core.state.store import RunRecord, State
from tcdatalogger.core.views.mending import mends
from tcdatalogger.core.views.runs import STATUSES, RunView, newest, view
from tcdatalogger.errors import DataRefused, UsageError
from tcdatalogger.observability import log_reader
from tcdatalogger.observability.log_reader import LogQuery, LogTail
from tcdatalogger.observability.redact import redact
from tcdatalogger.services.storage.folder import Folder
from tcdatalogger.text import did_you_mean
from tcdatalogger.web.context import Context, context
from tcdatalogger.web.drawing import Bar, Bars, Cell, Table
from tcdatalogger.web.operations import common as ops
from tcdatalogger.web.operations import timeline
from tcdatalogger.web.operations.logs import lines
from tcdatalogger.web.render import fewer, is_light, page

ROWS: Final = 50
"""Runs of the table."""
DRAWN: Final = 5_000
"""Runs of a timeline at most, the newest ones."""
LINES: Final = 200
"""Lines of the log on the page of a run."""
MARGIN: Final = 60.0
"""Seconds before and after a run in which its lines are looked for."""


def runs(request: Request) -> Response:
    """All runs; the address says of which endpoint and status, and before which run."""
    here, query = context(request), request.query_params
    endpoint, status = query.get("endpoint", ""), query.get("status", "")
    if status and status not in STATUSES:
        known = ", ".join(STATUSES)
        raise UsageError(
            f"There is no status {status!r}.",
            remedy=did_you_mean(status, STATUSES, f"There are: {known}."),
        )
    before = query.get("before", "")
    state, now = ops.state_now(here), here.clock.now()
    name, ended = endpoint or None, status or None
    day = newest(state, endpoint=name, status=ended, since=now - timeline.SPAN, most=DRAWN)
    found = newest(state, endpoint=name, status=ended, before=before or None, most=ROWS + 1)
    for links in fewer(timeline.LINKS):
        made = ops.ops(
            request,
            "ops_runs.html",
            title="Runs",
            begun=state is not None,
            endpoint=endpoint,
            wanted=status,
            statuses=STATUSES,
            endpoints=_names(here, day, endpoint),
            lanes=timeline.lanes(day, now, links),
            hours=timeline.hours(now),
            cut=len(day) == DRAWN,
            width=timeline.WIDTH,
            height=timeline.HEIGHT,
            failed=_failed(day, endpoint),
            runs=table(found[:ROWS], now),
            before=before,
            newer=ops.address("/ops/runs", endpoint=name, status=ended),
            older=ops.address(
                "/ops/runs", endpoint=name, status=ended, before=found[ROWS - 1].record.run_id
            )
            if len(found) > ROWS
            else "",
        )
        if is_light(made):
            break
    return made


def _names(here: Context, day: tuple[RunView, ...], endpoint: str) -> list[str]:
    names = {each.name for each in here.settings.endpoints}
    return sorted({*names, *(run.record.endpoint for run in day), *filter(None, [endpoint])})


def _failed(day: tuple[RunView, ...], endpoint: str) -> list[tuple[str, int, str]]:
    """How many runs of the day ended badly, by status, each with its address."""
    counts = {
        status: sum(run.record.status == status for run in day)
        for status in ("failed", "crashed", "pending")
    }
    return [
        (status, count, ops.address("/ops/runs", endpoint=endpoint, status=status))
        for status, count in counts.items()
        if count
    ]


def table(found: tuple[RunView, ...], now: float, *, of_one: bool = False) -> Table:
    """Runs as a table, the newest first.

    Args:
        found: the runs.
        now: seconds since 1970.
        of_one: whether all are of one endpoint, whose name is left out then.
    """
    columns = (
        *(() if of_one else ("endpoint",)),
        "result",
        "began",
        ops.number("rows", optional=True),
        ops.number("set aside", optional=True),
        ops.number("calls", optional=True),
        ops.number("took", optional=True),
        ops.optional("run"),
    )
    rows = [
        (
            *(
                ()
                if of_one
                else (Cell(run.record.endpoint, href=ops.endpoint_address(run.record.endpoint)),)
            ),
            ops.result(run),
            ops.when(min(run.record.started_at, now), now),
            ops.count(run.rows),
            ops.count(run.record.quarantined, tone="warn"),
            ops.count(run.calls),
            ops.length(run.seconds),
            Cell(run.record.run_id),
        )
        for run in found
    ]
    return ops.table(columns, rows)


# --- one run -------------------------------------------------------------------------------------


def run(request: Request) -> Response:
    """One run: what it did, why it failed, and what to do about it."""
    here, run_id = context(request), request.path_params["run_id"]
    state, now = ops.state_now(here), here.clock.now()
    known = [] if state is None else state.runs(run_id=run_id, most=1)
    if not known or state is None:
        says, remedy = f"The state knows no run {run_id}.", "The page of runs lists all."
        return page(request, "problem.html", 404, title="No run", says=says, remedy=remedy)
    record, found = known[0], view(known[0])
    endpoint = here.settings.endpoint(record.endpoint)
    tail = log_of(here, record, now)
    newest_of_all = _is_newest(state, record)
    for most in fewer(LINES):
        made = ops.ops(
            request,
            "ops_run.html",
            title=f"Run of {record.endpoint}",
            run=found,
            record=record,
            tone=ops.tone(found),
            error=redact(record.error),
            remedy=redact(record.remedy),
            endpoint_href=ops.endpoint_address(record.endpoint),
            facts=list(facts(found, now)),
            steps=_steps(record),
            rows=_rows(record),
            says=list(_says(record)),
            mends=mends(record, endpoint, newest=newest_of_all),
            archive=_archive(here, record),
            log_file=here.settings.log.file,
            log=None if tail is None else lines(tail, most, of_one=True),
            log_whole=tail is None or (tail.whole and len(tail.lines) <= most),
            logs=ops.address("/ops/logs", run=run_id),
        )
        if is_light(made):
            break
    return made


def log_of(here: Context, record: RunRecord, now: float) -> LogTail | None:
    """The lines of a run in the log file; None where no file is configured."""
    file = here.settings.log.file
    if file is None:
        return None
    ended = now if record.finished_at is None else record.finished_at
    asked = LogQuery(run_id=record.run_id, since=record.started_at - MARGIN, until=ended + MARGIN)
    return log_reader.newest(file, asked, LINES)


def _is_newest(state: State, record: RunRecord) -> bool:
    stored = state.runs(endpoint=record.endpoint, status="done", most=ROWS)
    first = next((run for run in stored if not run.unchanged and run.rows), None)
    return first is not None and first.run_id == record.run_id


def facts(found: RunView, now: float) -> Iterator[tuple[str, Cell]]:
    """What the state says of a run in a few words each; what there is none of is left out."""
    run = found.record
    yield "began", Cell(ops.moment(found.began), ops.when(found.began, now).text)
    if found.ended is not None:
        yield "ended", Cell(ops.moment(found.ended))
    if run.status in {"running", "crashed"}:
        yield "step", Cell(run.step)
    if found.calls is not None:
        yield "calls", Cell(f"{run.calls:,}, {sizes.shown(run.bytes)}")
    told = {
        "waited": span(run.waited) if run.waited else "",
        "records": f"{run.records:,}" if run.records else "",
        "repeated": f"{run.repeated:,} came twice" if run.repeated else "",
        "without data": f"{run.absent:,} answers" if run.absent else "",
        "memory": sizes.shown(run.memory) if run.memory else "",
        "server's time": ops.moment(run.server_time),
        "schema version": str(run.schema_version or ""),
        "load": run.load_id,
        "cursor": run.cursor,
        "left in": run.artifact,
        "process": f"{run.pid} on {run.host}" if run.pid else "",
        "exit code": str(run.exit_code or ""),
        "kind": "a piece of history" if run.backfill else "",
        "note": run.note,
    }
    for name, text in told.items():
        if text:
            yield name, Cell(redact(text))


def _steps(record: RunRecord) -> Bars | None:
    longest = max(record.seconds.values(), default=0.0)
    if not longest:
        return None
    rows = tuple(
        Bar(
            Cell(step),
            ((0.0, round(100 * seconds / longest, 2)),),
            Cell(span(seconds), f"{seconds:.3f} s"),
        )
        for step, seconds in record.seconds.items()
    )
    return Bars(rows, ("time",))


def _rows(record: RunRecord) -> Table | None:
    rows = [(Cell(name), ops.count(count)) for name, count in record.rows.items()]
    return ops.table(("table", ops.number("rows")), rows) if rows else None


def _says(record: RunRecord) -> Iterator[tuple[str, str, str]]:
    """What was new or odd in a run: tone, words, and where more of it stands."""
    if record.quarantined:
        yield (
            "warn",
            f"{record.quarantined:,} set aside",
            ops.address("/ops/quarantine", run=record.run_id),
        )
    if record.drift:
        yield "", f"{record.drift:,} new fields", ops.address("/ops/drift", run=record.run_id)
    for step in record.steps:
        yield "", redact(step), ops.address("/ops/schema", endpoint=record.endpoint)
    for check in record.failed_checks:
        yield "bad", redact(f"failed check: {check}"), ""
    for warning in record.warnings:
        yield "warn", redact(warning), ""
    if record.unchanged:
        yield "", "Torn had nothing new, so nothing was stored.", ""


def _archive(here: Context, record: RunRecord) -> tuple[str, str]:
    """The file with the answers of a run, and what is to be known of it."""
    if not record.archive_file:
        return "", "No answer of Torn's came, so there is no file."
    folder = here.settings.archive.folder
    if folder is None:
        return (
            f"{here.settings.archive.path.partition('?')[0].rstrip('/')}/{record.archive_file}",
            "",
        )
    file, why = folder / record.archive_file, ""
    if not file.is_file():
        from tcdatalogger.core.archive import Archive  # noqa: PLC0415  # pyarrow, for few pages

        try:
            held = Archive(Folder(folder)).holder(record.archive_file)
        except DataRefused as damaged:
            return str(file), damaged.message
        if held is None:
            why = "It is not there any more: `archive.keep` says how long files stay."
        else:
            file = folder / held
    return str(file), why
