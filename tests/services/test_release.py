"""Two versions of Torn's document: what changes, what is to go, and what is no document at all."""

import json
import os
from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest

from tcdatalogger.errors import ConfigError
from tcdatalogger.services.torncity.catalog import catalog, diff

FOLDER = Path(
    os.environ.get("TCDATALOGGER_DOCUMENTS") or Path(__file__).parents[3] / "shared" / "torn"
)
OLD, NEW = (FOLDER / f"openapi-{version}.json" for version in ("5.8.0", "6.13.6"))
needs_documents = pytest.mark.skipif(
    not (OLD.exists() and NEW.exists()),
    reason="Torn's documents openapi-5.8.0.json and openapi-6.13.6.json are not beside the "
    "checkout; name their folder in TCDATALOGGER_DOCUMENTS",
)
SHIPPED = files("tcdatalogger.services.torncity.catalog").joinpath("catalog.json").read_bytes()


def thing(**facts):
    shape = {"object": {"things": {"list": {"object": {"id": "int", "name": "text"}}}}}
    return {"path": "/torn/things", "shape": shape, **facts}


def read(*endpoints, version="1"):
    facts = {"version": version, "endpoints": endpoints, "parameters": {}, "shapes": {}}
    return catalog.read(json.dumps(facts).encode(), "test")


def changes(before, after):
    return list(diff.changes(read(*before), read(*after)))


def test_a_catalogue_compared_with_itself_shows_no_change():
    shipped = catalog.load()

    assert list(diff.changes(shipped, shipped)) == []


def test_an_endpoint_that_came_or_went_is_named():
    (came,) = changes([], [thing()])
    (went,) = changes([thing()], [])

    assert (came.path, came.change) == ("/torn/things", "added")
    assert (went.path, went.change) == ("/torn/things", "removed")


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"access": "limited"}, ("access", "public", "limited")),
        ({"faction_access": True}, ("faction_access", "no", "yes")),
        ({"stable": False}, ("stable", "yes", "no")),
        ({"paging": "offset"}, ("paging", "none", "offset")),
        ({"limit": 100}, ("limit", "", "100")),
        ({"deprecated": True}, ("deprecated", "no", "yes")),
        ({"parameters": [{"name": "cat"}]}, ("parameter cat", "", "added")),
    ],
)
def test_facts_of_an_endpoint_that_changed_are_told(facts, told):
    (change,) = changes([thing()], [thing(**facts)])

    assert change.change == "changed"
    assert change.facts == (told,)


def test_columns_and_endpoints_that_are_to_go_are_listed_with_their_day():
    shape = {"object": {"things": {"list": {"object": {"id": "int", "old!2027-01-01": "text"}}}}}
    gone = thing(deprecated=True, ends="2027-06-30") | {"path": "/torn/others"}

    found = list(diff.endings(read(thing() | {"shape": shape}, gone)))

    assert [(e.path, e.table, e.column, e.on) for e in found] == [
        ("/torn/things", "torn_things", "old", "2027-01-01"),
        ("/torn/others", "", "", "2027-06-30"),
    ]


def test_what_is_announced_for_2027_is_known_of_the_shipped_catalogue():
    found = {(e.path, e.column) for e in diff.endings(catalog.load()) if e.on == "2027-01-01"}

    assert ("/faction/warfare", "") in found
    assert ("/torn/items", "value_buy_price") in found


@pytest.mark.parametrize("raw", [b"", b"no", b"[]", b"\xff\xfe", b'{"version": "1"}'])
def test_a_file_that_is_neither_document_nor_catalogue_is_refused_by_its_name(tmp_path, raw):
    file = tmp_path / "document.json"
    file.write_bytes(raw)

    with pytest.raises(ConfigError, match=r"document\.json"):
        diff.read(file)
    with pytest.raises(ConfigError, match=r"nowhere\.json"):
        diff.read(tmp_path / "nowhere.json")


def test_a_catalogue_that_was_written_anew_is_still_one(tmp_path):
    file = tmp_path / "catalog.json"
    file.write_text(json.dumps(json.loads(SHIPPED), indent=4, sort_keys=True))

    assert diff.read(file).version == catalog.load().version
    assert diff.compiled(file) == file.read_bytes()


@needs_documents
def test_torns_documents_of_april_and_august_differ_by_what_the_notes_say():
    before, after = diff.read(OLD), diff.read(NEW)

    found = {change.path: change for change in diff.changes(before, after)}

    assert (len(before.endpoints), len(after.endpoints)) == (200, 234)
    assert Counter(c.change for c in found.values())["added"] == 35
    assert [c.path for c in found.values() if c.change == "removed"] == ["/torn/{id}/itemdetails"]
    told = {(d.kind, d.table, d.column) for c in found.values() for d in c.differences}
    assert {
        ("column added", "user_attacks", "territory_war_id"),
        ("column added", "user_profile", "revive_setting"),
        ("column added", "faction_territoryownership", "irradiated"),
        ("table added", "torn_items_value_shops", ""),
        ("table added", "user_equipment_equipment_mods", ""),
        ("type changed", "torn_education_courses", "rewards_honor"),
    } <= told
    assert ("stable", "no", "yes") in found["/company/stock"].facts
