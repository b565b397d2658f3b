"""An outline tells what came, and nothing of whom or what it came about."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcdatalogger.models import notation
from tcdatalogger.models.reading.outline import (
    Difference,
    Vocabulary,
    differences,
    names_of,
    of_columns,
    outline,
    together,
    unlisted,
)
from tcdatalogger.models.shape import Shape, walk

KNOWN = {
    "members": {
        "list": {
            "object": {
                "id": "int",
                "name": "text",
                "days?": "int",
                "share": "float",
                "joined": "time",
                "status": {"object": {"state": {"text": ["Okay", "Hospital"]}, "until": "int?"}},
                "extra": "json",
            }
        }
    }
}
CATALOG = notation.read({"object": KNOWN}, {}, {})
WORDS = Vocabulary([*names_of([CATALOG]), "payout_rate", "chainId"])


def member(**more):
    status = {"state": "Okay", "until": None}
    return {
        "id": 1, "name": "Duke", "share": 1.5, "joined": 5, "status": status, "extra": 1, **more
    }  # fmt: skip


def seen(*bodies, expected: Shape = CATALOG):
    shapes = [outline(json.dumps(body).encode(), expected, WORDS) for body in bodies]
    found = shapes[0]
    for shape in shapes[1:]:
        found = together(found, shape, expected, WORDS)
    return found


def told(*bodies):
    return {
        (each.kind, each.place): (each.expected, each.came)
        for each in differences(seen(*bodies), CATALOG)
    }


def test_what_the_catalogue_says_is_no_difference():
    assert told({"members": [member(), member(days=3)]}) == {}
    assert told({"members": []}) == {}


def test_each_kind_of_difference_is_told_with_its_place():
    odd = member(id="7", days=None, rate=3, share=2)
    del odd["joined"]
    odd["status"] = {"state": 5, "until": 1.5}
    assert told({"members": [odd, member()]}) == {
        ("type", "members[].id"): ("int", "text or int"),
        ("null", "members[].days"): ("int", "null"),
        ("unknown field", "members[].rate"): ("", "int"),
        ("missing field", "members[].joined"): ("time", "sometimes"),
        ("type", "members[].status.state"): ("text", "int or text"),
        ("type", "members[].status.until"): ("int", "float"),
    }


def test_another_shape_altogether_is_told_at_its_place():
    assert told({"members": {"1": member(), "2": member()}}) == {
        ("type", "members"): ("list", "object")
    }
    assert told({"error": {"code": 5}}) == {
        ("unknown field", "*"): ("", "object"),
        ("missing field", "members"): ("list", "never"),
    }


def test_a_text_that_is_not_listed_is_told_without_the_text():
    body = {"members": [member(status={"state": "Lost at sea", "until": 1})]}
    assert list(unlisted(json.dumps(body).encode(), CATALOG)) == [
        Difference("value", "members[].status.state", "a listed value", "another value")
    ]
    assert list(unlisted(json.dumps({"members": [member()]}).encode(), CATALOG)) == []


def test_names_are_kept_if_torn_has_them_and_a_map_loses_its_names():
    extra = {"payout": 1, "rate": {"Duke": {"id": 1}, "150001": {"id": 2}}}
    shape = seen({"members": [member(extra=extra)]})
    (found,) = [inner for path, inner in walk(shape) if path[-1:] == ("extra",)]
    rates = {"object": {"*?": {"object": {"id": "int"}}}}
    assert notation.write(found, {}) == {"object": {"payout": "int", "rate": rates}}


def test_a_name_of_a_map_is_hidden_though_it_is_one_of_torns_words():
    first, second = {"members": [member(extra={"name": 1})]}, {"members": [member(extra={"X": 2})]}
    for bodies in ((first, second), (second, first)):
        shape = notation.write(seen(*bodies), {})
        assert json.dumps(shape).count('"name') == 1


def test_columns_of_csv_are_compared_too():
    table = notation.read({"list": {"object": {"id": "int", "name": "text"}}}, {}, {})
    shape = of_columns(["id", "status", "Duke Nukem"], table, WORDS)
    assert notation.write(shape, {}) == {"list": {"object": {"id": "text", "*?": "text"}}}


@pytest.mark.parametrize("body", [b"<html>", b"", b"\xff", b"[" * 10**5])
def test_what_is_no_json_is_refused(body):
    with pytest.raises(ValueError, match=r"."):
        outline(body, CATALOG, WORDS)


# --- nothing of a body is in its outline ---------------------------------------------------------

FIELDS = [*dict.fromkeys(names_of([CATALOG])), "payout", "rate", "payout_id"]
SECRET = re.compile(r"q[a-z]+q|9\d{5,}")
NAMES = st.text("abc", min_size=3, max_size=5).map(lambda text: f"q{text}q")
IDS = st.integers(900_000, 999_999_999)
SCALARS = st.none() | st.booleans() | NAMES | IDS | IDS.map(lambda n: n + 0.25)


def objects(inner):
    return st.dictionaries(st.sampled_from(FIELDS), inner, max_size=3) | st.dictionaries(
        NAMES | IDS.map(str) | st.sampled_from(FIELDS), inner, max_size=3
    )


VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | objects(inner), max_leaves=8
)
BODIES = objects(VALUES) | VALUES.map(lambda value: {"members": value}) | VALUES


@given(BODIES)
def test_no_value_name_or_id_of_a_body_is_in_its_outline(body):
    raw = json.dumps(body).encode()
    shape = outline(raw, CATALOG, WORDS)
    written = json.dumps(
        [
            notation.write(shape, {}),
            [(d.kind, d.place, d.expected, d.came) for d in differences(shape, CATALOG)],
            [(d.kind, d.place, d.expected, d.came) for d in unlisted(raw, CATALOG)],
        ]
    )
    assert not SECRET.search(written)
    allowed = {*FIELDS, "*"}
    assert {name for path, _ in walk(shape) for name in path} <= {*allowed, "[]"}


@given(BODIES, st.randoms())
def test_other_values_and_other_names_of_maps_make_the_same_outline(body, random):
    swap = {}

    def other(value):
        match value:
            case bool() | None:
                return value
            case str():
                return swap.setdefault(value, f"q{random.randrange(9)}{len(swap)}q")
            case int():
                return value + random.randrange(1, 9)
            case float():
                return value + random.randrange(1, 9)
            case list():
                return [other(each) for each in value]
            case dict():
                return {
                    (name if name in FIELDS else other(name)): other(inner)
                    for name, inner in value.items()
                }

    one = outline(json.dumps(body).encode(), CATALOG, WORDS)
    assert one == outline(json.dumps(other(body)).encode(), CATALOG, WORDS)


@given(st.lists(BODIES, min_size=2, max_size=3), st.randoms())
def test_the_order_of_bodies_changes_no_difference(bodies, random):
    shuffled = list(bodies)
    random.shuffle(shuffled)
    one, two = (
        {(d.kind, d.place, d.expected) for d in differences(seen(*each), CATALOG)}
        for each in (bodies, shuffled)
    )
    assert one == two
