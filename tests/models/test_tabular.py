"""Rows for others, written in parts."""

import pyarrow as pa

from tcdatalogger.models import tabular


def test_csv_is_the_same_in_parts_and_at_once(monkeypatch):
    monkeypatch.setattr(tabular, "PART", 2)
    times = pa.array([0, 0, 0, 0, 500], pa.timestamp("ms", "UTC"))
    rows = pa.table({"name": ["=a", "b", "c", "d", "e"], "at": times})
    parts = list(tabular.csv_parts(rows))

    assert len(parts) == 3
    assert b"".join(parts) == tabular.csv(rows)
    assert b"".join(parts).count(b"\n") == 6
    assert parts[0].splitlines()[1] == b'"\'=a","1970-01-01 00:00:00.000"'


def test_csv_without_rows_has_the_names():
    assert tabular.csv(pa.table({"name": pa.array([], pa.string())})) == b'"name"\n'
