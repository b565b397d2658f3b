"""The page of the log: its newest lines, by run, level and endpoint."""

from __future__ import annotations

import json
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from tcdatalogger.core.config import sizes
from tcdatalogger.errors import UsageError
from tcdatalogger.observability import log_reader
from tcdatalogger.observability.log import LEVELS
from tcdatalogger.observability.log_reader import LogLine, LogQuery, LogTail
from tcdatalogger.text import did_you_mean, one_line
from tcdatalogger.web.context import context
from tcdatalogger.web.drawing import Cell, Table, clipped
from tcdatalogger.web.operations import common as ops
from tcdatalogger.web.render import fewer, is_light

LINES: Final = 300
"""Lines of the page at most."""
LONGEST: Final = 1_000
"""Letters of a line that are shown."""

_TONES: Final = {"warning": "warn", "error": "bad"}


def logs(request: Request) -> Response:
    """The page."""
    here, query = context(request), request.query_params
    level = query.get("level", "")
    if level and level not in LEVELS:
        remedy = did_you_mean(level, LEVELS, f"There are: {', '.join(LEVELS)}.")
        raise UsageError(f"There is no level {level!r}.", remedy=remedy)
    asked = LogQuery(query.get("run", ""), query.get("endpoint", ""), level)
    file = here.settings.log.file
    tail = LogTail() if file is None else log_reader.newest(file, asked, LINES)
    for most in fewer(LINES):
        made = ops.ops(
            request,
            "ops_logs.html",
            title="Log",
            file=file,
            asked=asked,
            levels=tuple(LEVELS),
            endpoints=sorted({each.name for each in here.settings.endpoints}),
            lines=lines(tail, most),
            whole=tail.whole and len(tail.lines) <= most,
            bound=sizes.shown(log_reader.MOST_BYTES),
        )
        if is_light(made):
            break
    return made


def lines(tail: LogTail, most: int, *, of_one: bool = False) -> Table:
    """Lines as a table, the newest first on the page of all, the oldest first for one run.

    Args:
        tail: the lines.
        most: how many, the newest ones.
        of_one: whether all are of one run.
    """
    newest = tail.lines[-most:]
    found = newest if of_one else reversed(newest)
    columns = ("time", "event", "facts", *(() if of_one else (ops.optional("run"),)))
    return ops.table(columns, [_line(line, of_one=of_one) for line in found])


def _line(line: LogLine, *, of_one: bool) -> tuple[Cell, ...]:
    facts = " ".join(f"{name}={_fact(value)}" for name, value in line.facts.items())
    where = "" if of_one or not line.endpoint else f"{line.endpoint} "
    href = ops.run_address(line.run_id) if line.run_id else ""
    return (
        Cell(one_line(line.at[11:23] if of_one else line.at[5:19].replace("T", " ")), line.at),
        Cell(one_line(line.event.replace("_", " ")), line.level, tone=_TONES.get(line.level, "")),
        Cell(clipped(one_line(where + facts), LONGEST)),
        *(() if of_one else (Cell(line.run_id[-8:], line.run_id, href),)),
    )


def _fact(value: str) -> str:
    return value if value and " " not in value else json.dumps(value, ensure_ascii=False)
