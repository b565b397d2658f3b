"""`backup` and `restore` as they are called, also of a warehouse that is encrypted."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tcdatalogger import files
from tcdatalogger.cli.commands import backup as cli_backup
from tcdatalogger.services.duckdb import connection as duckdb_file

DAY = 86_400
KEY = "a-key-of-a-warehouse-0123456789"
ONE = """
[[endpoints]]
name = "faction_members"
path = "/faction/members"
"""
DAILY = '[backup]\nfrequency = "P1D"\nkeep = 2\n'


def fill(place):
    place.write(ONE, extra=DAILY)
    assert place.run("run", "--all").code == 0


@pytest.fixture
def logged(workplace, once):
    once(fill)
    return workplace


def test_a_backup_is_made_and_restored_by_two_commands(logged):
    rows = logged.value("select count(*) from faction_members")

    made = logged.run("backup", "--json").json
    found = logged.run("restore", made["folder"], "--to", "new", "--json").json

    assert made["tables"]["faction_members"] == rows
    assert (made["made"], made["encrypted"], made["state"]) == (True, False, True)
    assert (made["archive"]["files"], made["archive"]["copied"]) == (1, False)
    assert found["tables"] == made["tables"]
    assert found["archive"] is None
    assert Path(found["warehouse"]).exists()
    assert f'url = "duckdb:///{logged.folder}/new/warehouse/torn.duckdb"' in found["settings"]


def test_what_was_done_is_told_in_words(logged):
    made = logged.run("backup", "other", "--archive").out
    folder = made.partition(":")[0]

    assert folder == str(logged.folder / "other" / "20260101T000000Z")
    assert "every row checked" in made
    assert "1 files" in made
    checked = logged.run("restore", folder, "--to", "new", "--dry-run").out
    assert "nothing was copied" in checked
    assert not (logged.folder / "new").exists()
    assert "every row compared" in (told := logged.run("restore", folder, "--to", "new").out)
    assert '[archive]\npath = "' in told


def test_a_backup_that_is_not_due_is_not_made_and_that_is_well(logged):
    assert logged.run("backup", "--if-due", "--json").json["made"]
    logged.clock.sleep(DAY - 1)

    again = logged.run("backup", "--if-due")

    assert (again.code, again.out) == (0, "The next backup is not due yet.\n")
    assert logged.run("backup", "--if-due", "--json").json == {"made": False, "why": "not due"}
    logged.clock.sleep(1)
    assert logged.run("backup", "--if-due", "--json").json["made"]
    logged.clock.sleep(DAY)
    assert len(logged.run("backup", "--if-due", "--json").json["deleted"]) == 1


def test_if_due_without_a_frequency_says_what_is_missing(logged):
    logged.write(ONE)

    refused = logged.run("backup", "--if-due")

    assert refused.code == 78
    assert "frequency" in refused.err


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("keep = 0", "backup.keep"),
        ('frequency = "daily"', "backup.frequency"),
        ("kept = 3", "backup.kept"),
    ],
)
def test_a_wrong_setting_is_named(logged, line, says):
    logged.write(ONE, extra=f"[backup]\n{line}\n")

    refused = logged.run("backup")

    assert refused.code == 78
    assert says in refused.err


def test_a_restore_needs_no_configuration(logged):
    folder = logged.run("backup", "--json").json["folder"]
    logged.file.unlink()

    assert logged.run("restore", folder, "--to", "new").code == 0


def test_a_damaged_backup_is_refused_by_name_and_exit_code(logged):
    folder = Path(logged.run("backup", "--json").json["folder"])
    (folder / "archive.jsonl").write_text("")

    refused = logged.run("restore", str(folder), "--to", "new", "--json")

    assert refused.code == 65
    assert "archive.jsonl" in refused.json["error"]["message"]
    assert not (logged.folder / "new").exists()


def test_work_that_takes_long_says_how_far_it_is(logged, monkeypatch):
    assert logged.run("backup").err.count("%") == 0
    monkeypatch.setattr(cli_backup, "QUIET", 0.0)

    assert "copying torn.duckdb 100 %" in logged.run("backup").err


def test_backups_are_listed_the_newest_first(logged):
    assert "no backups yet" in logged.run("backup", "--list").out
    first = logged.run("backup", "--json").json
    logged.clock.sleep(60)
    second = logged.run("backup", "--json").json

    listed = logged.run("backup", "--list", "--json").json

    assert [each["folder"] for each in listed["backups"]] == [second["folder"], first["folder"]]
    assert listed["backups"][0]["tables"] == second["tables"]
    assert listed["snapshots"] == []
    assert second["folder"] in logged.run("backup", "--list").out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("backup", "--snapshots", "P30D"), "`tcdatalogger backup` copies it into files"),
        (("backup", "--snapshots", "30"), "--snapshots is not an ISO 8601 duration"),
        (("backup", "--snapshots", "P30D", "--to", "other"), "backup --snapshots P30D"),
        (
            (
                "restore",
                "--snapshots",
                "20261123T081500Z",
                "--warehouse",
                "bigquery://torn-1/again",
            ),
            "`tcdatalogger backup` copies it into files",
        ),
        (("restore", "--snapshots", "20261123T081500Z"), "--warehouse"),
        (("restore", "backups"), "--to restored"),
    ],
)
def test_snapshots_that_cannot_be_are_refused_with_the_way_that_works(logged, words, told):
    refused = logged.run(*words)

    assert refused.code == 2
    assert told in " ".join(refused.err.split())


# Encrypted


@pytest.fixture
def secret(workplace, monkeypatch, tmp_path_factory):
    """A workplace whose warehouse is encrypted; the key lies in a file of another folder."""

    def unsafe(connection, *, required):
        # DuckDB's own extension comes from the network; see tests/warehouses/test_encryption.py.
        connection.execute("set force_mbedtls_unsafe = 'true'")

    monkeypatch.setattr(duckdb_file, "load_cipher", unsafe)
    place = tmp_path_factory.mktemp("run") / "warehouse.key"
    place.write_text(f"{KEY}\n")
    monkeypatch.setenv("TCDATALOGGER_WAREHOUSE__ENCRYPTION_KEY", f"file:{place}")
    workplace.write(ONE, extra=DAILY)
    return workplace


def test_every_command_works_on_an_encrypted_warehouse_and_shows_no_key(secret, tmp_path):
    words = [
        ["run", "--all"],
        ["check"],
        ["status", "--json"],
        ["schema", "history", "faction_members"],
        ["query", "select count(*) as n from faction_members"],
        ["query", "select * from duckdb_databases()"],
        ["query", "select * from duckdb_settings()", "--json"],
        ["config", "show"],
        ["rebuild", "faction_members"],
        ["backup", "--archive", "--debug"],
        ["restore", "backups/20260101T000000Z", "--to", "new", "--debug"],
        ["query", "select count(*) as n from faction_members", "--json", "--debug"],
    ]
    for each in words:
        done = secret.run(*each)
        assert done.code == 0, (each, done.err)
        assert KEY not in done.out + done.err, each
    assert done.json[0]["n"] > 0
    assert secret.holding(KEY) == []
    for path in tmp_path.rglob("*.duckdb*"):
        assert b"faction_members" not in path.read_bytes(), path


def test_a_restored_warehouse_opens_with_the_key_alone(secret, monkeypatch):
    secret.run("run", "--all")
    folder = secret.run("backup", "--json").json["folder"]
    reference = os.environ["TCDATALOGGER_WAREHOUSE__ENCRYPTION_KEY"]
    monkeypatch.delenv("TCDATALOGGER_WAREHOUSE__ENCRYPTION_KEY")

    without = secret.run("restore", folder, "--to", "new")
    given = secret.run("restore", folder, "--to", "new", "--encryption-key", reference, "--json")

    assert without.code == 78
    assert "--encryption-key" in without.err
    assert f'encryption_key = "{reference}"' in given.json["settings"]


@pytest.mark.parametrize("spoil", ["wrong", "missing", "none"])
def test_a_key_that_is_wrong_missing_or_not_configured_is_told_and_not_shown(
    secret, monkeypatch, spoil
):
    secret.run("run", "--all")
    folder = secret.run("backup", "--json").json["folder"]
    variable = "TCDATALOGGER_WAREHOUSE__ENCRYPTION_KEY"
    other = "another-key-of-a-warehouse"
    monkeypatch.setenv("TCD_WAREHOUSE_KEY", other)
    if spoil == "none":
        monkeypatch.delenv(variable)
    else:
        reference = {"wrong": "env:TCD_WAREHOUSE_KEY", "missing": "env:NOT_THERE"}[spoil]
        monkeypatch.setenv(variable, reference)
    says = {"wrong": "another key", "missing": "NOT_THERE", "none": "encrypt"}[spoil]

    for words in (
        ["run", "--all"], ["query", "select 1"], ["backup"], ["restore", folder, "--to", "new"],
    ):  # fmt: skip
        refused = secret.run(*words, "--debug")

        assert refused.code == 78, (words, refused.err)
        assert says in refused.err, words
        assert KEY not in refused.err + refused.out
        assert other not in refused.err + refused.out
    assert secret.holding(other) == []
    assert not (secret.folder / "new").exists()


def test_a_key_itself_in_the_configuration_is_refused_and_not_shown(workplace):
    workplace.file.write_text(
        '[warehouse]\nurl = "duckdb:///torn.duckdb"\nencryption_key = "hunter2hunter2"\n'
    )

    refused = workplace.run("status")

    assert refused.code == 78
    assert "warehouse.encryption_key" in refused.err
    assert "env:TCD_WAREHOUSE_KEY" in refused.err
    assert "hunter2" not in refused.err


def test_the_manifest_of_an_encrypted_one_says_so_and_not_with_what(secret):
    secret.run("run", "--all")
    folder = Path(secret.run("backup", "--json").json["folder"])
    said = json.loads((folder / "manifest.json").read_text())

    assert said["warehouse"]["encrypted"]
    assert "file:" not in json.dumps(said)
    assert files.digest(folder / "warehouse/torn.duckdb") == files.digest(secret.warehouse)
