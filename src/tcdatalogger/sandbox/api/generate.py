"""Invented answers for all endpoints that the world does not simulate, made from their shapes.

An answer depends on the seed, the path, the parameters that choose a subject, and the time of the
world. Lists by time grow with the time of the world; everything else stays the same. A player's log
has kinds of entries that Torn writes (`logbook.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Any

from tcdatalogger.models.shape import Kind, List, Object, Scalar, Shape
from tcdatalogger.sandbox.api.answers import Call
from tcdatalogger.sandbox.api.errors import Refusal
from tcdatalogger.sandbox.api.paging import Links, Window, offset_links, time_links, whole
from tcdatalogger.sandbox.world import logbook, people, revives, wars
from tcdatalogger.sandbox.world.bursts import Bursts
from tcdatalogger.sandbox.world.invent import Maker
from tcdatalogger.sandbox.world.people import DAY
from tcdatalogger.sandbox.world.php_json import encode
from tcdatalogger.sandbox.world.rng import Rng, mix
from tcdatalogger.sandbox.world.streams import Row, Stream, StreamSpan

_PAGING = frozenset(
    (
        *("limit", "offset", "from", "to", "sort", "cursor", "nanostamp", "key", "comment"),
        *("timestamp", "striptags", "stripTags", "selections"),
    )
)
_A_DAY = 4_000
"""How many ids a day of a list by time has for its rows."""

_LOG = "/user/log"
_RATES = {_LOG: 20}
"""The largest number of rows a day, by path; a path that is not listed has 8."""

_BILLION = 1_000_000_000


def generate(call: Call) -> bytes:
    """An answer that fits the shape of the endpoint, as JSON bytes."""
    maker = Maker(call.world.seed, _subject(call), call.t)
    whole = call.endpoint.shape
    if not isinstance(whole, Object):
        return encode(maker.value(whole, "", ()))
    place = _listed(whole) if call.endpoint.paging != "none" else ()
    body = maker.whole(whole, place)
    _named(call, maker, whole, body)
    if call.endpoint.selection == "wars":
        _known_war(call, body)
    if place:
        rows, metadata = _rows(call, maker, place[-1], _at(whole, place))
        _put(body, place, rows)
        if "_metadata" in body:
            body["_metadata"] = _known(whole, metadata)
    return encode(body)


def shaped(call: Call, shape: Shape) -> bytes:
    """An answer of any shape, as JSON bytes."""
    return encode(Maker(call.world.seed, _subject(call), call.t).value(shape, "", ()))


def _known(whole: Object, metadata: dict[str, Any]) -> dict[str, Any]:
    """The part of the metadata that the catalogue knows for this endpoint."""
    field = whole.field("_metadata")
    names = (
        [inner.name for inner in field.shape.fields]
        if field and isinstance(field.shape, Object)
        else []
    )
    return {name: metadata[name] for name in names if name in metadata}


def _subject(call: Call) -> str:
    """The subject of a call: the path, the owner where it matters, and the other parameters."""
    chosen = sorted(f"{k}={v}" for k, v in call.params.items() if k not in _PAGING)
    mine = "" if call.values or call.endpoint.section == "torn" else str(call.key.owner)
    path = call.endpoint.path
    for name, value in call.values.items():
        path = path.replace(f"{{{name}}}", value)
    return "&".join([path, mine, *chosen])


def _listed(whole: Object) -> tuple[str, ...]:
    """The path to the paged list in a body: at the top, or one object deeper."""
    for field in whole.fields:
        if isinstance(field.shape, List):
            return (field.name,)
    for field in whole.fields:
        if isinstance(field.shape, Object) and field.name != "_metadata":
            for inner in field.shape.fields:
                if isinstance(inner.shape, List):
                    return (field.name, inner.name)
    return ()


def _at(whole: Object, place: tuple[str, ...]) -> Shape:
    """The shape of the list's elements."""
    shape: Shape = whole
    for name in place:
        field = shape.field(name) if isinstance(shape, Object) else None
        if field is None:
            raise AssertionError(f"{name} was found in this shape")
        shape = field.shape
    return shape.element if isinstance(shape, List) else shape


def _put(body: dict[str, Any], place: tuple[str, ...], rows: list[Any]) -> None:
    for name in place[:-1]:
        body = body[name]
    body[place[-1]] = rows


def _rows(call: Call, maker: Maker, name: str, element: Shape) -> tuple[list[Any], dict[str, Any]]:
    """A page of the list, and everything that its metadata may say."""
    if call.endpoint.paging in {"time", "nanostamp"}:
        return _by_time(call, maker, name, element)
    asked = call.window
    total = Rng(maker.seed, maker.subject, "total").between(15, 260)
    cursor = call.params.get("cursor", "")
    if call.endpoint.paging == "cursor":
        start = int(cursor[1:]) if cursor[1:].isdecimal() else asked.offset
        asked = Window(None, None, 25, start, newest_first=False)
    numbers = range(asked.offset, min(asked.offset + asked.limit, total))
    rows = [maker.row(name, element, number) for number in numbers]
    more = asked.offset + len(rows) < total
    links: Links = offset_links(call.address, asked, len(rows), more=more)
    if call.endpoint.paging == "cursor":
        onward = call.address.link("?", cursor=f"c{asked.offset + len(rows)}") if more else None
        links = {"prev": None, "next": onward}
    return rows, {"links": links, "total": total}


def _by_time(
    call: Call, maker: Maker, name: str, element: Shape
) -> tuple[list[Any], dict[str, Any]]:
    asked = call.window
    stream = call.world.generated.get(maker.subject)
    if stream is None:
        bursts = call.world.bursts if call.endpoint.path == _LOG else Bursts()
        draw = partial(_day, maker.seed, maker.subject, _RATES.get(call.endpoint.path, 8), bursts)
        stream = call.world.generated[maker.subject] = Stream(DAY, draw, call.world.since)
    high = asked.high
    nano = whole(call.params, "nanostamp")
    if nano is not None:
        high = min(nano // _BILLION, high if high is not None else call.t)
    span = StreamSpan(asked.low, high, asked.limit, asked.newest_first)
    kept = (row for row in stream.rows(call.t, span) if nano is None or _nanostamp(row) <= nano)
    found = list(islice(kept, asked.limit))
    # A row never changes, so its other times hang on its own day and not on the present one.
    rows = [
        Maker(maker.seed, maker.subject, row.at).row(name, element, row.id, row.at) for row in found
    ]
    if call.endpoint.path == "/faction/revives":
        rows = [revives.with_people(maker.seed, call.home(), row) for row in rows]
    if call.endpoint.path == _LOG:
        for made, row in zip(rows, found, strict=True):
            told = Rng(maker.seed, maker.subject, "log", row.id)
            made["details"], made["data"] = logbook.written(told)
    links = time_links(call.address, asked, [row.at for row in found])
    last = {"nanostamp": str(_nanostamp(found[-1]))} if found else {}
    return rows, {"links": links, **last}


def _nanostamp(row: Row) -> int:
    return row.at * _BILLION + row.id % _BILLION


def _day(seed: int, subject: str, most: int, bursts: Bursts, day: int) -> Iterator[Row]:
    low = day * DAY
    count = Rng(seed, "rows", subject, day).between(0, most)
    times = [low + mix(seed, subject, day, place) % DAY for place in range(count)]
    for moment in bursts.moments(low, low + DAY, seed, "log"):
        times += [moment] * bursts.rows
    for place, at in enumerate(times):
        yield Row(at, day * _A_DAY + place, at, "", None)


def _named(call: Call, maker: Maker, whole: Object, body: dict[str, Any]) -> None:
    """Put the ids that were asked for into the answer: Torn answers about what it was asked.

    Raises:
        Refusal: an id is none (6).
    """
    asked = _asked(call)
    many = call.endpoint.paging == "none" and any(p.many for p in call.endpoint.path_parameters)
    for field in whole.fields:
        value = body.get(field.name)
        if isinstance(value, dict) and _has_number(field.shape, "id"):
            if asked:
                value["id"] = asked[0]
            elif call.endpoint.path == "/user/profile":
                value["id"] = call.key.owner
            _known_person(call, value)
        elif many and isinstance(field.shape, List) and _has_number(field.shape.element, "id"):
            element = field.shape.element
            body[field.name] = [{**maker.row(field.name, element, n), "id": n} for n in asked]


def _asked(call: Call) -> list[int]:
    """The ids in the path; those that are texts are left out.

    Raises:
        Refusal: an id that should be a number is none (6).
    """
    found = []
    for parameter in call.endpoint.path_parameters:
        for text in call.values[parameter.name].split(","):
            if text.isdecimal() and int(text):
                found.append(int(text))
            elif parameter.kind == "int":
                raise Refusal(6)
    return found


def _known_person(call: Call, value: dict[str, Any]) -> None:
    """Put the real name and level of a person of the city into a user profile."""
    if call.endpoint.selection != "profile" or call.endpoint.section != "user":
        return
    person = people.find(call.world.seed, value["id"], call.t)
    if person:
        value["name"] = people.name(call.world.seed, person.code)
        value["level"] = people.level(call.world.seed, person, call.t)


def _known_war(call: Call, body: dict[str, Any]) -> None:
    """Put the ranked war that is on into the wars of a faction; its end is null."""
    home = people.faction(int(call.values["id"])) if "id" in call.values else call.home()
    if home is None:
        return
    war = wars.at(call.world.seed, home, call.t)
    ranked = war and wars.war_json(war, call.t, running=None)
    body["wars"]["ranked"] = ranked and {"war_id": ranked.pop("id"), **ranked}


def _has_number(shape: Shape, name: str) -> bool:
    inner = shape.field(name) if isinstance(shape, Object) else None
    return bool(inner and isinstance(inner.shape, Scalar) and inner.shape.kind is Kind.INT)
