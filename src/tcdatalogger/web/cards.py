"""A card: a question, its answer as it stands, and what is said beside it."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal
from urllib.parse import urlencode

from tcdatalogger.questions import subjects
from tcdatalogger.questions.answers import Answer, days_of, given, said
from tcdatalogger.questions.question import MOST_DAYS, Question, Value, subject
from tcdatalogger.questions.relations import Lack, Relations
from tcdatalogger.questions.subjects import Subject
from tcdatalogger.services.warehouse.protocol import Warehouse
from tcdatalogger.web.cache import Asked, Cached
from tcdatalogger.web.context import Context, Viewer
from tcdatalogger.web.drawing import RUN, SPARE, Drawing, draw

WAIT: Final = 1.5
"""Seconds that a page waits for answers that nobody has read yet."""
ROWS: Final[Mapping[str, int]] = {"table": 6, "list": 8}
"""Rows of a card by the kind of its chart."""
MOST_ROWS: Final = 12
"""Rows of a card of any other kind."""
_LONGER: Final = (7, 30, 90, 365, MOST_DAYS)

Body = Literal["drawn", "lacking", "unstored", "empty", "waiting", "held", "failed", "slow"]
"""What a card shows: `lacking` where something is not logged, `unstored` where nothing is stored
yet, `empty` where the answer has no rows; the rest are standings of the cache."""


@dataclass(frozen=True, slots=True)
class Card:
    """A question on a page.

    Attributes:
        question: the question.
        body: what it shows.
        caption: the sentence about the answer.
        cached: what the cache has; None where something is not logged.
        lacks: what the configuration lacks.
        drawing: the answer to draw, where `body` is `drawn`.
        query: of the address of its own page, "" or with `?`.
        longer: the next larger number of days to look back; None where there is none.
        look_back: the query of the address of its own page with `longer` days; "" where that is
            None.
        values: of the parameters.
        runs: the run that stored the newest row of each table that it rests on, where whoever looks
            has a page of it.
    """

    question: Question
    body: Body
    caption: str
    cached: Cached[Answer] | None = None
    lacks: tuple[Lack, ...] = ()
    drawing: Drawing | None = None
    query: str = ""
    longer: int | None = None
    look_back: str = ""
    values: Mapping[str, Value] = field(default_factory=dict)
    runs: Mapping[str, str] = field(default_factory=dict)

    @property
    def run(self) -> str:
        """The run that stored the newest row of all; "" where whoever looks has no page of it."""
        answer = None if self.cached is None else self.cached.answer
        return answer.run if answer is not None and answer.run in self.runs.values() else ""

    @property
    def wide(self) -> bool:
        """Whether it needs the whole width."""
        return self.body == "drawn" and self.question.chart.kind in {"table", "matrix"}

    @property
    def until(self) -> datetime | None:
        """The moment that the answer is about."""
        if self.cached is None or self.cached.answer is None:
            return None
        return self.cached.answer.until


def texts(context: Context, question: Question, query: Mapping[str, str]) -> dict[str, str]:
    """What the address of a page says of a question; other parameters are other questions'."""
    names = {"days", "until", *question.params, *context.relations.kinds(question)}
    return {name: value for name, value in query.items() if name in names and value != ""}


@dataclass(frozen=True, slots=True)
class Logged:
    """Who is logged, as the cache reads it: an endpoint may bring somebody with its first load."""

    key: Hashable = "subjects"

    def mark(self, _relations: Relations, marks: Mapping[str, float], /) -> float:
        """How many endpoints have stored something."""
        return float(sum(count > 0 for count in marks.values()))

    def read(
        self, warehouse: Warehouse, relations: Relations, /
    ) -> Mapping[str, tuple[Subject, ...]]:
        """Who it is, by kind."""
        return subjects.known(warehouse, relations)


def logged(context: Context) -> Mapping[str, tuple[Subject, ...]]:
    """Who is logged, the one first of whom answers are where nobody chose; none before the first
    reading.
    """
    [found] = context.cache.look([Logged()], WAIT)
    return found.answer or {}


@dataclass(frozen=True, slots=True)
class Choice:
    """Of whom a page is.

    Attributes:
        kind: faction, player or company.
        chosen: the one that it is of; None for all together.
        others: all that can be chosen, where there are several.
    """

    kind: str
    chosen: Subject | None
    others: tuple[Subject, ...] = ()


def choices(
    context: Context,
    questions: Sequence[Question],
    query: Mapping[str, str],
    more: Mapping[str, Sequence[int]] | None = None,
) -> tuple[Choice, ...]:
    """Of whom the answers to some questions are, by the address of their page.

    Args:
        context: the installation.
        questions: of the page.
        query: of the address.
        more: ids that can be chosen too, by kind.

    Raises:
        UsageError: the address names no id.
    """
    kinds = {kind for each in questions for kind in context.relations.kinds(each)}
    found = []
    for kind, known in logged(context).items() if kinds else ():
        if kind not in kinds or not known:
            continue
        ids = {each.id for each in known}
        told = subject(kind, query.get(kind) or str(known[0].id))
        further = {each for each in (*(more or {}).get(kind, ()), told) if isinstance(each, int)}
        listed = (*known, *(Subject(kind, each) for each in sorted(further - ids)))
        chosen = next((each for each in listed if each.id == told), None)
        if listed[1:]:
            found.append(Choice(kind, chosen, listed))
        elif chosen is not None and chosen.name:
            found.append(Choice(kind, chosen))
    return tuple(found)


def cards(
    context: Context,
    looks: Viewer,
    questions: Sequence[Question],
    query: Mapping[str, str],
    rows: int | None = None,
) -> list[Card]:
    """The cards of questions, all read together.

    Args:
        context: the installation.
        looks: for whom.
        questions: in their order.
        query: of the address, with values of parameters.
        rows: how many each shows at most; None for as many as a card has room for.

    Raises:
        UsageError: a value is none of its parameter.
    """
    chosen = {each.name: texts(context, each, query) for each in questions}
    asked = {each.name: Asked(each, given(each, chosen[each.name])) for each in questions}
    lacks = {each.name: context.relations.lacks(each) for each in questions}
    ready = [each for each in questions if not any(lack.blocks for lack in lacks[each.name])]
    looked = context.cache.look([asked[each.name] for each in ready], WAIT)
    cached = {each.name: found for each, found in zip(ready, looked, strict=True)}
    named = {run for found in looked for run in _runs(found.answer, rows or MOST_ROWS)}
    known = context.state.known(named) if looks.role != "member" else frozenset[str]()
    return [
        _card(
            asked[each.name],
            lacks[each.name],
            cached.get(each.name),
            chosen[each.name],
            rows,
            known,
        )
        for each in questions
    ]


def _card(
    asked: Asked,
    lacks: tuple[Lack, ...],
    cached: Cached[Answer] | None,
    chosen: Mapping[str, str],
    rows: int | None,
    known: Collection[str],
) -> Card:
    question = asked.question
    query = f"?{urlencode(chosen)}" if chosen else ""
    caption = said(question.caption, asked.values)
    if cached is None:
        return Card(question, "lacking", caption, lacks=lacks, query=query, values=asked.values)
    answer = cached.answer
    if answer is not None:
        caption = answer.caption
    body = _body(cached)
    days = days_of(asked.values)
    most = rows or ROWS.get(question.chart.kind, MOST_ROWS)
    longer = next((each for each in _LONGER if each > days and question.looks_back), None)
    return Card(
        question,
        body,
        caption,
        cached,
        lacks,
        draw(answer, most, known) if body == "drawn" and answer else None,
        query,
        longer,
        urlencode({**chosen, "days": longer}) if longer else "",
        asked.values,
        {table: run for table, run in answer.runs.items() if run in known} if answer else {},
    )


def _runs(answer: Answer | None, most: int) -> Iterator[str]:
    """The runs that an answer names: of the tables that it rests on, and in its first rows."""
    if answer is None:
        return
    yield from answer.runs.values()
    if answer.rows is not None and RUN in answer.rows.column_names:
        first = answer.rows.column(RUN).slice(0, most + SPARE).to_pylist()
        yield from (each for each in first if isinstance(each, str))


def _body(cached: Cached[Answer]) -> Body:
    answer = cached.answer
    if answer is None:
        match cached.standing:
            case "fresh" | "old":
                return "waiting"
            case standing:
                return standing
    if answer.rows is None:
        return "unstored"
    return "drawn" if answer.rows.num_rows else "empty"
