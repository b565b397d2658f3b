"""The page of the search: questions, pages, endpoints, and what tables have a name or an id of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from tcdatalogger.questions import question
from tcdatalogger.questions.answers import given
from tcdatalogger.questions.question import Question
from tcdatalogger.web.cache import Asked
from tcdatalogger.web.cards import WAIT, texts
from tcdatalogger.web.context import Context, Viewer, context, viewer
from tcdatalogger.web.render import OF_NOBODY, keep, nav, page
from tcdatalogger.web.things import place

MOST: Final = 10
"""The most that is shown of one kind."""
LONGEST: Final = 100
"""Letters of a text that is looked for; no name has more."""


def _listed(kind: str, path: str, sql: str) -> Question:
    header = (
        f'/*\ntitle = "Which {kind}s are there?"\npage = "members"\ncaption = "All of them."\n'
        f'chart = {{ kind = "table" }}\n\n[needs."{path}"]\n*/\n'
    )
    return question.read(f"{header}{sql}\n", f"search-{kind}", "the search")


LISTS: Final = {
    "member": _listed(
        "member",
        "/faction/members",
        "select id, name, position as more from {faction_members:now} order by id nulls last",
    ),
    "crime": _listed(
        "crime",
        "/faction/crimes",
        "select id, name, status as more from {faction_crimes:now} order by id desc",
    ),
    "war": _listed(
        "war",
        "/faction/rankedwars",
        "select rankedwar_id as id, name, 'ranked war' as more\n"
        "from {faction_rankedwars_factions:now}\n"
        "where faction_id <> _subject_id\norder by id desc, name nulls last",
    ),
    "item": _listed(
        "item",
        "/torn/items",
        "select id, name, type as more from {torn_items:now} order by id nulls last",
    ),
}
"""What the tables are searched for: the id and the name of each, and a word about it."""


@dataclass(frozen=True, slots=True)
class Hit:
    """Something that was found.

    Attributes:
        name: as people call it.
        href: where it leads.
        more: a word about it.
    """

    name: str
    href: str
    more: str = ""


@dataclass(frozen=True, slots=True)
class Hits:
    """What was found of one kind, the nearest first, and how much is left out."""

    title: str
    found: tuple[Hit, ...]
    left_out: int = 0


def search(request: Request) -> Response:
    """The page: without a text it says what can be found."""
    here, looks, query = context(request), viewer(request), request.query_params
    text = query.get("q", "").strip()[:LONGEST]
    found, waits = _all(here, looks, query, nav(request), text) if text else ([], False)
    return page(
        request,
        "search.html",
        title="Search",
        text=text,
        hits=[each for each in found if each.found],
        waits=waits,
    )


def _all(
    here: Context, looks: Viewer, query: QueryParams, pages: Mapping[str, str], text: str
) -> tuple[list[Hits], bool]:
    """What is found, and whether some of it is still being read."""
    ready = {kind: asked for kind, asked in LISTS.items() if not here.relations.is_blocked(asked)}
    told = {kind: texts(here, asked, query) for kind, asked in ready.items()}
    read = here.cache.look(
        [Asked(asked, given(asked, told[kind])) for kind, asked in ready.items()], WAIT
    )
    found = [
        _hits("Questions", text, _questions(here, looks, query)),
        _hits("Pages", text, _pages(pages, query)),
    ]
    waits = False
    for kind, cached in zip(ready, read, strict=True):
        waits = waits or cached.answer is None
        rows = cached.answer.rows if cached.answer is not None else None
        if rows is not None:
            found.append(_hits(f"{kind.capitalize()}s", text, _things(kind, rows.to_pylist())))
    if looks.role != "member":
        found.append(_hits("Endpoints", text, _endpoints(here)))
    return found, waits


def _hits(title: str, text: str, named: Iterable[tuple[str, Hit]]) -> Hits:
    """Those whose words have all of a text in them, or whose id it is."""
    wanted = text.casefold().split()
    found: list[tuple[bool, bool, str, int, Hit]] = []
    for number, hit in named:
        words = f"{hit.name} {hit.more}".casefold()
        if number == text or all(each in words for each in wanted):
            begins = hit.name.casefold().startswith(text.casefold())
            found.append((number != text, not begins, hit.name.casefold(), len(found), hit))
    found.sort(key=lambda each: each[:-1])
    return Hits(title, tuple(each[-1] for each in found[:MOST]), max(0, len(found) - MOST))


def _questions(here: Context, looks: Viewer, query: QueryParams) -> Iterator[tuple[str, Hit]]:
    for name, asked in here.questions.items():
        if looks.sees(asked):
            yield name, Hit(asked.title, f"/questions/{name}{keep(query)}", name)


def _pages(pages: Mapping[str, str], query: QueryParams) -> Iterator[tuple[str, Hit]]:
    for address, name in pages.items():
        yield address, Hit(name, f"{address}{keep(query) if address not in OF_NOBODY else ''}")


def _things(kind: str, rows: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, Hit]]:
    for row in rows:
        if row["id"] is not None:
            name, number = row["name"] or "", str(row["id"])
            yield number, Hit(name, place(f"{kind}_id", row["id"]), f"{number} {row['more'] or ''}")


def _endpoints(here: Context) -> Iterator[tuple[str, Hit]]:
    for each in here.settings.endpoints:
        yield each.name, Hit(each.name, f"/ops/endpoints/{each.name}", each.path)
