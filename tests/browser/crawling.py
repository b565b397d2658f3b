"""Finds the pages that can be reached by links, as somebody who clicks on everything."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx2

MANY = 4
"""How many pages of one kind are asked: those of ten thousand runs are made the same way."""
TIMES = 30
"""How often a page is asked that waits for an answer, each time after all others."""


def kind(path: str) -> str:
    """What pages that are made the same way share: `/runs/12?days=7` is of `/runs/#?days`.

    With each choice all questions are one kind, and so are all files of a type: `/q/#.png?days`.
    """
    parts = urlsplit(path)
    words = ["#" if re.search(r"\d", word) else word for word in parts.path.split("/")]
    names = sorted({name for name, _ in parse_qsl(parts.query, keep_blank_values=True)})
    if not names:
        return "/".join(words)
    words[-1] = "#" if words[:-1] == ["", "questions"] else re.sub(r"^.+\.", "#.", words[-1])
    return "/".join(words) + "?" + "&".join(names)


class _Links(HTMLParser):
    """The addresses in a page: of links, and of what belongs to the page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.ids: set[str] = set()
        self.feed(text)

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value and name in {"href", "src", "action"}:
                self.found.append(value)
            if value and name == "id":
                self.ids.add(value)


@dataclass
class Found:
    """What was found.

    Attributes:
        pages: the paths of pages of HTML, the first ones found of each kind.
        others: the paths of other answers, and their types.
        broken: links that do not answer, and where each stands.
        outside: addresses of others.
        unread: pages that waited for an answer to the end, and where a link to each stands.
    """

    pages: list[str] = field(default_factory=list)
    others: dict[str, str] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    outside: set[str] = field(default_factory=set)
    unread: list[tuple[str, str]] = field(default_factory=list)

    def to_look_at(self) -> list[str]:
        """All pages as a first visitor sees them, and one of each choice that can be made.

        Of endpoints and runs some are enough; each question has a chart of its own.
        """
        choices_seen: set[str] = set()
        beside: Counter[str] = Counter()
        chosen = []
        for path in self.pages:
            choices = kind(path).partition("?")[2]
            folder = path.partition("?")[0].rpartition("/")[0]
            if choices:
                enough = choices in choices_seen
            else:
                beside[folder] += 1
                enough = folder.count("/") > 1 and beside[folder] > MANY
            if enough:
                continue
            choices_seen.add(choices)
            chosen.append(path)
        return chosen


def crawl(url: str, many: int = MANY, start: str = "/") -> Found:
    """Follow every link from a page, of each kind as many as said."""
    found, asked, times, waiting = Found(), Counter[str](), Counter[str](), [(start, "nobody")]
    met = {start}
    with httpx2.Client(base_url=url, timeout=60, follow_redirects=True) as client:
        while waiting:
            path, where = waiting.pop(0)
            if path not in times:
                asked[kind(path)] += 1
                if asked[kind(path)] > many:
                    continue
            answer = client.get(path)
            waits = answer.status_code == 503 or "Being read" in answer.text
            if waits and times[path] < TIMES:
                times[path] += 1
                waiting.append((path, where))
                continue
            if answer.status_code >= 400:
                found.broken.append(f"{path} answers {answer.status_code}, a link of {where}")
            what = answer.headers.get("content-type", "").partition(";")[0]
            if what != "text/html":
                found.others[path] = what
                continue
            if waits:
                found.unread.append((path, where))
                continue
            found.pages.append(path)
            for target in _linked(url, path, answer.text, found):
                if target not in met:
                    met.add(target)
                    waiting.append((target, path))
    return found


def _linked(url: str, path: str, text: str, found: Found) -> Iterator[str]:
    """The paths of ours that a page leads to."""
    links = _Links(text)
    for link in links.found:
        to = urlsplit(urljoin(f"{url}{path}", link))
        if f"{to.scheme}://{to.netloc}" != url:
            found.outside.add(link)
            continue
        if link.startswith("#") and link != "#" and to.fragment not in links.ids:
            found.broken.append(f"{link} is no place of {path}")
        yield to.path + (f"?{to.query}" if to.query else "")
