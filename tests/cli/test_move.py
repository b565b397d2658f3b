"""An installation is moved as a whole or not at all, and never used in two places."""

from __future__ import annotations

import errno
import os
import shlex
import shutil
import socket
import subprocess
import sys
import tomllib
from contextlib import closing

import duckdb
import pytest

import tcdatalogger
from shared import rest_slow
from tcdatalogger.core.backup import moving, moving_parts
from tcdatalogger.core.config import moved
from tcdatalogger.core.config.configuration import load
from tcdatalogger.core.config.toml_lines import with_text
from tcdatalogger.core.state.heartbeats import Heartbeat, Heartbeats
from tcdatalogger.core.state.leases import me
from tcdatalogger.core.state.store import State
from tcdatalogger.errors import Busy, ConfigError

MEMBERS = '[[endpoints]]\nname = "faction_members"\npath = "/faction/members"\n'
PLACE = 'the faction\'s "new" place'
"""A folder whose name has to be quoted."""


def fill(place):
    place.write(MEMBERS)
    text = place.file.read_text(encoding="utf-8")
    text = text.replace(f'"env:{next(iter(place.environ))}"', '"file:keys/mine"')
    (place.folder / "keys").mkdir()
    (place.folder / "keys/mine").write_text(place.key)
    (place.folder / "keys/mine").chmod(0o600)
    place.file.write_text(f"# mine\n{text}", encoding="utf-8")
    assert place.run("run", "faction_members").code == 0
    assert place.run("backup").code == 0


@pytest.fixture
def here(once, workplace):
    """An installation with a run, a key in a file, and a backup."""
    once(fill)
    text = workplace.file.read_text(encoding="utf-8")
    workplace.file.write_text(with_text(text, "torn", "url", workplace.city.url))
    workplace.key = None
    return workplace


@pytest.fixture
def there(tmp_path_factory):
    return tmp_path_factory.mktemp("other disk") / PLACE


def at(place, folder, *words):
    return place.run("--config", str(folder / "tcdatalogger.toml"), *words)


def members(file):
    with closing(duckdb.connect(file, read_only=True)) as db:
        return db.execute("select count(*) from faction_members").fetchone()[0]


def everything(folder):
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
        and "state" not in file.name
        and file.name not in {".lock", "manifest.json"}
    }


# --- a folder ------------------------------------------------------------------------------------


def test_all_of_an_installation_is_in_the_new_folder_and_goes_on_there(here, there):
    before = everything(here.folder)

    done = here.run("move", str(there), "--json")

    assert done.code == 0, done.err
    assert (done.json["rows"]["faction_members"], done.json["runs"]) == (30, 1)
    new = everything(there)
    assert {name: new.get(name) for name in before} == before
    assert (there / "keys/mine").stat().st_mode & 0o777 == 0o600
    assert there.stat().st_mode & 0o777 == 0o700
    here.clock.sleep(60)
    assert at(here, there, "run", "faction_members").code == 0
    assert members(there / "torn.duckdb") == 60
    assert members(here.folder / "torn.duckdb") == 30
    assert at(here, there, "rebuild", "faction_members").code == 0
    assert at(here, there, "backup", "--list", "--json").json["backups"] != []


def test_the_old_place_refuses_to_run_and_says_where_it_went(here, there):
    here.run("move", str(there))

    for words in (["run", "faction_members"], ["status"], ["backup"], ["check", "--offline"]):
        done = here.run(*words)
        assert done.code == 78, words
        assert shlex.quote(str(there / "tcdatalogger.toml")) in done.err
    with pytest.raises(ConfigError, match="was moved"):
        tcdatalogger.open(here.file)


def test_what_the_refusal_says_can_be_pasted(here, there):
    here.run("move", str(there))
    said = here.run("status").err.replace("\n", " ")

    there_now = said.split("Use it there: tcdatalogger ")[1].split(" status.")[0]
    back = said.split("To come back: tcdatalogger ")[1].strip()

    assert here.run(*shlex.split(there_now), "status").code == 0
    assert here.run(*shlex.split(back)).code == 0
    assert here.run("status").code == 0


def test_a_moved_installation_may_be_carried_to_another_machine(here, there, tmp_path_factory):
    here.run("move", str(there))
    packed = shutil.make_archive(str(there.parent / "packed"), "tar", there)
    away = tmp_path_factory.mktemp("machine") / "torn"
    shutil.unpack_archive(packed, away, filter="data")

    assert at(here, away, "run", "faction_members").code == 0
    assert members(away / "torn.duckdb") == 60


def test_a_dry_run_lists_the_parts_and_changes_nothing(here, there):
    before = everything(here.folder)

    found = here.run("move", str(there), "--dry-run", "--json").json

    assert {part["setting"] for part in found["parts"]} == {
        "warehouse.url", "state.url", "archive.path", "backup.path", "keys.default"
    }  # fmt: skip
    assert found["bytes"] > 10_000
    assert not there.exists()
    assert everything(here.folder) == before
    assert "nothing was changed" in here.run("move", str(there), "--dry-run").out


def test_data_outside_of_the_folder_comes_in_and_keys_named_by_a_whole_path_stay(
    here, there, tmp_path_factory
):
    far = tmp_path_factory.mktemp("far")
    for name in ("torn.duckdb", "torn.state.sqlite", "archive", "keys"):
        shutil.move(here.folder / name, far / name)
    text = here.file.read_text(encoding="utf-8")
    text = with_text(text, "warehouse", "url", f"duckdb:///{far}/torn.duckdb")
    text = with_text(text, "archive", "path", str(far / "archive"))
    text = with_text(text, "keys", "default", f"file:{far}/keys/mine")
    here.file.write_text(with_text(text, "backup", "path", "backups"), encoding="utf-8")

    done = here.run("move", str(there), "--json")

    assert done.json["stays"] == ["keys.default"]
    assert members(there / "data/torn.duckdb") == 30
    settings = load(there / "tcdatalogger.toml", {})
    assert settings.archive.folder == there / "data/archive"
    assert (there / "data/torn.state.sqlite").exists()
    assert at(here, there, "run", "faction_members").code == 0
    assert (there / "tcdatalogger.toml").read_text().startswith("# mine\n")


@pytest.mark.parametrize(
    ("prepare", "code", "said"),
    [
        (lambda _here, there: (there.mkdir(), (there / "x").touch()), 2, "not empty"),
        (lambda here, _there: here.patch.setenv("TCDATALOGGER_ARCHIVE__PATH", "/x"), 2, "variable"),
        (
            lambda here, _there: here.file.write_text(
                here.file.read_text().replace("file:keys/mine", "file:../mine")
            ),
            2,
            "whole path",
        ),
    ],
    ids=["a full place", "the environment", "a path that leads out"],
)
def test_what_cannot_be_moved_is_refused_and_nothing_changes(here, there, prepare, code, said):
    prepare(here, there)

    done = here.run("move", str(there))

    assert done.code == code
    assert said in done.err.replace("\n", " ")
    assert not moved.beside(here.file).exists()


@pytest.mark.parametrize("dry", [(), ("--dry-run",)], ids=["for good", "dry"])
@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("archive/new", "lies within"),
        ("new", "lies within"),
        (".", "to where it is"),
        ("..", "holds"),
    ],
)
def test_a_folder_within_or_around_what_is_moved_is_refused(here, to, said, dry):
    done = here.run("move", str(here.folder / to), *dry)

    assert done.code == 2
    assert said in done.err
    assert f"tcdatalogger move {shlex.quote(f'{here.folder}-moved')}" in done.err
    assert not (here.folder / "new").exists()


def test_nothing_moves_under_a_scheduler_that_lives(here, there):
    now = here.clock.now()
    with State(here.folder / "torn.state.sqlite", here.clock) as state:
        beat = Heartbeat(me(), socket.gethostname(), os.getpid(), now, now, 4, 0)
        Heartbeats(state).write(beat)

    done = here.run("move", str(there))

    assert done.code == 75
    assert str(os.getpid()) in done.err
    assert not there.exists()


def test_a_second_move_at_the_same_time_does_not_delete_what_the_first_has_brought(
    here, there, monkeypatch
):
    real, refused = moved.write, []

    def write(file, mark, ending=moved.AWAY):
        if ending == moved.AWAY:
            with here.application() as other, pytest.raises(Busy) as busy:
                moving.move(other, here.file, there)
            refused.append(busy)
        real(file, mark, ending)

    monkeypatch.setattr(moved, "write", write)
    done = here.run("move", str(there))

    assert (done.code, len(refused)) == (0, 1), done.err
    assert at(here, there, "status").code == 0


def test_a_disk_with_too_little_space_is_seen_before_anything_is_written(here, there, monkeypatch):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage._replace(free=1_000_000))

    done = here.run("move", str(there))

    assert done.code == 75
    assert "MB" in done.err
    assert list(there.parent.iterdir()) == []


@pytest.mark.parametrize("last", ["mark", "file"])
def test_a_disk_that_gets_full_leaves_the_old_place_in_use(here, there, monkeypatch, last):
    def full(*_args, **_options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        if last == "file":
            patch.setattr(moving.files, "copy", full)
        else:
            real = moved.write
            patch.setattr(
                moved, "write",
                lambda file, mark, ending=moved.AWAY: full() if file == here.file.resolve()
                else real(file, mark, ending),
            )  # fmt: skip
        assert here.run("move", str(there)).code == 75

    assert here.run("status").code == 0
    if last == "mark":
        refused = at(here, there, "status")
        assert refused.code == 78
        assert "has not ended" in refused.err
    else:
        assert list(there.parent.iterdir()) == []
    assert here.run("move", str(there)).code == 0
    assert at(here, there, "status").code == 0


KILLED = """
import os, signal, sys
from pathlib import Path
from tcdatalogger.cli import main
from tcdatalogger.core.backup import moving, sqlite_copy
from tcdatalogger.core.config import moved

def die(*args, **options):
    os.kill(os.getpid(), signal.SIGKILL)

where, to = sys.argv[1:]
if where == "copying":
    sqlite_copy.copy = die
elif where == "before it has its name":
    Path.rename = die
elif where == "before the old place is marked":
    real = moved.write
    moved.write = lambda file, mark, ending=moved.AWAY: (
        die() if ending == moved.AWAY else real(file, mark, ending)
    )
else:
    moved.remove = die
main(["move", to])
"""


@pytest.mark.parametrize(
    "where",
    rest_slow(
        [
            "before the old place is marked",
            "copying",
            "before it has its name",
            "after the old place is marked",
        ]
    ),
)
def test_a_move_that_is_killed_is_ended_by_the_next_and_never_two_places_run(here, there, where):
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, where, str(there)], cwd=here.folder, env=here.outside(),
        check=False, capture_output=True,
    )  # fmt: skip
    assert killed.returncode < 0, killed.stderr

    runs = [here.run("status").code == 0]
    if there.exists():
        runs.append(at(here, there, "status").code == 0)
    assert sum(runs) <= 1

    here.clock.sleep(3_600)
    assert here.run("move", str(there)).code == 0
    assert here.run("status").code == 78
    assert at(here, there, "run", "faction_members").code == 0
    assert members(there / "torn.duckdb") == 60
    assert [path.name for path in there.parent.iterdir()] == [PLACE]


def test_a_move_is_undone_and_then_the_new_place_refuses(here, there):
    here.run("move", str(there))

    done = here.run("move", "--undo", "--json")

    assert done.json["left"] == str(there)
    assert at(here, there, "status").code == 78
    assert here.run("run", "faction_members").code == 0
    assert here.run("move", "--undo").code == 2


def test_a_move_is_not_undone_where_something_was_stored_since_or_nothing_is_there(here, there):
    here.run("move", str(there))
    at(here, there, "run", "faction_members")

    stored = here.run("move", "--undo")
    shutil.rmtree(there)
    gone = here.run("move", "--undo")

    assert (stored.code, gone.code) == (2, 78)
    assert "stored" in stored.err
    assert "delete the mark" in gone.err


# --- a warehouse, a state ------------------------------------------------------------------------


def test_a_warehouse_is_moved_and_the_configuration_names_it(here, there):
    url = f"duckdb:///{there.parent}/new.duckdb"

    done = here.run("move", url, "--json")

    assert done.code == 0, done.err
    assert done.json["rows"]["faction_members"] == 30
    settings = load(here.file, {})
    assert settings.warehouse.url == url
    assert settings.state.file == here.folder / "torn.state.sqlite"
    assert settings.backup.path == here.folder / "backups"
    assert here.run("run", "faction_members").code == 0
    assert members(there.parent / "new.duckdb") == 60


def test_the_old_warehouse_refuses_until_the_move_is_undone(here, there):
    text = here.file.read_text(encoding="utf-8")
    here.run("move", f"duckdb:///{there.parent}/new.duckdb")
    other = here.folder / "other.toml"
    other.write_text(text, encoding="utf-8")

    refused = here.run("--config", str(other), "status")
    undone = here.run("move", "--undo")

    assert refused.code == 78
    assert "new.duckdb" in refused.err
    assert undone.code == 0
    assert here.file.read_text(encoding="utf-8") == text
    assert here.run("run", "faction_members").code == 0
    assert here.run("--config", str(other), "status").code == 0


def test_a_warehouse_that_has_more_by_now_is_not_left_by_an_undo(here, there):
    here.run("move", f"duckdb:///{there.parent}/new.duckdb")
    here.run("run", "faction_members")

    done = here.run("move", "--undo")

    assert done.code == 2
    assert "stored" in done.err


def test_a_move_of_a_warehouse_that_is_killed_goes_on(here, there, monkeypatch):
    url = f"duckdb:///{there.parent}/new.duckdb"

    class Killed(BaseException):
        pass

    def die(*_args, **_options):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(moving_parts, "_replace", die)
        with pytest.raises(Killed):
            here.run("move", url)

    assert here.run("move", url).code == 0
    assert here.run("status").code == 0
    assert load(here.file, {}).warehouse.url == url


def test_a_state_is_moved_to_postgres_and_back(here, postgres, there):
    url = postgres.url()
    runs = here.run("runs", "list", "--json").json

    done = here.run("move", url, "--json")

    assert done.code == 0, done.err
    assert done.json["rows"]["runs"] == len(runs)
    assert here.run("runs", "list", "--json").json == runs
    assert here.run("run", "faction_members").code == 0
    back = here.run("move", f"sqlite:///{there.parent}/state.sqlite", "--json")
    assert back.json["rows"]["runs"] == len(runs) + 1
    assert here.run("run", "faction_members").code == 0


def test_a_state_with_other_runs_is_not_written_over(here, there):
    file = there.parent / "state.sqlite"
    shutil.copy(here.folder / "torn.state.sqlite", file)
    here.run("run", "faction_members")

    done = here.run("move", f"sqlite:///{file}")

    assert done.code == 2
    assert "other runs" in done.err


@pytest.mark.parametrize("words", [[], ["/x", "--undo"], ["https://example.org"], ["--undo"]])
def test_what_is_no_place_is_refused(here, words):
    assert here.run("move", *words).code == 2


# --- the text of a configuration -----------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# mine",
        '[warehouse]\nurl = "old" # why\n',
        "[warehouse]\nurl='old'\n[archive]\npath = 'x'\n",
        '[archive]\npath = "x"\n',
        '[warehouse]\nkms_key = "x"\n',
        'warehouse.url = "old"\n',
        'warehouse = { url = "old" }\n',
        "[warehouse]",
    ],
)
def test_a_key_gets_another_text_and_all_else_stays(text):
    value = 'duckdb:///a "b" \\ c.duckdb'

    changed = with_text(text, "warehouse", "url", value)

    assert tomllib.loads(changed)["warehouse"]["url"] == value
    kept = [line for line in text.splitlines() if "old" not in line]
    assert [line for line in changed.splitlines() if line in kept] == kept
