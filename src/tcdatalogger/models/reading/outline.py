"""The outline of a JSON body: its shape without a single value, and what a catalogue lacks of it.

An outline may be shown to strangers. Numbers and texts are dropped while the body is read; what is
left are names of fields. A name is kept only if Torn's document has it, or has every word of it; an
object with any other name is a map, whose names (ids, names of players) become `*`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, Final, Literal

from tcdatalogger.models.shape import (
    Field,
    Json,
    Kind,
    List,
    Object,
    Scalar,
    Shape,
    walk,
)

ANY: Final = "*"
"""The name of a field that stands for all names of a map."""
METADATA: Final = "_metadata"
"""The member of a body with its links."""

_PLAIN: Final = re.compile(r"[a-z]+(_[a-z]+)*")
_WORD: Final = re.compile(r"[A-Za-z][a-z]*")
_NUMBER: Final = 0
_FRACTION: Final = 0.5

DifferenceKind = Literal["unknown field", "missing field", "type", "null", "value", "links"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference between an outline and the shape of a catalogue.

    Attributes:
        kind: what differs. `unknown field`: the catalogue lacks it. `missing field`: the catalogue
            says that it always comes. `value`: a text that the catalogue does not list.
        place: where, as `members[].status.state`.
        expected: what the catalogue says, as `int`; "" where it has no such field.
        came: what came, as `text`.
    """

    kind: DifferenceKind
    place: str
    expected: str = ""
    came: str = ""


class Vocabulary:
    """The names that an outline may have.

    Args:
        names: of Torn's document: of fields, parameters and paths.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)
        self._words = frozenset(
            word.lower() for name in self._names for word in _WORD.findall(name)
        )

    def has(self, name: str) -> bool:
        """Whether a name is one of Torn's document, or made of its words alone."""
        if name in self._names:
            return True
        return bool(_PLAIN.fullmatch(name)) and self._words.issuperset(name.split("_"))


def names_of(shapes: Iterable[Shape]) -> Iterator[str]:
    """The names of all fields inside of shapes."""
    for shape in shapes:
        for path, _ in walk(shape):
            yield from path[-1:]


def outline(body: bytes, expected: Shape, known: Vocabulary) -> Shape:
    """The outline of a body.

    Args:
        body: JSON.
        expected: the shape of the catalogue.
        known: the names that may be kept.

    Raises:
        ValueError: the body is no JSON, or is nested too deep.
    """
    try:
        value = json.loads(
            body,
            parse_int=lambda _digits: _NUMBER,
            parse_float=lambda _digits: _FRACTION,
            parse_constant=lambda _name: _FRACTION,
        )
        return _collapsed(_shape(value), expected, known)
    except RecursionError:
        raise ValueError("nested too deep") from None


def together(one: Shape, other: Shape, expected: Shape, known: Vocabulary) -> Shape:
    """The outline of two bodies of a path, from the outline of each; arguments as of `outline`."""
    return _collapsed(_join(one, other), expected, known)


def of_columns(names: Iterable[str], expected: Shape, known: Vocabulary) -> Shape:
    """The outline of a CSV body with these columns; each cell is a text."""
    row = Object(tuple(Field(name, Scalar(Kind.TEXT)) for name in dict.fromkeys(names)))
    return _collapsed(List(row), expected, known)


def unlisted(body: bytes, expected: Shape) -> Iterator[Difference]:
    """The places with a text that the catalogue does not list; the text itself is dropped.

    Raises:
        ValueError: the body is no JSON, or is nested too deep.
    """
    try:
        value = json.loads(body, parse_int=lambda _digits: _NUMBER)
        places = dict.fromkeys(_unlisted(value, expected, ""))
    except RecursionError:
        raise ValueError("nested too deep") from None
    for place in places:
        yield Difference("value", place, "a listed value", "another value")


def differences(found: Shape, expected: Shape) -> list[Difference]:
    """How an outline differs from the shape of a catalogue, each difference once."""
    return list(dict.fromkeys(_compared(found, expected, "")))


# --- shapes ---------------------------------------------------------------------------------------


def _shape(value: Any) -> Shape:
    """The shape of a value; null, and an element of an empty list, may be anything."""
    match value:
        case None:
            return Json(nullable=True)
        case bool():
            return Scalar(Kind.BOOL)
        case int():
            return Scalar(Kind.INT)
        case float():
            return Scalar(Kind.FLOAT)
        case str():
            return Scalar(Kind.TEXT)
        case list():
            return List(_merged(map(_shape, value)))
        case _:
            return Object(tuple(Field(name, _shape(inner)) for name, inner in value.items()))


def _merged(shapes: Iterable[Shape]) -> Shape:
    """The shape of several values, of which nothing may be known."""
    nothing: Shape = Json()
    return reduce(_join, dict.fromkeys(shapes), nothing)


def _join(one: Shape, other: Shape) -> Shape:
    """The shape of two values; other than `merge`, null and empty lists say nothing of the rest."""
    nullable = one.nullable or other.nullable
    match one, other:
        case Json(options=()), _:
            return replace(other, nullable=nullable)
        case _, Json(options=()):
            return replace(one, nullable=nullable)
        case Object(), Object():
            return Object(tuple(_joined_fields(one, other)), nullable)
        case List(), List():
            return List(_join(one.element, other.element), nullable)
        case Scalar(), Scalar() if {one.kind, other.kind} <= {Kind.INT, Kind.FLOAT}:
            return Scalar(one.kind if one.kind == other.kind else Kind.FLOAT, nullable)
        case Scalar(), Scalar() if one.kind == other.kind:
            return replace(one, nullable=nullable)
        case _:
            return Json(nullable, tuple(_options(one, other)))


def _options(one: Shape, other: Shape) -> Iterator[Shape]:
    """The kinds that came in one place, each once."""
    found: dict[str, Shape] = {}
    for shape in (one, other):
        for option in shape.options if isinstance(shape, Json) else (shape,):
            plain = replace(option, nullable=False)
            kind = _word(plain)
            found[kind] = _join(found[kind], plain) if kind in found else plain
    return iter(found.values())


def _joined_fields(one: Object, other: Object) -> Iterator[Field]:
    for field in one.fields:
        its = other.field(field.name)
        if its is None:
            yield replace(field, required=False)
        else:
            both = field.required and its.required
            yield Field(field.name, _join(field.shape, its.shape), required=both)
    for field in other.fields:
        if one.field(field.name) is None:
            yield replace(field, required=False)


def _nothing(shape: Shape) -> bool:
    return isinstance(shape, Json) and not shape.options


def _collapsed(shape: Shape, expected: Shape | None, known: Vocabulary) -> Shape:
    """The shape with only names that may be kept."""
    match shape:
        case List(element=element):
            inner = expected.element if isinstance(expected, List) else None
            return replace(shape, element=_collapsed(element, inner, known))
        case Json(options=options):
            kept = (_collapsed(option, expected, known) for option in options)
            return replace(shape, options=tuple(dict.fromkeys(kept)))
        case Object(fields=fields):
            return Object(tuple(_fields(fields, expected, known)), shape.nullable)
        case _:
            return shape


def _fields(
    fields: tuple[Field, ...], expected: Shape | None, known: Vocabulary
) -> Iterator[Field]:
    of_catalog = {f.name: f.shape for f in expected.fields} if isinstance(expected, Object) else {}
    others = [field for field in fields if field.name not in of_catalog]
    for field in fields:
        if field.name in of_catalog:
            yield replace(field, shape=_collapsed(field.shape, of_catalog[field.name], known))
    if all(known.has(field.name) for field in others):
        for field in others:
            yield replace(field, shape=_collapsed(field.shape, None, known))
    else:
        inside = _merged(_collapsed(field.shape, None, known) for field in others)
        # Merging two maps may bring a name beside `*` once more.
        yield Field(ANY, _collapsed(inside, None, known), required=False)


# --- differences ----------------------------------------------------------------------------------


def _compared(found: Shape, expected: Shape, place: str) -> Iterator[Difference]:
    if isinstance(expected, Json):
        return
    if _nothing(found):
        if found.nullable and not expected.nullable and place:
            yield Difference("null", place, _word(expected), "null")
        return
    if found.nullable and not expected.nullable:
        yield Difference("null", place, _word(expected), "null")
    match found, expected:
        case Object(), Object():
            yield from _of_objects(found, expected, place)
        case List(element=came), List(element=wanted):
            yield from _compared(came, wanted, f"{place}[]")
        case Scalar(kind=came), Scalar(kind=wanted):
            if not fits(came, wanted):
                yield Difference("type", place, wanted.value, came.value)
        case _:
            yield Difference("type", place, _word(expected), _word(found))


def _of_objects(found: Object, expected: Object, place: str) -> Iterator[Difference]:
    for field in found.fields:
        where = f"{place}.{field.name}".lstrip(".")
        known = expected.field(field.name)
        if known is None:
            yield Difference("unknown field", where, "", _word(field.shape))
        else:
            yield from _compared(field.shape, known.shape, where)
    for field in expected.fields:
        own = found.field(field.name)
        if field.required and (own is None or not own.required):
            where = f"{place}.{field.name}".lstrip(".")
            came = "never" if own is None else "sometimes"
            yield Difference("missing field", where, _word(field.shape), came)


def fits(came: Kind, wanted: Kind) -> bool:
    """Whether a value of one kind is one of another: a whole number may be a time or a decimal."""
    return came == wanted or (came is Kind.INT and wanted in (Kind.FLOAT, Kind.TIME))


def _word(shape: Shape) -> str:
    match shape:
        case Scalar(kind=kind):
            return kind.value
        case Json(options=options):
            return " or ".join(dict.fromkeys(map(_word, options))) or "null"
        case List():
            return "list"
        case Object():
            return "object"


def _unlisted(value: Any, expected: Shape, place: str) -> Iterator[str]:
    match value, expected:
        case dict(), Object():
            for name, inner in value.items():
                field = expected.field(name)
                if field is not None:
                    yield from _unlisted(inner, field.shape, f"{place}.{name}".lstrip("."))
        case list(), List(element=element):
            for inner in value:
                yield from _unlisted(inner, element, f"{place}[]")
        case str(), Scalar(kind=Kind.TEXT, values=values, open=False) if (
            values and value not in values
        ):
            yield place
        case _:
            return
