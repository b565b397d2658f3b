"""`tcdatalogger status`: each endpoint's last run, and the calls of the last minute."""

from __future__ import annotations

import time

import pytest

from tcdatalogger.clock import ManualClock
from tcdatalogger.core import totals
from tcdatalogger.sandbox.server import START


@pytest.fixture
def status(workplace, monkeypatch):
    monkeypatch.setattr("tcdatalogger.cli.status.time.time", workplace.clock.now)
    return lambda: workplace.run("status", "--json").json


def test_before_the_first_run_everything_is_listed_and_nothing_made(status, workplace):
    found = status()

    assert [one["last_run"] for one in found["endpoints"]] == [None] * 5
    assert found["owners"] == []
    assert not list(workplace.folder.glob("*sqlite*"))


@pytest.mark.parametrize("how", ["backfill", "step", "dry"])
def test_only_a_regular_run_that_stored_makes_an_endpoint_fresh(status, workplace, how):
    workplace.write('[[endpoints]]\nname = "attacks"\npath = "/faction/attacks"\n')
    good = workplace.log("attacks", "max_pages=1").record
    workplace.clock.sleep(90)
    words = {
        "backfill": ("backfill", "attacks", "--pages", "1", "--since", "P2D"),
        "step": ("run", "attacks", "--step", "validate"),
        "dry": ("run", "attacks", "--dry-run"),
    }[how]
    assert workplace.run(*words).code == 0
    with workplace.application() as application:
        runs = application.state.runs(endpoint="attacks")
        last = totals.lasts(application.state)["attacks"]

    [one] = status()["endpoints"]

    assert len(runs) > 1
    assert last.success_at == good.finished_at
    assert one["fresh_seconds"] == round(workplace.clock.now() - good.finished_at, 1)
    assert (one["last_run"]["run_id"] == good.run_id) == (how == "backfill")


def test_each_endpoint_has_its_last_run_rows_and_age(status, workplace):
    run = workplace.log("faction_crimes").record
    workplace.clock.sleep(90)

    one = status()["endpoints"][0]

    assert one["last_run"]["run_id"] == run.run_id
    assert one["last_run"]["status"] == "done"
    assert one["last_run"]["started_at"] == START
    assert one["fresh_seconds"] == 90.0
    assert one["rows"] == dict(run.rows)
    assert one["schema_version"] == 1
    assert (one["frequency"], one["storage_mode"]) == ("PT15M", "append")


def test_a_failed_run_shows_its_error_and_leaves_the_age_of_the_last_good_one(
    status, workplace, city
):
    good = workplace.log("faction_members").record
    workplace.clock.sleep(60)
    city.fault("error", code=21, path="/faction/members")
    workplace.log("faction_members")

    one = status()["endpoints"][1]

    assert one["last_run"]["status"] == "failed"
    assert one["last_run"]["exit_code"] == 65
    assert "/faction/members" in one["last_run"]["error"]
    assert one["fresh_seconds"] == 60.0
    assert one["rows"] == dict(good.rows)
    assert "/faction/members" in workplace.run("status").out


def test_calls_of_the_last_minute_are_counted_for_their_owner(status, workplace, city):
    workplace.log("faction_crimes")

    (owner,) = status()["owners"]
    assert owner == {"owner": f"player:{owner_of(city)}", "calls_used": 4, "calls_left": 96}
    workplace.clock.sleep(61)
    assert status()["owners"] == []


def test_one_cause_is_said_once_with_all_whom_it_stops(workplace):
    workplace.key = None

    ran = workplace.run("run", "faction_members", "faction_basic", "--log-level", "error")
    shown = workplace.run("status").out

    assert ran.err.count("faction_members, faction_basic: ") == 1
    assert shown.count("faction_members, faction_basic: ") == 1


def test_a_key_whose_owner_nobody_knows_yet_is_shown_by_its_name(workplace, city):
    city.fault("error", code=17, path="/key/info")
    workplace.clock = ManualClock(time.time())
    workplace.log("faction_members")

    found = workplace.run("status")

    assert "key default: " in found.out
    assert "key:" not in found.out


def owner_of(city):
    return city.city.keyring.named("limited").owner


def test_what_was_set_aside_and_what_is_new_is_counted(status, workplace, city):
    city.fault("map", path="/faction/members", times=1)
    workplace.log("faction_members")

    one = status()["endpoints"][1]
    assert (one["drift"], one["quarantined"]) == (1, 0)


def test_a_person_sees_a_line_for_each_endpoint(workplace):
    workplace.log("faction_crimes")

    out = workplace.run("status").out

    assert [line.split()[0] for line in out.splitlines()[1:6]] == [
        "faction_crimes", "faction_members", "faction_balance", "faction_basic", "torn_items",
    ]  # fmt: skip
