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


def test_no_type_of_a_text_brings_a_formula_into_a_spreadsheet():
    rows = pa.table(
        {
            "=enum": pa.array(["=1+1", None]).dictionary_encode(),
            "bytes": pa.array([b"=1+1", b"\x1b[31m"], pa.binary()),
        }
    )

    assert tabular.csv(rows).decode().splitlines() == [
        '"\'=enum","bytes"',
        '"\'=1+1","\'=1+1"',
        ',"\\x1b[31m"',
    ]


def test_a_value_that_python_has_no_word_for_is_a_text_and_the_others_are_themselves():
    far = pa.scalar(950_000_000_000, pa.timestamp("s"))
    kind = pa.struct([("at", pa.timestamp("s")), ("ids", pa.list_(pa.int64()))])
    rows = pa.table(
        {
            "at": pa.array([None, far], pa.timestamp("s")),
            "deep": pa.array([None, {"at": far, "ids": [1, None]}], kind),
        }
    )

    none, found = tabular.records(rows)

    assert none == {"at": None, "deep": None}
    assert found["at"] == "32074-04-20 08:53:20"
    assert found["deep"] == {"at": found["at"], "ids": [1, None]}
