"""Two families of one endpoint side by side."""

import pytest

from tcdatalogger.models import notation
from tcdatalogger.models.comparison import compare
from tcdatalogger.models.schema import family

BEFORE = {"id": "int", "name": "text", "slots": {"list": {"object": {"id": "int"}}}}


def tables(fields, key=()):
    shape = notation.read({"object": {"crimes": {"list": {"object": fields}}}}, {}, {})
    return family(shape, "crimes", key=key)


def differences(after, before=BEFORE):
    found = compare(tables(before), tables(after))
    return [(d.kind, d.table, d.column, d.before, d.after) for d in found]


def without(name):
    return {mark: shape for mark, shape in BEFORE.items() if mark != name}


@pytest.mark.parametrize(
    ("after", "found"),
    [
        (BEFORE, []),
        (
            {**BEFORE, "level": "int"},
            [
                ("column added", "crimes", "level", "", "int"),
                ("column added", "crimes_slots", "level", "", "int"),
            ],
        ),
        (
            without("name"),
            [
                ("column removed", "crimes", "name", "text", ""),
                ("column removed", "crimes_slots", "name", "text", ""),
            ],
        ),
        (
            {**BEFORE, "slots": {"list": {"object": {"id": "text"}}}},
            [("type changed", "crimes_slots", "slot_id", "int", "text")],
        ),
        (
            {**BEFORE, "slots": {"list": {"object": {"id": "int?"}}}},
            [("null changed", "crimes_slots", "slot_id", "never null", "may be null")],
        ),
        (without("slots"), [("table removed", "crimes_slots", "", "7 columns", "")]),
        (
            {**BEFORE, "tags": {"list": "text"}},
            [("table added", "crimes_tags", "", "", "7 columns")],
        ),
        (
            {**BEFORE, "slots": {"list": {"object": {"id!2027-01-01": "int"}}}},
            [("deprecated", "crimes_slots", "slot_id", "", "2027-01-01")],
        ),
    ],
    ids=lambda value: value[0][0] if isinstance(value, list) and value else None,
)
def test_what_changed_is_told_table_by_table(after, found):
    assert differences(after) == found


def test_a_column_that_was_to_go_already_is_not_told_again_unless_its_day_changed():
    going = {**without("name"), "name!2027-01-01": "text"}
    later = {**without("name"), "name!2028-01-01": "text"}

    assert differences(going, going) == []
    assert {d[0] for d in differences(later, going)} == {"deprecated"}


def test_another_key_is_told():
    found = list(compare(tables(BEFORE), tables(BEFORE, key=("name",))))

    assert [(d.kind, d.table, d.before, d.after) for d in found] == [
        ("key changed", "crimes", "id", "name"),
        ("key changed", "crimes_slots", "crime_id, _index", "name, _index"),
    ]


def test_the_way_back_tells_the_opposite():
    after = {**without("name"), "level": "int"}

    there, back = differences(after), differences(BEFORE, after)

    opposite = {"column added": "column removed", "column removed": "column added"}
    assert sorted((opposite[k], t, c, b, a) for k, t, c, a, b in there) == sorted(back)
