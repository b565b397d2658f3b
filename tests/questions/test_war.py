"""Wars, the armory and contributions: what the known answers do not show."""

from __future__ import annotations

from copy import deepcopy

import duckdb
import pytest
from installation import endpoint, installed
from known_war import NEW
from logged_city import ENDPOINTS, logged_city

from tcdatalogger.questions import question


def test_a_war_without_an_end_is_on_and_its_hits_count_until_now(known):
    rows = known.ask("war-hits").rows.to_pylist()

    assert {(row["war_id"], row["still_on"]) for row in rows} == {(8, True)}
    assert {int(row["begun"].timestamp()) for row in rows} == {NEW}
    assert {row["until"].isoformat() for row in rows} == {"2026-01-01T01:00:00+00:00"}
    # The last attack of Bobby's, and that on Ada, are of the newest poll; Dee did nothing.
    kinds = ("member", "war_hits", "failed", "hits_taken", "respect_gained")
    assert [tuple(row[kind] for kind in kinds) for row in rows] == [
        ("Bobby", 1, 1, 0, 0.75),
        ("Dee", 0, 0, 0, 0.0),
        ("Ada", 0, 0, 1, 0.0),
    ]


def test_a_war_that_has_an_end_of_nought_is_on_too(tmp_path, known):
    # The war that only /faction/wars knew stands in the list of all wars now.
    file = tmp_path / "torn.duckdb"
    file.write_bytes(known.file.read_bytes())
    with duckdb.connect(file) as connection:
        connection.execute(
            "insert into faction_rankedwars by name select 8 as id, to_timestamp(?) as start, "
            'to_timestamp(0) as "end", _run_id, _subject_id, server_timestamp '
            "from faction_rankedwars where id = 7",
            [NEW],
        )
        connection.execute("delete from faction_wars")
    here = type(known)(file, known.relations)

    wanted = known.ask("war-hits").rows.drop(["enemy"]).to_pylist()
    assert here.ask("war-hits").rows.drop(["enemy"]).to_pylist() == wanted
    assert {row["still_on"] for row in wanted} == {True}


@pytest.mark.parametrize("pool", [0, 1, 2, 3, 99, 1_000_000_007, 1_000_000_000_000])
@pytest.mark.parametrize("points", [(1, 1, 1, 1, 1), (100, 99, 98, 97, 96), (3, 0, 0, 0, 7)])
def test_a_payout_is_the_pool_whatever_the_points_are(known, pool, points):
    names = ("war_hit", "special_hit", "assist", "outside_hit", "hit_taken")
    given = dict(zip(names, map(str, points), strict=True))
    rows = known.ask("war-payout", war="7", pool=str(pool), **given).rows.to_pylist()

    assert sum(row["payout"] for row in rows) == pool
    assert [row["payout"] for row in rows if row["points"] == 0] == [0]
    whole = sum(row["points"] for row in rows)
    for row in rows:
        assert row["payout"] - pool * row["points"] // whole in {0, 1}


def test_without_a_point_there_is_no_payout(known):
    given = dict.fromkeys(("war_hit", "special_hit", "assist"), "0")
    rows = known.ask("war-payout", war="7", **given).rows.to_pylist()

    assert {row["payout"] for row in rows} == {None}


def test_what_a_member_adds_is_asked_of_any_statistic_that_is_logged(tmp_path):
    asked = question.shipped()["contributions"]
    file = tmp_path / "t.duckdb"

    lacks = installed(file, endpoint("members", "/faction/members")).relations.lacks(asked)
    assert len(lacks) == 4
    assert all(lack.blocks for lack in lacks)
    for more in (lacks[2].remedy, lacks[0].remedy.replace("gymenergy", "rehabs")):
        assert installed(file, more).relations.lacks(asked) == ()


MINE = (
    *("faction_members", "faction_basic", "torn_items", "faction_attacks", "faction_rankedwars"),
    *("faction_chains", "faction_chainreport", "faction_wars", "armory", "energy", "drugs"),
    "faction_revives",
)
QUESTIONS = (
    *("war-hits", "war-payout", "chains", "chain-results", "retaliation", "armory-use"),
    *("retaliation-members", "contributions", "revives", "faction-respect", "wars", "attacks"),
)


def answers(folder, mode):
    """What a city says that was logged for a day, to the questions that take the mode."""
    shipped = question.shipped()
    endpoints = {name: ENDPOINTS[name] for name in MINE}
    with logged_city(folder, hours=24, endpoints=endpoints, mode=mode) as logged:
        return {
            name: logged.ask(name).rows.to_pylist()
            for name in QUESTIONS
            if all(not need.modes or mode in need.modes for need in shipped[name].needs.values())
        }


@pytest.fixture(scope="module")
def appended(tmp_path_factory):
    found = answers(tmp_path_factory.mktemp("append"), "append")
    assert set(found) == set(QUESTIONS)
    assert all(found.values())
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "count"), [("replace", 10), ("merge", 10), ("history", 12)])
def test_the_answer_is_the_same_in_every_storage_mode_that_a_question_takes(
    tmp_path, appended, mode, count
):
    found = answers(tmp_path, mode)

    assert len(found) == count
    wanted = deepcopy({name: appended[name] for name in found})
    if mode == "replace":  # it forgets the names of those who left
        for row in (*found["chains"], *wanted["chains"]):
            del row["member"]
        del found["wars"], wanted["wars"]  # it reads the attacks of older wars too
    assert found == wanted
