"""Answers about a city that was logged, beside what the city's own books say."""

from __future__ import annotations

import pytest

from tcdatalogger.questions import question

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", question.shipped())
def test_a_question_has_an_answer_from_a_city_that_was_logged(logged, name):
    lacks = [lack for lack in logged.relations.lacks(question.shipped()[name]) if lack.blocks]

    assert lacks == []
    assert logged.ask(name).rows.num_rows > 0
