"""Bodies and the tables they make, as data: one file a case, in `cases/`.

A case has a `shape` in the notation of the catalogue, or the `path` of an endpoint; `bodies` (a
text is a body as it stands, anything else is written as JSON, {"latin1": text} is not in UTF-8);
and what is to come of them: `columns` and `keys` of tables where they matter, `rows` of every table
that has any (nulls and system columns left out), `rejected` as page, path and
the beginning of the reason, and `drift`.
"""

import json
from datetime import datetime
from pathlib import Path

import pytest

from tcdatalogger.models import notation
from tcdatalogger.models.reading.decode import decode
from tcdatalogger.models.rows.drift import drift
from tcdatalogger.models.rows.normalize import Provenance, normalize
from tcdatalogger.models.schema import SYSTEM, family
from tcdatalogger.services.torncity.catalog.catalog import load

CASES = sorted((Path(__file__).parent / "cases").glob("*.json"))


def as_bytes(body):
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, dict) and body.keys() == {"latin1"}:
        return body["latin1"].encode("latin-1")
    return json.dumps(body).encode()


def family_of(case):
    if "path" in case:
        endpoint, _ = load().find(case["path"])
        shape, name, selection = endpoint.shape, endpoint.name, endpoint.selection
    else:
        shape = notation.read(case["shape"], {}, {})
        name, selection = case["table"], case.get("selection", "")

    def build(shape):
        return family(shape, name, selection=selection, several=case.get("several", False))

    return build(shape), build


def plain(value):
    return value.isoformat() if isinstance(value, datetime) else value


def rows_of(table):
    rows = table.drop_columns(list(SYSTEM)).to_pylist()
    return [{name: plain(v) for name, v in row.items() if v is not None} for row in rows]


def without_nulls(rows):
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


def kinds(tables):
    """1, 1.0 and true are equal in Python; in a table they are not the same."""
    return {
        name: [{column: type(v) for column, v in row.items() if v is not None} for row in rows]
        for name, rows in tables.items()
    }


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_bodies_become_exactly_these_tables(file):
    case = json.loads(file.read_text("utf-8"))
    pages = [as_bytes(body) for body in case["bodies"]]
    known, build = family_of(case)
    decoded = decode(pages, known)
    grown = build(decoded.shape)
    tables = normalize(decoded.batches, grown, [Provenance()] * len(pages)).tables

    assert list(tables) == [table.name for table in grown.tables]
    for name, columns in case.get("columns", {}).items():
        assert tables[name].column_names == [*columns, *SYSTEM]
    if "columns" in case and case.get("all_tables", True):
        assert list(tables) == list(case["columns"])
    for name, key in case.get("keys", {}).items():
        assert list(grown.table(name).key) == key
    found = {name: rows_of(table) for name, table in tables.items() if table.num_rows}
    assert found == {name: without_nulls(rows) for name, rows in case["rows"].items()}
    assert kinds(found) == kinds(case["rows"])
    expected = case.get("rejected", [])
    assert [[m.page, m.path] for m in decoded.rejected] == [[at, path] for at, path, _ in expected]
    for reject, (_, _, reason) in zip(decoded.rejected, expected, strict=True):
        assert reject.reason.startswith(reason)
    if "records" in case:
        assert [m.record for m in decoded.rejected] == case["records"]
    seen = drift(grown, decoded.examples)
    assert [[d.table, d.column, d.type, d.example] for d in seen] == case.get("drift", [])


def test_there_are_cases():
    assert len(CASES) > 40
