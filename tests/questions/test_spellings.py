"""What two engines take in two ways, how it is written for both, and that the lint knows it."""

from __future__ import annotations

import duckdb
import pytest
from analyzer import Analyzer
from evaluator import evaluate
from zetasql.core.exceptions import ZetaSQLError

from tcdatalogger.questions import lint, question
from tcdatalogger.services.duckdb.connection import FUNCTIONS
from tcdatalogger.services.google.warehouse import DIALECT

TEN, ELEVEN = "timestamp '2026-01-01 10:59:00+00'", "timestamp '2026-01-01 11:01:00+00'"
NULL = "cast(null as int64)"
SPELLINGS = {
    "from": ("from (select 1 as x) as t", "select x from (select 1 as x) as t", [1]),
    "qualify": (
        "select x from (select 1 as x) as t qualify row_number() over (order by x) = 1",
        "select x from (select 1 as x) as t where true qualify row_number() over (order by x) = 1",
        [1],
    ),
    "filter": (
        "select count(*) filter (where x > 1) as x from (select 1 as x) as t",
        "select count(case when x > 1 then 1 end) as x from (select 1 as x) as t",
        [0],
    ),
    "group by all": (
        "select x from (select 1 as x) as t group by all",
        "select x from (select 1 as x) as t group by x",
        [1],
    ),
    "text": ("select 1::text as x", "select cast(1 as string) as x", ["1"]),
    "float": ("select cast(1 as float64) as x", "select 1 * 1e0 as x", [1.0]),
    "timestamp_diff": (
        f"select timestamp_diff({ELEVEN}, {TEN}, hour) as x",
        f"select (unix_seconds({ELEVEN}) - unix_seconds({TEN})) / 3600 as x",
        [120 / 3600],
    ),
    "date_diff": (
        f"select date_diff('hour', {TEN}, {ELEVEN}) as x",
        f"select (unix_seconds({ELEVEN}) - unix_seconds({TEN})) / 3600 as x",
        [120 / 3600],
    ),
    "weekday": (
        "select extract(dayofweek from date '2026-01-04') as x",
        "select mod(unix_date(date '2026-01-04') + 3, 7) as x",
        [6],
    ),
    "halves": (
        "select cast(2.5e0 as int64) as x", "select cast(round(2.5e0) as int64) as x", [3],
    ),
    "greatest": (
        f"select greatest(1, {NULL}) as x",
        f"select case when 1 > {NULL} then 1 else {NULL} end as x",
        [None],
    ),
    "concat": (
        "select concat('a', cast(null as string)) as x",
        "select 'a' || cast(null as string) as x",
        [None],
    ),
    "division": ("select 1 / 0 as x", "select 1 / nullif(0, 0) as x", [None]),
    "nulls": (
        "select x from (select 1 as x union all select null) as t order by x",
        "select x from (select 1 as x union all select null) as t order by x nulls last",
        [1, None],
    ),
    "regexp_extract": (
        "select regexp_extract('a=1', '=([0-9])') as x",
        "select first_group('a=1', '=([0-9])') as x",
        ["1"],
    ),
    "regexp_replace": (
        "select regexp_replace('a1b1', '[0-9]', '') as x",
        "select replace('a1b1', '1', '') as x",
        ["ab"],
    ),
    "respect": (
        "select t.respect as x from (select 1 as respect) as t",
        "select t.gained as x from (select 1 as gained) as t",
        [1],
    ),
}  # fmt: skip
"""What two warehouses take in two ways, or one refuses; how it is written for both; its values."""


def asked(sql):
    """A question with a text of its own; its order is not what it is about."""
    header = 'title = "?"\npage = "crimes"\ncaption = "."\nchart = { kind = "table" }\nneeds = {}'
    return question.read(f"/*\n{header}\n*/\n{sql}", "mine", "mine.sql")


UNSEEN = {
    "halves": "what is cast is not known to a lint",
    "respect": "a name of a column; Google's analyser refuses it where it is one",
}
"""What the lint does not see, and why."""


@pytest.mark.parametrize("name", [name for name in SPELLINGS if name not in UNSEEN])
def test_the_lint_refuses_what_two_engines_take_in_two_ways_and_says_what_both_take(name):
    two, one, _ = SPELLINGS[name]

    ordered = "" if name == "nulls" else " order by x desc"
    assert lint.problems(asked(two + ordered)) != []
    assert lint.problems(asked(one + ordered)) == []


@pytest.mark.parametrize("name", SPELLINGS)
def test_what_is_no_word_of_both_engines_has_a_spelling_that_is(name):
    two, one, values = SPELLINGS[name]

    def told(ask, sql):
        try:
            return repr(ask(sql)["x"].to_pylist())
        except (duckdb.Error, ZetaSQLError):
            return "refused"

    def google(sql):
        for ours, theirs in DIALECT.spellings.items():
            sql = sql.replace(f"{ours}(", f"{theirs}(")
        return evaluate(Analyzer({}), sql, {})

    with duckdb.connect() as connection:
        for function in FUNCTIONS:
            connection.execute(f"create temp macro {function}")
        here = [told(lambda sql: connection.sql(sql).to_arrow_table(), sql) for sql in (two, one)]
    there = [told(google, sql) for sql in (two, one)]

    assert here[0] != there[0]
    assert here[1] == there[1] == repr(values)


REFUSED = {
    "drop table x": "select or with",
    "select 1 as x; select 2": "one query",
    "select x from {faction_basic:now}": "no order",
    'select "x" from {faction_basic:now} order by x desc': "not quoted",
    "select a.x from {faction_crimes:now} as a join {faction_members:now} as b on b.id = a.id "
    "order by a.x desc": "lacks _subject_id",
    "select now() as x order by x desc": "$until",
    "with w as (insert into t select 1) select 1 as x order by x desc": "only reads",
}


@pytest.mark.parametrize("sql", REFUSED)
def test_the_lint_refuses_what_a_question_may_not_do_and_names_the_line(sql):
    (first, *_) = lint.problems(asked(sql))

    assert REFUSED[sql] in first
    assert first.startswith("line 8: ")
