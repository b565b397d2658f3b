"""`tcdatalogger demo`: from nothing to answered questions, as often as one likes."""

from __future__ import annotations

import duckdb
import pytest


@pytest.fixture
def demo(workplace):
    workplace.key = None
    workplace.file.unlink()
    return lambda *words: workplace.run("demo", *words)


def count(workplace, table="faction_members", folder="demo"):
    with duckdb.connect(str(workplace.folder / folder / "torn.duckdb"), read_only=True) as db:
        return db.execute(f"select count(*), count(distinct _run_id) from {table}").fetchone()


def test_the_demo_logs_five_endpoints_and_answers_its_questions(demo, workplace):
    done = demo("--polls", "3", "--json")

    facts = done.json
    assert done.code == 0, done.err
    assert len(facts["runs"]) == 15
    assert facts["failed"] == []
    assert count(workplace) == (facts["tables"]["faction_members"], 3)
    assert facts["tables"]["faction_crimes_slots"] > 500
    assert all(facts["answers"].values())
    assert len(facts["answers"]) == 3


def test_a_person_sees_polls_tables_answers_and_where_things_are(demo, workplace):
    done = demo("--polls", "2")

    assert done.code == 0
    for text in ("poll 2 of 2", "faction_crimes_slots", "Who is inactive?", "torn.duckdb"):
        assert text in done.out


@pytest.mark.slow
def test_a_second_call_goes_on_where_the_first_was(demo, workplace):
    demo("--polls", "1", "--json")
    done = demo("--polls", "1", "--json")

    assert done.code == 0, done.err
    assert count(workplace)[1] == 2
    with duckdb.connect(str(workplace.folder / "demo" / "torn.duckdb"), read_only=True) as db:
        (times,) = db.execute(
            "select count(distinct server_timestamp) from faction_basic"
        ).fetchone()
    assert times == 2


@pytest.mark.slow
def test_a_fresh_demo_begins_anew_and_touches_nothing_that_is_not_its_own(demo, workplace):
    demo("--polls", "1", "--json")
    (workplace.folder / "demo" / "notes.txt").write_text("mine")

    done = demo("--polls", "1", "--fresh", "--json")

    assert done.code == 0
    assert count(workplace)[1] == 1
    assert (workplace.folder / "demo" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("words", [(), ("--fresh",)])
def test_a_folder_with_a_configuration_of_ones_own_is_left_alone(demo, workplace, words):
    workplace.write()
    workplace.warehouse.write_bytes(b"my data")
    before = workplace.file.read_text()

    done = demo("--to", ".", *words)

    assert done.code == 2
    assert "--to" in done.err
    assert workplace.file.read_text() == before
    assert workplace.warehouse.read_bytes() == b"my data"


def test_a_folder_that_cannot_be_made_is_78(demo, workplace):
    (workplace.folder / "taken").write_text("a file")

    done = demo("--to", "taken/demo")

    assert done.code == 78
    assert "taken" in done.err


def test_what_the_demo_leaves_can_be_asked_and_run_against_another_city(demo, workplace, city):
    demo("--polls", "1", "--json")
    config = "demo/tcdatalogger.toml"

    asked = workplace.run("--config", config, "query", "select 1 as n", "--json")
    status = workplace.run("--config", config, "status", "--json")

    assert asked.json == [{"n": 1}]
    assert {one["last_run"]["status"] for one in status.json["endpoints"]} == {"done"}
