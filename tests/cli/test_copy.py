"""`copy --to` as it is called: who is kept out meanwhile, and what a kill leaves."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from shared import reading
from tcdatalogger.cli.commands import backup as cli_backup
from tcdatalogger.services.duckdb import connection as duckdb_file

URL = "duckdb:///copy.duckdb"
TO = ("copy", "--to", URL)
COPY = f"warehouse.url={URL}"
TWO = """
[[endpoints]]
name = "faction_members"
path = "/faction/members"
storage_mode = "history"

[[endpoints]]
name = "torn_items"
path = "/torn/items"
storage_mode = "replace"
"""

CHILD = """
import os, signal, sys
from tcdatalogger.cli import main
from tcdatalogger.services.duckdb import copying
from tcdatalogger.services.duckdb.warehouse import DuckDBWarehouse

name, left, after = sys.argv[1], [int(sys.argv[2])], sys.argv[3] == "after"
owner = DuckDBWarehouse if hasattr(DuckDBWarehouse, name) and after else copying
whole = getattr(owner, name)

def dying(*args):
    left[0] -= 1
    if left[0] == 0 and not after:
        os.kill(os.getpid(), signal.SIGKILL)
    found = whole(*args)
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return found

setattr(owner, name, dying)
sys.exit(main(sys.argv[4:]))
"""
"""Kills itself the nth time that the target begins to do something, or has done it."""


def fill(place):
    place.write(TWO)
    for _ in range(2):
        assert place.run("run", "--all").code == 0
        place.clock.sleep(60)


@pytest.fixture
def logged(workplace, once):
    once(fill)
    return workplace


@pytest.fixture
def same(logged):
    """Asks whether both files hold the same rows, in all tables."""

    def held(file):
        with reading(logged.folder / file) as connection:
            names = connection.sql("show tables").fetchall()
            return {
                name: sorted(map(repr, connection.sql(f'from "{name}"').fetchall()))
                for (name,) in names
            }

    def same():
        left = held("copy.duckdb")
        assert left == held("torn.duckdb")
        return left

    return same


def test_a_warehouse_is_copied_and_the_line_to_change_is_told(logged, same):
    done = logged.run(*TO)

    assert done.code == 0, done.err
    assert "every column is the same in both" in done.out
    held = same()
    assert len(held["faction_members"]) > 0
    assert {"_tcd_loads", "_tcd_former_torn_items"} <= set(held)
    lines = done.out.partition("before the next run:\n\n")[2]
    assert lines == (
        f'[warehouse]\nurl = "duckdb:///{logged.folder}/copy.duckdb"\n\n'
        f'[state]\nurl = "sqlite:///{logged.folder}/torn.state.sqlite"\n'
    )


def test_runs_go_on_in_the_copy_with_the_lines_that_are_told(logged):
    told = logged.run(*TO, "--json").json
    loads = told["tables"]["_tcd_loads"]["rows"]
    text = logged.file.read_text().replace('[warehouse]\nurl = "duckdb:///torn.duckdb"', "")
    logged.file.write_text(f"{told['settings']}\n{text}")
    before = logged.run("status", "--json").json["endpoints"]
    assert [one["last_run"]["status"] for one in before] == ["done", "done"]

    newest = logged.run("query", "select max(run_id) as r from _tcd_loads", "--json").json[0]["r"]
    assert logged.run("rollback", newest).code == 0
    assert logged.run("run", "--all").code == 0
    with reading(logged.folder / "copy.duckdb") as connection:
        assert connection.sql("select count(*) from _tcd_loads").fetchall()[0][0] > loads
    with reading(logged.folder / "torn.duckdb") as connection:
        assert connection.sql("select count(*) from _tcd_loads").fetchall() == [(loads,)]


def test_no_run_begins_meanwhile_and_no_copy_while_one_goes_on(logged):
    with logged.application() as application, application.claimed("torn_items", "20260101T0-x"):
        refused = logged.run(*TO)
    assert refused.code == 75
    assert "torn_items" in refused.err
    assert not (logged.folder / "copy.duckdb").exists()

    code = f"""
import sys
from tcdatalogger.cli import main
from tcdatalogger.services.duckdb import copying
whole = copying.end
def waiting(session):
    import subprocess
    done = subprocess.run([sys.executable, "-m", "tcdatalogger", "run", "--all", "--json"])
    assert done.returncode == 75, done.returncode
    whole(session)
copying.end = waiting
sys.exit(main({list(TO)!r}))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=logged.folder, env=logged.outside(), check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "nth", "when"),
    [
        ("begin", 1, "before"),
        ("begin_copy", 1, "after"),
        pytest.param("take_in", 1, "before", marks=pytest.mark.slow),
        pytest.param("take_in", 4, "after", marks=pytest.mark.slow),
        ("take_in", 9, "before"),
        ("end", 1, "before"),
        pytest.param("end", 1, "after", marks=pytest.mark.slow),
    ],
)
def test_a_copy_that_was_killed_is_no_warehouse_until_the_next_one_finishes_it(
    logged, same, name, nth, when
):
    words = [sys.executable, "-c", CHILD, name, str(nth), when, *TO]
    done = subprocess.run(words, cwd=logged.folder, env=logged.outside(), check=False)
    assert done.returncode == -9

    if name != "begin":
        refused = logged.run("run", "--all", "--set", COPY)
        assert refused.code == 75, refused.err
        assert "copy that is not finished" in refused.err
    found = logged.run(*TO, "--json")

    assert found.code == 0, found.err
    before = sum(table["before"] for table in found.json["tables"].values())
    wanted = {"begin": 0, "begin_copy": 0, "end": len(found.json["tables"])}
    assert before == wanted.get(name, nth - (when == "before"))
    same()
    assert logged.run("run", "--all", "--set", COPY).code == 0


def test_a_second_copy_into_a_warehouse_that_went_on_is_refused(logged):
    logged.run(*TO)
    assert logged.run(*TO).code == 0
    logged.write()
    assert logged.run("run", "faction_balance", "--set", COPY).code == 0

    refused = logged.run(*TO, "--json")

    assert refused.code == 2
    assert "has tables already" in refused.json["error"]["message"]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ([], 2, "--to"),
        (["--to", "duckdb:///torn.duckdb"], 2, "into itself"),
        (["--to", "torn.duckdb"], 78, "warehouse.url"),
        (["--to", URL, "--encryption-key", "env:NOT_THERE"], 78, "NOT_THERE"),
    ],
)
def test_what_cannot_be_is_a_clear_line(logged, words, code, told):
    refused = logged.run("copy", *words)

    assert refused.code == code
    assert told in refused.err


def test_where_nothing_is_stored_nothing_is_copied(workplace):
    refused = workplace.run(*TO)

    assert refused.code == 2
    assert "Nothing has been stored yet" in refused.err
    assert not (workplace.folder / "copy.duckdb").exists()


def test_work_that_takes_long_says_how_far_it_is(logged, monkeypatch):
    monkeypatch.setattr(cli_backup, "QUIET", 3_600.0)
    assert "rows" not in logged.run(*TO).err
    monkeypatch.setattr(cli_backup, "QUIET", 0.0)

    told = logged.run(*TO).err

    assert re.search(r"copying faction_members: [1-9]\d* rows", told)
    assert re.search(r"comparing _tcd_loads: [1-9]\d* rows", told)


def test_a_copy_can_be_encrypted(logged, monkeypatch):
    def unsafe(connection, *, required):
        # DuckDB's own extension comes from the network; see tests/warehouses/test_encryption.py.
        connection.execute("set force_mbedtls_unsafe = 'true'")

    monkeypatch.setattr(duckdb_file, "load_cipher", unsafe)
    monkeypatch.setenv("TCD_COPY", "a-key-of-a-copy-0123456789")
    done = logged.run(*TO, "--encryption-key", "env:TCD_COPY", "--json")

    assert done.code == 0, done.err
    assert 'encryption_key = "env:TCD_COPY"' in done.json["settings"]
    assert b"faction_members" not in (logged.folder / "copy.duckdb").read_bytes()
    words = ("--set", COPY, "--set", "warehouse.encryption_key=env:TCD_COPY", "--json")
    rows = logged.run("query", "select count(*) as n from faction_members", *words).json[0]["n"]
    assert rows == json.loads(done.out)["tables"]["faction_members"]["rows"]
