"""Records that come more than once in a run, beside the same reckoned record by record."""

import json

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as some

from tcdatalogger.models.rows import dedupe as module
from tcdatalogger.models.rows.dedupe import dedupe

SLOT = pa.struct([("position", pa.string()), ("rate", pa.float64())])
RECORD = pa.struct([("id", pa.int64()), ("name", pa.string()), ("slots", pa.list_(SLOT))])

slots = some.fixed_dictionaries(
    {"position": some.sampled_from(["Driver", "Muscle", None]), "rate": some.sampled_from([0.5, 1])}
)
records = some.fixed_dictionaries(
    {
        "id": some.one_of(some.none(), some.integers(1, 4)),
        "name": some.sampled_from(["a", "b"]),
        "slots": some.one_of(some.none(), some.lists(slots, max_size=2)),
    }
)
batches = some.lists(
    some.lists(some.tuples(some.sampled_from([None, 7, 8]), records), max_size=6), min_size=1
)


def by_hand(rows):
    """The mask of the rows, and the page and record of those that differ from the kept one."""
    last = {(subject, one["id"]): at for at, (_, subject, one) in enumerate(rows)}
    keep, changed = [], []
    for at, (page, subject, one) in enumerate(rows):
        final = at if one["id"] is None else last[subject, one["id"]]
        keep.append(final == at)
        if one != rows[final][2]:
            changed.append((page, one))
    return keep, changed


@given(batches, some.integers(1, 20))
def test_the_last_of_each_record_is_kept_and_those_that_differ_from_it_are_shown(given, at_once):
    keys, elements, pages = [], [], []
    for number, batch in enumerate(given):
        subjects = pa.array([subject for subject, _ in batch], pa.int64())
        elements.append(pa.array([one for _, one in batch], RECORD))
        keys.append(pa.table({"_subject_id": subjects, "id": elements[-1].field("id")}))
        pages.append(pa.array([number] * len(batch), pa.int64()))
    rows = [(number, *row) for number, batch in enumerate(given) for row in batch]
    before, module._AT_ONCE = module._AT_ONCE, at_once

    found = dedupe(keys, elements, pages)

    module._AT_ONCE = before
    keep, changed = by_hand(rows)
    masks = [
        [True] * len(batch) if mask is None else mask.to_pylist()
        for batch, mask in zip(given, found.keep, strict=True)
    ]
    assert [each for mask in masks for each in mask] == keep
    assert found.dropped == keep.count(False)
    assert [(one.page, json.loads(one.record)) for one in found.changed] == changed
