"""Answers about crimes and members, reckoned again in plain Python from the books of the city."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from statistics import mean

import pytest

from tcdatalogger.sandbox.api.server import START
from tcdatalogger.sandbox.world import people, profiles
from tcdatalogger.sandbox.world.crimes import LONGEST, render

pytestmark = pytest.mark.slow

DAY, HOUR = 86_400, 3_600
HOME = people.FACTIONS[0]
OPEN = {"Recruiting", "Planning"}


def now(logged):
    return int(logged.city.now())


def crimes_of(logged, t=None):
    """The crimes at a time: those that went on in the 45 days before the first run, or later."""
    t, low = t or now(logged), int(START) - 45 * DAY
    world, owner = logged.city.city.world, people.leader(HOME)
    made = world.crimes.created(HOME, low - LONGEST, t)
    shown = [render(crime, logged.city.city.seed, owner, t) for crime in made]
    return [
        each
        for each in shown
        if each["status"] in OPEN or (each["executed_at"] or each["expired_at"]) >= low
    ]


def executed(logged, days=30, statuses=("Successful", "Failure")):
    """The crimes that were executed in the last days."""
    low = now(logged) - days * DAY
    return [
        each for each in crimes_of(logged)
        if each["status"] in statuses and low <= each["executed_at"] < now(logged)
    ]  # fmt: skip


def members_at(logged, t, home=HOME):
    """The members of a faction at a time, as one of them sees them."""
    world = logged.city.city.world
    return profiles.members(world, home, t, ours=home is HOME, trusted=True, tags=True)


def crew(crime):
    return [slot for slot in crime["slots"] if slot["user"]]


def rows_of(logged, name, key, **texts):
    """The rows of an answer by a column that is unique in it."""
    rows = logged.ask(name, **texts).rows.to_pylist()
    found = {row[key]: row for row in rows}
    assert len(found) == len(rows) > 0
    return found


def day_of(t):
    return datetime.fromtimestamp(t, UTC).date()


def price_of(logged, item, t):
    """The price that was logged on the day of a time or last before it, else first after it."""
    seen = {
        day_of(at): logged.city.city.world.market.price(item, at)
        for at in range(int(START), now(logged) + 1, DAY)
    }
    before = [day for day in seen if day <= day_of(t)]
    return seen[max(before) if before else min(seen)]


def worth(logged, crime):
    """What the items of a crime are worth."""
    return sum(
        each["quantity"] * price_of(logged, each["id"], crime["executed_at"])
        for each in crime["rewards"]["items"]
    )


def test_crimes_that_need_somebody_are_listed_with_what_they_need(logged):
    expected = {}
    for crime in crimes_of(logged):
        waits = crime["status"] in OPEN
        free = sum(not slot["user"] for slot in crime["slots"]) if waits else 0
        lacking = sum(
            waits
            and bool(slot["item_requirement"])
            and not slot["item_requirement"]["is_available"]
            for slot in crew(crime)
        )
        late = crime["status"] == "Planning" and crime["ready_at"] < now(logged)
        paid = crime["rewards"] or {"money": 0, "payout": None}
        recent = crime["executed_at"] and crime["executed_at"] >= now(logged) - 30 * DAY
        unpaid = paid["money"] if recent and not paid["payout"] and paid["money"] else None
        if free or lacking or late or unpaid:
            expected[crime["id"]] = (free, lacking, late, unpaid)

    found = rows_of(logged, "oc-now", "crime_id")
    assert {
        number: (row["open_slots"], row["missing_items"], "late" in row["need"], row["not_paid"])
        for number, row in found.items()
    } == expected
    kinds = [bool(expected[number][0]) for number in found], [bool(e[3]) for e in expected.values()]
    assert all(any(kind) and not all(kind) for kind in kinds)
    assert all(
        (row["need"].startswith("bad: ")) == bool(expected[number][1] or expected[number][2])
        for number, row in found.items()
    )
    order = [
        (not late, not lacking, not free) for free, lacking, late, _ in map(expected.get, found)
    ]
    assert order == sorted(order)


def newest_rates(logged, t=None):
    """The newest and the first pass rate of each member by name of the crime and position."""
    held = defaultdict(list)
    for crime in crimes_of(logged, t):
        for place, slot in enumerate(crime["slots"]):
            if slot["user"] and slot["checkpoint_pass_rate"] > 0:
                key = crime["name"], slot["position"], slot["user"]["id"]
                order = slot["user"]["joined_at"], crime["id"], place
                held[key].append((order, slot["checkpoint_pass_rate"], crime["difficulty"]))
    return {key: (max(told)[1], min(told)[1], told[0][2]) for key, told in held.items()}


@pytest.mark.parametrize("hour", [6, 24, 48])
def test_free_members_stand_at_open_slots_with_the_rate_that_they_had_last(logged, hour):
    t = int(START) + hour * HOUR
    rates = newest_rates(logged, t)
    waiting = [crime for crime in crimes_of(logged, t) if crime["status"] in OPEN]
    busy = {slot["user"]["id"] for crime in waiting for slot in crew(crime)}
    free = [
        member["id"]
        for member in members_at(logged, t)
        if not member["is_in_oc"] and t - member["last_action"]["timestamp"] <= 48 * HOUR
    ]
    assert not busy & set(free)
    expected = {
        (crime["id"], slot["position_info"]["label"], member): rates.get(
            (crime["name"], slot["position"], member), (None,)
        )[0]
        for crime in waiting
        for slot in crime["slots"]
        if not slot["user"]
        for member in free
    }

    until = f"{datetime.fromtimestamp(t, UTC):%Y-%m-%dT%H:%M:%SZ}"
    rows = logged.ask("oc-assign", until=until).rows.to_pylist()
    found = {
        (row["crime_id"], row["slot"].rpartition(", ")[2], row["member_id"]): row["pass_rate"]
        for row in rows
    }
    assert len(found) == len(rows)
    assert found == expected
    assert None in expected.values()
    assert any(expected.values()) or hour == 48


def test_participation_counts_each_crime_of_each_member(logged):
    took = defaultdict(list)
    for crime in crimes_of(logged):
        if crime["executed_at"] and crime["executed_at"] < now(logged):
            for slot in crew(crime):
                took[slot["user"]["id"]].append((crime, slot["checkpoint_pass_rate"]))

    found = rows_of(logged, "oc-participation", "member_id")
    assert set(found) == {member["id"] for member in members_at(logged, now(logged))}
    for member, row in found.items():
        month, week = (
            [part for part in took[member] if part[0]["executed_at"] >= now(logged) - days * DAY]
            for days in (30, 7)
        )
        assert row["crimes_30_days"] == len(month)
        assert row["crimes_7_days"] == len(week)
        assert row["successful_30_days"] == sum(c["status"] == "Successful" for c, _ in month)
        assert row["mean_pass_rate"] == pytest.approx(mean(r for _, r in month)) if month else True
        last = max((c["executed_at"] for c, _ in took[member]), default=None)
        assert (row["last_crime"] and row["last_crime"].timestamp()) == last
    counts = [row["crimes_30_days"] for row in found.values()]
    assert counts == sorted(counts)
    assert counts[-1] > 0


def test_each_member_earns_an_equal_part_of_money_and_items(logged):
    money, items, paid, crimes = (defaultdict(Fraction) for _ in range(4))
    for crime in executed(logged, statuses=("Successful",)):
        payout = crime["rewards"]["payout"]
        for slot in crew(crime):
            member, part = slot["user"]["id"], Fraction(1, len(crew(crime)))
            crimes[member] += 1
            money[member] += crime["rewards"]["money"] * part
            items[member] += worth(logged, crime) * part
            if payout:
                paid[member] += (
                    crime["rewards"]["money"] * Fraction(payout["percentage"]) / 100 * part
                )

    found = rows_of(logged, "oc-income", "member_id")
    here = {member["id"] for member in members_at(logged, now(logged))}
    assert set(found) == here | set(crimes)
    assert {member for member, row in found.items() if row["is_member"]} == here
    for member, row in found.items():
        assert row["crimes"] == crimes[member]
        assert row["money"] == pytest.approx(float(money[member]), abs=0.51)
        assert row["item_value"] == pytest.approx(float(items[member]), abs=0.51)
        assert row["value"] == row["money"] + row["item_value"]
        assert (row["paid"] is None) == (member not in paid)
        assert (row["paid"] or 0) == pytest.approx(float(paid[member]), abs=0.51)
        assert row["items_without_price"] == 0
    whole = sum(crime["rewards"]["money"] for crime in executed(logged, statuses=("Successful",)))
    assert sum(row["money"] for row in found.values()) == pytest.approx(whole, abs=len(found))
    assert sum(row["item_value"] for row in found.values()) > 0


def test_profit_is_the_value_of_a_day_of_a_member(logged):
    kinds = defaultdict(list)
    for crime in executed(logged):
        kinds[crime["name"], crime["difficulty"]].append(crime)
    expected = {}
    for (name, _), crimes in kinds.items():
        won = [crime for crime in crimes if crime["status"] == "Successful"]
        value = sum(crime["rewards"]["money"] + worth(logged, crime) for crime in won)
        seconds = sum(
            crime["executed_at"] - slot["user"]["joined_at"]
            for crime in crimes for slot in crew(crime)
        )  # fmt: skip
        expected[name] = len(crimes), len(won) / len(crimes), value, value * DAY / seconds

    found = rows_of(logged, "oc-profit", "crime")
    assert {
        name: (
            row["crimes"],
            row["success"],
            row["value"],
            pytest.approx(row["value_per_member_day"]),
        )
        for name, row in found.items()
    } == expected
    best = [row["value_per_member_day"] for row in found.values()]
    assert best == sorted(best, reverse=True)


def test_rates_by_role_are_the_newest_ones_and_what_was_gained(logged):
    roles = defaultdict(list)
    for (name, position, _), (newest, first, difficulty) in newest_rates(logged).items():
        roles[name, difficulty, position].append((newest, newest - first))

    rows = logged.ask("cpr-by-role").rows.to_pylist()
    assert {
        (row["crime"], row["difficulty"], row["position"]): (
            row["members"], row["lowest"], row["highest"],
            pytest.approx(row["mean_rate"]), pytest.approx(row["gained"]),
        )
        for row in rows
    } == {
        role: (
            len(told), min(r for r, _ in told), max(r for r, _ in told),
            mean(r for r, _ in told), mean(gain for _, gain in told),
        )
        for role, told in roles.items()
    }  # fmt: skip


def test_items_are_spent_that_were_lost_or_are_used_up(logged):
    expected = defaultdict(lambda: [0, 0, 0])
    for crime in executed(logged):
        for slot in crew(crime):
            became = slot["user"]["item_outcome"]
            if became:
                again = slot["item_requirement"]["is_reusable"]
                spent = became["outcome"] == "lost" or (became["outcome"] == "used" and not again)
                told = expected[became["item_id"], became["owned_by"]]
                told[0] += 1
                told[1] += spent
                told[2] += spent * price_of(logged, became["item_id"], crime["executed_at"])

    rows = logged.ask("oc-items-spent").rows.to_pylist()
    assert {
        (row["item_id"], row["owner"]): [row["slots"], row["spent"], row["value_spent"]]
        for row in rows
    } == expected
    assert 0 < sum(row["spent"] for row in rows) < sum(row["slots"] for row in rows)


@pytest.mark.parametrize("hours", [1, 24])
def test_members_who_were_not_seen_are_listed_with_the_days(logged, hours):
    expected = {
        member["id"]: (now(logged) - member["last_action"]["timestamp"]) / DAY
        for member in members_at(logged, now(logged))
        if now(logged) - member["last_action"]["timestamp"] > hours * HOUR
    }

    found = rows_of(logged, "inactive-members", "member_id", hours=str(hours))
    assert {member: pytest.approx(row["days_ago"]) for member, row in found.items()} == expected


def test_who_was_awake_is_counted_for_the_hour_between_two_pictures(logged):
    hours = defaultdict(lambda: [0, 0])
    days = defaultdict(set)
    for t in range(int(START) + HOUR, now(logged) + 1, HOUR):
        middle = datetime.fromtimestamp(t - HOUR / 2, UTC)
        before = {member["id"] for member in members_at(logged, t - HOUR)}
        for member in members_at(logged, t):
            if member["id"] in before:
                told = hours[middle.weekday(), middle.hour]
                told[0] += member["last_action"]["timestamp"] > t - HOUR
                told[1] += 1
                days[middle.weekday(), middle.hour].add(middle.date())

    rows = logged.ask("activity-heatmap").rows.to_pylist()
    found = {(row["weekday"], row["hour"]): row for row in rows}
    assert list(found) == sorted(hours)
    for place, (awake, watched) in hours.items():
        row = found[place]
        assert (row["member_hours"], row["days"]) == (awake, len(days[place]))
        assert row["members_active"] == pytest.approx(awake / len(days[place]))
        assert row["share_active"] == pytest.approx(awake / watched)


def test_who_joined_and_who_left_is_told_by_pictures_and_by_news(logged):
    start, end = int(START), now(logged)
    moves = [
        (what, people.name(logged.city.city.seed, person.code), at)
        for seat in range(HOME.seats)
        for at, what, person in people.changes(logged.city.city.seed, HOME, seat, start, end + 1)
        if what == "joined" or at < end - 2 * HOUR  # two pictures must lack whoever left
    ]
    assert {what for what, *_ in moves} == {"joined", "left"}

    (row,) = logged.ask("turnover").rows.to_pylist()[:1]
    assert (
        row["week_begins"] == date(2025, 12, 29) == day_of(end) - timedelta(day_of(end).weekday())
    )
    joined, left = (sorted(n for w, n, _ in moves if w == what) for what in ("joined", "left"))
    assert (row["joined"], row["gone"], row["net"]) == (
        len(joined), -len(left), len(joined) - len(left),
    )  # fmt: skip
    assert (row["who_joined"], row["who_left"]) == (", ".join(joined), ", ".join(left))
    assert row["members"] == len(members_at(logged, end))


def test_requirements_judge_by_crimes_by_the_last_action_and_by_the_days_in_the_faction(logged):
    done = defaultdict(set)
    for crime in executed(logged):
        for slot in crew(crime):
            done[slot["user"]["id"]].add(crime["id"])

    def verdict(member):
        enough = len(done[member["id"]]) >= 5
        seen = now(logged) - member["last_action"]["timestamp"] <= 2 * DAY
        if member["days_in_faction"] < 30:
            return "good: too new"
        if enough and seen:
            return "good: promote" if member["position"] == "Recruit" else "good: keep"
        return "warn: not seen" if enough else "warn: does too little" if seen else "bad: remove"

    expected = {member["id"]: verdict(member) for member in members_at(logged, now(logged))}
    rows = logged.ask("requirements", crimes="5").rows.to_pylist()
    found = {row["member_id"]: row["verdict"] for row in rows if row["member_id"] is not None}
    assert found == expected
    assert len(set(expected.values())) > 3
    # Nothing logs the events of a member: nobody knows who sent items, and none is no answer.
    assert {row["items_sent"] for row in rows} == {None}
    assert None not in {row["chain_hits"] for row in rows}


def test_factions_are_compared_by_their_newest_pictures(logged):
    found = rows_of(logged, "faction-comparison", "faction_id")
    homes = [home for home in people.FACTIONS if home.id in {HOME.id, 40991, 41210}]
    assert set(found) == {home.id for home in homes}
    for home in homes:
        told, row = members_at(logged, now(logged), home), found[home.id]
        ages = [now(logged) - member["last_action"]["timestamp"] for member in told]
        assert row["faction"] == home.name
        assert row["members"] == len(told)
        assert row["mean_level"] == pytest.approx(mean(member["level"] for member in told))
        assert row["seen_24_hours"] == pytest.approx(mean(age <= DAY for age in ages))
        assert row["seen_7_days"] == pytest.approx(mean(age <= 7 * DAY for age in ages))
        assert row["came_30_days"] == sum(member["days_in_faction"] < 30 for member in told)
        assert row["in_hospital"] == sum(m["status"]["state"] == "Hospital" for m in told)
        assert row["revivable"] == sum(member["is_revivable"] for member in told)


def test_what_a_member_did_in_crimes_is_in_the_books(logged):
    low, names = (
        now(logged) - 30 * DAY,
        {m["id"]: m["name"] for m in members_at(logged, int(START))},
    )
    expected = defaultdict(set)
    for crime in crimes_of(logged):
        over = crime["executed_at"] or (crime["status"] == "Expired" and crime["expired_at"])
        if over and over < low:
            continue
        for slot in crew(crime):
            expected[slot["user"]["id"]].add(
                (crime["id"], slot["position_info"]["label"], slot["checkpoint_pass_rate"] or None)
            )
    busy = sorted(expected, key=lambda member: -len(expected[member]))[:3]

    assert all(len(expected[member]) > 1 for member in busy)
    for member in busy:
        rows = logged.ask("crime-slots", member=str(member)).rows.to_pylist()
        found = [(row["crime_id"], row["position"], row["pass_rate"]) for row in rows]
        assert len(found) == len(set(found))
        assert set(found) == expected[member]
        assert {row["member"] for row in rows} == {names.get(member, rows[0]["member"])}


def test_who_is_there_is_who_the_city_lists(logged):
    here = {each["id"]: each for each in members_at(logged, now(logged))}

    rows = rows_of(logged, "members", "member_id")

    assert {member for member, row in rows.items() if row["is_there"]} == here.keys()
    for member, each in here.items():
        row = rows[member]
        assert (row["member"], row["position"], row["level"], row["days_in_faction"]) == (
            each["name"], each["position"], each["level"], each["days_in_faction"],
        )  # fmt: skip
    (one,) = logged.ask("members", member=str(max(here))).rows.to_pylist()
    assert one == rows[max(here)]
