"""Rows of several runs that were made together, taken apart again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from tcdatalogger.models.kept import Rows, in_memory
from tcdatalogger.models.records import RUN, SUBJECT
from tcdatalogger.models.rows.dedupe import runs
from tcdatalogger.models.schema import TableFamily


def by_run(tables: Mapping[str, Rows], run_ids: Sequence[str]) -> list[dict[str, Rows]]:
    """The rows of each run, by table, without a copy.

    Args:
        tables: the rows of all runs; those of a run follow each other, in the order of the runs.
        run_ids: the ids of the runs in their order.
    """
    parts: list[dict[str, Rows]] = [{} for _ in run_ids]
    for name, given in tables.items():
        rows = in_memory(given)
        found = pc.value_counts(rows.column(RUN).combine_chunks())
        counts = dict(
            zip(found.field("values").to_pylist(), found.field("counts").to_pylist(), strict=True)
        )
        start = 0
        for part, run_id in zip(parts, run_ids, strict=True):
            part[name] = rows.slice(start, counts.get(run_id, 0))
            start += counts.get(run_id, 0)
    return parts


def records_repeat(tables: Mapping[str, Rows], family: TableFamily) -> bool:
    """Whether a record comes again within its run."""
    root = family.tables[0]
    names = list(dict.fromkeys((*root.key, SUBJECT, RUN)))
    keys: pa.Table = tables[root.name].select(names)
    _, goes_on = runs(keys)
    return bool(pc.any(goes_on).as_py())
