"""The pages of questions: each page of the pack, one member, crime, war or item, all questions,
one question, and its answer as CSV, JSON and PNG.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from tcdatalogger.errors import ConfigError, DataRefused, Failure, UsageError
from tcdatalogger.models import tabular
from tcdatalogger.questions.answers import DAYS, Answer, given
from tcdatalogger.questions.pictures.png import lacking
from tcdatalogger.questions.question import ALL, MOST_DAYS, MOST_ID, PAGES, SUBJECTS, Question
from tcdatalogger.web.cache import Asked, Cached
from tcdatalogger.web.cards import MOST_ROWS, Card, cards, choices, texts
from tcdatalogger.web.context import Context, Viewer, context, viewer
from tcdatalogger.web.render import fewer, is_light, page
from tcdatalogger.web.things import THINGS, Thing, last_words

TITLES: Final = {
    "crimes": "Crimes",
    "members": "Members",
    "money": "Money",
    "war": "War",
    "armory": "Armory",
    "market": "Market",
    "me": "Me",
}
ORDER: Final = (
    *("oc-now", "oc-assign", "oc-participation", "oc-income", "oc-profit", "cpr-by-role"),
    *("inactive-members", "requirements", "activity-heatmap", "turnover", "status-changes"),
    *("faction-wealth", "balance-movements", "crime-earnings"),
    *("wars", "war-hits", "war-score", "war-payout", "retaliation", "chains"),
    *("armory-use", "contributions"),
    *("item-prices", "market-spread", "travel-profit", "stock-roi"),
    *("networth", "log-income"),
)
"""The questions that come first on their pages, in this order; the others follow by name."""

OF_ONE: Final = (
    *("members", "activity-heatmap", "crime-slots", "oc-crews", "wars"),
    *("item-prices", "item-circulation"),
)
"""The questions that come first on the page of one thing. The first one there is of all things of
its kind, so what it does not name is unknown.
"""

PATIENCE: Final = 5.0
"""Seconds that a program waits for an answer that was never read: a spreadsheet asks once,
and shows for an hour that it got nothing."""
ROWS_OF_ONE: Final = 30
"""Rows of a card on the page of one thing: whoever opens it wants to read."""
ALL_ROWS: Final = 100
"""Rows on the page of a question at most: as many as a faction has members."""
_LONGEST_NUMBER: Final = 100
"""Digits of a number that is read at all: Python refuses some thousands of them."""
SCHEMES: Final = ("light", "dark")
"""For what pages pictures are."""


def routes() -> list[Route]:
    """The addresses of these pages."""
    return [
        *(Route(f"/{name}", section, name=name) for name in PAGES),
        *(Route(f"{each.path}/{{number}}", thing, name=each.name) for each in THINGS),
        Route("/questions", questions),
        Route("/questions/{name}", question),
        Route("/q/{name}.png", picture),
        Route("/q/{name}.{kind}", answer),
    ]


def in_order(found: Iterable[Question], first: Sequence[str] = ORDER) -> list[Question]:
    """Questions as they stand on a page: those with these names first, the others by name."""
    return sorted(
        found,
        key=lambda each: (first.index(each.name) if each.name in first else len(first), each.name),
    )


def section(request: Request) -> Response:
    """A page of questions: one card for each."""
    here, name = context(request), request.url.path.strip("/")
    looks = viewer(request)
    asked = in_order([each for each in here.questions.values() if each.page == name])
    seen = [each for each in asked if _is_shown(here, looks, each)]
    for rows in (None, *fewer(MOST_ROWS // 2)):
        found = cards(here, looks, seen, request.query_params, rows)
        made = page(
            request,
            "section.html",
            title=TITLES[name],
            choices=choices(here, seen, request.query_params),
            cards=sorted(found, key=lambda each: (each.body == "lacking", each.wide)),
            hidden=len(asked) - len(seen),
            periods=here.periods,
        )
        if is_light(made):
            break
    return made


def _is_shown(here: Context, looks: Viewer, asked: Question) -> bool:
    """Whether a page names a question; a file none that has no answer here."""
    return looks.sees(asked) and not (looks.exported and here.relations.is_blocked(asked))


def thing(request: Request) -> Response:
    """The page of one member, crime, war or item: every question that can be about one."""
    here, looks, text = context(request), viewer(request), request.path_params["number"]
    if not (text.isascii() and text.isdecimal() and len(text) < _LONGEST_NUMBER):
        raise HTTPException(HTTPStatus.NOT_FOUND)
    number = int(text)
    of = next(each for each in THINGS if request.url.path.startswith(f"{each.path}/"))
    # An id is of one faction alone, whichever it is: nobody has to choose it first.
    whose = dict.fromkeys(SUBJECTS.values(), ALL)
    query = {**whose, **request.query_params, of.name: str(number)}
    asked = in_order(
        (q for q in here.questions.values() if of.name in q.things and looks.sees(q)),
        (*OF_ONE, *ORDER),
    )
    if not 1 <= number <= MOST_ID:
        return _unknown(request, of, number)
    for rows in fewer(ROWS_OF_ONE):
        found = cards(here, looks, asked, query, rows)
        ready = [each for each in found if each.body != "lacking"]
        called = name_of(of, number, ready)
        settled = all(each.body in {"drawn", "empty", "unstored"} for each in ready)
        if not called and settled and ready and ready[0].question is asked[0]:
            return _unknown(request, of, number)
        made = page(
            request,
            "thing.html",
            title=f"{called or of.name.capitalize()} [{number}]",
            thing=of,
            number=number,
            choices=choices(here, asked, query),
            section=TITLES[of.section],
            cards=[
                (each, {k: p for k, p in each.question.params.items() if k != of.name})
                for each in ready or found
            ],
            lacking=len(found) - len(ready) if ready else 0,
            periods=here.periods if of.goes_on else (),
        )
        if is_light(made):
            break
    return made


def name_of(of: Thing, number: int, found: Iterable[Card]) -> str:
    """What a thing is called in the first answer that names it; "" where none does."""
    for card in found:
        answer = card.cached.answer if card.cached else None
        if answer is None or answer.rows is None:
            continue
        for name, column in card.question.links.items():
            if last_words(column) == f"{of.name}_id" and {name, column} <= set(
                answer.rows.column_names
            ):
                those = answer.rows.filter(pc.equal(answer.rows.column(column), number))
                if those.num_rows:
                    return str(those.column(name)[0].as_py() or number)
    return ""


def _unknown(request: Request, of: Thing, number: int) -> Response:
    says = f"Nothing that is stored names the {of.name} {number}."
    remedy = f"`{of.path}/{number}?days={MOST_DAYS}` looks further back." if of.goes_on else ""
    title = f"{of.name.capitalize()} [{number}]"
    return page(request, "problem.html", 404, title=title, says=says, remedy=remedy)


def questions(request: Request) -> Response:
    """All questions by page, or those of one who asks, and what those lack that have no answer
    here.
    """
    here, looks = context(request), viewer(request)
    found = [each for each in here.questions.values() if _is_shown(here, looks, each)]
    who = request.query_params.get("asks")
    chosen = [each for each in found if who in each.asks] if who else found
    listed = [
        (TITLES[name], [(q, here.relations.lacks(q)) for q in in_order(those)])
        for name in PAGES
        if (those := [each for each in chosen if each.page == name])
    ]
    askers = sorted({name for each in found for name in each.asks})
    return page(request, "questions.html", listed=listed, askers=askers)


def question(request: Request) -> Response:
    """One question: its answer, what can be chosen, what is counted, and the SQL."""
    here = context(request)
    asked = _named(here, request)
    if isinstance(asked, _Refused):
        return page(
            request, "problem.html", asked.status, title=asked.title, says=asked.says, remedy=""
        )
    values = given(asked, texts(here, asked, request.query_params))
    for rows in fewer(ALL_ROWS):
        [card] = cards(here, viewer(request), [asked], request.query_params, rows)
        answer = None if card.cached is None else card.cached.answer
        made = page(
            request,
            "question.html",
            card=card,
            choices=choices(
                here, [asked], request.query_params, {} if answer is None else answer.subjects
            ),
            params={**({"days": DAYS} if asked.looks_back else {}), **asked.params},
            values=values,
            section=TITLES[asked.page],
            periods=here.periods,
            draws=not viewer(request).exported or lacking() is None,
        )
        if is_light(made):
            break
    return made


def answer(request: Request) -> Response:
    """An answer for programs, as CSV or JSON."""
    kind = request.path_params["kind"]
    if kind not in {"csv", "json"}:
        return PlainTextResponse("An answer is .csv, .json or .png.", HTTPStatus.NOT_FOUND)
    found = _read(request)
    if isinstance(found, Response):
        return found
    _, answer = found
    name, rows = answer.question.name, answer.rows
    if kind == "csv":
        headers = {"content-disposition": f'attachment; filename="{name}.csv"'}
        parts = iter(()) if rows is None else tabular.csv_parts(rows)
        return StreamingResponse(parts, media_type="text/csv", headers=headers)
    head = {
        "name": name,
        "title": answer.question.title,
        "caption": answer.caption,
        "until": answer.until and answer.until.isoformat(),
    }
    return StreamingResponse(_json_parts(head, rows), media_type="application/json")


def _json_parts(head: Mapping[str, object], rows: pa.Table | None) -> Iterator[str]:
    """An object with `rows` at its end, in parts: who reads slowly holds one of them, not all."""
    yield _json(head)[:-1]
    if rows is None:
        yield ',"rows":null}'
        return
    before = ',"rows":['
    for part in tabular.slices(rows):
        if part.num_rows:
            yield before + _json(_plain(tabular.records(part)))[1:-1]
            before = ","
    yield "]}" if rows.num_rows else f"{before}]}}"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


async def picture(request: Request) -> Response:
    """An answer as a picture: PNG, by light or by dark."""
    scheme = request.query_params.get("scheme", SCHEMES[0])
    if scheme not in SCHEMES:
        raise UsageError(f"A picture is not {scheme!r}.", remedy="As: scheme=dark")
    found = await run_in_threadpool(_read, request)
    if isinstance(found, Response):
        return found
    try:
        png = await context(request).pictures.png(*found, dark=scheme == "dark")
    except ConfigError as error:  # its remedy names a path of this machine
        says = str(error) if viewer(request).role == "owner" else error.message
        return PlainTextResponse(says, HTTPStatus.NOT_IMPLEMENTED)
    except DataRefused as error:
        return PlainTextResponse(error.message, HTTPStatus.INTERNAL_SERVER_ERROR)
    headers = {"content-disposition": f'inline; filename="{request.path_params["name"]}.png"'}
    return Response(png, media_type="image/png", headers=headers)


def _read(request: Request) -> tuple[Cached[Answer], Answer] | Response:
    """What the cache has of the question that an address names, and the answer; a text that says
    why there is none.
    """
    here = context(request)
    asked = _named(here, request)
    if isinstance(asked, _Refused):
        return PlainTextResponse(asked.says, asked.status)
    blocks = [lack.says for lack in here.relations.lacks(asked) if lack.blocks]
    if blocks:
        return PlainTextResponse(" ".join(blocks), HTTPStatus.NOT_FOUND)
    values = given(asked, texts(here, asked, request.query_params))
    [found] = here.cache.look([Asked(asked, values)], PATIENCE)
    if found.answer is not None:
        return found, found.answer
    says = found.says or "This is being read."
    if found.standing == "failed":
        return PlainTextResponse(says, HTTPStatus.INTERNAL_SERVER_ERROR)
    return PlainTextResponse(says, HTTPStatus.SERVICE_UNAVAILABLE, {"retry-after": "10"})


def _plain(value: object) -> object:
    match value:
        case dict():
            return {name: _plain(each) for name, each in value.items()}
        case list():
            return [_plain(each) for each in value]
        case None | bool() | int() | float() | str():
            return value
        case _:
            return value.isoformat() if hasattr(value, "isoformat") else str(value)


class _Refused(NamedTuple):
    """Why an address has no question for who asks: a status of HTTP, a title, a sentence."""

    status: int
    title: str
    says: str


def _named(here: Context, request: Request) -> Question | _Refused:
    """The question that an address names."""
    name = request.path_params["name"]
    found = here.questions.get(name)
    if found is None:
        return _Refused(404, "Not found", f"There is no question {name}.")
    if not viewer(request).sees(found):
        whose = "The key's owner" if found.audience == "owner" else "An officer"
        return _Refused(403, found.title, f"{whose} sees this, and nobody else.")
    return found


def problem(request: Request, error: Exception) -> Response:
    """What is wrong, and what to do: a page, and a text for programs."""
    if not isinstance(error, Failure):
        raise error
    if request.url.path.startswith("/q/"):
        return PlainTextResponse(f"{error.message} {error.remedy}".strip(), HTTPStatus.BAD_REQUEST)
    return page(
        request, "problem.html", 400, title="Not so", says=error.message, remedy=error.remedy
    )
