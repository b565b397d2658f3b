"""A package of processors that go wrong in every way, and daemons as real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tcdatalogger.core.state.store import State

HOSTILE = '''
import os, pathlib, signal, subprocess, sys, time
from tcdatalogger.errors import DataRefused, TornUnavailable
from tcdatalogger.services.torncity.processing.base import EndpointProcessor

HERE = pathlib.Path(os.environ["HOSTILE"])


def note(name, text):
    with open(HERE / name, "a") as file:
        file.write(f"{text}\\n")


def grandchild():
    child = subprocess.Popen(["sleep", "300"])
    note("pids", child.pid)


class Hang(EndpointProcessor):
    def fetch_data(self):
        note("pids", os.getpid())
        time.sleep(300)


class Stubborn(EndpointProcessor):
    def fetch_data(self):
        for name in ("SIGTERM", "SIGALRM", "SIGINT", "SIGHUP"):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
        note("pids", os.getpid())
        grandchild()
        while True:
            time.sleep(1)


class Parent(EndpointProcessor):
    def fetch_data(self):
        print("this is no JSON", flush=True)
        grandchild()
        return super().fetch_data()


class Escape(EndpointProcessor):
    """Leaves what has a session of its own, and no parent that lives."""

    def fetch_data(self):
        told, tell = os.pipe()
        if not os.fork():
            os.setsid()
            if not os.fork():
                note("pids", os.getpid())
                os.write(tell, b"!")
                time.sleep(300)
            os._exit(0)
        os.wait()
        os.read(told, 1)
        while self.task.name.endswith("stay"):
            time.sleep(0.01)
        return super().fetch_data()


class Leak(EndpointProcessor):
    def fetch_data(self):
        held = []
        while True:
            held.append(bytearray(4_000_000))


class Abort(EndpointProcessor):
    def fetch_data(self):
        os.abort()


class Leave(EndpointProcessor):
    def fetch_data(self):
        sys.exit(0)


class Vanish(EndpointProcessor):
    def fetch_data(self):
        os._exit(7)


class Flood(EndpointProcessor):
    """Writes far too much into every pipe and socket that it finds: one is the daemon's."""

    def fetch_data(self):
        for link in pathlib.Path("/proc/self/fd").iterdir():
            try:
                end = os.readlink(link).partition(":")[0]
                for _ in range(100 * (int(link.name) > 2 and end in {"pipe", "socket"})):
                    os.write(int(link.name), b"x" * 65536)
            except OSError:
                pass
        os._exit(0)


class Brief(EndpointProcessor):
    """Notes when it begins and ends, and stores nothing."""

    def fetch_data(self):
        note("log", f"begin {self.task.name} {time.time()} {os.getppid()}")
        time.sleep(0.05)
        note("log", f"end {self.task.name} {time.time()} {os.getppid()}")
        raise DataRefused("Nothing is to be stored.")


class Down(EndpointProcessor):
    def fetch_data(self):
        raise TornUnavailable("Torn is down.")


class Clean(EndpointProcessor):
    """Ends at SIGTERM, after it has noted so."""

    def fetch_data(self):
        note("pids", os.getpid())
        try:
            time.sleep(300)
        finally:
            note("tidied", self.task.name)
'''

NAMES = "hang stubborn parent escape leak abort leave vanish flood brief down clean".split()


@dataclass
class Running:
    """A daemon that runs."""

    process: subprocess.Popen
    err: Path

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, seconds=60):
        return self.process.wait(seconds)

    @property
    def log(self):
        lines = self.err.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]


@dataclass
class Yard:
    """A workplace whose endpoints may ask for hostile processors."""

    place: object
    folder: Path
    url: str = ""
    daemons: list = field(default_factory=list)

    def write(self, *endpoints, extra='[scheduler]\ngrace = "PT1S"\n'):
        """Each endpoint is `name`, or `name` and settings in TOML; it has its name's processor."""
        found = []
        for endpoint in endpoints:
            name, settings = endpoint if isinstance(endpoint, tuple) else (endpoint, "")
            kind = name.partition("_")[0]
            processor = f'processor = "{kind}"\n' if kind in (*NAMES, "broken") else ""
            often = "" if "frequency" in settings else 'frequency = "PT1H"\n'
            found.append(
                f'[[endpoints]]\nname = "{name}"\npath = "/faction/members"\n'
                f"{processor}{often}{settings}\n"
            )
        where = f'[state]\nurl = "{self.url}"\n' if self.url else ""
        return self.place.write("\n".join(found), extra=where + extra)

    @property
    def environ(self):
        return {
            **self.place.outside(),
            "PYTHONPATH": os.pathsep.join([str(self.folder), os.environ.get("PYTHONPATH", "")]),
            "HOSTILE": str(self.folder),
            "TCDATALOGGER_LOG__FORMAT": "json",
        }

    def schedule(self, *words):
        """Run the scheduler to its end; its exit code, and the runs that ended by endpoint."""
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "tcdatalogger", "schedule", *words, "--json"],
            cwd=self.place.folder, env=self.environ, capture_output=True, text=True, check=False,
            timeout=300,
        )  # fmt: skip
        runs = json.loads(done.stdout or "[]")
        assert "Traceback" not in done.stderr.replace("\\n", "\n") or runs, done.stderr
        return done.returncode, {run["endpoint"]: run for run in runs}, done.stderr

    @contextmanager
    def daemon(self, *words):
        """A scheduler that runs until the end of the block."""
        err = self.folder / f"daemon{len(self.daemons)}.log"
        with err.open("w") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "tcdatalogger", "schedule", *words],
                cwd=self.place.folder, env=self.environ, stdout=subprocess.DEVNULL, stderr=file,
            )  # fmt: skip
        self.daemons.append(process)
        try:
            yield Running(process, err)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()

    @contextmanager
    def state(self):
        with State(self.url or self.place.folder / "torn.state.sqlite") as state:
            yield state

    def runs(self, endpoint=None):
        with self.state() as state:
            return state.runs(endpoint=endpoint, most=1_000)

    def noted(self, name):
        file = self.folder / name
        return file.read_text(encoding="utf-8").split("\n")[:-1] if file.exists() else []

    @staticmethod
    def alive(pid):
        """Whether a process runs; one that waits for its parent to notice its end does not."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
        except OSError:
            return False
        return stat.rpartition(")")[2].split()[0] not in "ZX"

    @staticmethod
    def until(true, seconds=120.0):
        """Wait until something is so."""
        end = time.monotonic() + seconds
        while not (found := true()):
            assert time.monotonic() < end, "it did not come to that"
            time.sleep(0.02)
        return found

    @property
    def pids(self):
        return [int(pid) for pid in self.noted("pids")]

    @property
    def living(self):
        """The processes of runs, and what they started, that are there."""
        return [pid for pid in self.pids if self.alive(pid)]


@pytest.fixture
def yard(workplace, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "hostile.py").write_text(HOSTILE, encoding="utf-8")
    (folder / "hostile_broken.py").write_text("raise RuntimeError('no')\n", encoding="utf-8")
    info = folder / "hostile-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hostile\nVersion: 1.0\n")
    points = "".join(f"{name} = hostile:{name.title()}\n" for name in NAMES)
    (info / "entry_points.txt").write_text(
        f"[tcdatalogger.processors]\n{points}broken = hostile_broken:Broken\n"
    )
    yard = Yard(workplace, folder)
    yield yard
    for pid in yard.pids:
        if yard.alive(pid):
            os.kill(pid, signal.SIGKILL)
