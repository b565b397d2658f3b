"""One run of one endpoint: its steps, what it leaves behind, and what it never shows."""

from __future__ import annotations

import io
import json
import logging

import pytest

from tcdatalogger.cli import main as _main  # noqa: F401 - the command line under test
from tcdatalogger.core.run.steps import STEPS
from tcdatalogger.errors import DataRefused
from tcdatalogger.observability import log
from tcdatalogger.services.duckdb.warehouse import DuckDBWarehouse
from tcdatalogger.services.torncity.endpoints.members import MembersProcessor
from tcdatalogger.services.torncity.processing.base import Fetched

ONE = '[[endpoints]]\nname = "faction_members"\npath = "/faction/members"\n'


@pytest.fixture
def broken(monkeypatch):
    """Make a step of the members' processor end by an error that nobody foresaw."""

    def broken(step):
        def fail(*_args, **_options):
            raise KeyError("difficulty")

        owner, name = (DuckDBWarehouse, "commit") if step == "store" else (MembersProcessor, step)
        monkeypatch.setattr(owner, name, fail)

    return broken


def test_a_run_that_is_done_says_what_it_did(workplace):
    outcome = workplace.log("faction_crimes")

    record = outcome.record
    assert (record.status, record.exit_code, record.error) == ("done", 0, "")
    assert list(record.seconds) == list(STEPS)
    assert (record.calls, record.pages) == (4, 3)  # one call asks whose the key is
    assert record.rows == {
        name: workplace.value(f"select count(*) from {name}") for name in record.rows
    }
    assert record.load_id == workplace.value("select load_id from _tcd_loads")
    assert record.server_time == workplace.city.now()
    with workplace.application() as application:
        assert application.state.runs() == [record]


@pytest.mark.parametrize(
    ("step", "steps", "rows"),
    [
        ("fetch", ["fetch"], 0),
        ("transform", ["fetch", "transform"], 30),
        ("validate", ["fetch", "transform", "validate"], 30),
    ],
)
def test_a_run_stops_after_the_step_that_was_asked_for(workplace, step, steps, rows):
    outcome = workplace.log("faction_members", until=step)

    assert (outcome.record.status, outcome.record.step) == ("paused", step)
    assert list(outcome.record.seconds) == steps
    assert sum(outcome.record.rows.values()) == rows
    assert outcome.receipt is None
    assert not workplace.warehouse.exists()
    assert (workplace.folder / "archive" / outcome.record.archive_file).exists()


def test_transform_shows_what_validate_would_refuse(workplace, city):
    city.fault("map", path="/faction/members")  # a `_key` that the catalogue does not know
    frozen = "contract=freeze"

    assert workplace.log("faction_members", frozen, until="transform").record.drift > 0
    refused = workplace.log("faction_members", frozen, until="validate")

    assert isinstance(refused.error, DataRefused)
    assert refused.record.status == "failed"


def test_a_dry_run_stores_nothing_and_tells_the_plan(workplace):
    first = workplace.log("faction_crimes", dry=True)

    assert [str(step) for step in first.plan] == [
        "+ table faction_crimes",
        "+ table faction_crimes_slots",
        "+ table faction_crimes_rewards_items",
    ]
    assert first.record.status == "paused"
    assert not workplace.warehouse.exists()
    workplace.log("faction_crimes")
    before = workplace.sql("from _tcd_loads")
    assert workplace.log("faction_crimes", dry=True).plan == ()
    assert workplace.sql("from _tcd_loads") == before


def test_the_plan_of_a_history_has_the_columns_that_it_adds(workplace):
    workplace.log("faction_members")
    workplace.write(
        '[[endpoints]]\nname = "faction_members"\npath = "/faction/members"\n'
        'storage_mode = "history"\n'
    )

    plan = workplace.log("faction_members", dry=True).plan
    checked = workplace.run("check", "--json").json

    for name in ("valid_from", "valid_to"):
        assert f"+ faction_members.{name}" in " ".join(map(str, plan))
        [finding] = [f for f in checked["findings"] if f["part"] == "tables of faction_members"]
        assert name in str(finding)


def test_a_refused_replace_keeps_the_old_rows(workplace, city):
    mode = "storage_mode=replace"
    workplace.log("faction_members", mode)
    city.fault("inside", code=27, path="/faction/members")
    inside = workplace.log("faction_members", mode)
    city.clear_faults()
    city.fault("truncated", path="/faction/members")
    truncated = workplace.log("faction_members", mode)

    assert inside.record.status == truncated.record.status == "failed"
    assert workplace.value("select count(*) from faction_members") == 30
    assert workplace.value("select count(*) from _tcd_loads") == 1


def test_a_replace_that_has_nowhere_to_find_its_rows_is_refused(workplace, monkeypatch):
    mode = "storage_mode=replace"
    workplace.log("faction_members", mode)
    fetch = MembersProcessor.fetch_data

    def nothing(self):
        fetch(self)
        return Fetched.of(b'{"_metadata":{}}')

    monkeypatch.setattr(MembersProcessor, "fetch_data", nothing)
    outcome = workplace.log("faction_members", mode)

    assert isinstance(outcome.error, DataRefused)
    assert outcome.record.exit_code == 65
    assert workplace.value("select count(*) from faction_members") == 30


def test_what_one_run_learned_the_next_one_knows(workplace, city):
    city.fault("map", path="/faction/members", times=2)
    first, second = workplace.log("faction_members"), workplace.log("faction_members")

    assert [one.record.drift for one in (first, second)] == [1, 0]
    assert second.record.steps == ()
    assert workplace.sql("select column_name, run_id from _tcd_drift") == [
        {"column_name": "_key", "run_id": first.record.run_id}
    ]
    assert workplace.value("select count(*) from faction_members where _key = id::varchar") == 60


@pytest.mark.parametrize("step", ["fetch_data", "transform_data", "validate", "store"])
def test_a_bug_in_a_step_ends_the_run_as_failed_and_leaves_the_warehouse(workplace, broken, step):
    workplace.log("faction_members")
    broken(step)

    with pytest.raises(KeyError):
        workplace.log("faction_members")

    with workplace.application() as application:
        (last, _) = application.state.runs()
    assert (last.status, last.exit_code) == ("failed", 1)
    assert (last.error, last.error_class) == ("It ended by KeyError.", "KeyError")
    assert workplace.value("select count(*) from _tcd_loads") == 1


def test_rows_tables_and_ledger_agree_after_every_kind_of_run(workplace, city):
    workplace.write(f"{ONE}\n[[endpoints]]\nname = 'torn_items'\npath = '/torn/items'\n"
                    "storage_mode = 'replace'\n")  # fmt: skip
    for fault in (None, "truncated", "map", "inside", None):
        city.clear_faults()
        if fault:
            city.fault(fault, code=27)
        for name in ("faction_members", "torn_items"):
            workplace.log(name)

    for load in workplace.sql("from _tcd_loads where mode = 'append'"):
        for table, count in json.loads(load["rows"]).items():
            run = f"select count(*) from {table} where _run_id = '{load['run_id']}'"
            assert workplace.value(run) == count
    last = workplace.sql("from _tcd_loads where mode = 'replace' order by committed_at, rowid")[-1]
    assert (
        workplace.value("select count(*) from torn_items") == json.loads(last["rows"])["torn_items"]
    )
    assert workplace.value("select count(distinct _run_id) from torn_items") == 1


# Logs


def test_every_line_of_a_run_has_its_id_and_its_endpoint(workplace):
    done = workplace.run("run", "--all", "--json", "--log-level", "debug", "--log-format", "json")

    runs = {run["run_id"]: run["endpoint"] for run in done.json}
    lines = [json.loads(line) for line in done.err.splitlines()]
    assert {line["run_id"] for line in lines} == set(runs)
    for line in lines:
        assert line["endpoint"] == runs[line["run_id"]]
    for run in runs:
        own = [line["event"] for line in lines if line["run_id"] == run]
        assert own[0] == "run_started"
        assert own[-1] == "run_finished"


def test_lines_of_the_transport_belong_to_their_run_too(workplace, city):
    city.fault("http", status=502, times=1, path="/faction/members")

    done = workplace.run("run", "faction_members", "--log-level", "debug", "--log-format", "json")

    assert done.code == 0
    lines = [json.loads(line) for line in done.err.splitlines()]
    assert len({line.get("run_id") for line in lines}) == 1


EVERY_WAY = [
    ("run", "--all"),
    ("run", "--all", "--json"),
    ("run", "--all", "--debug"),
    ("run", "faction_crimes", "--step", "fetch"),
    ("run", "faction_members", "--step", "transform"),
    ("run", "faction_members", "--dry-run"),
    ("check",),
    ("check", "--json"),
    ("status", "--json"),
    ("runs", "--json"),
    ("config", "show", "--json"),
    ("catalog", "show", "/faction/members"),
    ("query", "from _tcd_loads"),
]


@pytest.mark.slow
def test_the_key_is_in_no_output_log_archive_state_or_warehouse(workplace, city):
    workplace.write(extra='[log]\nfile = "torn.log"\nlevel = "debug"\n')
    faults = [{"kind": "http", "status": 403, "times": 1}, {"kind": "error", "code": 2, "times": 1}]
    for words in EVERY_WAY:
        done = workplace.run(*words)
        assert workplace.key not in done.out + done.err, words
    for fault in faults:
        city.fault(path="/faction/members", **fault)
        done = workplace.run("run", "faction_members", "--debug")
        assert done.code != 0
        assert workplace.key not in done.out + done.err

    assert len(list(workplace.folder.rglob("*.parquet"))) > 5
    assert (workplace.folder / "torn.log").stat().st_size > 1000
    assert workplace.holding(workplace.key) == []
    assert workplace.holding(workplace.city.url)  # so that we know that we would find it


def test_no_body_is_in_any_log(workplace, city):
    workplace.write(extra='[log]\nfile = "torn.log"\nlevel = "debug"\n')
    name = workplace.log("faction_members").made.tables["faction_members"]["name"][0].as_py()
    for kind in ("map", "truncated", "inside"):
        city.fault(kind, code=27, path="/faction/members", times=1)
        done = workplace.run("run", "faction_members", "--debug", "--log-format", "human")
        assert name not in done.err
    done = workplace.run("run", "faction_members", "--debug", "--json")

    assert name not in done.out + done.err
    assert name not in (workplace.folder / "torn.log").read_text()
    assert [f.suffix for f in workplace.holding(name)] != []  # in archive and warehouse it is


def test_nothing_of_a_run_is_left_in_the_context_of_the_next(workplace):
    workplace.log("faction_basic")

    assert logging.getLogger().handlers is not None
    lines = io.StringIO()
    log.configure("info", "json", stream=lines)
    log.get_logger("x").info("outside")
    log.stop()
    assert not {"run_id", "endpoint"} & json.loads(lines.getvalue()).keys()
