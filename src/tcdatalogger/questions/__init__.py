"""Questions about the tables, each with the SQL that answers it: one file `NAME.sql` a question.

The first line of a file is the question, as a comment. The text is one for all warehouses: DuckDB
and BigQuery take it as it stands. `docs/decisions/34-one-sql.md` says in which words it is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Question:
    """A question in words and in SQL.

    Attributes:
        name: the name of its file, without `.sql`.
        asks: the question in words.
        sql: the text of the file.
    """

    name: str
    asks: str
    sql: str


def read() -> Mapping[str, Question]:
    """All questions by name, in the order of the names."""
    texts = [each for each in files(__name__).iterdir() if each.name.endswith(".sql")]
    found = [_question(each.name, each.read_text(encoding="utf-8")) for each in texts]
    return {each.name: each for each in sorted(found, key=lambda each: each.name)}


def _question(file: str, sql: str) -> Question:
    return Question(file.removesuffix(".sql"), sql.partition("\n")[0].removeprefix("-- "), sql)
