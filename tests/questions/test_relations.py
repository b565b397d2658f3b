"""A question names relations; what they are here, the configuration and the warehouse say."""

from __future__ import annotations

import json
import shutil

import duckdb
import pytest
from hypothesis import given as every
from hypothesis import strategies as st
from installation import endpoint, installed

from bodies import member
from tcdatalogger.core.run.load import Guard, load_of
from tcdatalogger.errors import ConfigError, UsageError
from tcdatalogger.questions import question
from tcdatalogger.questions.sql_text import tokens
from tcdatalogger.services.duckdb.warehouse import DuckDBWarehouse
from tcdatalogger.services.torncity.catalog import catalog
from tcdatalogger.services.torncity.endpoints.registry import processor
from tcdatalogger.services.torncity.lists.cursor import WalkSummary
from tcdatalogger.services.torncity.processing.task import Fetched, Page, Task

START, HOUR = 1_767_225_600, 3_600
HEADER = """/*
title = "Who is here?"
page = "members"
asks = ["leader"]
caption = "As of the newest picture."
chart = {{ kind = "table" }}
{more}
[needs]
"/faction/members" = {{ also = ["/faction/{{id}}/members"] }}
*/
"""
NAMES = "select name, level from {faction_members:STATE} order by name nulls last, level nulls last"


def text(sql, more=""):
    return HEADER.format(more=more) + sql


def store(file, polls, **settings):
    """Store pictures of members: (name of the endpoint, subject, hour, {id: (name, level)})."""
    entry, _ = catalog.load().find("/faction/members")
    with DuckDBWarehouse(file) as warehouse:
        for number, (name, subject, hour, members) in enumerate(polls):
            task = Task(name, entry, "1", run_id=f"run-{number:02}", **settings)
            body = {"members": [member(i, name=n, level=lv) for i, (n, lv) in members.items()]}
            at = float(START + hour * HOUR)
            walk = WalkSummary(str(subject), None, complete=True, at=int(at))
            page = Page(json.dumps(body).encode(), subject, at)
            fetched = Fetched((page,), readings=(walk,))
            worker = processor(entry.path)(task)
            made = worker.validate(worker.transform_data(fetched), fetched)
            warehouse.commit(load_of(task, fetched, made, Guard(), cursor=None, at=at))


def names(installation, state, **texts):
    answer = installation.ask_text(text(NAMES.replace("STATE", state)), **texts)
    return [tuple(row.values()) for row in answer.rows.to_pylist()]


TWO_PICTURES = [
    ("members", 1, 0, {1: ("Ada", 10), 2: ("Bob", 7)}),
    ("members", 1, 1, {1: ("Ada", 11), 3: ("Cyd", 3)}),
]


@pytest.mark.parametrize("mode", ["append", "replace", "merge", "history"])
def test_now_is_the_same_in_every_storage_mode_and_whoever_left_is_not_in_it(tmp_path, mode):
    store(tmp_path / "t.duckdb", TWO_PICTURES, mode=mode, max_drop=1.0)
    here = installed(
        tmp_path / "t.duckdb", endpoint("members", "/faction/members", storage_mode=mode)
    )

    assert names(here, "now") == [("Ada", 11), ("Cyd", 3)]


@pytest.mark.parametrize("mode", ["append", "merge", "history"])
def test_last_has_also_those_who_left(tmp_path, mode):
    store(tmp_path / "t.duckdb", TWO_PICTURES, mode=mode, max_drop=1.0)
    here = installed(
        tmp_path / "t.duckdb", endpoint("members", "/faction/members", storage_mode=mode)
    )

    assert names(here, "last") == [("Ada", 11), ("Bob", 7), ("Cyd", 3)]


@pytest.mark.parametrize("mode", ["append", "history"])
def test_what_was_true_at_an_earlier_moment_can_be_asked(tmp_path, mode):
    store(tmp_path / "t.duckdb", TWO_PICTURES, mode=mode, max_drop=1.0)
    here = installed(
        tmp_path / "t.duckdb", endpoint("members", "/faction/members", storage_mode=mode)
    )

    assert names(here, "now", until="2026-01-01T00:30:00Z") == [("Ada", 10), ("Bob", 7)]


def test_two_factions_of_one_path_are_one_relation_and_each_has_its_newest_picture(tmp_path):
    polls = [*TWO_PICTURES, ("theirs", 2, 0, {9: ("Eve", 5)})]
    store(tmp_path / "t.duckdb", polls)
    endpoints = endpoint("members", "/faction/members") + endpoint("theirs", "/faction/2/members")
    here = installed(tmp_path / "t.duckdb", endpoints)

    assert names(here, "now") == [("Ada", 11), ("Cyd", 3), ("Eve", 5)]
    assert len(names(here, "all")) == 5


@pytest.mark.parametrize("mode", ["append", "replace", "merge", "history"])
def test_a_faction_that_stands_in_two_tables_counts_once_by_the_newer_picture(tmp_path, mode):
    polls = [
        ("members", 1, 0, {1: ("Ada", 10), 2: ("Bob", 7)}),
        ("again", 1, 1, {1: ("Ada", 11), 3: ("Cyd", 3)}),
        ("again", 2, 1, {9: ("Eve", 5)}),
    ]
    store(tmp_path / "t.duckdb", polls[:1], mode=mode, max_drop=1.0)
    store(tmp_path / "t.duckdb", polls[1:], table="again", mode="append")
    endpoints = endpoint("members", "/faction/members", storage_mode=mode)
    endpoints += endpoint("again", "/faction/{id}/members", ids=[1, 2])
    here = installed(tmp_path / "t.duckdb", endpoints)

    assert names(here, "now") == [("Ada", 11), ("Cyd", 3), ("Eve", 5)]
    assert names(here, "last") == [("Ada", 11), ("Bob", 7), ("Cyd", 3), ("Eve", 5)]


def test_names_of_tables_and_columns_that_a_user_chose_are_not_known_to_a_question(tmp_path):
    store(tmp_path / "t.duckdb", TWO_PICTURES, table="people", columns=(("name", "who"),))
    own = endpoint("members", "/faction/members", table="people") + 'columns = { name = "who" }\n'
    here = installed(tmp_path / "t.duckdb", own)

    assert names(here, "now") == [("Ada", 11), ("Cyd", 3)]


def test_a_column_that_was_never_stored_is_null_and_a_learned_one_is_there(tmp_path):
    store(tmp_path / "t.duckdb", TWO_PICTURES[:1])
    with duckdb.connect(tmp_path / "t.duckdb") as connection:
        connection.execute("alter table members drop column level")
        connection.execute("alter table members add column mood varchar default 'well'")
    here = installed(tmp_path / "t.duckdb", endpoint("members", "/faction/members"))

    sql = "select name, level, mood from {faction_members:now} order by name nulls last"
    answer = here.ask_text(text(sql))
    assert answer.rows.to_pylist() == [
        {"name": "Ada", "level": None, "mood": "well"},
        {"name": "Bob", "level": None, "mood": "well"},
    ]


def test_a_column_may_have_the_name_of_a_word_of_sql(tmp_path):
    store(tmp_path / "t.duckdb", TWO_PICTURES[:1], columns=(("name", "who"),))
    with duckdb.connect(tmp_path / "t.duckdb") as connection:
        connection.execute('alter table members add column "order" bigint default 3')
    own = endpoint("members", "/faction/members").rstrip() + '\ncolumns = { name = "who" }\n'
    here = installed(tmp_path / "t.duckdb", own)

    sql = (
        "select m.name, (m.order) as nth from {faction_members:now} as m order by m.name nulls last"
    )
    answer = here.ask_text(text(sql))
    assert [tuple(row.values()) for row in answer.rows.to_pylist()] == [("Ada", 3), ("Bob", 3)]
    assert 'm."order"' in answer.sql


def test_what_is_configured_and_not_stored_yet_has_no_rows_and_no_error(tmp_path):
    store(tmp_path / "t.duckdb", TWO_PICTURES)
    endpoints = endpoint("members", "/faction/members") + endpoint("crimes", "/faction/crimes")
    here = installed(tmp_path / "t.duckdb", endpoints)

    answer = here.ask("oc-participation")
    assert [row["crimes_30_days"] for row in answer.rows.to_pylist()] == [0, 0]


def test_a_question_says_what_to_put_into_the_configuration_and_that_is_enough(tmp_path):
    store(tmp_path / "t.duckdb", TWO_PICTURES)
    here = installed(tmp_path / "t.duckdb", endpoint("members", "/faction/members"))
    asked = question.shipped()["oc-participation"]

    lacks = here.relations.lacks(asked)
    assert [(lack.path, lack.blocks) for lack in lacks] == [("/faction/crimes", True)]
    assert here.ask("oc-participation").rows is None
    more = installed(
        tmp_path / "t.duckdb", endpoint("members", "/faction/members") + lacks[0].remedy
    )
    assert more.relations.lacks(asked) == ()


@pytest.mark.parametrize(
    ("settings", "says", "blocks"),
    [
        ({"storage_mode": "replace"}, "needs append", True),
        ({"frequency": "PT6H"}, "exact where it is read every 1 h", False),
    ],
)
def test_a_question_says_which_mode_and_how_often_it_needs(tmp_path, settings, says, blocks):
    here = installed(tmp_path / "t.duckdb", endpoint("members", "/faction/members", **settings))
    (lack,) = here.relations.lacks(question.shipped()["activity-heatmap"])
    assert says in lack.says
    assert lack.blocks is blocks


def test_what_is_read_by_hand_answers_a_question_and_says_how_often_it_should_be_read(tmp_path):
    by_hand = '[[endpoints]]\nname = "members"\npath = "/faction/members"\n'
    here = installed(tmp_path / "t.duckdb", by_hand)
    (lack,) = here.relations.lacks(question.shipped()["activity-heatmap"])
    assert lack.says.startswith("members is read by hand; ")
    assert not lack.blocks


WRONG = {
    "select 1": "header",
    "/*\ntitle = 1\n*/\nselect 1": "header is wrong",
    text("select 1", "page = 3"): "header is wrong",
    text("select 1").replace('"members"', '"people"', 1): "no page",
    text("select 1", "days = 0"): "days",
    text("select 1", "nonsense = 1"): "nonsense",
    text("select 1").replace("*/", "[params]\nlevel = { default = 7, max = 3 }\n*/"): "7",
    text("select 1").replace("*/", "[params]\ndays = {}\n*/"): "every question has",
    text("select 1").replace("*/", "[params]\nscheme = {}\n*/"): "in the address",
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_file_that_is_no_question_is_refused_with_its_place_and_what_is_wrong(wrong):
    with pytest.raises(ConfigError) as told:
        question.read(wrong, "mine", "questions/mine.sql")
    assert "questions/mine.sql" in str(told.value)
    assert WRONG[wrong] in str(told.value)


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("select 1 as x from {faction_member:now}", "faction_members"),
        ("select 1 as x from {faction_members:then}", "states are"),
        ("select $nobody as x from {faction_members:now}", "no parameter"),
        ("select 1 as x from {flight:fact}", "flights"),
    ],
)
def test_what_a_text_names_wrongly_is_told_with_what_is_near(tmp_path, sql, says):
    store(tmp_path / "t.duckdb", TWO_PICTURES)
    here = installed(tmp_path / "t.duckdb", endpoint("members", "/faction/members"))
    with pytest.raises(ConfigError, match=says):
        here.ask_text(text(sql))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"hours": "many"}, "no number"),
        ({"hours": "0"}, "1 to 2160"),
        ({"hour": "3"}, "Did you mean 'hours'"),
        ({"days": "9999"}, "3650"),
        ({"until": "soon"}, "no day"),
    ],
)
def test_a_wrong_value_is_told_with_a_right_one(known, given, says):
    with pytest.raises(UsageError) as told:
        known.ask("inactive-members", **given)
    assert says in str(told.value)


@every(st.text(alphabet="ab'\"`{}$/*-1.; \n:()", max_size=40))
def test_the_tokens_of_any_text_are_the_text(sql):
    assert "".join(token.text for token in tokens(sql)) == sql


@pytest.mark.parametrize(
    "name",
    [n for n, q in question.shipped().items() if any(need.optional for need in q.needs.values())],
)
def test_a_question_is_answered_where_nobody_logs_what_it_can_do_without(known, tmp_path, name):
    file = tmp_path / "t.duckdb"
    nothing = installed(file, "").relations.lacks(question.shipped()[name])
    shutil.copy(known.file, file)
    here = installed(file, "\n\n".join(lack.remedy for lack in nothing if lack.blocks))

    answer = here.ask(name)

    assert [lack for lack in answer.lacks if lack.blocks] == []
    assert any(not lack.blocks for lack in answer.lacks)
