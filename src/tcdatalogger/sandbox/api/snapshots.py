"""The three daily snapshots of users, factions and companies, which are CSV."""

from __future__ import annotations

import csv
from io import StringIO

from tcdatalogger.sandbox.api.answers import Call
from tcdatalogger.sandbox.world import people
from tcdatalogger.sandbox.world.people import DAY, FACTIONS
from tcdatalogger.sandbox.world.rng import Rng
from tcdatalogger.sandbox.world.world import World

_COLUMNS = {
    "user": "id,name,gender,signed_up,level,rank,donator,faction,company,job,spouse,display_case,"
    "bazaar,fed,fed_reason,time_played,awards",
    "faction": "id,name,tag,tag_image,banner_image,leader_id,co_leader_id,respect,days_old,rank,"
    "members,members_max,member_list,recruiting,destroyed_timestamp",
    "company": "id,name,created_at,days_old,image,type,rating,director_id,employees_hired,"
    "employees_capacity,daily_income,daily_customers,weekly_income,weekly_customers,"
    "applications_allowed",
}
_RANKS = ("Novice", "Outlaw", "Star", "Outstanding", "Heroic", "Idolised")


def snapshot(call: Call) -> bytes:
    """The snapshot of the endpoint's section as CSV bytes, as of the start of the world's day."""
    section = call.endpoint.section
    day = call.t - call.t % DAY
    make = {"user": _users, "faction": _factions, "company": _companies}[section]
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS[section].split(","))
    writer.writerows(make(call.world, day))
    return text.getvalue().encode()


def _users(world: World, t: int) -> list[list[object]]:
    rows: list[list[object]] = []
    for home in FACTIONS:
        for person in people.members(world.seed, home, t):
            rng = Rng(world.seed, "file", person.code)
            signed = person.joined - rng.between(1, 2_000) * DAY
            name, gender = (f(world.seed, person.code) for f in (people.name, people.gender))
            level = people.level(world.seed, person, t)
            rows.append(
                [
                    *(person.id, name, gender, signed, level, rng.pick(_RANKS)),
                    *(int(rng.chance(0.5)), home.id, rng.pick(("", 79_286, 81_002)), ""),
                    *("", rng.between(0, 1), rng.between(0, 1), 0, ""),
                    *(max(0, t - signed) // 9, rng.between(3, 900)),
                ]
            )
    return rows


def _factions(world: World, t: int) -> list[list[object]]:
    rows: list[list[object]] = []
    for home in FACTIONS:
        held = [person.id for person in people.members(world.seed, home, t)]
        days = (t - home.founded) // DAY
        rows.append(
            [
                *(home.id, home.name, home.tag, f"{home.id}-0.png", f"1-{home.id}.jpg"),
                *(people.leader(home, 0), people.leader(home, 1), days * 900, days),
                *(home.index + 3, len(held), home.seats + 2, held, 1, ""),
            ]
        )
    return rows


def _companies(world: World, t: int) -> list[list[object]]:
    rows: list[list[object]] = []
    for number in range(40):
        rng = Rng(world.seed, "company", number)
        age, staff = rng.between(0, 3_000), rng.between(0, 10)
        daily = rng.between(0, 900_000) if staff else 0
        rows.append(
            [
                *(80_000 + number * 13, f"Shop & Sons, No. {number}", t - age * DAY, age, ""),
                *(rng.between(1, 40), rng.between(0, 10), rng.between(150_001, 3_000_000)),
                *(staff, 10, daily, daily // 900, daily * 7, daily // 130, 1),
            ]
        )
    return rows
