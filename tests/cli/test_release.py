"""`catalog diff` and `catalog use`: another version of Torn's document."""

import json
from importlib.resources import files

import pytest

SHIPPED = files("tcdatalogger.services.torncity.catalog").joinpath("catalog.json").read_bytes()
MEMBERS = '[[endpoints]]\nname = "faction_members"\npath = "/faction/members"\n'
INT, TEXT, BOOL = {"type": "integer"}, {"type": "string"}, {"type": "boolean"}


def thing(**fields):
    element = {"type": "object", "properties": {"id": INT, **fields}, "required": ["id"]}
    things = {"type": "object", "properties": {"things": {"type": "array", "items": element}}}
    return {**things, "required": ["things"]}


def document(version, **paths):
    """Torn's document, as small as can be."""
    key = {"name": "key", "in": "query", "schema": {"type": "string"}}
    return {
        "openapi": "3.1.0",
        "info": {"version": version},
        "paths": {
            path.replace("__", "/"): {
                "get": {
                    "x-stability": "Stable",
                    "parameters": [{"$ref": "#/components/parameters/ApiKeyPublic"}],
                    "responses": {"200": {"content": {"application/json": {"schema": schema}}}},
                }
            }
            for path, schema in paths.items()
        },
        "components": {"schemas": {}, "parameters": {"ApiKeyPublic": key}},
    }


@pytest.fixture
def documents(workplace):
    """Two versions of a small document, as files."""
    going = {**TEXT, "deprecated": True, "description": "Will be removed on 1st January 2027."}
    older = document(
        "1.0.0",
        __torn__things=thing(name=TEXT, level=INT, old=TEXT),
        __torn__gone=thing(),
        __faction__members=thing(name=TEXT),
    )
    newer = document(
        "1.1.0",
        __torn__things=thing(
            name=TEXT, level=TEXT, new=BOOL, going=going, tags={"type": "array", "items": TEXT}
        ),
        __torn__came=thing(),
        __faction__members=thing(name=TEXT, days_in_faction=INT),
    )
    names = []
    for name, facts in (("old.json", older), ("new.json", newer)):
        (workplace.folder / name).write_text(json.dumps(facts))
        names.append(name)
    return names


@pytest.fixture
def older(workplace):
    """A compiled catalogue that lacks some fields of a member."""

    def older(*fields, name="older.json"):
        facts = json.loads(SHIPPED)
        facts["version"] = "6.0.0"
        for mark in fields:
            del facts["shapes"]["FactionMember"]["object"][mark]
        (workplace.folder / name).write_text(json.dumps(facts))
        return name

    return older


def test_the_difference_of_two_documents_names_endpoints_tables_columns_and_types(
    workplace, documents
):
    workplace.write(MEMBERS)
    found = workplace.run("catalog", "diff", *documents, "--json")

    assert found.code == 0
    assert (found.json["old"], found.json["new"]) == ("1.0.0", "1.1.0")
    by_path = {change["path"]: change for change in found.json["changes"]}
    assert {path: change["change"] for path, change in by_path.items()} == {
        "/torn/things": "changed",
        "/torn/came": "added",
        "/torn/gone": "removed",
        "/faction/members": "changed",
    }
    told = [
        (d["kind"], d["table"], d["column"], d["before"], d["after"])
        for d in by_path["/torn/things"]["differences"]
    ]
    assert ("type changed", "torn_things", "level", "int", "text") in told
    assert ("column added", "torn_things", "new", "", "bool") in told
    assert ("column removed", "torn_things", "old", "text", "") in told
    assert ("table added", "torn_things_tags") in [one[:2] for one in told]
    assert found.json["endings"] == [
        {"path": "/torn/things", "table": "torn_things", "column": "going", "on": "2027-01-01"}
    ]
    assert found.json["touched"] == [
        {
            "endpoint": "faction_members",
            "path": "/faction/members",
            "change": "changed",
            "differences": 1,
        }
    ]


def test_the_difference_is_told_to_people_too(workplace, documents):
    workplace.write(MEMBERS)
    shown = workplace.run("catalog", "diff", *documents).out

    assert "1.0.0 -> 1.1.0: 2 changed, 1 added, 1 removed endpoints" in shown
    assert "torn_things.new" in shown
    assert "2027-01-01" in shown
    assert "Touched in your configuration: faction_members (changed)" in shown
    same = workplace.run("catalog", "diff", documents[0], documents[0])
    assert "nothing changes" in same.out
    assert "Touched in your configuration: nothing" in same.out


def test_without_a_configuration_nothing_is_said_to_be_touched(workplace, documents):
    workplace.file.unlink()

    found = workplace.run("catalog", "diff", *documents, "--json")

    assert (found.code, found.json["touched"]) == (0, None)


def test_an_endpoint_that_only_the_newer_version_has_is_touched_with_its_id_too(
    workplace, tmp_path
):
    workplace.write('[[endpoints]]\nname = "basics"\npath = "/faction/40832/basic"\n')
    for name, paths in (("a.json", {}), ("b.json", {"__faction__{id}__basic": thing()})):
        (tmp_path / name).write_text(json.dumps(document("1", __torn__x=thing(), **paths)))

    found = workplace.run("catalog", "diff", "a.json", "b.json", "--json")

    assert [(t["endpoint"], t["change"]) for t in found.json["touched"]] == [("basics", "added")]


def test_a_file_that_is_no_document_is_named(workplace, documents):
    (workplace.folder / "odd.json").write_text("<html>")

    for words in (("diff", documents[0], "odd.json"), ("use", "odd.json")):
        done = workplace.run("catalog", *words)
        assert done.code == 78
        assert "odd.json is neither a catalogue nor an OpenAPI document" in done.err


def test_check_shows_the_plan_of_another_catalogue_before_a_run_applies_it(workplace, older):
    workplace.write(MEMBERS)
    used = workplace.run("catalog", "use", older("position", "days_in_faction"), "--json")
    assert used.json["version"] == "6.0.0"
    assert workplace.run("run", "faction_members", "--set", "contract=quarantine").code == 0
    assert workplace.value("select count(*) from faction_members") == 0
    books = workplace.sql("from _tcd_schemas")

    workplace.clock.sleep(60)
    back = workplace.run("catalog", "use", "--shipped")
    assert "6.13.6" in back.out
    checked = workplace.run("check", "--offline", "--json")

    (says,) = [
        f["says"] for f in checked.json["findings"] if f["part"] == "tables of faction_members"
    ]
    assert "+ faction_members.position text" in says
    assert "+ faction_members.days_in_faction int" in says
    assert workplace.sql("from _tcd_schemas") == books
    assert workplace.run("run", "faction_members").code == 0
    assert workplace.value("select count(position) from faction_members") == 30
    again = workplace.run("check", "--offline", "--json").json["findings"]
    (says,) = [f["says"] for f in again if f["part"] == "tables of faction_members"]
    assert says == "faction_members"


def test_a_type_that_no_table_can_follow_is_refused_by_check_and_by_the_run(workplace):
    workplace.write(MEMBERS)
    workplace.run("run", "faction_members")
    facts = json.loads(SHIPPED)
    facts["shapes"]["FactionMember"]["object"]["position"] = "bool"
    (workplace.folder / "odd.json").write_text(json.dumps(facts))
    workplace.run("catalog", "use", "odd.json")

    checked = workplace.run("check", "--offline")
    assert checked.code == 78
    assert "faction_members.position text cannot become bool" in checked.out
    before = workplace.value("select count(*) from faction_members")
    assert workplace.run("run", "faction_members").code == 65
    assert workplace.value("select count(*) from faction_members") == before


def test_torns_own_document_is_compiled_when_it_is_put_to_use(workplace, documents):
    used = workplace.run("catalog", "use", documents[1], "--json")

    assert used.json["version"] == "1.1.0"
    kept = json.loads((workplace.folder / "tcdatalogger.catalog.json").read_text())
    assert [e["path"] for e in kept["endpoints"]] == [
        "/torn/things", "/torn/came", "/faction/members",
    ]  # fmt: skip


@pytest.mark.parametrize("words", [(), ("new.json", "--shipped")])
def test_either_a_file_or_the_shipped_one_is_to_be_named(workplace, documents, words):
    done = workplace.run("catalog", "use", *words)

    assert done.code == 2
    assert "Name a file, or say --shipped." in done.err
