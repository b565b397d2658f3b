"""What every warehouse promises, whatever is under it."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tcdatalogger.errors import DataRefused, UsageError

HIT = {"id": 7, "user": 158}
LEDGER = (
    "_tcd_loads", "_tcd_schemas", "_tcd_drift", "_tcd_quarantine", "_tcd_checks", "_tcd_owners",
)  # fmt: skip


@pytest.fixture
def picture(warehouse):
    """Everything that is in the warehouse: tables, columns, rows, books."""

    def picture():
        columns = warehouse.query(
            "select table_name, column_name, data_type from duckdb_columns() "
            "where not internal order by all"
        ).to_pylist()
        tables = dict.fromkeys(column["table_name"] for column in columns)
        rows = {name: warehouse.query(f'from "{name}" order by all').to_pylist() for name in tables}
        return columns, rows

    return picture


# Append


def test_append_adds_the_rows_of_each_run_to_parent_and_child(warehouse, load, rows):
    first = warehouse.commit(load({"id": 1, "hits": [HIT, HIT]}))
    second = warehouse.commit(load({"id": 1, "hits": [HIT]}, {"id": 2}))

    assert first.rows == {"wars": 1, "wars_hits": 2}
    assert second.rows == {"wars": 2, "wars_hits": 1}
    assert rows("select id, _run_id from wars order by all") == [
        (1, "run-1"), (1, "run-2"), (2, "run-2"),
    ]  # fmt: skip
    assert rows("select count(*) from wars_hits") == [3]


def test_a_load_that_is_tried_again_is_found_in_the_books_and_does_nothing(
    warehouse, load, picture
):
    made = load({"id": 1, "hits": [HIT]})
    first = warehouse.commit(made)
    before = picture()

    again = warehouse.commit(made)

    assert again.repeated
    assert not first.repeated
    assert (again.rows, again.schema_version) == (first.rows, first.schema_version)
    assert picture() == before


def test_a_load_is_known_again_after_the_warehouse_was_closed(store, load, warehouse):
    made = load({"id": 1})
    warehouse.commit(made)
    warehouse.close()

    with store.open() as opened:
        assert opened.commit(made).repeated
        assert opened.query("select count(*) as n from wars").to_pylist() == [{"n": 1}]


def test_a_retry_with_other_rows_is_the_same_load_all_the_same(warehouse, load, rows):
    warehouse.commit(load({"id": 1}, run="r"))

    assert warehouse.commit(load({"id": 1}, {"id": 2}, run="r")).repeated

    assert rows("select id from wars") == [1]


# Replace


def test_replace_leaves_just_the_latest_run_in_parent_and_child(warehouse, load, rows):
    warehouse.commit(load({"id": 1, "hits": [HIT, HIT]}, mode="replace"))
    warehouse.commit(load({"id": 2, "hits": [HIT]}, mode="replace"))

    assert rows("select id, _run_id from wars") == [(2, "run-2")]
    assert rows("select war_id, _run_id from wars_hits") == [(2, "run-2")]


def test_replace_keeps_the_former_rows_of_parent_and_child_for_a_rollback(warehouse, load, rows):
    for number in (1, 2, 3):
        warehouse.commit(load({"id": number, "hits": [HIT]}, mode="replace"))

    assert rows("select id from _tcd_former_wars") == [2]
    assert rows("select war_id from _tcd_former_wars_hits") == [2]
    names = rows("select table_name from duckdb_tables() order by 1")
    assert names == sorted(
        [*LEDGER, "wars", "wars_hits", "_tcd_former_wars", "_tcd_former_wars_hits"]
    )


def test_replace_by_nothing_is_an_empty_table(warehouse, load, rows):
    warehouse.commit(load({"id": 1, "hits": [HIT]}, mode="replace"))
    receipt = warehouse.commit(load(mode="replace"))

    assert receipt.rows == {"wars": 0, "wars_hits": 0}
    assert rows("select (select count(*) from wars), (select count(*) from wars_hits)") == [(0, 0)]


def test_replace_may_bring_a_new_column_and_keeps_the_old_ones(warehouse, load, rows):
    warehouse.commit(load({"id": 1, "name": "Ash"}, of={"name": "text"}, mode="replace"))
    warehouse.commit(load({"id": 2, "medals": 3}, of={"name": "text"}, mode="replace"))

    assert rows("select id, name, medals from wars") == [(2, None, 3)]
    assert rows("select id, name from _tcd_former_wars") == [(1, "Ash")]


def test_replace_empties_a_child_that_the_family_no_longer_has(warehouse, load, rows):
    warehouse.commit(load({"id": 1, "hits": [HIT]}, mode="replace"))
    made = load({"id": 2}, mode="replace")
    family = replace(made.family, tables=made.family.tables[:1])

    warehouse.commit(replace(made, family=family, tables={"wars": made.tables["wars"]}))

    assert rows("select id from wars") == [2]
    assert rows("select count(*) from wars_hits") == [0]
    assert rows("select war_id from _tcd_former_wars_hits") == [1]


# Failing


@pytest.mark.parametrize("mode", ["append", "replace"])
def test_a_load_that_fails_in_its_last_table_leaves_everything_as_it_was(
    warehouse, load, spoil, picture, mode
):
    warehouse.commit(load({"id": 1, "hits": [HIT]}, mode=mode))
    before = picture()
    bad = spoil(load({"id": 2, "hits": [HIT], "medals": 5, "aids": [{"x": 1}]}, mode=mode))
    assert bad.drift

    with pytest.raises(DataRefused, match="no number"):
        warehouse.commit(bad)

    assert picture() == before
    assert warehouse.known("wars").field("wars").shape.element.field("medals") is None


def test_a_first_load_that_fails_leaves_not_even_an_empty_table(warehouse, load, spoil, picture):
    with pytest.raises(DataRefused):
        warehouse.commit(spoil(load({"id": 2, "hits": [HIT]})))

    assert picture() == ([], {})
    assert warehouse.known("wars") is None


def test_a_failed_load_can_be_tried_again_when_it_is_mended(warehouse, load, spoil, rows):
    good = load({"id": 2, "hits": [HIT]})
    with pytest.raises(DataRefused):
        warehouse.commit(spoil(good))

    assert not warehouse.commit(good).repeated
    assert rows("select id from wars") == [2]


def test_whatever_breaks_in_the_middle_the_next_load_begins_from_the_state_before(
    warehouse, load, rows
):
    broken = load({"id": 1, "hits": [HIT]})

    with pytest.raises(KeyError):  # a bug: a table of the family has no rows at all
        warehouse.commit(replace(broken, tables={"wars": broken.tables["wars"]}))

    warehouse.commit(load({"id": 2}))
    assert rows("select id from wars") == [2]


# Evolution


def test_a_new_field_is_a_new_column_and_old_rows_have_null_in_it(warehouse, load, rows):
    warehouse.commit(load({"id": 1}))
    receipt = warehouse.commit(load({"id": 2, "medals": 3}))

    assert list(map(str, receipt.steps)) == ["+ wars.medals int", "+ wars_hits.medals int"]
    assert receipt.schema_version == 2
    assert rows("select id, medals from wars order by id") == [(1, None), (2, 3)]


def test_a_new_list_is_a_new_child_table(warehouse, load, rows):
    warehouse.commit(load({"id": 1}))
    receipt = warehouse.commit(load({"id": 2, "aids": [{"who": "Fox"}, {"who": "Owl"}]}))

    assert [str(step) for step in receipt.steps] == ["+ table wars_aids"]
    assert rows("select war_id, who from wars_aids order by _index") == [(2, "Fox"), (2, "Owl")]


def test_an_integer_column_becomes_a_float_and_keeps_its_values(warehouse, load, rows):
    warehouse.commit(load({"id": 1, "pay": 40}, of={"pay": "int"}))
    receipt = warehouse.commit(load({"id": 2, "pay": 92.25}, of={"pay": "float"}))

    assert [str(step) for step in receipt.steps] == [
        "~ wars.pay int -> float",
        "~ wars_hits.pay int -> float",
    ]
    assert rows("select pay from wars order by id") == [40.0, 92.25]


def test_integers_fit_into_a_float_column_without_a_change(warehouse, load, rows):
    warehouse.commit(load({"id": 1, "pay": 0.5}, of={"pay": "float"}))

    assert warehouse.commit(load({"id": 2, "pay": 3}, of={"pay": "int"})).steps == ()
    assert rows("select pay from wars order by id") == [0.5, 3.0]


def test_a_column_that_would_lose_values_is_refused_by_name(warehouse, load, picture):
    warehouse.commit(load({"id": 1, "tag": "HL"}, of={"tag": "text"}))
    before = picture()

    with pytest.raises(DataRefused, match=r"wars\.tag text cannot become int") as refused:
        warehouse.commit(load({"id": 2, "tag": 5}, of={"tag": "int"}))

    assert "table" in refused.value.remedy
    assert picture() == before


def test_a_field_that_torn_sends_no_longer_leaves_its_column(warehouse, load, rows):
    warehouse.commit(load({"id": 1, "tag": "HL"}, of={"tag": "text"}))
    warehouse.commit(load({"id": 2}))

    assert rows("select id, tag from wars order by id") == [(1, "HL"), (2, None)]


def test_what_one_run_learned_the_next_one_knows(warehouse, load):
    warehouse.commit(load({"id": 1, "medals": 3}))

    again = load({"id": 2, "medals": 4})

    assert again.drift == ()
    assert warehouse.commit(again).steps == ()


def test_endpoints_that_share_a_table_learn_from_each_other_and_tell_drift_once(warehouse, load):
    for number, (endpoint, field) in enumerate([("ours", "a"), ("theirs", "b"), ("theirs", "a")]):
        made = load({"id": number, field: 1}, endpoint=endpoint, table="wars")
        warehouse.commit(made)
    both = {"id": 9, "a": 1, "b": 1}

    assert load(both, endpoint="ours", table="wars").drift == ()
    assert load(both, endpoint="theirs", table="wars").drift == ()


def test_a_plan_tells_what_would_change_and_changes_nothing(warehouse, load, picture):
    assert warehouse.plan(load({"id": 1}).family) != ()
    warehouse.commit(load({"id": 1}))
    before = picture()

    steps = warehouse.plan(load({"id": 1, "medals": 3, "aids": [1]}).family)

    assert list(map(str, steps)) == [
        "+ wars.medals int",
        "+ wars_hits.medals int",
        "+ table wars_aids",
    ]
    assert picture() == before


# The books


def test_a_load_is_in_the_books_with_its_rows_and_where_it_came_from(warehouse, load, rows):
    made = load({"id": 1, "hits": [HIT, HIT]}, {"id": "no id"})
    receipt = warehouse.commit(replace(made, cursor="1767225600"))

    (line,) = warehouse.query("from _tcd_loads").to_pylist()
    assert json.loads(line.pop("rows")) == {"wars": 1, "wars_hits": 2} == dict(receipt.rows)
    wanted = {
        "load_id": made.id,
        "run_id": "run-1",
        "endpoint": "wars",
        "mode": "append",
        "cursor": "1767225600",
        "schema_version": 1,
        "archive_file": "wars/run-1.parquet",
        "quarantined": 1,
        "drift": 0,
        "catalog_version": "6.13.6",
        "committed_at": datetime.fromtimestamp(made.committed_at, UTC),
    }
    assert {name: line[name] for name in wanted} == wanted


def test_every_version_of_a_table_is_in_the_books_with_its_diff_and_cause(warehouse, load, rows):
    warehouse.commit(load({"id": 1}))
    warehouse.commit(load({"id": 2, "medals": 3, "aids": [{"who": "Fox"}]}))
    warehouse.commit(replace(load({"id": 3}, of={"tag": "text"}), catalog_version="next"))

    assert rows(
        "select table_name, version, cause, run_id, diff::varchar from _tcd_schemas order by all"
    ) == [
        ("wars", 1, "first load", "run-1", '["+ table wars"]'),
        ("wars", 2, "drift", "run-2", '["+ wars.medals int"]'),
        ("wars", 3, "catalogue change", "run-3", '["+ wars.tag text"]'),
        ("wars_aids", 1, "drift", "run-2", '["+ table wars_aids"]'),
        ("wars_aids", 2, "catalogue change", "run-3", '["+ wars_aids.tag text"]'),
        ("wars_hits", 1, "first load", "run-1", '["+ table wars_hits"]'),
        ("wars_hits", 2, "drift", "run-2", '["+ wars_hits.medals int"]'),
        ("wars_hits", 3, "catalogue change", "run-3", '["+ wars_hits.tag text"]'),
    ]
    columns = json.loads(
        rows("select columns from _tcd_schemas where table_name = 'wars' and version = 2")[0]
    )
    (medals,) = [column for column in columns if column["name"] == "medals"]
    assert medals["type"] == "int"
    assert medals["learned"]
    assert medals["path"] == ["medals"]


def test_drift_is_in_the_books_with_an_example_and_the_run(warehouse, load, rows):
    warehouse.commit(load({"id": 1, "medals": 3}))

    assert rows(
        "select endpoint, table_name, column_name, type, example, cause, run_id from _tcd_drift"
    ) == [("wars", "wars", "medals", "int", "3", "unknown to the catalogue", "run-1")]


def test_a_misfit_is_in_the_books_with_its_record_reason_and_place(warehouse, load, rows):
    warehouse.commit(load({"id": 1}, {"id": "seven", "hits": [HIT]}))

    ((number, endpoint, run, page, path, reason, record, archive),) = rows(
        "select quarantine_id, endpoint, run_id, page, path, reason, record, archive_file "
        "from _tcd_quarantine"
    )
    assert (number, endpoint, run, page) == ("load-of-run-1-wars-0", "wars", "run-1", 0)
    assert (path, archive) == ("wars[1].id", "wars/run-1.parquet")
    assert reason == "a text stands where an integer is due"
    assert json.loads(record) == {"hits": [HIT], "id": "seven"}


# Hostile input

NAMES = [
    "select",
    "Order",
    "group by",
    'quo"te',
    "semi;colon",
    "-- drop",
    "1st",
    "_",
    "🦊",
    "ß",
    "id ",
]
VALUES = [
    "",
    " ",
    "it's",
    'say "no"',
    "'; drop table wars; --",
    "🦊\N{ZERO WIDTH JOINER}🦉",
    "line\nbreak\r\n\ttab",
    "back\\slash",
    "null",
    "NaN",
    "\x00 and \x7f",
    "x" * 2**20,
]


@pytest.mark.parametrize("name", NAMES)
def test_a_field_of_any_name_becomes_a_column_and_keeps_its_value(warehouse, load, name):
    made = load({"id": 1, name: "kept"})
    warehouse.commit(made)

    (found,) = [d.column for d in made.drift]
    (row,) = warehouse.query("from wars").to_pylist()
    assert row[found] == "kept"
    assert row["id"] == 1
    assert load({"id": 2, name: "again"}).drift == ()


def test_tables_may_be_called_by_reserved_words(warehouse, load, rows):
    warehouse.commit(load({"id": 1, "hits": [HIT]}, table="select", mode="replace"))
    warehouse.commit(load({"id": 2, "hits": [HIT]}, table="select", mode="replace"))

    assert rows('select id from "select"') == [2]
    assert rows("select war_id from select_hits") == [2]


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_a_text_comes_back_as_it_went_in(warehouse, load, rows, value):
    warehouse.commit(load({"id": 1, "tag": value}, of={"tag": "text"}))

    assert rows("select tag from wars") == [value]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("int", 2**63 - 1),
        ("int", -(2**63)),
        ("float", 1.7976931348623157e308),
        ("float", 5e-324),
        ("float", -0.0),
        ("float", 0.1),
        ("bool", False),
    ],
)
def test_a_number_comes_back_as_it_went_in(warehouse, load, rows, kind, value):
    warehouse.commit(load({"id": 1, "x": value}, of={"x": kind}))

    (found,) = rows("select x from wars")
    assert found == value
    assert type(found) is type(value)
    assert math.copysign(1, found) == math.copysign(1, value)


@pytest.mark.parametrize(
    ("seconds", "moment"),
    [
        (-62_135_596_800, "0001-01-01T00:00:00+00:00"),
        (0, "1970-01-01T00:00:00+00:00"),
        (253_402_300_799, "9999-12-31T23:59:59+00:00"),
    ],
)
def test_a_time_comes_back_in_utc(warehouse, load, rows, seconds, moment):
    warehouse.commit(load({"id": 1, "moment": seconds}, of={"moment": "time"}))

    assert [found.isoformat() for found in rows("select moment from wars")] == [moment]


def test_free_json_keeps_its_digits(warehouse, load, rows):
    free = {"strength": "7566.34", "n": 12345678901234567890, "list": [1, None, {"a": "🦊"}]}
    warehouse.commit(load({"id": 1, "data": free}, of={"data": "json"}))

    assert json.loads(rows("select data::varchar from wars")[0]) == free
    assert rows("select data->>'strength' from wars") == ["7566.34"]


def test_null_stays_null_and_a_column_without_values_keeps_its_type(warehouse, load, rows):
    kinds = {"a": "int", "b": "float", "c": "text", "d": "bool", "e": "time", "f": "json"}
    warehouse.commit(load({"id": 1, **dict.fromkeys(kinds)}, {"id": 2}, of=kinds))

    assert rows("select a, b, c, d, e, f from wars") == [(None,) * 6] * 2
    warehouse.commit(
        load({"id": 3, "a": 1, "b": 0.5, "c": "x", "d": True, "e": 60, "f": {}}, of=kinds)
    )
    assert rows("select a, b, c, d, f::varchar from wars where id = 3") == [
        (1, 0.5, "x", True, "{}")
    ]


def test_a_load_without_rows_makes_its_tables_and_is_in_the_books(warehouse, load, rows):
    receipt = warehouse.commit(load())

    assert receipt.rows == {"wars": 0, "wars_hits": 0}
    assert rows("select count(*) from wars") == [0]
    assert json.loads(rows("select rows from _tcd_loads")[0]) == {"wars": 0, "wars_hits": 0}


def test_ten_thousand_rows_go_in_as_one_load(warehouse, load, rows):
    warehouse.commit(load(*({"id": n, "hits": [HIT]} for n in range(10_000))))

    assert rows("select count(*), sum(id)::bigint from wars") == [(10_000, 49_995_000)]
    assert rows("select count(distinct war_id) from wars_hits") == [10_000]


# Asking


def test_a_query_that_makes_no_sense_is_refused_with_the_warehouses_own_words(warehouse, load):
    warehouse.commit(load({"id": 1}))

    with pytest.raises(UsageError, match="wrs"):
        warehouse.query("select * from wrs")


def test_nothing_is_known_before_the_first_load(warehouse, load):
    assert warehouse.known("wars") is None
    warehouse.commit(load({"id": 1}))
    assert warehouse.known("others") is None


MODES = ("append", "replace", "merge", "history")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("old", [False, True])
def test_a_load_that_would_touch_a_table_of_another_changes_nothing(
    load, warehouse, rows, mode, old
):
    warehouse.commit(load({"id": 1, "hits": [{"id": 7}]}, mode=mode))
    if old:  # of a warehouse from before there were owners
        warehouse.query("drop table _tcd_owners")
    before = rows("from wars_hits"), rows("from _tcd_loads")

    with pytest.raises(DataRefused, match="wars_hits belongs to the endpoint wars") as refused:
        warehouse.commit(load({"id": 2}, mode=mode, endpoint="wars_hits"))

    assert 'table = "wars_hits_2"' in refused.value.remedy
    assert (rows("from wars_hits"), rows("from _tcd_loads")) == before
    owners = [(owner.table, owner.family, owner.endpoint) for owner in warehouse.owners()]
    assert sorted(owners) == [("wars", "wars", "wars"), ("wars_hits", "wars", "wars")]


def test_a_replace_leaves_a_table_alone_that_it_once_filled_and_is_anothers(load, warehouse, rows):
    warehouse.commit(load({"id": 2}, mode="replace", endpoint="wars_hits"))
    own = load({"id": 1, "hits": [{"id": 7}]}, mode="replace")
    alone = replace(own.family, tables=own.family.tables[:1])
    warehouse.commit(replace(own, family=alone, tables={"wars": own.tables["wars"]}))
    # As it was before there were owners: the ledger says that both have filled it.
    warehouse.query("update _tcd_loads set rows = '{\"wars\": 1, \"wars_hits\": 1}' "
                    "where endpoint = 'wars'")  # fmt: skip
    again = load({"id": 1}, mode="replace")

    warehouse.commit(replace(again, family=alone, tables={"wars": again.tables["wars"]}))

    assert rows("select id from wars_hits") == [2]


def test_endpoints_of_one_path_own_a_table_together_and_one_of_another_path_does_not(
    load, warehouse, rows
):
    for endpoint in ("one", "two"):
        made = load({"id": 1}, endpoint=endpoint, table="wars")
        warehouse.commit(replace(made, path="/wars"))
    made = load({"id": 1}, endpoint="three", table="wars")

    with pytest.raises(DataRefused, match="wars belongs to the endpoint one"):
        warehouse.commit(replace(made, path="/peace"))
    assert rows("select count(*) from wars") == [2]
