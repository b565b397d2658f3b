"""The operations pages: what ran, what is late, and the command that mends it."""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import known_faction
import pytest
from installation import endpoint

from shared import held
from tcdatalogger.cli import cli
from tcdatalogger.clock import ManualClock, utc
from tcdatalogger.core.state.store import RunRecord, State
from tcdatalogger.core.views.runs import STATUSES

NOW = float(known_faction.LATER)
KEY = "a" * 16
ENDPOINTS = (
    endpoint("members", "/faction/members", storage_mode="replace")
    + endpoint("crimes", "/faction/crimes")
    + endpoint("diary", "/user/log")
)
STATE_PAGES = ("/ops", "/ops/runs", "/ops/logs")


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
    with State(site.room.settings.state.url, ManualClock(NOW)) as state:
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
    assert not empty.room.settings.state.file.exists()
    if path != "/ops/logs":
        assert "tcdatalogger run --all" in answer.text


def test_the_first_page_has_each_endpoint_the_worst_first(place):
    said = words(place.get("/ops"))

    assert re.search(
        r"crimes failing, 2 times .* members 2 set aside .* diary not stored yet", said
    )
    assert "No scheduler is alive" in said


def test_an_alert_leads_to_what_it_is_about(place):
    text = place.get("/ops")

    assert "What is wrong now" in text
    assert f'<a href="/ops/runs/{run_id(2)}">The run</a>' in text
    assert 'href="/ops/drift?endpoint=members"' in text
    assert 'href="/ops/quarantine?endpoint=members"' in text


def test_a_broken_state_is_said_to_be_one(empty):
    empty.room.settings.state.file.write_bytes(b"no database" * 1_000)

    for path in ("/ops", "/ops/runs", "/ops/runs/1"):
        answer = empty.client.get(path)
        assert answer.status_code in {400, 503}
        assert "state" in answer.text


def test_the_pages_go_on_with_a_state_that_was_put_in_place_of_another(place):
    place.get("/ops")
    file = place.site.room.settings.state.file
    file.rename(file.with_suffix(".old"))

    place.get("/ops", 503)

    assert "Nothing ran yet" in place.get("/ops")


# --- runs ----------------------------------------------------------------------------------------


def test_the_runs_of_a_day_are_lanes_with_links_of_those_that_failed(place):
    text = place.get("/ops/runs")

    assert text.count('<rect class="bad"') == 2
    for number in (3, 4):
        assert f'<a href="/ops/runs/{run_id(number)}" aria-label="crimes failed' in text
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
    place.get("/ops/runs?rows=many", 400)
    place.get("/ops/runs?rows=1000000", 400)


def test_more_runs_are_a_link_away(place):
    for number in range(100, 160):
        place.state.write_run(record(number, "members", number))

    assert 'href="/ops/runs?endpoint=members&amp;rows=200"' in place.get(
        "/ops/runs?endpoint=members"
    )


def test_a_run_says_what_it_did_and_what_was_new(place):
    said = words(place.get(f"/ops/runs/{run_id(2)}"))

    for told in ("2 set aside", "1 new fields", "members 42", "fetch 500 ms", "store 250 ms"):
        assert told in said
    assert "quarantine retry --endpoint members" in said


def test_a_run_that_failed_says_why_and_what_to_do(place):
    text = place.get(f"/ops/runs/{run_id(3)}")

    assert "The data &lt;b&gt;was&lt;/b&gt; refused" in text
    assert "says more" in text
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
    file = place.site.room.settings.archive.folder / RUNS[0].archive_file

    gone = place.get(f"/ops/runs/{run_id(1)}")
    file.parent.mkdir(parents=True)
    file.touch()
    there = place.get(f"/ops/runs/{run_id(1)}")

    assert str(file) in gone
    assert str(file) in there
    assert "not there any more" in gone
    assert "not there any more" not in there


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


# --- who sees it, and how soon -------------------------------------------------------------------


def every_page() -> list[str]:
    """The addresses of all operations pages."""
    return [*STATE_PAGES, *(f"/ops/runs/{each.run_id}" for each in RUNS)]


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
    for path in STATE_PAGES:
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
    place, tmp_path, monkeypatch
):
    file = place.site.room.settings.warehouse.file
    known_faction.fill(file)

    def opened(*_words, **_more):
        raise AssertionError("a page opened the warehouse")

    monkeypatch.setattr("tcdatalogger.core.main.open_warehouse", opened)
    with held(file):
        for path in every_page():
            began = time.monotonic()
            place.get(path)
            assert time.monotonic() - began < 1, path
