"""`tcdatalogger ask`: what can be asked, and the answers."""

from __future__ import annotations

import pytest

TWO = """
[[endpoints]]
name = "faction_members"
path = "/faction/members"
frequency = "PT1H"

[[endpoints]]
name = "faction_crimes"
path = "/faction/crimes"
since = "2025-12-01"
"""
MINE = """/*
title = "How many are we?"
page = "members"
asks = ["leader"]
caption = "Members of level {{least}} and more."
chart = {{ kind = "tiles", label = "what", values = ["members"] }}
units = {{ members = "count" }}
[needs]
"/faction/members" = {{}}
[params]
least = {{ default = 1, min = 1, max = 100, says = "The lowest level." }}
*/
select {what} as what, count(*) as members
from {{faction_members:now}}
where level >= $least
order by members desc
"""


@pytest.fixture
def logged(workplace):
    """A workplace with members, and the crimes of a month."""
    workplace.write(TWO)
    workplace.log("faction_members")
    workplace.log("faction_crimes")
    return workplace


def write(workplace, text, name="how-many"):
    folder = workplace.folder / "questions"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.sql").write_text(text)


def test_without_a_name_all_questions_are_listed_with_what_the_others_need(workplace):
    done = workplace.run("ask")

    assert done.code == 0, done.err
    assert "inactive-members       Who was not seen?" in done.out
    assert "questions can be answered here" in done.out
    listed = {each["name"]: each for each in workplace.run("ask", "--json").json}
    assert listed["inactive-members"]["answered"] is True
    assert all(len(line) <= 100 for line in done.out.splitlines())


def test_an_answer_is_a_table_with_a_bar_and_the_moment_that_it_is_about(logged):
    done = logged.run("ask", "oc-participation")

    assert done.code == 0, done.err
    assert done.out.startswith("Who took part in crimes?\n")
    assert "█" in done.out
    assert "member_id" not in done.out
    assert "As of 2026-" in done.out


def test_an_answer_is_csv_json_and_parquet_with_the_same_rows(logged):
    as_json = logged.run("ask", "oc-participation", "--json").json
    as_csv = logged.run("ask", "oc-participation", "--csv").out.splitlines()
    wrote = logged.run("ask", "oc-participation", "--parquet", "p.parquet")

    assert len(as_json["rows"]) == len(as_csv) - 1 > 20
    assert wrote.out == f"p.parquet: {len(as_json['rows'])} rows\n"
    assert as_json["values"]["days"] == 30
    assert set(as_json["tables"]) == {"faction_crimes", "faction_members"}


def test_the_sql_of_an_answer_can_be_pasted_into_query_and_gives_the_same(logged):
    sql = logged.run("ask", "oc-participation", "--sql").out

    asked = logged.run("query", sql, "--json").json
    assert asked == logged.run("ask", "oc-participation", "--json").json["rows"]


def test_values_are_chosen_by_param_days_and_until(logged):
    def rows(*words):
        return len(logged.run("ask", *words, "--json").json["rows"])

    assert rows("inactive-members", "--param", "hours=1") > rows("inactive-members")
    assert rows("oc-crews", "--days", "1") < rows("oc-crews")
    assert rows("oc-crews", "--until", "2001-01-31") == 0


def test_what_is_not_logged_is_told_with_the_lines_that_log_it_and_they_do(workplace):
    workplace.write('[[endpoints]]\nname = "faction_members"\npath = "/faction/members"\n')
    workplace.log("faction_members")

    done = workplace.run("ask", "oc-participation")
    assert done.code == 78
    assert "Nothing logs /faction/crimes yet." in done.err
    lines = done.err[done.err.index("[[endpoints]]") :].splitlines()
    workplace.write(
        '[[endpoints]]\nname = "faction_members"\npath = "/faction/members"\n\n'
        + "\n".join(line.strip() for line in lines if "=" in line or "[[" in line)
    )
    assert workplace.run("ask", "oc-participation").code == 0


def test_nothing_stored_yet_is_no_error_and_says_what_stores_some(workplace):
    done = workplace.run("ask", "inactive-members")

    assert (done.code, "run --all" in done.err + done.out) in {(0, True), (69, True)}


def test_a_question_of_ones_own_is_asked_like_ours(logged):
    write(logged, MINE.format(what="'members'"))

    assert logged.run("ask", "how-many", "--json").json["rows"] == [
        {"what": "members", "members": 30}
    ]
    assert logged.run("ask", "--check").code == 0
    assert "The lowest level." in logged.run("ask", "how-many", "--about").out


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (MINE.format(what="1").replace("order by members desc", ""), "no order"),
        (MINE.format(what="nobody"), "nobody"),
        (MINE.format(what="1").replace('"count"', '"apples"'), "apples"),
        (MINE.format(what="1 as one, 2"), "no column"),
    ],
)
def test_a_mistake_in_a_question_of_ones_own_is_told_with_its_file(logged, text, says):
    write(logged, text if "no column" not in says else text.replace(" as what", ""))

    done = logged.run("ask", "--check")
    assert done.code == 78
    assert "how-many.sql" in done.err
    assert says in done.err


def test_a_near_name_is_suggested(workplace):
    done = workplace.run("ask", "oc-participaton")

    assert done.code == 2
    assert "Did you mean 'oc-participation'" in done.err
