"""Removes records that a run fetched more than once: rows at a page boundary come twice.

Where a record changed between two pages, the later one is stored and the earlier one is rejected,
so no value is lost silently.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from tcdatalogger.models.distinct import FEW, distinct
from tcdatalogger.models.reading.row_reader import RejectedRecord


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
    row = pa.array(range(whole.num_rows), pa.int64())
    grouped = (
        whole.append_column("row", row)
        .group_by(names)
        .aggregate([("row", "max"), ("row", "count")])
        .filter(pc.field("row_count") > 1)
    )
    for name in names:
        if name != "_subject_id":
            grouped = grouped.filter(pc.is_valid(grouped[name]))
    if not grouped.num_rows:
        return Repeats((None,) * len(keys), 0, ())
    return _choose(whole, grouped, elements, pages)


def _choose(
    whole: pa.Table, grouped: pa.Table, elements: Sequence[pa.Array], pages: Sequence[pa.Array]
) -> Repeats:
    """As `dedupe`; loops in Python over the repeated keys only, because they are few."""
    names = whole.column_names
    last = {tuple(r[name] for name in names): r["row_max"] for r in grouped.to_pylist()}
    records = pa.chunked_array(elements)
    numbers = pa.chunked_array(pages)
    keep = [True] * whole.num_rows
    changed = []
    for at, key in enumerate(zip(*(whole[name].to_pylist() for name in names), strict=True)):
        final = last.get(key)
        if final is None or final == at:
            continue
        keep[at] = False
        record = records[at].as_py()
        if record != records[final].as_py():
            reason = f"it came again with other values: {_named(names, key)}"
            changed.append(
                RejectedRecord(numbers[at].as_py(), "", reason, _json(record), again=False)
            )
    mask = pa.array(keep)
    masks, start = [], 0
    for element in elements:
        masks.append(mask.slice(start, len(element)))
        start += len(element)
    return Repeats(tuple(masks), keep.count(False), tuple(changed))


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


def _named(names: Sequence[str], key: Sequence[object]) -> str:
    pairs = zip(names, key, strict=True)
    return ", ".join(f"{name} {value}" for name, value in pairs if name != "_subject_id")


def _json(record: object) -> str:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"), default=str)
