"""The page Today: how the faction does, what needs somebody, and the charts looked at most."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal
from urllib.parse import urlencode

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from tcdatalogger.core.state.alerts import AlertEvent
from tcdatalogger.errors import Failure
from tcdatalogger.questions import before
from tcdatalogger.questions.answers import Answer, days_of, given
from tcdatalogger.questions.numbers import in_full, shown
from tcdatalogger.questions.question import Unit
from tcdatalogger.questions.relations import Relations
from tcdatalogger.scheduler.monitoring import notify
from tcdatalogger.services.warehouse.protocol import Warehouse
from tcdatalogger.web.cache import Asked
from tcdatalogger.web.cards import cards, choices, texts
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
        against: what it is compared with: the days before these, or the `PICTURES` when these
            began.
        good: whether more is good (1), bad (-1), or neither (0).
    """

    name: str
    question: str
    fold: Callable[[Rows], float | None]
    unit: Unit
    against: Literal["period", "picture"] = "period"
    good: int = 0


def _sum(column: str) -> Callable[[Rows], float | None]:
    return lambda rows: sum(row[column] or 0 for row in rows)


def _false(column: str) -> Callable[[Rows], float | None]:
    return lambda rows: sum(row[column] is False for row in rows)


def _last(column: str) -> Callable[[Rows], float | None]:
    return lambda rows: rows[-1][column] if rows else None


MEASURES: Final = (
    Measure("Crimes brought in", "oc-profit", _sum("value"), "money", good=1),
    Measure("Free for a crime", "oc-participation", _false("in_crime_now"), "count", "picture", -1),
    Measure("Not seen for a day", "inactive-members", len, "count", "picture", -1),
    Measure("Left to the faction", "crime-earnings", _sum("to_faction"), "money", good=1),
)
PICTURES: Final = "/faction/members"
"""Of what the pictures are that numbers of now are compared with."""
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
    found = cards(here, looks, ready, query)
    return page(
        request,
        "today.html",
        title="Today",
        choices=choices(here, ready, query),
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


@dataclass(frozen=True, slots=True)
class Before:
    """What the cache reads to compare a number with: the answer of before, None for none."""

    asked: Asked
    against: Literal["period", "picture"]

    @property
    def key(self) -> Hashable:
        """What the cache knows it by."""
        return "before", self.against, self.asked.key

    def mark(self, relations: Relations, marks: Mapping[str, float], /) -> float:
        """As that of the answer of now."""
        return self.asked.mark(relations, marks)

    def read(self, warehouse: Warehouse, relations: Relations, /) -> Answer | None:
        """The answer of before."""
        question, values = self.asked.question, self.asked.values
        if self.against == "picture":
            return before.picture(warehouse, relations, question, values, PICTURES)
        return before.period(warehouse, relations, question, values)


def tiles(here: Context, looks: Viewer, query: QueryParams) -> list[Tile]:
    """The numbers of the page, each with the change on the days before."""
    measures = [
        each
        for each in MEASURES
        if each.question in here.questions
        and looks.sees(here.questions[each.question])
        and not here.relations.is_blocked(here.questions[each.question])
    ]
    questions = [here.questions[each.question] for each in measures]
    chosen = [texts(here, each, query) for each in questions]
    asked = [Asked(each, given(each, told)) for each, told in zip(questions, chosen, strict=True)]
    now = here.cache.look(asked)
    former = here.cache.look(
        [Before(one, each.against) for one, each in zip(asked, measures, strict=True)]
    )
    return [
        replace(
            _tile(each, found.answer, earlier.answer, f"?{urlencode(told)}" if told else ""),
            waits=bool({found.standing, earlier.standing} & {"waiting", "held"}),
        )
        for each, found, earlier, told in zip(measures, now, former, chosen, strict=True)
    ]


def _number(measure: Measure, answer: Answer | None) -> float | None:
    if answer is None or answer.rows is None:
        return None
    return measure.fold(answer.rows.to_pylist())


def _tile(measure: Measure, now: Answer | None, former: Answer | None, query: str) -> Tile:
    value, earlier = _number(measure, now), _number(measure, former)
    cell = Cell("-" if value is None else shown(value, measure.unit), in_full(value, measure.unit))
    change, tone = "", ""
    if now is not None and value is not None and measure.against == "period":
        change = f"in {_days(days_of(now.values))}"
    if now is not None and value is not None and earlier is not None:
        change = _change(measure, value, earlier, days_of(now.values))
        better = measure.good * (value - earlier)
        tone = "good" if better > 0 else "bad" if better < 0 else ""
    return Tile(measure.name, cell, change, tone, f"/questions/{measure.question}{query}")


def _change(measure: Measure, value: float, earlier: float, days: int) -> str:
    """How a number stands to the one before, in words that can be read aloud."""
    ago = _days(days)
    if measure.against == "picture":
        than = f"{ago} ago"
        if value == earlier:
            return f"as many as {than}"
        more = "more" if value > earlier else "fewer"
        return f"{shown(abs(value - earlier), measure.unit)} {more} than {than}"
    than = f"the {ago} before"
    if value == earlier:
        return f"as much as in {than}"
    return (
        f"{(value - earlier) / abs(earlier):+.0%}".replace("%", f" % on {than}")
        if earlier
        else (f"nothing in {than}")
    )


def _days(count: int) -> str:
    return f"{count} day{'' if count == 1 else 's'}"
