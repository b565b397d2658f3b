"""The backup of a warehouse that is no file, and a backup that goes into another warehouse."""

from __future__ import annotations

import pytest

from tcdatalogger.core.backup import export, make
from tcdatalogger.errors import Busy
from tcdatalogger.services.duckdb.warehouse import DuckDBWarehouse
from tcdatalogger.services.warehouse.protocol import Warehouse

TWO = """
[[endpoints]]
name = "faction_members"
path = "/faction/members"

[[endpoints]]
name = "torn_items"
path = "/torn/items"
storage_mode = "replace"
"""
WHOLE = "select count(*) as n, count(distinct _run_id) as runs from faction_members"


def fill(place):
    place.write(TWO)
    for name in ("faction_members", "torn_items", "torn_items"):
        place.log(name)


@pytest.fixture
def logged(workplace, once):
    """A workplace in which something was logged."""
    once(fill)
    return workplace


@pytest.fixture
def no_file(monkeypatch):
    """DuckDB as a warehouse whose files nobody can copy."""
    monkeypatch.setattr(DuckDBWarehouse, "back_up", Warehouse.back_up)


@pytest.fixture
def back_up(logged):
    def back_up(*overrides):
        with logged.application(*overrides) as application:
            return make.back_up(application)

    return back_up


def rows_of(tables):
    return {name: table.rows for name, table in tables.items()}


def test_a_warehouse_that_is_no_file_is_backed_up_as_one_with_its_ledger(no_file, logged, back_up):
    made = back_up().manifest.warehouse
    with logged.application() as application, application.warehouse(read_only=True) as warehouse:
        there = warehouse.sums()

    assert made.file == "torn.duckdb"
    assert rows_of(made.tables) == rows_of(there)
    assert "_tcd_loads" in made.tables
    assert "_tcd_former_torn_items" in made.tables


def test_what_was_backed_up_so_is_restored_and_any_run_can_be_rolled_back_there(
    no_file, logged, back_up
):
    done = logged.run("restore", str(back_up().folder), "--to", "restored", "--json")
    there = ("--set", f"warehouse.url=duckdb:///{done.json['warehouse']}",
             "--set", f"state.url=sqlite:///{done.json['state']}")  # fmt: skip

    undone = logged.run(*there, "rollback", "torn_items", "--json")

    assert (done.code, undone.code) == (0, 0), done.err + undone.err
    assert logged.run(*there, "query", WHOLE, "--json").json == logged.sql(WHOLE)


def test_a_warehouse_that_changes_meanwhile_is_copied_again(no_file, back_up, monkeypatch):
    busy, whole = [2], export.transfer

    def transfer(*args, **options):
        whole(*args, **options)
        if busy[0]:
            busy[0] -= 1
            raise Busy("changed")

    monkeypatch.setattr(export, "transfer", transfer)

    assert back_up().manifest.warehouse.tables["faction_members"].rows == 30
    assert busy == [0]


def test_one_that_changes_all_the_time_leaves_no_backup(no_file, logged, back_up, monkeypatch):
    def transfer(*_, **__):
        raise Busy("changed")

    monkeypatch.setattr(export, "transfer", transfer)

    with pytest.raises(Busy, match="3 times"):
        back_up()
    assert [path.name for path in (logged.folder / "backups").iterdir()] == [".lock"]


def test_a_backup_goes_into_another_warehouse_and_the_settings_name_it(logged, back_up):
    folder = str(back_up().folder)
    into = ("restore", folder, "--warehouse", "duckdb:///other.duckdb")

    done = logged.run(*into, "--to", "restored", "--json")
    again = logged.run(*into, "--to", "again", "--json")

    assert (done.code, again.code) == (0, 0), done.err + again.err
    other = f"duckdb:///{logged.folder / 'other.duckdb'}"
    assert f'url = "{other}"' in done.json["settings"]
    assert [path.name for path in (logged.folder / "restored").iterdir()] == ["state"]
    asked = logged.run("--set", f"warehouse.url={other}", "query", WHOLE, "--json")
    assert asked.json == logged.sql(WHOLE)


def test_a_backup_is_brought_into_no_warehouse_that_has_other_tables(logged, back_up):
    folder = str(back_up().folder)
    logged.log("faction_members")
    before = logged.warehouse.read_bytes()

    done = logged.run(
        "restore", folder, "--to", "restored", "--warehouse", f"duckdb:///{logged.warehouse}"
    )

    assert done.code == 2
    assert "has tables already" in done.err
    assert logged.warehouse.read_bytes() == before
    assert not (logged.folder / "restored").exists()


def test_a_dry_restore_into_another_warehouse_makes_none(logged, back_up):
    done = logged.run(
        "restore", str(back_up().folder), "--to", "restored", "--dry-run",
        "--warehouse", "duckdb:///other.duckdb",
    )  # fmt: skip

    assert done.code == 0, done.err
    assert not (logged.folder / "other.duckdb").exists()
