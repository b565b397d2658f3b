"""Keys are planted wherever one may stand, and looked for in every byte that the program wrote."""

from __future__ import annotations

import contextlib
import gzip
import http.server
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

PLANTED = "pLaNtEd0KeY00001"
"""A key that somebody writes where a reference to one should stand."""

ENDPOINTS = """
[[endpoints]]
name = "members"
path = "/faction/members"
frequency = "PT1H"

[[endpoints]]
name = "crimes"
path = "/faction/crimes"
api_key = "second"
frequency = "PT1H"
storage_mode = "history"

[[endpoints]]
name = "refused"
path = "/faction/balance"
api_key = "dead"
frequency = "PT1H"
retries = 0
"""

COMMANDS = (
    ("check",),
    ("keys", "check"),
    ("config", "show"),
    ("run", "--all"),
    ("run", "members", "--step", "transform"),
    ("run", "crimes", "--dry-run"),
    ("run", "members", "--debug", "--log-level", "debug"),
    ("runs", "show", "last"),
    ("runs",),
    ("status",),
    ("query", "from _tcd_loads"),
    ("quarantine", "list"),
    ("schema", "history", "members"),
    ("rebuild", "members"),
    ("rollback", "last"),
    ("backup", "--archive"),
    ("check", "--alerts"),
)


class _Listener(http.server.BaseHTTPRequestHandler):
    """Takes whatever is posted: alerts and traces."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Content-Encoding"] == "gzip":
            body = gzip.decompress(body)
        self.server.taken.append(repr(dict(self.headers)).encode() + body)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def listener():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Listener) as server:
        server.taken = []
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def everything_in(folder):
    """Every byte below a folder; of what is packed also the values."""
    for file in sorted(folder.rglob("*")):
        yield str(file.relative_to(folder)), str(file).encode()
        if not file.is_file():
            continue
        yield str(file.relative_to(folder)), file.read_bytes()
        if file.suffix == ".parquet":
            yield f"values of {file.name}", repr(pq.read_table(file).to_pylist()).encode()
        if file.suffix == ".duckdb":
            with duckdb.connect(str(file), read_only=True) as db:
                for (table,) in db.sql("select table_name from duckdb_tables()").fetchall():
                    rows = db.sql(f'from "{table}"').to_arrow_table()
                    yield f"rows of {table}", repr(rows.to_pylist()).encode()


def titles(pid):
    """What everybody on the machine sees of a process and of those that it started."""
    pids = [pid]
    for each in pids:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{each}/task").iterdir():
                pids += [int(child) for child in (task / "children").read_text().split()]
    for each in pids:
        for name in ("cmdline", "comm"):
            with contextlib.suppress(OSError):
                yield f"{name} of {each}", Path(f"/proc/{each}/{name}").read_bytes()


@pytest.mark.slow
def test_no_key_is_in_any_byte_that_the_program_wrote(workplace, city, listener, tmp_path_factory):
    token, port = "hook0Token" * 4, free_port()
    listening = f"http://127.0.0.1:{listener.server_port}"
    elsewhere = tmp_path_factory.mktemp("keys") / "second"
    elsewhere.write_text(city.keys["second"])
    environ = {
        "TORN_API_KEY": city.keys["limited"],
        "DEAD": city.keys["dead"],
        "HOOK": f"{listening}/hooks/{token}",
    }
    for name, value in environ.items():
        workplace.patch.setenv(name, value)
    extra = (
        f'second = "file:{elsewhere}"\ndead = "env:DEAD"\n'
        '[log]\nfile = "logs/tcd.log"\nlevel = "debug"\n'
        f'[metrics]\nlisten = "127.0.0.1:{port}"\n'
        '[alerts]\nwebhook = "env:HOOK"\nkind = "json"\nfailures = 1\n'
    )
    workplace.write(ENDPOINTS, extra=extra)
    wrote = []
    for words in COMMANDS:
        done = workplace.run(*words)
        assert "This should not have happened" not in done.err, done.err
        wrote.append((" ".join(words), (done.out + done.err).encode()))
    outside = {**os.environ, **environ, "OTEL_EXPORTER_OTLP_ENDPOINT": listening}
    wrote += list(_scheduled(workplace.folder, outside, port, listener.taken))
    wrote += [(f"posted {number}", body) for number, body in enumerate(listener.taken)]
    wrote += list(everything_in(workplace.folder))

    names = {name.partition(" ")[0] for name, _ in wrote}
    assert {"check", "metrics", "cmdline", "posted", "rows", "values", "logs/tcd.log"} <= names
    assert any(name.endswith("archive.jsonl") for name in names)
    assert any(b"tcdatalogger.run_id" in body for name, body in wrote if "posted" in name)
    assert any(b"refused" in body for name, body in wrote if "posted" in name)
    secrets = [*(city.keys[name] for name in ("limited", "second", "dead")), token]
    found = [(name, s[:6]) for name, body in wrote for s in secrets if s.encode() in body]
    assert found == []


def _scheduled(place, environ, port, posted):
    """What the scheduler shows while it runs, on its terminal, in its metrics and titles."""
    with subprocess.Popen(
        [sys.executable, "-m", "tcdatalogger", "schedule"], cwd=place, env=environ,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as daemon:  # fmt: skip
        for _ in range(400):
            yield from titles(daemon.pid)
            with contextlib.suppress(OSError):
                for path in ("metrics", "healthz", "readyz"):
                    address = f"http://127.0.0.1:{port}/{path}"
                    with urllib.request.urlopen(address, timeout=5) as answer:
                        yield path, answer.read()
            told = b"".join(posted)
            if b"tcdatalogger.run_id" in told and b"refused" in told:
                break
            time.sleep(0.05)
        daemon.send_signal(signal.SIGTERM)
        out, _ = daemon.communicate(timeout=120)
        yield "schedule", out


WRONG = [
    ("key", f"env:{PLANTED}"),
    ("key", f"env:NAME={PLANTED}"),
    ("key", f"file:{PLANTED}"),
    ("key", f"file:keys/{PLANTED}.txt"),
    ("key", f"keyring:{PLANTED}/me"),
    ("key", f"keyring:torn/{PLANTED}"),
    ("key", f"ENV:{PLANTED}"),
    ("key", PLANTED),
    ("name", PLANTED),
    ("api_key", PLANTED),
    ("encryption", f"env:{PLANTED}"),
    ("encryption", f"file:{PLANTED}"),
    ("webhook", f"env:{PLANTED}"),
    ("webhook", f"env:https://discord.com/api/webhooks/1/{PLANTED}"),
    ("webhook", f"file:https://discord.com/api/webhooks/1/{PLANTED}"),
    ("variable", f"env:{PLANTED}"),
    ("set", f"env:{PLANTED}"),
]


@pytest.mark.parametrize(("where", "text"), WRONG)
def test_a_key_where_a_reference_should_stand_is_78_and_printed_nowhere(workplace, where, text):
    extra = {
        "webhook": f'[alerts]\nwebhook = "{text}"\n',
    }.get(where, "")
    file = workplace.write(extra=f'[log]\nfile = "tcd.log"\nlevel = "debug"\n{extra}')
    before = {
        "key": ('default = "env:TORN_API_KEY"', f'default = "{text}"'),
        "name": ("[keys]", f'[keys]\n{text} = "env:TORN_API_KEY"'),
        "api_key": ('name = "faction_crimes"', f'name = "faction_crimes"\napi_key = "{text}"'),
        "encryption": ("[archive]", f'encryption_key = "{text}"\n[archive]'),
    }.get(where, ("[keys]", "[keys]"))
    file.write_text(file.read_text().replace(*before, 1))
    if where == "variable":
        workplace.patch.setenv("TCDATALOGGER_KEYS__DEFAULT", text)
    override = ("--set", f"keys.default={text}") if where == "set" else ()
    looks = 0 if where == "api_key" else 78  # for who looks that endpoint is left out
    wrote = ""
    for words, code in (
        (("config", "show", *override), 78),
        (("run", "--all", "--debug", *override), 78),
        (("schedule", "--once"), 78),
        (("status", "--json"), looks),
    )[: 2 if override else 4]:
        done = workplace.run(*words)
        assert done.code == code, (words, done)
        wrote += done.out + done.err

    assert PLANTED not in wrote
    file.unlink()
    assert workplace.holding(PLANTED) == []


def test_a_key_as_the_option_of_a_restore_is_78_and_printed_nowhere(workplace):
    workplace.run("run", "faction_members")
    workplace.run("backup")
    (backup,) = (workplace.folder / "backups").glob("2*")

    words = ("restore", str(backup), "--to", "back", "--encryption-key")
    found = [workplace.run(*words, f"{scheme}{PLANTED}") for scheme in ("env:", "file:", "")]

    assert [done.code for done in found] == [78, 78, 78]
    assert PLANTED not in "".join(done.out + done.err for done in found)


@pytest.mark.parametrize("scheme", ["env", "file"])
def test_a_variable_or_a_file_that_is_there_may_be_called_as_a_key_looks(workplace, scheme):
    name = "abcdefgh12345678"
    workplace.patch.setenv(name, workplace.key)
    (workplace.folder / name).write_text(workplace.key)
    file = workplace.write()
    file.write_text(file.read_text().replace("env:TORN_API_KEY", f"{scheme}:{name}"))

    assert workplace.run("run", "faction_members").code == 0
    assert f"{scheme}:" in workplace.run("config", "show").out
