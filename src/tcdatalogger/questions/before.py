"""The answer to a question about the days before, where it can be compared with the one of now.

What was not wholly logged is no answer here: beside a past of which half is missing everything
would seem to grow.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from tcdatalogger.models.schema import SYSTEM
from tcdatalogger.questions.answers import Answer, Basis, days_of, looked_up, plain, whole_values
from tcdatalogger.questions.compiled import compiled, literal
from tcdatalogger.questions.question import MOST_DAYS, Question, Value
from tcdatalogger.questions.relations import Relations, Source
from tcdatalogger.services.warehouse.protocol import Warehouse

_SEEN = SYSTEM[0]
_NEAR: Final = timedelta(days=1)
"""How much older than the moment a picture may be that stands for it."""


def period(
    warehouse: Warehouse, relations: Relations, question: Question, values: Mapping[str, Value]
) -> Answer | None:
    """The answer about as many days before those that an answer is about, as it is known now.

    Args:
        warehouse: to read.
        relations: of the installation.
        question: it counts what happened from `$since` to `$until`.
        values: of its parameters (`given`).

    Returns:
        None where nothing is known of the time before these days: what is logged may begin in them.
    """
    about = _about(warehouse, relations, question, values)
    if about is None or about.until is None:
        return None
    end = about.until - timedelta(days=days_of(values))
    begin = end - timedelta(days=days_of(values))
    earlier = {**values, "days": MOST_DAYS}
    known = _answer(warehouse, question, about, earlier, begin, about.until).rows
    if known is None or not known.num_rows:
        return None
    return _answer(warehouse, question, about, values, end, about.until)


def picture(
    warehouse: Warehouse,
    relations: Relations,
    question: Question,
    values: Mapping[str, Value],
    path: str,
) -> Answer | None:
    """The answer as of the start of the days that an answer is about.

    Args:
        warehouse: to read.
        relations: of the installation.
        question: it is about the newest picture.
        values: of its parameters (`given`).
        path: the pictures that it is about.

    Returns:
        None where the tables keep no pictures, or have none of that day.
    """
    about = _about(warehouse, relations, question, values)
    if about is None or about.until is None:
        return None
    then = about.until - timedelta(days=days_of(values))
    [root] = [r for r in about.relations.values() if r.path == path and r.name == r.root]
    subject = about.whose.get(root.kind)
    for source in root.sources:
        if source.stored and not _is_there(warehouse, source, root.whose, subject, then):
            return None
    return _answer(warehouse, question, about, values, then, then)


def _about(
    warehouse: Warehouse, relations: Relations, question: Question, values: Mapping[str, Value]
) -> Basis | None:
    if relations.is_blocked(question):
        return None
    return looked_up(warehouse, relations, question, values)


def _answer(
    warehouse: Warehouse,
    question: Question,
    about: Basis,
    values: Mapping[str, Value],
    until: datetime,
    known: datetime,
) -> Answer:
    whole = whole_values(about, values, until)
    sql = compiled(question, about.relations, whole, warehouse.dialect, known)
    return Answer(question, plain(warehouse.query(sql)), whole, sql)


def _is_there(
    warehouse: Warehouse, source: Source, whose: str, subject: int | None, then: datetime
) -> bool:
    """Whether a table says what was so at a moment."""
    if source.mode not in {"append", "history"}:
        return False
    name = warehouse.dialect.name
    seen = name(source.columns[_SEEN if source.mode == "append" else "valid_from"])
    mine = "true" if subject is None else f"{name(source.columns[whose])} = {subject}"
    [row] = warehouse.query(
        f"select max({seen}) as seen from {name(source.table)} "
        f"where {seen} <= {literal(then)} and {mine}"
    ).to_pylist()
    if row["seen"] is None:
        return False
    # A version is true until the next one, a picture only when it was taken.
    return source.mode == "history" or then - row["seen"] <= _NEAR
