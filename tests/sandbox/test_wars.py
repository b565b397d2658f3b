"""Ranked wars, chain reports, contributors and revives of the city."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tcdatalogger.sandbox.api.server import START
from tcdatalogger.sandbox.world import wars
from tcdatalogger.sandbox.world.people import DAY, FACTIONS

NOW = int(START)


@pytest.mark.parametrize("number", range(1_461, 1_466))
def test_in_each_round_every_faction_has_one_enemy_and_both_know_the_same_war(number: int):
    found = {home.id: wars.war(7, home, number) for home in FACTIONS}
    for home in FACTIONS:
        enemy = found[home.id].enemy(home)
        assert enemy != home
        assert found[enemy.id] == found[home.id]
    assert len({war.id for war in found.values()}) == len(FACTIONS) / 2


def test_in_five_rounds_everybody_meets_everybody():
    for home in FACTIONS:
        met = {wars.war(7, home, number).enemy(home).id for number in range(5)}
        assert met == {other.id for other in FACTIONS if other != home}


def test_a_war_that_is_on_has_no_end_and_no_winner_and_its_score_grows(build: Any):
    city = build(seed=7)
    city.city.clock.advance(1.75 * DAY)
    before, *past = city.json("/faction/rankedwars")["rankedwars"]
    assert (before["end"], before["winner"]) == (0, None)
    assert all(war["end"] > war["start"] and war["winner"] for war in past)
    ranked = city.json("/faction/wars")["wars"]["ranked"]
    assert ranked == {"war_id": before["id"], **{k: v for k, v in before.items() if k != "id"},
                      "end": None}  # fmt: skip
    city.city.clock.advance(2.5 * DAY)
    after = city.json("/faction/rankedwars")["rankedwars"][0]
    scores = [sorted(side["score"] for side in war["factions"]) for war in (before, after)]
    assert scores[0] < scores[1]
    assert scores[1][1] - scores[1][0] == after["target"]
    assert after["winner"] == max(after["factions"], key=lambda side: side["score"])["id"]
    assert city.json("/faction/wars")["wars"]["ranked"] is None


def test_attacks_of_a_ranked_war_are_those_on_its_enemy_while_it_is_on(build: Any):
    city = build(seed=7, history=100 * DAY)
    known = city.json("/faction/rankedwars")["rankedwars"]
    ours = FACTIONS[0].id
    enemies = {
        war["id"]: next(side["id"] for side in war["factions"] if side["id"] != ours)
        for war in known
    }
    counted = Counter[int]()
    for row in city.city.expected("attacks"):
        sides = {
            side["faction"]["id"]
            for side in (row["attacker"], row["defender"])
            if side and side["faction"]
        }
        war = next((w for w in known if w["start"] <= row["ended"] <= w["end"]), None)
        if row["is_ranked_war"]:
            assert war is not None
            assert row["is_stealthed"] or enemies[war["id"]] in sides
            counted[war["id"]] += 1
        elif war:
            assert enemies[war["id"]] not in sides
    assert set(counted) == set(enemies)


def test_a_retaliation_follows_the_hit_of_its_victim_within_five_minutes(build: Any):
    rows = build(seed=7, history=100 * DAY).city.expected("attacks")
    back = [row for row in rows if row["modifiers"]["retaliation"] > 1]
    assert len(back) > 3
    for row in back:
        assert any(
            hit["attacker"] and hit["attacker"]["id"] == row["defender"]["id"]
            and 0 <= row["started"] - hit["ended"] <= 300
            and hit["result"] in {"Attacked", "Mugged", "Hospitalized"}
            for hit in rows
        )  # fmt: skip


def test_the_parts_of_a_chain_report_add_up_to_the_chain(build: Any):
    city = build(seed=7, history=60 * DAY)
    for chain in city.json("/faction/chains")["chains"]:
        report = city.json(f"/faction/{chain['id']}/chainreport")["chainreport"]
        assert [report[k] for k in ("start", "end")] == [chain[k] for k in ("start", "end")]
        hits = [each["attacks"] for each in report["attackers"]]
        for name in ("leave", "mug", "hospitalize", "losses", "war"):
            assert sum(each[name] for each in hits) == report["details"][name]
        won = ("leave", "mug", "hospitalize")
        assert sum(each[kind] for each in hits for kind in won) == chain["chain"]
        there = {each["id"] for each in report["attackers"]}
        assert not there & set(report["non_attackers"])
        respect = sum(each["respect"]["total"] for each in report["attackers"])
        assert respect == pytest.approx(chain["respect"], abs=0.2)
        city.city.clock.advance(1)
        assert city.json(f"/faction/{chain['id']}/chainreport")["chainreport"] == report


def test_a_chain_that_is_none_has_no_report(build: Any):
    assert build().json("/faction/1/chainreport")["error"]["code"] == 6


def test_contributions_never_fall_and_those_who_left_are_asked_for_apart(build: Any):
    city = build(seed=7)
    for stat in ("gymenergy", "revives"):
        before = city.json("/faction/contributors", stat=stat)["contributors"]
        city.city.clock.advance(2 * DAY)
        after = {
            row["id"]: row for row in city.json("/faction/contributors", stat=stat)["contributors"]
        }
        assert all(row["in_faction"] for row in before)
        assert all(
            after[row["id"]]["value"] >= row["value"] for row in before if row["id"] in after
        )
    everybody = city.json("/faction/contributors", stat="revives", cat="all")["contributors"]
    assert {row["id"] for row in everybody if row["in_faction"]} == set(after)
    assert any(not row["in_faction"] for row in everybody)


def test_a_member_is_on_one_side_of_each_revive(build: Any):
    rows = build(seed=7).city.expected("revives")
    sides = [
        {row[side]["faction"]["id"] for side in ("reviver", "target") if row[side]["faction"]}
        for row in rows
    ]
    assert rows
    assert all(FACTIONS[0].id in each for each in sides)
    assert {row["result"] for row in rows} == {"success", "failure"}
