"""Compiles a question into SQL for one installation and one moment.

Each relation that the text names becomes a part `NAME_STATE as (…)` before the parts of the text,
and each parameter a literal. DuckDB and BigQuery run the same text but for the name of one function
(`spellings`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from tcdatalogger.errors import ConfigError
from tcdatalogger.models.schema import SYSTEM, Type
from tcdatalogger.questions import facts
from tcdatalogger.questions.question import Question, Value
from tcdatalogger.questions.relations import STATES, Relation, Source
from tcdatalogger.questions.sql_text import meaningful, tokens
from tcdatalogger.services.warehouse.dialect import Dialect
from tcdatalogger.text import did_you_mean

_SEEN, _SUBJECT, _RUN = SYSTEM

_NULLS: Final = {
    Type.INT: "cast(null as int64)",
    Type.FLOAT: "cast(null as int64) * 1e0",  # DuckDB has no float64, and BigQuery no double
    Type.TEXT: "cast(null as string)",
    Type.BOOL: "cast(null as bool)",
    Type.TIME: "cast(null as timestamp)",
    Type.JSON: "cast(null as json)",
}
"""A null of each type, as both engines write it."""


@dataclass(frozen=True, slots=True)
class Named:
    """A relation in a state, as a text names it."""

    relation: str
    state: str

    @property
    def part(self) -> str:
        """The name of its part of the SQL."""
        return f"{self.relation}_{self.state}"


def named(question: Question, relations: Mapping[str, Relation]) -> tuple[Named, ...]:
    """What the text of a question names, each once, in its order.

    Raises:
        ConfigError: a name is not written as `{faction_members:now}`, there are no such facts, or
            the question does not need the path of such a relation.
    """
    found: dict[Named, None] = {}
    for token in tokens(question.sql):
        if token.kind != "relation":
            continue
        each = _named(question, token.text, token.line)
        if each.state == "fact":
            facts.read(each.relation)
        elif each.relation not in relations:
            raise ConfigError(
                f"{question.place} names {token.text}, which it does not need.",
                remedy=did_you_mean(
                    each.relation, relations, "Name the path of its rows under [needs]."
                ),
            )
        found[each] = None
    return tuple(found)


def _named(question: Question, text: str, line: int) -> Named:
    relation, _, state = text.strip("{}").partition(":")
    if state not in STATES:
        raise ConfigError(
            f"{question.place}, line {question.line + line - 1}: {text} names no state.",
            remedy=f"As: {{{relation or 'faction_members'}:now}}; the states are "
            f"{', '.join(STATES)}.",
        )
    return Named(relation, state)


def compiled(
    question: Question,
    relations: Mapping[str, Relation],
    values: Mapping[str, Value],
    dialect: Dialect,
    known: datetime | None = None,
) -> str:
    """The SQL of a question.

    Args:
        question: the question.
        relations: of what it needs, by name.
        values: of its parameters, `since` and `until` among them; of a subject that is among them
            it has the rows alone.
        dialect: of the warehouse.
        known: the moment at which what is answered was known; None for `until`.

    Raises:
        ConfigError: the text names a relation that the question does not need, or a parameter that
            it does not have.
    """
    words = {token.word for token in meaningful(question.sql)} - {""}
    at = {**values, "until": known or values["until"]}
    parts: dict[str, str] = {}
    for each in named(question, relations):
        for name, text in _parts(each, relations, words, at, dialect):
            parts.setdefault(name, text)
    body = "".join(_replaced(question, values, dialect)).strip()
    if not parts:
        return f"{body}\n"
    opening = ",\n".join(f"{name} as (\n{text}\n)" for name, text in parts.items())
    head, _, rest = body.partition(" ") if body[:5].lower() == "with " else ("", "", "")
    return f"with {opening},\n{rest}\n" if head else f"with {opening}\n{body}\n"


def _replaced(question: Question, values: Mapping[str, Value], dialect: Dialect) -> Iterator[str]:
    """The pieces of the text with names, parameters and functions in their place.

    A column after a dot is quoted: it may be called as a word of SQL, like `end`.
    """
    listed = list(tokens(question.sql))
    for before, token, after in zip([None, *listed[:-1]], listed, [*listed[1:], None], strict=True):
        if token.kind == "relation":
            yield _named(question, token.text, token.line).part
        elif token.kind == "parameter":
            name = token.text[1:]
            if name not in values:
                raise ConfigError(
                    f"{question.place}, line {question.line + token.line - 1}: there is no "
                    f"parameter {token.text}.",
                    remedy=did_you_mean(name, values, "The header names them under [params]."),
                )
            yield literal(values[name])
        elif after is not None and after.text == "(" and token.word in dialect.spellings:
            yield dialect.spellings[token.word]
        elif token.kind == "word" and before is not None and before.text == ".":
            yield dialect.name(token.text)
        else:
            yield token.text


def literal(value: Value) -> str:
    """A value in SQL, as both engines read it."""
    match value:
        case None:
            return "cast(null as int64)"
        case datetime():
            return f"timestamp '{value.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00'"
        case str():
            return "'" + value.replace("'", "") + "'"  # a choice; it holds no such sign
        case float():
            return f"{value!r}e0" if "e" not in repr(value) else repr(value)
        case _:
            return str(value)


def _parts(
    each: Named,
    relations: Mapping[str, Relation],
    words: set[str],
    values: Mapping[str, Value],
    dialect: Dialect,
) -> Iterator[tuple[str, str]]:
    """The parts of one name: that of its root first, where it hangs on it."""
    if each.state == "fact":
        yield each.part, facts.sql(each.relation)
        return
    relation = relations[each.relation]
    if relation.name != relation.root and each.state != "all":
        root = Named(relation.root, each.state)
        yield root.part, _union(relations[root.relation], root, words, values, dialect)
    yield each.part, _union(relation, each, words, values, dialect)


def _union(
    relation: Relation,
    each: Named,
    words: set[str],
    values: Mapping[str, Value],
    dialect: Dialect,
) -> str:
    """The rows of a relation in a state, from all tables that have some."""
    used = {*SYSTEM}
    for source in relation.sources:
        used |= {*source.key, *source.of_root, *source.root_key}
    own = {name for source in relation.sources for name in source.params}
    columns = [
        name
        for name in [*relation.types, *sorted(own - set(relation.types))]
        if name in used or name.lower() in words
    ]
    stored = [source for source in relation.sources if source.stored]
    once = len(stored) > 1 and each.state != "all"
    at_root = relation.name == relation.root
    texts = [
        _select(source, relation, each, columns, values, dialect, once=once and not at_root)
        for source in stored
    ]
    if once and at_root:
        return _counted_once(stored, each, texts, columns, dialect)
    if not texts:
        nothing = ", ".join(f"{_null(relation, name)} as {dialect.name(name)}" for name in columns)
        return f"    select {nothing}\n    from (select 1 as one) as nothing\n    where false"
    return "\n    union all\n".join(texts)


def _counted_once(
    sources: Sequence[Source],
    each: Named,
    texts: Sequence[str],
    columns: Sequence[str],
    dialect: Dialect,
) -> str:
    """The rows of several tables, of which each record counts once: two may have one faction.

    Of tables with a picture of the same content, that with the newest row of a subject has its rows
    alone: who has left is in no other either. Of records with a key the newest row counts.
    """
    key = sources[0].key if all(source.key == sources[0].key for source in sources) else ()
    whole = all(each.state == "now" and source.picture for source in sources) or not key
    contents = list(dict.fromkeys(tuple(sorted(source.params.items())) for source in sources))
    numbered = []
    for number, (source, text) in enumerate(zip(sources, texts, strict=True)):
        content = contents.index(tuple(sorted(source.params.items())))
        numbered.append(
            text.replace("    select ", f"    select {number} as _table, {content} as _same, ", 1)
        )
    subject = f"coalesce({_SUBJECT}, 0)"
    newest = f"{_SEEN} desc, {_RUN} desc, _table"
    rows = "(\n" + "\n    union all\n".join(numbered) + "\n    ) as several"
    if whole:
        rows = (
            "(\n    select *, first_value(_table) over (\n"
            f"        partition by {subject}, _same order by {newest}) as _chosen\n"
            f"    from {rows}\n    ) as counted"
        )
    lines = [
        f"    select {dialect.names(*columns)}",
        f"    from {rows}",
        f"    where {'_chosen = _table' if whole else 'true'}",
    ]
    if key:
        by = ", ".join([subject, *map(dialect.name, key)])
        lines.append(f"    qualify row_number() over (partition by {by} order by {newest}) = 1")
    return "\n".join(lines)


def _null(relation: Relation, name: str) -> str:
    return _NULLS[relation.types.get(name, Type.TEXT)]


def _select(
    source: Source,
    relation: Relation,
    each: Named,
    columns: Sequence[str],
    values: Mapping[str, Value],
    dialect: Dialect,
    *,
    once: bool,
) -> str:
    """The rows of one table in a state; with `once` those of the rows of its root that count."""
    quoted = {name: f"t.{dialect.name(column)}" for name, column in source.columns.items()}

    def value(name: str) -> str:
        if name in quoted:
            return quoted[name]
        if name in source.params:
            return literal(source.params[name])
        return _null(relation, name)

    listed = ", ".join(
        text if text == f"t.{dialect.name(name)}" else f"{text} as {dialect.name(name)}"
        for name, text in ((name, value(name)) for name in columns)
    )
    where = _where(source, each, literal(values["until"]), value)
    subject = values.get(relation.kind)
    if isinstance(subject, int):
        mine = f"{value(relation.whose)} = {literal(subject)}"
        where = mine if where == "true" else f"{where} and {mine}"
    lines = [f"    select {listed}", f"    from {dialect.name(source.table)} as t"]
    if once or _hangs_on_root(source, each):
        lines.append(_of_its_root(source, relation, each, value, once=once))
    elif _is_picture(source, each):
        lines.append(_newest_picture(source, where, value, dialect))
    lines.append(f"    where {where}")
    newest = _newest_row(source, each, value)
    lines += [f"    qualify {newest}"] * bool(newest)
    return "\n".join(lines)


def _hangs_on_root(source: Source, each: Named) -> bool:
    """Whether the rows of a child are those of the rows of its root that count."""
    kept = {"append": ("now", "last"), "history": ("last",), "merge": ("now",) * source.picture}
    return source.table != source.root and each.state in kept.get(source.mode, ())


def _where(source: Source, each: Named, moment: str, value: Callable[[str], str]) -> str:
    """Which rows there were at the moment."""
    if source.mode == "append":
        return f"{value(_SEEN)} <= {moment}"
    if source.mode != "history":
        return "true"  # there are no others
    begun, ended = value("valid_from"), value("valid_to")
    if each.state == "now":
        return f"{begun} <= {moment} and ({ended} is null or {ended} > {moment})"
    return f"{begun} <= {moment}"


def _is_picture(source: Source, each: Named) -> bool:
    """Whether the rows are those of the newest run of each subject.

    `merge` keeps whoever has left, with the run that saw him last.
    """
    if each.state == "all" or source.table != source.root:
        return False
    whole = each.state == "now" and source.picture
    return (
        whole if source.mode == "merge" else source.mode == "append" and (whole or not source.key)
    )


def _newest_picture(
    source: Source, there: str, value: Callable[[str], str], dialect: Dialect
) -> str:
    """The join with the newest run of each subject, and of each content that is asked for.

    Runs are grouped and not rows: of five million rows that took 0.09 s, a window over all of them
    2.5 s.
    """
    told = [name for name in source.params if name in source.columns]
    parts = [f"{value(name)} as {dialect.name(name)}" for name in (_SUBJECT, *told, _RUN)]
    same = [f"coalesce(r.{_SUBJECT}, 0) = coalesce({value(_SUBJECT)}, 0)"]
    same += [f"coalesce(r.{name}, '') = coalesce({value(name)}, '')" for name in told]
    numbers = ", ".join(str(number) for number in range(1, len(parts) + 1))
    by = ", ".join((_SUBJECT, *told))
    return (
        "    join (\n"
        f"        select {by}, {_RUN}\n"
        f"        from (\n"
        f"            select {', '.join(parts)}, max({value(_SEEN)}) as seen\n"
        f"            from {dialect.name(source.table)} as t\n"
        f"            where {there}\n"
        f"            group by {numbers}\n"
        "        ) as run\n"
        "        where true\n"
        "        qualify row_number() over (\n"
        f"            partition by {by} order by seen desc, {_RUN} desc) = 1\n"
        f"    ) as r on r.{_RUN} = {value(_RUN)}\n        and {' and '.join(same)}"
    )


def _newest_row(source: Source, each: Named, value: Callable[[str], str]) -> str:
    """Which of the rows of a record counts; "" where all do."""
    if each.state == "all" or source.table != source.root or not source.key:
        return ""
    of_records = source.mode == "append" or (source.mode, each.state) == ("history", "last")
    if not of_records or _is_picture(source, each):
        return ""
    by = ", ".join(map(value, (_SUBJECT, *source.key)))
    newest = value(_SEEN) if source.mode == "append" else value("valid_from")
    return (
        "row_number() over (\n"
        f"        partition by {by} order by {newest} desc, {value(_RUN)} desc) = 1"
    )


def _of_its_root(
    source: Source, relation: Relation, each: Named, value: Callable[[str], str], *, once: bool
) -> str:
    """The join of a child table with the rows of its root that count: those of the same run.

    With `once`, other rows of that run may not count, as another table has newer ones.
    """
    whole = source.picture and each.state == "now" and not once
    keys = () if whole else tuple(zip(source.root_key, source.of_root, strict=True))
    names = [_RUN, _SUBJECT, *(name for name, _ in keys)]
    on = [
        f"r.{_RUN} = {value(_RUN)}",
        f"coalesce(r.{_SUBJECT}, 0) = coalesce({value(_SUBJECT)}, 0)",  # nobody's rows have null
        *(f"r.{name} = {value(own)}" for name, own in keys),
    ]
    told = f"select distinct {', '.join(names)} from {relation.root}_{each.state}"
    return f"    join ({told}) as r\n        on {' and '.join(on)}"
