"""Probes Torn: one call for each path, and a report of what came that has no value in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import msgspec

from tcdatalogger import __version__
from tcdatalogger.core.config.requests import path_values, query
from tcdatalogger.core.config.settings import QUERY, EndpointSettings
from tcdatalogger.core.main import Application
from tcdatalogger.errors import (
    ConfigError,
    DataRefused,
    Failure,
    KeyRefused,
    NotFound,
    RequestRefused,
)
from tcdatalogger.models import notation
from tcdatalogger.models.reading.outline import (
    METADATA,
    Difference,
    Vocabulary,
    differences,
    names_of,
    of_columns,
    outline,
    together,
    unlisted,
)
from tcdatalogger.models.shape import Shape
from tcdatalogger.services.torncity.catalog.catalog import Catalog, Endpoint
from tcdatalogger.services.torncity.client.envelope import read_links
from tcdatalogger.services.torncity.client.error_codes import TornFault
from tcdatalogger.services.torncity.client.messages import Answer, Request
from tcdatalogger.services.torncity.keys import KeyInfo
from tcdatalogger.services.torncity.lists import links

OK: Final = "ok"
NOT_PERMITTED: Final = "not permitted"
NO_ID: Final = "no id"
"""What became of a path that was not called: its query for ids found none."""

VERSION: Final = 1
"""Of the form of reports."""
LARGEST: Final = 50_000_000
"""The most bytes of a report that is read."""

_SOURCES: Final = {
    "chainId": "/faction/chains",
    "crimeId": "/faction/crimes",
    "raceId": "/racing/races",
    "raidWarId": "/faction/raids",
    "rankedWarId": "/faction/rankedwars",
    "territoryWarId": "/faction/territorywars",
    "threadId": "/forum/threads",
    "tradeId": "/user/trades",
}
"""The lists in which an id for a placeholder of another path is found."""
_KINDS_OF_LINKS: Final = {
    "time": {"from", "to"},
    "offset": {"offset"},
    "cursor": {"cursor"},
    "nanostamp": {"nanostamp"},
}
"""The kinds of paging, by the parameters that lead on."""
_ID: Final = re.compile(rb'"id"\s*:\s*(\d+)')
_KINDS_OF_CONTENT: Final = ("application/json", "text/csv", "text/html", "text/plain")


class PathReport(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """What one path answered.

    Attributes:
        path: of the catalogue, with its placeholders.
        answer: `ok`, `error` and Torn's number, or a word for why nothing came.
        params: the names of the parameters that were sent.
        seconds: of the slowest call, to a tenth.
        bytes: of the largest answer, rounded up to a power of two.
        content: the kind of content.
        headers: the names of the headers that this program keeps.
        differences: from the catalogue.
        shape: of the answers, in the notation of the catalogue; None where there is none.
    """

    path: str
    answer: str
    params: tuple[str, ...] = ()
    seconds: float = 0.0
    bytes: int = 0
    content: str = ""
    headers: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()
    shape: Any = None

    def outline(self) -> Shape | None:
        """The shape of the answers, None where there is none.

        Raises:
            ConfigError: the report has none that can be read.
        """
        if self.shape is None:
            return None
        try:
            return notation.read(self.shape, {}, {})
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise ConfigError(
                f"The report has no shape that can be read for {self.path}."
            ) from None


class Report(msgspec.Struct, forbid_unknown_fields=True):
    """A report: each path once, and no value, name, id or key of anybody.

    Attributes:
        probe: the version of the form.
        program: the version of this program.
        catalogue: the version of the catalogue.
        paths: what each path answered, by path.
    """

    probe: int
    program: str
    catalogue: str
    paths: tuple[PathReport, ...]


def read(raw: bytes, place: str) -> Report:
    """A report in the bytes of a file.

    Args:
        raw: the bytes.
        place: where they came from, for the message.

    Raises:
        ConfigError: they are no report, or one of a newer version.
    """
    try:
        found = msgspec.json.decode(raw, type=Report)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ConfigError(
            f"{place} is no report of a probe.", remedy="`tcdatalogger probe` writes one."
        ) from None
    if found.probe != VERSION:
        raise ConfigError(
            f"{place} has the form {found.probe} of reports, and this program knows {VERSION}.",
            remedy=f"It was written by version {found.program[:20]}.",
        )
    return found


@dataclass(slots=True)
class _Seen:
    """What came of a path so far."""

    entry: Endpoint
    report: PathReport
    shape: Shape | None = None
    found: list[Difference] = field(default_factory=list)


def probe(
    application: Application,
    endpoints: Sequence[EndpointSettings],
    tell: Callable[[str, int, int], None] = lambda _path, _done, _all: None,
) -> Report:
    """Call each endpoint once, with the lowest priority, and report what came.

    Args:
        application: the application.
        endpoints: what to call; several of one path become one entry of the report.
        tell: called before each call with its path, how many are done, and how many there are.

    Raises:
        TryAgain: the state cannot be reached.
    """
    known = vocabulary(application.catalog)
    seen: dict[str, _Seen] = {}
    ids: dict[str, str] = {}
    for number, endpoint in enumerate(endpoints):
        entry = application.catalog.find(endpoint.path)[0]
        tell(entry.path, number, len(endpoints))
        one = seen.setdefault(entry.path, _Seen(entry, PathReport(entry.path, OK)))
        try:
            request, answer = _called(application, endpoint, ids)
        except Failure as failure:
            if one.shape is None:
                one.report.answer = _word(failure)
            continue
        if found := _ID.search(answer.body):
            ids.setdefault(entry.path, found[1].decode())
        _take(one, request, answer, known)
    reports = [_whole(one) for one in seen.values()]
    reports.sort(key=lambda report: report.path)
    return Report(VERSION, __version__, application.catalog.version, tuple(reports))


def vocabulary(catalog: Catalog) -> Vocabulary:
    """The names that a report may have: those of the catalogue."""
    names = set(names_of(endpoint.shape for endpoint in catalog.endpoints))
    names.update(p.name for endpoint in catalog.endpoints for p in endpoint.parameters)
    names.update(word for e in catalog.endpoints for word in e.path.split("/") if "{" not in word)
    return Vocabulary(names - {"", "[]"})


def permitted(application: Application, key: str) -> Iterator[EndpointSettings]:
    """An endpoint for each path of the catalogue that a key may read.

    An id that a path needs is that of the key's owner, his faction or company, one that another
    path brings, or 1.

    Args:
        application: the application.
        key: its name in the configuration.

    Raises:
        Failure: Torn refuses the key, or cannot be asked.
    """
    info = application.info(application.key(key))
    listed = [each for each in application.catalog.endpoints if not each.route]
    for entry in sorted(listed, key=lambda each: bool(each.path_parameters)):
        given: dict[str, Any] = {
            "name": "probe",
            "path": entry.path,
            "api_key": (key,),
            "params": needed(entry),
        }
        if entry.path_parameters:
            given["ids"] = (_own(entry, info),)
        yield EndpointSettings.model_validate(given)


def needed(entry: Endpoint) -> dict[str, Any]:
    """The parameters that a path cannot be called without, each with a value that it takes."""
    return {
        parameter.name: parameter.values[0] if parameter.values else 1
        for parameter in entry.parameters
        if parameter.where == "query" and parameter.required
    }


def _own(entry: Endpoint, info: KeyInfo) -> int:
    """The id of what a path is about, as far as it is the owner's of a key; else 1."""
    mine = {"user": info.owner_id, "faction": info.faction_id, "company": info.company_id}
    return (entry.path_parameters[0].name == "id" and mine.get(entry.section)) or 1


def _called(
    application: Application, endpoint: EndpointSettings, ids: dict[str, str]
) -> tuple[Request, Answer]:
    """Make the first call of an endpoint.

    Raises:
        Failure: no key may make it, or Torn did not answer it.
    """
    entry, given = application.catalog.find(endpoint.path)
    if endpoint.name == "probe" and entry.path_parameters:
        source = _SOURCES.get(entry.path_parameters[0].name, "")
        if source in ids:
            endpoint = endpoint.model_copy(update={"ids": (ids[source],)})
    task = application.task(endpoint)
    source_of = application.source(endpoint, task, priority="low")
    if source_of.get is None:
        raise KeyRefused("No call may be made.")
    values = path_values(endpoint, entry, given)[0]
    path = entry.path
    for name, value in values.items():
        asked = source_of.ids[0] if value.startswith(QUERY) else value
        path = path.replace(f"{{{name}}}", asked)
    request = links.first(entry, Request(path, query(endpoint, entry)))
    # Whatever the body has is what the report is about.
    return request, source_of.get(replace(request, payload=None))


def _word(failure: Failure) -> str:
    """Why nothing came; never the text of the error, which may quote what Torn sent."""
    match failure:
        case TornFault(code=int(number)):
            return f"error {number}"
        case TornFault(kind=kind):
            return kind.name
        case KeyRefused():
            return NOT_PERMITTED
        case DataRefused() | NotFound() | RequestRefused() | ConfigError():
            return NO_ID
        case _:
            return type(failure).__name__


def _take(one: _Seen, request: Request, answer: Answer, known: Vocabulary) -> None:
    """Take an answer into what is known of its path."""
    report, expected = one.report, one.entry.shape
    names = (name for name, _ in request.params)
    report.params = tuple(dict.fromkeys((*report.params, *(n for n in names if known.has(n)))))
    report.seconds = max(report.seconds, round(answer.seconds, 1))
    report.bytes = max(report.bytes, 1 << max(len(answer.body) - 1, 0).bit_length())
    kind = answer.header("content-type").partition(";")[0].strip().lower()
    report.content = kind if kind in _KINDS_OF_CONTENT else "another"
    headers = (name for name, _ in answer.headers)
    report.headers = tuple(dict.fromkeys((*report.headers, *headers)))
    try:
        if one.entry.content == "csv":
            columns = answer.body.partition(b"\n")[0].decode("utf-8-sig").strip().split(",")
            shape = of_columns(columns, expected, known)
        else:
            shape = outline(answer.body, expected, known)
            one.found += unlisted(answer.body, expected)
            one.found += _of_links(answer.body, one.entry)
    except ValueError:
        if one.shape is None:
            report.answer = "no JSON"
        return
    report.answer = OK
    one.shape = shape if one.shape is None else together(one.shape, shape, expected, known)


def _of_links(body: bytes, entry: Endpoint) -> Iterator[Difference]:
    """Links of another kind than the catalogue says."""
    found = read_links(body)
    place = f"{METADATA}.links"
    if found is None:
        yield Difference("links", place, entry.paging, "another form")
        return
    allowed = {"all": {"time", "offset"}, "nanostamp": {"time", "nanostamp"}}
    for name, link in (("next", found.next), ("prev", found.prev)):
        if link is None:
            continue
        kind = _kind_of_link(link)
        if kind not in allowed.get(entry.paging, {entry.paging}):
            yield Difference("links", f"{place}.{name}", entry.paging, kind)


def _kind_of_link(link: str) -> str:
    try:
        names = {name.lower() for name, _ in parse_qsl(urlsplit(link).query)}
    except ValueError:
        return "no address"
    return next(
        (
            kind
            for kind in ("cursor", "nanostamp", "offset", "time")
            if names & _KINDS_OF_LINKS[kind]
        ),
        "another",
    )


def _whole(one: _Seen) -> PathReport:
    """The report on a path when all of its answers are known."""
    report, expected = one.report, one.entry.shape
    if one.shape is not None:
        report.shape = notation.write(one.shape, {})
        found = differences(one.shape, expected)
        if one.entry.content == "csv":  # a cell is a text, whatever it holds
            found = [each for each in found if each.kind not in ("type", "null")]
        one.found = [*found, *dict.fromkeys(one.found)]
    report.differences = tuple(one.found)
    return report
