"""`tcdatalogger rollback`: a run taken back, and what the rest of the program then does."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace

import pytest

from shared import rest_slow
from tcdatalogger.clock import ManualClock
from tcdatalogger.core.operations.replay import rebuild, replay

MEMBERS = '[[endpoints]]\nname = "members"\npath = "/faction/members"\n'
MODES = ("append", "replace", "merge", "history")
KILLED = """
import os, signal, sys
from tcdatalogger.cli import main
from tcdatalogger.services.duckdb.warehouse import DuckDBWarehouse

commit = DuckDBWarehouse.commit

def dying(self, load):
    commit(self, load)
    os.kill(os.getpid(), signal.SIGKILL)

DuckDBWarehouse.commit = dying
main(["run", "members"])
"""
"""A run that is killed between its commit and its last word."""


@pytest.fixture
def place(workplace):
    """Every run asks by another contract, so that the same answer is not taken for nothing new."""
    contracts = iter(("evolve", "quarantine", "freeze"))

    def log():
        workplace.clock.sleep(60)
        return workplace.log("members", f"contract={next(contracts)}").record.run_id

    workplace.next_run = log
    return workplace


@pytest.mark.parametrize("mode", rest_slow(MODES, 2))
def test_a_run_is_taken_back_stays_out_of_a_rebuild_and_comes_back_by_name(place, mode):
    place.write(f'{MEMBERS}storage_mode = "{mode}"\n')
    place.next_run()
    before = place.tables("members")
    run = place.next_run()
    after = place.tables("members")
    if mode == "history":
        assert place.run("rollback", run).code == 2  # it had nothing new and stored nothing
        return

    told = place.run("rollback", run, "--dry-run", "--json")
    assert (told.code, told.json["dry_run"], told.json["removed"]) == (0, True, {"members": 30})
    assert place.tables("members") == after
    assert place.run("rollback", run).code == 0
    assert place.tables("members") == before
    assert place.run("rollback", run).code == 2

    place.again(rebuild, "members")
    assert place.tables("members") == before
    place.warehouse.unlink()
    place.again(rebuild, "members")
    assert place.tables("members") == before
    place.again(replay, run)
    assert place.tables("members") == after
    place.again(rebuild, "members")
    assert place.tables("members") == after


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


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_a_rollback_says_which_run_it_takes_before_and_after(place, dry):
    place.write(MEMBERS)
    place.next_run()
    run = place.next_run()

    done = place.run("rollback", "last", *dry)
    assert f"the run {run} of members, which stored 30 rows by append" in done.err
    assert f"the run {run}" in done.out.splitlines()[-1].replace("The", "the")

    before = place.run("rollback", run, *dry, "--json")  # refused after it was named
    assert run in before.err


LOOKS = [
    ("runs", "list", "--json"),
    ("runs", "show", "last", "--json"),
    ("status", "--json"),
    ("run", "members", "--json"),
]


def killed(place, run):
    """The books of a run that was killed after its commit."""
    with place.application() as application:
        application.state.write_run(
            replace(run, status="running", step="store", rows={}, load_id="", finished_at=None)
        )


@pytest.mark.parametrize("words", LOOKS)
def test_a_run_that_was_killed_after_its_commit_is_done_when_somebody_looks(place, words):
    place.write(MEMBERS)
    place.next_run()
    place.clock.sleep(60)
    run = place.log("members", "contract=freeze").record
    killed(place, run)

    done = place.run(*words)

    assert done.code == 0
    with place.application() as application:
        [found] = application.state.runs(run_id=run.run_id)
        assert application.state.unsettled("members") == []
    assert (found.status, found.rows, found.load_id) == ("done", run.rows, run.load_id)
    assert (found.error, found.exit_code) == ("", 0)
    if words[0] == "status":
        [one] = done.json["endpoints"]
        assert (one["last_run"]["run_id"], one["last_run"]["status"]) == (run.run_id, "done")
        assert (one["pending"], one["rows"]) == (0, {"members": 30})


def test_a_warehouse_that_cannot_be_had_keeps_nobody_from_looking(place):
    place.write(MEMBERS)
    run = place.log("members").record
    killed(place, run)
    place.warehouse.write_bytes(b"no warehouse")

    for words in LOOKS[:3]:
        done = place.run(*words)
        assert done.code == 0
        assert "crashed" in done.out


@pytest.mark.slow
@pytest.mark.parametrize("state", ["there", "lost"])
def test_the_last_to_be_rolled_back_is_the_one_that_was_killed_after_its_commit(place, state):
    place.write(MEMBERS)
    place.clock = ManualClock(time.time() - 60)
    first = place.log("members").record.run_id
    dead = subprocess.run(
        [sys.executable, "-c", KILLED], cwd=place.folder, env=place.outside(), check=False
    )
    assert dead.returncode == -9
    [run] = {r["_run_id"] for r in place.sql("select _run_id from members")} - {first}
    if state == "lost":
        for file in place.folder.glob("torn.state.sqlite*"):
            file.unlink()

    for words in (("last",), ("members",)):
        assert place.run("rollback", *words, "--dry-run", "--json").json["run_id"] == run
    assert place.run("rollback", "last").code == 0
    assert place.value("select any_value(_run_id) from members") == first
    assert place.run("rollback", "last", "--json").json["run_id"] == first
    assert place.run("rollback", "last").code == 2


def test_what_the_ledger_has_is_made_again_whatever_the_books_say(place):
    place.write(f'{MEMBERS}storage_mode = "merge"\n')
    run = place.log("members").record
    before = place.tables("members")
    with place.application() as application:
        application.state.write_run(replace(run, status="rolled back"))  # as a restore leaves it

    place.again(rebuild, "members")

    assert place.tables("members") == before


@pytest.mark.parametrize("lost", rest_slow(["a run is left out", "the warehouse"]))
def test_a_replace_is_not_taken_back_to_the_tables_that_a_rebuild_began_with(place, lost):
    place.write(f'{MEMBERS}storage_mode = "replace"\n')
    place.next_run()
    run = place.next_run()
    if lost == "the warehouse":
        place.warehouse.unlink()
        place.again(rebuild, "members")
    else:
        before, run = run, place.next_run()
        for left_out in (run, before):
            place.clock.sleep(60)
            assert place.run("rebuild", "members", "--without", left_out).code == 0
    before = place.tables("members")
    [(_, rows)] = before.values()
    assert len(rows) == 30

    told = place.run("rollback", run)
    assert (told.code, place.tables("members")) == (65, before)
    assert f"rebuild members --without {run}" in told.err


def test_a_run_that_came_back_and_was_then_left_out_once_is_made_again_by_the_next_rebuild(place):
    place.write(MEMBERS)
    place.next_run()
    run = place.next_run()
    before = place.tables("members")
    assert place.run("rollback", run).code == 0
    place.again(replay, run)
    place.clock.sleep(60)
    assert place.run("rebuild", "members", "--without", run).code == 0
    assert place.tables("members") != before

    place.again(rebuild, "members")
    assert place.tables("members") == before
