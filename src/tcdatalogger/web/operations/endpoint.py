"""The page of an endpoint: its settings in force, tables, runs, and the history that was read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from tcdatalogger.core.config.requests import is_incremental
from tcdatalogger.core.config.settings import EndpointSettings
from tcdatalogger.core.state import run_stats
from tcdatalogger.core.state.store import State
from tcdatalogger.core.views.mending import Mend
from tcdatalogger.core.views.runs import newest
from tcdatalogger.core.views.status import EndpointStatus, status
from tcdatalogger.observability.redact import redact
from tcdatalogger.scheduler.monitoring.freshness import freshness
from tcdatalogger.web.context import Context, context
from tcdatalogger.web.drawing import Cell, Table
from tcdatalogger.web.operations import common as ops
from tcdatalogger.web.operations import timeline
from tcdatalogger.web.operations.ledger import History, look, spans
from tcdatalogger.web.operations.overview import condition, due
from tcdatalogger.web.operations.runs import DRAWN, table
from tcdatalogger.web.render import page

RUNS: Final = 30
"""Runs on the page."""


def endpoint(request: Request) -> Response:
    """One endpoint; also one that is not configured any more, by its runs."""
    here, name = context(request), request.path_params["name"]
    state, now = ops.state_now(here), here.clock.now()
    configured = here.settings.endpoint(name)
    runs = newest(state, endpoint=name, most=RUNS)
    if configured is None and not runs:
        says = f"There is no endpoint {name}, and none ever ran."
        remedy = "The first page of operations lists all."
        return page(request, "problem.html", 404, title="No endpoint", says=says, remedy=remedy)
    day = newest(state, endpoint=name, since=now - timeline.SPAN, most=DRAWN)
    return ops.ops(
        request,
        "ops_endpoint.html",
        title=name,
        name=name,
        configured=configured,
        now=_now(here, state, configured, now),
        settings=[] if configured is None else list(_settings(configured)),
        totals=_totals(state, name),
        lanes=timeline.lanes(day, now),
        hours=timeline.hours(now),
        width=timeline.WIDTH,
        height=timeline.HEIGHT,
        runs=table(runs, now, of_one=True),
        all_runs=ops.address("/ops/runs", endpoint=name),
        mends=_mends(here, configured),
        **_history(here, configured),
    )


def _now(
    here: Context, state: State | None, configured: EndpointSettings | None, now: float
) -> dict[str, Any]:
    """How it stands: the rows of the page's first card, its tables, and the condition."""
    if configured is None:
        return {"word": "not configured any more", "tone": "warn", "facts": [], "tables": None}
    alone = here.settings.model_copy(update={"endpoints": (configured,), "keys": {}})
    [one] = status(alone, state, now, {}).endpoints
    lasts = {} if state is None else run_stats.lasts(state)
    [fresh] = freshness(alone, lasts, now)
    word, tone = condition(one, fresh)
    return {"word": word, "tone": tone, "facts": list(_facts(one, now)), "tables": _tables(one)}


def _facts(one: EndpointStatus, now: float) -> Iterator[tuple[str, Cell]]:
    yield "path", Cell(one.path)
    good = None if one.fresh_seconds is None else now - one.fresh_seconds
    yield "last good", ops.when(good, now)
    yield "next", due(one, now)
    yield "every", ops.every(one.frequency)
    yield "storage mode", Cell(one.storage_mode)
    if one.pending:
        yield "waiting", Cell(f"{one.pending:,} runs are stored by the next one", tone="warn")
    if one.quarantined:
        href = ops.address("/ops/quarantine", endpoint=one.endpoint)
        yield "set aside", Cell(f"{one.quarantined:,} in all", href=href, tone="warn")
    if one.drift:
        href = ops.address("/ops/drift", endpoint=one.endpoint)
        yield "new fields", Cell(f"{one.drift:,} in all", href=href)
    if one.schema_version is not None:
        href = ops.address("/ops/schema", endpoint=one.endpoint)
        yield "schema version", Cell(str(one.schema_version), href=href)


def _tables(one: EndpointStatus) -> Table | None:
    rows = [
        (Cell(name, href=ops.address("/ops/schema", table=name)), ops.count(rows))
        for name, rows in one.rows.items()
    ]
    return ops.table(("table", ops.number("rows of the last good run")), rows) if rows else None


def _settings(configured: EndpointSettings) -> Iterator[tuple[str, str, bool]]:
    """Each setting in force: its name, its value, and whether the configuration says it.

    Keys are names, and where a name leads is not shown.
    """
    for name, value in configured.model_dump(mode="json").items():
        if value not in (None, "", [], {}):
            yield name, redact(_text(value)), name in configured.model_fields_set


def _text(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(_text, value))
        case dict():
            return ", ".join(f"{name} = {_text(each)}" for name, each in value.items())
        case _:
            return str(value)


def _totals(state: State | None, name: str) -> list[tuple[str, str]]:
    """What all runs that ever ended came to."""
    if state is None:
        return []
    sums = run_stats.sums(state)

    def total(kind: str) -> int:
        return int(sum(n for (of, _), n in sums.get(kind, {}).items() if of == name))

    ended = {label: int(count) for (of, label), count in sums.get("runs", {}).items() if of == name}
    told = {
        "runs": ", ".join(f"{count:,} {label}" for label, count in sorted(ended.items())),
        "rows": f"{total('rows'):,}",
        "calls": f"{total('calls'):,}",
        "came twice": f"{total('repeated'):,}",
        "answers without data": f"{total('absent'):,}",
    }
    return [(label, text) for label, text in told.items() if text not in {"", "0"}]


def _mends(here: Context, configured: EndpointSettings | None) -> list[Mend]:
    if configured is None:
        return []
    name = configured.name
    found = [Mend(f"run {name}", "Runs it now.")]
    if is_incremental(configured, here.application.catalog.find(configured.path)[0]):
        found.append(Mend(f"backfill {name}", "Reads its history back in time."))
    found.append(
        Mend(f"rebuild {name} --dry-run", "Makes all rows again from the archive, stores nothing.")
    )
    found.append(Mend(f"catalog show {configured.path}", "Shows its tables and parameters."))
    return found


def _history(here: Context, configured: EndpointSettings | None) -> dict[str, Any]:
    """How far back it was read; of what each run reads whole there is nothing to say."""
    nothing = {"history": None, "spans": None}
    if configured is None:
        return nothing
    if not is_incremental(configured, here.application.catalog.find(configured.path)[0]):
        return nothing
    asked = here.application.task(configured, "none").asked
    found = look(here, History(configured.name, asked))
    return {"history": found, "spans": spans(found)}
