"""Odd bodies through the whole program: what is kept, what is learned, what is set aside, and how
the run ends. The numbers are those of the notes on Torn's API (section 1.1); how single values are
read is shown in tests/models/cases.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

MEMBERS = '[[endpoints]]\nname = "faction_members"\npath = "/faction/members"\n'
MEMBER = {"id": 1, "name": "Ann", "level": 7, "position": "Leader"}
CRIME = {"id": 9, "name": "Pet Project", "difficulty": 1, "status": "Planning"}


@pytest.fixture
def place(workplace):
    """A place with the fullest key."""
    workplace.key = workplace.city.keys["full"]
    workplace.write(MEMBERS)
    return workplace


def run(place, *words, name="odd"):
    """Run an endpoint: the exit code and what was told of it."""
    place.clock.sleep(60)
    done = place.run("run", name, "--json", *words)
    return done.code, done.json[0]


@dataclass
class Odd:
    """A body that is odd but good.

    Attributes:
        rows: columns of the root table and the values in them, a list for each row.
        drift: table, column, type and example of what is new.
        beside: queries of other tables, each with its one value.
        more: a line of the configuration.
    """

    number: str
    path: str
    body: Any
    rows: dict[str, list[Any]]
    drift: list[tuple[str, str, str, str]] = field(default_factory=list)
    beside: dict[str, Any] = field(default_factory=dict)
    more: str = ""


def members(*found, **more):
    return {"members": [{**MEMBER, "id": at, **one} for at, one in enumerate(found, 1)], **more}


GOOD = [
    Odd(
        "1 2: values that no list of values has",
        "/faction/members",
        members({"status": {"state": "Okay"}}, {"status": {"state": "In orbit"}}),
        {"id": [1, 2], "status_state": ["Okay", "In orbit"]},
    ),
    Odd(
        "5: money past 32 bits",
        "/faction/crimes",
        {"crimes": [{**CRIME, "rewards": {"money": 51_000_000_000, "respect": -1}}]},
        {"id": [9], "rewards_money": [51_000_000_000], "rewards_respect": [-1]},
    ),
    Odd(
        "7: no bonus, so its numbers are null",
        "/user/stocks",
        {"stocks": [{"id": 1, "shares": 2, "bonus": {"available": False, "increment": None}}]},
        {"id": [1], "bonus_increment": [None], "bonus_available": [False]},
    ),
    Odd(
        "8: a war without an end has 0 or null, and both are kept",
        "/faction/rankedwars",
        {"rankedwars": [{"id": 1, "start": 5, "end": 0}, {"id": 2, "start": 5, "end": None}]},
        {"id": [1, 2], 'epoch("end")': [0, None]},
    ),
    Odd(
        "9: a racket with more than is announced",
        "/faction/territory",
        {
            "territory": [
                {"id": "AAA", "racket": {"name": "R", "territory": "AAA", "faction_id": 3}}
            ]
        },
        {
            "id": ["AAA"],
            "racket_name": ["R"],
            "racket_territory": ["AAA"],
            "racket_faction_id": [3],
        },
        [
            ("odd", "racket_territory", "text", '"AAA"'),
            ("odd", "racket_faction_id", "int", "3"),
        ],
    ),
    Odd(
        "10: more metadata than is announced",
        "/user/list",
        {"list": [{"id": 1, "name": "Ann"}], "_metadata": {"links": {"next": None}, "total": 1}},
        {"id": [1], "name": ["Ann"]},
        more='params = { cat = "Friends" }',
    ),
    Odd(
        "12: no organised crime",
        "/user/organizedcrime",
        {"organizedCrime": None},
        {"id": [None]},
    ),
    Odd(
        "13a: a map where a list was promised",
        "/faction/crimes",
        {"crimes": {"17": CRIME, "18": {**CRIME, "id": 10}}},
        {"id": [9, 10], "_key": ["17", "18"]},
        [("odd", "_key", "text", '"17"')],
    ),
    Odd(
        "14: null details, and life that is not in the document",
        "/faction/members",
        members({"status": {"details": None, "until": None}, "life": {"current": 5}}),
        {"id": [1], "status_details": [None], "status_until": [None], "life_current": [5]},
        [("odd", "life_current", "int", "5")],
    ),
    Odd(
        "15: honours of three kinds in one list",
        "/torn/honors",
        {
            "honors": [
                {"id": 1, "name": "A", "circulation": 3, "rarity": "Rare"},
                {"id": 2, "name": "B"},
                {"id": 3, "name": "C", "crimes_version": "v1"},
            ]
        },
        {
            "id": [1, 2, 3],
            "circulation": [3, None, None],
            "crimes_version": [None, None, "v1"],
        },
    ),
    Odd(
        "16: a log with decimals as texts, and [] for {}",
        "/user/log",
        {
            "log": [
                {"id": "a", "data": {"defense_before": "7566.34", "n": 1}, "params": {}},
                {"id": "b", "data": [], "params": []},
            ]
        },
        {
            "id": ["a", "b"],
            "data::varchar": ['{"defense_before":"7566.34","n":1}', "[]"],
            "params::varchar": ["{}", "[]"],
        },
    ),
    Odd(
        "16: [] where an object belongs",
        "/faction/members",
        members({"status": [], "last_action": []}),
        {"id": [1], "status_state": [None]},
    ),
    Odd(
        "17: a tag of digits as a number",
        "/faction/basic",
        {"basic": {"id": 7, "tag": 1312, "name": "Seven"}},
        {"id": [7], "tag": ["1312"]},
        [("odd", "tag", "text", "1312")],
    ),
    Odd(
        "18: an empty text is no null",
        "/user/discord",
        {"discord": {"discord_id": "", "user_id": 4}},
        {"discord_id": [""], "user_id": [4]},
    ),
    Odd(
        "20: companies as a map from their ids",
        "/torn/companies",
        {"companies": {"1": {"name": "Shop", "cost": 5, "positions": {"Boss": {"ability": "x"}}}}},
        {"name": ["Shop"], "_key": ["1"], "id": [None]},
        [("odd", "_key", "text", '"1"'), ("odd_positions", "_key", "text", '"Boss"')],
        {"select ability from odd_positions": "x"},
    ),
    Odd(
        "20: a networth of flat numbers",
        "/user/networth",
        {"networth": {"pending": 1, "wallet": -2, "total": 37_869_259_599, "parsetime": 0.5}},
        {"pending": [1], "wallet": [-2], "parsetime": [0.5], "money_wallet": [None]},
        [
            ("odd", "pending", "int", "1"),
            ("odd", "wallet", "int", "-2"),
            ("odd", "parsetime", "float", "0.5"),
        ],
    ),
    Odd(
        "21: fields that are removed by now",
        "/faction/crimes",
        {"crimes": [{**CRIME, "slots": [{"position_id": "P1", "position_number": 1}]}]},
        {"id": [9]},
        [
            ("odd_slots", "position_id", "text", '"P1"'),
            ("odd_slots", "position_number", "int", "1"),
        ],
        {"select position_number from odd_slots": 1},
    ),
    Odd(
        "22: an older record without what is required now",
        "/user/attacks",
        {"attacks": [{"id": 1, "code": "c", "started": 5, "ended": 6}]},
        {"id": [1], "is_territory_war": [None], "territory_war_id": [None]},
    ),
    Odd(
        "23: names of before a renaming",
        "/faction/crimes",
        {"crimes": [{**CRIME, "slots": [{"success_chance": 62, "user_id": 5, "user": None}]}]},
        {"id": [9]},
        [
            ("odd_slots", "success_chance", "int", "62"),
            ("odd_slots", "slot_user_id", "int", "5"),
        ],
        {"select success_chance from odd_slots": 62},
    ),
    Odd(
        "24: a chain of null, and item details in an object or a list",
        "/user/attacks",
        {"attacks": [{"id": 1, "chain": None}, {"id": 2, "chain": 0}]},
        {"id": [1, 2], "chain": [None, 0]},
    ),
    Odd(
        "24: item details in a list",
        "/torn/{ids}/itemdetails",
        {"itemdetails": [{"id": 1}]},
        {"itemdetails::varchar": ['[{"id":1}]']},
        more="ids = [1]",
    ),
    Odd(
        "25: a crime of before the times were noted",
        "/faction/crimes",
        {"crimes": [{**CRIME, "executed_at": None, "slots": [{"user": {"outcome": None}}]}]},
        {"id": [9], "executed_at": [None]},
        beside={"select count(*) from odd_slots": 1},
    ),
]


@pytest.mark.parametrize("odd", GOOD, ids=lambda odd: odd.number)
def test_an_odd_body_is_stored_whole_and_what_is_new_is_noted(place, says, odd):
    place.write(f'[[endpoints]]\nname = "odd"\npath = "{odd.path}"\n{odd.more}\n')
    says(odd.path.replace("{ids}", "1"), odd.body)

    code, told = run(place, "--strict")

    assert (code, told["status"], told["quarantined"]) == (0, "done", 0)
    columns = ", ".join(f"{name} as c{at}" for at, name in enumerate(odd.rows))
    found = place.sql(f"select {columns} from odd order by rowid")
    assert [list(row.values()) for row in found] == list(map(list, zip(*odd.rows.values())))  # noqa: B905
    for query, value in odd.beside.items():
        assert place.value(query) == value
    drift = place.sql("from _tcd_drift")
    told_drift = [(d["table_name"], d["column_name"], d["type"], d["example"]) for d in drift]
    if odd.drift:
        assert sorted(told_drift) == sorted(odd.drift)
    assert {(d["run_id"], d["endpoint"], d["cause"]) for d in drift} <= {
        (told["run_id"], "odd", "unknown to the catalogue")
    }
    assert told["drift"] == len(drift)


BAD = [
    ("3: an error without its wrapper", "/faction/basic", {"code": 16, "error": "low"}, 77),
    ("12: an error inside", "/user/organizedcrime",
     {"organizedCrime": {"code": 27, "error": "Must be migrated"}}, 65),
    ("13: an error for a missing category", "/user/networth",
     {"error": {"code": 21, "error": "Incorrect category"}}, 65),
    ("an object without anything", "/faction/members", {}, 65),
    ("a page", "/faction/members", b"<html><h1>Torn is down</h1></html>", 69),
    ("nothing", "/faction/members", b"", 69),
    ("the first half", "/faction/members", b'{"members":[{"id":1},{"na', 65),
    ("null", "/faction/members", b"null", 69),
    ("a list", "/faction/members", b"[]", 65),
]  # fmt: skip


@pytest.mark.parametrize(("why", "path", "body", "exit_code"), BAD, ids=[b[0] for b in BAD])
def test_another_shape_altogether_fails_the_run_and_stays_in_the_archive(
    place, says, why, path, body, exit_code
):
    place.write(f'[[endpoints]]\nname = "odd"\npath = "{path}"\nstorage_mode = "replace"\n')
    assert run(place)[0] == 0
    before = place.sql("from odd"), place.sql("from _tcd_loads")
    says(path, body)

    code, told = run(place)

    assert (told["status"], code) == ("failed", exit_code)
    assert told["error"]["message"]
    assert (place.sql("from odd"), place.sql("from _tcd_loads")) == before
    assert (place.folder / "archive" / told["archive_file"]).exists()


def test_an_empty_list_is_no_rows_and_no_failure(place, says):
    says("/faction/members", {"members": []})

    code, told = run(place, "--strict", name="faction_members")

    assert (code, told["status"], told["rows"]) == (0, "done", {"faction_members": 0})
    assert place.value("select count(*) from faction_members") == 0


# Misfits

MISFITS = [
    ("a number that is a text", {"level": "high"}, "level", "a text in place of an integer"),
    ("a number that is a float", {"level": 7.5}, "level", "a decimal in place of an integer"),
    ("past 64 bits", {"level": 2**63}, "level", "9223372036854775808 does not fit into 64 bits"),
    ("an object where a number is due", {"level": {}}, "level", "an object in place of"),
    ("a text where an object is due", {"status": "Okay"}, "status", "a text in place of"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "odd", "path", "reason"), MISFITS, ids=[m[0] for m in MISFITS])
def test_one_record_that_does_not_fit_is_set_aside_alone_with_its_reason(
    place, says, what, odd, path, reason
):
    says("/faction/members", members({}, odd, {}))

    code, told = run(place, name="faction_members")

    assert (code, told["status"]) == (0, "done")
    assert (told["quarantined"], told["rows"]["faction_members"]) == (1, 2)
    (line,) = place.sql("from _tcd_quarantine")
    assert line["path"] == f"members[1].{path}"
    assert line["reason"].startswith(reason)
    assert json.loads(line["record"]) == {**MEMBER, "id": 2, **odd}
    assert (line["run_id"], line["endpoint"]) == (told["run_id"], "faction_members")
    assert line["archive_file"] == told["archive_file"]
    assert [row["id"] for row in place.sql("from faction_members order by id")] == [1, 3]
    assert place.value("select quarantined from _tcd_loads") == 1


RAW = [
    (b'{"members":[{"id":1,"level":NaN}]}', 65),
    (b'{"members":[{"id":1,"id":2,"name":"A"},{"id":3}]}', 0),
    (b'{"members":[{"id":1,"name":"\\ud800"},{"id":3}]}', 0),
    (b'{"members":[null,{"id":3},null]}', 0),
]


@pytest.mark.parametrize(
    ("raw", "exit_code"), RAW, ids=["NaN", "a key twice", "half a surrogate pair", "null records"]
)
def test_what_json_should_not_hold_is_never_stored_as_something_else(place, says, raw, exit_code):
    says("/faction/members", raw)

    code, told = run(place, name="faction_members")

    assert code == exit_code
    if code:
        assert told["status"] == "failed"
        assert not place.warehouse.exists() or not place.sql("select 1 from duckdb_tables()")
        return
    assert [row["id"] for row in place.sql("from faction_members")] == [3]
    assert told["quarantined"] == len(place.sql("from _tcd_quarantine")) > 0
    assert run(place, "--strict", name="faction_members")[0] == 65


def test_strict_ends_with_65_though_the_rest_is_stored(place, says):
    says("/faction/members", members({}, {"level": "high"}))

    code, told = run(place, "--strict", name="faction_members")

    assert (code, told["status"], told["quarantined"]) == (65, "done", 1)
    assert place.value("select count(*) from faction_members") == 1


def test_a_replace_whose_every_record_is_set_aside_keeps_the_old_rows(place, says):
    place.write(MEMBERS + 'storage_mode = "replace"\n')
    run(place, name="faction_members")
    says("/faction/members", members({"level": "a"}, {"level": "b"}))

    code, told = run(place, name="faction_members")

    assert (code, told["status"]) == (65, "failed")
    assert place.value("select count(*) from faction_members") == 30


# Contracts


@pytest.mark.parametrize(
    ("contract", "exit_code", "rows", "aside", "drift", "columns"),
    [
        ("evolve", 0, 2, 0, 2, {"mood", "karma"}),
        ("freeze", 65, 0, 0, 0, set()),
        ("quarantine", 0, 1, 1, 0, set()),
    ],
)
def test_the_contract_says_what_becomes_of_an_unknown_field(
    place, says, contract, exit_code, rows, aside, drift, columns
):
    place.write(MEMBERS + f'contract = "{contract}"\n')
    assert run(place, name="faction_members")[0] == 0
    before = place.value("select count(*) from faction_members")
    says("/faction/members", members({}, {"mood": "well", "karma": {"good": 1}}))

    code, told = run(place, name="faction_members")

    assert code == exit_code
    assert place.value("select count(*) from faction_members") - before == rows
    assert len(place.sql("from _tcd_quarantine")) == aside
    assert len(place.sql("from _tcd_drift")) == drift
    found = {row["column_name"] for row in place.sql("describe faction_members")}
    assert {"mood", "karma_good"} & found == ({"mood", "karma_good"} if columns else set())
    if contract == "freeze":
        assert "faction_members.mood (text)" in told["error"]["message"]
        assert "evolve" in told["error"]["remedy"]


def test_an_unknown_list_becomes_a_child_table_with_its_rows(place, says):
    says("/faction/members", members({"pets": [{"id": 5, "name": "Rex"}, {"id": 6}]}, {}))

    code, told = run(place, name="faction_members")

    assert code == 0
    assert told["rows"] == {"faction_members": 2, "faction_members_pets": 2}
    rows = place.sql("select member_id, pet_id, pet_name, _index from faction_members_pets")
    assert [list(row.values()) for row in rows] == [[1, 5, "Rex", 0], [1, 6, None, 1]]
    assert {d["table_name"] for d in place.sql("from _tcd_drift")} == {"faction_members_pets"}


def test_an_unknown_field_of_changing_kind_becomes_a_json_column(place, says):
    odd = [{"mood": 1}, {"mood": "well"}, {"mood": [1]}, {"mood": None}, {}]
    says("/faction/members", members(*odd))

    assert run(place, "--strict", name="faction_members")[0] == 0

    rows = place.sql("select mood::varchar as mood from faction_members order by id")
    assert [row["mood"] for row in rows] == ["1", '"well"', "[1]", None, None]
    (line,) = place.sql("select type, example from _tcd_drift")
    assert line["type"] == "json"


def test_what_was_learned_once_is_no_drift_again_and_stays_when_it_is_missing(place, says):
    says("/faction/members", members({"mood": "well"}), members({}), members({"mood": "ill"}))

    told = [run(place, name="faction_members")[1] for _ in range(3)]

    assert [one["drift"] for one in told] == [1, 0, 0]
    rows = place.sql("select mood from faction_members order by rowid")
    assert [row["mood"] for row in rows] == ["well", None, "ill"]
    assert len(place.sql("from _tcd_drift")) == 1


def test_what_was_learned_is_frozen_with_the_rest(place, says):
    says("/faction/members", members({"mood": "well"}))
    assert run(place, name="faction_members")[0] == 0
    place.write(MEMBERS + 'contract = "freeze"\n')

    assert run(place, name="faction_members")[0] == 0
    says("/faction/members", members({"mood": "well", "karma": 1}))
    assert run(place, name="faction_members")[0] == 65
    assert place.value("select count(mood) from faction_members") == 2


def test_nothing_is_learned_under_quarantine_but_the_other_records_are_stored(place, says):
    place.write(MEMBERS + 'contract = "quarantine"\n')
    deep = {"status": {"state": "Okay", "mood": {"well": True}}}
    says("/faction/members", members({}, deep, {"new": None}))

    code, told = run(place, "--strict", name="faction_members")

    assert (code, told["status"], told["rows"]["faction_members"]) == (65, "done", 1)
    assert [line["path"] for line in place.sql("from _tcd_quarantine order by path")] == [
        "members[1].status.mood",
        "members[2].new",
    ]


# Repeats


def pages(place, *found):
    """Bodies of crimes that follow each other by their links."""
    url = f"{place.city.url}/faction/crimes?offset="
    last = len(found) - 1
    return [
        {
            "crimes": crimes,
            "_metadata": {
                "links": {"prev": None, "next": None if at == last else f"{url}{at + 1}"}
            },
        }
        for at, crimes in enumerate(found)
    ]


def test_a_record_at_the_boundary_of_two_pages_counts_once(place, says):
    """Number 6: cursors are inclusive."""
    crimes = [{**CRIME, "id": n, "slots": [{"position": "P"}]} for n in range(4)]
    place.write('[[endpoints]]\nname = "odd"\npath = "/faction/crimes"\nincremental = false\n')
    says("/faction/crimes", *pages(place, crimes[:2], crimes[1:3], crimes[2:]))

    code, told = run(place, "--strict")

    assert (code, told["calls"], told["repeated"], told["quarantined"]) == (0, 4, 2, 0)
    assert [row["id"] for row in place.sql("from odd order by id")] == [0, 1, 2, 3]
    assert place.value("select count(*) from odd_slots") == 4


def test_of_a_record_that_changed_between_two_pages_the_later_stands(place, says):
    place.write('[[endpoints]]\nname = "odd"\npath = "/faction/crimes"\nincremental = false\n')
    later = {**CRIME, "status": "Successful", "slots": [{"position": "P"}]}
    says("/faction/crimes", *pages(place, [CRIME], [later, {**CRIME, "id": 10}]))

    code, told = run(place)

    assert (code, told["repeated"], told["quarantined"]) == (0, 1, 1)
    rows = place.sql("select id, status from odd order by id")
    assert [tuple(row.values()) for row in rows] == [(9, "Successful"), (10, "Planning")]
    (line,) = place.sql("from _tcd_quarantine")
    assert (line["page"], line["again"]) == (0, False)
    assert json.loads(line["record"])["status"] == "Planning"


def test_the_same_id_of_two_subjects_is_two_records(place, says):
    place.write('[[endpoints]]\nname = "odd"\npath = "/faction/{id}/members"\nids = [1, 2]\n')
    for subject in (1, 2):
        says(f"/faction/{subject}/members", members({}))

    code, told = run(place)

    assert (code, told["repeated"]) == (0, 0)
    rows = place.sql("select id, _subject_id from odd order by _subject_id")
    assert [tuple(row.values()) for row in rows] == [(1, 1), (1, 2)]


@pytest.mark.slow
def test_fifty_megabytes_in_one_body_are_stored(place, says):
    one = {**MEMBER, "name": "x" * 900}
    count = 55_000
    says("/faction/members", {"members": [{**one, "id": number} for number in range(count)]})

    code, told = run(place, "--strict", name="faction_members")

    assert (code, told["rows"]["faction_members"]) == (0, count)
    assert told["bytes"] > 50_000_000
    assert place.value("select count(distinct id) from faction_members") == count
