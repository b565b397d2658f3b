"""Refuses SQL that DuckDB and BigQuery take in two ways, or that one of them does not take.

Each rule stands for a difference that was measured: `tests/questions/spellings.toml` has both
spellings, and the answers of both engines.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from tcdatalogger.questions.question import Question
from tcdatalogger.questions.sql_text import Token, meaningful

_CHANGES: Final = frozenset(
    """insert update delete merge create drop alter truncate attach detach copy export import load
    install pragma set reset call execute prepare grant revoke begin commit rollback declare use
    vacuum checkpoint""".split()
)
_REFUSED: Final = {
    "greatest": "of a null it gives a number or null: write case when",
    "least": "of a null it gives a number or null: write case when",
    "concat": "of a null it gives a text or null: write ||",
    "regexp_extract": "it gives the whole match or its group: write first_group(text, pattern)",
    "regexp_replace": "it replaces one match or all: write replace",
    "date_trunc": "its arguments stand the other way round: cast to date",
    "date_diff": "it counts borders or whole units: subtract unix_seconds or unix_date",
    "datediff": "subtract unix_date",
    "timestamp_diff": "DuckDB lacks it: subtract unix_seconds",
    "max_by": "Google's evaluator lacks it: write row_number() over (…) = 1",
    "min_by": "Google's evaluator lacks it: write row_number() over (…) = 1",
    "arg_max": "BigQuery lacks it: write row_number() over (…) = 1",
    "arg_min": "BigQuery lacks it: write row_number() over (…) = 1",
    "any_value": "it gives any value: say which",
    "first": "say which one, by row_number()",
    "last": "say which one, by row_number()",
    "list": "BigQuery lacks it: write string_agg",
    "epoch": "BigQuery lacks it: write unix_seconds",
    "ifnull": "write coalesce",
    "if": "DuckDB lacks it: write case when",
    "countif": "write count(case when … then 1 end)",
    "now": "the moment is $until",
    "random": "an answer is the same each time it is asked for",
    "rand": "an answer is the same each time it is asked for",
    "uuid": "an answer is the same each time it is asked for",
}
"""Functions, and what to write in their place."""
_WORDS: Final = {
    "current_timestamp": "the moment is $until",
    "current_date": "the moment is $until, and its day cast($until as date)",
    "localtimestamp": "the moment is $until",
    "varchar": "the type is string",
    "double": "write x * 1e0",
    "float64": "DuckDB lacks it: write x * 1e0",
    "bigint": "the type is int64",
    "ilike": "write lower(x) like",
    "using": "write on, with _subject_id",
    "dayofweek": "it begins with 0 or 1: write mod(unix_date(d) + 3, 7), 0 for Monday",
    "week": "weeks begin on two days: count days of unix_date",
    "all": "name the columns; union all is known",
}


_SHARED: Final = "name it under shared where its rows are of no subject"


def problems(question: Question) -> list[str]:
    """What is wrong with the text of a question, each with its line."""
    told = _problems(meaningful(question.sql), frozenset(question.shared))
    return [f"line {question.line + token.line - 1}: {says}" for token, says in told]


def _problems(found: Sequence[Token], shared: frozenset[str]) -> Iterator[tuple[Token, str]]:
    if not found or found[0].word not in {"select", "with"}:
        yield (found[0] if found else Token("word", "", 1)), "it begins with select or with"
        return
    yield from _words(found)
    yield from _qualified(found)
    yield from _ordered(found)
    yield from _joined(found, shared)


def _words(found: Sequence[Token]) -> Iterator[tuple[Token, str]]:
    nothing = Token("space", "", 0)
    for before, token, after in zip(
        [nothing, *found[:-1]], found, [*found[1:], nothing], strict=True
    ):
        says = _sign(token, after)
        if not says and token.word and before.text != ".":  # after a dot it is a column
            says = _word(before, token, after)
        if says:
            yield token, says


def _sign(token: Token, after: Token) -> str:
    if token.text == ";":
        return "a question is one query, without ;"
    if token.text == "::":
        return "`::` is DuckDB's: write cast(x as type)"
    if token.kind == "quoted":
        return "names are not quoted: the engines quote in two ways"
    if token.text == "/" and not _never_zero(after):
        return "a division by zero is an error or infinite: write x / nullif(y, 0)"
    return ""


def _word(before: Token, token: Token, after: Token) -> str:
    if token.word in _CHANGES and before.word != "as":
        return f"{token.text} changes something; a question only reads"
    if after.text == "(" and token.word in _REFUSED:
        return f"{token.text}(): {_REFUSED[token.word]}"
    if token.word == "filter" and after.text == "(":
        return "filter (…): write count(case when … then 1 end)"
    if token.word == "r" and after.kind == "text":
        return "r'…' is BigQuery's: write the text without r"
    if token.word in _WORDS and (token.word, before.word) != ("all", "union"):
        return f"{token.text}: {_WORDS[token.word]}"
    return ""


def _never_zero(token: Token) -> bool:
    return token.word == "nullif" or (token.kind == "number" and float(token.text) != 0)


def _qualified(found: Sequence[Token]) -> Iterator[tuple[Token, str]]:
    """Each `qualify` has a `where` in its select: BigQuery wants one."""
    depth, has_where = 0, {0: False}
    for token in found:
        if token.text == "(":
            depth += 1
            has_where[depth] = False
        elif token.text == ")":
            depth -= 1
        elif token.word == "select":
            has_where[depth] = False
        elif token.word == "where":
            has_where[depth] = True
        elif token.word == "qualify" and not has_where[depth]:
            yield token, "qualify needs a where: write where true"


def _ordered(found: Sequence[Token]) -> Iterator[tuple[Token, str]]:
    """The answer has an order, and each ascending key says where nulls are."""
    depth, at = 0, None
    for number, token in enumerate(found):
        depth += (token.text == "(") - (token.text == ")")
        if depth == 0 and token.word == "order":
            at = number
    if at is None:
        yield found[-1], "the answer has no order: end with order by, and a last key that is unique"
        return
    for key in _keys(found[at + 2 :]):
        words = {each.word for each in key}
        if not words & {"desc", "nulls"}:
            yield key[0], f"{key[0].text}: nulls are first or last: write nulls last"


def _keys(found: Sequence[Token]) -> Iterator[list[Token]]:
    """The keys of an order, as far as a limit."""
    depth, key = 0, list[Token]()
    for token in found:
        depth += (token.text == "(") - (token.text == ")")
        if token.word == "limit":
            break
        if token.text == "," and depth == 0:
            yield key
            key = []
        else:
            key.append(token)
    if key:
        yield key


def _joined(found: Sequence[Token], shared: frozenset[str]) -> Iterator[tuple[Token, str]]:
    """Each join is by `_subject_id` too: two factions share a table."""
    for at, token in enumerate(found):
        if token.word != "join" or (at and found[at - 1].word == "cross"):
            continue
        joined, on = found[at + 1], _on(found, at)
        name = joined.text.strip("{}")
        if name.endswith(":fact") or name.partition(":")[0] in shared or joined.text in shared:
            continue
        if not any(each.word == "_subject_id" for each in on):
            yield token, f"the join with {joined.text} lacks _subject_id: {_SHARED}"


def _on(found: Sequence[Token], at: int) -> Iterator[Token]:
    """The tokens of the condition of a join, as far as the next part of its select."""
    depth, begun = 0, False
    for token in found[at + 1 :]:
        depth += (token.text == "(") - (token.text == ")")
        if depth < 0:
            return
        if depth == 0 and token.word == "on":
            begun = True
        elif depth == 0 and begun and token.word in {
            "join", "left", "inner", "full", "cross", "where", "group", "order", "qualify",
            "union", "having", "limit",
        }:  # fmt: skip
            return
        if begun:
            yield token
