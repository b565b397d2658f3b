"""`schema history|show|diff`: every version of a table, and why it came to be."""

import json
from importlib.resources import files

import pytest

SHIPPED = files("tcdatalogger.services.torncity.catalog").joinpath("catalog.json").read_bytes()
MEMBERS = '[[endpoints]]\nname = "faction_members"\npath = "/faction/members"\n'


def fill(place):
    place.write(MEMBERS)
    older = json.loads(SHIPPED)
    older["version"] = "6.0.0"
    del older["shapes"]["FactionMember"]["object"]["position"]
    (place.folder / "older.json").write_text(json.dumps(older))
    runs = []

    def run(*words):
        place.clock.sleep(60)
        done = place.run("run", "faction_members", "--json", *words)
        assert done.code == 0
        runs.append(done.json[0]["run_id"])

    place.run("catalog", "use", "older.json")
    run("--set", "contract=quarantine")
    place.city.fault("map", path="/faction/members", times=1)
    run()
    place.run("catalog", "use", "--shipped")
    run()
    place.run("catalog", "use", "older.json")
    run()
    return runs


@pytest.fixture
def versions(once):
    """Members after a first load, a drift, a newer catalogue, and the older one again.

    Returns the runs.
    """
    return once(fill)


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
        (("show", "faction_members", "--version", "9"), "It has version 1 alone"),
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


# `schema apply` and `schema rollback`

RENAMED = MEMBERS + 'columns = { level = "rank", status_state = "state" }\n'


def load_members(workplace, code=0):
    workplace.clock.sleep(60)
    done = workplace.run("run", "faction_members", "--json")
    assert done.code == code, done.err
    return done


def test_a_new_name_is_shown_accepted_and_then_loaded_under(workplace):
    workplace.write(MEMBERS)
    load_members(workplace)
    levels = workplace.sql("select level from faction_members order by id")
    workplace.write(RENAMED)

    refused = load_members(workplace, 65)
    shown = workplace.run("schema", "apply", "faction_members", "--dry-run")
    asked = workplace.run("schema", "apply", "faction_members")
    assert "level" in workplace.sql("from faction_members limit 1")[0]
    done = workplace.run("schema", "apply", "faction_members", "--accept", "--json")
    load_members(workplace)

    error = refused.json[0]["error"]
    assert "tcdatalogger schema apply faction_members --accept" in error["remedy"]
    assert "~ faction_members.level renamed to rank" in error["message"]
    assert shown.out.splitlines()[0] == "~ faction_members.level renamed to rank   renamed column"
    assert "dry run" in shown.out
    assert (shown.code, asked.code, done.code) == (0, 65, 0)
    assert "--accept" in asked.err
    assert done.json["applied"]
    assert [step["change"] for step in done.json["steps"]] == ["renamed column"] * 2
    ranks = workplace.sql("select rank from faction_members where _run_id = "
                          "(select min(_run_id) from faction_members) order by id")  # fmt: skip
    assert [row["rank"] for row in ranks] == [row["level"] for row in levels]
    assert workplace.value("select count(*) from faction_members where state is null") == 0


def test_the_next_load_waits_for_nothing_when_there_is_nothing_to_change(workplace):
    workplace.write(MEMBERS)
    load_members(workplace)

    done = workplace.run("schema", "apply", "faction_members", "--json")

    assert (done.code, done.json["steps"], done.json["applied"]) == (0, [], False)
    assert "fit already" in workplace.run("schema", "apply", "faction_members").out


def test_an_endpoint_that_never_ran_gets_its_tables(workplace):
    workplace.write(MEMBERS)

    assert workplace.run("schema", "apply", "faction_members").code == 0

    assert workplace.value("select count(*) from faction_members") == 0
    load_members(workplace)


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ('{ level = "name" }', "two columns of the name name"),
        ('{ levle = "rank" }', "did you mean 'level'"),
        ('{ level = "Rank" }', "columns.level"),
    ],
)
def test_names_that_cannot_be_are_found_before_anything_is_stored(workplace, columns, why):
    workplace.write(f"{MEMBERS}columns = {columns}\n")

    assert why in workplace.run("check", "--offline").out + workplace.run("check").err
    assert workplace.run("run", "faction_members").code == 78
    assert not workplace.warehouse.exists() or workplace.sql("show tables") == []


def test_two_endpoints_of_a_table_need_the_same_names(workplace):
    both = RENAMED + '[[endpoints]]\nname = "b"\ntable = "faction_members"\n'
    workplace.write(both + 'path = "/faction/members"\n')

    done = workplace.run("check", "--offline")

    assert done.code == 78
    assert "otherwise than 'faction_members'" in done.err


def test_the_crimes_that_wait_for_their_pay_are_found_under_names_of_ones_own(workplace):
    crimes = '[[endpoints]]\nname = "c"\npath = "/faction/crimes"\nincremental = true\n'
    names = '{ id = "crime", status = "what", executed_at = "done", rewards_payout_paid_at = "p" }'
    workplace.write(f"{crimes}columns = {names}\n")

    for _ in range(2):
        workplace.clock.sleep(60)
        assert workplace.run("run", "c").code == 0

    assert workplace.value("select count(*) from c where crime is null") == 0
    assert workplace.value("select count(*) - count(distinct crime) from c") == 0


def test_a_key_may_be_named_by_either_name(workplace):
    for key in ("id", "member"):
        workplace.write(f'{MEMBERS}columns = {{ id = "member" }}\nkey = ["{key}"]\n')
        assert workplace.run("check", "--offline").code == 0
        load_members(workplace)
    assert json.loads(workplace.value("select key from _tcd_schemas")) == ["member"]


def test_a_schema_is_rolled_back_shown_first_and_told_what_comes_next(workplace, versions):
    before = workplace.sql("from _tcd_schemas")

    shown = workplace.run("schema", "rollback", "faction_members", "1", "--dry-run", "--json")
    assert workplace.sql("from _tcd_schemas") == before
    done = workplace.run("schema", "rollback", "faction_members", "1")

    assert shown.json["steps"] != []
    assert not shown.json["applied"]
    assert (shown.code, done.code) == (0, 0)
    assert "- faction_members._key text" in done.out
    last = workplace.run("schema", "history", "faction_members", "--json").json[-1]
    assert last["cause"] == "schema rollback to 1"
    assert last["version"] > before[-1]["version"]
    row = workplace.sql("from faction_members limit 1")[0]
    assert not {"_key", "position"} & set(row)
    assert "position" in workplace.sql("from _tcd_before_faction_members limit 1")[0]


def test_a_version_or_a_name_that_never_was_is_a_wrong_command(workplace, versions):
    assert workplace.run("schema", "rollback", "faction_members", "99").code == 2
    wrong = workplace.run("schema", "rollback", "faction_membres", "1")
    assert wrong.code == 2
    assert "'faction_members'" in wrong.err


def test_the_catalogue_that_still_has_a_column_is_told(workplace):
    workplace.write(MEMBERS)
    older = json.loads(SHIPPED)
    older["version"] = "6.0.0"
    del older["shapes"]["FactionMember"]["object"]["position"]
    (workplace.folder / "older.json").write_text(json.dumps(older))
    workplace.run("catalog", "use", "older.json")
    workplace.run("run", "faction_members", "--set", "contract=quarantine")
    workplace.run("catalog", "use", "--shipped")
    load_members(workplace)

    done = workplace.run("schema", "rollback", "faction_members", "1")

    assert "+ faction_members.position text" in done.out.splitlines()[-1]


def test_a_rebuild_after_a_renaming_gives_the_same_rows(workplace):
    workplace.write(MEMBERS)
    load_members(workplace)
    load_members(workplace)
    workplace.write(RENAMED)
    workplace.run("schema", "apply", "faction_members", "--accept")
    before = workplace.sql("from faction_members order by all")

    assert workplace.run("rebuild", "faction_members").code == 0

    assert workplace.sql("from faction_members order by all") == before
    assert "rank" in before[0]
