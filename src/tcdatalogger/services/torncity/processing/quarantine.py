"""Sets records aside that fail a check: takes their rows out and finds them in the answers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

import pyarrow as pa

from tcdatalogger.models.checks.evaluate import SUBJECT, RuleResult, without
from tcdatalogger.models.kept import Rows
from tcdatalogger.models.reading import lossless_json
from tcdatalogger.models.reading.lossless_json import Value
from tcdatalogger.models.reading.row_reader import RejectedRecord
from tcdatalogger.models.schema import SYSTEM, Column, TableFamily, Type
from tcdatalogger.services.torncity.processing.task import Page, Transformed

_Key = tuple[object, ...]
_PLAIN: Final = (str, int)


def set_aside(
    made: Transformed, rule_results: Sequence[RuleResult], pages: Sequence[Page]
) -> Transformed:
    """The rows without the records that fail; those are added to the rejected records.

    Args:
        made: the rows.
        rule_results: the results of the checks whose failures are set aside.
        pages: the pages from which the rows were made.
    """
    failing = [rule_result for rule_result in rule_results if rule_result.failing is not None]
    if not failing:
        return made
    rows = made.tables[made.family.tables[0].name]
    tables, why = without(made.family, made.tables, failing)
    subjects = rows.column(SUBJECT).take(pa.array(list(why), pa.int64())).to_pylist()
    return replace(
        made,
        tables=tables,
        rejected=(*made.rejected, *rejected_records(rows, why, made.family, pages)),
        rejected_subjects=made.rejected_subjects | frozenset(subjects),
    )


def rejected_records(
    rows: Rows, why: Mapping[int, str], family: TableFamily, pages: Sequence[Page]
) -> tuple[RejectedRecord, ...]:
    """The records of some rows of the root, as Torn sent them.

    A record is found in its answer by its key. Where that is impossible, the row itself is kept as
    the record, and it is not tried again.

    Args:
        rows: the rows of the root.
        why: the reasons for some of the rows, by row number.
        family: the family of the rows.
        pages: the pages from which the rows were made.
    """
    root = family.tables[0]
    key = [c for name in root.key if (c := root.column(name)) and not c.ours and name != SUBJECT]
    wanted: dict[_Key, tuple[int, str]] = {}
    lines = rows.take(pa.array(list(why), pa.int64())).to_pylist()
    for at, line in zip(why, lines, strict=True):
        values = tuple(_comparable(line[column.name], column) for column in key)
        wanted[line[SUBJECT], *values] = (at, why[at])
    found: dict[int, RejectedRecord] = {}
    if key and family.listed:
        for page, number, path, record in _records(family, pages):
            values = tuple(_comparable(_reach(record, column.path), column) for column in key)
            at, reason = wanted.get((page.subject_id, *values), (-1, ""))
            if at >= 0:
                found[at] = RejectedRecord(number, path, reason, lossless_json.dump(record))
    return tuple(
        found.get(at) or RejectedRecord(0, "", reason, _as_row(line), again=False)
        for (at, reason), line in zip(why.items(), lines, strict=True)
    )


def _records(
    family: TableFamily, pages: Sequence[Page]
) -> Iterator[tuple[Page, int, str, dict[str, Value]]]:
    """All records of the answers that are objects: page, page number, path and record."""
    for number, page in enumerate(pages):
        try:
            body = lossless_json.parse(page.body)
        except ValueError:
            continue
        listed = _reach(body, family.root)
        for at, record in enumerate(listed if isinstance(listed, list) else []):
            if isinstance(record, dict):
                yield page, number, f"{'.'.join(family.root)}[{at}]", record


def _reach(value: Value, path: Sequence[str]) -> Value:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _comparable(value: object, column: Column) -> object:
    if isinstance(value, lossless_json.Number) and column.type is Type.INT:
        return str(lossless_json.integer(value))  # `5.0` is the 5 of the row
    return str(value) if isinstance(value, _PLAIN) and not isinstance(value, bool) else value


def _as_row(line: Mapping[str, object]) -> str:
    own = {name: value for name, value in line.items() if name not in SYSTEM}
    return json.dumps(own, ensure_ascii=False, separators=(",", ":"), default=str)
