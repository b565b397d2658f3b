"""`schema history|show|diff`: every version of a table, and why it came to be."""

import json
from importlib.resources import files

import pytest

SHIPPED = files("tcdatalogger.services.torncity").joinpath("catalog.json").read_bytes()
MEMBERS = '[[endpoints]]\nname = "faction_members"\npath = "/faction/members"\n'


@pytest.fixture
def versions(workplace, city):
    """Members after a first load, a drift, a newer catalogue, and the older one again.

    Returns the runs.
    """
    workplace.write(MEMBERS)
    older = json.loads(SHIPPED)
    older["version"] = "6.0.0"
    del older["shapes"]["FactionMember"]["object"]["position"]
    (workplace.folder / "older.json").write_text(json.dumps(older))
    runs = []

    def run(*words):
        workplace.clock.sleep(60)
        done = workplace.run("run", "faction_members", "--json", *words)
        assert done.code == 0
        runs.append(done.json[0]["run_id"])

    workplace.run("catalog", "use", "older.json")
    run("--set", "contract=quarantine")
    city.fault("map", path="/faction/members", times=1)
    run()
    workplace.run("catalog", "use", "--shipped")
    run()
    workplace.run("catalog", "use", "older.json")
    run()
    return runs


def test_each_version_has_its_cause_its_run_and_its_catalogue(workplace, versions):
    found = workplace.run("schema", "history", "faction_members", "--json").json

    assert [(v["version"], v["cause"], v["run_id"]) for v in found][:2] == [
        (1, "first load", versions[0]),
        (2, "drift", versions[1]),
    ]
    assert found[1]["diff"] == [
        "+ faction_members._key text",
        "+ faction_members.position text",
    ]
    assert [v["catalog_version"] for v in found] == ["6.0.0", "6.0.0"]
    assert all("columns" not in version for version in found)


def test_a_newer_catalogue_is_the_cause_of_a_version(workplace):
    workplace.write(MEMBERS)
    older = json.loads(SHIPPED)
    older["version"] = "6.0.0"
    del older["shapes"]["FactionMember"]["object"]["position"]
    (workplace.folder / "older.json").write_text(json.dumps(older))
    workplace.run("catalog", "use", "older.json")
    workplace.run("run", "faction_members", "--set", "contract=quarantine")
    workplace.clock.sleep(60)
    workplace.run("catalog", "use", "--shipped")
    workplace.run("run", "faction_members")

    found = workplace.run("schema", "history", "faction_members", "--json").json

    told = [(v["version"], v["cause"], v["catalog_version"], v["diff"]) for v in found]
    assert told == [
        (1, "first load", "6.0.0", ["+ table faction_members"]),
        (2, "catalogue change", "6.13.6", ["+ faction_members.position text"]),
    ]


def test_versions_never_go_down_though_the_catalogue_does(workplace, versions):
    found = workplace.run("schema", "history", "faction_members", "--json").json

    numbers = [version["version"] for version in found]
    assert numbers == sorted(set(numbers))
    (status,) = workplace.run("run", "faction_members", "--json").json
    assert status["schema_version"] == max(numbers)


def test_a_version_shows_its_columns(workplace, versions):
    newest = workplace.run("schema", "show", "faction_members", "--json").json
    first = workplace.run("schema", "show", "faction_members", "--version", "1", "--json").json

    ours = {column["name"]: column for column in newest["columns"]}
    assert ours["_key"]["learned"]
    assert ours["level"]["type"] == "int"
    assert not {"_key", "position"} & {column["name"] for column in first["columns"]}
    shown = workplace.run("schema", "show", "faction_members").out
    assert "faction_members version 2   key: id   drift" in shown
    assert "learned from data" in shown


def test_two_versions_are_compared(workplace, versions):
    found = workplace.run("schema", "diff", "faction_members", "1", "2", "--json").json

    assert sorted((c["change"], c["column"], c["after"]) for c in found) == [
        ("+", "_key", "text"),
        ("+", "position", "text"),
    ]
    back = workplace.run("schema", "diff", "faction_members", "2", "1", "--json").json
    assert {c["change"] for c in back} == {"-"}
    assert "_key" in workplace.run("schema", "diff", "faction_members", "1", "2").out


def test_all_tables_of_an_endpoint_are_listed_and_one_is_to_be_chosen(workplace):
    workplace.write('[[endpoints]]\nname = "oc"\npath = "/faction/crimes"\ntable = "crimes"\n')
    workplace.run("run", "oc")

    found = workplace.run("schema", "history", "oc", "--json").json
    assert [(v["table_name"], v["version"]) for v in found] == [
        ("crimes", 1),
        ("crimes_rewards_items", 1),
        ("crimes_slots", 1),
    ]
    assert "first load" in workplace.run("schema", "history", "crimes_slots").out
    done = workplace.run("schema", "show", "oc")
    assert done.code == 2
    assert "crimes_slots" in done.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("history", "faction_member"), "Did you mean 'faction_members'?"),
        (("show", "faction_members", "--version", "9"), "It has 1 to 1."),
        (("diff", "faction_members", "1", "4"), "has no version 4"),
        (("show", "faction_members", "--version", "0"), "0 is not in the range"),
    ],
)
def test_what_was_never_stored_is_a_mistake_that_names_the_near(workplace, words, says):
    workplace.write(MEMBERS)
    workplace.run("run", "faction_members")

    done = workplace.run("schema", *words)

    assert done.code == 2
    assert says in done.err


def test_before_the_first_load_there_is_nothing_to_show(workplace):
    done = workplace.run("schema", "history", "faction_members")

    assert done.code == 69
    assert "There is no warehouse" in done.err
