"""The shape of a JSON value: object, list, scalar or free JSON. Values are frozen, so they compare.

A shape says what may come; it is never inferred from a sample of what came. `merge` is the rule of
`anyOf`: what fits one of the shapes fits the merged one, and nothing gets narrower by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum


class Kind(StrEnum):
    """The kinds of scalar. `TIME` is a Unix time in whole seconds, sent as an integer."""

    INT = "int"
    FLOAT = "float"
    TEXT = "text"
    BOOL = "bool"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value.

    Attributes:
        kind: what it is.
        nullable: whether null may stand in its place.
        values: values that are known to occur; a fact, never a reason to refuse another.
        open: whether others than `values` are announced (an enum or any text).
    """

    kind: Kind
    nullable: bool = False
    values: tuple[str | int, ...] = ()
    open: bool = False


@dataclass(frozen=True, slots=True)
class Field:
    """One member of an object.

    Attributes:
        name: as it stands in the JSON.
        shape: of its value.
        required: whether it is promised in every object.
        deprecated: whether it is announced to go.
        ends: the day from which it is gone, as an ISO date, or "" where none is announced.
        learned: whether it is unknown to the catalogue and was seen in the data (drift).
    """

    name: str
    shape: Shape
    required: bool = True
    deprecated: bool = False
    ends: str = ""
    learned: bool = False


@dataclass(frozen=True, slots=True)
class Object:
    fields: tuple[Field, ...]
    nullable: bool = False
    _by_name: Mapping[str, Field] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {one.name: one for one in self.fields[::-1]})

    def field(self, name: str) -> Field | None:
        return self._by_name.get(name)


@dataclass(frozen=True, slots=True)
class List:
    element: Shape
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class Json:
    """A value whose kind differs from record to record: kept as JSON text.

    Attributes:
        nullable: whether null may stand in its place.
        options: the shapes that are announced, empty for a free-form object. A fact for people
            and for the sandbox, never a reason to refuse a value.
    """

    nullable: bool = False
    options: tuple[Shape, ...] = ()


Shape = Object | List | Scalar | Json

NUMBERS = (Kind.INT, Kind.FLOAT, Kind.TIME)


def merge(left: Shape, right: Shape) -> Shape:
    """The narrowest shape that takes whatever `left` or `right` takes."""
    nullable = left.nullable or right.nullable
    match left, right:
        case Scalar(), Scalar():
            return _merge_scalars(left, right, nullable=nullable)
        case Object(), Object():
            return Object(_merge_fields(left, right), nullable)
        case List(), List():
            return List(merge(left.element, right.element), nullable)
        case _:
            return _as_json((left, right), nullable=nullable)


def merge_all(shapes: Iterable[Shape]) -> Shape:
    """`merge` over one or more shapes, from the left."""
    whole: Shape | None = None
    for shape in shapes:
        whole = shape if whole is None else merge(whole, shape)
    if whole is None:
        raise ValueError("there is nothing to merge")
    return whole


def _merge_scalars(left: Scalar, right: Scalar, *, nullable: bool) -> Shape:
    if left.kind == right.kind:
        kind = left.kind
    elif {left.kind, right.kind} <= {Kind.INT, Kind.TIME}:
        kind = Kind.INT
    elif left.kind in NUMBERS and right.kind in NUMBERS:
        kind = Kind.FLOAT
    else:
        return _as_json((left, right), nullable=nullable)
    values = tuple(dict.fromkeys((*left.values, *right.values)))
    closed = bool(left.values) and bool(right.values) and not (left.open or right.open)
    return Scalar(kind, nullable, values, open=bool(values) and not closed)


def _as_json(shapes: tuple[Shape, ...], *, nullable: bool) -> Json:
    options: list[Shape] = []
    for shape in shapes:
        found = shape.options if isinstance(shape, Json) else (shape,)
        options.extend(replace(option, nullable=False) for option in found)
    return Json(nullable, tuple(dict.fromkeys(options)))


def _merge_fields(left: Object, right: Object) -> tuple[Field, ...]:
    """The fields of both, those of `left` first; required only where both require it."""
    fields = []
    for own in left.fields:
        other = right.field(own.name)
        if other is None:
            fields.append(replace(own, required=False))
            continue
        fields.append(
            Field(
                own.name,
                merge(own.shape, other.shape),
                required=own.required and other.required,
                deprecated=own.deprecated and other.deprecated,
                ends=own.ends if own.ends == other.ends else "",
                learned=own.learned and other.learned,
            )
        )
    fields += [replace(f, required=False) for f in right.fields if left.field(f.name) is None]
    return tuple(fields)


def as_nullable(shape: Shape) -> Shape:
    return replace(shape, nullable=True)


def walk(shape: Shape, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Shape]]:
    """Every shape inside, depth first, with its path; an element of a list is named `[]`."""
    yield path, shape
    match shape:
        case Object(fields=fields):
            for field in fields:
                yield from walk(field.shape, (*path, field.name))
        case List(element=element):
            yield from walk(element, (*path, "[]"))
        case _:
            return
