"""Backups: what is in one, when one is due, which stay, and what is left when it goes wrong."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from shared import reading
from tcdatalogger import files
from tcdatalogger.clock import ManualClock, SystemClock
from tcdatalogger.core.backup import make, manifest
from tcdatalogger.core.backup import restore as restoring
from tcdatalogger.core.config.settings import Settings
from tcdatalogger.errors import (
    Busy,
    ConfigError,
    DataRefused,
    DiskFull,
    UsageError,
    WarehouseUnavailable,
)
from tcdatalogger.sandbox.api.server import START

DAY = 86_400
ONE = """
[[endpoints]]
name = "faction_members"
path = "/faction/members"
"""


def fill(place):
    place.write(ONE, extra='[backup]\nfrequency = "P1D"\nkeep = 3\n')
    place.log("faction_members")


@pytest.fixture
def logged(workplace, once):
    """A workplace in which something was logged."""
    once(fill)
    return workplace


@pytest.fixture
def back_up(logged):
    def back_up(*overrides, **options):
        with logged.application(*overrides) as application:
            return make.back_up(application, **options)

    return back_up


@pytest.fixture
def restore(logged):
    def restore(folder, name="restored", **options):
        return restoring.restore(folder, logged.folder / name, clock=ManualClock(), **options)

    return restore


def names(place):
    return sorted(path.name for path in place.iterdir() if path.name != ".lock")


# What is in one


def test_a_backup_holds_the_warehouse_the_state_and_the_index_of_the_archive(logged, back_up):
    made = back_up()

    assert made.folder == logged.folder / "backups" / "20260101T000000Z"
    assert names(made.folder.parent) == ["20260101T000000Z"]
    rows = "from faction_members order by rowid"
    with reading(made.folder / "warehouse/torn.duckdb") as copied:
        there = copied.sql(rows).to_arrow_table().to_pylist()
        books = copied.execute("select run_id, archive_file from _tcd_loads").fetchall()
    assert logged.sql(rows) == there
    with closing(sqlite3.connect(made.folder / "state/torn.state.sqlite")) as state:
        assert state.execute("select run_id, status from runs").fetchall() == [
            (books[0][0], "done")
        ]
    (indexed,) = manifest.read_index(made.folder)
    archived = logged.folder / "archive" / indexed.file
    assert indexed.file == books[0][1]
    assert files.digest(archived) == files.FileSum(indexed.bytes, indexed.sha256)
    assert not (made.folder / "archive").exists()


def test_its_manifest_says_of_what_and_when_it_was_made_and_no_secret(logged, back_up):
    made = back_up()

    said = json.loads((made.folder / "manifest.json").read_text())
    rows = logged.value("select count(*) from faction_members")
    assert (said["made"], said["made_at"]) == ("2026-01-01T00:00:00Z", START)
    assert said["warehouse"]["tables"]["faction_members"]["rows"] == rows
    assert said["warehouse"]["engine"] == duckdb.__version__
    assert said["origin"]["warehouse"] == f"duckdb:///{logged.warehouse}"
    assert set(said["files"]) == {
        "warehouse/torn.duckdb", "state/torn.state.sqlite", "archive.jsonl",
    }  # fmt: skip
    assert logged.holding(logged.key) == []


def test_a_postgres_state_is_left_to_its_own_tools_and_its_password_is_not_told(logged):
    settings = Settings(state={"url": "postgresql://me:hunter2@db.example/torn"})

    found = make._state(settings, logged.folder)

    assert (found.kind, found.file) == ("postgresql", None)
    assert "own tools" in found.note
    assert "hunter2" not in repr(found)


def test_the_files_of_the_archive_are_copied_where_that_is_asked_for(logged, back_up):
    made = back_up("backup.archive=true")

    (indexed,) = manifest.read_index(made.folder)
    copied = made.folder / "archive" / indexed.file
    assert copied.read_bytes() == (logged.folder / "archive" / indexed.file).read_bytes()
    assert copied.stat().st_ino != (logged.folder / "archive" / indexed.file).stat().st_ino
    assert not (back_up(archive=False).folder / "archive").exists()


def test_an_archived_file_is_read_again_only_where_it_changed(logged, back_up, monkeypatch):
    read = []
    digest = files.digest

    def noted(path, *args):
        read.append(path.name)
        return digest(path, *args)

    monkeypatch.setattr(files, "digest", noted)
    (archived,) = (logged.folder / "archive").rglob("*.parquet")

    first = list(manifest.read_index(back_up().folder))
    assert read.count(archived.name) == 1
    assert list(manifest.read_index(back_up().folder)) == first
    assert read.count(archived.name) == 1
    archived.write_bytes(archived.read_bytes() + b"!")
    (changed,) = manifest.read_index(back_up().folder)

    assert read.count(archived.name) == 2
    assert changed.sha256 != first[0].sha256


def test_it_needs_no_state_but_a_warehouse(logged, back_up):
    for path in logged.folder.glob("torn.state.sqlite*"):
        path.unlink()
    assert back_up().manifest.state.file is None

    logged.warehouse.unlink()
    with pytest.raises(WarehouseUnavailable, match="no warehouse"):
        back_up()
    assert len(names(logged.folder / "backups")) == 1


# While others work


@pytest.mark.slow
def test_a_backup_that_is_taken_while_another_process_logs_has_whole_loads_only(logged):
    logged.clock = SystemClock()
    script = (
        "import sys\nfrom pathlib import Path\nfrom tcdatalogger.cli import main\n"
        "while not Path('enough').exists():\n"
        "    code = main(['run', '--all'])\n    assert code == 0, code\n"
    )
    logger = subprocess.Popen(
        [sys.executable, "-c", script], cwd=logged.folder, env=logged.outside(),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    loads: list[int] = []
    with logged.application("backup.keep=99") as application:
        while len(set(loads)) < 4 and len(loads) < 60 and logger.poll() is None:
            loads.append(whole(make.back_up(application)))
    (logged.folder / "enough").touch()
    _, said = logger.communicate()

    assert logger.returncode == 0, said
    assert loads == sorted(loads)
    assert len(set(loads)) == 4


def whole(made):
    """How many loads there are in a backup, each with all of its rows and its archived file."""
    with reading(made.folder / "warehouse/torn.duckdb") as copied:
        books = copied.execute(
            "select run_id, cast(rows->>'faction_members' as int), archive_file "
            "from _tcd_loads order by all"
        ).fetchall()
        rows = copied.execute(
            "select _run_id, count(*)::int from faction_members group by 1 order by 1"
        ).fetchall()
    assert [(run, count) for run, count, _ in books] == rows
    assert {file for *_, file in books} <= {one.file for one in manifest.read_index(made.folder)}
    return len(books)


def test_nobody_can_write_while_the_file_is_copied_and_everybody_can_after(logged, back_up):
    writing = "import duckdb, sys; duckdb.connect(sys.argv[1]).execute('create table t (i int)')"
    codes = []

    def write(_what="", done=0, size=0):
        if done == size:  # all is read, and the handle is still open
            done = subprocess.run(
                [sys.executable, "-c", writing, str(logged.warehouse)],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            codes.append("Conflicting lock" in done.stderr)

    made = back_up(progress=lambda what, *at: write(what, *at) if what.startswith("copy") else None)
    write()

    assert codes == [True, False]
    assert "t" not in made.manifest.warehouse.tables


def test_only_one_backup_is_made_in_a_place_at_a_time(logged, back_up, monkeypatch):
    inside, go_on, found = threading.Event(), threading.Event(), []
    fill = make._fill

    def slow(*args, **options):
        inside.set()
        go_on.wait(10)
        return fill(*args, **options)

    monkeypatch.setattr(make, "_fill", slow)
    first = threading.Thread(target=lambda: found.append(back_up()))
    first.start()
    assert inside.wait(10)
    try:
        with pytest.raises(Busy):
            back_up()
    finally:
        go_on.set()
        first.join()

    assert names(logged.folder / "backups") == [found[0].folder.name]


# Going wrong

DYING = """
import os, signal, sys
from pathlib import Path
from tcdatalogger.cli import main
from tcdatalogger import files
from tcdatalogger.core.backup import make, manifest, sqlite_copy

owner, name = {
    "state": (sqlite_copy, "copy"), "index": (make, "_archive"), "sync": (files, "sync_folders"),
    "manifest": (manifest, "write"), "check": (make, "_check"), "copy": (files, "copy"),
}[sys.argv[1]]
whole = getattr(owner, name)
def dying(*args, **options):
    whole(*args, **options)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(owner, name, dying)
main(["backup"])
"""


@pytest.mark.slow
@pytest.mark.parametrize("point", ["copy", "index", "check"])
def test_a_backup_that_is_killed_leaves_nothing_that_looks_like_one(logged, back_up, point):
    done = subprocess.run(
        [sys.executable, "-c", DYING, point], cwd=logged.folder, env=logged.outside(),
        capture_output=True, check=False, timeout=300,
    )  # fmt: skip
    place = logged.folder / "backups"
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert [name for name in names(place) if not name.startswith(".")] == []
    assert len(names(place)) == 1
    assert manifest.kept(place, f"duckdb:///{logged.warehouse}") == []

    made = back_up()

    assert names(place) == [made.folder.name]
    assert logged.value("select count(*) from _tcd_loads") == 1


def flip(path, at=0.5):
    """Change one bit of a file."""
    raw = bytearray(path.read_bytes())
    raw[int(len(raw) * at)] ^= 1
    path.write_bytes(bytes(raw))


def test_a_copy_that_is_not_what_was_read_is_no_backup(logged, back_up, monkeypatch):
    copy = files.copy

    def bad_disk(source, target, *args):
        found = copy(source, target, *args)
        flip(target)
        return found

    monkeypatch.setattr(files, "copy", bad_disk)

    with pytest.raises(DataRefused, match=r"torn\.duckdb of the backup is damaged"):
        back_up()

    assert names(logged.folder / "backups") == []


@pytest.mark.parametrize(
    ("file", "at"),
    [
        ("state/torn.state.sqlite", 0.02),
        ("archive.jsonl", 0.02),
        *(("manifest.json", at) for at in (0.0, 0.02, 0.05, 0.3, 0.5, 0.9)),
    ],
)
def test_what_is_damaged_before_its_name_is_given_is_no_backup(
    logged, back_up, monkeypatch, file, at
):
    sync = files.sync_folders

    def bad_disk(folder):
        flip(folder / file, at=at)
        sync(folder)

    monkeypatch.setattr(files, "sync_folders", bad_disk)

    with pytest.raises(DataRefused, match=Path(file).name):
        back_up()

    assert names(logged.folder / "backups") == []


def test_a_damaged_warehouse_is_not_taken_for_good(logged, back_up):
    good = back_up()
    raw = bytearray(logged.warehouse.read_bytes())
    for at in range(16_384, len(raw), 4096):
        raw[at] ^= 0xFF
    logged.warehouse.write_bytes(bytes(raw))

    with pytest.raises((DataRefused, ConfigError), match=r"torn\.duckdb"):
        back_up("backup.keep=1")

    assert names(logged.folder / "backups") == [good.folder.name]


def test_a_full_disk_is_told_and_leaves_nothing(logged, back_up, monkeypatch):
    def full(*_args):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(files, "copy", full)

    with pytest.raises(DiskFull, match="full"):
        back_up()

    assert names(logged.folder / "backups") == []


def test_a_place_that_cannot_be_written_is_named(logged, back_up):
    (logged.folder / "taken").write_text("a file")

    with pytest.raises(ConfigError, match="taken"):
        back_up(place=logged.folder / "taken" / "backups")


# When, and how many


def test_one_is_due_when_the_newest_is_as_old_as_the_frequency(logged, back_up):
    with logged.application() as application:
        settings = application.settings
        assert make.due(settings, START)
        back_up()
        assert [make.due(settings, START + s) for s in (0, 1, DAY - 1, DAY, 9 * DAY)] == [
            False, False, False, True, True,
        ]  # fmt: skip
        assert make.due(settings, START - DAY)  # a clock that was wrong puts nothing off
        assert make.due(settings, START, logged.folder / "elsewhere")
    with logged.application("backup.frequency=P1M") as application:
        assert not make.due(application.settings, START + 30 * DAY)
        assert make.due(application.settings, START + 31 * DAY)
    logged.write(ONE)
    with logged.application() as application:
        assert not make.due(application.settings, START + 99 * DAY)


def test_the_newest_stay_and_the_oldest_go(logged, back_up):
    made = []
    for _ in range(5):
        made.append(back_up())
        logged.clock.sleep(DAY)

    assert names(logged.folder / "backups") == [
        "20260103T000000Z", "20260104T000000Z", "20260105T000000Z",
    ]  # fmt: skip
    assert [len(each.deleted) for each in made] == [0, 0, 0, 1, 1]


def test_the_one_that_was_just_made_stays_even_where_the_clock_jumped_back(logged, back_up):
    old = back_up("backup.keep=1")
    logged.clock.sleep(-1)
    logged.clock._now -= 9 * DAY

    new = back_up("backup.keep=1")

    assert names(logged.folder / "backups") == [new.folder.name]
    assert new.deleted == (old.folder,)


def test_only_backups_of_this_warehouse_are_ever_deleted(logged, back_up):
    place = logged.folder / "backups"
    strange = {
        "20200101T000000Z": "no manifest", "notes": "no name of ours", "20200102T000000Z": "other",
    }  # fmt: skip
    first = back_up()
    for name in strange:
        shutil.copytree(first.folder, place / name)
    (place / "20200101T000000Z" / "manifest.json").unlink()
    other = place / "20200102T000000Z" / "manifest.json"
    other.write_text(other.read_text().replace("torn.duckdb", "other.duckdb"))

    for _ in range(3):
        logged.clock.sleep(DAY)
        back_up("backup.keep=1")

    assert names(place) == [*sorted(strange)[:2], "20260104T000000Z", "notes"]


def test_a_backup_that_fails_deletes_none(logged, back_up, monkeypatch):
    made = [back_up().folder.name]
    monkeypatch.setattr(make, "_check", lambda *_: (_ for _ in ()).throw(DataRefused("bad")))

    with pytest.raises(DataRefused, match="bad"):
        back_up("backup.keep=1")

    assert names(logged.folder / "backups") == made


# Back again


def test_what_is_restored_is_what_was_backed_up_row_for_row(logged, back_up, restore):
    made = back_up(archive=True)
    before = logged.sql("from faction_members order by rowid")
    logged.log("faction_members")

    found = restore(made.folder)

    with duckdb.connect(found.url.removeprefix("duckdb:///"), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        rows = connection.sql("from faction_members order by rowid").to_arrow_table().to_pylist()
    assert rows == before
    assert found.tables == made.manifest.warehouse.tables
    assert [path.suffix for path in found.archive.rglob("*.*")] == [".parquet"]
    assert names(logged.folder / "restored") == ["archive", "state", "warehouse"]


def test_the_settings_that_are_printed_go_on_from_there(logged, back_up, restore):
    found = restore(back_up(archive=True).folder)
    for path in logged.folder.glob("torn.*"):
        path.unlink()
    shutil.rmtree(logged.folder / "archive")
    text = logged.file.read_text()
    logged.file.write_text(found.settings() + "\n" + text[text.index("[torn]") :])

    assert logged.run("rebuild", "faction_members").code == 0
    assert logged.run("runs", "--json").json[0]["status"] == "done"
    rows = logged.run("query", "select count(*) as n from faction_members", "--json").json
    assert rows[0]["n"] > 0
    assert not logged.warehouse.exists()


def test_one_flipped_bit_is_found_and_its_file_named(logged, back_up, restore):
    folder = back_up(archive=True).folder
    every = [path for path in folder.rglob("*") if path.is_file()]
    assert len(every) == 5
    for path, at in itertools.product(every, (0.001, 0.5, 0.999)):
        if path.name == "manifest.json" and at > 0.001:  # a letter of a note is not checked
            continue
        before = path.read_bytes()
        flip(path, at)
        for dry in (True, False):
            with pytest.raises(DataRefused, match=path.name):
                restore(folder, dry=dry)
        path.write_bytes(before)

    assert not (logged.folder / "restored").exists()
    assert not list(logged.folder.glob(".restored*"))


def test_a_missing_file_and_a_missing_manifest_are_named(logged, back_up, restore):
    folder = back_up().folder
    (folder / "state/torn.state.sqlite").unlink()
    with pytest.raises(DataRefused, match=r"state/torn\.state\.sqlite of the backup is missing"):
        restore(folder)
    (folder / "manifest.json").unlink()
    with pytest.raises(DataRefused, match="is no backup"):
        restore(folder)
    with pytest.raises(DataRefused, match="is no backup"):
        restore(logged.folder / "nowhere")


def test_rows_that_are_not_those_of_the_manifest_are_refused(logged, back_up, restore):
    folder = back_up().folder
    path = folder / "warehouse/torn.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("update faction_members set level = level + 1 where rowid = 0")
    said = json.loads((folder / "manifest.json").read_text())
    found = files.digest(path)
    said["files"]["warehouse/torn.duckdb"] = {"bytes": found.bytes, "sha256": found.sha256}
    (folder / "manifest.json").write_text(json.dumps(said))

    with pytest.raises(DataRefused, match="faction_members"):
        restore(folder)

    assert not (logged.folder / "restored").exists()


def test_nothing_that_is_there_is_written_over(logged, back_up, restore):
    folder = back_up().folder
    (logged.folder / "restored").mkdir()
    (logged.folder / "restored" / "mine").write_text("mine")

    with pytest.raises(UsageError, match="not empty"):
        restore(folder)

    assert (logged.folder / "restored" / "mine").read_text() == "mine"
    (logged.folder / "empty").mkdir()
    assert restore(folder, "empty").url.endswith("empty/warehouse/torn.duckdb")
    assert (logged.folder / "empty/warehouse/torn.duckdb").exists()


def test_a_backup_that_would_write_elsewhere_is_refused(logged, back_up, restore):
    folder = back_up().folder
    said = json.loads((folder / "manifest.json").read_text())
    for name in ("../../out", "/etc/out", "a/../../out", "C:out", "a\0b", ""):
        wrong = {**said, "files": {name: said["files"]["archive.jsonl"]}}
        (folder / "manifest.json").write_text(json.dumps(wrong))
        with pytest.raises(DataRefused, match="not within"):
            restore(folder)


def linked(path, target):
    """Put a link to another place, where the same bytes are, in place of a file or a folder."""
    shutil.move(path, target)
    path.symlink_to(target)


def fifo(path, _target):
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("put", [linked, fifo])
@pytest.mark.parametrize(
    "name",
    ["warehouse/torn.duckdb", "state/torn.state", "archive.jsonl", "manifest.json", "warehouse"],
)
def test_a_backup_of_a_stranger_leads_nowhere_else(logged, back_up, restore, put, name):
    folder = back_up().folder
    [path] = [p for p in folder.rglob("*") if str(p.relative_to(folder)).startswith(name)][:1]
    if put is fifo and path.is_dir():
        path = next(path.iterdir())
    put(path, logged.folder / "elsewhere")

    with pytest.raises(DataRefused, match="a link or something else in place of its file"):
        restore(folder)
    assert not (logged.folder / "restored").exists()


def test_a_file_of_the_archive_that_is_a_link_is_refused_too(logged, back_up, restore):
    folder = back_up("backup.archive=true").folder
    [file] = (folder / "archive").rglob("*.parquet")
    linked(file.parent, logged.folder / "elsewhere")
    with pytest.raises(DataRefused, match="a link or something else"):
        restore(folder)


@pytest.mark.parametrize(
    "text", [b"[" * 100_000, b'{"backup_of": ' + b"[" * 100_000, b"\xff", b"null"]
)
def test_a_manifest_that_is_none_is_told_as_that(logged, back_up, restore, text):
    folder = back_up().folder
    (folder / "manifest.json").write_bytes(text)
    with pytest.raises(DataRefused, match="damaged"):
        restore(folder)
