"""`tcdatalogger catalog`: what Torn offers, and which tables it makes."""

from __future__ import annotations

import pytest

from tcdatalogger.services.torncity.catalog import catalog

CATALOG = catalog.load()


@pytest.fixture
def listed(workplace):
    def listed(*words):
        done = workplace.run("catalog", *words, "--json")
        assert done.code == 0, done.err
        return done.json

    return listed


def test_all_paths_are_listed_and_the_routes_say_why_they_have_no_tables(listed):
    found = listed()

    assert {one["path"] for one in found} == {e.path for e in CATALOG.endpoints}
    bare = [one["path"] for one in found if one["no_tables_because"]]
    assert bare == [e.path for e in CATALOG.endpoints if e.route]
    assert len(bare) == 9


def test_filters_narrow_the_list(listed):
    assert {one["section"] for one in listed("--section", "faction")} == {"faction"}
    assert {one["paging"] for one in listed("--paging", "time")} == {"time"}
    public = listed("--access", "public")
    assert {one["access"] for one in public} == {"public"}
    assert len(listed("--access", "minimal")) > len(public)
    both = listed("--section", "faction", "--paging", "time")
    assert 0 < len(both) < len(listed("--section", "faction"))


def test_search_finds_paths_tables_and_columns(listed):
    paths = {one["path"] for one in listed("--search", "rewards_payout")}

    assert "/faction/crimes" in paths
    assert "/torn/items" not in paths
    assert listed("--search", "no such thing") == []


def test_show_gives_the_whole_family(listed):
    shown = listed("show", "/faction/crimes")

    assert [table["name"] for table in shown["tables"]] == [
        "faction_crimes", "faction_crimes_slots", "faction_crimes_rewards_items",
    ]  # fmt: skip
    assert [table["key"] for table in shown["tables"]] == [
        ["id"], ["crime_id", "_index"], ["crime_id", "_index"],
    ]  # fmt: skip
    slots = {column["name"]: column for column in shown["tables"][1]["columns"]}
    assert slots["user_id"]["type"] == "int"
    assert slots["user_id"]["nullable"]
    assert slots["user_joined_at"]["type"] == "time"
    assert shown["limit"] == 100


def test_show_takes_a_path_with_values_in_it(listed):
    assert listed("show", "/faction/40832/members")["path"] == "/faction/{id}/members"


def test_a_person_sees_tables_and_columns(workplace):
    shown = workplace.run("catalog", "show", "/faction/crimes").out
    listed = workplace.run("catalog", "--section", "faction").out

    assert "faction_crimes_slots   key: crime_id, _index" in shown
    assert "rewards_payout_percentage" in shown
    assert "/faction/crimes" in listed
    assert CATALOG.version in listed


@pytest.mark.parametrize(
    ("words", "code", "named"),
    [
        (("show", "/faction/crime"), 2, "/faction/crimes"),
        (("show", "/faction/currency"), 2, "/faction/balance"),
        (("--section", "factions"), 2, "faction"),
        (("--access", "everything"), 2, "public"),
    ],
)
def test_what_is_not_there_is_refused_and_what_is_near_named(workplace, words, code, named):
    done = workplace.run("catalog", *words)

    assert done.code == code
    assert named in done.err
