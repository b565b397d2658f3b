"""`run --step`, and `run --run`: a run goes on from what it left, and is stored once."""

from __future__ import annotations

import dataclasses
import json
import shutil

import pyarrow.parquet as pq
import pytest

from shared import rest_slow
from tcdatalogger.errors import WarehouseUnavailable
from tcdatalogger.sandbox.api.server import START
from tcdatalogger.services.duckdb.warehouse import DuckDBWarehouse

DAY = 86_400
STEPS = ("fetch", "transform", "validate", "store")
CRIMES, MEMBERS = "faction_crimes", "faction_members"
ATTACKS = '[[endpoints]]\nname = "attacks"\npath = "/faction/attacks"\n'


@pytest.fixture
def living(settle):
    """A place whose city moves on, with one incremental list."""
    return settle(ATTACKS, history=40 * DAY)


def run(place, *words):
    """The one run of a call, as JSON."""
    done = place.run("run", *words, "--json")
    assert done.code == 0, done.err
    [facts] = done.json
    return facts


def stop(place, name=CRIMES, step="fetch", *words):
    """The id of a run that has stopped after a step."""
    return run(place, name, "--step", step, *words)["run_id"]


def rows(place, table=CRIMES):
    left_out = "server_timestamp, _run_id"
    return sorted(map(repr, place.sql(f"select * exclude ({left_out}) from {table}")))


def ids(place):
    return [row["id"] for row in place.sql("select id from attacks")]


def calls(place):
    return place.city.stats()["calls"]


# Step by step


def test_step_by_step_stores_what_an_ordinary_run_would_without_another_call(workplace):
    run_id = stop(workplace)
    before = calls(workplace)

    for step in STEPS[1:]:
        facts = run(workplace, CRIMES, "--run", run_id, "--step", step)
        assert (facts["run_id"], facts["step"]) == (run_id, step)

    assert calls(workplace) == before
    assert facts["status"] == "done"
    assert facts["seconds"].keys() == set(STEPS)
    assert facts["calls"] == 4  # one asks whose the key is
    assert {row["_run_id"] for row in workplace.sql(f"from {CRIMES}_slots")} == {run_id}
    stored = {name: rows(workplace, name) for name in facts["rows"]}
    workplace.warehouse.unlink()
    ordinary = run(workplace, CRIMES)
    assert {name: rows(workplace, name) for name in ordinary["rows"]} == stored
    assert not list((workplace.folder / "artifacts").iterdir())


@pytest.mark.parametrize("step", STEPS[:3])
def test_without_a_step_it_goes_on_to_the_end(workplace, step):
    run_id = stop(workplace, CRIMES, step)

    facts = run(workplace, CRIMES, "--run", run_id)

    assert facts["status"] == "done"
    assert workplace.value(f"select count(*) from {CRIMES}") == facts["rows"][CRIMES] > 0
    assert workplace.value("select run_id from _tcd_loads") == run_id
    assert workplace.value("select archive_file from _tcd_loads") == facts["archive_file"]


def test_what_it_holds_can_be_looked_at_in_files(workplace):
    facts = run(workplace, CRIMES, "--step", "transform")

    folder = workplace.folder / "artifacts" / facts["run_id"]
    assert facts["artifact"] == str(folder)
    for table, count in facts["rows"].items():
        assert pq.read_table(folder / f"{table}.parquet").num_rows == count
    assert json.loads((folder / "drift.json").read_text()) == []
    assert json.loads((folder / "rejected.json").read_text()) == []
    shown = workplace.run("run", CRIMES, "--step", "validate").out
    assert "It goes on with: " in shown
    assert f"run {CRIMES} --run 2026" in shown


def test_what_is_stored_is_what_was_looked_at_with_what_was_odd_about_it(workplace, says):
    says("/faction/members", {"members": [{"id": 1, "news": 5}, {"id": "no"}]})
    run_id = stop(workplace, MEMBERS, "validate")
    folder = workplace.folder / "artifacts" / run_id
    assert json.loads((folder / "drift.json").read_text())[0]["column"] == "news"
    assert json.loads((folder / "rejected.json").read_text())[0]["path"] == "members[1].id"
    says("/faction/members", {"members": [{"id": 2}]})

    facts = run(workplace, MEMBERS, "--run", run_id)

    assert (facts["quarantined"], facts["drift"]) == (1, 1)
    assert workplace.sql(f"select id, news from {MEMBERS}") == [{"id": 1, "news": 5}]
    assert workplace.value("select run_id from _tcd_quarantine") == run_id
    assert workplace.value("select column_name from _tcd_drift") == "news"


def test_a_run_is_named_by_how_its_id_begins_or_as_the_last(workplace):
    run_id = stop(workplace)

    assert run(workplace, CRIMES, "--run", run_id[:-3], "--step", "transform")["run_id"] == run_id
    assert run(workplace, CRIMES, "--run", "last")["status"] == "done"


def test_a_dry_run_goes_on_to_the_plan_and_leaves_what_is_there(workplace):
    run_id = stop(workplace, CRIMES, "validate")

    done = workplace.run("run", CRIMES, "--run", run_id, "--dry-run")

    assert f"+ table {CRIMES}_slots" in done.out
    assert not workplace.warehouse.exists()
    assert run(workplace, CRIMES, "--run", run_id, "--step", "store")["status"] == "done"


def test_the_books_tell_one_run_whose_calls_count_once(workplace):
    run_id = stop(workplace)
    run(workplace, CRIMES, "--run", run_id)

    [record] = workplace.run("runs", "--json").json
    assert (record["run_id"], record["status"], record["resumed"]) == (run_id, "done", True)
    with workplace.application() as application:
        counted = dict(
            application.state.reading("select name, sum(value) from run_totals group by name")
        )
    assert counted["calls"] == record["calls"] == 4


# Once


def test_a_run_that_is_stored_says_so_and_nothing_is_stored_again(workplace):
    run_id = stop(workplace)
    run(workplace, CRIMES, "--run", run_id)

    again = run(workplace, CRIMES, "--run", run_id, "--step", "store")

    assert again["already_stored"]
    assert "stored before" in workplace.run("run", CRIMES, "--run", run_id).out
    assert workplace.value("select count(*) from _tcd_loads") == 1


def test_a_run_that_was_killed_after_its_commit_is_found_in_the_ledger(workplace):
    run_id = stop(workplace, CRIMES, "validate")
    run(workplace, CRIMES, "--run", run_id)
    count = workplace.value(f"select count(*) from {CRIMES}")
    with workplace.application() as application:
        [record] = application.state.runs(run_id=run_id)
        application.state.write_run(dataclasses.replace(record, status="crashed"))

    assert run(workplace, CRIMES, "--run", run_id)["already_stored"]

    assert workplace.value(f"select count(*) from {CRIMES}") == count
    assert workplace.run("runs", "show", run_id, "--json").json["status"] == "done"


def test_a_busy_warehouse_leaves_it_to_go_on_with_and_the_next_run_does_not_store_it(
    workplace, monkeypatch
):
    run_id = stop(workplace, CRIMES, "validate")
    away = WarehouseUnavailable("It is open elsewhere.")
    with monkeypatch.context() as patch:
        patch.setattr(DuckDBWarehouse, "commit", raising(away))
        assert workplace.run("run", CRIMES, "--run", run_id).code == 69
    assert workplace.run("runs", "show", run_id, "--json").json["status"] == "failed"

    other = run(workplace, CRIMES)["run_id"]

    assert {row["run_id"] for row in workplace.sql("from _tcd_loads")} == {other}
    assert run(workplace, CRIMES, "--run", run_id, "--step", "store")["status"] == "done"


def raising(error):
    def fail(*_words, **_more):
        raise error

    return fail


# What is refused


@pytest.mark.parametrize("reached", rest_slow(["fetch", "transform", "validate"]))
@pytest.mark.parametrize("step", ["transform", "validate", "store"])
def test_any_step_is_taken_from_the_answers_in_the_archive(workplace, reached, step):
    run_id = stop(workplace, CRIMES, reached)

    done = run(workplace, CRIMES, "--run", run_id, "--step", step)

    assert done["status"] == ("done" if step == "store" else "paused")
    assert run(workplace, CRIMES, "--run", run_id)["status"] == "done"


def test_answers_that_are_there_are_not_fetched_again(workplace):
    run_id = stop(workplace, CRIMES, "transform")

    done = workplace.run("run", CRIMES, "--run", run_id, "--step", "fetch")

    assert done.code == 2
    assert f"--run {run_id} --step transform" in done.err
    assert not workplace.warehouse.exists()


def test_wrong_usage_names_what_to_do(workplace):
    run_id = stop(workplace)

    unknown = workplace.run("run", CRIMES, "--run", "20200101")
    other = workplace.run("run", MEMBERS, "--run", run_id)
    several = workplace.run("run", CRIMES, MEMBERS, "--run", run_id)

    assert (unknown.code, other.code, several.code) == (2, 2, 2)
    assert "tcdatalogger runs" in unknown.err
    assert f"tcdatalogger run {CRIMES} --run {run_id}" in other.err
    assert "Name its endpoint alone" in several.err


def test_a_fetch_that_failed_has_nothing_to_go_on_from(workplace, city):
    city.fault("error", code=17, path="/faction/crimes")
    failed = workplace.run("run", CRIMES, "--step", "fetch", "--json").json[0]["run_id"]
    city.clear_faults()

    done = workplace.run("run", CRIMES, "--run", failed)

    assert done.code == 2
    assert "no whole answers" in done.err


def test_another_question_is_not_answered_by_old_answers(workplace):
    run_id = stop(workplace)

    done = workplace.run("run", CRIMES, "--run", run_id, "--set", "params.cat=recruiting")

    assert done.code == 2
    assert "asks for something else now" in done.err


@pytest.mark.parametrize("change", ["rows", "note", "missing", "all"])
def test_what_was_looked_at_is_for_looking_and_never_stored(workplace, change):
    run_id = stop(workplace, CRIMES, "validate")
    folder = workplace.folder / "artifacts" / run_id
    table = folder / f"{CRIMES}.parquet"
    whole = pq.read_table(table).num_rows
    match change:
        case "rows":
            pq.write_table(pq.read_table(table).slice(1), table)
        case "note":
            (folder / "rejected.json").write_text("[ ]")
        case "missing":
            table.unlink()
        case "all":
            shutil.rmtree(folder)

    assert run(workplace, CRIMES, "--run", run_id)["status"] == "done"
    assert workplace.value(f"select count(*) from {CRIMES}") == whole


def test_a_run_goes_on_by_the_settings_of_now(workplace, says):
    says("/faction/crimes", {"crimes": [{"id": 1, "unheard": 1}]})
    run_id = stop(workplace, CRIMES, "validate")

    refused = workplace.run("run", CRIMES, "--run", run_id, "--set", "contract=freeze")

    assert refused.code == 65
    assert not workplace.warehouse.exists() or not workplace.sql("from duckdb_tables()")
    assert run(workplace, CRIMES, "--run", run_id)["status"] == "done"


def test_an_older_run_does_not_replace_a_later_one(living):
    living.write(
        '[[endpoints]]\nname = "members"\npath = "/faction/members"\nstorage_mode = "replace"\n'
    )
    run_id = stop(living, "members", "validate")
    living.later(5 * 3_600)
    newest = run(living, "members")["run_id"]
    before = rows(living, "members")

    done = living.run("run", "members", "--run", run_id)

    assert done.code == 65
    assert f"hold the later run {newest}" in done.err
    assert rows(living, "members") == before


def test_rows_that_lack_what_a_later_run_brought_are_made_again(workplace, says):
    says("/faction/members", {"members": [{"id": 1}]}, {"members": [{"id": 2, "news": 5}]})
    run_id = stop(workplace, MEMBERS, "validate")
    run(workplace, MEMBERS)

    run(workplace, MEMBERS, "--run", run_id, "--step", "store")

    assert {row["id"] for row in workplace.sql(f"from {MEMBERS}")} == {1, 2}


# Lists that ask for what is new


def test_the_cursor_moves_when_it_is_stored_and_as_in_an_ordinary_run(living):
    run(living, "attacks")
    first = living.spans("attacks")
    living.later(5 * 3_600)
    run_id = stop(living, "attacks", "validate")
    assert living.spans("attacks") == first

    facts = run(living, "attacks", "--run", run_id)

    assert json.loads(facts["cursor"])["spans"]["40832"] == living.spans("attacks") > first
    assert len(ids(living)) == len(set(ids(living)))


@pytest.mark.parametrize("step", rest_slow(STEPS[:3]))
def test_a_run_in_between_loses_and_doubles_no_row_and_the_cursor_never_goes_back(living, step):
    run(living, "attacks")
    living.later(5 * 3_600)
    run_id = stop(living, "attacks", step)
    living.later(5 * 3_600)
    run(living, "attacks")
    between, there = living.spans("attacks"), ids(living)

    facts = run(living, "attacks", "--run", run_id)

    assert facts["status"] == "done"
    assert living.spans("attacks") == between
    assert ids(living) == there
    wanted = {row["id"] for row in living.city.expected("attacks", int(START) - DAY, key="limited")}
    assert set(there) >= wanted
    assert len(there) == len(set(there))


def test_a_run_before_the_first_load_and_one_in_between_are_both_there_once(living):
    run_id = stop(living, "attacks", "transform")
    living.later(5 * 3_600)
    run(living, "attacks")

    run(living, "attacks", "--run", run_id)

    found = ids(living)
    wanted = {row["id"] for row in living.city.expected("attacks", int(START) - DAY, key="limited")}
    assert set(found) >= wanted
    assert len(found) == len(set(found))


@pytest.mark.slow
def test_where_all_before_it_was_taken_back_the_next_run_reads_the_gap(living):
    first = run(living, "attacks")["run_id"]
    living.later(5 * 3_600)
    run_id = stop(living, "attacks", "validate")
    assert living.run("rollback", first).code == 0

    run(living, "attacks", "--run", run_id)
    assert living.spans("attacks") is None
    run(living, "attacks")

    found = ids(living)
    wanted = living.city.expected("attacks", int(living.city.now()) - DAY, key="limited")
    assert set(found) >= {row["id"] for row in wanted}
    assert len(found) == len(set(found))
