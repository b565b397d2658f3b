"""Bodies and their shape -> nested Arrow, a row for each page; what does not fit is set aside.

The fast reader is `pyarrow.json` with the shape as its schema, many pages at a time: the strictest
reader there is, and one that keeps what it does not know. Whatever it refuses goes, halved until it
is alone, to the careful reader (`row_reader.py`), so that its cost is paid only then.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pa_json

from tcdatalogger.models.reading import lossless_json
from tcdatalogger.models.reading.infer import FULL, UNKNOWN, Path, grow
from tcdatalogger.models.reading.quote import Quoting, quote, quoting
from tcdatalogger.models.reading.row_reader import TIME_MAX, TIME_MIN, RejectedRecord, read_rows
from tcdatalogger.models.records import key_fields
from tcdatalogger.models.schema import METADATA, TableFamily
from tcdatalogger.models.shape import Json, Kind, List, Object, Scalar, Shape, walk

BATCH_BYTES: Final = 48 * 2**20
"""How much JSON the fast reader takes at once: enough for its speed, little enough for memory."""

_BOM: Final = b"\xef\xbb\xbf"
_NUMBER: Final = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_OUTLINE: Final = bytes.maketrans(b"123456789.+-E", b"000000000000e")
"""Makes a `0` of all that a number has but its `e`."""
_LONG: Final = (b"0" * 16, b"0e0")
"""What the outline of a number has that a float may not hold: all others have 15 digits at most."""
_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ARROW: Final = {
    Kind.INT: pa.int64(),
    Kind.TIME: pa.int64(),
    Kind.FLOAT: pa.float64(),
    Kind.TEXT: pa.string(),
    Kind.BOOL: pa.bool_(),
}


@dataclass(frozen=True, slots=True)
class Batch:
    """Bodies as Arrow.

    Attributes:
        body: a struct array with a row for each page, in the order of `pages`.
        pages: the number of each page.
    """

    body: pa.StructArray
    pages: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a run's pages hold.

    Attributes:
        batches: the bodies; pages that hold nothing that fits are missing.
        shape: as it was given, grown by what the bodies have and it lacked.
        examples: for each learned place, and each where a text was sent as a number, the first
            value as JSON.
        rejected: the records that were set aside.
    """

    batches: tuple[Batch, ...]
    shape: Object
    examples: Mapping[Path, str]
    rejected: tuple[RejectedRecord, ...]


class _Refused(Exception):
    """The fast reader does not take these pages as they are."""


def decode(
    pages: Sequence[bytes],
    family: TableFamily,
    *,
    may_grow: bool = True,
    whole: Collection[Path] = (),
    keyed: bool = False,
) -> Decoded:
    """Read all pages of a run.

    Args:
        pages: the bodies as Torn sent them.
        family: whose shape they should have.
        may_grow: whether a field that the shape lacks is learned; otherwise its record is rejected.
        whole: places where learned integers stay integers, so that a decimal is rejected.
        keyed: whether a record with a null in its key is rejected, as nothing tells it apart.

    Nothing is raised for any content: what cannot be read comes back as a rejected record.
    """
    shape = family.shape
    plan, root, key = quoting(shape), _records(family), _key(family, shape, keyed=keyed)
    try:
        batches = tuple(
            Batch(_read([pages[at] for at in numbers], shape, plan, root, key), numbers)
            for numbers in _split(pages)
        )
    except _Refused:
        return _decode_with_care(pages, family, may_grow=may_grow, whole=whole, keyed=keyed)
    return Decoded(batches, shape, {}, ())


def _decode_with_care(
    pages: Sequence[bytes],
    family: TableFamily,
    *,
    may_grow: bool,
    whole: Collection[Path],
    keyed: bool,
) -> Decoded:
    """Learn what is new in the pages, then read them again, and reject what does not fit."""
    values = dict(enumerate(map(_value, pages)))
    sound = (value for value in values.values() if not isinstance(value, RejectedRecord))
    shape, examples = grow(family.shape, sound, whole) if may_grow else (family.shape, {})
    plan, root, key = quoting(shape), _records(family), _key(family, shape, keyed=keyed)
    batches: list[Batch] = []
    rejected: list[RejectedRecord] = []
    seen = dict(examples)
    unknown = FULL if may_grow else UNKNOWN

    def read(numbers: tuple[int, ...]) -> None:
        try:
            bodies = [pages[at] for at in numbers]
            batches.append(Batch(_read(bodies, shape, plan, root, key), numbers))
        except _Refused:
            if len(numbers) > 1:
                middle = len(numbers) // 2
                read(numbers[:middle])
                read(numbers[middle:])
                return
            page = numbers[0]
            value = values[page]
            if isinstance(value, RejectedRecord):
                rejected.append(RejectedRecord(page, value.path, value.reason, value.record))
                return
            _read_value(value, page)

    def _read_value(value: lossless_json.Value, page: int) -> None:
        where = family.root if family.listed else ()
        found = read_rows(value, shape, where, page, key, unknown=unknown)
        rejected.extend(found.rejected)
        for place, example in found.converted.items():
            seen.setdefault(place, example)
        if found.body is None:
            return
        try:
            batches.append(Batch(_read([found.body], shape, None, root, salvaged=True), (page,)))
        except _Refused as refusal:
            reason = f"the reader refuses it: {refusal}"
            rejected.append(RejectedRecord(page, "", reason, found.body.decode()))

    for numbers in _split(pages):
        read(numbers)
    return Decoded(tuple(batches), shape, seen, tuple(rejected))


def _value(raw: bytes) -> lossless_json.Value | RejectedRecord:
    """The body as Python values; a rejected record (of page 0) where it is no JSON."""
    try:
        return lossless_json.parse(raw)
    except (ValueError, RecursionError) as error:
        return RejectedRecord(
            0, "", f"the body is no JSON: {error}", raw.decode(errors="backslashreplace")
        )


def _split(pages: Sequence[bytes]) -> Iterator[tuple[int, ...]]:
    """The numbers of the pages, in groups that the fast reader takes at once."""
    group: list[int] = []
    size = 0
    for number, page in enumerate(pages):
        if group and size + len(page) > BATCH_BYTES:
            yield tuple(group)
            group, size = [], 0
        group.append(number)
        size += len(page)
    if group:
        yield tuple(group)


def _records(family: TableFamily) -> str | None:
    """The field with the list of records, None where the body is one record."""
    return family.root[0] if family.listed else None


def _read(
    pages: list[bytes],
    shape: Object,
    plan: Quoting | None,
    root: str | None,
    key: Sequence[Path] = (),
    *,
    salvaged: bool = False,
) -> pa.StructArray:
    """The pages as a struct array of `shape`; `salvaged` ones went through the careful reader.

    Raises:
        _Refused: one of them is no JSON, has what `shape` has not, breaks a type, or has a null in
            place of a record in the list `root` or in the `key` of one.
    """
    lines = b"\n".join(_line(page, plan) for page in pages)
    if not salvaged and _has_decimals(shape) and _rounds(lines):
        raise _Refused("a number may be rounded")
    table = _table(lines, shape, len(pages))
    columns: dict[str, pa.Array] = {}
    for found in table.schema:
        if found.name == METADATA:
            continue
        field = shape.field(found.name)
        # First the type, then the values: of an unknown `[null, null]` the reader makes an array
        # that is out of its bounds.
        if field is None or not _knows(found.type, field.shape):
            raise _Refused(f"{found.name} is not as it should be")
        columns[found.name] = table.column(found.name).combine_chunks()
        if not all(TIME_MIN <= at <= TIME_MAX for at in _bounds(columns[found.name], field.shape)):
            raise _Refused(f"{found.name} has a time out of bounds")
    if not columns:
        columns[METADATA] = pa.nulls(len(pages))
    body = pa.StructArray.from_arrays(list(columns.values()), list(columns))
    if root is None:
        _refuse_nulls(body, key)
    elif root in columns:
        if _has_null_records(columns[root]):
            raise _Refused("null stands in place of a record")
        _refuse_nulls(columns[root].flatten(), key)
    return body


def _table(lines: bytes, shape: Object, count: int) -> pa.Table:
    """Bodies as the fast reader takes them, a row each; what it does not know it infers.

    Raises:
        _Refused: it cannot read them, or they are not `count` objects.
    """
    try:
        table = pa_json.read_json(
            pa.BufferReader(lines),
            pa_json.ReadOptions(block_size=len(lines) + 1),
            pa_json.ParseOptions(explicit_schema=_schema(shape), unexpected_field_behavior="infer"),
        )
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise _Refused(str(error)) from None
    if table.num_rows != count:
        raise _Refused("a page is not one object")
    return table


def _refuse_nulls(records: pa.Array, key: Sequence[Path]) -> None:
    """Refuse records with a null in their key.

    Raises:
        _Refused: there is one.
    """
    if any(_has_nulls(records, path) for path in key):
        raise _Refused("null stands in a key")


def _has_null_records(lists: pa.Array) -> bool:
    elements = lists.flatten()
    return pa.types.is_struct(elements.type) and bool(elements.null_count)


def _key(family: TableFamily, shape: Object, *, keyed: bool) -> tuple[Path, ...]:
    """The fields of a record's key that its shape has: from the record down where there is a list
    of them, and else from the body down.
    """
    element: Shape | None = shape
    for name in family.root:
        field = element.field(name) if isinstance(element, Object) else None
        element = field.shape if field else None
    if family.listed and isinstance(element, List):
        element = element.element
    if not keyed or not isinstance(element, Object):
        return ()
    before = () if family.listed else family.root
    return tuple((*before, *path) for path in key_fields(family) if element.field(path[0]))


def _has_nulls(records: pa.Array, path: Path) -> bool:
    """Whether a field is null in an object that is there."""
    for name in path[:-1]:
        if records.type.get_field_index(name) < 0:
            return False
        records = pc.struct_field(records, name)
    there = pc.is_valid(records)
    if not pa.types.is_struct(records.type):
        return False
    return bool(pc.any(pc.and_(pc.is_null(pc.struct_field(records, path[-1])), there)).as_py())


def _line(page: bytes, plan: Quoting | None) -> bytes:
    """A page as one line, checked to be one JSON object.

    The reader crashes on `null` and takes `NaN`, two objects in a line and broken UTF-8 for good,
    so each page is looked at before: at the speed of memory if it is ASCII, as Torn's are.
    """
    line = page.removeprefix(_BOM)
    try:
        if not line.isascii():
            line.decode()
        _OBJECT.decode(line)
        if b"\n" in line or b"\r" in line:  # between values only, now that it is known to be JSON
            line = line.replace(b"\n", b" ").replace(b"\r", b" ")
        return line if plan is None else quote(line, plan)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _Refused(str(error)) from None


def _schema(shape: Object) -> pa.Schema:
    return pa.schema([(field.name, arrow_type(field.shape)) for field in shape.fields])


def arrow_type(shape: Shape) -> pa.DataType:
    """The type that the fast reader makes of a shape; JSON and Unix times as they are sent."""
    match shape:
        case Object(fields=fields):
            return pa.struct([(field.name, arrow_type(field.shape)) for field in fields])
        case List(element=element):
            return pa.list_(arrow_type(element))
        case Scalar(kind=kind):
            return _ARROW[kind]
        case Json():
            return pa.string()


def _knows(kind: pa.DataType, shape: Shape) -> bool:
    """Whether the reader found no field that the shape lacks."""
    match shape:
        case Object(fields=fields):
            return kind.num_fields == len(fields) and all(
                _knows(kind.field(at).type, field.shape) for at, field in enumerate(fields)
            )
        case List(element=element):
            return _knows(kind.value_type, element)
        case _:
            return True


def _bounds(array: pa.Array, shape: Shape) -> Iterator[int]:
    """The lowest and the highest value in each place for Unix times that has any."""
    match shape:
        case Object(fields=fields):
            for at, field in enumerate(fields):
                yield from _bounds(array.field(at), field.shape)
        case List(element=element):
            yield from _bounds(array.values, element)
        case Scalar(kind=Kind.TIME):
            yield from (at for at in pc.min_max(array).as_py().values() if at is not None)
        case _:
            return


def _has_decimals(shape: Shape) -> bool:
    return any(isinstance(one, Scalar) and one.kind is Kind.FLOAT for _, one in walk(shape))


def _rounds(lines: bytes) -> bool:
    """Whether a number in these lines, or the like of one in a text, may not be held by a float.

    The search for what is long runs at the speed of memory; only what it finds is looked at.
    """
    outline = lines.translate(_OUTLINE)
    for long in _LONG:
        if outline.rfind(long) < 0:  # twice as fast as `find`, for digits are many
            continue
        end, at = 0, outline.find(long)
        while at >= 0:
            start = at
            while start > end and outline[start - 1] == ord("0"):
                start -= 1
            number = _NUMBER.match(lines, start)
            if number and not lossless_json.held(lossless_json.Number(number[0].decode())):
                return True
            end = max(number.end() if number else 0, at + 1)
            at = outline.find(long, end)
    return False
