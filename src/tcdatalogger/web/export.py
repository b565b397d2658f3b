"""The pages as files: `tcdatalogger ui --export`, for a web server that runs nothing.

The application is asked as a browser asks it, and links are followed from the first page. A link
becomes one from file to file; what leads to no file, as an operations page, is only text. Pages of
one member, crime, war or item are too many to be files: what leads to them leads to Torn.
"""

from __future__ import annotations

import asyncio
import posixpath
import re
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from html import escape, unescape
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx2
from starlette.types import Receive, Scope, Send

from tcdatalogger.core.main import Application
from tcdatalogger.errors import ConfigError, UsageError, WarehouseUnavailable
from tcdatalogger.files import Progress, silent
from tcdatalogger.questions.answers import Answer, given
from tcdatalogger.questions.pictures.png import lacking
from tcdatalogger.questions.question import PAGES, Question
from tcdatalogger.web.app import make_app, make_context
from tcdatalogger.web.cache import Asked, Cached
from tcdatalogger.web.context import PERIODS, Context, Role, Viewer
from tcdatalogger.web.site_folder import replaced
from tcdatalogger.web.things import on_torn

WAIT: Final = 1.0
"""Seconds after which answers that are waited for count as looked at again."""
_STATIC: Final = ("inter.woff2", "inter-OFL.txt")
"""Files that no link leads to."""
_FIRST: Final = {"", *PAGES, "questions", "q", "static"}
"""What the paths of pages begin with that become files."""
# The templates escape all that stands in an attribute or a text, so a tag ends at its first `>`.
_ANCHOR: Final = re.compile(r"(<a\b[^>]*>)(.*?)</a>", re.DOTALL)
_LINK: Final = re.compile(r"<link\b[^>]*>")
_HREF: Final = re.compile(r'\bhref="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be exported.

    Attributes:
        role: whose pages.
        periods: days that pages offer.
    """

    role: Role = "member"
    periods: tuple[int, ...] = PERIODS


@dataclass(frozen=True, slots=True)
class Exported:
    """What was exported.

    Attributes:
        pages: how many.
        files: how many, with pages, answers, style and font.
        bytes: of all files.
        questions: that have an answer.
        problems: of questions that have none, and of pictures that could not be drawn.
        without_pictures: why there are none; "" where there are.
        seconds: how long it took.
    """

    pages: int
    files: int
    bytes: int
    questions: int
    problems: tuple[str, ...]
    without_pictures: str
    seconds: float


class _Address(NamedTuple):
    """A page or an answer: its path, and the days that it looks back, None where none are said."""

    path: str
    days: int | None = None

    @property
    def url(self) -> str:
        return self.path if self.days is None else f"{self.path}?days={self.days}"

    @property
    def file(self) -> str:
        """Its file, by the path from the folder of the site."""
        name, dot, kind = self.path.strip("/").partition(".")
        period = "" if self.days is None else f".{self.days}-days"
        return f"{name or 'index'}{period}.{kind if dot else 'html'}"


def export(
    application: Application,
    questions: Mapping[str, Question],
    folder: Path,
    wish: Wish,
    progress: Progress = silent,
) -> Exported:
    """Write the pages that a role may see into a folder; an export that is there is replaced.

    Args:
        application: with the settings.
        questions: by name.
        folder: of the site.
        wish: what is to be exported.
        progress: is told of the pages.

    Raises:
        UsageError: the folder is none of ours or cannot be written, or nothing is stored yet.
        ConfigError: no question could be answered.
        WarehouseUnavailable: another program has the warehouse for too long.
        DiskFull: the disk is full.
    """
    began = time.monotonic()
    context = make_context(
        application, questions, patience=None, follows=False, periods=wish.periods
    )
    try:
        with replaced(folder) as place, context.cache:
            site = _Site(context, wish, place)
            asyncio.run(site.make(progress))
            answered, wrong = _outcome(context.cache.kept())
    finally:
        context.close()
    return Exported(
        len(site.pages),
        len(site.sizes),
        sum(site.sizes),
        answered,
        (*wrong, *site.problems),
        "" if (lacks := lacking()) is None else str(lacks),
        time.monotonic() - began,
    )


def _outcome(kept: list[Cached[Any]]) -> tuple[int, list[str]]:
    """How many questions have an answer, and what is wrong with others.

    Raises:
        ConfigError: none has one, and some are wrong.
        UsageError: nothing is stored.
    """
    answers = [each.answer for each in kept if isinstance(each.answer, Answer)]
    answered = {each.question.name for each in answers if each.rows is not None}
    wrong = {
        f"{each.asked.question.name}: {each.says} {each.remedy}".strip()
        for each in kept
        if isinstance(each.asked, Asked) and each.standing in {"failed", "slow"}
    }
    if not answered and wrong:
        raise ConfigError(
            "No question could be answered, so nothing was exported.", problems=sorted(wrong)
        )
    if not answered:
        raise UsageError(
            "Nothing is stored yet, so nothing was exported.",
            remedy="`tcdatalogger run --all` stores some.",
        )
    return len(answered), sorted(wrong)


class _Site:
    """Asks for pages, and writes them.

    Args:
        context: what pages are made from; its cache reads.
        wish: what is to be exported.
        folder: to write into.
    """

    def __init__(self, context: Context, wish: Wish, folder: Path) -> None:
        self._context = context
        self._wish = wish
        self._folder = folder
        self.pages: dict[_Address, str] = {}
        self.sizes: list[int] = []
        self.problems: list[str] = []

    async def make(self, progress: Progress) -> None:
        """Write all that links lead to from the first page."""
        self._begin()
        files = set[str]()
        waiting = [_Address("/"), *(_Address(f"/static/{name}") for name in _STATIC)]
        met = set(waiting)
        async with self._client() as client:
            while waiting:
                at = waiting.pop(0)
                answer = await self._ask(client, at.url)
                progress("pages and answers", len(met) - len(waiting), len(met))
                if answer.status_code != HTTPStatus.OK:
                    self.problems.append(f"{at.file}: {answer.text}")
                    continue
                files.add(at.file)
                if not answer.headers["content-type"].startswith("text/html"):
                    self._write(at.file, answer.content)
                    continue
                self.pages[at] = answer.text
                found = dict.fromkeys(self._addresses(at, answer.text))
                waiting += [each for each in found if each not in met]
                met |= set(found)
        for at, text in self.pages.items():
            self._write(at.file, self._linked(at, text, files).encode())

    def _begin(self) -> None:
        """Let the cache read what pages will show, while the first of them are made."""
        here, looks = self._context, Viewer(self._wish.role)
        ready = [q for q in here.questions.values() if looks.sees(q)]
        ready = [q for q in ready if not here.relations.is_blocked(q)]
        for days in ({}, *({"days": str(each)} for each in here.periods)):
            here.cache.look([Asked(each, given(each, days)) for each in ready])

    def _client(self) -> httpx2.AsyncClient:
        app, looks = make_app(self._context), Viewer(self._wish.role, exported=True)

        async def seen(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "state": {"viewer": looks}}, receive, send)

        return httpx2.AsyncClient(
            transport=httpx2.ASGITransport(seen), base_url="http://localhost", timeout=None
        )

    async def _ask(self, client: httpx2.AsyncClient, url: str) -> httpx2.Response:
        """An answer that waits for nothing.

        Raises:
            WarehouseUnavailable: another program has the warehouse for too long.
        """
        cache = self._context.cache
        while True:
            answer = await client.get(url)
            kept = cache.kept()
            for each in kept:
                if each.standing == "held":
                    raise WarehouseUnavailable(each.says, remedy=each.remedy)
            unread = [each.asked for each in kept if each.standing == "waiting"]
            if not unread:
                return answer
            await asyncio.to_thread(cache.look, unread, WAIT)

    def _addresses(self, at: _Address, text: str) -> Iterator[_Address]:
        """What the links of a page lead to that is to become a file."""
        for href in _HREF.findall(text):
            if (found := self._address(at, href)) is not None:
                yield found

    def _address(self, at: _Address, href: str) -> _Address | None:
        """What a link of a page leads to; None for what becomes no file."""
        to = urlsplit(urljoin(at.path, unescape(href)))
        first, _, rest = to.path.strip("/").partition("/")
        if to.scheme or to.netloc or href.startswith("#") or first not in _FIRST:
            return None
        if on_torn(to.path):
            return None
        if first == "static":  # its query is what the browser knows its content by
            return _Address(to.path)
        chosen = parse_qs(to.query)
        if chosen.keys() - {"days"}:
            return None
        days = int(chosen["days"][0]) if chosen else None
        asked = self._context.questions.get(rest.partition(".")[0])
        return _Address(to.path, None if asked is not None and asked.days == days else days)

    def _linked(self, at: _Address, text: str, files: Collection[str]) -> str:
        """A page with links from its file to others; what leads to none of them is only text."""

        def linked(tag: str) -> str | None:
            href = _HREF.search(tag)
            if href is not None and (torn := on_torn(unescape(href[1]))):
                return _HREF.sub(lambda _: f'href="{escape(torn)}" rel="noreferrer noopener"', tag)
            to = None if href is None else self._address(at, href[1])
            if href is None or (to is None and _is_kept(href[1])):
                return tag
            if to is None or to.file not in files:
                return None
            path = posixpath.relpath(to.file, posixpath.dirname(at.file) or ".")
            query = urlsplit(unescape(href[1])).query if to.path.startswith("/static/") else ""
            return _HREF.sub(f'href="{path}{query and "?"}{query}"', tag)

        def anchor(found: re.Match[str]) -> str:
            tag = linked(found[1])
            return found[2] if tag is None else f"{tag}{found[2]}</a>"

        return _LINK.sub(lambda found: linked(found[0]) or "", _ANCHOR.sub(anchor, text))

    def _write(self, file: str, content: bytes) -> None:
        path = self._folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self.sizes.append(len(content))


def _is_kept(href: str) -> bool:
    """Whether a link that leads to none of our pages stays: a place of the page, or of others."""
    return href.startswith(("#", "https:", "data:"))
