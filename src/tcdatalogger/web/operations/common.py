"""What the operations pages have in common: the state as it is now, and cells of their tables."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote, urlencode

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from tcdatalogger.clock import ago, span, utc
from tcdatalogger.core.config.durations import parse
from tcdatalogger.core.state.store import State
from tcdatalogger.core.views.runs import RunView
from tcdatalogger.errors import DiskFull, TryAgain
from tcdatalogger.observability.redact import redact
from tcdatalogger.web.context import Context, context
from tcdatalogger.web.drawing import Cell, Column, Table
from tcdatalogger.web.render import commands, page

PAGES: Final = (
    ("/ops", "Overview"),
    ("/ops/runs", "Runs"),
    ("/ops/budget", "Budget"),
    ("/ops/schema", "Schema"),
    ("/ops/drift", "New fields"),
    ("/ops/quarantine", "Set aside"),
    ("/ops/logs", "Log"),
)
"""The operations pages that have no name of their own in their address."""

_TONES: Final = {
    "done": "good",
    "failed": "bad",
    "crashed": "bad",
    "pending": "warn",
    "paused": "warn",
    "stopped": "warn",
}
"""How the status of a run looks; the others are neither good nor bad."""


def state_now(here: Context) -> State | None:
    """The state, with the runs of dead processes marked; None before the first run.

    Raises:
        ConfigError: it cannot be opened.
        TryAgain: it cannot be read now.
    """
    try:
        state = here.state.open()
        if state is not None:
            with suppress(DiskFull):  # it is shown as it is
                state.mark_crashed()
    except TryAgain:
        here.state.close()  # its file may be another one now
        raise
    return state


def ops(request: Request, template: str, *, title: str, **facts: Any) -> Response:
    """An operations page."""
    here = context(request)

    def pasteable(text: str) -> Markup:
        """A text whose commands can be copied as they stand."""
        return commands(redact(text).replace("`tcdatalogger ", f"`{here.program} "))

    return page(
        request,
        template,
        title=title,
        tabs=PAGES,
        at=request.url.path,
        program=here.program,
        pasteable=pasteable,
        **facts,
    )


def address(path: str, **query: str | None) -> str:
    """An address of ours with a query; what is None or empty is left out."""
    given = {name: value for name, value in query.items() if value}
    return f"{quote(path)}?{urlencode(given)}" if given else quote(path)


def run_address(run_id: str) -> str:
    """The page of a run."""
    return f"/ops/runs/{quote(run_id, safe='')}"


def endpoint_address(name: str) -> str:
    """The page of an endpoint; its runs for what is none, as backups."""
    if name.startswith("/"):
        return address("/ops/runs", endpoint=name)
    return f"/ops/endpoints/{quote(name, safe='')}"


def table(columns: Sequence[str | Column], rows: Sequence[Sequence[Cell]]) -> Table:
    """A table of these columns; no cell shows a secret."""
    named = tuple(Column(each) if isinstance(each, str) else each for each in columns)
    return Table(named, tuple(tuple(map(_safe, row)) for row in rows))


def _safe(cell: Cell) -> Cell:
    return replace(cell, text=redact(cell.text), title=redact(cell.title))


def number(title: str, *, optional: bool = False) -> Column:
    """A column of numbers."""
    return Column(title, numeric=True, optional=optional)


def optional(title: str) -> Column:
    """A column that falls away where there is no room."""
    return Column(title, optional=True)


def count(value: int | None, href: str = "", tone: str = "") -> Cell:
    """A number; `-` where nobody knows it, and nothing stands out where it is 0."""
    if value is None:
        return Cell("-")
    return Cell(f"{value:,}", href=href if value else "", tone=tone if value else "")


def when(at: datetime | float | None, now: float, href: str = "") -> Cell:
    """How long ago, or until, a moment is; the moment stands in the title."""
    seconds = at.timestamp() if isinstance(at, datetime) else at
    if seconds is None:
        return Cell("never")
    return Cell(ago(seconds, now), moment(seconds), href)


def moment(seconds: float | datetime | None) -> str:
    """A moment in TCT, to the second."""
    if seconds is None:
        return ""
    at = seconds if isinstance(seconds, datetime) else utc(seconds)
    return f"{at:%Y-%m-%d %H:%M:%S}"


def every(frequency: str | None) -> Cell:
    """How often something is done; as it is configured in the title."""
    return Cell(parse(frequency).words, frequency) if frequency else Cell("by hand")


def length(seconds: float | None) -> Cell:
    """A length of time; `-` where nobody knows it."""
    return Cell("-" if seconds is None else span(seconds))


def tone(run: RunView) -> str:
    """How a run looks: `good`, `warn`, `bad`, or "" while it runs and where it counts no more."""
    record = run.record
    if record.status == "done" and (record.absent or record.failed_checks or record.quarantined):
        return "warn"
    return _TONES.get(record.status, "")


def result(run: RunView) -> Cell:
    """What became of a run, with its error in the title; it leads to the page of the run."""
    record = run.record
    return Cell(run.result, redact(record.error), run_address(record.run_id), tone(run))
