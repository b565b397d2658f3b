"""The page of questions is that of the pack."""

from __future__ import annotations

import re
from pathlib import Path

from questions import written
from tcdatalogger.questions import lint, question

PAGE = (Path(__file__).parents[2] / "docs/questions.md").read_text(encoding="utf-8")


def test_the_page_has_every_question_as_it_is():
    assert written(PAGE) == PAGE


def test_the_question_that_the_page_shows_is_one_and_has_an_answer(known):
    (shown,) = (text for text in re.findall(r"(?ms)^```sql\n(.*?)^```", PAGE) if "/*" in text)

    assert lint.problems(question.read(shown, "mine", "mine.sql")) == []
    assert [row["member"] for row in known.ask_text(shown, least="7").rows.to_pylist()] == [
        "Ada",
        "Bobby",
    ]
