"""`run --if-due` and `status`: the queue of the daemon, for people and for cron."""

from __future__ import annotations

import pytest

from tcdatalogger.core.state.store import State


@pytest.fixture
def due(workplace):
    """Run what is due; which endpoints ran."""

    def due(*words):
        done = workplace.run("run", *(words or ("--all",)), "--if-due", "--json")
        assert done.code == 0, done.err
        return [run["endpoint"] for run in done.json]

    return due


def test_only_what_is_due_is_run_and_is_due_again_at_its_next_point(due, workplace):
    assert due() == ["faction_crimes", "faction_members"]  # the others have no frequency
    assert due() == []
    workplace.clock.sleep(15 * 60)
    assert due() == ["faction_crimes"]
    workplace.clock.sleep(45 * 60)
    assert due() == ["faction_crimes", "faction_members"]


def test_what_was_run_by_hand_before_anything_was_scheduled_is_due_at_its_next_point(
    due, workplace, monkeypatch
):
    monkeypatch.setattr("tcdatalogger.cli.commands.status.time.time", workplace.clock.now)
    workplace.clock.sleep(60)
    assert workplace.run("run", "faction_crimes").code == 0

    first = workplace.run("status", "--json").json["endpoints"][0]
    assert first["next_due"] == "2026-01-01T00:15:00Z"
    assert due() == ["faction_members"]
    workplace.clock.sleep(14 * 60)
    assert due() == ["faction_crimes"]


def test_a_run_that_is_due_nowhere_says_so_and_ends_well(workplace):
    done = workplace.run("run", "torn_items", "--if-due")

    assert (done.code, done.out) == (0, "Nothing is due.\n")


def test_what_failed_by_itself_is_due_until_it_is_served(workplace, city):
    city.fault("error", code=17, path="/faction/crimes")
    first = workplace.run("run", "faction_crimes", "--if-due", "--json")
    city.clear_faults()
    second = workplace.run("run", "faction_crimes", "--if-due", "--json")

    assert (first.code, second.code) == (69, 0)
    assert [run["status"] for run in second.json] == ["done"]


def test_what_somebody_else_runs_is_not_due(due, workplace):
    with State(workplace.folder / "torn.state.sqlite", workplace.clock) as state:
        state.leases.claim("faction_crimes", "theirs")

        assert due("faction_crimes") == []


def test_what_is_due_is_run_whole(workplace):
    done = workplace.run("run", "--all", "--if-due", "--dry-run")

    assert done.code == 2


def test_status_has_the_next_moment_of_each_endpoint_and_whether_a_scheduler_is_there(
    due, workplace, monkeypatch
):
    monkeypatch.setattr("tcdatalogger.cli.commands.status.time.time", workplace.clock.now)
    due()
    found = workplace.run("status", "--json").json

    moments = {one["endpoint"]: one["next_due"] for one in found["endpoints"]}
    assert moments["faction_crimes"] == "2026-01-01T00:15:00Z"
    assert moments["torn_items"] is None
    nobody = {"alive": False, "workers": 0, "running": 0, "backlog": 0, "daemons": []}
    assert found["scheduler"] == nobody
    workplace.clock.sleep(20 * 60)
    assert workplace.run("status", "--json").json["scheduler"]["backlog"] == 1
    assert "No scheduler is alive, and 1 endpoint waits" in workplace.run("status").out
