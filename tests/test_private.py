"""Whatever is made is its owner's alone, whatever the umask."""

from __future__ import annotations

import os
import stat
import sys

import pytest

import tcdatalogger
from tcdatalogger import private

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it has no such rights")

SETTINGS = '[log]\nfile = "logs/tcd.log"\nmax_bytes = "2KB"\n'


@pytest.fixture(autouse=True)
def _open_to_all():
    before = os.umask(0)
    yield
    os.umask(before)


def wide(place, *, but=()):
    """What anybody but the owner may read or write, below the folder of a workplace."""
    found = {}
    for path in place.folder.rglob("*"):
        mode = stat.S_IMODE(path.lstat().st_mode)
        if mode & 0o077 and path.name not in but:
            found[str(path.relative_to(place.folder))] = f"{mode:04o}"
    return found


def test_every_file_and_folder_that_commands_make_is_its_owners_alone(workplace):
    workplace.write(extra=SETTINGS)
    for words in (
        ("run", "--all"),
        ("run", "faction_members", "--step", "transform"),
        ("backup", "--archive"),
        ("query", "from faction_members", "--parquet", "members.parquet"),
        ("status",),
    ):
        assert workplace.run(*words).code == 0, words
    backups = next((workplace.folder / "backups").glob("2*"))
    assert workplace.run("restore", str(backups), "--to", "back/again").code == 0

    names = {path.name for path in workplace.folder.rglob("*")}
    assert {"torn.duckdb", "torn.state.sqlite", "tcd.log", "tcd.log.1", "members.parquet"} <= names
    assert {"artifacts", "archive", "backups", "manifest.json"} <= names
    assert wide(workplace, but={"tcdatalogger.toml"}) == {}


def test_so_is_what_the_parts_make_in_a_program_of_somebody_elses(workplace):
    with workplace.application() as application:
        for endpoint in application.settings.endpoints:
            assert application.run(endpoint).error is None
            application.run(endpoint, until="transform")

    assert wide(workplace, but={"tcdatalogger.toml"}) == {}


def test_what_a_backup_holds_of_a_file_that_was_wider_is_its_owners_alone(workplace):
    assert workplace.run("run", "faction_members").code == 0
    workplace.warehouse.chmod(0o644)
    assert workplace.run("backup").code == 0

    assert wide(workplace, but={"tcdatalogger.toml"}) == {"torn.duckdb": "0644"}


def test_the_mask_of_whoever_calls_us_is_as_it_was(workplace):
    workplace.run("run", "faction_members")

    assert os.umask(0) == 0


def test_the_mask_is_as_it_was_when_blocks_of_two_threads_overlap():
    first, second = private.umask(), private.umask()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert os.umask(0o077) == 0o077  # the second one goes on
    second.__exit__(None, None, None)

    assert os.umask(0) == 0


def test_so_is_what_the_face_for_python_makes(workplace):
    logger = tcdatalogger.open(workplace.file, environ=workplace.environ)
    logger.run("faction_members").raise_for_error()
    logger.run("faction_members", step="validate")

    assert wide(workplace, but={"tcdatalogger.toml"}) == {}
    assert os.umask(0) == 0


def test_so_is_what_the_engines_put_beside_their_files_from_the_first_byte(workplace):
    with workplace.application() as application:
        state = application.state
        with application.warehouse() as warehouse, warehouse._changing(made=True) as session:
            session.execute("create table many as select range as n from range(300_000)")
            session.commit()
            session.execute("begin")
            with state.writing() as db:
                db.execute("insert into chores (name, at) values ('a chore', 1)")
            names = {path.name for path in workplace.folder.iterdir()}
            assert {"torn.duckdb.wal", "torn.state.sqlite-wal", "torn.state.sqlite-shm"} <= names
            assert wide(workplace, but={"tcdatalogger.toml"}) == {}


def test_check_says_which_files_others_may_read_and_mends_them(workplace):
    assert workplace.run("run", "faction_members").code == 0
    assert workplace.run("backup").code == 0
    (answers,) = (workplace.folder / "archive").rglob("*.parquet")
    (copy,) = (workplace.folder / "backups").glob("2*/warehouse/torn.duckdb")
    for path in (answers, copy, workplace.warehouse):
        path.chmod(0o644)

    said = {f["part"]: f["says"] for f in workplace.run("check", "--json").json["findings"]}
    assert "1 file in it" in said["rights of archive"]
    assert "everybody may read it" in said["rights of backup"]
    assert said["rights of warehouse"].startswith(str(workplace.warehouse))

    done = workplace.run("check", "--offline", "--mend")
    assert "3 files can be read by their owner alone now." in done.err
    assert "rights of" not in done.out
    assert wide(workplace, but={"tcdatalogger.toml"}) == {}
    again = workplace.run("check", "--offline", "--mend")
    assert "there is nothing to mend" in again.err


def test_what_a_link_leads_to_is_not_mended(workplace, tmp_path_factory):
    assert workplace.run("run", "faction_members").code == 0
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "of-another"
    elsewhere.write_text("theirs")
    elsewhere.chmod(0o644)
    (workplace.folder / "archive" / "link").symlink_to(elsewhere)

    workplace.run("check", "--offline", "--mend")

    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o644
