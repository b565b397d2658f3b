"""Infers the shapes of fields that the catalogue does not know (drift), with examples.

Learned fields are nullable and marked as learned; `models/schema.py` names them last.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from tcdatalogger.models.reading import lossless_json
from tcdatalogger.models.reading.lossless_json import Number, Value
from tcdatalogger.models.schema import METADATA
from tcdatalogger.models.shape import Field, Json, Kind, List, Object, Scalar, Shape

Path = tuple[str, ...]
"""The path of a field in a shape: names of fields, and `[]` for the element of a list."""

MAP_KEY = "_key"
"""The field with the key of a record, where a map of records came in place of a list."""

WIDEST = 100
"""An unknown object with more members is stored as JSON: its names are probably data."""

DEEPEST = 16
"""An unknown value that lies deeper is stored as JSON: so the number of tables has an end."""

MOST = 1_000
"""The most fields with values that are learned for one endpoint over all its runs: so the number
of columns has an end."""

MOST_LISTS = 50
"""The most lists that are learned for one endpoint, each is a table; further lists are JSON."""

UNKNOWN = "the catalogue does not know this field"
FULL = f"{UNKNOWN}, and no more than {MOST:,} such fields are learned for an endpoint"

_EXAMPLE = 200
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


@dataclass(slots=True)
class Learned:
    """What was learned so far.

    Attributes:
        whole: paths where integers stay integers.
        fields, lists: how many fields and lists are learned, in earlier runs too.
        examples: the first value at each learned path, as JSON text.
    """

    whole: frozenset[Path] = frozenset()
    fields: int = 0
    lists: int = 0
    examples: dict[Path, str] = field(default_factory=dict)


def grow(
    shape: Object, bodies: Iterable[Value], whole: Collection[Path] = ()
) -> tuple[Object, Mapping[Path, str]]:
    """Add a learned field to `shape` for everything that the bodies have and `shape` lacks.

    Args:
        shape: the known shape.
        bodies: the bodies of a run.
        whole: paths where integers stay integers, whatever comes.

    Returns:
        The grown shape, and the first value at each new path, as JSON text.
    """
    before = list(learned_shapes(shape))
    lists = sum(isinstance(each, List) for each in before)
    learned = Learned(frozenset(whole), len(before), lists)
    # What cannot change the shape is let go body by body: as Python values they take much memory.
    values = [part for body in bodies if (part := _needed(body, shape)) is not None]
    grown = _grow(shape, values, (), learned)
    return (grown if isinstance(grown, Object) else shape), learned.examples


def learned_shapes(shape: Shape) -> Iterator[Shape]:
    """The shapes of all learned fields at any depth, except objects."""
    match shape:
        case Object(fields=fields):
            for known in fields:
                if known.learned and not isinstance(known.shape, Object):
                    yield known.shape
                yield from learned_shapes(known.shape)
        case List(element=element):
            yield from learned_shapes(element)
        case _:
            return


def _needed(value: Value, shape: Shape) -> Value | None:
    """The parts of a value that may change its shape: what the shape lacks, and what may widen it.

    None where there are none.
    """
    match shape:
        case Object() if isinstance(value, dict):
            parts: dict[str, Value] = {}
            for name, inner in value.items():
                known = shape.field(name)
                if known is None or (known.learned and _may_widen(known.shape)):
                    parts[name] = inner
                elif (part := _needed(inner, known.shape)) is not None:
                    parts[name] = part
            return parts or None
        case List() if is_map(value, shape):
            return value
        case List() if isinstance(value, list):
            found = [part for each in value if (part := _needed(each, shape.element)) is not None]
            return found or None
        case _:
            return None


def _grow(shape: Shape, values: list[Value], path: Path, learned: Learned) -> Shape:
    match shape:
        case Object():
            return _grow_object(shape, values, path, learned)
        case List():
            return _grow_list(shape, values, path, learned)
        case _:
            return shape


def _grow_list(shape: List, values: list[Value], path: Path, learned: Learned) -> List:
    elements: list[Value] = []
    for value in values:
        if isinstance(value, list):
            elements += value
        elif is_map(value, shape):
            elements += map_records(value)
    return replace(shape, element=_grow(shape.element, elements, (*path, "[]"), learned))


def is_map(value: Value, shape: Shape) -> bool:
    """Whether a value is a map of records where the shape has a list of records."""
    return (
        isinstance(value, dict)
        and isinstance(shape, List)
        and isinstance(shape.element, Object)
        and bool(value)
        and all(isinstance(inner, dict) for _, inner in lossless_json.pairs(value))
    )


def map_records(value: dict[str, Value]) -> list[Value]:
    """The records of a map, each with its key as the field `_key`; also where a key is repeated."""
    return [
        lossless_json.from_pairs([(MAP_KEY, key), *lossless_json.pairs(inner)])
        for key, inner in lossless_json.pairs(value)
    ]


def _grow_object(shape: Object, values: list[Value], path: Path, learned: Learned) -> Object:
    by_name: dict[str, list[Value]] = defaultdict(list)
    for value in values:
        if isinstance(value, dict):
            new = sum(shape.field(name) is None for name in value)
            for name, inner in value.items():
                if new <= MOST - learned.fields or shape.field(name) is not None:
                    by_name[name].append(inner)
    fields = []
    for known in shape.fields:
        values_ = by_name.pop(known.name, [])
        inner = _grow(known.shape, values_, (*path, known.name), learned)
        if known.learned and (*path, known.name) not in learned.whole:
            inner = _widen(inner, values_)
        fields.append(replace(known, shape=inner))
    if not path:
        by_name.pop(METADATA, None)
    for name, inners in by_name.items():
        if not lossless_json.is_text(name) or learned.fields >= MOST:
            continue  # no column can have this name, or there are too many: the record is rejected
        fields.append(_infer_field(name, inners, path, learned))
    return replace(shape, fields=tuple(fields))


def _widen(shape: Shape, values: list[Value]) -> Shape:
    """Make a learned integer a decimal when a decimal comes.

    A whole decimal counts as an integer. A field stays an integer where a float holds not all of
    its integers.
    """
    if not isinstance(shape, Scalar) or not _may_widen(shape):
        return shape
    numbers = [value for value in values if isinstance(value, Number)]
    decimal = any(not number.whole and lossless_json.integer(number) is None for number in numbers)
    return replace(shape, kind=Kind.FLOAT) if decimal and _all_fit_float(numbers) else shape


def _may_widen(shape: Shape) -> bool:
    return isinstance(shape, Scalar) and shape.kind is Kind.INT


def _all_fit_float(numbers: Iterable[Number]) -> bool:
    """Whether a float holds every integer of 64 bits among these numbers."""
    whole = (number for number in numbers if number.whole and lossless_json.fits(number))
    return all(map(lossless_json.fits_float, whole))


def _infer_field(name: str, values: list[Value], path: Path, learned: Learned) -> Field:
    """An unknown field."""
    shape = _infer(values, (*path, name), learned)
    learned.fields += not isinstance(shape, Object)
    return Field(name, shape, required=False, learned=True)


def _infer(values: list[Value], path: Path, learned: Learned) -> Shape:
    """The shape that fits all values of an unknown field; an example is remembered."""
    present = [value for value in values if value is not None]
    shape = _infer_present(present, path, learned)
    if not isinstance(shape, Object | List) or (isinstance(shape, List) and not present):
        example = lossless_json.dump(present[0] if present else None)
        learned.examples[path] = example[:_EXAMPLE]
    return shape


def _infer_present(present: list[Value], path: Path, learned: Learned) -> Shape:
    if not present:
        return Json(nullable=True)
    kinds = {_kind(value) for value in present}
    if kinds == {Kind.INT, Kind.FLOAT}:
        kinds = {Kind.FLOAT if _all_fit_float(present) else Kind.INT}
    if len(kinds) > 1:
        return Json(nullable=True)
    kind = kinds.pop()
    if isinstance(kind, Kind):
        return Scalar(kind, nullable=True)
    if len(path) > DEEPEST:
        return Json(nullable=True)
    if kind == "list":
        return _infer_list(present, path, learned)
    if kind == "object":
        return _infer_object(present, path, learned)
    return Json(nullable=True)


def _kind(value: Value) -> Kind | str:
    match value:
        case bool():
            return Kind.BOOL
        case Number():
            if not value.whole:
                return Kind.FLOAT
            return Kind.INT if lossless_json.fits(value) else "wide"
        case str():
            return Kind.TEXT
        case list():
            return "list"
        case _:
            return "object"


def _infer_list(values: list[Value], path: Path, learned: Learned) -> Shape:
    elements = [element for value in values for element in value]
    if not elements or learned.lists >= MOST_LISTS:
        return Json(nullable=True)
    learned.lists += 1
    return List(_infer(elements, (*path, "[]"), learned), nullable=True)


def _infer_object(values: list[Value], path: Path, learned: Learned) -> Shape:
    names = dict.fromkeys(name for value in values for name in value)
    plain = all(_NAME.fullmatch(name) for name in names)
    if not plain or not 0 < len(names) <= WIDEST or any(not value for value in values):
        return Json(nullable=True)
    if learned.fields + len(names) > MOST:
        return Json(nullable=True)
    inners = ((name, [value[name] for value in values if name in value]) for name in names)
    return Object(
        tuple(_infer_field(name, inner, path, learned) for name, inner in inners), nullable=True
    )
