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

from tcdatalogger.models.reading.row_reader import RejectedRecord

_AT_ONCE: Final = 2_000
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
        elements: for each batch, the records themselves; of those that repeat only.
        pages: for each batch, the page number of every record.
    """
    whole = pa.concat_tables(keys)
    order, goes_on = runs(whole)
    if not pc.any(goes_on).as_py():
        return Repeats((None,) * len(keys), 0, ())
    lasts = order.filter(pc.invert(goes_on))
    before = pc.cumulative_sum(pc.invert(goes_on).cast(pa.int64()))  # runs that have ended by then
    dropped = pa.table(
        {"row": order.filter(goes_on), "last": lasts.take(before.filter(goes_on))}
    ).sort_by("row")
    rows = pa.array(range(whole.num_rows), order.type)
    keep = pc.invert(pc.is_in(rows, dropped["row"]))
    masks, start = [], 0
    for its in keys:
        masks.append(keep.slice(start, its.num_rows))
        start += its.num_rows
    lengths = [its.num_rows for its in keys]
    changed = _changed(whole, dropped, lengths, elements, pages)
    return Repeats(tuple(masks), dropped.num_rows, changed)


def runs(keys: pa.Table) -> tuple[pa.Array, pa.Array]:
    """The rows in the order of their keys, and which of them has the key of the next one.

    Rows with one key are in the order in which they came. Rows with a null in their key are left
    out, as they are no repetition; the subject may be null. A sort takes less memory than a hash.
    """
    rows = None
    for name in keys.column_names:
        if name != "_subject_id" and keys[name].null_count:
            valid = pc.is_valid(keys[name])
            rows = valid if rows is None else pc.and_(rows, valid)
    numbers = pa.array(range(keys.num_rows), pa.int64())
    if rows is not None:
        keys, numbers = keys.filter(rows), numbers.filter(rows)
    by = [(name, "ascending") for name in keys.column_names]
    keys = keys.append_column("row", numbers)
    order = pc.sort_indices(keys, [*by, ("row", "ascending")])
    goes_on = pa.repeat(pa.scalar(value=True), max(len(order) - 1, 0))
    for name, _ in by:
        values = keys[name].take(order).combine_chunks()
        one, other = values[:-1], values[1:]
        same = pc.fill_null(pc.equal(one, other), fill_value=False)
        if values.null_count:
            same = pc.or_(same, pc.and_(pc.is_null(one), pc.is_null(other)))
        goes_on = pc.and_(goes_on, same)
    ends = pa.array([False] * bool(len(order)), pa.bool_())
    return numbers.take(order), pa.concat_arrays([goes_on, ends])


def _changed(
    whole: pa.Table,
    dropped: pa.Table,
    lengths: Sequence[int],
    elements: Sequence[pa.Array],
    pages: Sequence[pa.Array],
) -> tuple[RejectedRecord, ...]:
    """The left out records that differ from the kept one; columns are compared, not records.

    Args:
        whole: the key of every record.
        dropped: the `row` of each record that is left out, and the `last` row with its key.
        lengths: how many records each batch has.
        elements: the records of each batch.
        pages: the page number of every record of each batch.
    """
    found = []
    for start in range(0, dropped.num_rows, _AT_ONCE):
        some = dropped.slice(start, _AT_ONCE).combine_chunks()
        left = _of_batches(elements, lengths, some["row"].combine_chunks())
        right = _of_batches(elements, lengths, some["last"].combine_chunks())
        for place in _unequal(left, right):
            at = some["row"][place].as_py()
            [key] = whole.slice(at, 1).to_pylist()
            named = ", ".join(f"{n} {value}" for n, value in key.items() if n != "_subject_id")
            reason = f"it came again with other values: {named}"
            record = _json(left[place].as_py())
            [number] = _of_batches(pages, lengths, pa.array([at], pa.int64())).to_pylist()
            found.append(RejectedRecord(number, "", reason, record, again=False))
    return tuple(found)


def _of_batches(values: Sequence[pa.Array], lengths: Sequence[int], rows: pa.Array) -> pa.Array:
    """The values of some rows in the order of the rows; only their batches are read."""
    found, places, before = [], [], 0
    for number, length in enumerate(lengths):
        inside = pc.and_(pc.greater_equal(rows, before), pc.less(rows, before + length))
        at = pc.indices_nonzero(inside)
        if len(at):
            found.append(values[number].take(pc.subtract(rows.take(at), before)))
            places.append(at)
        before += length
    return pa.concat_arrays(found).take(pc.sort_indices(pa.concat_arrays(places)))


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
