"""A DuckDB file that is encrypted: with which key it opens, what is said without, what it leaves.

DuckDB's own extension for it comes from the network. So these tests let the module that is built in
write, which the program never does: `load_cipher` is the one function that is replaced.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import traceback

import duckdb
import pytest

from tcdatalogger.clock import ManualClock
from tcdatalogger.core.config.secrets import Secret
from tcdatalogger.errors import ConfigError, WarehouseUnavailable
from tcdatalogger.services.duckdb import backup
from tcdatalogger.services.duckdb import connection as duckdb_file
from tcdatalogger.services.duckdb.warehouse import DuckDBWarehouse

KEY = "correct-horse-'battery'-staple"
WRONG = "wrong-horse-'battery'-staple"
UNSAFE = "set force_mbedtls_unsafe = 'true'"
HOLDER = f"""
import sys, duckdb
connection = duckdb.connect()
connection.execute("{UNSAFE}")
connection.execute("attach '" + sys.argv[1] + "' as torn (encryption_key ?)", [sys.argv[2]])
connection.execute("create table if not exists torn.held (i int)")
connection.execute("insert into torn.held values (42)")
print("held", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def make_store(make_duckdb):
    """Nothing of this file is about another kind of warehouse."""
    return make_duckdb


@pytest.fixture
def cipher(monkeypatch):
    def unsafe(connection, *, required):
        connection.execute(UNSAFE)

    monkeypatch.setattr(duckdb_file, "load_cipher", unsafe)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "secret" / "torn.duckdb"


def opened(file, key=KEY, **options):
    secret = None if key is None else Secret("warehouse.encryption_key", key)
    return DuckDBWarehouse(file, ManualClock(), key=secret, **options)


@pytest.fixture
def logged(file, load, cipher):
    with opened(file) as warehouse:
        warehouse.commit(load({"id": 1, "hits": [{"id": 7, "user": 158}]}, mode="replace"))
        warehouse.commit(load({"id": 2, "note": "a word in plain"}, mode="replace"))
    return file


def test_what_was_stored_is_read_again_with_the_key_and_stands_nowhere_in_plain(logged):
    with opened(logged, read_only=True) as warehouse:
        assert warehouse.query("select id, note from wars").to_pylist() == [
            {"id": 2, "note": "a word in plain"}
        ]
        assert warehouse.query("select current_database() as name").to_pylist() == [
            {"name": "torn"}
        ]
    for path in logged.parent.iterdir():
        assert b"a word in plain" not in path.read_bytes()
        assert KEY.encode() not in path.read_bytes()


def test_a_retry_finds_itself_in_an_encrypted_ledger(logged, load):
    made = load({"id": 3})
    with opened(logged) as warehouse:
        assert not warehouse.commit(made).repeated
        assert warehouse.known("wars") is not None
    with opened(logged) as warehouse:
        assert warehouse.commit(made).repeated


@pytest.mark.parametrize("name", ["torn.v2.duckdb", ".torn.duckdb", "temp.duckdb", "o'clock"])
def test_the_database_has_the_name_that_it_would_have_without_a_key(tmp_path, cipher, name):
    names = set()
    for number, key in enumerate((KEY, None)):
        with opened(tmp_path / str(number) / name, key) as warehouse:
            (row,) = warehouse.query("select current_database() as name").to_pylist()
            names.add(row["name"])
    assert len(names) == 1


@pytest.mark.parametrize("read_only", [True, False], ids=["read", "write"])
@pytest.mark.parametrize(
    ("key", "says"), [(WRONG, "another key"), (None, "no key for it is configured")]
)
def test_a_wrong_key_and_none_are_told_apart_and_change_nothing(logged, key, says, read_only):
    before = logged.read_bytes()

    with (
        opened(logged, key, read_only=read_only) as warehouse,
        pytest.raises(ConfigError, match=says) as refused,
    ):
        warehouse.query("select 1")

    assert refused.value.remedy
    assert logged.read_bytes() == before


def test_a_key_for_a_file_that_is_not_encrypted_is_refused(file, load, cipher):
    with opened(file, None) as warehouse:
        warehouse.commit(load({"id": 1}))

    with opened(file) as warehouse, pytest.raises(ConfigError, match="not encrypted") as refused:
        warehouse.query("select 1")

    assert "rebuild" in refused.value.remedy


def test_a_machine_that_cannot_encrypt_says_what_is_missing_and_makes_no_file(
    file, load, monkeypatch, tmp_path
):
    # No network is asked: the extension is looked for, and fetched, in vain.
    monkeypatch.setattr(duckdb, "connect", _without_extensions(tmp_path))

    with opened(file) as warehouse, pytest.raises(ConfigError, match="httpfs") as refused:
        warehouse.commit(load({"id": 1}))

    assert "INSTALL httpfs" in refused.value.remedy
    assert "unsafe" not in str(refused.value)
    assert not file.exists()


def _without_extensions(folder):
    connect = duckdb.connect

    def elsewhere(*args, **options):
        connection = connect(*args, **options)
        nowhere = str(folder / "extensions")
        connection.execute("set extension_directory = ?", [nowhere])
        connection.execute("set custom_extension_repository = ?", [nowhere])
        return connection

    return elsewhere


@pytest.mark.parametrize(
    ("spoil", "key"),
    [("", KEY), ("", WRONG), ("folder", KEY), ("text", KEY), ("held", KEY), ("cipher", KEY)],
)
def test_no_error_shows_the_key(logged, load, key, spoil, monkeypatch):
    held = None
    if spoil == "folder":
        logged.unlink()
        logged.mkdir()
    elif spoil == "text":
        logged.write_bytes(b"01234567DUCK" + b"no database" * 1000)
    elif spoil == "held":
        held = _hold(logged)
    elif spoil == "cipher":
        monkeypatch.setattr(duckdb_file, "load_cipher", lambda *_, **__: None)
        monkeypatch.setattr(duckdb, "connect", _without_extensions(logged.parent))
    try:
        with opened(logged, key) as warehouse:
            warehouse.commit(load({"id": 9}))
        told = ""
    except Exception as error:  # noqa: BLE001  # whatever it is: none may show it
        told = "".join(traceback.format_exception(error)) + repr(error.__dict__)
    finally:
        if held is not None:
            held.communicate()

    assert (told == "") == (key == KEY and spoil == "")
    assert key not in told
    assert key.replace("'", "''") not in told


class Listening:
    """A connection that keeps the statements it was given."""

    said: list[str] = []  # noqa: RUF012  # of all connections of a test

    def __init__(self, connection):
        self._connection = connection

    def execute(self, statement, *values):
        self.said.append(statement)
        return self._connection.execute(statement, *values)

    def __getattr__(self, name):
        return getattr(self._connection, name)


def test_the_key_stands_in_no_statement(logged, monkeypatch):
    connect = duckdb.connect
    monkeypatch.setattr(duckdb, "connect", lambda *a, **o: Listening(connect(*a, **o)))

    with opened(logged) as warehouse:
        warehouse.known("wars")

    assert any("encryption_key" in statement for statement in Listening.said)
    assert not any("horse" in statement for statement in Listening.said)


def _hold(file):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(file), KEY],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "held\n"
    return process


def test_who_holds_an_encrypted_file_is_named(logged):
    holder = _hold(logged)
    try:
        with opened(logged) as warehouse, pytest.raises(WarehouseUnavailable) as refused:
            warehouse.query("select 1")
    finally:
        holder.communicate()

    assert refused.value.facts == {"holder": str(holder.pid)}


def test_what_does_not_fit_into_memory_is_spilled_encrypted_beside_the_file(logged):
    with opened(logged) as warehouse:
        found = warehouse.query(
            "select name, value from duckdb_settings() "
            "where name in ('temp_directory', 'temp_file_encryption')"
        ).to_pylist()

    assert {row["name"]: row["value"] for row in found} == {
        "temp_directory": f"{logged}.tmp",
        "temp_file_encryption": "true",
    }


def test_a_copy_is_encrypted_with_the_same_key_and_holds_what_a_killed_process_left(
    logged, tmp_path
):
    holder = _hold(logged)
    os.kill(holder.pid, signal.SIGKILL)
    holder.communicate()
    assert logged.with_name("torn.duckdb.wal").exists()
    folder = tmp_path / "copy"
    folder.mkdir()

    with opened(logged) as warehouse:
        made = warehouse.back_up(folder)

    assert made.encrypted
    assert sorted(made.files) == ["torn.duckdb", "torn.duckdb.wal"]
    assert made.tables["held"].rows == 1
    with opened(folder / "torn.duckdb") as copied:
        assert copied.query("select i from held").to_pylist() == [{"i": 42}]
        assert copied.query("select id from wars").to_pylist() == [{"id": 2}]
    with opened(folder / "torn.duckdb", None) as copied, pytest.raises(ConfigError):
        copied.query("select 1")


def test_sums_do_not_depend_on_the_order_of_rows_and_see_every_change(tmp_path):
    statements = {
        "first": "insert into t values (1, 'a'), (2, null)",
        "turned": "insert into t values (2, null), (1, 'a')",
        "null": "insert into t values (1, null), (2, 'a')",
        "fewer": "insert into t values (1, 'a')",
        "twice": "insert into t values (1, 'a'), (2, null), (2, null)",
    }
    found = {}
    for name, statement in statements.items():
        path = tmp_path / f"{name}.duckdb"
        with duckdb.connect(str(path)) as connection:
            connection.execute("create table t (t int, b text); create view v as from t")
            connection.execute(statement)
        found[name] = backup.sums(path, ManualClock(), 0)

    assert list(found["first"]) == ["t"]
    assert found["turned"] == found["first"]
    assert len({str(each) for each in found.values()}) == 4


def test_a_file_that_is_written_anew_has_the_same_key_and_the_same_rows(logged, cipher):
    with opened(logged) as warehouse:
        before = warehouse.sums()
    with opened(logged) as warehouse:
        assert warehouse.compact()

    with opened(logged) as warehouse:
        assert warehouse.sums() == before
    with pytest.raises(ConfigError), opened(logged, key=None) as warehouse:
        warehouse.query("from wars")
    assert b"a word in plain" not in logged.read_bytes()
    assert sorted(path.name for path in logged.parent.iterdir()) == [logged.name]
