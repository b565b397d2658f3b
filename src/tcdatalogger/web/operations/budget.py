"""The page /ops/budget: calls a minute by the owner of the key, what holds them, and the keys."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from tcdatalogger.core.check.keys import KeyReport, reports
from tcdatalogger.core.state.store import State
from tcdatalogger.core.views.runs import RunView, newest
from tcdatalogger.core.views.status import OwnerCalls, key_status, status
from tcdatalogger.observability.redact import redact
from tcdatalogger.services.torncity.client import budget as budgets
from tcdatalogger.web.context import Context, context
from tcdatalogger.web.drawing import HEIGHT, SERIES, WIDTH, Cell, Line, Series, Table
from tcdatalogger.web.operations import common as ops
from tcdatalogger.web.operations.runs import DRAWN
from tcdatalogger.web.operations.timeline import SPAN, hours

MINUTES: Final = 1_440
"""Minutes of a day."""
STEP: Final = 5
"""Minutes of one point of the chart; it shows the busiest of them."""

_TONES: Final = {"ok": "good", "parked": "warn", "untried": "", "dead": "bad", "missing": "bad"}


@dataclass(frozen=True, slots=True)
class OwnerDay:
    """The calls of one owner within a day.

    Attributes:
        owner: `player:ID`, or `unknown`.
        minutes: how many of each minute, the oldest first.
    """

    owner: str
    minutes: tuple[float, ...]

    @property
    def calls(self) -> int:
        """Of the whole day."""
        return round(sum(self.minutes))

    @property
    def busiest(self) -> int:
        """Of its busiest minute."""
        return round(max(self.minutes))


def budget(request: Request) -> Response:
    """The page."""
    here = context(request)
    state, now = ops.state_now(here), here.clock.now()
    limit = budgets.part(budgets.OWNER_CALLS, here.settings.limits.share)
    runs = newest(state, since=now - SPAN, most=DRAWN)
    days = owner_days(runs, now)
    found = status(here.settings, state, now, here.application.environ)
    keys = _reports(here, state)
    return ops.ops(
        request,
        "ops_budget.html",
        title="Budget",
        begun=state is not None,
        limit=limit,
        share=here.settings.limits.share,
        chart=_chart(days, limit, now),
        owners=_owners(days, found.owners, keys, limit),
        cut=len(runs) == DRAWN,
        held=[(each.who, ops.moment(each.until), each.why) for each in found.held],
        keys=_keys(keys, now),
        needs=_needs(keys),
        day_rows=[] if state is None else sorted(state.key_health.day_rows(now).items()),
    )


def owner_days(runs: Sequence[RunView], now: float) -> tuple[OwnerDay, ...]:
    """The calls of a day by owner, who made most first.

    A run says how many calls it made and when it began. They are spread over the time that its
    fetch took.
    """
    found: dict[str, list[float]] = {}
    for run in runs:
        record = run.record
        if not record.calls:
            continue
        owner = "unknown" if record.key_owner is None else f"player:{record.key_owner}"
        minutes = found.setdefault(owner, [0.0] * MINUTES)
        ended = now if record.finished_at is None else record.finished_at
        took = record.seconds.get("fetch") or max(0.0, ended - record.started_at)
        _spread(minutes, record.started_at - (now - SPAN), took, record.calls)
    days = [OwnerDay(owner, tuple(minutes)) for owner, minutes in found.items()]
    return tuple(sorted(days, key=lambda day: (-day.calls, day.owner)))


def _spread(minutes: list[float], begin: float, took: float, calls: int) -> None:
    first, last = int(begin // 60), int((begin + took) // 60)
    for minute in range(max(first, 0), min(last, MINUTES - 1) + 1):
        inside = min(begin + took, 60.0 * (minute + 1)) - max(begin, 60.0 * minute)
        minutes[minute] += calls * (inside / took if first != last and took else 1.0)


def _reports(here: Context, state: State | None) -> list[KeyReport]:
    with ExitStack() as stack:
        if state is None:
            application = stack.enter_context(here.application.aside())
        else:
            application = here.application.beside(state)
        return list(reports(application, online=False))


def _chart(days: Sequence[OwnerDay], limit: int, now: float) -> Line | None:
    if not days:
        return None
    top = max([limit, *(day.busiest for day in days)])

    def line(day: OwnerDay) -> Series:
        high = [max(day.minutes[at : at + STEP]) for at in range(0, MINUTES, STEP)]
        wide = WIDTH / (len(high) - 1)
        points = " ".join(
            f"{round(at * wide, 1):g},{round(HEIGHT * (1 - each / top), 1):g}"
            for at, each in enumerate(high)
        )
        return Series(day.owner, points, "", Cell(f"{day.calls:,} calls"))

    begin, *_, end = hours(now)
    return Line(
        tuple(map(line, days[:SERIES])),
        begin,
        end,
        f"{top} calls a minute",
        "0",
        from_zero=True,
        left_out=max(0, len(days) - SERIES),
    )


def _owners(
    days: Sequence[OwnerDay],
    last_minute: Sequence[OwnerCalls],
    keys: Sequence[KeyReport],
    limit: int,
) -> Table | None:
    used = {each.owner: each for each in last_minute}
    by_owner = {day.owner: day for day in days}
    names: dict[str, list[str]] = {}
    for key in keys:
        if key.info is not None:
            names.setdefault(f"player:{key.info.owner_id}", []).append(key.name)
    rows = []
    for owner in dict.fromkeys([*by_owner, *used]):
        day, minute = by_owner.get(owner), used.get(owner)
        busiest = 0 if day is None else day.busiest
        rows.append(
            (
                Cell(owner, ", ".join(names.get(owner, []))),
                ops.count(0 if day is None else day.calls),
                Cell(f"{busiest:,}", tone="warn" if busiest >= limit else ""),
                ops.count(0 if minute is None else minute.calls_used),
                ops.count(limit if minute is None else minute.calls_left),
                Cell(", ".join(names.get(owner, [])) or "-"),
            )
        )
    columns = ("owner", ops.number("calls in 24 h"), ops.number("busiest minute"),
               ops.number("last minute", optional=True), ops.number("left now", optional=True),
               ops.optional("keys"))  # fmt: skip
    return ops.table(columns, rows) if rows else None


def _keys(keys: Sequence[KeyReport], now: float) -> Table:
    rows = []
    for key in keys:
        if key.health is None:
            health, why = "missing", "" if key.failure is None else str(key.failure)
            until = None
        else:
            shown = key_status(key.name, key.health)
            health, why, until = shown.health, shown.why or "", shown.until
        rows.append(
            (
                Cell(key.name),
                Cell(health, redact(why), tone=_TONES.get(health, "")),
                Cell("make a new key", "with exactly what its endpoints need", key.link),
                Cell(redact(why) or "-"),
                Cell("") if until is None else ops.when(until, now),
                Cell("-" if key.info is None else f"player:{key.info.owner_id}"),
                Cell("-" if key.info is None else key.info.access_type),
            )
        )
    columns = ("key", "health", "new one", "why", ops.optional("asked again"),
               ops.optional("owner"), ops.optional("access"))  # fmt: skip
    return ops.table(columns, rows)


def _needs(keys: Sequence[KeyReport]) -> Table | None:
    """What keys may not do that their endpoints need."""
    rows = [
        (
            Cell(need.endpoint, need.path, ops.endpoint_address(need.endpoint)),
            Cell(key.name),
            Cell(redact(need.problem), tone="warn" if need.others else "bad"),
        )
        for key in keys
        for need in key.needs
        if need.problem
    ]
    return ops.table(("endpoint", "key", "lacks"), rows) if rows else None
