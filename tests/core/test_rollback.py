"""`tcdatalogger rollback`: a run taken back, and what the rest of the program then does."""

from __future__ import annotations

from collections import Counter

import pytest

from tcdatalogger.core.replay import rebuild, replay

MEMBERS = '[[endpoints]]\nname = "members"\npath = "/faction/members"\n'
MODES = ("append", "replace", "merge", "history")


@pytest.fixture
def place(workplace):
    """Every run asks by another contract, so that the same answer is not taken for nothing new."""
    contracts = iter(("evolve", "quarantine", "freeze"))

    def log():
        workplace.clock.sleep(60)
        return workplace.log("members", f"contract={next(contracts)}").record.run_id

    workplace.next_run = log
    return workplace


def held(place):
    return Counter(repr(sorted(row.items())) for row in place.sql("from members"))


def again(place, what, *words):
    place.clock.sleep(60)
    with place.application() as application:
        return what(application, *words)


@pytest.mark.parametrize("mode", MODES)
def test_a_run_is_taken_back_stays_out_of_a_rebuild_and_comes_back_by_name(place, mode):
    place.write(f'{MEMBERS}storage_mode = "{mode}"\n')
    place.next_run()
    before = held(place)
    run = place.next_run()
    after = held(place)
    if mode == "history":
        assert place.run("rollback", run).code == 2  # it had nothing new and stored nothing
        return

    told = place.run("rollback", run, "--dry-run", "--json")
    assert (told.code, told.json["dry_run"], told.json["removed"]) == (0, True, {"members": 30})
    assert held(place) == after
    assert place.run("rollback", run).code == 0
    assert held(place) == before
    assert place.run("rollback", run).code == 2

    again(place, rebuild, "members")
    assert held(place) == before
    place.warehouse.unlink()
    again(place, rebuild, "members")
    assert held(place) == before
    again(place, replay, run)
    assert held(place) == after
    again(place, rebuild, "members")
    assert held(place) == after


def test_a_run_that_stored_nothing_is_named(place):
    place.write(MEMBERS)
    for _ in range(2):
        done = place.run("rollback", "20200101T000000Z-00000000")
        assert done.code == 2
        assert "20200101T000000Z-00000000" in done.err
        place.next_run()


def test_what_is_shown_names_the_tables_and_their_rows(place):
    place.write(f'{MEMBERS}storage_mode = "merge"\n')
    place.next_run()
    done = place.run("rollback", place.next_run())

    assert done.out.splitlines()[1].split() == ["members", "30", "30"]
    assert "30 rows of members removed." in done.out


@pytest.mark.parametrize("lost", ["a run is left out", "the warehouse"])
def test_a_replace_is_not_taken_back_to_the_tables_that_a_rebuild_began_with(place, lost):
    place.write(f'{MEMBERS}storage_mode = "replace"\n')
    place.next_run()
    run = place.next_run()
    if lost == "the warehouse":
        place.warehouse.unlink()
        again(place, rebuild, "members")
    else:
        before, run = run, place.next_run()
        for left_out in (run, before):
            place.clock.sleep(60)
            assert place.run("rebuild", "members", "--without", left_out).code == 0
    before = held(place)
    assert len(before) == 30

    told = place.run("rollback", run)
    assert (told.code, held(place)) == (65, before)
    assert f"rebuild members --without {run}" in told.err


def test_a_run_that_came_back_and_was_then_left_out_once_is_made_again_by_the_next_rebuild(place):
    place.write(MEMBERS)
    place.next_run()
    run = place.next_run()
    before = held(place)
    assert place.run("rollback", run).code == 0
    again(place, replay, run)
    place.clock.sleep(60)
    assert place.run("rebuild", "members", "--without", run).code == 0
    assert held(place) != before

    again(place, rebuild, "members")
    assert held(place) == before
