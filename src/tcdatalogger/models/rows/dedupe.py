"""Removes records that a run fetched more than once: rows at a page boundary come twice.

Where a record changed between two pages, the later one is stored and the earlier one is rejected,
so no value is lost silently.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from tcdatalogger.models.distinct import FEW, distinct
from tcdatalogger.models.reading.row_reader import RejectedRecord

_AT_ONCE: Final = 10_000
"""The most records that are compared at once: they are copied for it."""


@dataclass(frozen=True, slots=True)
class Repeats:
    """The records of each batch that are kept.

    Attributes:
        keep: a mask for each batch, None where all records are kept.
        dropped: how many repeated records are left out.
        changed: those of the left out records that differ from the kept one.
    """

    keep: tuple[pa.Array | None, ...]
    dropped: int
    changed: tuple[RejectedRecord, ...]


def dedupe(
    keys: Sequence[pa.Table], elements: Sequence[pa.Array], pages: Sequence[pa.Array]
) -> Repeats:
    """Keep the last record of each key; records with a null in their key are all kept.

    Args:
        keys: for each batch, the key of every record.
        elements: for each batch, the records themselves.
        pages: for each batch, the page number of every record.
    """
    whole = pa.concat_tables(keys).combine_chunks()
    if whole.num_rows <= FEW and distinct(whole) == whole.num_rows:
        return Repeats((None,) * len(keys), 0, ())
    names = whole.column_names
    numbered = whole.append_column("row", pa.array(range(whole.num_rows), pa.int64()))
    grouped = numbered.group_by(names).aggregate([("row", "max"), ("row", "list")])
    grouped = grouped.filter(pc.greater(pc.list_value_length(grouped["row_list"]), 1))
    for name in names:
        if name != "_subject_id":
            grouped = grouped.filter(pc.is_valid(grouped[name]))
    if not grouped.num_rows:
        return Repeats((None,) * len(keys), 0, ())
    rows = pa.chunked_array(pc.list_flatten(each) for each in grouped["row_list"].chunks)
    lasts = grouped["row_max"].take(pc.list_parent_indices(grouped["row_list"].combine_chunks()))
    dropped = pa.table({"row": rows, "last": lasts})
    dropped = dropped.filter(pc.field("row") != pc.field("last")).sort_by("row")
    keep = pc.invert(pc.is_in(numbered["row"], dropped["row"])).combine_chunks()
    masks, start = [], 0
    for element in elements:
        masks.append(keep.slice(start, len(element)))
        start += len(element)
    return Repeats(tuple(masks), dropped.num_rows, _changed(whole, dropped, elements, pages))


def _changed(
    whole: pa.Table, dropped: pa.Table, elements: Sequence[pa.Array], pages: Sequence[pa.Array]
) -> tuple[RejectedRecord, ...]:
    """The left out records that differ from the kept one; columns are compared, not records.

    Args:
        whole: the key of every record.
        dropped: the `row` of each record that is left out, and the `last` row with its key.
        elements: the records of each batch.
        pages: the page number of every record of each batch.
    """
    records, numbers = pa.chunked_array(elements), pa.chunked_array(pages)
    found = []
    for start in range(0, dropped.num_rows, _AT_ONCE):
        some = dropped.slice(start, _AT_ONCE).combine_chunks()
        left = records.take(some["row"]).combine_chunks()
        right = records.take(some["last"]).combine_chunks()
        for place in _unequal(left, right):
            at = some["row"][place].as_py()
            [key] = whole.slice(at, 1).to_pylist()
            named = ", ".join(f"{n} {value}" for n, value in key.items() if n != "_subject_id")
            reason = f"it came again with other values: {named}"
            record = _json(left[place].as_py())
            found.append(RejectedRecord(numbers[at].as_py(), "", reason, record, again=False))
    return tuple(found)


def _unequal(left: pa.Array, right: pa.Array, first: int = 0) -> Iterator[int]:
    """The places at which two arrays of one length differ: halves that differ are halved again."""
    if left.equals(right):
        return
    if len(left) == 1:
        yield first
        return
    middle = len(left) // 2
    yield from _unequal(left[:middle], right[:middle], first)
    yield from _unequal(left[middle:], right[middle:], first + middle)


def last_of_each(
    rows: pa.Table, compared: Sequence[str], valid: Sequence[bool], pages: Sequence[int]
) -> tuple[list[bool], tuple[RejectedRecord, ...]]:
    """Keep the last row of each subject.

    Args:
        rows: the rows of a root table, one for each page.
        compared: the columns that are compared.
        valid: whether each page has an object for its row; such a row goes before a row without.
        pages: the number of each page.

    Returns:
        A mask of the rows, and the left out rows that differ from the kept one.
    """
    subjects = rows.column("_subject_id").to_pylist()
    last: dict[int | None, int] = {}
    for at, subject in enumerate(subjects):
        if valid[at] or subject not in last or not valid[last[subject]]:
            last[subject] = at
    keep = [last[subject] == at for at, subject in enumerate(subjects)]
    if all(keep):
        return keep, ()
    says = rows.select(compared).to_pylist()
    changed = tuple(
        RejectedRecord(
            pages[at], "", "a later page says something else", _json(says[at]), again=False
        )
        for at, subject in enumerate(subjects)
        if valid[at] and says[at] != says[last[subject]]
    )
    return keep, changed


def _json(record: object) -> str:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"), default=str)
