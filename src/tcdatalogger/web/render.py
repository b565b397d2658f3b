"""Makes pages of templates. What stands in data is text: nothing of it is ever HTML."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Iterator
from functools import cache, partial
from importlib.resources import files
from typing import Any, Final
from urllib.parse import urlencode

import jinja2
from markupsafe import Markup, escape
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from tcdatalogger import __version__
from tcdatalogger.clock import utc
from tcdatalogger.core.config import durations
from tcdatalogger.questions.numbers import moment
from tcdatalogger.questions.pictures import colours
from tcdatalogger.questions.question import PAGES, SUBJECTS
from tcdatalogger.text import harmless
from tcdatalogger.web.context import analyst, context, viewer

NAV: Final = (
    ("/", "Today"),
    ("/crimes", "Crimes"),
    ("/members", "Members"),
    ("/money", "Money"),
    ("/war", "War"),
    ("/armory", "Armory"),
    ("/market", "Market"),
    ("/me", "Me"),
    ("/questions", "Questions"),
    ("/sql", "SQL"),
    ("/ops", "Operations"),
)
"""The pages that stand on every page, for who may see them."""
OF_NOBODY: Final = ("/ops", "/sql")
"""The pages of `NAV` that are about no faction: a link to them keeps no choice of one."""

PACKED: Final = 20_000
"""Bytes of a page at most, packed as it is sent."""
LINKS: Final = 200
"""Links of a page at most that are stops for who has only a keyboard."""

LONG_WORD: Final = 24
"""Letters of a word that has room in a line of a phone."""

_SEPARATOR: Final = re.compile(r"(?<=[/\\])(?=[^/\\\s])")

_TYPES: Final = {
    "css": "text/css",
    "js": "text/javascript",
    "txt": "text/plain",
    "woff2": "font/woff2",
}
_STYLE: Final = "style.css"
"""The file of style; the colours, which pictures have too, come before what it says."""
_YEAR: Final = "public, max-age=31536000, immutable"


@cache
def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("tcdatalogger.web"),
        autoescape=True,
        finalize=_harmless,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {
        "commands": commands,
        "duration": lambda text: durations.parse(text).words,
        "moment": moment,
    }
    made.globals |= {"of_nobody": OF_NOBODY, "static": _address, "version": __version__}
    return made


def _harmless(value: object) -> object:
    """What a template writes: no name turns the letters beside it around, or cannot be sent."""
    if isinstance(value, Markup):
        return value
    return harmless(str(value).replace("\r\n", "\n"))


def commands(text: str) -> Markup:
    """A text with its commands, which stand between backticks, as code; a last backtick that has no
    other one begins none. A long path may be broken into lines after each of its separators.
    """
    parts = harmless(text).split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(_broken(part))
        if n % 2 and n < len(parts) - 1
        else _broken(part)
        for n, part in enumerate(parts)
    )


def _broken(text: str) -> Markup:
    return Markup(" ").join(
        Markup("<wbr>").join(map(escape, _SEPARATOR.split(word)))
        if len(word) > LONG_WORD
        else escape(word)
        for word in text.split(" ")
    )


def fewer(rows: int) -> Iterator[int]:
    """So many rows, then fewer and fewer, and one in the end: until a page `is_light`."""
    while rows > 1:
        yield rows
        rows = rows * 3 // 4
    yield 1


def is_light(answer: Response) -> bool:
    """Whether a page has no more bytes and no more links than `PACKED` and `LINKS` say."""
    body = bytes(answer.body)
    if body.count(b"<a ") - body.count(b'tabindex="-1"') > LINKS:
        return False
    return len(body) <= PACKED or len(gzip.compress(body)) <= PACKED


def page(request: Request, template: str, status: int = 200, **facts: Any) -> Response:
    """A page.

    Args:
        request: whose answer it is.
        template: a file of `templates/`.
        status: of the answer.
        facts: what the template shows.
    """
    path, query = request.url.path, request.query_params
    here = next((each for each, _ in NAV[1:] if path == each or path.startswith(f"{each}/")), "/")
    text = (
        _environment()
        .get_template(template)
        .render(
            here=here,
            nav=nav(request),
            viewer=viewer(request),
            query=query,
            keep=partial(keep, query),
            made=utc(context(request).clock.now()),
            **facts,
        )
    )
    return HTMLResponse(text, status)


def nav(request: Request) -> dict[str, str]:
    """The pages that somebody may see; in files those alone that have an answer."""
    here, looks = context(request), viewer(request)
    seen = {
        "/me": looks.role == "owner",
        "/sql": analyst(request) is not None and not looks.exported,
        "/ops": looks.role != "member" and not looks.exported,
    }
    if looks.exported:
        asked = [each for each in here.questions.values() if looks.sees(each)]
        answered = {each.page for each in asked if not here.relations.is_blocked(each)}
        seen |= {f"/{name}": name in answered for name in PAGES}
    return {address: name for address, name in NAV if seen.get(address, True)}


def keep(query: QueryParams, **changes: object) -> str:
    """The query of a link that keeps of whom the pages are: "" or with `?`.

    Args:
        query: of the address of the page.
        changes: what else stands in it; None for what does not.
    """
    kept = {kind: query[kind] for kind in SUBJECTS.values() if query.get(kind)} | changes
    told = urlencode({name: value for name, value in kept.items() if value is not None})
    return f"?{told}" if told else ""


@cache
def _static(name: str) -> tuple[bytes, str]:
    """The bytes of a file of `static/`, and what they are known by."""
    body = files(__package__).joinpath("static", name).read_bytes()
    if name == _STYLE:
        body = colours.style().encode() + body
    return body, hashlib.sha256(body).hexdigest()[:12]


def _address(name: str) -> str:
    """The address of a file of `static/`; it changes with the file."""
    return f"/static/{name}?{_static(name)[1]}"


def static(request: Request) -> Response:
    """A file of `static/`: style, script or font."""
    name = request.path_params["name"]
    kind = _TYPES.get(name.rpartition(".")[2])
    if kind is None or name not in {
        each.name for each in files(__package__).joinpath("static").iterdir()
    }:
        return PlainTextResponse("There is no such file.", 404)
    return Response(_static(name)[0], media_type=kind, headers={"cache-control": _YEAR})
