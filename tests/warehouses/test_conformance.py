"""What every warehouse promises, whatever is under it."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tcdatalogger.errors import DataRefused, UsageError, WarehouseUnavailable
from tcdatalogger.models.schema import Type
from tcdatalogger.services.warehouse.ledger_tables import LEDGER
from warehouses import holdings

HIT = {"id": 7, "user": 158}
SERVED_AT = 1_767_225_600.0
MODES = ("append", "replace", "merge", "history")


def of(table):
    """Whether a line of the ledger speaks of a table."""
    return lambda row: row["table_name"] == table


# Append


def test_append_adds_the_rows_of_each_run_to_parent_and_child(warehouse, load, rows):
    first = warehouse.commit(load({"id": 1, "hits": [HIT, HIT]}))
    second = warehouse.commit(load({"id": 1, "hits": [HIT]}, {"id": 2}))

    assert first.rows == {"wars": 1, "wars_hits": 2}
    assert second.rows == {"wars": 2, "wars_hits": 1}
    assert rows("wars", "id", "_run_id") == [(1, "run-1"), (1, "run-2"), (2, "run-2")]
    assert len(rows("wars_hits")) == 3


def test_a_load_that_is_tried_again_is_found_in_the_books_and_does_nothing(
    warehouse, load, everything
):
    made = load({"id": 1, "hits": [HIT]})
    first = warehouse.commit(made)
    before = everything()

    again = warehouse.commit(made)

    assert again.repeated
    assert not first.repeated
    assert (again.rows, again.schema_version) == (first.rows, first.schema_version)
    assert everything() == before


def test_a_load_is_known_again_after_the_warehouse_was_closed(store, load, warehouse):
    made = load({"id": 1})
    warehouse.commit(made)
    warehouse.close()

    with store.open() as opened:
        assert opened.commit(made).repeated
        assert opened.counts(["wars"]) == {"wars": 1}
        assert holdings.rows(opened, "wars", "id") == [1]


def test_a_retry_with_other_rows_is_the_same_load_all_the_same(warehouse, load, rows):
    warehouse.commit(load({"id": 1}, run="r"))

    assert warehouse.commit(load({"id": 1}, {"id": 2}, run="r")).repeated

    assert rows("wars", "id") == [1]


# Replace


def test_replace_leaves_just_the_latest_run_in_parent_and_child(warehouse, load, rows):
    warehouse.commit(load({"id": 1, "hits": [HIT, HIT]}, mode="replace"))
    warehouse.commit(load({"id": 2, "hits": [HIT]}, mode="replace"))

    assert rows("wars", "id", "_run_id") == [(2, "run-2")]
    assert rows("wars_hits", "war_id", "_run_id") == [(2, "run-2")]


def test_replace_keeps_the_former_rows_of_parent_and_child_for_a_rollback(
    warehouse, load, rows, everything
):
    for number in (1, 2, 3):
        warehouse.commit(load({"id": number, "hits": [HIT]}, mode="replace"))

    assert rows("_tcd_former_wars", "id") == [2]
    assert rows("_tcd_former_wars_hits", "war_id") == [2]
    assert set(everything()) - set(LEDGER) == {
        "wars", "wars_hits", "_tcd_former_wars", "_tcd_former_wars_hits",
    }  # fmt: skip


def test_replace_by_nothing_is_an_empty_table(warehouse, load, rows):
    warehouse.commit(load({"id": 1, "hits": [HIT]}, mode="replace"))
    receipt = warehouse.commit(load(mode="replace"))

    assert receipt.rows == {"wars": 0, "wars_hits": 0}
    assert (rows("wars"), rows("wars_hits")) == ([], [])


def test_replace_may_bring_a_new_column_and_keeps_the_old_ones(warehouse, load, rows):
    warehouse.commit(load({"id": 1, "name": "Ash"}, of={"name": "text"}, mode="replace"))
    warehouse.commit(load({"id": 2, "medals": 3}, of={"name": "text"}, mode="replace"))

    assert rows("wars", "id", "name", "medals") == [(2, None, 3)]
    assert rows("_tcd_former_wars", "id", "name") == [(1, "Ash")]


def test_replace_empties_a_child_that_the_family_no_longer_has(warehouse, load, rows):
    warehouse.commit(load({"id": 1, "hits": [HIT]}, mode="replace"))
    made = load({"id": 2}, mode="replace")
    family = replace(made.family, tables=made.family.tables[:1])

    warehouse.commit(replace(made, family=family, tables={"wars": made.tables["wars"]}))

    assert rows("wars", "id") == [2]
    assert rows("wars_hits") == []
    assert rows("_tcd_former_wars_hits", "war_id") == [1]


# Failing


@pytest.mark.parametrize("mode", ["append", "replace"])
def test_a_load_that_fails_in_its_last_table_leaves_everything_as_it_was(
    warehouse, load, rows, spoil, picture, mode
):
    warehouse.commit(load({"id": 1, "hits": [HIT]}, mode=mode))
    before = picture()
    good = load({"id": 2, "hits": [HIT], "medals": 5, "aids": [{"x": 1}]}, mode=mode)
    assert good.drift

    with pytest.raises(DataRefused, match="no number"):
        warehouse.commit(spoil(good))

    assert picture() == before
    assert warehouse.known("wars").field("wars").shape.element.field("medals") is None
    warehouse.commit(good)
    old = [(1, None)] if mode == "append" else []
    assert rows("wars", "id", "medals") == [*old, (2, 5)]
    assert rows("wars_aids", "war_id", "x") == [(2, 1)]


def test_a_first_load_that_fails_leaves_nothing(warehouse, load, spoil, picture):
    with pytest.raises(DataRefused):
        warehouse.commit(spoil(load({"id": 2, "hits": [HIT]})))

    assert picture() == {}
    assert warehouse.known("wars") is None


def test_a_failed_load_can_be_tried_again_when_it_is_mended(warehouse, load, spoil, rows):
    good = load({"id": 2, "hits": [HIT]})
    with pytest.raises(DataRefused):
        warehouse.commit(spoil(good))

    assert not warehouse.commit(good).repeated
    assert rows("wars", "id") == [2]


def test_whatever_breaks_in_the_middle_the_next_load_begins_from_the_state_before(
    warehouse, load, rows
):
    broken = load({"id": 1, "hits": [HIT]})

    with pytest.raises(KeyError):  # a bug: a table of the family has no rows at all
        warehouse.commit(replace(broken, tables={"wars": broken.tables["wars"]}))

    warehouse.commit(load({"id": 2}))
    assert rows("wars", "id") == [2]


# Evolution


def test_a_new_field_is_a_new_column_and_old_rows_have_null_in_it(warehouse, load, rows):
    warehouse.commit(load({"id": 1}))
    receipt = warehouse.commit(load({"id": 2, "medals": 3}))

    assert list(map(str, receipt.steps)) == ["+ wars.medals int", "+ wars_hits.medals int"]
    assert receipt.schema_version == 2
    assert rows("wars", "id", "medals") == [(1, None), (2, 3)]


def test_a_new_list_is_a_new_child_table(warehouse, load, rows):
    warehouse.commit(load({"id": 1}))
    receipt = warehouse.commit(load({"id": 2, "aids": [{"who": "Fox"}, {"who": "Owl"}]}))

    assert [str(step) for step in receipt.steps] == ["+ table wars_aids"]
    assert rows("wars_aids", "war_id", "who", order=["_index"]) == [(2, "Fox"), (2, "Owl")]


def test_an_integer_column_becomes_a_float_and_keeps_its_values(warehouse, load, rows):
    warehouse.commit(load({"id": 1, "pay": 40}, of={"pay": "int"}))
    receipt = warehouse.commit(load({"id": 2, "pay": 92.25}, of={"pay": "float"}))

    assert [str(step) for step in receipt.steps] == [
        "~ wars.pay int -> float",
        "~ wars_hits.pay int -> float",
    ]
    assert rows("wars", "pay", order=["id"]) == [40.0, 92.25]
    assert warehouse.stored(["wars"])["wars"]["pay"] is Type.FLOAT


def test_integers_fit_into_a_float_column_without_a_change(warehouse, load, rows):
    warehouse.commit(load({"id": 1, "pay": 0.5}, of={"pay": "float"}))

    assert warehouse.commit(load({"id": 2, "pay": 3}, of={"pay": "int"})).steps == ()
    assert rows("wars", "pay", order=["id"]) == [0.5, 3.0]


def test_a_column_that_would_lose_values_is_refused_by_name(warehouse, load, everything):
    warehouse.commit(load({"id": 1, "tag": "HL"}, of={"tag": "text"}))
    before = everything()

    with pytest.raises(DataRefused, match=r"wars\.tag text cannot become int") as refused:
        warehouse.commit(load({"id": 2, "tag": 5}, of={"tag": "int"}))

    assert "table" in refused.value.remedy
    assert everything() == before


def test_a_field_that_torn_sends_no_longer_leaves_its_column(warehouse, load, rows):
    warehouse.commit(load({"id": 1, "tag": "HL"}, of={"tag": "text"}))
    warehouse.commit(load({"id": 2}))

    assert rows("wars", "id", "tag") == [(1, "HL"), (2, None)]


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


def test_a_plan_tells_what_would_change_and_changes_nothing(warehouse, load, everything):
    assert warehouse.plan(load({"id": 1}).family) != ()
    warehouse.commit(load({"id": 1}))
    before = everything()

    steps = warehouse.plan(load({"id": 1, "medals": 3, "aids": [1]}).family)

    assert list(map(str, steps)) == [
        "+ wars.medals int",
        "+ wars_hits.medals int",
        "+ table wars_aids",
    ]
    assert everything() == before


# The books


def test_a_load_is_in_the_books_with_its_rows_and_where_it_came_from(warehouse, load, rows):
    made = load({"id": 1, "hits": [HIT, HIT]}, {"id": "no id"})
    receipt = warehouse.commit(replace(made, cursor="1767225600"))

    (line,) = rows("_tcd_loads")
    assert line.pop("rows") == {"wars": 1, "wars_hits": 2} == dict(receipt.rows)
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


def test_a_load_is_in_the_books_with_the_owner_of_the_key_that_asked(warehouse, load, rows):
    warehouse.commit(replace(load({"id": 1}), key_owner=2**40))
    warehouse.commit(load({"id": 2}))

    assert rows("_tcd_loads", "key_owner", order=["seq"]) == [2**40, None]


def test_every_version_of_a_table_is_in_the_books_with_its_diff_and_cause(warehouse, load, rows):
    warehouse.commit(load({"id": 1}))
    warehouse.commit(load({"id": 2, "medals": 3, "aids": [{"who": "Fox"}]}))
    warehouse.commit(replace(load({"id": 3}, of={"tag": "text"}), catalog_version="next"))

    assert rows("_tcd_schemas", "table_name", "version", "cause", "run_id", "diff") == [
        ("wars", 1, "first load", "run-1", ["+ table wars"]),
        ("wars", 2, "drift", "run-2", ["+ wars.medals int"]),
        ("wars", 3, "catalogue change", "run-3", ["+ wars.tag text"]),
        ("wars_aids", 1, "drift", "run-2", ["+ table wars_aids"]),
        ("wars_aids", 2, "catalogue change", "run-3", ["+ wars_aids.tag text"]),
        ("wars_hits", 1, "first load", "run-1", ["+ table wars_hits"]),
        ("wars_hits", 2, "drift", "run-2", ["+ wars_hits.medals int"]),
        ("wars_hits", 3, "catalogue change", "run-3", ["+ wars_hits.tag text"]),
    ]
    columns = rows("_tcd_schemas", "columns", where=of("wars"), order=["version"])[1]
    (medals,) = [column for column in columns if column["name"] == "medals"]
    assert medals["type"] == "int"
    assert medals["learned"]
    assert medals["path"] == ["medals"]


def test_drift_is_in_the_books_with_an_example_and_the_run(warehouse, load, rows):
    warehouse.commit(load({"id": 1, "medals": 3}))

    told = "endpoint", "table_name", "column_name", "type", "example", "cause", "run_id"
    assert rows("_tcd_drift", *told) == [
        ("wars", "wars", "medals", "int", "3", "unknown to the catalogue", "run-1")
    ]


def test_a_misfit_is_in_the_books_with_its_record_reason_and_place(warehouse, load, rows):
    warehouse.commit(load({"id": 1}, {"id": "seven", "hits": [HIT]}))

    (line,) = rows("_tcd_quarantine")
    wanted = {
        "quarantine_id": "load-of-run-1-wars-0",
        "endpoint": "wars",
        "run_id": "run-1",
        "page": 0,
        "path": "wars[1].id",
        "archive_file": "wars/run-1.parquet",
        "reason": "a text in place of an integer",
    }
    assert {name: line[name] for name in wanted} == wanted
    assert json.loads(line["record"]) == {"hits": [HIT], "id": "seven"}


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
def test_a_field_of_any_name_becomes_a_column_and_keeps_its_value(warehouse, load, rows, name):
    made = load({"id": 1, name: "kept"})
    warehouse.commit(made)

    (found,) = [d.column for d in made.drift]
    (row,) = rows("wars")
    assert row[found] == "kept"
    assert row["id"] == 1
    assert load({"id": 2, name: "again"}).drift == ()


def test_tables_may_be_called_by_reserved_words(warehouse, load, rows):
    warehouse.commit(load({"id": 1, "hits": [HIT]}, table="select", mode="replace"))
    warehouse.commit(load({"id": 2, "hits": [HIT]}, table="select", mode="replace"))

    assert rows("select", "id") == [2]
    assert rows("select_hits", "war_id") == [2]


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_a_text_comes_back_as_it_went_in(warehouse, load, rows, value):
    warehouse.commit(load({"id": 1, "tag": value}, of={"tag": "text"}))

    assert rows("wars", "tag") == [value]


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

    (found,) = rows("wars", "x")
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

    assert [found.isoformat() for found in rows("wars", "moment")] == [moment]


def test_free_json_keeps_its_digits(warehouse, load, rows):
    free = {"strength": "7566.34", "n": 12345678901234567890, "list": [1, None, {"a": "🦊"}]}
    warehouse.commit(load({"id": 1, "data": free}, of={"data": "json"}))

    assert rows("wars", "data") == [free]


def test_null_stays_null_and_a_column_without_values_keeps_its_type(warehouse, load, rows):
    kinds = {"a": "int", "b": "float", "c": "text", "d": "bool", "e": "time", "f": "json"}
    warehouse.commit(load({"id": 1, **dict.fromkeys(kinds)}, {"id": 2}, of=kinds))

    assert rows("wars", *kinds) == [(None,) * 6] * 2
    values = {"a": 1, "b": 0.5, "c": "x", "d": True, "e": 60, "f": {}}
    warehouse.commit(load({"id": 3, **values}, of=kinds))
    minute = datetime.fromtimestamp(60, UTC)
    assert rows("wars", *kinds, where=lambda row: row["id"] == 3) == [
        (1, 0.5, "x", True, minute, {})
    ]
    stored = warehouse.stored(["wars"])["wars"]
    assert {name: stored[name] for name in kinds} == {n: Type(kind) for n, kind in kinds.items()}


def test_a_load_without_rows_makes_its_tables_and_is_in_the_books(warehouse, load, rows):
    receipt = warehouse.commit(load())

    assert receipt.rows == {"wars": 0, "wars_hits": 0}
    assert rows("wars") == []
    assert rows("_tcd_loads", "rows") == [{"wars": 0, "wars_hits": 0}]


def test_ten_thousand_rows_go_in_as_one_load(warehouse, load, rows):
    warehouse.commit(load(*({"id": n, "hits": [HIT]} for n in range(10_000))))

    assert rows("wars", "id") == list(range(10_000))
    assert rows("wars_hits", "war_id") == list(range(10_000))


# Asking


def test_a_query_that_makes_no_sense_is_refused(warehouse, load):
    warehouse.commit(load({"id": 1}))

    with pytest.raises(UsageError):
        warehouse.query("this makes no sense")


def test_nothing_is_known_before_the_first_load(warehouse, load):
    assert warehouse.known("wars") is None
    warehouse.commit(load({"id": 1}))
    assert warehouse.known("others") is None


@pytest.mark.parametrize("mode", MODES)
def test_a_load_that_would_touch_a_table_of_another_changes_nothing(
    load, warehouse, everything, mode
):
    warehouse.commit(load({"id": 1, "hits": [{"id": 7}]}, mode=mode))
    before = everything()

    with pytest.raises(DataRefused, match="wars_hits belongs to the endpoint wars") as refused:
        warehouse.commit(load({"id": 2}, mode=mode, endpoint="wars_hits"))

    assert 'table = "wars_hits_2"' in refused.value.remedy
    assert everything() == before
    owners = [(owner.table, owner.family, owner.endpoint) for owner in warehouse.owners()]
    assert sorted(owners) == [("wars", "wars", "wars"), ("wars_hits", "wars", "wars")]


def test_endpoints_of_one_path_own_a_table_together_and_one_of_another_path_does_not(
    load, warehouse, rows
):
    for endpoint in ("one", "two"):
        made = load({"id": 1}, endpoint=endpoint, table="wars")
        warehouse.commit(replace(made, path="/wars"))
    made = load({"id": 1}, endpoint="three", table="wars")

    with pytest.raises(DataRefused, match="wars belongs to the endpoint one"):
        warehouse.commit(replace(made, path="/peace"))
    assert len(rows("wars")) == 2


# What a warehouse tells of itself


def test_a_warehouse_is_not_there_before_something_is_stored_and_asking_makes_none(
    store, load, warehouse
):
    assert not warehouse.exists()
    assert warehouse.stored(["wars"]) == {}
    assert warehouse.counts(["wars"]) == {"wars": 0}
    assert warehouse.rows("wars", ["id"]).to_pylist() == []
    assert (warehouse.owners(), warehouse.loads(), warehouse.known("wars")) == ((), [], None)
    assert warehouse.reshape(load({"id": 1}), dry=True)
    with pytest.raises(UsageError, match="Nothing has been stored"):
        warehouse.rollback("wars", "run-1", at=0.0, by="me", dry=True)
    with pytest.raises(UsageError, match="Nothing has been stored"):
        warehouse.reshape_back("wars", 1, at=0.0, dry=True)
    assert not warehouse.exists()

    warehouse.commit(load({"id": 1}))

    assert warehouse.exists()
    warehouse.close()
    with store.open() as opened:
        assert opened.exists()


def test_an_engine_is_named_alike_by_every_warehouse_of_its_kind(warehouse, new_store):
    with new_store().open() as other:
        assert other.engine == warehouse.engine
    assert warehouse.engine.strip() == warehouse.engine != ""


def test_the_columns_that_are_stored_are_told_with_their_types(warehouse, load):
    kinds = {"a": "int", "b": "float", "c": "text", "d": "bool", "e": "time", "f": "json"}
    warehouse.commit(load({"id": 1}, of=kinds))

    stored = warehouse.stored(["wars_hits", "wars", "peace"])

    own = {name: Type(kind) for name, kind in kinds.items()}
    system = {"server_timestamp": Type.TIME, "_subject_id": Type.INT, "_run_id": Type.TEXT}
    assert stored["wars"] == {"id": Type.INT, **own, **system}
    ids = {"war_id": Type.INT, "hit_id": Type.INT, "user": Type.INT, "_index": Type.INT}
    del own["f"]  # a child has no JSON of its parent
    assert stored["wars_hits"] == {**ids, **own, **system}
    assert set(stored) == {"wars", "wars_hits"}


def test_the_rows_of_tables_are_counted(warehouse, load):
    warehouse.commit(load({"id": 1, "hits": [HIT, HIT]}, {"id": 2, "hits": [HIT]}, {"id": 3}))

    counts = warehouse.counts(["wars", "peace", "wars_hits"])

    assert counts == {"wars": 3, "peace": 0, "wars_hits": 3}


def test_rows_are_asked_by_columns_by_texts_and_by_time(warehouse, load):
    for number in range(3):
        made = load({"id": number, "tag": "it's" if number else "", "who": "a"},
                    of={"tag": "text", "who": "text"}, at=60.0 * number)  # fmt: skip
        warehouse.commit(made)

    def asked(*columns, table="wars", **options):
        found = warehouse.rows(table, columns, **options)
        assert found.column_names == list(columns)
        return sorted(tuple(row.values()) for row in found.to_pylist())

    assert asked("tag", "id") == [("", 0), ("it's", 1), ("it's", 2)]
    assert asked("id", "nobody") == [(0, None), (1, None), (2, None)]
    assert asked("id", table="peace") == []
    assert asked("id", where={"tag": "it's", "who": "a"}) == [(1,), (2,)]
    assert asked("id", where={"tag": "it's", "who": "b"}) == []
    assert asked("id", since=("server_timestamp", 60.0)) == [(1,), (2,)]
    assert asked("id", since=("server_timestamp", 60.5), where={"tag": "it's"}) == [(2,)]
    assert asked("id", where={"nobody": "a"}) == []
    assert asked("id", since=("nobody", 0.0)) == []


@pytest.fixture
def sums(new_store, maker):
    """The sums of a new warehouse with these loads, each of some wars."""

    def sums(*loads):
        with new_store().open() as opened:
            load = maker(lambda: opened)
            for wars in loads:
                opened.commit(load(*wars, of={"tag": "text", "x": "float"}))
            return opened.sums()

    return sums


def test_warehouses_of_the_same_content_have_the_same_sums_whatever_the_order_of_rows(sums):
    wars = [{"id": n, "tag": "a", "hits": [HIT]} for n in range(3)]

    one, same, turned = sums(wars, wars), sums(wars, wars), sums(wars[::-1], wars)

    assert one == same
    assert (one["wars"], one["wars_hits"]) == (turned["wars"], turned["wars_hits"])
    assert one["wars"].rows == one["wars_hits"].rows == 6


@pytest.mark.parametrize(
    "other",
    [
        [{"id": 1, "tag": "a"}, {"id": 2, "tag": "c"}],
        [{"id": 1, "tag": "b"}, {"id": 2, "tag": "a"}],
        [{"id": 1, "tag": "a"}, {"id": 2, "tag": None}],
        [{"id": 1, "tag": "a"}, {"id": 2, "tag": ""}],
        [{"id": 1, "tag": "a"}, {"id": 2, "tag": "b", "x": 0.5}],
    ],
    ids=["another text", "changed places", "a null", "an empty text", "another column"],
)
def test_another_value_gives_another_sum_of_its_table_alone(sums, other):
    one, another = sums([{"id": 1, "tag": "a"}, {"id": 2, "tag": "b"}]), sums(other)

    assert one["wars"].rows == another["wars"].rows
    assert {name for name in one.keys() | another.keys() if one[name] != another[name]} == {"wars"}


def test_sums_that_are_taken_change_nothing(warehouse, load, everything):
    warehouse.commit(load({"id": 1, "hits": [HIT]}, mode="merge"))
    before = everything()

    first = warehouse.sums()

    assert everything() == before
    assert warehouse.sums() == first
    warehouse.commit(load({"id": 2}, mode="merge"))
    assert warehouse.sums()["wars"].rows == 2


def test_a_warehouse_that_is_not_there_has_no_sums(warehouse):
    with pytest.raises(WarehouseUnavailable):
        warehouse.sums()
    assert not warehouse.exists()


# Several loads in one step


def wars_of(load, mode):
    """Three loads of one endpoint, each with news beside what the one before it had."""
    return [
        load(
            {"id": 1, "tag": str(number), "hits": [HIT] * number},
            {"id": number + 5, "tag": "new"},
            of={"tag": "text"}, mode=mode, at=SERVED_AT + 60 * number,
        )
        for number in range(3)
    ]  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
def test_loads_of_a_generator_are_stored_as_if_one_came_after_the_other(
    warehouse, load, everything, new_store, mode
):
    made = wars_of(load, mode)

    receipts = warehouse.commit_all(one for one in made)

    assert [receipt.load_id for receipt in receipts] == [one.id for one in made]
    with new_store().open() as other:
        assert [other.commit(one) for one in made] == receipts
        assert holdings.everything(other, load.made) == everything()
    assert all(receipt.repeated for receipt in warehouse.commit_all(iter(made)))


@pytest.mark.parametrize("mode", MODES)
def test_loads_that_are_stored_together_bring_columns_to_a_table_that_is_there(
    warehouse, load, rows, mode
):
    warehouse.commit(load({"id": 9, "hits": [HIT]}, mode=mode, at=SERVED_AT - 60))

    receipts = warehouse.commit_all(wars_of(load, mode))

    assert [receipt.repeated for receipt in receipts] == [False] * 3
    assert {"2", "new"} <= set(rows("wars", "tag"))


@pytest.mark.parametrize("mode", MODES)
def test_of_loads_that_are_stored_together_none_stays_when_one_fails(
    warehouse, load, picture, spoil, mode
):
    warehouse.commit(load({"id": 9, "hits": [HIT]}, mode=mode, at=SERVED_AT - 60))
    before = picture()
    first, second, third = wars_of(load, mode)

    with pytest.raises(DataRefused, match="no number"):
        warehouse.commit_all(iter([first, second, spoil(replace(third, id="spoilt"))]))

    assert picture() == before
    assert [r.repeated for r in warehouse.commit_all(iter([first, second, third]))] == [False] * 3


@pytest.mark.parametrize("mode", MODES)
def test_a_generator_that_breaks_off_leaves_nothing_of_its_loads(warehouse, load, picture, mode):
    warehouse.commit(load({"id": 9, "hits": [HIT]}, mode=mode, at=SERVED_AT - 60))
    before = picture()
    made = wars_of(load, mode)

    def broken():
        yield from made[:2]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        warehouse.commit_all(broken())

    assert picture() == before
