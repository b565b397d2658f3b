"""RUN: the same words name a run for every command."""

from __future__ import annotations

import pytest

CRIMES, MEMBERS = "faction_crimes", "faction_members"


def fill(place):
    ids = []
    for name, until in ((MEMBERS, "store"), (MEMBERS, "store"), (CRIMES, "store")):
        ids.append(place.log(name, until=until).record.run_id)
        place.clock.sleep(1)
    return [*ids, place.log(MEMBERS, until="fetch").record.run_id]


@pytest.fixture
def logged(workplace, once):
    """Members stored twice, then crimes, then members once more without being stored."""
    return workplace, once(fill)


@pytest.mark.parametrize(("words", "which"), [("last", 2), (MEMBERS, 1), (CRIMES, 2)])
def test_what_changes_rows_means_the_newest_that_stored_something(logged, words, which):
    place, ids = logged

    replayed = place.run("replay", words, "--dry-run", "--json").json
    undone = place.run("rollback", words, "--json").json

    assert [one["run_id"] for one in replayed] == [ids[which]]
    assert undone["run_id"] == ids[which]
    assert place.run("runs", "show", ids[which], "--json").json["status"] == "rolled back"


def test_how_an_id_begins_is_enough_and_one_that_the_books_lost_is_taken_as_it_is(logged):
    place, ids = logged

    assert place.run("rollback", ids[0][:-4], "--dry-run", "--json").json["run_id"] == ids[0]
    for file in place.folder.glob("torn.state.sqlite*"):
        file.unlink()
    assert place.run("rollback", ids[0], "--dry-run", "--json").json["run_id"] == ids[0]
    assert place.run("replay", ids[1], "--dry-run", "--json").json[0]["run_id"] == ids[1]


def test_a_rebuild_leaves_the_endpoints_last_out(logged):
    place, ids = logged

    found = place.run("rebuild", MEMBERS, "--without", "last", "--dry-run", "--json").json

    results = {one["run_id"]: one["result"] for one in found}
    assert results[ids[1]] == "left out"
    assert results[ids[3]] == "stopped by --step or --dry-run"


def test_a_run_goes_on_by_the_last_of_its_endpoint_or_without_a_name(logged):
    place, ids = logged
    crimes = place.log(CRIMES, until="fetch").record.run_id

    (last,) = place.run("run", MEMBERS, "--run", "last", "--step", "transform", "--json").json
    (own,) = place.run("run", "--run", crimes, "--step", "transform", "--json").json

    assert (last["run_id"], last["step"]) == (ids[3], "transform")
    assert (own["run_id"], own["endpoint"]) == (crimes, CRIMES)


@pytest.mark.parametrize(
    "words",
    [("runs", "show", "last"), ("rollback", "last"), ("replay", MEMBERS), ("run", "--run", "last")],
)
def test_where_nothing_has_run_it_is_said_with_what_to_do(workplace, words):
    done = workplace.run(*words)

    assert done.code == 2
    assert "`tcdatalogger run " in done.err
    assert [file.name for file in workplace.folder.iterdir()] == ["tcdatalogger.toml"]
