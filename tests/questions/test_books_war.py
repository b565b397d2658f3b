"""Answers about wars, chains, the armory and contributions, beside the books of the city.

What is expected is reckoned here in plain Python from what the city itself lists, not from tables.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from datetime import UTC, datetime
from fractions import Fraction

import pytest

from tcdatalogger.sandbox.world import chain_reports, contributors, people, profiles, wars
from tcdatalogger.sandbox.world.market import GOODS

pytestmark = pytest.mark.slow

DAY = 86_400
HOME = people.FACTIONS[0]
WON = {"Attacked", "Mugged", "Hospitalized", "Arrested"}
APART = {"Looted", "Special", "Bounty"}
FAILED = {"Lost", "Timeout", "Escape", "Stalemate", "Interrupted"}
BONUSES = {10, 25, 50, 100, 250, 500, 1_000}


def faction(side):
    """The number of the faction of one side of an attack; None for none, and for a hidden side."""
    return side["faction"]["id"] if side and side["faction"] else None


def answered(logged, name, **texts):
    return logged.ask(name, **texts).rows.to_pylist()


def seconds(time):
    return int(time.timestamp())


def members(logged):
    """The names of the members by id, as the city has them now."""
    found = people.members(7, HOME, int(logged.city.now()))
    return {each.id: people.name(7, each.code) for each in found}


def fought(logged, war):
    """What each member did in a war, by id."""
    low, high = war.start, min(war.end, int(logged.city.now()))
    acts = {member: Counter() for member in members(logged)}
    respect, bonus = defaultdict(Fraction), defaultdict(Fraction)
    for each in logged.city.expected("attacks"):
        if not low <= each["ended"] <= high:
            continue
        result, in_war = each["result"], each["is_ranked_war"]
        if faction(each["attacker"]) == HOME.id:
            who = each["attacker"]["id"]
            act = acts.setdefault(who, Counter())
            act["war_hits"] += in_war and result in WON
            act["special_hits"] += in_war and result in APART
            act["assists"] += result == "Assist"
            act["outside_hits"] += result in WON and not in_war
            act["failed"] += result in FAILED
            if in_war and result in WON:
                respect[who] += Fraction(str(each["respect_gain"]))
                bonus[who] += Fraction(str(each["respect_gain"])) * (each["chain"] in BONUSES)
        elif faction(each["defender"]) == HOME.id and result in WON | APART:
            acts.setdefault(each["defender"]["id"], Counter())["hits_taken"] += 1
    return acts, respect, bonus


def past_and_present(logged):
    """The two newest wars of the faction: one is on, one is over."""
    now = int(logged.city.now())
    running, over = list(wars.begun(7, HOME, now - 30 * DAY, now))[:2]
    assert running.end > now > over.end
    return {"running": running, "over": over}


KINDS = ("war_hits", "special_hits", "assists", "outside_hits", "failed", "hits_taken")


@pytest.mark.parametrize("which", ["running", "over"])
def test_the_hits_of_each_member_in_a_war_are_those_of_the_books(logged, which):
    war = past_and_present(logged)[which]
    acts, respect, bonus = fought(logged, war)

    rows = answered(logged, "war-hits", **({"war": str(war.id)} if which == "over" else {}))

    assert {row["member_id"]: [row[kind] for kind in KINDS] for row in rows} == {
        member: [act[kind] for kind in KINDS] for member, act in acts.items()
    }
    assert sum(row["war_hits"] for row in rows) > 5
    assert sum(row["hits_taken"] for row in rows) > 0
    assert any(row["war_hits"] + row["failed"] == 0 for row in rows)
    for row in rows:
        assert row["respect_gained"] == pytest.approx(float(respect[row["member_id"]]), abs=0.01)
        assert row["bonus_respect"] == pytest.approx(float(bonus[row["member_id"]]), abs=0.01)
        assert (row["war_id"], row["enemy"]) == (war.id, war.enemy(HOME).name)
        assert (seconds(row["begun"]), row["still_on"]) == (war.start, which == "running")
        assert seconds(row["until"]) == (war.end if which == "over" else int(logged.city.now()))


@pytest.mark.parametrize("pool", ["100000000", "99999999999", "7", "0"])
def test_a_payout_is_the_pool_by_points_to_the_last_dollar(logged, pool):
    war = past_and_present(logged)["over"]
    weights = {"war_hit": 7, "special_hit": 5, "assist": 3, "outside_hit": 2, "hit_taken": 1}
    acts, _, _ = fought(logged, war)
    names = ("war_hits", "special_hits", "assists", "outside_hits", "hits_taken")
    points = {
        member: sum(w * act[kind] for kind, w in zip(names, weights.values(), strict=True))
        for member, act in acts.items()
    }

    given = {name: str(weight) for name, weight in weights.items()}
    rows = answered(logged, "war-payout", war=str(war.id), pool=pool, **given)

    exact = {m: Fraction(int(pool) * got, sum(points.values())) for m, got in points.items()}
    payout = {m: int(part) for m, part in exact.items()}
    left = int(pool) - sum(payout.values())
    for member in sorted(exact, key=lambda m: (payout[m] - exact[m], -points[m], m))[:left]:
        payout[member] += 1
    assert {row["member_id"]: row["points"] for row in rows} == points
    assert {row["member_id"]: row["payout"] for row in rows} == payout
    assert sum(row["payout"] for row in rows) == int(pool)


def test_each_war_has_the_hits_of_the_books_for_all_and_for_one(logged):
    found = past_and_present(logged)
    listed = {row["war_id"]: row for row in answered(logged, "wars")}

    for which, war in found.items():
        acts, respect, _ = fought(logged, war)
        row = listed[war.id]
        assert row["war"] == war.enemy(HOME).name
        assert row["war_hits"] == sum(act["war_hits"] for act in acts.values()) > 0
        assert row["fighters"] == sum(act["war_hits"] > 0 for act in acts.values())
        assert row["respect_gained"] == pytest.approx(float(sum(respect.values())), abs=0.01)
        assert (row["result"] == "warn: still on") == (which == "running")
        best = max(acts, key=lambda member: acts[member]["war_hits"])
        mine = {row["war_id"]: row for row in answered(logged, "wars", member=str(best))}
        assert mine.keys() == listed.keys()
        assert mine[war.id]["war_hits"] == acts[best]["war_hits"]


def test_the_attacks_of_a_member_are_those_of_the_books(logged):
    now = int(logged.city.now())
    expected = defaultdict(list)
    for each in logged.city.expected("attacks"):
        if not now - 7 * DAY <= each["ended"] <= now:
            continue
        for side in ("attacker", "defender"):
            if faction(each[side]) == HOME.id:
                expected[each[side]["id"]].append((each["ended"], side, each["result"]))
    busy = max(expected, key=lambda member: len({side for _, side, _ in expected[member]}))

    rows = answered(logged, "attacks", member=str(busy))

    assert {side for _, side, _ in expected[busy]} == {"attacker", "defender"}
    assert Counter(
        (
            seconds(row["ended"]),
            "defender" if " was " in row["did"] or " defended" in row["did"] else "attacker",
            row["did"].rpartition(" ")[2],
        )
        for row in rows
    ) == Counter(expected[busy])


def test_retaliations_are_the_answers_to_hits_that_were_suffered(logged):
    now = int(logged.city.now())
    whole = logged.city.expected("attacks")
    expected = defaultdict(Counter)
    for hit in whole:
        known = hit["attacker"] and faction(hit["attacker"]) != HOME.id
        suffered = known and faction(hit["defender"]) == HOME.id and hit["result"] in WON | APART
        if not suffered or not now - 30 * DAY <= hit["ended"] <= now:
            continue
        back = [
            each
            for each in whole
            if faction(each["attacker"]) == HOME.id
            and each["defender"]["id"] == hit["attacker"]["id"]
            and 0 <= each["started"] - hit["ended"] <= 300
        ]
        day = expected[datetime.fromtimestamp(hit["ended"], UTC).date()]
        day.update(suffered=1, answered=bool(back))
        day["avenged"] += any(each["modifiers"]["retaliation"] > 1 for each in back)

    rows = answered(logged, "retaliation")

    kinds = ("suffered", "answered", "avenged")
    assert {row["day"]: [row[kind] for kind in kinds] for row in rows} == {
        day: [counted[kind] for kind in kinds] for day, counted in expected.items()
    }
    assert sum(row["avenged"] for row in rows) > 1
    assert all(row["share"] == row["avenged"] / row["suffered"] for row in rows)


def test_who_hits_back_is_whoever_attacked_the_attacker_of_a_member(logged):
    now = int(logged.city.now())
    whole = logged.city.expected("attacks")
    suffered, avenged, answers, retaliations = (defaultdict(set) for _ in range(4))
    for hit in whole:
        known = hit["attacker"] and faction(hit["attacker"]) != HOME.id
        ours = known and faction(hit["defender"]) == HOME.id and hit["result"] in WON | APART
        if not ours or not now - 30 * DAY <= hit["ended"] <= now:
            continue
        suffered[hit["defender"]["id"]].add(hit["id"])
        for each in whole:
            late = each["started"] - hit["ended"]
            if faction(each["attacker"]) != HOME.id or not 0 <= late <= 300:
                continue
            if each["defender"]["id"] != hit["attacker"]["id"]:
                continue
            answers[each["attacker"]["id"]].add(each["id"])
            if each["modifiers"]["retaliation"] > 1:
                avenged[hit["defender"]["id"]].add(hit["id"])
                retaliations[each["attacker"]["id"]].add(each["id"])

    rows = answered(logged, "retaliation-members")

    kinds = ("retaliations", "answers", "suffered", "avenged_for")
    assert {row["member_id"]: tuple(row[kind] for kind in kinds) for row in rows} == {
        member: tuple(len(each[member]) for each in (retaliations, answers, suffered, avenged))
        for member in {*suffered, *answers}
    }
    assert sum(row["retaliations"] for row in rows) > 1


def reports(logged):
    """The reports of the chains of 30 days."""
    now = int(logged.city.now())
    for listed in logged.city.expected("chains"):
        if now - 30 * DAY <= listed["start"] <= now:
            home, chain = chain_reports.find(7, listed["id"])
            yield listed, chain_reports.report_json(7, home, chain, now)


def test_who_was_in_a_chain_and_who_was_not_is_as_the_reports_say(logged):
    expected = {}
    for listed, report in reports(logged):
        assert report["faction_id"] == HOME.id
        for each in report["attackers"]:
            attacks = each["attacks"]
            expected[listed["id"], each["id"]] = (
                listed["chain"], attacks["total"], each["respect"]["total"], attacks["bonuses"],
            )  # fmt: skip
        for member in report["non_attackers"]:
            expected[listed["id"], member] = (listed["chain"], 0, 0, 0)

    rows = answered(logged, "chains")

    assert {
        (row["chain_id"], row["member_id"]): (
            row["hits"], row["attacks"], row["respect_gained"], row["bonuses"],
        )
        for row in rows
    } == expected  # fmt: skip
    assert 0 in {row["attacks"] for row in rows}
    named = members(logged)
    assert {row["member"] for row in rows if row["member_id"] in named} <= set(named.values())


def test_a_chain_has_the_numbers_of_its_report(logged):
    rows = {row["chain_id"]: row for row in answered(logged, "chain-results")}

    found = {listed["id"]: report for listed, report in reports(logged)}
    assert rows.keys() == found.keys() != set()
    for number, report in found.items():
        row = rows[number]
        assert row["attackers"] == len(report["attackers"])
        assert row["missing"] == len(report["non_attackers"])
        assert row["attacks"] == sum(each["attacks"]["total"] for each in report["attackers"])
        assert row["bonus_respect"] == sum(each["respect"] for each in report["bonuses"])
        assert row["respect_gained"] == pytest.approx(report["details"]["respect"])


def test_the_armory_is_read_from_the_news_to_the_last_line(logged):
    now = int(logged.city.now())
    used, loaned = Counter(), Counter()
    for line in logged.city.expected("news:armoryAction", now - 30 * DAY, now, striptags="true"):
        one = re.fullmatch(r"(\S+) used one of the faction's (.+) items", line["text"])
        other = re.fullmatch(
            r"(\S+) loaned (\d+)x (.+) to themselves from the faction armory", line["text"]
        )
        if one:
            used[one[2], one[1]] += 1
        else:
            loaned[other[3], other[1]] += int(other[2])

    rows = answered(logged, "armory-use")

    assert {(row["item"], row["member"]): row["used"] for row in rows if row["used"]} == used
    assert {(row["item"], row["member"]): row["loaned"] for row in rows if row["loaned"]} == loaned
    assert sum(row["not_understood"] for row in rows) == 0
    price = {each.name: logged.city.city.world.market.price(each.id, now) for each in GOODS}
    for row in rows:
        worth = price[row["item"]]
        assert row["value"] == (worth * row["used"] if worth else None)
    assert sum(row["value"] or 0 for row in rows) > 0
    by_name = {name: member for member, name in members(logged).items()}
    assert all(row["member_id"] == by_name.get(row["member"], row["member_id"]) for row in rows)


def test_contributions_are_what_the_numbers_rose_by(logged):
    now = int(logged.city.now())
    expected = {}
    for stat in ("gymenergy", "drugsused"):
        first, last = (
            {row["id"]: row for row in contributors.rows(7, HOME, stat, at, everybody=False)}
            for at in (now - 2 * DAY, now)
        )
        for member, row in last.items():
            begun = first.get(member, row)["value"]
            expected[stat, member] = (row["value"] - begun, row["value"], row["in_faction"])

    rows = answered(logged, "contributions")

    assert {
        (row["stat"], row["member_id"]): (row["added"], row["total"], row["in_faction"])
        for row in rows
        if (row["stat"], row["member_id"]) in expected
    } == expected
    assert len(rows) == len(expected)
    assert sum(row["added"] for row in rows) > 0


def test_respect_and_rank_are_those_of_the_last_picture_of_a_day(logged):
    # The pictures are of three midnights: of the own faction, and of two that are watched.
    world, now = logged.city.city.world, int(logged.city.now())
    expected = {}
    for number in (40832, 40991, 41210):
        before = None
        for at in (now - 2 * DAY, now - DAY, now):
            home = people.faction(number)
            told = profiles.faction(world, home, at, trusted=home == HOME)
            gained = None if before is None else told["respect"] - before
            before, rank = told["respect"], told["rank"]
            day = datetime.fromtimestamp(at, UTC).date()
            expected[day, number] = (
                told["name"], told["respect"], gained, rank["name"], rank["division"],
                rank["position"], rank["wins"],
            )  # fmt: skip

    rows = answered(logged, "faction-respect")

    kinds = ("faction", "total_respect", "gained", "rank_name", "rank_division",
             "rank_position", "rank_wins")  # fmt: skip
    assert {
        (row["day"], row["faction_id"]): tuple(row[kind] for kind in kinds) for row in rows
    } == expected
    assert len(rows) == len(expected)


def test_revives_are_counted_on_both_sides(logged):
    now = int(logged.city.now())
    given, received = Counter(), Counter()
    for row in logged.city.expected("revives"):
        if now - 30 * DAY <= row["timestamp"] <= now and row["result"] == "success":
            given[row["reviver"]["id"]] += faction(row["reviver"]) == HOME.id
            received[row["target"]["id"]] += faction(row["target"]) == HOME.id

    rows = answered(logged, "revives")

    assert {row["member_id"]: row["given"] for row in rows if row["given"]} == +given
    assert {row["member_id"]: row["received"] for row in rows if row["received"]} == +received
    assert +given
    assert +received
