"""Whose data an endpoint brings: it does not become another's without a word."""

from __future__ import annotations

import pytest

OWN = '[[endpoints]]\nname = "members"\npath = "/faction/members"\nstorage_mode = "{mode}"\n'
FACTION, OTHER = 40832, 9533


@pytest.fixture
def place(workplace, city):
    """A folder whose endpoint was logged once, and whose key is then one of another faction."""

    def make(mode, extra=""):
        workplace.write(OWN.format(mode=mode) + extra)
        assert workplace.run("run", "members").code == 0
        workplace.key = city.keys["rival"]
        workplace.clock.sleep(3_600)
        return workplace

    return make


def subjects(place):
    return {row["_subject_id"] for row in place.sql("select _subject_id from members")}


@pytest.mark.parametrize("mode", ["replace", "history"])
def test_data_of_another_is_refused_until_it_is_accepted(place, mode):
    place = place(mode)
    (mine,) = subjects(place)

    refused = place.run("run", "members")
    shown = place.run("runs", "--json").json[0]

    assert refused.code == 65
    assert shown["error_class"] == "DataRefused"
    assert f"were of {mine} so far" in refused.err
    assert "--accept-subject" in refused.err
    assert subjects(place) == {mine}

    # What was refused stays out of a rebuild too.
    assert place.run("rebuild", "members").code == 0
    assert subjects(place) == {mine}

    taken = place.run("run", "members", "--accept-subject")
    place.clock.sleep(3_600)
    again = place.run("run", "members")

    assert (taken.code, again.code) == (0, 0), taken.err
    assert len(subjects(place) - {mine}) == 1
    assert (mine in subjects(place)) == (mode == "history")


@pytest.mark.parametrize("mode", ["append", "merge"])
def test_data_of_another_is_told_where_it_stands_beside(place, mode):
    place = place(mode)
    (mine,) = subjects(place)

    done = place.run("run", "members")
    warnings = place.run("runs", "show", "last", "--json").json["warnings"]

    assert done.code == 0
    assert any(f"were of {mine} so far" in each for each in warnings)
    assert "so far" in done.err
    assert len(subjects(place)) == 2
    place.clock.sleep(3_600)
    assert "so far" not in place.run("run", "members").err


@pytest.mark.parametrize("mode", ["append", "replace", "merge", "history"])
def test_a_configuration_that_names_the_subject_uses_no_key_of_anybody_else(place, city, mode):
    place = place(mode)
    (mine,) = subjects(place)
    place.write(OWN.format(mode=mode) + f"subject = {mine}\n")
    before = city.stats()["paths"].get("/faction/members", 0)

    done = place.run("run", "members")

    assert done.code == 77
    assert f"the configuration means {mine}" in done.err
    assert city.stats()["paths"]["/faction/members"] == before
    assert subjects(place) == {mine}


@pytest.mark.parametrize("mode", ["replace", "history"])
def test_a_configuration_that_names_another_subject_takes_it(place, mode):
    place = place(mode)
    theirs = place.run("keys", "check", "--json").json["keys"][0]["faction_id"]
    place.write(OWN.format(mode=mode) + f"subject = {theirs}\n")

    assert place.run("run", "members").code == 0
    assert theirs in subjects(place)


def test_a_run_that_waited_in_the_archive_is_held_to_it_too(place):
    place = place("replace")
    (mine,) = subjects(place)
    away = place.warehouse.with_name("away")
    place.warehouse.rename(away)
    place.warehouse.mkdir()
    assert place.run("run", "members").code == 78
    place.warehouse.rmdir()
    away.rename(place.warehouse)
    assert place.run("runs", "--json").json[0]["status"] == "pending"

    assert place.run("run", "members").code == 65
    assert subjects(place) == {mine}


def test_who_shares_a_table_is_asked_about_its_own_rows(workplace, city):
    workplace.patch.setenv("RIVAL", city.keys["rival"])
    both = OWN.format(mode="merge") + (
        '[[endpoints]]\nname = "theirs"\npath = "/faction/members"\nstorage_mode = "merge"\n'
        'table = "members"\napi_key = "rival"\n'
    )
    workplace.write(both, extra='rival = "env:RIVAL"\n')
    for _ in range(2):
        done = workplace.run("run", "--all")
        assert done.code == 0
        assert "so far" not in done.err
        workplace.clock.sleep(3_600)


@pytest.mark.parametrize("path", ["/torn/items", "/faction/40832/members"])
def test_a_subject_is_refused_where_the_path_says_it_or_there_is_none(workplace, path):
    workplace.write(f'[[endpoints]]\nname = "m"\npath = "{path}"\nsubject = 40832\n')

    done = workplace.run("run", "m")

    assert done.code == 78
    assert "is not about the owner of a key" in done.err
