"""Questions that can be about one member, crime, war or item."""

from __future__ import annotations

import re

import known_faction
import pytest
from installation import endpoint, installed
from known_faction import DAY, HOUR, OURS, START
from polls import Poll, store

from tcdatalogger.errors import ConfigError
from tcdatalogger.questions import question

PACK = question.shipped()
ALL = [
    (name, thing)
    for name, each in PACK.items()
    for thing in each.things
    if each.params[thing].default is None and "$war" not in each.sql
]
"""Questions that are about all things of a kind unless one is named, and that kind."""
LONG = {"days": "3650"}


@pytest.mark.parametrize(("name", "thing"), ALL)
def test_what_is_told_of_one_thing_is_what_is_told_of_it_among_all(
    known, known_market, name, thing
):
    its, whole, column = known, known.ask(name, **LONG).rows, f"{thing}_id"
    if not whole:
        its, whole = known_market, known_market.ask(name, **LONG).rows
    if column not in whole.column_names:
        pytest.skip("its rows are about more than one")
    ids = {row[column] for row in whole.to_pylist()} - {None}

    assert ids
    for number in sorted(ids)[:2]:
        found = its.ask(name, **{thing: str(number)}, **LONG).rows.to_pylist()
        assert found == [row for row in whole.to_pylist() if row[column] == number]
    assert its.ask(name, **{thing: "999999"}, **LONG).rows.num_rows == 0


def test_the_hours_of_one_member_are_his_own(known, tmp_path):
    file = tmp_path / "torn.duckdb"

    def seen(at, **actions):
        told = [known_faction.person(ord(name), name, action) for name, action in actions.items()]
        return Poll("members", OURS, at, {"members": told})

    store(
        file,
        [
            seen(START, a=START - 60, b=START - 60),
            seen(START + HOUR, a=START + 60, b=START - 60),
            seen(START + 2 * HOUR, a=START + 60, b=START + HOUR + 60),
        ],
        {"members": "/faction/members"},
    )
    its = installed(file, endpoint("members", "/faction/members"))

    hours = {
        who: {
            row["hour"]: row["members_active"]
            for row in its.ask("activity-heatmap", **given).rows.to_pylist()
        }
        for who, given in {"a": {"member": "97"}, "b": {"member": "98"}, "all": {}}.items()
    }
    assert hours == {"a": {0: 1, 1: 0}, "b": {0: 0, 1: 1}, "all": {0: 1, 1: 1}}


def test_a_crime_is_told_of_however_old_it_is(known):
    assert [row["position"] for row in known.ask("crime-slots", crime="18").rows.to_pylist()] == [
        "Dog"
    ]
    assert known.ask("oc-crews", crime="12").rows.column("money").to_pylist() == [7]
    assert known.ask("crime-states", crime="18", days="1").rows.num_rows == 1


def test_a_crime_has_a_state_for_each_change_and_none_for_a_picture_without_one(tmp_path):
    def seen(at, status, **times):
        told = known_faction.crime(1, "Pet Project", 1, status, known_faction.slot("Cat", 1, 70))
        return Poll("crimes", OURS, at, {"crimes": [{**told, **times}]})

    file = tmp_path / "torn.duckdb"
    store(
        file,
        [
            seen(START, "Recruiting"),
            seen(START + HOUR, "Recruiting"),
            seen(START + 2 * HOUR, "Planning", planning_at=START + HOUR, ready_at=START + DAY),
            seen(START + 3 * HOUR, "Planning", planning_at=START + HOUR, ready_at=START + 2 * DAY),
            seen(START + 4 * HOUR, "Planning", planning_at=START + HOUR, ready_at=START + 2 * DAY),
        ],
        {"crimes": "/faction/crimes"},
    )
    its = installed(file, endpoint("crimes", "/faction/crimes"))

    rows = its.ask("crime-states").rows.to_pylist()
    assert [
        (row["status"], int(row["seen_at"].timestamp()) - START, row["was"], row["run_id"])
        for row in rows
    ] == [
        ("Planning", 3 * HOUR, "Planning", "run-03"),
        ("Planning", 2 * HOUR, "Recruiting", "run-02"),
        ("Recruiting", 0, None, "run-00"),
    ]


def sides(*scores):
    return [
        {"id": side, "name": f"F{side}", "score": score, "chain": score}
        for side, score in zip((OURS, 777), scores, strict=True)
    ]


def test_the_score_of_a_war_is_a_line_from_its_readings_to_its_end(tmp_path):
    end = START + 5 * HOUR

    def on(at, *scores):
        ranked = {"war_id": 7, "start": START, "end": None, "target": 50, "winner": None,
                  "factions": sides(*scores)}  # fmt: skip
        return Poll("wars", OURS, at, {
            "wars": {"ranked": ranked, "raids": [], "territory": []}, "pacts": [],
        })  # fmt: skip

    def over(at, *scores):
        war = {"id": 7, "start": START, "end": end, "target": 50, "winner": OURS}
        return Poll("ranked", OURS, at, {"rankedwars": [{**war, "factions": sides(*scores)}]})

    file = tmp_path / "torn.duckdb"
    polls = [on(START + HOUR, 3, 1), on(START + 2 * HOUR, 30, 9), over(end + DAY, 60, 9),
             over(end + 2 * DAY, 61, 9)]  # fmt: skip
    store(file, polls, {"wars": "/faction/wars", "ranked": "/faction/rankedwars"})
    its = installed(
        file, endpoint("wars", "/faction/wars") + endpoint("ranked", "/faction/rankedwars")
    )

    rows = its.ask("war-score", war="7").rows.to_pylist()
    assert [
        (int(row["seen_at"].timestamp()), row["faction"], row["score"]) for row in rows
    ] == [
        (START + HOUR, f"F{OURS}", 3), (START + HOUR, "F777", 1),
        (START + 2 * HOUR, f"F{OURS}", 30), (START + 2 * HOUR, "F777", 9),
        (end, f"F{OURS}", 61), (end, "F777", 9),
    ]  # fmt: skip
    assert {row["war"] for row in rows} == {"F777"}
    (war,) = its.ask("wars").rows.to_pylist()
    assert (war["result"], war["score"], war["enemy_score"]) == ("good: won", 61, 9)


def test_retaliation_in_a_war_is_of_the_hits_while_it_was_on(known):
    rows = known.ask("retaliation", war="7").rows.to_pylist()

    # Of the war alone, not of the day between the wars, nor of the one that is on.
    assert [(f"{row['day']}", row["suffered"], row["answered"]) for row in rows] == [
        ("2025-12-30", 2, 1)
    ]
    members = known.ask("retaliation-members", war="8").rows.to_pylist()
    assert {row["member"]: (row["suffered"], row["answers"]) for row in members} == {
        "Ada": (1, 0),
        "Bob": (0, 1),
    }


def test_the_hits_of_a_war_can_be_those_of_one_member(known):
    rows = known.ask("wars", member="2").rows.to_pylist()

    assert [(row["war_id"], row["war_hits"], row["fighters"]) for row in rows] == [
        (8, 1, 1),
        (7, 1, 1),
        (6, None, None),  # no attack of its days is stored
    ]


TEXT = """/*
title = "Mine?"
page = "members"
of = {of}
caption = "Mine."
chart = {{ kind = "table" }}
[needs."/faction/members"]
{params}
*/
select name from {{faction_members:now}} where id = $member order by name nulls last
"""


def test_a_question_of_one_thing_has_its_id_as_a_parameter_without_more_words():
    mine = question.read(TEXT.format(of='"member"', params=""), "mine", "mine.sql")

    assert mine.things == ("member",)
    assert (mine.params["member"].type, mine.params["member"].default) == ("int", None)


@pytest.mark.parametrize(
    ("of", "params", "says"),
    [
        ('"racket"', "", "it is of 'racket', and can be of member, crime, war, item"),
        ('["member", "war"]', "", "its text does not name $war"),
        (
            '"member"',
            '[params]\nmember = { type = "choice", default = "a", choices = ["a"] }',
            "the parameter member is an id",
        ),
    ],
)
def test_a_question_that_cannot_be_about_what_it_says_is_none(of, params, says):
    with pytest.raises(ConfigError, match=re.escape(says)):
        question.read(TEXT.format(of=of, params=params), "mine", "mine.sql")
