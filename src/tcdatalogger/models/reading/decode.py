"""Reads bodies into nested Arrow, one row for each page; records that do not fit are rejected.

The fast reader is `pyarrow.json` with the shape as its schema, for many pages at once. It is
strict, and it keeps fields that it does not know. Where it refuses pages, their group is halved
until the bad page is alone. Only that page goes to the careful and slow reader (`row_reader.py`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pa_json

from tcdatalogger.models.kept import Part
from tcdatalogger.models.reading import lossless_json
from tcdatalogger.models.reading.infer import FULL, UNKNOWN, Path, grow
from tcdatalogger.models.reading.quote import Quoting, quote, quoting
from tcdatalogger.models.reading.row_reader import TIME_MAX, TIME_MIN, RejectedRecord, read_rows
from tcdatalogger.models.records import key_fields
from tcdatalogger.models.schema import METADATA, TableFamily
from tcdatalogger.models.shape import Json, Kind, List, Object, Scalar, Shape, walk
from tcdatalogger.scratch import Scratch

BATCH_BYTES: Final = 4 * 2**20
"""The most bytes that the fast reader takes at once: fast enough, and small enough for memory."""

_BOM: Final = b"\xef\xbb\xbf"
_NUMBER: Final = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_OUTLINE: Final = bytes.maketrans(b"123456789.+-E", b"000000000000e")
"""Makes a `0` of every character of a number except its `e`."""
_LONG: Final = (b"0" * 16, b"0e0")
"""The outline of a number that a float may not hold; all other numbers have at most 15 digits."""
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
    """Some bodies of a run as Arrow.

    Attributes:
        body: a struct array with a row for each page, in the order of `pages`.
        pages: the number of each page in the run.
    """

    body: pa.StructArray
    pages: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class KeptBatch:
    """A `Batch` that stands in a scratch; its bodies are read each time that they are asked for."""

    part: Part
    pages: tuple[int, ...]

    @property
    def body(self) -> pa.StructArray:
        """The bodies."""
        return self.part.read().column(0)


AnyBatch = Batch | KeptBatch


@dataclass(frozen=True, slots=True)
class Decoded:
    """The data of the pages of a run.

    Attributes:
        batches: the bodies; pages in which nothing fits are missing.
        shape: the given shape, with a learned field for everything that it lacked.
        examples: the first value as JSON, for each learned path, and for each path of a text where
            a number was sent.
        rejected: the records that do not fit.
    """

    batches: tuple[AnyBatch, ...]
    shape: Object
    examples: Mapping[Path, str]
    rejected: tuple[RejectedRecord, ...]


class _Refused(Exception):
    """The fast reader refuses these pages."""


def decode(
    pages: Sequence[bytes],
    family: TableFamily,
    *,
    may_grow: bool = True,
    whole: Collection[Path] = (),
    keyed: bool = False,
    scratch: Scratch | None = None,
) -> Decoded:
    """Read all pages of a run.

    No content raises an error: a body that cannot be read comes back as a rejected record.

    Args:
        pages: the bodies as Torn sent them.
        family: the family with the shape that the bodies should have.
        may_grow: whether a field that the shape lacks is learned; else its record is rejected.
        whole: paths where learned integers stay integers, and a decimal is rejected.
        keyed: whether a record with a null in its key is rejected.
        scratch: where the batches stand that are read; None for memory.
    """
    shape = family.shape
    plan, root, key = quoting(shape), _records(family), _key(family, shape, keyed=keyed)
    try:
        batches = tuple(
            _kept(Batch(_read(bodies, shape, plan, root, key), numbers), scratch)
            for numbers, bodies in _split(pages)
        )
    except _Refused:
        return _decode_with_care(
            pages, family, may_grow=may_grow, whole=whole, keyed=keyed, scratch=scratch
        )
    return Decoded(batches, shape, {}, ())


def _kept(batch: Batch, scratch: Scratch | None) -> AnyBatch:
    """The batch as it stays until its rows are made."""
    if scratch is None:
        return batch
    rows = pa.RecordBatch.from_arrays([batch.body], ["body"])
    return KeptBatch(Part.of(rows, scratch), batch.pages)


def _decode_with_care(
    pages: Sequence[bytes],
    family: TableFamily,
    *,
    may_grow: bool,
    whole: Collection[Path],
    keyed: bool,
    scratch: Scratch | None,
) -> Decoded:
    """Learn the new fields of the pages, read the pages again, and reject what does not fit."""
    values = map(_value, pages)  # one after the other: as Python values they take much memory
    sound = (value for value in values if not isinstance(value, RejectedRecord))
    shape, examples = grow(family.shape, sound, whole) if may_grow else (family.shape, {})
    reader = _CarefulReader(
        family,
        shape,
        quoting(shape),
        _key(family, shape, keyed=keyed),
        FULL if may_grow else UNKNOWN,
        scratch,
        dict(examples),
    )
    for numbers, bodies in _split(pages):
        reader.read(numbers, bodies)
    return Decoded(tuple(reader.batches), shape, reader.seen, tuple(reader.rejected))


@dataclass(slots=True)
class _CarefulReader:
    """Reads pages by the fast reader, and those that it refuses one by one.

    Attributes:
        family, shape, plan, key: as those of `decode`.
        unknown: why a record is rejected that has an unknown field.
        scratch: where the batches stand.
        seen: the examples of what was learned or converted.
        batches, rejected: what was read so far.
    """

    family: TableFamily
    shape: Object
    plan: Quoting | None
    key: tuple[Path, ...]
    unknown: str
    scratch: Scratch | None
    seen: dict[Path, str]
    batches: list[AnyBatch] = field(default_factory=list)
    rejected: list[RejectedRecord] = field(default_factory=list)

    def read(self, numbers: tuple[int, ...], bodies: list[bytes]) -> None:
        """Read some pages: halves of them where the fast reader refuses them."""
        root = _records(self.family)
        try:
            batch = Batch(_read(bodies, self.shape, self.plan, root, self.key), numbers)
        except _Refused:
            if len(numbers) > 1:
                middle = len(numbers) // 2
                self.read(numbers[:middle], bodies[:middle])
                self.read(numbers[middle:], bodies[middle:])
                return
            [page], value = numbers, _value(bodies[0])
            if isinstance(value, RejectedRecord):
                self.rejected.append(replace(value, page=page))
                return
            self._read_value(value, page)
        else:
            self.batches.append(_kept(batch, self.scratch))

    def _read_value(self, value: lossless_json.Value, page: int) -> None:
        where = self.family.root if self.family.listed else ()
        found = read_rows(value, self.shape, where, page, self.key, unknown=self.unknown)
        self.rejected += found.rejected
        for place, example in found.converted.items():
            self.seen.setdefault(place, example)
        if found.body is None:
            return
        root = _records(self.family)
        try:
            batch = Batch(_read([found.body], self.shape, None, root, careful=True), (page,))
        except _Refused as refusal:
            reason = f"the reader refuses it: {refusal}"
            self.rejected.append(RejectedRecord(page, "", reason, found.body.decode()))
        else:
            self.batches.append(_kept(batch, self.scratch))


def _value(raw: bytes) -> lossless_json.Value | RejectedRecord:
    """The body as Python values; a rejected record (of page 0) where it is no JSON."""
    try:
        return lossless_json.parse(raw)
    except (ValueError, RecursionError) as error:
        return RejectedRecord(
            0, "", f"the body is no JSON: {error}", raw.decode(errors="backslashreplace")
        )


def _split(pages: Sequence[bytes]) -> Iterator[tuple[tuple[int, ...], list[bytes]]]:
    """The pages with their numbers, in groups of at most `BATCH_BYTES`."""
    numbers: list[int] = []
    group: list[bytes] = []
    size = 0
    for number, page in enumerate(pages):
        if group and size + len(page) > BATCH_BYTES:
            yield tuple(numbers), group
            numbers, group, size = [], [], 0
        numbers.append(number)
        group.append(page)
        size += len(page)
    if group:
        yield tuple(numbers), group


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
    careful: bool = False,
) -> pa.StructArray:
    """The pages as a struct array of `shape`; `careful` pages went through the careful reader.

    Raises:
        _Refused: a page is no JSON, has a field that `shape` lacks, has a value of another type, a
            null in place of a record in the list `root`, or a null in the `key` of a record.
    """
    lines = b"\n".join(_line(page, plan) for page in pages)
    if not careful and _has_decimals(shape) and _rounds(lines):
        raise _Refused("a number may be rounded")
    table = _table(lines, shape, len(pages))
    columns: dict[str, pa.Array] = {}
    for found in table.schema:
        if found.name == METADATA:
            continue
        field = shape.field(found.name)
        # The type is checked before the values: for an unknown `[null, null]` the reader makes an
        # array that is out of its bounds.
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
            raise _Refused("null in place of a record")
        _refuse_nulls(columns[root].flatten(), key)
    return body


def _table(lines: bytes, shape: Object, count: int) -> pa.Table:
    """The bodies as the fast reader reads them, one row each; it infers types of unknown fields.

    Raises:
        _Refused: the reader cannot read them, or they are not `count` objects.
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
        _Refused: there is such a record.
    """
    if any(_has_nulls(records, path) for path in key):
        raise _Refused("null stands in a key")


def _has_null_records(lists: pa.Array) -> bool:
    elements = lists.flatten()
    return pa.types.is_struct(elements.type) and bool(elements.null_count)


def _key(family: TableFamily, shape: Object, *, keyed: bool) -> tuple[Path, ...]:
    """The paths of key fields that the shape has.

    They start at the record where the body has a list of records, else at the body.
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
    """Whether a field is null in an object that is not null."""
    for name in path[:-1]:
        if records.type.get_field_index(name) < 0:
            return False
        records = pc.struct_field(records, name)
    there = pc.is_valid(records)
    if not pa.types.is_struct(records.type):
        return False
    return bool(pc.any(pc.and_(pc.is_null(pc.struct_field(records, path[-1])), there)).as_py())


def _line(page: bytes, plan: Quoting | None) -> bytes:
    """A page as one line, after a check that it is one JSON object.

    The fast reader crashes at `null`, and it accepts `NaN`, two objects in a line and broken UTF-8.
    So each page is checked before; that is fast for ASCII, and Torn sends ASCII.

    Raises:
        _Refused: the page is not one JSON object.
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
    """The Arrow type for a shape; JSON is a string, a Unix time is an integer."""
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
    """Whether the Arrow type has no field that the shape lacks."""
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
    """The lowest and the highest value of each field of Unix times that has values."""
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
    return any(isinstance(each, Scalar) and each.kind is Kind.FLOAT for _, each in walk(shape))


def _rounds(lines: bytes) -> bool:
    """Whether these lines have a number, or a text like one, that a float may not hold.

    A fast search finds long numbers; only these are looked at.
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
            if number and not lossless_json.fits_float(lossless_json.Number(number[0].decode())):
                return True
            end = max(number.end() if number else 0, at + 1)
            at = outline.find(long, end)
    return False
