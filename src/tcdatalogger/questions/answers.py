"""Asks a question of a warehouse: what it means today, its rows, and what they rest on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from tcdatalogger.errors import DataRefused, UsageError
from tcdatalogger.models.schema import SYSTEM
from tcdatalogger.questions.compiled import compiled, named
from tcdatalogger.questions.question import MOST_DAYS, Parameter, Question, Value, moment
from tcdatalogger.questions.relations import Lack, Relation, Relations
from tcdatalogger.services.warehouse.protocol import Warehouse
from tcdatalogger.text import did_you_mean

_SEEN, _, _RUN = SYSTEM

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
    """

    question: Question
    rows: pa.Table | None
    values: Mapping[str, Value]
    sql: str = ""
    lacks: tuple[Lack, ...] = ()
    tables: Mapping[str, datetime | None] = field(default_factory=dict)
    runs: Mapping[str, str] = field(default_factory=dict)

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
        """The sentence about it, with the values of its parameters."""
        return said(self.question.caption, self.values)


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
        values: of its parameters (`given`); without `until` it is asked as of the newest row.

    Raises:
        ConfigError: the question is wrong.
        UsageError: the warehouse refuses it.
    """
    values = given(question, {}) if values is None else values
    lacks = relations.lacks(question)
    if any(lack.blocks for lack in lacks):
        return Answer(question, None, values, lacks=lacks)
    there = warehouse.exists()
    found = relations.of(question, warehouse if there else None)
    tables, runs = _newest(warehouse, question, found) if there else ({}, {})
    times = [time for time in tables.values() if time is not None]
    if not times and question.needs:
        return Answer(question, None, values, lacks=lacks, tables=tables, runs=runs)
    until = values.get("until") or max(times, default=None)
    if not isinstance(until, datetime):
        raise DataRefused(f"The question {question.name} needs no path, and names no moment.")
    whole = {**values, "until": until, "since": until - timedelta(days=days_of(values))}
    sql = compiled(question, found, whole, warehouse.dialect)
    return Answer(question, plain(warehouse.query(sql)), whole, sql, lacks, tables, runs)


def _newest(
    warehouse: Warehouse, question: Question, found: Mapping[str, Relation]
) -> tuple[Mapping[str, datetime | None], Mapping[str, str]]:
    """The tables of the roots that a question names: the time of the newest row of each, and the
    run that stored it.

    Run ids begin with their time, so the newest run has the greatest id.
    """
    roots = {found[each.relation].root for each in named(question, found) if each.state != "fact"}
    tables = sorted(
        {
            source.table: (source.columns[_SEEN], source.columns[_RUN])
            for root in roots
            for source in found[root].sources
            if source.stored
        }.items()
    )
    if not tables:
        return {}, {}
    name = warehouse.dialect.name
    text = " union all ".join(
        f"select {at} as nth, max({name(seen)}) as newest, max({name(run)}) as run "
        f"from {name(table)}"
        for at, (table, (seen, run)) in enumerate(tables)
    )
    rows = {row["nth"]: row for row in warehouse.query(text).to_pylist()}
    return (
        {table: rows[at]["newest"] for at, (table, _) in enumerate(tables)},
        {table: rows[at]["run"] for at, (table, _) in enumerate(tables) if rows[at]["run"]},
    )


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
        "units": tuple(asked.units),
        "links": (*asked.links, *asked.links.values()),
    }
    return [
        f"{place} names {name}, which is no column of the answer"
        for place, names in named.items()
        for name in names
        if name not in there
    ]
