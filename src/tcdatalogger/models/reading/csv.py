"""Reads CSV snapshots into the same nested Arrow as JSON bodies.

Every cell is read as text and then gets the type of the shape; no type is guessed. An empty cell is
null. A column that the shape lacks is kept as text and is drift. A row with a cell that does not
fit its type is rejected.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from csv import Error as CsvError
from csv import reader as csv_reader
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from tcdatalogger.models.reading.decode import Batch, Decoded
from tcdatalogger.models.reading.infer import FULL, MOST, UNKNOWN, Path, learned_shapes
from tcdatalogger.models.reading.lossless_json import INT_MAX, INT_MIN
from tcdatalogger.models.reading.row_reader import TIME_MAX, TIME_MIN, RejectedRecord
from tcdatalogger.models.records import key_fields
from tcdatalogger.models.schema import TableFamily
from tcdatalogger.models.shape import Field, Kind, List, Object, Scalar

_WHOLE = re.compile("-?[0-9]{1,19}")
_SHORT = "^-?[0-9]{1,18}$"
"""Matches whole numbers that always fit into 64 bits."""
_TYPES = {Kind.INT: pa.int64(), Kind.TIME: pa.int64(), Kind.TEXT: pa.string()}


def decode_csv(
    pages: Sequence[bytes], family: TableFamily, *, may_grow: bool = True, keyed: bool = False
) -> Decoded:
    """Read all snapshots of a run.

    Args:
        pages: the bodies as Torn sent them, each with a header line.
        family: the family of the endpoint; its root is the list of rows.
        may_grow: whether a column that the shape lacks is learned; else its rows are rejected.
        keyed: whether a row with an empty key is rejected.
    """
    root = family.root[0]
    shape = family.shape
    examples: dict[Path, str] = {}
    tables: dict[int, pa.Table] = {}
    rejected: list[RejectedRecord] = []
    for number, page in enumerate(pages):
        try:
            tables[number] = _read(page)
        except (pa.ArrowException, CsvError, UnicodeDecodeError) as error:
            text = page.decode(errors="backslashreplace")
            rejected.append(RejectedRecord(number, "", f"the body is no CSV: {error}", text))
    if may_grow:
        for table in tables.values():
            shape, new = _grow(shape, root, table)
            examples |= new
    batches = []
    key = [path[0] for path in key_fields(family)] if keyed else []
    for number, table in tables.items():
        why = FULL if may_grow else UNKNOWN
        rows, wrong = _typed(table, _row(shape, root), root, number, key, why)
        rejected += wrong
        batches.append(_batch(rows, root, number))
    return Decoded(tuple(batches), shape, examples, tuple(rejected))


def _read(page: bytes) -> pa.Table:
    """All cells as texts, empty cells as nulls.

    Raises:
        pa.ArrowException: the body is no CSV.
        CsvError: the header is no CSV.
        UnicodeDecodeError: the body is not UTF-8.
    """
    text = page.decode("utf-8-sig")
    header = next(csv_reader(io.StringIO(text)), [])
    if len(set(header)) != len(header) or not any(header):
        raise pa.ArrowInvalid("its header names no columns, or one of them twice")
    if text.count('"') % 2:
        raise pa.ArrowInvalid("its last quotation is not closed")
    raw = text.encode()
    return pa_csv.read_csv(
        pa.BufferReader(raw),
        # One block: the reader refuses a row that lies in two blocks.
        read_options=pa_csv.ReadOptions(block_size=len(raw) + 1),
        parse_options=pa_csv.ParseOptions(newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(
            column_types={name: pa.string() for name in header},
            strings_can_be_null=True,
            null_values=[""],
        ),
    )


def _row(shape: Object, root: str) -> Object:
    field = shape.field(root)
    if field is None or not isinstance(field.shape, List):
        raise LookupError(f"no list at {root}")
    element = field.shape.element
    return element if isinstance(element, Object) else Object(())


def _grow(shape: Object, root: str, table: pa.Table) -> tuple[Object, Mapping[Path, str]]:
    """The shape with a text field for each new column, and the first value of each."""
    row = _row(shape, root)
    new = [name for name in table.column_names if row.field(name) is None]
    if not new or len(new) > MOST - sum(1 for _ in learned_shapes(shape)):
        return shape, {}
    text = Scalar(Kind.TEXT, nullable=True)
    learned = tuple(Field(name, text, required=False, learned=True) for name in new)
    grown = List(replace(row, fields=(*row.fields, *learned)))
    fields = tuple(replace(f, shape=grown) if f.name == root else f for f in shape.fields)
    examples: dict[Path, str] = {}
    for name in new:
        first = pc.drop_null(table.column(name)).slice(0, 1).to_pylist()
        examples[root, "[]", name] = json.dumps(first[0] if first else None, ensure_ascii=False)
    return replace(shape, fields=fields), examples


def _typed(
    table: pa.Table, row: Object, root: str, page: int, key: Iterable[str], why: str
) -> tuple[pa.StructArray, list[RejectedRecord]]:
    """The rows that fit, in columns of their types, and the rejected rows."""
    length = table.num_rows
    wrong: dict[int, tuple[str, str]] = {}
    unknown = [name for name in table.column_names if row.field(name) is None]
    if unknown:
        wrong = dict.fromkeys(range(length), (unknown[0], why))
    for field in row.fields:
        kind = field.shape.kind if isinstance(field.shape, Scalar) else Kind.TEXT
        if kind is Kind.TEXT or field.name not in table.column_names:
            continue
        for at, reason in _bad_cells(table.column(field.name), kind):
            wrong.setdefault(at, (field.name, reason))
    for name in key:
        given = name in table.column_names
        empty = pc.indices_nonzero(pc.is_null(table.column(name))).to_pylist() if given else ()
        for at in empty if given or row.field(name) is None else range(length):
            wrong.setdefault(at, (name, "the key of the record is null"))
    rejected = [
        RejectedRecord(page, f"{root}[{at}].{name}", reason, _record(table, at))
        for at, (name, reason) in sorted(wrong.items())
    ]
    good = table
    if wrong:
        good = table.filter(pa.array([at not in wrong for at in range(length)]))
    return _struct(good, row), rejected


def _bad_cells(column: pa.ChunkedArray, kind: Kind) -> Iterator[tuple[int, str]]:
    """The row numbers of cells that do not fit, each with the reason.

    Integers must fit into 64 bits, times must be in the years 1 to 9999.
    """
    fits = pc.match_substring_regex(column, _SHORT)
    if kind is Kind.TIME:
        numbers = pc.if_else(fits, column, None).cast(pa.int64())
        within = pc.and_(pc.greater_equal(numbers, TIME_MIN), pc.less_equal(numbers, TIME_MAX))
        fits = pc.and_(fits, pc.fill_null(within, fill_value=False))
    bad = pc.and_(pc.is_valid(column), pc.invert(pc.fill_null(fits, fill_value=True)))
    for at in pc.indices_nonzero(bad).to_pylist():
        reason = _reason(column[at].as_py(), kind)
        if reason:
            yield at, reason


def _reason(cell: str, kind: Kind) -> str:
    """Why a cell does not fit, "" where it fits."""
    if not cell.removeprefix("-").isdecimal() or not cell.isascii():
        due = "a Unix time" if kind is Kind.TIME else "an integer"
        return f"a text in place of {due}"
    low, high = (TIME_MIN, TIME_MAX) if kind is Kind.TIME else (INT_MIN, INT_MAX)
    if _WHOLE.fullmatch(cell) and low <= int(cell) <= high:
        return ""
    what = "is no time of the years 1 to 9999" if kind is Kind.TIME else "does not fit into 64 bits"
    return f"{cell} {what}"


def _record(table: pa.Table, at: int) -> str:
    return json.dumps(table.slice(at, 1).to_pylist()[0], ensure_ascii=False)


def _struct(table: pa.Table, row: Object) -> pa.StructArray:
    arrays = []
    for field in row.fields:
        kind = field.shape.kind if isinstance(field.shape, Scalar) else Kind.TEXT
        if field.name in table.column_names:
            column = table.column(field.name).combine_chunks()
            arrays.append(column.cast(_TYPES.get(kind, pa.string())))
        else:
            arrays.append(pa.nulls(table.num_rows, _TYPES.get(kind, pa.string())))
    return pa.StructArray.from_arrays(arrays, [field.name for field in row.fields])


def _batch(rows: pa.StructArray, root: str, page: int) -> Batch:
    lists = pa.ListArray.from_arrays(pa.array([0, len(rows)], pa.int32()), rows)
    return Batch(pa.StructArray.from_arrays([lists], [root]), (page,))
