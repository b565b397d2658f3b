"""A question has the same answer in every storage mode that it allows."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from logged_city import ENDPOINTS, Listed, logged_city

from tcdatalogger.questions import question
from tcdatalogger.questions.sql_text import tokens

pytestmark = pytest.mark.slow

MODES = ("append", "replace", "merge", "history")
LISTED = {
    "faction_members": Listed("/faction/members", 6),
    "faction_crimes": Listed("/faction/crimes", 6, {"since": "P200D"}),
    **{name: ENDPOINTS[name] for name in ("faction_balance", "faction_basic", "torn_items")},
}
"""Paths of which every mode can keep the whole list; the city is younger than 200 days."""
HOURS = 30
"""In the first day a member leaves."""
SAME = {
    "now": MODES,
    "fact": MODES,
    "last": ("append", "merge", "history"),  # replace forgets who has left
    "all": (),  # what a mode keeps of former states is its own matter
}
"""The modes in which a state of a relation has the same rows."""


@pytest.fixture(scope="module")
def cities(tmp_path_factory):
    """The same city, logged for the same hours in each storage mode."""
    found = {}
    for mode in MODES:
        with logged_city(
            tmp_path_factory.mktemp(mode), hours=HOURS, endpoints=LISTED, mode=mode
        ) as logged:
            at = datetime.fromtimestamp(logged.city.now(), UTC)
            found[mode] = logged, f"{at:%Y-%m-%dT%H:%M:%SZ}"
    return found


def states(each):
    named = [token.text for token in tokens(each.sql) if token.kind == "relation"]
    return {name.strip("{}").partition(":")[2] for name in named}


def modes(each):
    """The modes in which a question must have one answer."""
    allowed = set(MODES).intersection(*(need.modes or MODES for need in each.needs.values()))
    return [m for m in MODES if m in allowed and all(m in SAME[s] for s in states(each))]


ASKED = [name for name, each in question.shipped().items() if len(modes(each)) > 1]


@pytest.mark.parametrize("name", ASKED)
def test_a_question_has_one_answer_in_all_modes_that_keep_what_it_looks_at(cities, name):
    each = question.shipped()[name]
    if any(lack.blocks for lack in cities["append"][0].relations.lacks(each)):
        pytest.skip("the city is not logged for it")
    found = {
        mode: cities[mode][0].ask(name, until=cities[mode][1]).rows.to_pylist()
        for mode in modes(each)
    }

    assert found["append"] != []
    assert {mode: rows == found["append"] for mode, rows in found.items()} == dict.fromkeys(
        modes(each), True
    )
