"""`quarantine list|show|retry`: what was set aside is seen, and stored once when it fits."""

import json
from importlib.resources import files

import pytest

SHIPPED = files("tcdatalogger.services.torncity.catalog").joinpath("catalog.json").read_bytes()
MEMBERS = '[[endpoints]]\nname = "faction_members"\npath = "/faction/members"\n'
CRIMES = '[[endpoints]]\nname = "faction_crimes"\npath = "/faction/crimes"\n'
STRICT = 'contract = "quarantine"\n'


@pytest.fixture
def older(workplace):
    """Put a catalogue to use whose members lack a field."""

    def older(field):
        facts = json.loads(SHIPPED)
        facts["version"] = "6.0.0"
        del facts["shapes"]["FactionMember"]["object"][field]
        (workplace.folder / "older.json").write_text(json.dumps(facts))
        assert workplace.run("catalog", "use", "older.json").code == 0

    return older


def log(workplace, name="faction_members", code=0, *words):
    workplace.clock.sleep(60)
    done = workplace.run("run", name, "--json", *words)
    assert done.code == code
    return done.json[0]


def listed(workplace, *words):
    return workplace.run("quarantine", "list", "--json", *words).json


def test_what_was_set_aside_is_listed_and_shown_with_its_reason_and_its_run(workplace, older):
    older("position")
    workplace.write(MEMBERS + STRICT + CRIMES)
    run = log(workplace)
    log(workplace, "faction_crimes")

    found = listed(workplace)
    assert len(found) == run["quarantined"] == 30
    assert {(line["run_id"], line["reason"]) for line in found} == {
        (run["run_id"], "the catalogue does not know this field")
    }
    assert [line["path"] for line in found[:2]] == ["members[0].position", "members[1].position"]
    assert listed(workplace, "--endpoint", "faction_crimes") == []
    shown = workplace.run("quarantine", "show", found[0]["quarantine_id"])
    assert run["run_id"] in shown.out
    record = json.loads(shown.out.splitlines()[-1])
    assert record["position"]
    as_json = workplace.run("quarantine", "show", found[0]["quarantine_id"], "--json").json
    assert json.loads(as_json["record"]) == record
    assert "30 set aside." in workplace.run("quarantine", "list").out


def test_with_the_newer_catalogue_they_are_stored_once_with_their_own_run_time_and_subject(
    workplace, older
):
    older("position")
    workplace.write(MEMBERS + STRICT)
    run = log(workplace)
    then = workplace.city.now()
    workplace.run("catalog", "use", "--shipped")
    workplace.clock.sleep(86_400)

    done = workplace.run("quarantine", "retry", "--endpoint", "faction_members", "--json")
    assert (done.code, done.json["tried"], len(done.json["stored"])) == (0, 30, 30)
    for words in (("--all",), ("--endpoint", "faction_members")):
        assert workplace.run("quarantine", "retry", *words, "--json").json == {
            "tried": 0,
            "stored": [],
        }

    assert listed(workplace) == []
    rows = workplace.sql(
        "select count(*) n, count(distinct id) ids, count(position) p, any_value(_run_id) run, "
        "count(distinct _run_id) runs, any_value(_subject_id) subject, "
        "epoch(any_value(server_timestamp)) since from faction_members"
    )
    assert rows == [
        {
            "n": 30,
            "ids": 30,
            "p": 30,
            "run": run["run_id"],
            "runs": 1,
            "subject": 40832,
            "since": then,
        }
    ]


def test_those_that_still_do_not_fit_stay(workplace, older, says, city):
    good = member(1)
    says("/faction/members", {"members": [good, {**good, "id": 2, "level": "high"}, member(3)]})
    older("position")
    workplace.write(MEMBERS + STRICT)
    log(workplace)
    workplace.run("catalog", "use", "--shipped")

    done = workplace.run("quarantine", "retry", "--all", "--json")

    assert (done.json["tried"], len(done.json["stored"])) == (3, 2)
    assert [row["id"] for row in workplace.sql("from faction_members order by id")] == [1, 3]
    (left,) = listed(workplace)
    assert json.loads(left["record"])["id"] == 2
    again = workplace.run("quarantine", "retry", left["quarantine_id"])
    assert (again.code, again.out) == (0, "0 of 1 are stored now.\n")
    assert len(listed(workplace)) == 1


def test_only_the_records_that_are_named_are_tried(workplace, older):
    older("position")
    workplace.write(MEMBERS + STRICT)
    log(workplace)
    workplace.run("catalog", "use", "--shipped")
    wanted = [line["quarantine_id"] for line in listed(workplace)[:2]]

    done = workplace.run("quarantine", "retry", *wanted, "--json")

    assert sorted(done.json["stored"]) == sorted(wanted)
    assert workplace.value("select count(*) from faction_members") == 2
    assert len(listed(workplace)) == 28


def test_in_replace_mode_only_records_of_the_newest_run_are_stored(workplace, says):
    says("/faction/members", {"members": [member(1), {**member(2), "odd": 1}]})
    workplace.write(MEMBERS + STRICT + 'storage_mode = "replace"\n')
    for tags in ("true", "false"):  # two questions, so that there is something new to store
        log(workplace, "faction_members", 0, "--set", f"params.striptags={tags}")
    old, new = (line["quarantine_id"] for line in listed(workplace))
    workplace.write(MEMBERS + 'storage_mode = "replace"\n')

    done = workplace.run("quarantine", "retry", "--all", "--json")

    assert done.json["stored"] == [new]
    assert [line["quarantine_id"] for line in listed(workplace)] == [old]
    assert workplace.sql("select id, odd from faction_members order by id") == [
        {"id": 1, "odd": None},
        {"id": 2, "odd": 1},
    ]


def test_a_record_that_came_twice_and_had_changed_is_not_tried_again(workplace, says):
    says("/faction/members", {"members": [member(1), {**member(1), "level": 5}]})
    workplace.write(MEMBERS)
    run = log(workplace)
    assert (run["quarantined"], run["repeated"], run["rows"]["faction_members"]) == (1, 1, 1)

    done = workplace.run("quarantine", "retry", "--all", "--json")

    assert done.json == {"tried": 1, "stored": []}
    assert workplace.value("select level from faction_members") == 5
    (line,) = listed(workplace)
    assert line["reason"] == "it came again with other values: id 1"
    assert json.loads(line["record"])["level"] == 99


def test_a_record_whose_id_the_same_run_has_stored_stays_where_it_is(workplace, says):
    says("/faction/members", {"members": [member(1), {**member(1), "odd": 1}, member(2)]})
    workplace.write(MEMBERS + STRICT)
    log(workplace)
    workplace.write(MEMBERS)

    done = workplace.run("quarantine", "retry", "--all", "--json")

    assert done.json == {"tried": 1, "stored": []}
    assert [row["id"] for row in workplace.sql("from faction_members order by id")] == [1, 2]
    assert len(listed(workplace)) == 1


def test_a_frozen_endpoint_takes_nothing_new_from_the_quarantine(workplace, says):
    says("/faction/members", {"members": [{**member(1), "odd": 1}]})
    workplace.write(MEMBERS + STRICT)
    log(workplace)
    workplace.write(MEMBERS + 'contract = "freeze"\n')

    done = workplace.run("quarantine", "retry", "--all")

    assert done.code == 65
    assert "frozen" in done.err
    assert len(listed(workplace)) == 1


def test_a_row_of_a_snapshot_is_tried_again_as_csv(workplace, says):
    says("/company/snapshot", b'id,name,odd\n1,"A, ""B""",x\n2,,\n')
    snapshots = '[[endpoints]]\nname = "companies"\npath = "/company/snapshot"\n'
    workplace.write(snapshots + STRICT)
    assert log(workplace, "companies")["quarantined"] == 2
    workplace.write(snapshots)

    done = workplace.run("quarantine", "retry", "--all", "--json")

    assert len(done.json["stored"]) == 2
    assert workplace.sql("select id, name, odd from companies order by id") == [
        {"id": 1, "name": 'A, "B"', "odd": "x"},
        {"id": 2, "name": None, "odd": None},
    ]


def test_a_whole_body_that_was_set_aside_is_tried_again(workplace, says):
    whole = {"basic": {"id": 7, "name": "Seven", "tag": "7", "odd": {"deep": [1]}}}
    says("/faction/basic", whole)
    basic = '[[endpoints]]\nname = "faction_basic"\npath = "/faction/basic"\n'
    workplace.write(basic + STRICT)
    assert log(workplace, "faction_basic")["quarantined"] == 1
    workplace.write(basic)

    assert len(workplace.run("quarantine", "retry", "--all", "--json").json["stored"]) == 1
    assert workplace.sql("select id, name from faction_basic") == [{"id": 7, "name": "Seven"}]
    assert workplace.value("select value from faction_basic_odd_deep") == 1


def test_a_record_of_the_second_page_keeps_the_time_of_its_page(workplace, says):
    crimes = [{"id": n, "name": "A", "odd": n} for n in range(1, 3)]
    link = f"{workplace.city.url}/faction/crimes?offset=1"
    says(
        "/faction/crimes",
        {"crimes": crimes[:1], "_metadata": {"links": {"next": link, "prev": None}}},
        {"crimes": crimes[1:], "_metadata": {"links": {"next": None, "prev": None}}},
    )
    whole = CRIMES + "incremental = false\n"
    workplace.write(whole + STRICT)
    assert log(workplace, "faction_crimes")["quarantined"] == 2
    assert [line["page"] for line in listed(workplace)] == [0, 1]
    workplace.write(whole)

    workplace.run("quarantine", "retry", listed(workplace)[1]["quarantine_id"])

    assert workplace.sql("select id, odd from faction_crimes") == [{"id": 2, "odd": 2}]


@pytest.mark.parametrize(
    ("words", "code", "says_"),
    [
        (("show", "0-0"), 2, "No record 0-0 is in the quarantine."),
        (("retry", "0-0"), 2, "No record 0-0 is in the quarantine."),
        (("retry",), 2, "Say which records to try."),
        (("retry", "0-0", "--all"), 2, "Say which records to try."),
        (("list", "--endpoint", "faction_member"), 2, "Did you mean 'faction_members'?"),
    ],
)
def test_mistakes_are_told(workplace, words, code, says_):
    workplace.write(MEMBERS)
    log(workplace)

    done = workplace.run("quarantine", *words)

    assert done.code == code
    assert says_ in done.err


def test_before_the_first_load_there_is_nothing_to_list(workplace):
    assert workplace.run("quarantine", "list").code == 69


def member(number):
    """A member as Torn would send it."""
    return {"id": number, "name": f"M{number}", "level": 99, "position": "Leader"}
