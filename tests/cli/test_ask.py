"""`tcdatalogger ask`: what can be asked, and the answers."""

from __future__ import annotations

import os

import pytest

import channel

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


def test_the_list_says_in_which_mode_a_question_wants_what_is_logged_in_another(workplace):
    said = "crime-states           What became of each crime, and when?\n"
    needs = f"{'':24} needs /faction/crimes"
    workplace.write('[[endpoints]]\nname = "faction_crimes"\npath = "/faction/crimes"\n')
    assert needs not in workplace.run("ask").out.split(said)[1].splitlines()[0]
    workplace.write(
        '[[endpoints]]\nname = "faction_crimes"\npath = "/faction/crimes"\n'
        'storage_mode = "replace"\n'
    )
    line = workplace.run("ask").out.split(said)[1].splitlines()[0]
    assert line == f"{needs} as append or history"


def test_an_answer_is_a_table_with_a_bar_and_the_moment_that_it_is_about(logged):
    done = logged.run("ask", "oc-participation")

    assert done.code == 0, done.err
    assert done.out.startswith("Who took part in crimes?\n")
    assert "█" in done.out
    assert "member_id" not in done.out
    assert "As of 2026-" in done.out
    heads, *rows = done.out.split("\n\n")[1].splitlines()
    end = heads.index("days_in_faction") + len("days_in_faction")
    assert {row[end - 2 : end] for row in rows} == {" d"}


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


def test_a_pipe_among_the_questions_is_refused_and_not_waited_for(workplace):
    folder = workplace.folder / "questions"
    folder.mkdir(exist_ok=True)
    if not hasattr(os, "mkfifo"):
        pytest.skip("Windows has no such files.")
    os.mkfifo(folder / "mine.sql")

    done = workplace.run("ask")
    assert done.code == 78
    assert "mine.sql cannot be read: it is no file" in done.err


def test_a_near_name_is_suggested(workplace):
    done = workplace.run("ask", "oc-participaton")

    assert done.code == 2
    assert "Did you mean 'oc-participation'" in done.err


# --- pictures ------------------------------------------------------------------------------------

MINE_ALONE = MINE.replace('page = "members"', 'page = "me"\naudience = "owner"')


@pytest.fixture
def discord(logged, monkeypatch):
    """A channel, and the configuration with its webhook."""
    with channel.open_channel() as found:
        monkeypatch.setenv("HOOK", found.url)
        logged.write(TWO, extra='[alerts]\nwebhook = "env:HOOK"\n')
        yield found


def test_an_answer_is_drawn_into_a_file(logged):
    done = logged.run("ask", "oc-participation", "--png", "p.png")

    assert done.code == 0, done.err
    assert done.out == "p.png: Who took part in crimes?\n"
    light = (logged.folder / "p.png").read_bytes()
    assert light.startswith(b"\x89PNG")
    logged.run("ask", "oc-participation", "--png", "p.png", "--dark")
    assert (logged.folder / "p.png").read_bytes() != light


@pytest.mark.slow
def test_every_question_that_can_be_answered_is_drawn_but_those_of_the_owner(logged):
    write(logged, MINE.format(what="'members'"))
    write(logged, MINE_ALONE.format(what="'mine'"), "mine-alone")

    done = logged.run("ask", "--all", "--png", "pictures")
    assert done.code == 0, done.err
    drawn = {file.stem for file in (logged.folder / "pictures").iterdir()}
    listed = logged.run("ask", "--json").json
    answered = {each["name"] for each in listed if each["answered"]}
    assert drawn == answered - {e["name"] for e in listed if e["audience"] == "owner"}
    assert "how-many" in drawn
    logged.run("ask", "--all", "--png", "pictures", "--owner")
    assert (logged.folder / "pictures" / "mine-alone.png").exists()


@pytest.mark.slow
def test_one_wrong_question_keeps_no_other_from_its_picture(logged):
    write(logged, MINE.format(what="nobody"))

    done = logged.run("ask", "--all", "--png", "pictures", "--days", "7")
    assert done.code == 78
    assert "how-many" in done.err
    assert (logged.folder / "pictures" / "oc-participation.png").exists()


def test_an_answer_is_posted_with_its_picture_and_calls_nobody(logged, discord):
    write(logged, MINE.replace("level {{least}}", "*level* @everyone [x](y) {{least}}")
          .format(what="'<b>`members`'"))  # fmt: skip
    done = logged.run("ask", "how-many", "--to", "discord")

    assert done.code == 0, done.err
    assert done.out == "Sent to discord: How many are we?\n"
    (posted,) = discord.posted
    assert posted.body["allowed_mentions"] == {"parse": []}
    shown = "\\*level\\* @\u200beveryone \\[x\\]\\(y\\) 1 and more"
    assert shown in posted.body["content"]
    assert posted.body["attachments"][0]["filename"] == "how-many.png"
    assert "<b>`members`, 30" in posted.body["attachments"][0]["description"]
    ((name, data),) = posted.files.items()
    assert name == "how-many.png"
    assert data.startswith(b"\x89PNG")
    assert discord.token not in done.out + done.err


def test_what_only_the_owner_is_to_see_is_posted_only_where_that_is_said(logged, discord):
    write(logged, MINE_ALONE.format(what="'mine'"), "mine-alone")

    done = logged.run("ask", "mine-alone", "--to", "discord")
    assert done.code == 2
    assert "--owner" in done.err
    assert discord.posted == []
    assert logged.run("ask", "mine-alone", "--to", "discord", "--owner").code == 0
    assert len(discord.posted) == 1


def test_where_nothing_is_stored_nothing_is_posted(workplace, discord):
    extra = '[alerts]\nwebhook = "env:HOOK"\n'
    workplace.write(f'{TWO}\n[[endpoints]]\nname = "b"\npath = "/faction/balance"\n', extra=extra)

    done = workplace.run("ask", "balance-movements", "--to", "discord")
    assert done.code == 2
    assert "nothing was sent" in done.err
    assert discord.posted == []


def test_a_webhook_that_does_not_take_a_picture_is_told_without_its_address(logged, discord):
    discord.answer = 404

    done = logged.run("ask", "oc-participation", "--to", "discord")
    assert done.code == 69
    assert "it answered 404" in done.err
    assert discord.token not in done.out + done.err


@pytest.mark.parametrize(
    ("extra", "code", "says"),
    [
        ("", 2, "No channel is configured."),
        ('[alerts]\nwebhook = "env:HOOK"\nkind = "json"\n', 2, "There are: webhook."),
        ('[alerts]\nwebhook = "env:NOT_THERE"\n', 78, "NOT_THERE"),
        ('[digest]\nwebhook = "env:HOOK"\n', 2, "There are: digest."),
    ],
)
def test_where_no_answer_can_go_is_told(logged, extra, code, says):
    logged.write(TWO, extra=extra)

    done = logged.run("ask", "oc-participation", "--to", "discord")
    assert done.code == code
    assert says in done.err


@pytest.mark.parametrize(
    "words",
    [
        ["--all"],
        ["--png", "p.png"],
        ["--to", "discord"],
        ["oc-profit", "--all", "--png", "p"],
        ["oc-profit", "--dark"],
        ["oc-profit", "--digest"],
        ["--digest", "--png", "p"],
        ["oc-profit", "--png", "p", "--csv"],
    ],
)
def test_options_of_pictures_that_do_not_fit_are_refused(workplace, words):
    assert workplace.run("ask", *words).code == 2


@pytest.mark.parametrize("words", [("--csv",), ("--sql",), ("--about",), ("--parquet", "p")])
def test_what_is_printed_of_one_question_wants_its_name(workplace, words):
    done = workplace.run("ask", *words)

    assert done.code == 2
    assert "Name a question." in done.err


def test_one_question_can_be_checked_by_its_name(logged):
    write(logged, MINE.format(what="nobody"))

    assert logged.run("ask", "inactive-members", "--check").out == "1 question, no mistake.\n"
    assert logged.run("ask", "how-many", "--check").code == 78
    assert logged.run("ask", "how-mny", "--check").code == 2


def test_of_two_factions_one_is_chosen_and_the_others_are_named(logged):
    logged.key = logged.city.keys["rival"]
    logged.log("faction_members")

    usual = logged.run("ask", "activity-heatmap")
    theirs = logged.run("ask", "status-changes", "--faction", "40991", "--json").json
    wrong = logged.run("ask", "inactive-members", "--faction", "Tin")

    assert "Of faction 40832." in usual.out
    assert "There are answers of 40832, 40991: --faction ID." in usual.err
    assert theirs["values"]["faction"] == 40991
    assert theirs["caption"].endswith("Of faction 40991.")
    assert wrong.code == 2
    assert "is no id" in wrong.err


def test_of_a_faction_that_nobody_logged_it_is_told_who_is(logged):
    done = logged.run("ask", "inactive-members", "--faction", "12")

    assert "Nothing is stored of it." in done.out
    assert "There are answers of 40832: --faction ID." in done.err


def test_a_question_is_asked_about_one_thing_by_its_id(logged):
    rows = logged.run("ask", "members", "--json").json["rows"]
    number = rows[0]["member_id"]

    one = logged.run("ask", "members", "--member", str(number), "--json")
    same = logged.run("ask", "members", "--param", f"member={number}", "--json")
    wrong = logged.run("ask", "inactive-members", "--member", "1")

    assert len(rows) > 1
    assert one.json["rows"] == same.json["rows"] == rows[:1]
    assert wrong.code == 2
    assert "has no parameter 'member'" in wrong.err


AGAIN = """
[[endpoints]]
name = "crimes_again"
path = "/faction/crimes"
params = { cat = "all" }
frequency = "PT15M"
storage_mode = "merge"

[[endpoints]]
name = "members_again"
path = "/faction/{id}/members"
ids = [40832]
frequency = "PT15M"
"""


@pytest.mark.parametrize("name", ["oc-now", "crime-slots", "oc-participation"])
def test_a_faction_that_is_logged_twice_counts_once(logged, name):
    before = logged.run("ask", name, "--json").json["rows"]
    logged.write(TWO + AGAIN)
    logged.clock.sleep(60)
    for each in ("crimes_again", "members_again"):
        assert logged.log(each).record.status == "done"

    assert before
    assert logged.run("ask", name, "--json").json["rows"] == before
