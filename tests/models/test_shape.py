"""Merging shapes, and writing them down."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcdatalogger.models import notation
from tcdatalogger.models.shape import (
    Field,
    Json,
    Kind,
    List,
    Object,
    Scalar,
    as_nullable,
    merge,
    merge_all,
    walk,
)

NAMES = st.sampled_from(["id", "name", "a", "b", "fooBar", "x y", "é", "_key", ""])
ENDS = st.sampled_from(["", "2027-01-01"])


def scalar(kind, nullable, values, *, is_open):
    return Scalar(kind, nullable, values, open=is_open and bool(values))


SCALARS = st.one_of(
    st.builds(Scalar, st.sampled_from(Kind), st.booleans()),
    st.builds(
        scalar,
        st.just(Kind.TEXT),
        st.booleans(),
        st.lists(st.sampled_from("abc"), unique=True).map(tuple),
        is_open=st.booleans(),
    ),
)


def field(name, shape, *, required, goes, ends, learned):
    return Field(name, shape, required, goes, ends if goes else "", learned)


def inside(shapes):
    options = st.lists(shapes, max_size=3).map(
        lambda found: tuple(dict.fromkeys(plain(s) for s in found if not isinstance(s, Json)))
    )
    fields = st.builds(
        field, NAMES, shapes,
        required=st.booleans(), goes=st.booleans(), ends=ENDS, learned=st.booleans(),
    )  # fmt: skip
    members = st.lists(fields, max_size=4, unique_by=lambda found: found.name).map(tuple)
    return st.one_of(
        st.builds(Object, members, st.booleans()),
        st.builds(List, shapes, st.booleans()),
        st.builds(Json, st.booleans(), options),
    )


def plain(shape):
    return replace(shape, nullable=False)


SHAPES = st.recursive(SCALARS, inside, max_leaves=8)


def in_any_order(shape):
    """The shape without the order of its fields, values and options."""
    match shape:
        case Object(fields=fields, nullable=nullable):
            return "object", nullable, frozenset((f.name, field_facts(f)) for f in fields)
        case List(element=element, nullable=nullable):
            return "list", nullable, in_any_order(element)
        case Json(nullable=nullable, options=options):
            return "json", nullable, frozenset(map(in_any_order, options))
    return shape.kind, shape.nullable, frozenset(shape.values), shape.open


def field_facts(field):
    return in_any_order(field.shape), field.required, field.deprecated, field.ends, field.learned


def takes(shape, value):
    """Whether a value fits; an oracle that knows nothing of merging."""
    if value is None:
        return shape.nullable
    match shape:
        case Json():
            return True
        case Object(fields=fields):
            return isinstance(value, dict) and all(
                takes(f.shape, value[f.name]) if f.name in value else not f.required for f in fields
            )
        case List(element=element):
            return isinstance(value, list) and all(takes(element, inner) for inner in value)
        case Scalar(kind=Kind.BOOL):
            return isinstance(value, bool)
        case Scalar(kind=Kind.TEXT):
            return isinstance(value, str)
        case Scalar(kind=Kind.FLOAT):
            return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, int) and not isinstance(value, bool)


def sample(shape, rng):
    """A value that fits."""
    if shape.nullable and rng.random() < 0.2:
        return None
    match shape:
        case Object(fields=fields):
            there = (f for f in fields if f.required or rng.random() < 0.5)
            return {f.name: sample(f.shape, rng) for f in there}
        case List(element=element):
            return [sample(element, rng) for _ in range(rng.randrange(3))]
        case Json():
            return rng.choice([1, "a", [1], {"a": None}, True])
        case Scalar(kind=kind):
            return {Kind.BOOL: True, Kind.TEXT: "z", Kind.FLOAT: 0.5}.get(kind, 7)


@given(SHAPES, SHAPES)
def test_merging_goes_both_ways_alike(left, right):
    assert in_any_order(merge(left, right)) == in_any_order(merge(right, left))


@given(SHAPES)
def test_merging_a_shape_with_itself_changes_nothing(shape):
    assert merge(shape, shape) == shape


@given(SHAPES, SHAPES, st.randoms(use_true_random=False))
def test_what_fits_one_of_two_shapes_fits_both_merged(left, right, rng):
    merged = merge(left, right)
    for shape in (left, right):
        value = sample(shape, rng)
        assert takes(shape, value)
        assert takes(merged, value)


@given(SHAPES, SHAPES)
def test_merging_again_adds_nothing(left, right):
    merged = merge(left, right)
    assert in_any_order(merge(merged, left)) == in_any_order(merged)


@pytest.mark.parametrize(
    ("left", "right", "merged"),
    [
        (Scalar(Kind.INT), Scalar(Kind.FLOAT), Scalar(Kind.FLOAT)),
        (Scalar(Kind.INT), Scalar(Kind.TIME), Scalar(Kind.INT)),
        (Scalar(Kind.TIME), Scalar(Kind.FLOAT), Scalar(Kind.FLOAT)),
        (Scalar(Kind.INT), Scalar(Kind.INT, nullable=True), Scalar(Kind.INT, nullable=True)),
        (
            Scalar(Kind.TEXT, values=("a",)),
            Scalar(Kind.TEXT, values=("b",)),
            Scalar(Kind.TEXT, values=("a", "b")),
        ),
        (
            Scalar(Kind.TEXT, values=("a",)),
            Scalar(Kind.TEXT),
            Scalar(Kind.TEXT, values=("a",), open=True),
        ),
        (
            Scalar(Kind.INT),
            Scalar(Kind.TEXT, nullable=True),
            Json(nullable=True, options=(Scalar(Kind.INT), Scalar(Kind.TEXT))),
        ),
        (
            Object(()),
            List(Scalar(Kind.INT)),
            Json(options=(Object(()), List(Scalar(Kind.INT)))),
        ),
        (
            Object((Field("a", Scalar(Kind.INT)),)),
            Object((Field("b", Scalar(Kind.INT)), Field("a", Scalar(Kind.INT)))),
            Object((Field("a", Scalar(Kind.INT)), Field("b", Scalar(Kind.INT), required=False))),
        ),
    ],
)
def test_merging_by_example(left, right, merged):
    assert merge(left, right) == merged
    assert merge_all([left, right]) == merged


def test_there_is_nothing_to_merge_in_nothing():
    with pytest.raises(ValueError, match="nothing to merge"):
        merge_all([])


def test_walking_names_every_place():
    shape = Object((Field("a", List(Object((Field("b", Scalar(Kind.INT)),)))),))
    assert [path for path, _ in walk(shape)] == [
        (),
        ("a",),
        ("a", "[]"),
        ("a", "[]", "b"),
    ]


@given(SHAPES)
def test_a_shape_is_read_as_it_was_written(shape):
    written = json.loads(json.dumps(notation.write(shape, {})))
    assert notation.read(written, {}, {}) == shape


@given(SHAPES, st.booleans())
def test_a_named_shape_is_read_as_it_was_written(shape, nullable):
    inner = plain(shape)
    outer = Object((Field("one", as_nullable(inner) if nullable else inner), Field("two", inner)))
    names = {inner: "Name"}
    written = notation.write(outer, names)
    assert "#Name" in json.dumps(written)
    named = {"Name": notation.write_whole(inner, names)}
    assert notation.read(written, named, {}) == outer
