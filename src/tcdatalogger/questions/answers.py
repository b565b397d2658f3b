"""Asks a question of a warehouse: what it means today, its rows, and what they rest on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from tcdatalogger.errors import DataRefused, UsageError
from tcdatalogger.questions import subjects
from tcdatalogger.questions.compiled import compiled, named
from tcdatalogger.questions.question import (
    MOST_DAYS,
    SUBJECTS,
    Parameter,
    Question,
    Value,
    moment,
    subject,
)
from tcdatalogger.questions.relations import Lack, Relation, Relations
from tcdatalogger.questions.subjects import Subject
from tcdatalogger.services.warehouse.protocol import Warehouse
from tcdatalogger.text import did_you_mean

DAYS = Parameter(default=30, min=1, max=MOST_DAYS, says="Days to look back.")


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a question.

    Attributes:
        question: the question.
        rows: the answer; None where nothing is stored yet, or something is not logged.
        values: of all parameters, with `days`, `since` and `until`.
        sql: that was asked, "" where nothing was.
        lacks: what the configuration lacks for it.
        tables: the stored tables that it rests on, and their newest rows.
        runs: the run that stored the newest row of each of these tables.
        subjects: the ids among which somebody can choose whose answer it is, by kind.
        of: whose it is, where there are several.
    """

    question: Question
    rows: pa.Table | None
    values: Mapping[str, Value]
    sql: str = ""
    lacks: tuple[Lack, ...] = ()
    tables: Mapping[str, datetime | None] = field(default_factory=dict)
    runs: Mapping[str, str] = field(default_factory=dict)
    subjects: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    of: tuple[Subject, ...] = ()

    @property
    def run(self) -> str:
        """The run that stored the newest row of all; "" where nothing is stored."""
        times = {
            table: time for table, time in self.tables.items() if time and self.runs.get(table)
        }
        return self.runs[max(times, key=lambda table: times[table])] if times else ""

    @property
    def until(self) -> datetime | None:
        """The moment that it is about; None where nothing is stored."""
        found = self.values.get("until")
        return found if isinstance(found, datetime) else None

    @property
    def names(self) -> list[str]:
        """The columns that people read: the one that names a row is the first, and ids that only
        make links are left out.
        """
        if self.rows is None:
            return []
        hidden = set(self.question.links.values())
        names = [name for name in self.rows.column_names if name not in hidden]
        return sorted(names, key=lambda name: name != self.question.chart.label)

    @property
    def caption(self) -> str:
        """The sentence about it, with the values of its parameters, and of whom it is."""
        told = said(self.question.caption, self.values)
        return f"{told} Of {' and '.join(map(str, self.of))}." if self.of else told


def days_of(values: Mapping[str, Value]) -> int:
    """How many days an answer looks back.

    Args:
        values: of its parameters (`given`).
    """
    return int(str(values["days"]))


def said(text: str, values: Mapping[str, Value]) -> str:
    """A text with the values of parameters in place of `{name}`."""
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", f"{value:,}" if isinstance(value, int) else str(value))
    return text


def given(question: Question, texts: Mapping[str, str]) -> dict[str, Value]:
    """The values of the parameters of a question, as somebody wrote them.

    Args:
        question: the question.
        texts: what was written, by name; what is left out has its default.

    Raises:
        UsageError: the question has no such parameter, or a text is no value of it.
    """
    known = {"days": DAYS, **question.params}
    found: dict[str, Value] = {"days": question.days}
    found |= {name: parameter.default for name, parameter in question.params.items()}
    for name, text in texts.items():
        if name == "until":
            found["until"] = moment(text)
        elif name in SUBJECTS.values():
            found[name] = subject(name, text)
        elif name in known:
            found[name] = known[name].read(name, text)
        else:
            raise UsageError(
                f"The question {question.name} has no parameter {name!r}.",
                remedy=did_you_mean(name, known, f"There are: {', '.join([*known, 'until'])}."),
            )
    return found


def ask(
    warehouse: Warehouse,
    relations: Relations,
    question: Question,
    values: Mapping[str, Value] | None = None,
) -> Answer:
    """The answer to a question, as the warehouse knows it.

    Args:
        warehouse: to read.
        relations: of the installation.
        question: the question.
        values: of its parameters (`given`); without `until` it is asked as of the newest row, and
            without a subject, where there are several, about the one that `subjects.usual` names.

    Raises:
        ConfigError: the question is wrong.
        UsageError: the warehouse refuses it.
    """
    values = given(question, {}) if values is None else values
    lacks = relations.lacks(question)
    if any(lack.blocks for lack in lacks):
        return Answer(question, None, values, lacks=lacks)
    about = looked_up(warehouse, relations, question, values)
    if about.until is None:
        return Answer(
            question, None, values, lacks=lacks, tables=about.tables, runs=about.runs,
            subjects=about.subjects,
        )  # fmt: skip
    whole = whole_values(about, values, about.until)
    sql = compiled(question, about.relations, whole, warehouse.dialect)
    rows = plain(warehouse.query(sql))
    of = tuple(
        Subject(kind, each, subjects.names(warehouse, relations, kind).get(each, ""))
        for kind, each in about.whose.items()
    )
    return Answer(question, rows, whole, sql, lacks, about.tables, about.runs, about.subjects, of)


@dataclass(frozen=True, slots=True)
class Basis:
    """What an answer is about.

    Attributes:
        relations: of what the question needs, by name.
        tables: the tables of the roots that it names: the time of the newest row of each.
        runs: the run that stored each of these rows.
        until: the moment; None where nothing is stored.
        whose: whose rows alone, by kind; a kind is left out where all rows count.
        subjects: among whom somebody can choose, by kind.
    """

    relations: Mapping[str, Relation]
    tables: Mapping[str, datetime | None]
    runs: Mapping[str, str]
    until: datetime | None
    whose: Mapping[str, int]
    subjects: Mapping[str, tuple[int, ...]]


def looked_up(
    warehouse: Warehouse, relations: Relations, question: Question, values: Mapping[str, Value]
) -> Basis:
    """What an answer would be about: the moment, and the subject where there are several.

    Args:
        warehouse: to read.
        relations: of the installation.
        question: the question.
        values: of its parameters (`given`).
    """
    there = warehouse.exists()
    found = relations.of(question, warehouse if there else None)
    roots = {found[each.relation].root for each in named(question, found) if each.state != "fact"}
    tables_of = [
        table
        for root in sorted(roots)
        for table in subjects.tables_of(
            found[root], offered=not question.needs[found[root].path].optional
        )
    ]
    stored = subjects.stored(warehouse, tables_of)
    kinds = relations.kinds(question)
    offered = {kind: ids for kind in kinds if (ids := subjects.offered(stored, kind))}
    whose: dict[str, int] = {}
    for kind in kinds:
        chosen = values.get(kind)
        if chosen is None and relations.usual is None:
            subjects.logged(warehouse, relations)
        if chosen is None:
            chosen = (relations.usual or {}).get(kind) or subjects.usual(stored, kind)
        if isinstance(chosen, int):
            whose[kind] = chosen
    mine = [each for each in stored if each.subject == whose.get(each.kind, each.subject)]
    dated = [each for each in mine if not whose or not each.kind or each.kind in whose]
    until = values.get("until") or max(
        (each.newest for each in dated if each.newest is not None), default=None
    )
    if not question.needs and until is None:
        raise DataRefused(f"The question {question.name} needs no path, and names no moment.")
    if question.needs and not any(each.newest for each in mine):
        until = None
    tables: dict[str, datetime | None] = {each.table: None for each in stored}
    runs: dict[str, str] = {}
    for each in mine:
        before = tables[each.table]
        if each.newest is not None and (before is None or each.newest > before):
            tables[each.table] = each.newest
        if each.run:
            runs[each.table] = max(each.run, runs.get(each.table, ""))
    return Basis(
        found, tables, runs, until if isinstance(until, datetime) else None, whose, offered
    )


def whole_values(about: Basis, values: Mapping[str, Value], until: datetime) -> dict[str, Value]:
    """The values of all parameters, of an answer about the days before a moment."""
    own = {name: value for name, value in values.items() if name not in SUBJECTS.values()}
    since = until - timedelta(days=days_of(values))
    return {**own, **about.whose, "until": until, "since": since}


def plain(rows: pa.Table) -> pa.Table:
    """An answer with the types that both engines have: sums of integers are integers again."""
    for at, column in enumerate(rows.schema):
        if pa.types.is_decimal(column.type) and column.type.scale == 0:
            rows = rows.set_column(at, column.name, pc.cast(rows.column(at), pa.int64()))
    return rows.cast(pa.schema([pa.field(each.name, each.type) for each in rows.schema]))


def unknown_names(answer: Answer) -> list[str]:
    """What an answer lacks that the header of its question names."""
    if answer.rows is None:
        return []
    asked, there = answer.question, set(answer.rows.column_names)
    named = {
        "chart": asked.chart.columns,
        "units": tuple(name for name, unit in asked.units.items() if unit != "id"),
        "links": (*asked.links, *asked.links.values()),
    }
    return [
        f"{place} names {name}, which is no column of the answer"
        for place, names in named.items()
        for name in names
        if name not in there
    ]
