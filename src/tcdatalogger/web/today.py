"""The page Today: how the faction does, what needs somebody, and the charts looked at most."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from tcdatalogger.core.state.alerts import AlertEvent
from tcdatalogger.errors import Failure
from tcdatalogger.questions.answers import Answer, days_of, given
from tcdatalogger.questions.numbers import in_full, shown
from tcdatalogger.questions.question import Unit
from tcdatalogger.scheduler.monitoring import notify
from tcdatalogger.web.cache import Asked, Cached
from tcdatalogger.web.cards import cards
from tcdatalogger.web.context import Context, Viewer, context, viewer
from tcdatalogger.web.drawing import Cell, Tile
from tcdatalogger.web.render import page

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Measure:
    """A number of the page Today, made of the answer to a question.

    Attributes:
        name: over the number.
        question: by name.
        fold: makes the number of the rows.
        unit: what it counts.
        compares: whether the period before is asked too.
        good: whether more is good (1), bad (-1), or neither (0).
    """

    name: str
    question: str
    fold: Callable[[Rows], float | None]
    unit: Unit
    compares: bool = False
    good: int = 0


def _sum(column: str) -> Callable[[Rows], float | None]:
    return lambda rows: sum(row[column] or 0 for row in rows)


def _false(column: str) -> Callable[[Rows], float | None]:
    return lambda rows: sum(row[column] is False for row in rows)


def _last(column: str) -> Callable[[Rows], float | None]:
    return lambda rows: rows[-1][column] if rows else None


MEASURES: Final = (
    Measure("Crimes brought in", "oc-profit", _sum("value"), "money", compares=True, good=1),
    Measure("Free for a crime", "oc-participation", _false("in_crime_now"), "count"),
    Measure("Not seen for a day", "inactive-members", len, "count"),
    Measure("Paid to members", "crime-earnings", _sum("to_members"), "money", compares=True),
)
CARDS: Final = ("oc-now", "oc-income", "oc-profit", "activity-heatmap", "inactive-members",
                "faction-wealth", "oc-participation", "balance-movements")  # fmt: skip
QUESTIONS: Final = frozenset({*CARDS, *(each.question for each in MEASURES)})
"""All questions of the page."""
MOST: Final = 6
"""Cards on the page."""


def today(request: Request) -> Response:
    """The first page."""
    here, looks, query = context(request), viewer(request), request.query_params
    seen = [here.questions[name] for name in CARDS if name in here.questions]
    ready = [q for q in seen if looks.sees(q) and not here.relations.is_blocked(q)][:MOST]
    found = cards(here, ready, query)
    return page(
        request,
        "today.html",
        title="Today",
        tiles=tiles(here, looks, query),
        needs=what_needs_you(here) if looks.role != "member" and not looks.exported else (),
        cards=found,
        lacking=0
        if looks.exported
        else sum(map(here.relations.is_blocked, here.questions.values())),
        periods=here.periods,
    )


def what_needs_you(here: Context) -> list[tuple[AlertEvent, list[AlertEvent]]]:
    """What is wrong with the logging itself: late and failing endpoints, dead keys, full disks.

    Of each kind one, and the others.
    """
    try:
        state = here.state.open()
        found = [] if state is None else notify.events(here.settings, state, here.clock.now())
    except Failure as error:
        return [(AlertEvent("state", error.message, error.remedy), [])]
    kinds: dict[str, list[AlertEvent]] = {}
    for each in found:
        kinds.setdefault(each.kind, []).append(each)
    return [(first, others) for first, *others in kinds.values()]


def tiles(here: Context, looks: Viewer, query: QueryParams) -> list[Tile]:
    """The numbers of the page, each with the change on the period before."""
    measures = [
        each
        for each in MEASURES
        if each.question in here.questions
        and looks.sees(here.questions[each.question])
        and not here.relations.is_blocked(here.questions[each.question])
    ]
    days = {"days": query["days"]} if query.get("days") else {}
    asked = [
        Asked(here.questions[each.question], given(here.questions[each.question], days))
        for each in measures
    ]
    now = here.cache.look(asked)
    before = {
        each.question: here.cache.look([_before(one, found.answer.until)])[0]
        for each, one, found in zip(measures, asked, now, strict=True)
        if each.compares and found.answer is not None and found.answer.until is not None
    }
    return [
        _tile(each, found, before.get(each.question))
        for each, found in zip(measures, now, strict=True)
    ]


def _before(asked: Asked, until: datetime) -> Asked:
    """The same question about the period before the one that ends at a moment."""
    before = until - timedelta(days=days_of(asked.values))
    return Asked(asked.question, {**asked.values, "until": before})


def _number(measure: Measure, cached: Cached[Answer] | None) -> float | None:
    if cached is None or cached.answer is None or cached.answer.rows is None:
        return None
    return measure.fold(cached.answer.rows.to_pylist())


def _tile(measure: Measure, found: Cached[Answer], before: Cached[Answer] | None) -> Tile:
    value, former = _number(measure, found), _number(measure, before)
    cell = Cell("-" if value is None else shown(value, measure.unit), in_full(value, measure.unit))
    change, tone = "", ""
    if value is not None and former and found.answer is not None:
        share = (value - former) / abs(former)
        days = found.answer.values["days"]
        change = f"{share:+.0%} on the {days} days before"
        tone = {1: "good", -1: "bad"}.get(
            measure.good * (share > 0) - measure.good * (share < 0), ""
        )
    return Tile(measure.name, cell, change, tone, f"/questions/{measure.question}")
