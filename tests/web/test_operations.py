"""The operations pages: what ran, what is late, and the command that mends it."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import known_faction
import pytest
from installation import endpoint

from shared import held
from tcdatalogger.cli import cli
from tcdatalogger.clock import ManualClock, utc
from tcdatalogger.core.config.secrets import Secret
from tcdatalogger.core.run.load import Guard, load_of
from tcdatalogger.core.state.store import RunRecord, State
from tcdatalogger.core.views.runs import STATUSES
from tcdatalogger.services.duckdb.warehouse import DuckDBWarehouse
from tcdatalogger.services.torncity.client.key_health import KeyState, fingerprint
from tcdatalogger.services.torncity.client.rate_limiter import Pause
from tcdatalogger.services.torncity.endpoints.registry import processor
from tcdatalogger.services.torncity.lists.cursor import Cursor, TimeRange
from tcdatalogger.services.torncity.processing.task import Fetched, Page
from tcdatalogger.web.render import LINKS, PACKED

NOW = float(known_faction.LATER)
KEY = "a" * 16
ENDPOINTS = (
    endpoint("members", "/faction/members", storage_mode="replace")
    + endpoint("crimes", "/faction/crimes")
    + endpoint("diary", "/user/log")
)
STATE_PAGES = ("/ops", "/ops/runs", "/ops/budget", "/ops/logs")
CACHE_PAGES = ("/ops/schema", "/ops/drift", "/ops/quarantine")


def run_id(number: int) -> str:
    """An id as a run has one."""
    return f"20260101T{number:06d}Z-{number:08x}"


def record(number: int, name: str, ago: float, status: str = "done", **facts) -> RunRecord:
    """A run that began some seconds before now and took a second."""
    began = NOW - ago
    given = {
        "finished_at": None if status in {"running", "crashed"} else began + 1,
        "seconds": {"fetch": 0.5, "store": 0.25},
        "archive_file": f"{name}/2026-01-01/{run_id(number)}.parquet",
        **facts,
    }
    return RunRecord(run_id(number), name, began, status, **given)


RUNS = (
    record(1, "members", 7_000, rows={"members": 41}, calls=3, bytes=5_000),
    record(2, "members", 3_000, rows={"members": 42}, calls=3, quarantined=2, drift=1),
    record(
        3, "crimes", 2_000, "failed", error="The data <b>was</b> refused",
        error_class="DataRefused", remedy="`tcdatalogger runs show last` says more.", calls=2,
    ),
    record(4, "crimes", 100, "failed", error="Torn is down.", error_class="TornDown",
           archive_file=""),
    record(5, "diary", 1_000, "pending", step="store"),
    record(6, "crimes", 90_000, rows={"crimes": 5}, backfill=True),
    record(7, "members", 8_000, "rolled back", rows={"members": 40}),
)  # fmt: skip


@dataclass(frozen=True)
class Place:
    """The pages, the state under them, and the log file."""

    site: Any
    state: State
    log: Path

    def get(self, path: str, status: int = 200) -> str:
        """A page."""
        answer = self.site.client.get(path)
        assert answer.status_code == status, (path, answer.status_code, answer.text)
        return answer.text


@pytest.fixture
def empty(open_site, tmp_path) -> Any:
    """Pages before the first run."""
    return open_site(tmp_path / "none.duckdb", endpoints=ENDPOINTS)


@pytest.fixture
def place(open_site, tmp_path) -> Iterator[Place]:
    """Pages of an installation that has run for a day."""
    log = tmp_path / "tcd.log"
    site = open_site(tmp_path / "none.duckdb", f'[log]\nfile = "{log}"\n', endpoints=ENDPOINTS)
    with State(site.context.settings.state.url, ManualClock(NOW)) as state:
        for run in RUNS:
            state.write_run(run)
        yield Place(site, state, log)


def words(text: str) -> str:
    """What a page says, without its tags."""
    return " ".join(re.sub(r"<[^>]*>", " ", text).split())


# --- what is fresh -------------------------------------------------------------------------------


@pytest.mark.parametrize("path", STATE_PAGES)
def test_before_the_first_run_the_pages_say_so_and_make_no_state(empty, path):
    answer = empty.client.get(path)

    assert answer.status_code == 200
    assert not empty.context.settings.state.file.exists()
    if path in {"/ops", "/ops/runs"}:
        assert "tcdatalogger run --all" in answer.text


def test_the_first_page_has_each_endpoint_the_worst_first(place):
    said = words(place.get("/ops"))

    assert re.search(
        r"crimes failing, 2 times .* members 2 set aside .* diary not stored yet", said
    )
    assert "No scheduler is alive" in said
    assert "1 h" in said
    assert "PT1H" not in said


def test_an_endpoint_that_is_off_or_never_ran_or_lacks_data_is_said_to_be_so(open_site, tmp_path):
    more = endpoint("idle", "/torn/items") + endpoint("out", "/faction/basic", enabled=False)
    site = open_site(tmp_path / "none.duckdb", endpoints=ENDPOINTS + more)
    with State(site.context.settings.state.url, ManualClock(NOW)) as state:
        state.write_run(record(1, "members", 60, absent=2, rows={"members": 41}))

        said = words(site.client.get("/ops").text)

    assert "members lacks data" in said
    assert "idle never ran" in said
    assert "out off" in said


def test_an_alert_leads_to_what_it_is_about(place):
    text = place.get("/ops")

    assert "What is wrong now" in text
    assert f'<a href="/ops/runs/{run_id(2)}">The run</a>' in text
    assert 'href="/ops/drift?endpoint=members"' in text
    assert 'href="/ops/quarantine?endpoint=members"' in text


def test_a_broken_state_is_said_to_be_one(empty):
    empty.context.settings.state.file.write_bytes(b"no database" * 1_000)

    for path in ("/ops", "/ops/runs", "/ops/runs/1"):
        answer = empty.client.get(path)
        assert answer.status_code in {400, 503}
        assert "state" in answer.text


def test_the_pages_go_on_with_a_state_that_was_put_in_place_of_another(place):
    place.get("/ops")
    file = place.site.context.settings.state.file
    file.rename(file.with_suffix(".old"))

    place.get("/ops", 503)

    assert "Nothing ran yet" in place.get("/ops")


def test_the_state_may_be_a_postgres(open_site, tmp_path, postgres_url):
    toml = f'[state]\nurl = "{postgres_url}"\n'
    site = open_site(tmp_path / "none.duckdb", toml, endpoints=ENDPOINTS)
    with State(postgres_url) as state:
        for run in RUNS:
            state.write_run(run)

    for path in every_page():
        assert site.client.get(path).status_code == 200, path
    said = words(site.client.get("/ops/runs?status=failed").text)
    assert run_id(3) in said
    assert run_id(2) not in said


# --- runs ----------------------------------------------------------------------------------------


def test_the_runs_of_a_day_are_lanes_with_links_of_those_that_failed(place):
    text = place.get("/ops/runs")

    assert text.count('<rect class="bad"') == 2
    for number in (3, 4):
        assert f'<a href="/ops/runs/{run_id(number)}" aria-label="crimes failed' in text
    assert 'href="/ops/runs?endpoint=crimes&amp;status=failed" aria-label="2 failed runs' in text
    assert "crimes: 2 runs, 2 failed" in text
    assert "members: 3 runs, 0 failed" in text


def test_a_failed_run_is_whole_on_the_picture_also_at_its_right_end(place):
    place.state.write_run(record(8, "crimes", 0, "failed", error_class="Busy", finished_at=NOW))

    found = re.findall(r'class="bad" x="(\d+)" width="(\d+)"', place.get("/ops/runs"))

    assert len(found) == 3
    for x, width in found:
        assert int(width) >= 8
        assert 0 <= int(x) <= 480 - int(width)


def test_the_address_says_which_runs_are_listed(place):
    said = words(place.get("/ops/runs?endpoint=members&status=done"))

    assert run_id(1) in said
    assert run_id(2) in said
    for number in (3, 4, 5, 6, 7):
        assert run_id(number) not in said
    assert place.get("/ops/runs?endpoint=nobody").count("<rect") == 0
    assert "No run in the last 24 hours" in place.get("/ops/runs?status=paused")


def test_an_address_that_names_no_status_is_refused_in_words(place):
    said = place.get("/ops/runs?status=faild", 400)

    assert "failed" in said


def test_older_runs_are_a_link_away_and_none_is_left_out_or_shown_twice(place):
    for number in range(100, 220):
        place.state.write_run(record(number, "members", 500 + number // 3))  # some at one moment

    path, found = "/ops/runs?endpoint=members", []
    while path:
        text = place.get(path)
        table = text.partition('<table class="rows">')[2]
        found.append(re.findall(r"<td[^>]*>(20260101T[^<]*)</td>", table))
        path = next(iter(re.findall(r'href="([^"]*)">Older runs', text)), "").replace("&amp;", "&")

    assert [len(each) for each in found] == [50, 50, 23]
    assert len({each for page in found for each in page}) == 123
    assert ">The newest</a>" in text
    assert "No run is older" in place.get(f"/ops/runs?before={run_id(6)}")
    assert "No run is older" in place.get("/ops/runs?before=nobody")


@pytest.mark.slow
def test_pages_with_much_to_tell_stay_light(place):
    for number in range(3_000):
        name = f"endpoint_{number % 30}"
        place.state.write_run(record(1_000 + number, name, 27 * number, "failed", error="Busy"))
    pages = [hashlib.sha256(str(n).encode()).hexdigest() * 3 for n in range(400)]
    place.log.write_text("".join(line(1, "read", run_id=run_id(1_000), page=p) for p in pages))

    for path in (*STATE_PAGES, f"/ops/runs/{run_id(1_000)}", "/ops/endpoints/endpoint_1"):
        text = place.get(path)
        packed = place.site.client.get(path, headers={"accept-encoding": "gzip"})
        stops = re.findall(r'<a (?![^>]*tabindex="-1")', text)
        assert int(packed.headers["content-length"]) <= PACKED, path
        assert len(stops) <= LINKS, path
    lanes = place.get("/ops/runs").partition('<table class="lanes">')[2]
    assert lanes.count('<path class="bad"') == 30
    assert "older lines are not read here" in place.get("/ops/logs")
    assert "There are more lines" in place.get(f"/ops/runs/{run_id(1_000)}")


def test_a_run_says_what_it_did_and_what_was_new(place):
    said = words(place.get(f"/ops/runs/{run_id(2)}"))

    for told in ("2 set aside", "1 new fields", "members 42", "fetch 500 ms", "store 250 ms"):
        assert told in said
    assert "quarantine retry --endpoint members" in said


def test_a_run_that_failed_says_why_and_what_to_do(place):
    text = place.get(f"/ops/runs/{run_id(3)}")

    assert "The data &lt;b&gt;was&lt;/b&gt; refused" in text
    assert "<code>tcdatalogger runs show last</code> says more." in text
    assert f"tcdatalogger replay {run_id(3)} --with {run_id(3)}" in text


def test_of_replaced_tables_only_the_newest_run_is_rolled_back(place):
    assert f"rollback {run_id(2)}" in place.get(f"/ops/runs/{run_id(2)}")
    older = place.get(f"/ops/runs/{run_id(1)}")
    assert "rollback" not in older
    assert f"rebuild members --without {run_id(1)}" in older


@pytest.mark.parametrize("status", STATUSES)
def test_every_command_of_a_page_is_one_that_the_program_knows(place, status):
    for number, facts in enumerate(
        (
            {},
            {"archive_file": ""},
            {"error_class": "DataRefused"},
            {"error_class": "ConfigError"},
            {"quarantined": 1, "drift": 1, "rows": {"members": 1}},
            {"backfill": True},
            {"endpoint": "/backup"},
            {"endpoint": "gone"},
        )
    ):
        name = facts.pop("endpoint", "members")
        place.state.write_run(record(900 + number, name, 50, status, **facts))
        text = place.get(f"/ops/runs/{run_id(900 + number)}")
        for command in re.findall(r"<code>tcdatalogger ([^<]*)</code>", text):
            known(cli, shlex.split(command))


def known(command: click.Command, given: list[str]) -> None:
    """Fail where a command line is none of the program; nothing is done."""
    with command.make_context("tcdatalogger", list(given), resilient_parsing=False) as context:
        if isinstance(command, click.Group):
            rest = [*context._protected_args, *context.args]
            name, inner, rest = command.resolve_command(context, rest)
            assert inner is not None, name
            known(inner, rest)


def test_a_run_that_nobody_knows_is_a_page_that_says_so(place):
    assert "knows no run" in place.get("/ops/runs/nothing", 404)
    assert "&lt;i&gt;" in place.get("/ops/runs/%3Ci%3E", 404)


def test_a_run_whose_process_is_gone_is_said_to_have_crashed(place):
    place.state.write_run(record(10, "crimes", 60, "running"))

    assert "Its claim was given up or taken over." in place.get(f"/ops/runs/{run_id(10)}")


def test_the_answers_of_a_run_are_named_and_said_to_be_gone_where_they_are(place):
    file = place.site.context.settings.archive.folder / RUNS[0].archive_file

    gone = place.get(f"/ops/runs/{run_id(1)}")
    file.parent.mkdir(parents=True)
    file.touch()
    there = place.get(f"/ops/runs/{run_id(1)}")

    assert str(file) in gone
    assert str(file) in there
    assert "not there any more" in gone
    assert "not there any more" not in there


# --- endpoints and the budget --------------------------------------------------------------------


def test_an_endpoint_shows_its_settings_its_tables_and_its_runs(place):
    said = words(place.get("/ops/endpoints/members"))

    for told in ("members 2 set aside", "/faction/members", "storage_mode replace", "members 42",
                 "api_key default", "2 done, 1 rolled back", "Each run reads all"):  # fmt: skip
        assert told in said
    assert "rebuild members --dry-run" in said


def test_an_endpoint_that_is_not_configured_any_more_still_shows_its_runs(place):
    place.state.write_run(record(20, "gone", 500))

    said = words(place.get("/ops/endpoints/gone"))

    assert "not configured any more" in said
    assert run_id(20) in said
    place.get("/ops/endpoints/never", 404)


def test_the_calls_of_a_day_are_counted_for_the_owner_of_the_key(place):
    for number in range(30, 33):
        place.state.write_run(record(number, "crimes", 600, calls=40, key_owner=7))
    place.state.write_run(record(33, "crimes", 90_000, calls=500, key_owner=7))

    said = words(place.get("/ops/budget"))

    assert "player:7 120 120" in said
    assert "unknown 8 3" in said
    assert "player:7 120 calls" in said


def test_calls_of_a_long_fetch_are_spread_over_its_minutes(place):
    run = record(
        34, "crimes", 6_000, calls=90, key_owner=7, seconds={"fetch": 5_400.0}, finished_at=NOW
    )
    place.state.write_run(run)

    assert "player:7 90 1" in words(place.get("/ops/budget"))


def test_a_dead_key_is_said_to_be_one_with_the_link_for_another(place):
    health = place.state.key_health
    name = fingerprint(Secret("default", KEY))
    health.set_state(KeyState(name, "dead", code="incorrect_key", since=NOW - 60, name="default"))

    text = place.get("/ops/budget")

    assert "default dead" in words(text)
    assert 'href="https://www.torn.com/preferences.php#tab=api?step=addNewKey' in text
    assert "crimes" in text
    assert KEY not in text


def test_what_holds_calls_is_said(place):
    place.state.call_slots.pause(Pause("player:7", NOW + 30, "too_many_requests"))

    said = words(place.get("/ops/budget"))

    assert "No call is made player:7" in said
    assert "No call is made player:7" in words(place.get("/ops"))


# --- what the ledger knows -----------------------------------------------------------------------


HOSTILE = "<script>alert(1)</script>"
ODD = [
    known_faction.person(1, "Ada", NOW - 60, hat=HOSTILE),
    {**known_faction.person(2, "Bob", NOW - 60), "id": HOSTILE},
]
POLLS = (
    known_faction.Poll("faction_members", 40832, int(NOW) - 60, {"members": ODD}),
    known_faction.Poll("user_events", 1, int(NOW) - 60, {
        "events": [{"id": "x", "timestamp": "secret-of-the-owner", "event": "a"}], "_metadata": {},
    }),
)  # fmt: skip


@pytest.fixture(scope="module")
def logged(tmp_path_factory) -> Path:
    """A warehouse with new fields, and with records that were set aside."""
    file = tmp_path_factory.mktemp("ledger") / "torn.duckdb"
    known_faction.fill(file, POLLS)
    return file


def test_the_versions_of_tables_have_their_cause_and_their_columns(open_site, logged):
    site = open_site(logged)

    said = words(site.get("/ops/schema"))
    one = words(site.get("/ops/schema?table=faction_members"))

    assert re.search(r"user_events 1 .* first load", said)
    assert "Columns of version 1" in one
    assert "id key INT" in one or "id key" in one
    assert "user_events 1" not in one
    assert "There is nothing of it" in site.get("/ops/schema?endpoint=nobody")


def test_a_new_field_is_shown_with_an_example_and_its_run(open_site, tmp_path, logged):
    site = open_site(logged, f'[state]\nurl = "sqlite:///{tmp_path}/state.sqlite"\n')
    assert "/ops/runs/run-00" not in site.get("/ops/drift")  # the state knows no run
    with State(site.context.settings.state.url, ManualClock(NOW)) as state:
        state.write_run(replace(record(1, "faction_members", 60), run_id="run-00"))

    text = site.get("/ops/drift?endpoint=faction_members")

    assert 'title="faction_members.hat"' in text
    assert "&lt;script&gt;" in text
    assert HOSTILE not in text
    assert 'href="/ops/runs/run-00"' in text


def test_a_record_that_was_set_aside_is_shown_with_its_reason_and_how_to_try_it_again(
    open_site, logged
):
    site = open_site(logged)
    text = site.get("/ops/quarantine?endpoint=faction_members")

    assert "&lt;script&gt;" in text
    assert HOSTILE not in text
    assert "tcdatalogger quarantine retry --endpoint faction_members" in text
    assert "No record is set aside" in site.get("/ops/quarantine?run=run-77")


def test_what_is_the_owners_own_is_not_shown_to_an_officer(open_site, logged):
    told = ", ".join(f'{name} = "env:{name.upper()}"' for name in ("owner", "officer"))
    site = open_site(logged, f"[ui]\npasswords = {{ {told} }}\n")
    site.client.post("/login", data={"password": "owner-password-1"})
    assert "secret-of-the-owner" in site.get("/ops/quarantine")

    site.client.post("/login", data={"password": "officer-password-2"})
    text = site.get("/ops/quarantine")

    assert "secret-of-the-owner" not in text
    assert "only the key&#39;s owner sees it" in text


@pytest.mark.parametrize("path", CACHE_PAGES)
def test_pages_of_the_ledger_say_how_the_warehouse_stands(open_site, tmp_path, logged, path):
    nothing = open_site(tmp_path / "none.duckdb")
    assert "Being read" in nothing.client.get(path).text
    assert re.search(r"No table was|has sent no field|No record is", nothing.get(path))

    broken = tmp_path / "broken.duckdb"
    broken.write_bytes(b"no database" * 1_000)
    assert "This was refused" in open_site(broken).get(path)

    file = tmp_path / "held.duckdb"
    file.write_bytes(logged.read_bytes())
    site = open_site(file)
    with held(file):
        assert "The warehouse is being written" in site.get(path)
    site.clock.sleep(11)
    assert "being written" not in site.get(path)


def test_the_history_that_was_read_is_shown_with_its_gaps(open_site, tmp_path, warehouse):
    file = tmp_path / "history.duckdb"
    file.write_bytes(warehouse.read_bytes())
    site = open_site(file)
    task = site.context.application.task(site.context.settings.endpoint("membership"), "run-90")
    day = 86_400
    spans = {"40832": (int(NOW) - day, int(NOW))}
    stretch = TimeRange("40832", int(NOW) - 3 * day, int(NOW) - 5 * day)
    for number, (cursor, piece) in enumerate(
        ((Cursor(task.asked, spans).text, None), (None, stretch))
    ):
        store(file, task, f"run-9{number}", cursor, piece)

    said = words(site.get("/ops/endpoints/membership"))

    begin = utc(NOW - day)
    assert f"40832 {begin:%Y-%m-%d %H:%M}" in said
    assert f"{utc(NOW - 5 * day):%Y-%m-%d %H:%M} {utc(NOW - 3 * day):%Y-%m-%d %H:%M}" in said


def store(file, task, run_id, cursor, stretch):
    """Store news of nothing, with a cursor or with a stretch of history."""
    task = replace(task, run_id=run_id, stretch=stretch)
    body = json.dumps({"news": [], "_metadata": {}}).encode()
    fetched = Fetched((Page(body, 40832, NOW),), stretch=stretch)
    worker = processor(task.endpoint.path)(task)
    made = worker.validate(worker.transform_data(fetched), fetched)
    load = load_of(task, fetched, made, Guard(), cursor=cursor, at=NOW)
    with DuckDBWarehouse(file) as warehouse:
        warehouse.commit(replace(load, cursor=cursor or load.cursor))


# --- the log -------------------------------------------------------------------------------------


def line(ago: float, event: str, level: str = "info", **facts) -> str:
    """A line as the log has it."""
    at = utc(NOW - ago).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return json.dumps({"timestamp": at, "level": level, "event": event, **facts}) + "\n"


def test_the_lines_of_a_run_stand_on_its_page(place):
    place.log.write_text(
        line(3_000, "run_began", run_id=run_id(2), endpoint="members")
        + line(2_999, "odd_name", "warning", run_id=run_id(2), name="<script>alert(1)</script>")
        + line(2_000, "run_began", run_id=run_id(3))
    )

    text = place.get(f"/ops/runs/{run_id(2)}")

    assert "run began" in text
    assert "&lt;script&gt;" in text
    assert text.count("run began") == 1
    assert "No line of this run" in place.get(f"/ops/runs/{run_id(1)}")


def test_lines_of_a_run_of_long_ago_are_found_in_a_large_log_without_reading_all(
    place, monkeypatch
):
    monkeypatch.setattr("tcdatalogger.observability.log_reader._BLOCK", 1 << 12)
    monkeypatch.setattr("tcdatalogger.observability.log_reader.MOST_BYTES", 1 << 15)
    old = place.log.with_name("tcd.log.1")
    old.write_text(
        "".join(line(80_000 - n, "noise", n=n) for n in range(1_000))
        + line(6_999, "run_began", run_id=run_id(1))
        + "".join(line(6_000 - n, "noise", n=n) for n in range(3_000))
    )
    place.log.write_text("".join(line(2_000 - n / 2, "noise", n=n) for n in range(4_000)))

    assert "run began" in place.get(f"/ops/runs/{run_id(1)}")


def test_the_log_is_read_by_level_endpoint_and_run(place):
    place.log.write_text(
        line(30, "one", endpoint="members", run_id=run_id(1))
        + line(20, "two", "warning", endpoint="crimes", run_id=run_id(3))
        + "no line of ours\n[]\n"
        + line(10, "three", "error", endpoint="crimes")
    )

    assert re.search(r"three .* two .* one", words(place.get("/ops/logs")))
    assert "one" not in re.findall(r"scope=\"row\".*", place.get("/ops/logs?level=warning"))
    by_level = words(place.get("/ops/logs?level=error"))
    assert "three" in by_level
    assert " two " not in by_level
    assert " one " not in words(place.get("/ops/logs?endpoint=crimes"))
    assert " two " not in words(place.get(f"/ops/logs?run={run_id(1)}"))
    place.get("/ops/logs?level=loud", 400)


# --- from an answer to its run -------------------------------------------------------------------


def test_what_a_card_is_as_of_leads_to_the_run_that_stored_it(open_site, tmp_path, warehouse):
    file = tmp_path / "torn.duckdb"
    file.write_bytes(warehouse.read_bytes())
    told = ", ".join(f'{name} = "env:{name.upper()}"' for name in ("officer", "member"))
    site = open_site(file, f"[ui]\npasswords = {{ {told} }}\n")
    with DuckDBWarehouse(file, read_only=True) as opened:
        rows = opened.query("select max(_run_id) as run from faction_members").to_pylist()
    newest = rows[0]["run"]
    link = f'<a href="/ops/runs/{newest}">'
    site.client.post("/login", data={"password": "officer-password-2"})
    assert "/ops/runs/" not in site.get("/members")  # the state knows no run yet

    with State(site.context.settings.state.url, ManualClock(NOW)) as state:
        state.write_run(replace(record(1, "faction_members", 60), run_id=newest))
    assert f'{link}<time datetime="' in site.get("/questions/inactive-members")
    assert f"<td>{link}" in site.get("/questions/inactive-members")
    assert link in site.get("/members")
    assert site.client.get(f"/ops/runs/{newest}").status_code == 200

    site.client.post("/login", data={"password": "member-password-3"})
    assert "/ops/runs/" not in site.get("/members")


@pytest.fixture(autouse=True)
def unread(monkeypatch):
    """Pages that do not wait for what was never read: no thread reads it."""
    for place in ("operations.ledger", "cards"):
        monkeypatch.setattr(f"tcdatalogger.web.{place}.WAIT", 0.0)


# --- who sees it, and how soon -------------------------------------------------------------------


def every_page() -> list[str]:
    """The addresses of all operations pages."""
    return [
        *STATE_PAGES,
        *CACHE_PAGES,
        *(f"/ops/runs/{each.run_id}" for each in RUNS),
        *(f"/ops/endpoints/{name}" for name in ("members", "crimes", "diary")),
    ]


def test_members_see_no_operations_page_and_officers_do(open_site, tmp_path):
    told = ", ".join(f'{name} = "env:{name.upper()}"' for name in ("owner", "officer", "member"))
    toml = f"[ui]\npasswords = {{ {told} }}\n"
    site = open_site(tmp_path / "none.duckdb", toml, endpoints=ENDPOINTS)

    def sign_in(password: str) -> None:
        answer = site.client.post("/login", data={"password": password})
        assert answer.status_code == 303, answer.text

    sign_in("member-password-3")
    for path in every_page():
        assert site.client.get(path).status_code == 403
    assert 'href="/ops"' not in site.client.get("/").text
    sign_in("officer-password-2")
    for path in (*STATE_PAGES, *CACHE_PAGES, "/ops/endpoints/members"):
        assert site.client.get(path).status_code == 200
    assert 'href="/ops"' in site.client.get("/").text


def test_no_page_has_a_key(place):
    place.log.write_text(line(30, "oops", run_id=run_id(2), key=KEY))
    place.state.write_run(
        record(2, "members", 3_000, error=f"key={KEY}", note=f"ApiKey {KEY}", warnings=(KEY,))
    )
    place.get("/ops")  # the keys are read there, and hidden from then on

    for path in every_page():
        assert KEY not in place.get(path), path


def test_pages_of_the_state_answer_at_once_while_another_program_has_the_warehouse(
    place, warehouse, monkeypatch
):
    file = place.site.context.settings.warehouse.file
    file.write_bytes(warehouse.read_bytes())

    def opened(*_words, **_more):
        raise AssertionError("a page opened the warehouse")

    monkeypatch.setattr("tcdatalogger.core.main.open_warehouse", opened)
    with held(file):
        for path in every_page():
            began = time.monotonic()
            place.get(path)
            assert time.monotonic() - began < 1, path
