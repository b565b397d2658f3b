"""A Postgres server of the tests' own, for those that want one; without one they are left out."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

LEFT_OUT = "no Postgres server (initdb and postgres) was found on this machine"


def programs() -> Path | None:
    """The folder of initdb and postgres, None where there is none."""
    places = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    if config := shutil.which("pg_config"):
        said = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False)
        places.insert(0, Path(said.stdout.strip() or "/nowhere"))
    newest = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
    return next(
        (p for p in (*places, *newest) if (p / "initdb").exists() and (p / "postgres").exists()),
        None,
    )


def _version(folder: Path) -> float:
    try:
        return float(folder.parent.name)
    except ValueError:
        return 0.0


class Server:
    """A server in a folder of its own, on a socket there; it can be stopped and started again."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder, self._programs = folder, programs
        self._user = _ordinary_user()
        if self._user is not None:
            os.chown(folder, self._user.pw_uid, self._user.pw_gid)
        folder.chmod(0o755)  # those who connect come as another user
        self._run("initdb", "-D", str(folder / "data"), "-U", "tests", "-A", "trust", "-N",
                  "-E", "UTF8", "--locale=C", "--no-instructions")  # fmt: skip
        self._process = None
        self.start()

    def _as_user(self):
        return {} if self._user is None else {
            "user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []
        }  # fmt: skip

    def _run(self, name, *words):
        done = subprocess.run(
            [self._programs / name, *words], capture_output=True, text=True, check=False,
            cwd=self.folder, **self._as_user(),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        settings = {
            "listen_addresses": "", "unix_socket_directories": str(self.folder), "fsync": "off",
            "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "16MB",
            "max_connections": "100", "logging_collector": "off",
        }  # fmt: skip
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self.folder / "data", *words],
                cwd=self.folder, stdout=log, stderr=log, **self._as_user(),
            )  # fmt: skip
        deadline = time.monotonic() + 120
        while not self._answers():
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            time.sleep(0.02)

    def _answers(self) -> bool:
        import psycopg  # noqa: PLC0415 - only where there is a server

        try:
            psycopg.connect(self.url()).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)  # at once: connections are cut off
            self._process.wait(30)

    def url(self, schema: str = "", user: str = "tests") -> str:
        options = f"&options={quote(f'-csearch_path={schema}')}" if schema else ""
        return f"postgresql://{user}@/postgres?host={quote(str(self.folder), safe='')}{options}"


def _ordinary_user():
    """Whom to run as: a server refuses to be root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return None


@contextmanager
def server() -> Iterator[Server]:
    """A server that is stopped and gone at the end.

    Raises:
        LookupError: there are no programs for one.
    """
    found = programs()
    if found is None:
        raise LookupError(LEFT_OUT)
    folder = Path(tempfile.mkdtemp(prefix="tcd-pg-"))  # a socket's path must be short
    started = None
    try:
        started = Server(folder, found)
        yield started
    finally:
        if started is not None:
            started.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def _postgres():
    with server() as started:
        yield started


@pytest.fixture
def postgres(request):
    """The server; tests without one are left out, which the end of the session says loudly."""
    if programs() is None:
        pytest.skip(LEFT_OUT)
    return request.getfixturevalue("_postgres")


@pytest.fixture
def postgres_url(postgres):
    """The address of an empty schema."""
    schema = f"t{uuid.uuid4().hex[:12]}"
    yield postgres.url(schema)
    import psycopg  # noqa: PLC0415 - only where there is a server

    with psycopg.connect(postgres.url()) as db:
        db.execute(f"drop schema if exists {schema} cascade")


@pytest.fixture(params=["sqlite", "postgres"])
def state_url(request, tmp_path):
    """The address of an empty state of each kind."""
    if request.param == "postgres":
        return request.getfixturevalue("postgres_url")
    return f"sqlite:///{tmp_path / 'state.sqlite'}"


def pytest_terminal_summary(terminalreporter):
    skipped = terminalreporter.stats.get("skipped", [])
    count = sum(LEFT_OUT in str(report.longrepr) for report in skipped)
    if count:
        terminalreporter.section("POSTGRES WAS NOT TESTED", sep="!", red=True, bold=True)
        terminalreporter.line(f"{count} tests were left out: {LEFT_OUT}.", red=True)
        terminalreporter.line("Install postgresql (Debian: apt-get install postgresql).")
