"""What version 0.1.0 wrote is upgraded by itself after a backup; what is newer is refused."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
from contextlib import closing, suppress
from pathlib import Path

import duckdb
import pytest

import tcdatalogger
from shared import rest_slow
from tcdatalogger.clock import ManualClock
from tcdatalogger.core.backup import make, sqlite_copy, upgrade
from tcdatalogger.core.config import configuration
from tcdatalogger.core.state import migrations
from tcdatalogger.core.state.connect import open_database
from tcdatalogger.core.state.migrations import RELEASES
from tcdatalogger.core.state.store import State
from tcdatalogger.errors import Busy, ConfigError, DiskFull

OLDER = Path(__file__).parents[1] / "older" / "0.1.0.tar.xz"
"""What version 0.1.0 left: a configuration, and a warehouse, a state and an archive of six runs."""

THEN = 1_795_803_000.0
"""Some minutes after its last run."""

LAST = len(RELEASES)


@pytest.fixture
def old(workplace):
    """The installation of 0.1.0 with the city of the tests."""
    with tarfile.open(OLDER) as packed:
        packed.extractall(workplace.folder, filter="data")
    text = workplace.file.read_text(encoding="utf-8")
    workplace.file.write_text(text.replace("http://127.0.0.1:8642/v2", workplace.city.url))
    workplace.clock = ManualClock(THEN)
    return workplace


def release(file):
    with closing(sqlite3.connect(file)) as db:
        return db.execute("select version from state_version").fetchone()[0]


def state_of(place):
    return place.folder / "data/torn.state.sqlite"


def columns(file):
    with closing(duckdb.connect(file, read_only=True)) as db:
        return {row[0] for row in db.execute("describe _tcd_loads").fetchall()}


def count(place, table):
    with closing(duckdb.connect(place.folder / "data/torn.duckdb", read_only=True)) as db:
        return db.execute(f"select count(*) from {table}").fetchone()[0]


def backups(place):
    return sorted((place.folder / "data/backups").glob("2*"))


def everything(folder):
    return {
        file.relative_to(folder): file.read_bytes() for file in folder.rglob("*") if file.is_file()
    }


def test_the_first_command_upgrades_after_a_backup_and_says_where_it_is(old):
    first = old.run("status", "--json")
    again = old.run("status", "--json")

    [backup] = backups(old)
    assert first.code == again.code == 0
    assert str(backup) in first.err
    assert again.err == ""
    assert release(state_of(old)) == LAST
    assert release(backup / "state/torn.state.sqlite") == 5
    assert "key_owner" not in columns(backup / "warehouse/torn.duckdb")


def test_runs_go_on_after_an_upgrade_and_no_row_of_before_is_lost(old):
    before = {
        name: count(old, name) for name in ("faction_members", "faction_crimes", "torn_items")
    }

    done = old.run("run", "faction_members", "--json")

    assert done.code == 0
    assert count(old, "faction_members") == before["faction_members"] + 30
    assert count(old, "faction_crimes") == before["faction_crimes"]
    assert count(old, "torn_items") == before["torn_items"]
    assert "key_owner" in columns(old.folder / "data/torn.duckdb")


def test_opening_it_in_python_upgrades_it_too(old):
    logger = tcdatalogger.open(old.file, environ=old.environ)

    assert len(logger.runs()) == 6
    assert release(state_of(old)) == LAST
    assert len(backups(old)) == 1


def test_what_was_archived_by_0_1_0_is_joined_and_makes_the_same_rows(old):
    with closing(duckdb.connect(old.folder / "data/torn.duckdb", read_only=True)) as db:
        select = "select * exclude (_run_id) from faction_members order by all"
        before = db.execute(select).fetchall()
    old.clock.sleep(2 * 86_400)

    joined = old.run("archive", "join", "--json").json
    done = old.run("rebuild", "faction_members")

    assert joined["faction_members"]["runs"] == 3
    assert done.code == 0
    with closing(duckdb.connect(old.folder / "data/torn.duckdb", read_only=True)) as db:
        assert db.execute(select).fetchall() == before


def test_a_run_that_0_1_0_left_after_its_fetch_goes_on(old):
    [left] = [
        run["run_id"] for run in old.run("runs", "list", "--json").json if run["status"] == "paused"
    ]

    done = old.run("run", "faction_members", "--run", left, "--json")

    assert done.code == 0
    assert count(old, "faction_members") == 90


# --- what is newer -------------------------------------------------------------------------------


def newer_state(place):
    with closing(sqlite3.connect(state_of(place))) as db, db:
        db.execute("update state_version set version = 99")


def newer_ledger(place):
    with closing(duckdb.connect(place.folder / "data/torn.duckdb")) as db:
        db.execute("comment on table _tcd_loads is 'TCdatalogger ledger 99'")


def newer_configuration(place):
    text = place.file.read_text(encoding="utf-8")
    place.file.write_text(f"version = 99\nunheard_of = true\n{text}", encoding="utf-8")


@pytest.mark.parametrize(
    ("make_newer", "what"),
    [
        (newer_state, "The state"),
        (newer_ledger, "The warehouse"),
        (newer_configuration, "version 99"),
    ],
    ids=["state", "ledger", "configuration"],
)
def test_what_a_newer_version_wrote_is_refused_and_not_changed(old, make_newer, what):
    old.run("status")
    make_newer(old)
    before = {
        file: held for file, held in everything(old.folder).items() if file.suffix != ".duckdb"
    }

    done = old.run("run", "faction_members")

    assert done.code == 78
    assert what in done.err
    assert "pdate" in done.err  # the remedy
    assert count(old, "faction_members") == 60
    if make_newer is not newer_ledger:  # there Torn was asked, and its answer is kept
        after = everything(old.folder)
        assert {file: after[file] for file in before if "state" not in file.name} == {
            file: held for file, held in before.items() if "state" not in file.name
        }


# --- never half ----------------------------------------------------------------------------------


def test_an_upgrade_whose_backup_fails_changes_nothing(old, monkeypatch):
    before = state_of(old).read_bytes()

    def full(*_args, **_options):
        raise DiskFull("The disk of the backups is full.", remedy="Make space.")

    monkeypatch.setattr(make, "_made", full)
    done = old.run("status")

    assert done.code == 75
    assert "full" in done.err
    assert state_of(old).read_bytes() == before


KILLED = """
import os, signal, sys
from tcdatalogger.cli import main
from tcdatalogger.core.backup import make, sqlite_copy, upgrade

def die(*args, **options):
    os.kill(os.getpid(), signal.SIGKILL)

where = sys.argv[1]
if where == "before the backup":
    make._fill = die
elif where == "before the backup has its name":
    make._check = die
elif where == "after the backup":
    upgrade.migrate = die
else:
    import sqlite3
    opened = sqlite3.connect
    class Dies(sqlite3.Connection):
        def execute(self, sql, *args):
            if "torn_clock" in sql and "create" in sql:
                die()
            return super().execute(sql, *args)
    sqlite3.connect = lambda *args, **options: opened(*args, factory=Dies, **options)
main(["status"])
"""


@pytest.mark.parametrize(
    "where",
    rest_slow(
        [
            "within the transaction",
            "before the backup",
            "before the backup has its name",
            "after the backup",
        ]
    ),
)
def test_an_upgrade_that_is_killed_is_made_by_the_next_command(old, where):
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, where], cwd=old.folder, env=old.outside(), check=False,
        capture_output=True,
    )  # fmt: skip

    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert release(state_of(old)) == 5
    assert old.run("status").code == 0
    assert release(state_of(old)) == LAST
    for backup in backups(old):
        assert release(backup / "state/torn.state.sqlite") == 5
    assert list((old.folder / "data/backups").glob("*.part")) == []


def test_two_processes_upgrade_once(old, monkeypatch):
    settings = configuration.load(old.file, {})
    seen = []
    real = upgrade.migrate

    def second_comes(database):
        with pytest.raises(Busy, match="Another process"):
            upgrade.upgrade(settings)
        seen.append(1)
        real(database)

    monkeypatch.setattr(upgrade, "migrate", second_comes)

    done = upgrade.upgrade(settings)

    assert (done.before, done.after) == (5, LAST)
    assert seen == [1]
    assert len(backups(old)) == 1
    assert upgrade.upgrade(settings) is None


def test_nothing_is_upgraded_under_a_scheduler_of_the_older_version(old, monkeypatch):
    clock = ManualClock(THEN)
    monkeypatch.setattr(upgrade, "SystemClock", lambda: clock)
    with closing(sqlite3.connect(state_of(old))) as db, db:
        owner = "home/0123456789ab/12345/99/abcd"
        db.execute(
            "insert into daemons values (?, 'home', 12345, ?, ?, 4, 0)", (owner, THEN, THEN - 3)
        )

    done = old.run("status")

    assert done.code == 75
    assert "12345 on home" in done.err
    assert release(state_of(old)) == 5
    clock.sleep(60)
    assert old.run("status").code == 0


def test_an_older_state_without_a_warehouse_is_kept_alone(old):
    (old.folder / "data/torn.duckdb").unlink()

    done = old.run("runs", "list")

    [kept] = (old.folder / "data/backups").glob("state-*-release-5")
    assert done.code == 0
    assert str(kept) in done.err
    assert release(kept / "torn.state.sqlite") == 5


def test_a_copy_of_the_state_that_was_cut_short_is_never_left(old, monkeypatch):
    (old.folder / "data/torn.duckdb").unlink()
    place = old.folder / "data/backups"

    def full(file):
        assert file.exists()
        raise DiskFull("The disk of the backups is full.", remedy="Make space.")

    with monkeypatch.context() as patched:
        patched.setattr(sqlite_copy, "sums", full)
        assert old.run("status").code == 75
    assert [path.name for path in place.iterdir() if path.is_dir()] == []

    killed = place / upgrade._HALF
    killed.mkdir()
    (killed / "torn.state.sqlite").write_bytes(b"a half")
    assert old.run("status").code == 0
    [kept] = [path for path in place.iterdir() if path.is_dir()]
    assert release(kept / "torn.state.sqlite") == 5


def test_a_disk_that_is_full_while_the_state_is_copied_is_told_as_one(old, monkeypatch):
    (old.folder / "data/torn.duckdb").unlink()
    opened = sqlite3.connect

    def small(path, **options):
        connection = opened(path, **options)
        if "backups" in str(path):
            connection.execute("pragma max_page_count = 1")
        return connection

    monkeypatch.setattr(sqlite_copy.sqlite3, "connect", small)
    done = old.run("status")

    assert done.code == 75
    assert "is full" in done.err
    assert release(old.folder / "data/torn.state.sqlite") == 5


def test_a_state_on_postgres_is_upgraded_after_a_backup_of_the_warehouse(old, postgres):
    url = postgres.url()
    with State(url) as state, state.writing() as db:
        for table in ("torn_clock", "installation"):
            db.execute(f"drop table {table}")
        db.execute("update state_version set version = 5")
    text = old.file.read_text(encoding="utf-8")
    old.file.write_text(f'{text}\n[state]\nurl = "{url}"\n', encoding="utf-8")

    done = old.run("status")

    [backup] = backups(old)
    assert done.code == 0
    assert str(backup) in done.err
    with closing(open_database(url)) as database:
        assert migrations.version(database) == LAST
    assert (backup / "warehouse/torn.duckdb").exists()


# --- back again ----------------------------------------------------------------------------------


def test_the_files_of_before_come_back_from_the_backup_as_0_1_0_left_them(old, tmp_path):
    shutil.copytree(old.folder / "data", tmp_path / "untouched")
    old.run("run", "faction_members")
    [backup] = backups(old)

    done = old.run("restore", str(backup), "--to", str(tmp_path / "before"))

    assert done.code == 0
    assert release(tmp_path / "before/state/torn.state.sqlite") == 5
    restored = (tmp_path / "before/warehouse/torn.duckdb").read_bytes()
    assert restored == (tmp_path / "untouched/torn.duckdb").read_bytes()


def test_a_later_configuration_is_refused_as_a_mapping_too(tmp_path):
    with pytest.raises(ConfigError, match="version 2"):
        configuration.from_mapping({"version": 2}, {}, tmp_path)
    with suppress(ConfigError):
        configuration.from_mapping({"version": 1}, {}, tmp_path)
