"""`tcdatalogger status`: each endpoint's last run, and the calls of the last minute."""

from __future__ import annotations

import time

import pytest

from tcdatalogger.cli.commands.status import coarse
from tcdatalogger.clock import ManualClock
from tcdatalogger.core.config import configuration
from tcdatalogger.core.state import run_stats
from tcdatalogger.core.state.due import DueQueue
from tcdatalogger.core.state.plans import plans
from tcdatalogger.core.state.store import State
from tcdatalogger.sandbox.api.server import START


@pytest.fixture
def status(workplace, monkeypatch):
    monkeypatch.setattr("tcdatalogger.cli.commands.status.time.time", workplace.clock.now)
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
        last = run_stats.lasts(application.state)["attacks"]

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
    assert one["last_run"]["started_at"] == "2026-01-01T00:00:00Z"
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


def test_what_the_last_run_found_stands_apart_from_what_all_of_them_did(status, workplace, city):
    workplace.write('[[endpoints]]\nname = "members"\npath = "/faction/members"\n')
    city.fault("map", path="/faction/members", times=1)
    workplace.log("members")
    first = workplace.run("status").out
    workplace.clock.sleep(60)
    workplace.log("members")

    [one] = status()["endpoints"]
    second = workplace.run("status").out

    assert (one["drift"], one["last_run"]["drift"]) == (1, 0)
    assert first.splitlines()[1].split()[-2:] == ["0", "1"]
    assert "in all of its runs" not in first
    assert first.splitlines()[0].split("  ")[-2:] == ["set aside", "new"]
    assert second.splitlines()[0].split()[-1] == "rows"
    assert "members: in all of its runs 1 new field\n" in second


@pytest.mark.parametrize(
    ("words", "fault", "says"),
    [
        ((), None, "unchanged"),
        (("--step", "fetch"), None, "paused after fetch"),
        (("--dry-run",), None, "paused after validate"),
        ((), 21, "failed: "),
    ],
)
def test_a_result_has_the_same_words_wherever_it_is_shown(workplace, city, words, fault, says):
    workplace.write(
        '[[endpoints]]\nname = "members"\npath = "/faction/members"\nstorage_mode = "replace"\n'
    )
    workplace.log("members")
    workplace.clock.sleep(60)
    if fault is not None:
        city.fault("error", code=fault, path="/faction/members")

    shown = [workplace.run("run", "members", *words).out]
    shown += [workplace.run(*more).out for more in (("runs",), ("status",))]
    one = workplace.run("runs", "show", "last").out

    lines = [out.splitlines()[1] for out in shown]
    assert [says in line for line in lines] == [True] * 3
    assert says in one


def test_after_a_clock_that_was_ahead_the_last_run_is_the_last(workplace, monkeypatch):
    workplace.write('[[endpoints]]\nname = "members"\npath = "/faction/members"\n')
    workplace.clock = ManualClock(START + 2 * 86_400)
    workplace.log("members")
    workplace.clock = ManualClock(START)
    monkeypatch.setattr("tcdatalogger.cli.commands.status.time.time", workplace.clock.now)
    monkeypatch.setattr("tcdatalogger.core.state.store.SystemClock", lambda: workplace.clock)

    [one] = workplace.run("status", "--json").json["endpoints"]
    began = one["last_run"]["started_at"]
    assert (began, one["fresh_seconds"]) == ("2026-01-01T00:00:00Z", 0.0)
    workplace.clock.sleep(60)
    assert "1 min ago" in workplace.run("status").out
    run = workplace.log("members").record
    assert workplace.run("runs", "show", "last", "--json").json["run_id"] == run.run_id


def test_a_person_sees_a_line_for_each_endpoint(workplace):
    workplace.log("faction_crimes")

    out = workplace.run("status").out

    assert [line.split()[0] for line in out.splitlines()[1:6]] == [
        "faction_crimes", "faction_members", "faction_balance", "faction_basic", "torn_items",
    ]  # fmt: skip


def test_the_line_of_an_endpoint_fits_a_terminal_of_80_columns(workplace, monkeypatch):
    name = "faction_members_2026"
    workplace.write(
        f'[[endpoints]]\nname = "{name}"\npath = "/faction/members"\nfrequency = "PT20H"\n'
    )
    workplace.log(name)
    began, planned = workplace.clock.now(), plans(configuration.load(workplace.file, {}))
    with State(f"sqlite:///{workplace.folder}/torn.state.sqlite") as state:
        DueQueue(state).sync(planned.values(), began, alone=True)
        DueQueue(state).served(planned[name], began, began)
    later = began + 8 * 3_600 + 59 * 60
    monkeypatch.setattr("tcdatalogger.cli.commands.status.time.time", lambda: later)

    head, line, *_ = workplace.run("status").out.splitlines()

    assert head.split() == "endpoint last run next result rows".split()
    assert line.startswith(f"{name}  8 h 59 min ago  in ")
    assert len(line) <= 80


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (8.9, "8.9 s ago"),
        (59.97, "1 min ago"),
        (185, "3 min ago"),
        (-539, "in 9 min"),
        (3_590, "1 h ago"),
        (872, "15 min ago"),
        (7_530, "2 h 6 min ago"),
        (-7_530, "in 2 h 6 min"),
        (200_000, "2 d 7 h ago"),
    ],
)
def test_a_time_has_no_seconds_that_nobody_needs(seconds, shown):
    assert coarse(1_000_000.0 - seconds, 1_000_000.0) == shown


def test_a_time_that_never_was_is_never():
    assert coarse(None, 0.0) == "never"
