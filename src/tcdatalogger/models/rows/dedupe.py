"""Records that a run brought more than once: rows at an inclusive page boundary come twice.

The same record twice is one record. Where it changed between two pages the later one stands, and
the earlier is set aside, so that no value is lost without a word.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from tcdatalogger.models.reading.row_reader import RejectedRecord


@dataclass(frozen=True, slots=True)
class Repeats:
    """Which records of each batch to keep.

    Attributes:
        keep: a mask for each batch, None where all of it is kept.
        dropped: how many records came again and are left out.
        changed: those of them that were not the same, as rejected records.
    """

    keep: tuple[pa.Array | None, ...]
    dropped: int
    changed: tuple[RejectedRecord, ...]


def find(
    keys: Sequence[pa.Table], elements: Sequence[pa.Array], pages: Sequence[pa.Array]
) -> Repeats:
    """The records to keep: the last of each key.

    Args:
        keys: for each batch, the key of every record; records with a null key are all kept.
        elements: for each batch, the records themselves.
        pages: for each batch, the number of the page of every record.
    """
    whole = pa.concat_tables(keys).combine_chunks()
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
    """Only the keys that came again are looked at one by one: they are few."""
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
            reason = f"it came again and had changed: {_named(names, key)}"
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
    rows: pa.Table, told: Sequence[str], valid: Sequence[bool], pages: Sequence[int]
) -> tuple[list[bool], tuple[RejectedRecord, ...]]:
    """Of the rows of each subject the last; a mask, and those before it that say something else.

    Args:
        rows: of a root, one for each page.
        told: the columns that are compared.
        valid: whether each page had something in its place: one that has comes before one without.
        pages: the number of each page.
    """
    subjects = rows.column("_subject_id").to_pylist()
    last: dict[int | None, int] = {}
    for at, subject in enumerate(subjects):
        if valid[at] or subject not in last or not valid[last[subject]]:
            last[subject] = at
    keep = [last[subject] == at for at, subject in enumerate(subjects)]
    if all(keep):
        return keep, ()
    says = rows.select(told).to_pylist()
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
