"""Checks of a user's own, held against whole columns."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcdatalogger.errors import ConfigError
from tcdatalogger.models.checks.evaluate import evaluate, unknown, without
from tcdatalogger.models.checks.rules import Rule
from tcdatalogger.models.rows.normalize import arrow_schema
from tcdatalogger.models.schema import family
from tcdatalogger.models.shape import Field, Kind, List, Object, Scalar


def field(name, kind):
    return Field(name, Scalar(Kind(kind), nullable=True))


SHOT = Object((field("id", "int"), field("user", "int")))
WAR = Object(
    (
        field("id", "int"), field("level", "int"), field("name", "text"), field("odds", "float"),
        field("open", "bool"), field("at", "time"), Field("shots", List(SHOT)),
    )
)  # fmt: skip
FAMILY = family(Object((Field("wars", List(WAR)),)), "wars")
ROOT, SHOTS = FAMILY.tables


def rows(schema, *given):
    filled = [{"_subject_id": 1, **row} for row in given]
    columns = {c.name: [row.get(c.name) for row in filled] for c in schema.columns}
    return pa.table(columns, schema=arrow_schema(schema))


def tables(*wars, shots=()):
    return {"wars": rows(ROOT, *wars), "wars_shots": rows(SHOTS, *shots)}


def rule_result(rule, *wars, shots=()):
    [found] = evaluate([rule], FAMILY, tables(*wars, shots=shots))
    return found


def day(number):
    return datetime(2026, 1, number, tzinfo=UTC)


@pytest.mark.parametrize(
    ("rule", "values", "failing"),
    [
        (Rule("", ("level",), 1, 100), [0, 1, 100, 101, None], [0, 101]),
        (Rule("", ("level",), 1.5), [1, 2], [1]),
        (Rule("", ("level",), None, 1e300), [2**62], []),
        (Rule("", ("level",), 2**53 + 1), [2**53, 2**53 + 1], [2**53]),
        (Rule("", ("odds",), 0, 1), [-0.1, 0.0, 1.0, 1.01], [-0.1, 1.01]),
        (Rule("", ("at",), day(2), day(3)), [day(1), day(2), day(4)], [day(1), day(4)]),
        (Rule("", ("name",), values=("a", "b")), ["a", "c", None], ["c"]),
        (Rule("", ("level",), values=(1, 2)), [1, 3], [3]),
        (Rule("", ("open",), values=(True,)), [True, False, None], [False]),
        (Rule("", ("name",), required=True), ["", None], [None]),
        (Rule("", ("level",), 1, 9, required=True), [5, None, 10], [None, 10]),
        (Rule("", ("level",), type="int"), [1], []),
        (Rule("", ("level",), type="text"), [1, None], [1, None]),
        (Rule("", ("level",), unique=True), [1, 2, 1, None, None], [1]),
    ],
)
def test_a_check_tells_the_rows_that_fail_it(rule, values, failing):
    name = rule.columns[0]
    given_rows = [{"id": at, name: value} for at, value in enumerate(values)]

    found = rule_result(rule, *given_rows)

    assert found.result.failed == len(failing)
    assert found.result.passed == (not failing)
    if failing:
        column = tables(*given_rows)["wars"].column(name)
        assert column.filter(found.failing).to_pylist() == failing
        assert found.result.example == str(failing[0])


def test_what_repeats_is_told_for_each_subject():
    rule = Rule("", ("name", "level"), unique=True)
    same = {"name": "a", "level": 1}

    assert rule_result(rule, same, {**same, "_subject_id": 2}).result.passed
    assert rule_result(rule, same, {"name": "a", "level": 2}).result.passed
    assert rule_result(rule, same, same, same).result.failed == 2


def test_rows_are_counted():
    rule = Rule("wars_shots", rows=True, least=1, most=2)

    assert [rule_result(rule, shots=[{}] * number).result.passed for number in range(4)] == [
        False, True, True, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "rule",
    [
        Rule("", ("name",), 1, 2),
        Rule("", ("level",), day(1)),
        Rule("", ("at",), 1),
        Rule("", ("level",), values=("a",)),
        Rule("", ("open",), values=("a",)),
    ],
)
def test_a_check_of_the_wrong_kind_is_the_configurations_fault(rule):
    with pytest.raises(ConfigError, match="cannot be made"):
        rule_result(rule, {"id": 1, "name": "a", "level": 1, "open": True, "at": day(1)})


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (Rule("", ("level",), 1, 100), "level is between 1 and 100"),
        (Rule("", ("level",), 1), "level is at least 1"),
        (Rule("", ("level",), None, 9, required=True), "level is at most 9 and is there"),
        (Rule("", ("name",), values=("a", "b")), "name is one of 'a', 'b'"),
        (Rule("", ("id", "name"), unique=True), "id, name are unique"),
        (Rule("", ("id",), type="int"), "id is int"),
        (Rule("", rows=True, least=1), "the number of its rows is at least 1"),
    ],
)
def test_a_check_says_what_it_promises(rule, says):
    assert str(rule) == says


def test_what_is_not_there_is_named_with_what_is_near():
    found = unknown([Rule("", ("levle",)), Rule("wars_shot", ("id",)), Rule("", ("zzz",))], FAMILY)

    assert found == [
        "wars.levle (did you mean 'level'?)",
        "the table 'wars_shot' (did you mean 'wars_shots'?)",
        "wars.zzz",
    ]
    assert list(evaluate([Rule("", ("zzz",), 1)], FAMILY, tables())) == []


def test_a_record_goes_with_all_its_children_whichever_of_them_fails():
    given_tables = tables(
        {"id": 1, "level": 5}, {"id": 2, "level": 500}, {"id": 3}, {"id": 1, "_subject_id": 2},
        shots=[{"war_id": 1, "user": 7}, {"war_id": 2}, {"war_id": 3, "user": -1},
               {"war_id": 1, "_subject_id": 2}],
    )  # fmt: skip
    rules = [Rule("", ("level",), 1, 100), Rule("wars_shots", ("user",), 0)]

    left, why = without(FAMILY, given_tables, evaluate(rules, FAMILY, given_tables))

    keys = [(row["id"], row["_subject_id"]) for row in left["wars"].to_pylist()]
    assert keys == [(1, 1), (1, 2)]
    assert left["wars_shots"].column("war_id").to_pylist() == [1, 1]
    assert why == {
        1: "it fails the check that level is between 1 and 100",
        2: "it fails the check that user is at least 0",
    }


numbers = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1))


@given(st.lists(numbers, max_size=30), st.integers(-10, 10), st.integers(-10, 10))
def test_a_range_agrees_with_python(values, least, most):
    found = rule_result(Rule("", ("level",), least, most), *({"level": v} for v in values))

    assert found.result.failed == sum(v is not None and not least <= v <= most for v in values)


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["a", "b", None])), max_size=20))
def test_uniqueness_agrees_with_python(pairs):
    rule = Rule("", ("level", "name"), unique=True)
    found = rule_result(rule, *({"level": n, "name": t} for n, t in pairs))

    whole = [pair for pair in pairs if None not in pair]
    assert found.result.failed == len(whole) - len(set(whole))
