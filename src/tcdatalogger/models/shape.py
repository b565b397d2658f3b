"""The shape of a JSON value: object, list, scalar or free JSON. Shapes are frozen and comparable.

A shape says which values may come. `merge` is the rule for `anyOf` in Torn's document: a value that
fits one of the shapes fits the merged shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum


class Kind(StrEnum):
    """The kinds of scalars. `TIME` is a Unix time in whole seconds, sent as an integer."""

    INT = "int"
    FLOAT = "float"
    TEXT = "text"
    BOOL = "bool"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value.

    Attributes:
        kind: the kind of the value.
        nullable: whether null may come instead.
        values: values that are known; another value is not refused.
        open: whether Torn's document allows other values than `values`.
    """

    kind: Kind
    nullable: bool = False
    values: tuple[str | int, ...] = ()
    open: bool = False


@dataclass(frozen=True, slots=True)
class Field:
    """One member of an object.

    Attributes:
        name: the name in the JSON.
        shape: the shape of the value.
        required: whether Torn's document says that every object has the field.
        deprecated: whether Torn's document says that the field will be removed.
        ends: the day of the removal as an ISO date, "" where it is unknown.
        learned: whether the field is unknown to the catalogue and was seen in the data (drift).
    """

    name: str
    shape: Shape
    required: bool = True
    deprecated: bool = False
    ends: str = ""
    learned: bool = False


@dataclass(frozen=True, slots=True)
class Object:
    """A JSON object.

    Attributes:
        fields: the members.
        nullable: whether null may come instead.
    """

    fields: tuple[Field, ...]
    nullable: bool = False
    _by_name: Mapping[str, Field] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {f.name: f for f in self.fields[::-1]})

    def field(self, name: str) -> Field | None:
        """The member with this name, None where there is none."""
        return self._by_name.get(name)


@dataclass(frozen=True, slots=True)
class List:
    """A JSON list.

    Attributes:
        element: the shape of all elements.
        nullable: whether null may come instead.
    """

    element: Shape
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class Json:
    """A value that may have several kinds; it is stored as JSON text.

    Attributes:
        nullable: whether null may come instead.
        options: the shapes that Torn's document names, empty for a free object. They are for people
            and for the sandbox; a value with another shape is not refused.
    """

    nullable: bool = False
    options: tuple[Shape, ...] = ()


Shape = Object | List | Scalar | Json

NUMBERS = (Kind.INT, Kind.FLOAT, Kind.TIME)


def merge(left: Shape, right: Shape) -> Shape:
    """The narrowest shape that fits every value that fits `left` or `right`."""
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
    """Merge one or more shapes, from the left.

    Raises:
        ValueError: there is no shape.
    """
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
    """The same shape, where null may come too."""
    return replace(shape, nullable=True)


def walk(shape: Shape, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Shape]]:
    """The shape and all shapes inside it, depth first, each with its path; `[]` is an element."""
    yield path, shape
    match shape:
        case Object(fields=fields):
            for field in fields:
                yield from walk(field.shape, (*path, field.name))
        case List(element=element):
            yield from walk(element, (*path, "[]"))
        case _:
            return
