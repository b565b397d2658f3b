"""CSV snapshots: every cell is typed by the shape, kept as text, or set aside with its row."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcdatalogger.models.reading.csv import decode_csv
from tcdatalogger.models.rows.drift import drift
from tcdatalogger.models.rows.normalize import Provenance, normalize
from tcdatalogger.models.schema import SYSTEM, family
from tcdatalogger.models.shape import Field, Kind, List, Object, Scalar

ROW = Object(
    (
        Field("id", Scalar(Kind.INT, nullable=True)),
        Field("name", Scalar(Kind.TEXT, nullable=True)),
        Field("signed_up", Scalar(Kind.TIME, nullable=True)),
    )
)
SHAPE = Object((Field("snapshot", List(ROW)),))


def tables(shape=SHAPE):
    return family(shape, "user_snapshot", selection="snapshot")


def read(*bodies, may_grow=True):
    """The rows, the rejected and the drift of bodies."""
    pages = [body if isinstance(body, bytes) else body.encode() for body in bodies]
    decoded = decode_csv(pages, tables(), may_grow=may_grow)
    grown = tables(decoded.shape)
    made = normalize(decoded.batches, grown, [Provenance()] * len(pages))
    rows = made.tables["user_snapshot"].drop_columns([*SYSTEM]).to_pylist()
    return rows, decoded.rejected, drift(grown, decoded.examples)


def brief(rows):
    return [(row["id"], row["name"], row["signed_up"] and row["signed_up"].year) for row in rows]


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        ("id,name,signed_up\n1,Ann,1767225600\n", [(1, "Ann", 2026)]),
        ("id,name,signed_up\r\n1,Ann,1767225600\r\n", [(1, "Ann", 2026)]),
        ("\ufeffid,name,signed_up\n1,Ann,0", [(1, "Ann", 1970)]),
        ("name,id\nAnn,1\n", [(1, "Ann", None)]),
        ("id,name,signed_up\n,,\n-7,,\n", [(None, None, None), (-7, None, None)]),
        ('id,name\n1,"two\nlines, ""quoted"""\n', [(1, 'two\nlines, "quoted"', None)]),
        ("id,name\n1,null\n2,NaN\n", [(1, "null", None), (2, "NaN", None)]),
        ("id,name\n9223372036854775807,Ö\n", [(2**63 - 1, "Ö", None)]),
        ("id,name\n-9223372036854775808,Ö\n", [(-(2**63), "Ö", None)]),
        ("id,name,signed_up\n", []),
    ],
    ids=[
        "plain", "windows", "bom", "other order", "empty cells", "quotes", "words of other tools",
        "largest", "smallest", "header alone",
    ],
)  # fmt: skip
def test_cells_are_typed_by_the_shape_and_by_nothing_else(body, rows):
    found, rejected, seen = read(body)

    assert brief(found) == rows
    assert rejected == ()
    assert seen == ()


@pytest.mark.parametrize(
    ("row", "path", "reason"),
    [
        ("x,Ann,0", "id", "a text in place of an integer"),
        ("1.0,Ann,0", "id", "a text in place of an integer"),
        ("1e3,Ann,0", "id", "a text in place of an integer"),
        (" 1,Ann,0", "id", "a text in place of an integer"),
        ("9223372036854775808,Ann,0", "id", "9223372036854775808 does not fit into 64 bits"),
        ("--1,Ann,0", "id", "a text in place of an integer"),
        ("1,Ann,soon", "signed_up", "a text in place of a Unix time"),
        ("1,Ann,1767225600000", "signed_up", "1767225600000 is no time of the years 1 to 9999"),
    ],
)
def test_a_row_with_a_cell_that_breaks_its_type_is_set_aside_alone(row, path, reason):
    rows, rejected, _ = read(f"id,name,signed_up\n1,A,0\n{row}\n3,C,0\n")

    assert brief(rows) == [(1, "A", 1970), (3, "C", 1970)]
    (reject,) = rejected
    assert (reject.path, reject.reason) == (f"snapshot[1].{path}", reason)
    assert list(json.loads(reject.record).values()) == row.split(",")


def test_an_unknown_column_is_kept_as_text_and_is_drift():
    rows, rejected, seen = read("id,karma\n1,\n2,5\n", "id,mood\n3,well\n")

    assert [(row["id"], row["karma"], row["mood"]) for row in rows] == [
        (1, None, None),
        (2, "5", None),
        (3, None, "well"),
    ]
    assert rejected == ()
    assert [(d.column, d.type, d.example) for d in seen] == [
        ("karma", "text", '"5"'),
        ("mood", "text", '"well"'),
    ]


def test_an_unknown_column_sets_its_rows_aside_where_nothing_may_be_learned():
    rows, rejected, seen = read("id,karma\n1,5\n2,\n", "id,name\n3,C\n", may_grow=False)

    assert brief(rows) == [(3, "C", None)]
    assert [(m.page, m.path) for m in rejected] == [
        (0, "snapshot[0].karma"),
        (0, "snapshot[1].karma"),
    ]
    assert seen == ()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\n",
        b"id,name\n1,A\n2\n",
        b"id,name\n1,A,B\n",
        b"id,name,id\n1,A,2\n",
        b"id,name\n1,\xff\n",
        b"x" * 200_000,
        b'id,name\n1,"never closed\n',
    ],
    ids=["empty", "blank", "short row", "long row", "twice", "no utf-8", "one word", "open quote"],
)
def test_a_body_that_is_no_csv_is_one_misfit_with_the_whole_of_it(body):
    rows, rejected, _ = read(body, "id,name\n3,C\n")

    assert brief(rows) == [(3, "C", None)]
    (reject,) = rejected
    assert (reject.page, reject.path) == (0, "")
    assert reject.reason.startswith("the body is no CSV: ")
    assert reject.record.encode().decode() == body.decode(errors="backslashreplace")


def test_a_cell_may_be_as_long_as_it_likes():
    long = "1,2,3;" * 700_000

    rows, rejected, _ = read(f'id,name\n1,"{long}"\n2,B\n')

    assert rejected == ()
    assert [row["name"] == long for row in rows] == [True, False]


def test_a_single_empty_cell_is_a_row_too():
    assert brief(read("name\nA\n\nB\n")[0]) == [(None, "A", None), (None, "B", None)]


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=8)


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=6))
def test_every_cell_is_found_again_in_the_tables_or_the_misfits(cells):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("id", "name", "karma"), *cells])

    rows, rejected, _ = read(text.getvalue())

    aside = {m.path.partition("[")[2].partition("]")[0]: json.loads(m.record) for m in rejected}
    kept = iter(rows)
    for at, sent in enumerate(cells):
        row = aside.get(str(at)) or next(kept)
        found = [row["id"], row["name"], row.get("karma")]
        plain = ["" if value is None else str(value) for value in found]
        assert plain[1:] == list(sent[1:])
        assert plain[0] == sent[0] or int(plain[0]) == int(sent[0])
    assert next(kept, None) is None
