"""Answers about a city that was logged, beside what the city's own books say."""

from __future__ import annotations

from collections import Counter

import pytest

from tcdatalogger.questions import question

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", question.shipped())
def test_a_question_has_an_answer_from_a_city_that_was_logged(logged, name):
    lacks = [lack for lack in logged.relations.lacks(question.shipped()[name]) if lack.blocks]

    assert lacks == []
    assert logged.ask(name).rows.num_rows > 0


def crimes_of(city):
    """All crimes of the faction as the city itself lists them."""
    return city.expected("crimes", key="full")


def test_participation_counts_each_crime_of_each_member(logged):
    now, window = logged.city.now(), 30 * 86_400
    expected = Counter()
    for crime in crimes_of(logged.city):
        if crime["executed_at"] and now - window <= crime["executed_at"] < now:
            for user in {slot["user"]["id"] for slot in crime["slots"] if slot["user"]}:
                expected[user] += 1

    rows = logged.ask("oc-participation").rows.to_pylist()
    found = {row["member_id"]: row["crimes_30_days"] for row in rows}
    assert sum(found.values()) > 0
    assert found == {member: expected[member] for member in found}
