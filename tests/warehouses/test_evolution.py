"""Tables that change under their rows: widened, renamed, split, taken back, never with a loss."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import pytest

from tcdatalogger.errors import DataRefused, UsageError
from tcdatalogger.models.evolution import Change, adopt, plan, taken_back
from tcdatalogger.models.schema import Type
from tcdatalogger.models.shape import Field, Kind, List, Object, Scalar
from warehouses.conftest import called

HIT = {"id": 7, "user": 158}
LONG = 2**53 + 1
MODES = ("append", "replace", "merge", "history")


def of(table):
    """Whether a line of the ledger speaks of a table."""
    return lambda row: row["table_name"] == table


@pytest.fixture
def schemas(rows):
    """The versions of a table: number, cause, differences and backup."""

    def schemas(table):
        columns = "version", "cause", "diff", "backup"
        return rows("_tcd_schemas", *columns, where=of(table), order=["version"])

    return schemas


@pytest.fixture
def reshape(warehouse, dry_first):
    """Make the tables fit a load, after a dry one that tells the same."""
    return partial(dry_first, warehouse.reshape)


@pytest.fixture
def reshape_back(warehouse, dry_first):
    """Take a table back to a version, after a dry one that tells the same."""
    return partial(dry_first, warehouse.reshape_back)


def kept_before(warehouse):
    """What is kept of the columns that a change touched."""
    return warehouse.stored(["_tcd_before_wars", "_tcd_before_wars_hits"])


# Widening


def test_a_widened_column_keeps_its_values_and_what_it_was(warehouse, load, rows, schemas):
    warehouse.commit(load({"id": 1, "score": 5}, {"id": 2}, of={"score": "int"}))

    warehouse.commit(load({"id": 3, "score": 1.5}, of={"score": "float"}))

    assert rows("wars", "id", "score") == [(1, 5.0), (2, None), (3, 1.5)]
    assert rows("_tcd_before_wars", "id", "score", "_run_id") == [
        (1, 5, "run-1"), (2, None, "run-1"),
    ]  # fmt: skip
    assert kept_before(warehouse)["_tcd_before_wars"]["score"] is Type.INT
    assert schemas("wars")[1] == (
        2, "configuration", ["~ wars.score int -> float"], "_tcd_before_wars",
    )  # fmt: skip


@pytest.mark.parametrize("value", [LONG, -LONG, 2**63 - 1])
def test_an_integer_that_a_float_cannot_hold_stops_the_widening(
    warehouse, load, rows, schemas, value
):
    warehouse.commit(load({"id": 1, "score": value}, {"id": 2, "score": 2}, of={"score": "int"}))

    with pytest.raises(DataRefused, match=rf"wars\.score .* 1 of its values .* {value}"):
        warehouse.commit(load({"id": 3, "score": 1.5}, of={"score": "float"}))

    assert rows("wars", "id", "score") == [(1, value), (2, 2)]
    assert warehouse.stored(["wars"])["wars"]["score"] is Type.INT
    assert kept_before(warehouse) == {}
    assert len(schemas("wars")) == 1


def test_integers_are_compared_before_they_go_into_an_older_column_of_floats(warehouse, load, rows):
    fits = load({"id": 2, "score": 2**60}, of={"score": "int"})
    long = load({"id": 3, "score": LONG}, of={"score": "int"})  # made before decimals were known
    warehouse.commit(load({"id": 1, "score": 1.5}, of={"score": "float"}))
    warehouse.commit(fits)

    with pytest.raises(DataRefused, match=rf"wars\.score is float.* 1 of the values, as {LONG}"):
        warehouse.commit(long)

    assert rows("wars", "id", "score") == [(1, 1.5), (2, float(2**60))]


def test_what_is_stored_as_decimals_is_read_as_decimals_when_the_document_says_integers():
    says, stored = (Object((Field("n", Scalar(kind)),)) for kind in (Kind.INT, Kind.FLOAT))
    assert adopt(says, stored) == stored
    assert adopt(stored, says) == stored


def test_a_replace_that_widens_keeps_the_whole_former_table(warehouse, load, rows, schemas):
    warehouse.commit(load({"id": 1, "score": 5}, of={"score": "int"}, mode="replace"))
    warehouse.commit(load({"id": 3, "score": 1.5}, of={"score": "float"}, mode="replace"))

    assert rows("_tcd_former_wars", "id", "score") == [(1, 5)]
    assert warehouse.stored(["_tcd_former_wars"])["_tcd_former_wars"]["score"] is Type.INT
    assert schemas("wars")[1][3] == "_tcd_former_wars"


def test_what_is_only_added_touches_nothing_and_needs_no_copy(warehouse, load, schemas):
    warehouse.commit(load({"id": 1}))
    warehouse.commit(load({"id": 2, "medals": 3}))

    assert schemas("wars")[1][3] is None


# Consent


def test_another_type_is_refused_with_the_diff_and_the_command_that_accepts_it(
    warehouse, load, rows
):
    warehouse.commit(load({"id": 1, "rank": 5}, of={"rank": "int"}))
    other = load({"id": 2, "rank": "five", "extra": 1}, of={"rank": "text"})

    with pytest.raises(DataRefused) as refused:
        warehouse.commit(other)

    assert "! wars.rank int cannot become text by itself" in refused.value.message
    assert "+ wars.extra int" in refused.value.message
    assert "tcdatalogger schema apply wars --accept" in refused.value.remedy
    assert rows("wars", "id") == [1]


@pytest.mark.parametrize(
    ("was", "value", "to", "becomes"),
    [
        ("int", 5, "text", "5"),
        ("float", 0.1, "text", "0.1"),
        ("bool", True, "text", "true"),
        ("text", "-12", "int", -12),
        ("float", 3.0, "int", 3),
        ("text", 'say "hi"', "json", 'say "hi"'),
        ("int", 1_700_000_000, "time", datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
    ],
)
def test_by_consent_a_column_gets_a_type_that_keeps_every_value(
    warehouse, load, rows, schemas, reshape, was, value, to, becomes
):
    warehouse.commit(load({"id": 1, "rank": value}, {"id": 2}, of={"rank": was}))
    other = load({"id": 3}, of={"rank": to})
    # A float takes integers as it is.
    asks = bool(warehouse.plan(other.family))

    reshape(other, accept=True)
    warehouse.commit(other)

    if asks:
        assert rows("wars", "rank", order=["id"]) == [becomes, None, None]
        assert warehouse.stored(["wars"])["wars"]["rank"] is Type(to)
        assert rows("_tcd_before_wars", "rank", order=["id"]) == [value, None]
        assert schemas("wars")[1][1] == "accepted"
    else:
        assert rows("wars", "rank", order=["id"]) == [value, None, None]


@pytest.mark.parametrize(
    ("was", "value", "to"),
    [
        ("text", "007", "int"),
        ("text", "five", "int"),
        ("int", 2, "bool"),
        ("json", "[1]", "int"),
        ("text", "2026-02-30", "time"),
    ],
)
def test_a_type_that_would_change_a_value_is_refused_for_good(
    warehouse, load, everything, reshape, was, value, to
):
    warehouse.commit(load({"id": 1, "rank": value}, of={"rank": was}))
    before = everything()

    with pytest.raises(DataRefused, match=r"wars\.rank cannot change from") as refused:
        reshape(load({"id": 2}, of={"rank": to}), accept=True)

    assert "another `table`" in refused.value.remedy
    assert everything() == before


def test_without_consent_nothing_is_done_not_even_what_is_free(warehouse, load, reshape):
    warehouse.commit(load({"id": 1, "rank": 5}, of={"rank": "int"}))

    with pytest.raises(DataRefused, match="consent"):
        reshape(load({"id": 2, "extra": 1}, of={"rank": "text"}))

    assert "extra" not in warehouse.stored(["wars"])["wars"]


def test_a_dry_run_says_the_steps_and_leaves_everything_as_it_was(
    warehouse, load, rows, everything
):
    warehouse.commit(load({"id": 1, "rank": 5}, of={"rank": "int"}))
    before = everything()

    steps = warehouse.reshape(load({"id": 2}, of={"rank": "text"}), accept=True, dry=True)

    assert {step.change.value for step in steps} == {"another type"}
    assert rows("wars", "rank") == [5]
    assert everything() == before


@pytest.mark.parametrize("mode", MODES)
def test_a_dry_run_tells_in_every_mode_what_the_real_one_does(warehouse, load, reshape, mode):
    of = {"rank": "int", "pay": "int", "score": "int"}
    first = load({"id": 1, "rank": 5, "pay": 3, "score": 1, "hits": [HIT]}, of=of, mode=mode)
    assert [str(step) for step in reshape(first)] == ["+ table wars", "+ table wars_hits"]
    warehouse.commit(first)
    of = {"rank": "text", "pay": "float", "score": "int"}
    other = called(load({"id": 2, "medals": 4}, of=of, mode=mode), score="points")

    steps = reshape(other, accept=True)

    assert {step.change for step in steps} == {
        Change.RETYPED, Change.WIDER, Change.RENAMED, Change.COLUMN,
    }  # fmt: skip
    assert {step.table for step in steps} == {"wars", "wars_hits"}
    assert reshape(other) == ()


def test_a_change_of_a_table_that_is_anothers_is_refused_dry_too(warehouse, load, reshape):
    warehouse.commit(load({"id": 1, "hits": [HIT]}))

    with pytest.raises(DataRefused, match="wars_hits belongs to the endpoint wars"):
        reshape(load({"id": 2}, endpoint="wars_hits"), accept=True)


# Names


def test_a_column_renamed_by_the_configuration_waits_for_consent(
    warehouse, load, rows, schemas, reshape
):
    warehouse.commit(load({"id": 1, "score": 5, "hits": [HIT]}, of={"score": "int"}))
    other = called(load({"id": 2, "score": 6}, of={"score": "int"}), score="points")

    with pytest.raises(DataRefused, match=r"~ wars\.score renamed to points"):
        warehouse.commit(other)
    reshape(other, accept=True)
    warehouse.commit(other)

    assert rows("wars", "id", "points") == [(1, 5), (2, 6)]
    assert rows("wars_hits", "war_id", "points") == [(1, 5)]
    assert "score" not in warehouse.stored(["wars"])["wars"]
    assert schemas("wars")[1] == (2, "accepted", ["~ wars.score renamed to points"], None)
    assert schemas("wars_hits")[1][1] == "accepted"


def test_columns_may_change_places(warehouse, load, rows, reshape):
    of = {"won": "int", "lost": "int"}
    warehouse.commit(load({"id": 1, "won": 5, "lost": 3}, of=of))
    other = called(load({"id": 2, "won": 6, "lost": 4}, of=of), won="lost", lost="won")

    reshape(other, accept=True)
    warehouse.commit(other)

    assert rows("wars", "id", "lost", "won") == [(1, 5, 3), (2, 6, 4)]


def test_a_name_that_is_taken_by_a_column_that_stays_is_refused(warehouse, load, reshape):
    warehouse.commit(load({"id": 1, "old": 5, "score": 1}, of={"old": "int", "score": "int"}))
    other = called(load({"id": 2}, of={"score": "int"}), score="old")

    with pytest.raises(DataRefused, match=r"score cannot be called old"):
        reshape(other, accept=True)


def test_records_are_known_again_under_other_names(warehouse, load, rows, reshape):
    of = {"score": "int"}
    warehouse.commit(load({"id": 1, "score": 5, "hits": [HIT]}, of=of))
    names = {"id": "war", "wars_hits__war_id": "war"}
    other = called(load({"id": 1, "score": 5, "hits": [HIT]}, of=of), **names)
    reshape(other, accept=True)

    receipt = warehouse.commit(replace(other, once=True))

    assert (receipt.unchanged, receipt.left_out) == (True, 1)
    assert rows("wars", "war", "score") == [(1, 5)]


def test_a_child_named_alone_leaves_the_others(load):
    made = called(load({"id": 1, "score": 5}, of={"score": "int"}), wars_hits__score="war_score")

    root, child = made.family.tables
    assert root.column("score") is not None
    assert (child.column("score"), child.column("war_score") is not None) == (None, True)


def test_a_field_whose_name_another_takes_is_not_mixed_up_with_it(warehouse, load, rows, reshape):
    """The child gets a `score` of its own: what was called so is the parent's, and moves."""
    of = {"score": "int"}
    warehouse.commit(load({"id": 1, "score": 5, "hits": [HIT]}, of=of))
    made = load({"id": 2, "score": 6, "hits": [HIT]}, of=of)
    own = _with_own_score(made)

    with pytest.raises(DataRefused, match=r"~ wars_hits\.score renamed to war_score"):
        warehouse.commit(own)
    reshape(own, accept=True)

    assert rows("wars_hits", "score", "war_score") == [(None, 5)]


def _with_own_score(made):
    from tcdatalogger.models.reading.decode import decode  # noqa: PLC0415
    from tcdatalogger.models.rows.normalize import Provenance, normalize  # noqa: PLC0415
    from tcdatalogger.models.schema import family  # noqa: PLC0415

    number = Scalar(Kind.INT, nullable=True)
    hit = Object((Field("id", number), Field("user", number), Field("score", number)))
    war = Object((Field("id", number), Field("score", number), Field("hits", List(hit))))
    grown = family(Object((Field("wars", List(war)),)), "wars", key=("id",))
    body = b'{"wars":[{"id":2,"score":6,"hits":[{"id":7,"user":158,"score":9}]}]}'
    decoded = decode([body], grown)
    rows = normalize(decoded.batches, grown, [Provenance(0.0, 40832, made.run_id)])
    return replace(made, family=grown, tables=rows.tables)


# A table that is split


def test_an_object_that_becomes_a_list_leaves_its_columns_and_gets_a_table(warehouse, load, rows):
    """The old columns stay with their values, the new rows go into the child."""
    prize = Object((Field("name", Scalar(Kind.TEXT, nullable=True)),), nullable=True)
    warehouse.commit(_prized(load, prize, b'{"name":"cup"}', 1))

    warehouse.commit(_prized(load, List(prize, nullable=True), b'[{"name":"a"},{"name":"b"}]', 2))

    assert rows("wars", "id", "prize_name") == [(1, "cup"), (2, None)]
    assert rows("wars_prize", "war_id", "name") == [(2, "a"), (2, "b")]


def _prized(load, shape, value, number):
    from tcdatalogger.models.reading.decode import decode  # noqa: PLC0415
    from tcdatalogger.models.rows.normalize import Provenance, normalize  # noqa: PLC0415
    from tcdatalogger.models.schema import family  # noqa: PLC0415

    made = load({"id": number})
    war = Object((Field("id", Scalar(Kind.INT)), Field("prize", shape)))
    grown = family(Object((Field("wars", List(war)),)), "wars", key=("id",))
    decoded = decode([b'{"wars":[{"id":%d,"prize":%s}]}' % (number, value)], grown)
    assert not decoded.rejected
    rows = normalize(decoded.batches, grown, [Provenance(0.0, 40832, made.run_id)])
    return replace(made, family=grown, tables=rows.tables)


# Back to a version


def test_a_rollback_of_the_schema_is_a_new_version_without_what_came_since(
    warehouse, load, rows, schemas, reshape_back
):
    warehouse.commit(load({"id": 1}))
    warehouse.commit(load({"id": 2, "medals": 3}))

    steps = reshape_back("wars", 1, at=1.0)

    assert list(map(str, steps)) == ["- wars.medals int"]
    assert "medals" not in warehouse.stored(["wars"])["wars"]
    assert rows("wars", "id") == [1, 2]
    assert rows("_tcd_before_wars", "id", "medals") == [(1, None), (2, 3)]
    assert schemas("wars")[2] == (
        3, "schema rollback to 1", ["- wars.medals int"], "_tcd_before_wars",
    )  # fmt: skip


def test_what_was_taken_back_comes_again_only_with_a_line_in_the_drift(
    warehouse, load, rows, schemas, reshape_back
):
    warehouse.commit(load({"id": 1}))
    warehouse.commit(load({"id": 2, "medals": 3}))
    reshape_back("wars", 1, at=1.0)

    warehouse.commit(load({"id": 3}))
    assert "medals" not in warehouse.stored(["wars"])["wars"]
    warehouse.commit(load({"id": 4, "medals": 9}))
    warehouse.commit(load({"id": 5, "medals": 9}))

    assert rows("_tcd_drift", "cause", "run_id", order=["seq"]) == [
        ("unknown to the catalogue", "run-2"),
        ("schema rollback to 1", ""),
        ("unknown to the catalogue", "run-4"),
    ]
    assert [cause for _, cause, _, _ in schemas("wars")] == [
        "first load", "drift", "schema rollback to 1", "drift",
    ]  # fmt: skip


def test_a_rollback_can_be_rolled_back(warehouse, load, rows, reshape_back):
    warehouse.commit(load({"id": 1}))
    warehouse.commit(load({"id": 2, "medals": 3}))
    reshape_back("wars", 1, at=1.0)

    steps = reshape_back("wars", 2, at=2.0)

    assert list(map(str, steps)) == ["+ wars.medals int"]
    assert rows("wars", "medals") == [None, None]
    made = load({"id": 3, "medals": 4})
    assert made.drift == ()
    warehouse.commit(made)
    assert reshape_back("wars", 4, at=3.0) == ()


def test_a_widened_column_is_narrowed_if_every_value_fits(warehouse, load, rows, reshape_back):
    warehouse.commit(load({"id": 1, "score": 5}, of={"score": "int"}))
    warehouse.commit(load({"id": 2, "score": 6.0}, of={"score": "float"}))

    reshape_back("wars", 1, at=1.0)

    assert rows("wars", "id", "score") == [(1, 5), (2, 6)]
    assert warehouse.stored(["wars"])["wars"]["score"] is Type.INT


def test_a_value_that_would_be_lost_by_narrowing_stops_it(warehouse, load, rows, reshape_back):
    warehouse.commit(load({"id": 1, "score": 5}, of={"score": "int"}))
    warehouse.commit(load({"id": 2, "score": 1.5, "new": 1}, of={"score": "float"}))

    with pytest.raises(DataRefused, match=r"wars\.score .* 1 of its values .* 1\.5"):
        reshape_back("wars", 1, at=1.0)

    assert rows("wars", "id", "score", "new") == [(1, 5.0, None), (2, 1.5, 1)]


def test_a_name_is_given_back_and_a_learned_type_too(warehouse, load, rows, reshape, reshape_back):
    of = {"score": "int"}
    warehouse.commit(load({"id": 1, "score": 5, "medals": 2}, of=of))
    warehouse.commit(load({"id": 2, "score": 5, "medals": 2.0}, of=of))
    other = called(load({"id": 3, "score": 6, "medals": 4.0}, of=of), score="points")
    reshape(other, accept=True)

    reshape_back("wars", 1, at=1.0)

    assert rows("wars", "id", "score", "medals") == [(1, 5, 2), (2, 5, 2)]
    assert warehouse.stored(["wars"])["wars"]["medals"] is Type.INT
    assert warehouse.plan(load({"id": 4, "medals": 3}, of=of).family) != ()  # the child's name


def test_a_dry_rollback_changes_nothing(warehouse, load, everything):
    warehouse.commit(load({"id": 1}))
    warehouse.commit(load({"id": 2, "medals": 3}))
    before = everything()

    assert len(warehouse.reshape_back("wars", 1, at=1.0, dry=True)) == 1

    assert everything() == before
    assert kept_before(warehouse) == {}


@pytest.mark.parametrize("mode", MODES)
def test_a_dry_rollback_tells_in_every_mode_what_the_real_one_does(
    warehouse, load, rows, reshape, reshape_back, mode
):
    of = {"rank": "int", "pay": "int", "score": "int"}
    warehouse.commit(load({"id": 1, "rank": 5, "pay": 3, "score": 1}, of=of, mode=mode))
    of = {"rank": "text", "pay": "float", "score": "int"}
    other = called(load({"id": 1, "medals": 4}, of=of, mode=mode), score="points")
    reshape(other, accept=True)

    steps = reshape_back("wars", 1, at=1.0)

    assert {step.change for step in steps} == {Change.DROPPED, Change.RENAMED, Change.RETYPED}
    assert rows("wars", "id", "rank", "pay", "score") == [(1, 5, 3, 1)]
    assert reshape_back("wars", 1, at=2.0) == ()


def test_there_is_no_way_to_a_version_that_never_was(warehouse, load, reshape_back):
    warehouse.commit(load({"id": 1}))

    with pytest.raises(UsageError, match="no version 7"):
        reshape_back("wars", 7, at=1.0)


def test_two_endpoints_of_a_table_both_forget(warehouse, load, reshape_back):
    warehouse.commit(load({"id": 1}, endpoint="a", table="wars"))
    warehouse.commit(load({"id": 2, "medals": 3}, endpoint="a", table="wars"))
    warehouse.commit(load({"id": 3, "medals": 3, "aids": 1}, endpoint="b", table="wars"))

    reshape_back("wars", 1, at=1.0)

    for endpoint in ("a", "b"):
        made = load({"id": 4, "medals": 3}, endpoint=endpoint, table="wars")
        assert [found.column for found in made.drift] == ["medals"]


# The shape alone


def test_what_is_taken_back_of_a_shape_is_what_was_learned_there():
    number = Scalar(Kind.INT, nullable=True)
    inner = Object((Field("x", number, required=False, learned=True),), nullable=True)
    learned = Field("aid", inner, required=False, learned=True)
    war = Object((Field("id", number), learned))
    body = Object((Field("wars", List(war)),))

    left = taken_back(body, [("wars", "[]", "aid", "x")])

    assert left == Object((Field("wars", List(Object((Field("id", number),)))),))
    assert taken_back(body, [("wars", "[]", "id")]) == body
    assert adopt(left, body) == body


def test_a_plan_without_a_history_renames_nothing(load):
    made = load({"id": 1})
    stored = {table.name: {c.name: c.type for c in table.columns} for table in made.family.tables}

    assert plan(stored, made.family) == ()


# In the other modes


@pytest.mark.parametrize("mode", ["replace", "merge", "history"])
def test_names_of_ones_own_hold_in_every_mode(warehouse, load, rows, reshape, mode):
    of = {"score": "int"}
    warehouse.commit(load({"id": 1, "score": 5, "hits": [HIT]}, of=of, mode=mode))
    names = {"id": "war", "score": "points", "wars_hits__war_id": "war"}
    other = called(load({"id": 1, "score": 6, "hits": [HIT]}, of=of, mode=mode), **names)

    with pytest.raises(DataRefused, match="schema apply wars"):
        warehouse.commit(other)
    reshape(other, accept=True)
    warehouse.commit(other)

    current = mode == "history"
    assert rows("wars", "war", "points", current=current) == [(1, 6)]
    assert rows("wars_hits", "war", "points", current=current) == [(1, 6)]
    if mode == "history":
        assert rows("wars", "war", "points", order=["valid_from"]) == [(1, 5), (1, 6)]


@pytest.mark.parametrize("mode", ["merge", "history"])
def test_a_column_is_widened_in_every_mode(warehouse, load, rows, mode):
    warehouse.commit(load({"id": 1, "score": 5}, of={"score": "int"}, mode=mode))
    warehouse.commit(load({"id": 2, "score": 1.5}, of={"score": "float"}, mode=mode))

    assert rows("wars", "id", "score") == [(1, 5.0), (2, 1.5)]
    assert rows("_tcd_before_wars", "id", "score") == [(1, 5)]
