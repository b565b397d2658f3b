"""A processor that adds a column to the base's tables, in each way that Python offers."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

import tcdatalogger
from tcdatalogger import Fetched, Page, errors

WAYS = {
    "with_column": """
        made = super().transform_data(fetched)
        return made.with_column("half", half(made.tables["members"]))
""",
    "an Arrow table": """
        table = super().transform_data(fetched).tables["members"]
        return table.append_column("half", half(table))
""",
    "a pandas frame": """
        frame = super().transform_data(fetched).tables["members"].to_pandas()
        frame["half"] = frame[level(frame)] // 2
        return frame
""",
    "page by page": """
        parts = [super(Own, self).transform_data(Fetched((page,))) for page in fetched.pages]
        table = pa.concat_tables(part.tables["members"] for part in parts)
        return {"members": table.append_column("half", half(table))}
""",
}
CODE = """
import pyarrow as pa
import pyarrow.compute as pc
from dataclasses import replace
from tcdatalogger import EndpointProcessor, Fetched


def level(table):
    return "level" if "level" in table else "lvl"


def half(table):
    return pc.divide(table[level(table.column_names)], 2)


class Own(EndpointProcessor):
    def transform_data(self, fetched):
"""
DECLARED = """
    def plain_family(self, shape=None):
        return super().plain_family(shape).with_column("half", "int")
"""
MEMBER = {"id": 1, "name": "Fox", "level": 15}


def body(*members):
    return json.dumps({"members": list(members)}).encode()


def page(subject, *members):
    return Page(body(*members), subject, 60.0 * subject)


@pytest.fixture
def processor(tmp_path):
    def processor(code, **facts):
        (tmp_path / "own.py").write_text(CODE + code)
        endpoint = {"name": "members", "path": "/faction/members", **facts}
        endpoint["processor"] = f"{tmp_path}/own.py:Own"
        warehouse = {"url": f"duckdb:///{tmp_path}/torn.duckdb"}
        places = {"warehouse": warehouse, "archive": {"path": f"{tmp_path}/archive"}}
        settings = {**places, "keys": {"default": "env:K"}, "endpoints": [endpoint]}
        return tcdatalogger.open(settings, environ={}).processor("members")

    return processor


def rows_of(own, *pages):
    fetched = Fetched(pages)
    return own.validate(own.transform_data(fetched), fetched)


@pytest.mark.parametrize("way", WAYS)
def test_nothing_of_the_base_is_lost(way, processor):
    own = processor(WAYS[way])
    odd = {**MEMBER, "id": 3, "level": "x"}
    made = rows_of(own, page(7, MEMBER), page(8, MEMBER, odd))

    rows = made.tables["members"].select(["id", "half", "_subject_id", "server_timestamp"])
    assert rows.to_pylist() == [
        {"id": 1, "half": 7, "_subject_id": subject, "server_timestamp": at}
        for subject, at in (
            (7, datetime(1970, 1, 1, 0, 7, tzinfo=UTC)),
            (8, datetime(1970, 1, 1, 0, 8, tzinfo=UTC)),
        )
    ]
    assert [(one.page, json.loads(one.record)) for one in made.rejected] == [(1, odd)]
    assert made.rejected_subjects == {8}


@pytest.mark.parametrize("way", WAYS)
def test_what_the_base_refuses_stays_refused(way, processor):
    own = processor(WAYS[way], storage_mode="replace")

    with pytest.raises(errors.DataRefused, match="has no members"):
        rows_of(own, Page(b"{}", 7))
    with pytest.raises(errors.DataRefused, match="has no members"):
        rows_of(own, page(7, MEMBER), Page(b"{}", 8))
    with pytest.raises(errors.DataRefused, match="cannot be read"):
        rows_of(own, page(7, MEMBER), Page(b"[", 8))
    with pytest.raises(errors.DataRefused, match="was set aside"):
        rows_of(own, page(7, {**MEMBER, "level": "x"}))
    own = processor(WAYS[way], contract="freeze")
    with pytest.raises(errors.DataRefused, match=r"members\.mood"):
        rows_of(own, page(7, {**MEMBER, "mood": 3}))


@pytest.mark.parametrize("way", WAYS)
def test_names_of_the_user_are_applied_once(way, processor):
    own = processor(WAYS[way], columns={"level": "lvl", "id": "member"}, key="id")
    made = rows_of(own, page(7, MEMBER))

    (row,) = made.tables["members"].to_pylist()
    assert (row["member"], row["lvl"], row["half"]) == (1, 15, 7)
    assert made.family.tables[0].key == ("member",)
    assert not [says for says in made.warnings if "`columns`" in says]


@pytest.mark.parametrize("way", WAYS)
def test_names_that_the_user_swaps_are_swapped_once(way, processor):
    names = {"level": "days_in_faction", "days_in_faction": "level"}
    made = rows_of(processor(WAYS[way], columns=names), page(7, {**MEMBER, "days_in_faction": 3}))

    (row,) = made.tables["members"].to_pylist()
    assert (row["days_in_faction"], row["level"]) == (15, 3)


def test_a_frame_without_rows_of_an_answer_without_data_is_refused(processor):
    code = """
        rows = [row for body in fetched.json() for row in body.get("members", ())]
        return pa.table({"id": pa.array([row["id"] for row in rows], pa.int64())})
"""
    own = processor(code, storage_mode="replace")

    assert rows_of(own, page(7)).rows == {"members": 0}
    with pytest.raises(errors.DataRefused, match="has no members"):
        rows_of(own, Page(b"{}", 7))


def test_names_of_the_user_are_applied_to_a_frame_without_the_base(processor):
    code = '        return pa.table({"id": [1], "level": [15]})\n'
    made = rows_of(processor(code, columns={"level": "lvl"}), page(7, MEMBER))

    assert made.tables["members"].column_names[:2] == ["id", "lvl"]
    assert made.warnings == ()


def test_a_frame_that_does_not_say_whom_it_is_about_is_a_warning(processor):
    own = processor('        return pa.table({"id": [1]})\n')

    assert rows_of(own, page(7, MEMBER)).warnings == ()
    (says,) = rows_of(own, page(7, MEMBER), page(8, MEMBER)).warnings
    assert says.startswith("members does not say whom its rows are about")


def test_a_frame_cannot_say_which_run_it_is_of(processor):
    own = processor('        return pa.table({"id": [1], "_run_id": ["another"]})\n')

    assert rows_of(own, page(7, MEMBER)).tables["members"]["_run_id"].to_pylist() != ["another"]


def test_a_declared_column_is_filled_and_keeps_the_name_of_the_user(processor):
    own = processor(WAYS["with_column"] + DECLARED, columns={"half": "part"})
    made = rows_of(own, page(7, MEMBER))

    assert made.tables["members"]["part"].to_pylist() == [7]
    assert "half" not in made.tables["members"].column_names
    assert made.tables["members"].column_names == [c.name for c in made.family.tables[0].columns]
    assert made.warnings == rows_of(processor(WAYS["with_column"]), page(7, MEMBER)).warnings


def test_a_column_may_be_added_to_a_table_inside(processor):
    code = """
        made = super().transform_data(fetched)
        name = made.family.tables[1].name
        return made.with_column("half", [None] * made.rows[name], type="time", table=name)
"""
    own = processor(code, path="/faction/crimes")
    crime = {"id": 1, "slots": [{"position": "a"}, {"position": "b"}]}
    made = rows_of(own, Page(json.dumps({"crimes": [crime]}).encode(), 7))
    family = made.family.tables[1]

    assert [type(c.type)("time") for c in family.added] == [family.column("half").type]
    assert made.tables[family.name]["half"].null_count == made.rows[family.name]


def test_a_column_of_nulls_only_needs_a_type_to_be_kept(processor):
    code = WAYS["with_column"].replace('half(made.tables["members"])', "[None]{}")
    without = rows_of(processor(code.format("")), page(7, MEMBER))
    typed = rows_of(processor(code.format(', type="int"')), page(7, MEMBER))
    declared = rows_of(processor(code.format("") + DECLARED), page(7, MEMBER))

    assert "half" not in without.tables["members"].column_names
    for made in (typed, declared):
        assert str(made.tables["members"]["half"].type) == "int64"


UNFIT = {
    "a column that the table has": (
        'return made.with_column("level", [1])', "column level to members, which has one already"
    ),
    "a table that is not there": (
        'return made.with_column("a", [1], table="member")', "Did you mean 'members'?"
    ),
    "too few values": ('return made.with_column("a", [])', "0 values for 1 rows of members"),
    "a type that does not exist": ('return made.with_column("a", [1], type="number")', "'number'"),
    "a name of history's": ('return made.with_column("valid_to", [1])', "column valid_to"),
    "values of several types": ('return made.with_column("a", ["a", 1])', "column a of a proc"),
    "tables without their family": (
        """t = made.tables["members"]
        return replace(made, tables={"members": t.append_column("a", [[1]])})""",
        "column members.a is not in the family",
    ),
    "a column that is gone": (
        'return replace(made, tables={"members": made.tables["members"].drop(["level"])})',
        "column members.level has no values",
    ),
    "another type": (
        """t = made.tables["members"]
        t = t.set_column(0, "id", t["id"].cast("string"))
        return replace(made, tables={"members": t})""",
        "column members.id is string, and its family says int64",
    ),
    "another table": (
        'return replace(made, tables={**made.tables, "more": made.tables["members"]})',
        "table more of a processor is not in the family",
    ),
    "no table": ("return replace(made, tables={})", "table members of a processor has no rows"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", UNFIT)
def test_a_mistake_of_the_processor_is_told_by_table_and_column(mistake, processor):
    code, says = UNFIT[mistake]
    own = processor(f"        made = super().transform_data(fetched)\n        {code}\n")

    with pytest.raises(errors.ConfigError) as refused:
        rows_of(own, page(7, MEMBER))

    assert says in str(refused.value)
