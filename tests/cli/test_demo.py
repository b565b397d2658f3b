"""`tcdatalogger demo`: from nothing to answered questions, as often as one likes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from shared import reading

PAGE = Path(__file__).parents[2] / "docs/start.md"


@pytest.fixture
def demo(workplace):
    workplace.key = None
    workplace.file.unlink()
    return lambda *words: workplace.run("demo", *words)


def count(workplace, table="faction_members", folder="demo"):
    with reading(workplace.folder / folder / "torn.duckdb") as db:
        return db.execute(f"select count(*), count(distinct _run_id) from {table}").fetchone()


def test_the_demo_logs_five_endpoints_and_answers_its_questions(demo, workplace):
    done = demo("--json")

    facts = done.json
    assert done.code == 0, done.err
    assert len(facts["runs"]) == 20
    assert facts["failed"] == []
    assert count(workplace) == (facts["tables"]["faction_members"], 4)
    shown = re.findall(r"(?m)^((?:faction|torn)_\w+) +\d+ +(\d+)$", PAGE.read_text())
    assert len(shown) == 8
    assert {name: facts["tables"][name] for name, _ in shown} == {n: int(r) for n, r in shown}
    assert all(facts["answers"].values())
    assert len(facts["answers"]) == 3


def test_a_person_sees_polls_tables_answers_and_where_things_are(demo, workplace):
    done = demo("--polls", "2")

    assert done.code == 0
    for text in ("poll 2 of 2", "faction_crimes_slots", "Who was not seen?", "ui --open", " ask\n"):
        assert text in done.out
    assert "member_id" not in done.out  # ids make links, and are read by nobody


@pytest.mark.slow
def test_a_second_call_goes_on_where_the_first_was(demo, workplace):
    demo("--polls", "1", "--json")
    done = demo("--polls", "1", "--json")

    assert done.code == 0, done.err
    assert count(workplace)[1] == 2
    with reading(workplace.folder / "demo" / "torn.duckdb") as db:
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


def test_a_demo_goes_on_in_the_warehouse_that_was_named_and_in_no_other(demo, workplace):
    first = demo("--polls", "1", "--warehouse", "duckdb:///other.duckdb", "--json")
    again = demo("--polls", "1", "--json")
    moved = demo("--warehouse", "duckdb:///third.duckdb")

    file = str(workplace.folder / "demo" / "other.duckdb")
    assert (first.code, again.code, moved.code) == (0, 0, 2), first.err + again.err
    assert first.json["warehouse"] == again.json["warehouse"] == file
    with reading(Path(file)) as db:
        assert db.execute("select count(distinct _run_id) from faction_basic").fetchone() == (2,)
    assert "--fresh" in moved.err


@pytest.mark.parametrize("words", [(), ("--fresh",)])
def test_a_demo_puts_no_rows_beside_those_of_somebody_else(workplace, words):
    workplace.log("faction_members")
    before = workplace.warehouse.read_bytes()

    done = workplace.run("demo", "--warehouse", f"duckdb:///{workplace.warehouse}", *words)

    assert done.code == 2
    assert "faction_members" in done.err
    assert "--warehouse" in done.err
    assert workplace.warehouse.read_bytes() == before


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
