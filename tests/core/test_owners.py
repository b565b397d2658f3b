"""Every table has one owner: what two endpoints would fill is told, refused or named apart."""

from __future__ import annotations

import re

import pytest

from bodies import member
from shared import reading, rest_slow
from tcdatalogger.core.operations.replay import replay

CREW = '[[endpoints]]\nname = "crew"\npath = "/faction/members"\n'
BASIC = '[[endpoints]]\nname = "{}"\npath = "/faction/basic"\nstorage_mode = "replace"\n'
CRIMES = '[[endpoints]]\nname = "{}"\npath = "/faction/crimes"\n'
MEMBERS = '[[endpoints]]\nname = "{}"\npath = "/faction/members"\nstorage_mode = "replace"\n'
MEMBER = member()


LEARNED = [
    # what the catalogue lacks, the other endpoint, where the list is kept
    ({"members": [MEMBER | {"perks": [{"perk": 1}, {"perk": 2}]}]}, "crew_perks", "crew__perks"),
    ({"members": [MEMBER | {"perks": [{"perk": 1}, {"perk": 2}]}]}, "crew_per", "crew_perks"),
    ({"members": [MEMBER | {"own": {"perks": [1, 2]}}]}, "crew_own", "crew__own_perks"),
    ({"members": [MEMBER], "perk": 1}, "crew_page", "crew__page"),
    ({"members": [MEMBER], "perks": [{"perk": 1}, {"perk": 2}]}, "crew_page", "crew__page_perks"),
]


@pytest.fixture
def place(workplace):
    def names():
        with reading(workplace.warehouse) as connection:
            found = connection.sql("show tables").fetchall()
        return {name for (name,) in found if not name.startswith("_tcd_")}

    def rows():
        return {name: workplace.sql(f'from "{name}"') for name in names()}

    workplace.rows = rows
    return workplace


def remedied(text, said, name):
    """A configuration with the line pasted that a message gives as its remedy."""
    [line] = re.findall(r'table = "\w+"', said)
    return text.replace(f'name = "{name}"\n', f'name = "{name}"\n{line}\n', 1)


@pytest.mark.parametrize("first", ["crew", "the other"])
@pytest.mark.parametrize(("body", "other", "kept"), rest_slow(LEARNED, 2))
def test_a_learned_list_never_lies_in_the_table_of_another_endpoint(
    place, says, body, other, kept, first
):
    says("/faction/members", body)
    place.write(CREW + BASIC.format(other))
    order = ["crew", other] if first == "crew" else [other, "crew"]
    runs = {name: place.log(name).record for name in (*order, *order)}

    assert {run.status for run in runs.values()} == {"done"}
    assert runs["crew"].rows[kept] == len(place.rows()[kept]) / 2 > 0
    assert [set(row) >= {"respect"} for row in place.rows()[other]] == [True]
    drift = {(line["table_name"], line["cause"]) for line in place.sql("from _tcd_drift")}
    plain = kept.replace("__", "_")
    moved = "" if plain == kept else f"; {plain} is another's"
    assert (kept, f"unknown to the catalogue{moved}") in drift
    assert place.run("check", "--offline").code == 0


def test_who_has_to_call_a_list_otherwise_says_so_once_and_calls_it_so_for_ever(place, says):
    says("/faction/members", LEARNED[0][0])
    place.write(CREW + BASIC.format("crew_perks"))
    first, second = place.log("crew").record, place.log("crew").record
    place.write(CREW)
    third = place.log("crew").record

    assert [any("crew_perks is the table of another" in w for w in run.warnings)
            for run in (first, second, third)] == [True, False, False]  # fmt: skip
    assert set(place.rows()) == {"crew", "crew__perks"}
    owners = place.sql(
        "select table_name, family, plain, path, endpoint from _tcd_owners order by 1"
    )
    assert [tuple(row.values()) for row in owners] == [
        ("crew", "crew", "crew", "/faction/members", "crew"),
        ("crew__perks", "crew", "crew_perks", "/faction/members", "crew"),
    ]


def test_an_endpoint_whose_table_another_learned_before_is_refused_until_it_has_its_own(
    place, says
):
    says("/faction/members", LEARNED[0][0])
    place.write(CREW)
    assert place.log("crew").record.status == "done"
    before = place.rows()
    text = CREW + BASIC.format("crew_perks")
    place.write(text)

    checked = place.run("check", "--offline")
    refused = place.log("crew_perks").record

    assert checked.code == 78
    assert (refused.status, refused.exit_code) == ("failed", 65)
    assert "crew_perks belongs to the endpoint crew" in refused.error
    assert place.rows() == before
    for said in (checked.out + checked.err, refused.remedy):
        place.write(remedied(text, said, "crew_perks"))
        assert place.run("check", "--offline").code == 0
    with place.application() as application:
        assert replay(application, refused.run_id).receipt.rows == {"crew_perks_2": 1}
    assert place.log("crew_perks").record.status == "done"
    assert {name: place.rows()[name] for name in before} == before


FIXED = [
    (CRIMES.format("crimes"), MEMBERS.format("crimes_slots"), "crimes_slots"),
    (MEMBERS.format("crimes_slots"), CRIMES.format("crimes"), "crimes"),
    (CRIMES.format("crimes"), CRIMES.format("crimes_slots"), "crimes_slots"),
]


@pytest.mark.parametrize(("one", "two", "name"), rest_slow(FIXED))
def test_tables_of_the_catalogue_that_two_endpoints_would_fill_are_found_and_refused(
    place, one, two, name
):
    other = re.findall(r'name = "(\w+)"', one)[0]
    place.write(one + two)
    assert place.log(other).record.status == "done"
    before = place.rows()

    checked = place.run("check", "--offline", "--json")
    refused = place.log(name).record

    said = [f["remedy"] for f in checked.json["findings"] if "both write" in str(f)]
    assert refused.exit_code == 65
    assert place.rows() == before
    for each in (*said, refused.remedy):
        place.write(remedied(one + two, each, name))
        assert place.run("check", "--offline").code == 0
    assert place.log(name).record.status == "done"
    assert {table: place.rows()[table] for table in before} == before


def test_schema_apply_changes_no_table_of_another(place):
    place.write(CRIMES.format("crimes"))
    place.log("crimes")
    place.write(MEMBERS.format("crimes_slots"))
    before = place.sql("describe crimes_slots")

    done = place.run("schema", "apply", "crimes_slots", "--accept")

    assert done.code == 65
    assert "belongs to the endpoint crimes" in done.err
    assert place.sql("describe crimes_slots") == before


def test_an_endpoint_of_another_path_is_not_let_into_a_table_whose_owner_is_gone(place):
    place.write(MEMBERS.format("one"))
    place.log("one")
    before = place.rows()
    place.write(BASIC.format("two") + 'table = "one"\n')

    refused = place.log("two", "max_drop=1").record
    assert "one belongs to the endpoint one" in refused.error
    assert place.rows() == before
    place.write(MEMBERS.format("renamed") + 'table = "one"\n')
    assert place.log("renamed").record.status == "done"


def by_mode(name, mode):
    return MEMBERS.format(name).replace('"replace"', f'"{mode}"')


LESS = [("history", "replace"), ("append", "merge"), ("append", "replace"), ("merge", "replace")]


@pytest.mark.parametrize(("before", "now"), rest_slow(LESS, 2))
def test_an_endpoint_with_another_name_wipes_no_rows_that_its_mode_would_not_have_kept(
    place, before, now
):
    place.write(by_mode("one", before))
    place.log("one")
    place.clock.sleep(60)
    place.log("one")
    stored = place.rows()
    place.write(by_mode("two", now) + 'table = "one"\n')

    refused = place.log("two").record

    assert refused.exit_code == 65
    assert f"holds rows that one stored by {before}" in refused.error
    assert "Give two a table of its own" in refused.remedy
    assert place.rows() == stored
    for words in (["rebuild", "two"], ["replay", refused.run_id]):
        assert place.run(*words).code == 65
        assert place.rows() == stored


@pytest.mark.parametrize("mode", ["append", "replace", "merge", "history"])
def test_an_endpoint_with_another_name_goes_on_in_its_table(place, mode):
    place.write(by_mode("one", mode))
    place.log("one")
    place.write(by_mode("two", mode) + 'table = "one"\n')
    assert place.log("two").record.status == "done"
