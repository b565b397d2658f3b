"""`tcdatalogger bench`: what runs cost, measured without changing anything."""

from __future__ import annotations

from hashlib import sha256

import pytest

TWO = """
[[endpoints]]
name = "faction_members"
path = "/faction/members"

[[endpoints]]
name = "faction_basic"
path = "/faction/basic"
"""


def contents(place):
    """The bytes of each file of a workplace."""
    return {
        str(file): sha256(file.read_bytes()).hexdigest()
        for file in place.folder.rglob("*")
        if file.is_file() and not file.name.endswith(("-shm", "-wal"))
    }


@pytest.fixture
def logged(workplace):
    workplace.write(TWO)
    workplace.log("faction_members")
    workplace.clock.sleep(60)
    newest = workplace.log("faction_members").record
    workplace.log("faction_basic")
    return newest


def test_every_step_of_the_newest_archived_run_is_measured_and_nothing_changes(workplace, logged):
    workplace.warehouse.unlink()  # it knows the run, and would take its rows for stored
    before, calls = contents(workplace), workplace.city.stats()["calls"]

    done = workplace.run("bench", "faction_members", "--rounds", "1", "--json")

    assert done.code == 0, done.err
    assert [one["archive_file"] for one in done.json["runs"]] == [logged.archive_file]
    for run in done.json["runs"]:
        assert run["rows"] == logged.rows
        assert (run["pages"], run["bytes"], run["calls"]) == (logged.pages, logged.bytes, 0)
        assert list(run["steps"]) == ["start", "read", "open", "transform", "validate", "store"]
        for step in run["steps"].values():
            assert step["seconds"] > 0
            assert 10e6 < step["memory"] <= run["memory"]
        assert run["seconds"] == pytest.approx(
            sum(step["seconds"] for step in run["steps"].values()), abs=0.01
        )
        cpu = [sample[2] for sample in run["samples"]]
        assert cpu == sorted(cpu)
        assert 0 < cpu[-1] <= run["cpu_seconds"] + 0.1
    assert contents(workplace) == before
    assert workplace.city.stats()["calls"] == calls


@pytest.mark.slow
def test_endpoints_are_measured_at_once_and_together_over_time(workplace, logged):
    done = workplace.run("bench", "--parallel", "2", "--rounds", "1", "--json")

    assert {one["endpoint"] for one in done.json["runs"]} == {"faction_members", "faction_basic"}
    parts = done.json["over_time"]
    assert len(parts) == 10
    # On a busy machine the first may have ended before the second begins.
    assert max(part["processes"] for part in parts) in {1, 2}
    # The most memory of a run is not compared: a process has also what its parent had at the fork.
    assert max(part["memory"] for part in parts) > 50_000_000


@pytest.mark.slow
def test_people_see_tables_that_fit_a_terminal(workplace, logged):
    done = workplace.run("bench", "faction_members", "--rounds", "1")

    assert max(map(len, done.out.splitlines())) <= 80
    for text in ("faction_members", "transform", "CPUs busy", str(sum(logged.rows.values()))):
        assert text in done.out
    assert "1 of 1: faction_members" in done.err


def test_calls_count_in_the_budget_of_everybody_and_store_nothing(workplace):
    workplace.write(TWO)
    before = workplace.city.stats()["calls"]

    done = workplace.process("bench", "faction_members", "--calls", "--rounds", "1", "--json")

    assert done.code == 0, done.err
    [run] = done.json["runs"]
    assert run["calls"] == workplace.city.stats()["calls"] - before > 0
    assert run["archive_file"] is None
    assert list(run["steps"])[:2] == ["start", "fetch"]
    assert not workplace.warehouse.exists()
    assert not (workplace.folder / "archive").exists()
    with workplace.application() as application:
        assert sum(application.state.call_slots.calls_since(0).values()) == run["calls"]
        assert application.state.runs() == []


def test_an_endpoint_that_torn_refuses_says_so_and_ends_with_its_code(workplace):
    workplace.city.fault("error", code=2)
    workplace.write(TWO)

    done = workplace.process("bench", "faction_members", "--calls", "--rounds", "1", "--json")

    assert done.code == 77
    assert "key" in done.json["runs"][0]["error"]


def test_what_the_archive_lacks_is_named(workplace):
    workplace.write(TWO)

    done = workplace.run("bench")
    assert done.code == 2
    assert "no whole answers" in done.err
    assert "tcdatalogger run --all" in done.err

    workplace.log("faction_basic")
    done = workplace.run("bench", "--rounds", "1")
    assert "faction_members: nothing in the archive to measure with." in done.err
    assert done.code == 0


def test_ids_of_the_warehouse_are_not_asked_for(workplace):
    workplace.write(
        '[[endpoints]]\nname = "users"\npath = "/user/{id}/basic"\n'
        'ids = "query:select id from faction_members"\n'
    )

    done = workplace.run("bench", "users", "--calls")

    assert done.code == 2
    assert "takes its ids from the warehouse" in done.err
