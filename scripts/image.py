"""Build the image of docker/Dockerfile without a registry of images, and run it for real.

    make image
    python3 scripts/image.py --keep    # leave the image in .tools/image/storage

It needs root, Linux, buildah, podman, crun and mmdebstrap: the base is made of Debian's packages.
The image is built, its size and content are looked at, and it runs: the demo, `init`, a scheduler
that logs a sandbox, SIGTERM, SIGKILL and a new start, its health, and what it may not write.

Exit codes: 0 the image is right; 1 it is wrong; 75 this machine cannot build or run one.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
PLACE: Final = ROOT / ".tools" / "image"
TOOLS: Final = ("buildah", "podman", "crun", "mmdebstrap", "unshare")
CANNOT: Final = 75
UNHEALTHY: Final = 69
ENDPOINTS: Final = 5
TERMINATED: Final = 143
KILLED: Final = 137
MOST: Final = 300e6
"""Bytes that the image may have."""
BASE: Final = "localhost/tcdatalogger-base"
IMAGE: Final = "localhost/tcdatalogger"
UID: Final = 10001
KEY: Final = "sandboxFull00001"
BOOTSTRAP: Final = (
    *(
        "--variant=minbase",
        "--include=python3,python3-venv,ca-certificates,tzdata,netbase,binutils",
    ),
    *(f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in ("man", "doc", "locale")),
    "trixie",
)
"""Debian 13 has Python 3.13, as the official image that docker/Dockerfile names."""
LIMITS: Final = (
    *("--network", "host", "--read-only", "--cap-drop", "all"),
    *("--security-opt", "no-new-privileges", "--no-healthcheck", "--cgroups=disabled"),
    *("--ulimit", "nofile=1024:20000", "--ulimit", "nproc=4096:4096"),
)
CGROUPS: Final = """
mount --make-rprivate /
umount -R /sys/fs/cgroup 2>/dev/null || umount -l /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
exec "$@"
"""
"""crun wants cgroups of version 2: a process of its own gets a view of them."""


class Cannot(Exception):
    """This machine cannot build or run an image; the text says why."""


class Wrong(Exception):
    """The image is wrong; the text says how."""


def say(text: str) -> None:
    print(text, flush=True)


def call(words: Sequence[str], *, seconds: float = 600) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, check=False, capture_output=True, text=True, timeout=seconds,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


def last(done: subprocess.CompletedProcess[str], lines: int = 15) -> str:
    """The end of what a program wrote."""
    return "\n".join((done.stdout + done.stderr).strip().splitlines()[-lines:])


def take(words: Sequence[str], problem: type[Exception], *, seconds: float = 600) -> str:
    """The standard output of a program that has to succeed, else `problem` with what it said."""
    done = call(words, seconds=seconds)
    if done.returncode:
        raise problem(f"`{' '.join(words[:4])} …` ended with {done.returncode}:\n{last(done)}")
    return done.stdout


# --- the base ------------------------------------------------------------------------------


def is_base(file: Path) -> bool:
    """Whether it is a whole archive with a Python in it, whatever an earlier try has left there."""
    if file.is_symlink() or not file.is_file():
        return False
    try:
        with tarfile.open(file) as archive:
            return any(name.endswith("/usr/bin/python3.13") for name in archive.getnames())
    except (tarfile.TarError, OSError, EOFError):
        return False


def remove(place: Path) -> None:
    """Remove whatever is there, also a folder where a file should be."""
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def base(place: Path, make: Callable[[Path], None]) -> Path:
    """The archive of the base; it is made where there is none, or none that can be used.

    It is made in a folder of its own, looked at, and then moved into place, so what stands under
    its name is always a whole archive.

    Args:
        place: the folder in which it is kept.
        make: writes the archive into a file.

    Raises:
        Cannot: what was made is no base.
    """
    place.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(repr(BOOTSTRAP).encode()).hexdigest()[:12]
    kept = place / f"base-{name}.tar"
    for other in place.iterdir():
        if other != kept or not is_base(other):
            remove(other)
    if not kept.exists():
        with tempfile.TemporaryDirectory(dir=place, prefix="making-") as folder:
            made = Path(folder) / "base.tar"
            make(made)
            if not is_base(made):
                raise Cannot("mmdebstrap made no archive with a Python 3.13 in it.")
            made.replace(kept)
    return kept


def bootstrap(file: Path) -> None:
    """Make the base of Debian's packages.

    The format is said: by a name that it does not know mmdebstrap makes a folder.
    """
    *options, suite = BOOTSTRAP
    take(["mmdebstrap", "--quiet", "--format=tar", *options, suite, str(file)], Cannot)


# --- building and running ------------------------------------------------------------------


class Machine:
    """Calls buildah and podman, with images in a folder of their own.

    Args:
        storage: the folder of the images.
    """

    def __init__(self, storage: Path) -> None:
        config = storage / "storage.conf"
        config.write_text(
            f'[storage]\ndriver = "vfs"\nrunroot = "{storage}/run"\n'
            f'graphroot = "{storage}/images"\n'
        )
        os.environ["CONTAINERS_STORAGE_CONF"] = str(config)
        version_2 = Path("/sys/fs/cgroup/cgroup.controllers").exists()
        self._before = [] if version_2 else ["unshare", "-m", "sh", "-ec", CGROUPS, "sh"]
        self._begun: list[str] = []

    def podman(self, *words: str, seconds: float = 300) -> subprocess.CompletedProcess[str]:
        return call([*self._before, "podman", *words], seconds=seconds)

    def run(self, *words: str, options: Sequence[str] = (), image: str = IMAGE) -> Any:
        """Run a container to its end."""
        return self.podman("run", "--rm", *LIMITS, *options, image, *words, seconds=300)

    def try_container(self) -> None:
        """Run a container of the base.

        Raises:
            Cannot: this machine runs none.
        """
        tried = self.run("python3.13", "-c", "print('well')", image=BASE)
        if tried.stdout.strip() != "well":
            raise Cannot(f"It runs no container:\n{last(tried)}")

    def begin(self, name: str, *words: str, options: Sequence[str] = ()) -> None:
        """Run a container in the background."""
        done = self.podman("run", "-d", "--name", name, *LIMITS, *options, IMAGE, *words)
        self._begun.append(name)
        if done.returncode:
            raise Wrong(f"`{' '.join(words)}` does not begin:\n{last(done)}")

    def exec(self, name: str, *words: str) -> subprocess.CompletedProcess[str]:
        return self.podman("exec", name, *words)

    def facts(self, name: str) -> dict[str, Any]:
        [found] = json.loads(self.podman("inspect", name).stdout)
        return dict(found)

    def logs(self, name: str) -> str:
        return last(self.podman("logs", name))

    def close(self) -> None:
        for name in self._begun:
            self.podman("rm", "-f", "-t", "0", name)


def build(folder: Path) -> None:
    """Build the image. pip trusts the certificates of this machine, and none of it stays inside."""
    words = ["buildah", "bud", "--isolation", "chroot", "--network", "host", "--pull-never"]
    words += ["--format", "docker", "--build-arg", f"BASE={BASE}", "--layers=false"]
    words += [
        "--build-arg",
        f"REVISION={call(['git', '-C', str(ROOT), 'rev-parse', 'HEAD']).stdout.strip()}",
    ]
    lines = ["[global]", "retries = 10", "disable-pip-version-check = true"]
    bundle = Path(os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"))
    if bundle.is_file():
        words += ["-v", f"{bundle}:/run/certificates.crt:ro"]
        lines.append("cert = /run/certificates.crt")
    index = call([sys.executable, "-m", "pip", "config", "get", "global.index-url"]).stdout.strip()
    if index := os.environ.get("PIP_INDEX_URL", index):
        lines.append(f"index-url = {index}")
    (folder / "pip.conf").write_text("\n".join([*lines, ""]))
    words += ["-v", f"{folder}/pip.conf:/etc/pip.conf:ro"]
    take(
        [*words, "-f", str(ROOT / "docker/Dockerfile"), "-t", IMAGE, str(ROOT)], Wrong, seconds=1200
    )


def expect(truth: object, words: str) -> None:
    if not truth:
        raise Wrong(words)


def soon(what: str, test: Callable[[], object], seconds: float = 240) -> float:
    """Wait until a test holds; returns the seconds that it took."""
    begun = time.monotonic()
    while not test():
        if time.monotonic() - begun > seconds:
            raise Wrong(f"{what}: not within {seconds:.0f} s.")
        time.sleep(0.1)
    return time.monotonic() - begun


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def answers(port: int, path: str) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as client:
            client.sendall(f"GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
            return b" 200 " in client.recv(100).split(b"\r\n")[0]
    except OSError:
        return False


@contextlib.contextmanager
def step(name: str) -> Iterator[list[str]]:
    """Tell a step with its time, and what it adds to the list."""
    begun, more = time.monotonic(), list[str]()
    yield more
    say(f"{time.monotonic() - begun:7.1f} s  {name}{''.join(f'; {one}' for one in more)}")


# --- what has to hold ----------------------------------------------------------------------

WITHIN: Final = """
import errno, importlib.util, json, os, pathlib
def writes(folder):
    try:
        (pathlib.Path(folder) / "probe").write_text("x")
        os.unlink(f"{folder}/probe")
    except OSError as error:
        return errno.errorcode[error.errno]
    return "yes"
status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
print(json.dumps({
    "uid": os.getuid(), "gid": os.getgid(),
    "capabilities": int(status["CapEff"], 16), "no_new": int(status["NoNewPrivs"]),
    "writes": {folder: writes(folder) for folder in ("/", "/opt/tcdatalogger", "/data", "/tmp")},
    "there": [name for name in ("pip", "hatchling", "setuptools")
              if importlib.util.find_spec(name)],
    "programs": sorted(str(p) for f in ("/bin", "/usr/bin", "/sbin", "/usr/sbin", "/usr/local/bin")
                       for p in pathlib.Path(f).glob("*") if not p.name.startswith("python")),
    "bundle": os.path.exists("/run/certificates.crt"),
}))
import psycopg, obstore, google.cloud.bigquery
import tcdatalogger.services.google.client, tcdatalogger.services.storage.bucket
import zoneinfo; zoneinfo.ZoneInfo("Europe/Vienna")
import ssl; assert ssl.create_default_context().cert_store_stats()["x509_ca"] > 50
"""

ORPHANS: Final = """
import pathlib, subprocess, sys, time
begin = "import subprocess, sys; [subprocess.Popen([sys.executable, '-c', '']) for _ in range(3)]"
subprocess.run([sys.executable, "-c", begin], check=True)
def zombies():
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:
            continue
        if text.rpartition(")")[2].split()[0] == "Z":
            found.append(text)
    return found
for _ in range(100):
    if not (found := zombies()):
        raise SystemExit(0)
    time.sleep(0.1)
raise SystemExit(f"zombies: {found}")
"""

TWICE: Final = """
select (select count(*) - count(distinct load_id) from _tcd_loads) as twice,
    (select count(*) from (select distinct _run_id as run_id from faction_members)
     where run_id not in (select run_id from _tcd_loads)) as of_no_load,
    (select count(*) from _tcd_loads) as loads
"""


def looked_at(machine: Machine) -> None:
    """Size, user, content and rights."""
    with step("size and content") as told:
        facts = machine.facts(IMAGE)
        told.append(f"{facts['Size'] / 1e6:.0f} MB")
        expect(facts["Size"] <= MOST, f"The image has {facts['Size'] / 1e6:.0f} MB.")
        config = facts["Config"]
        expect(config["User"] == f"{UID}:{UID}", f"It runs as {config['User']}.")
        check = facts.get("Healthcheck") or config.get("Healthcheck") or {}
        expect(check.get("Test") == ["CMD", "tcdatalogger", "health"], f"HEALTHCHECK: {check}")
        labels = {name.rpartition(".")[2] for name in config["Labels"]}
        expect({"title", "version", "revision", "licenses"} <= labels, f"Labels: {labels}")
        done = machine.run("-c", WITHIN, options=["--entrypoint", "python"])
        expect(done.returncode == 0, f"Inside of it:\n{last(done)}")
        inside = json.loads(done.stdout)
        programs = inside.pop("programs")
        expect(not programs, f"Programs that are not needed: {programs}")
        wanted = {
            "uid": UID, "gid": UID, "capabilities": 0, "no_new": 1, "there": [], "bundle": False,
            "writes": {"/": "EROFS", "/opt/tcdatalogger": "EROFS", "/data": "yes", "/tmp": "yes"},  # noqa: S108  # of the image
        }  # fmt: skip
        expect(inside == wanted, f"Inside of it: {inside}")
        shell = machine.run("-c", "true", options=["--entrypoint", "/bin/sh"])
        expect(shell.returncode, "There is a shell in it.")


def demo(machine: Machine) -> None:
    with step("demo") as told:
        done = machine.run("demo", "--json", "--polls", "2")
        expect(done.returncode == 0, f"The demo ended with {done.returncode}:\n{last(done)}")
        facts = json.loads(done.stdout)
        expect(not facts["failed"] and all(facts["tables"].values()), f"The demo: {facts}")
        told.append(f"{sum(facts['tables'].values()):,} rows, {facts['seconds']} s of it at work")


class Service:
    """A sandbox and a scheduler that logs it, both in the image.

    Args:
        machine: on which they run.
        folder: where the data of the scheduler are.
    """

    def __init__(self, machine: Machine, folder: Path) -> None:
        self.machine = machine
        self.data = folder / "data"
        self.data.mkdir()
        os.chown(self.data, UID, UID)
        self.written: set[str] = set()  # by `init`, which writes no secret
        self.city, self.port = free_port(), free_port()
        self.name = f"tcd-{os.getpid()}"
        self.options = ["-v", f"{self.data}:/data", "-e", f"TORN_API_KEY={KEY}"]
        self.options += ["-e", f"TCDATALOGGER_TORN__URL=http://127.0.0.1:{self.city}/v2"]
        self.options += ["-e", f"TCDATALOGGER_METRICS__LISTEN=127.0.0.1:{self.port}"]

    def asked(self, *words: str, code: int = 0) -> str:
        """What a command prints in a container of its own, beside the scheduler."""
        done = self.machine.run(*words, options=self.options)
        says = f"`{' '.join(words)}` ended with {done.returncode}:\n{last(done)}"
        expect(done.returncode == code, says)
        return done.stdout

    def begin(self) -> None:
        self.machine.begin(self.name, "schedule", options=self.options)

    def show(self) -> None:
        """The pages are served beside the scheduler, by a container of their own."""
        port = free_port()
        words = ("ui", "--listen", f"127.0.0.1:{port}")
        self.machine.begin(f"{self.name}-pages", *words, options=self.options)
        soon("the first page is served", lambda: answers(port, "/"))

    def again(self) -> None:
        self.machine.podman("start", self.name)
        soon("the scheduler is healthy again", self.healthy)

    def healthy(self) -> bool:
        return self.machine.exec(self.name, "tcdatalogger", "health").returncode == 0

    def done(self) -> int:
        """How many runs have stored what they fetched."""
        told = self.machine.exec(self.name, *"tcdatalogger runs list --limit 500 --json".split())
        runs = json.loads(told.stdout) if told.returncode == 0 else []
        return sum(run["status"] in {"done", "unchanged"} for run in runs)

    def works(self) -> None:
        before = self.done()
        soon("another run is done", lambda: self.done() > before)

    def state(self) -> dict[str, Any]:
        return dict(self.machine.facts(self.name)["State"])

    def open_to_others(self) -> set[str]:
        """The files of the data that other users of the machine can read."""
        files = (file for file in self.data.rglob("*") if file.is_file())
        return {file.name for file in files if file.stat().st_mode & 0o077}

    def moment(self, name: str) -> float:
        """When the container began or ended, in seconds since 1970."""
        return datetime.fromisoformat(self.state()[name]).timestamp()

    def stop(self) -> None:
        self.machine.podman("stop", "-t", "60", self.name)
        code = self.state()["ExitCode"]
        expect(code == TERMINATED, f"SIGTERM: {code}.\n{self.machine.logs(self.name)}")

    def kill(self) -> None:
        self.machine.podman("kill", "-s", "KILL", self.name)
        soon("it is dead", lambda: self.state()["Status"] == "exited")
        expect(self.state()["ExitCode"] == KILLED, f"SIGKILL: {self.state()['ExitCode']}.")


def first_steps(service: Service) -> None:
    """What a user types first works with the configuration that `init` writes."""
    with step("init, check, run, query"):
        service.machine.begin(f"{service.name}-city", "sandbox", "--port", str(service.city))
        soon("the sandbox answers", lambda: answers(service.city, "/_sandbox/stats"))
        service.asked("init")
        service.written = service.open_to_others()
        file = service.data / "tcdatalogger.toml"
        expect(file.stat().st_uid == UID, "init wrote no configuration of its own.")
        file.write_text(file.read_text().replace('"PT1H"', '"PT20S"'))
        service.asked("health", code=UNHEALTHY)
        service.asked("check")
        service.asked("run", "faction_members")
        service.asked("query", "from faction_members", "--csv")
        service.asked("query", "from faction_members", "--parquet", "/data/members.parquet")
        parquet = service.data / "members.parquet"
        expect(parquet.read_bytes().startswith(b"PAR1"), "No Parquet was written.")
        parquet.unlink()


def scheduled(service: Service) -> None:
    """The scheduler logs all endpoints, is healthy, and leaves no zombies."""
    with step("schedule, healthy, five endpoints logged, pages, no zombies") as told:
        service.begin()
        soon("the scheduler answers", lambda: answers(service.port, "/healthz"))
        answered = time.time()
        told.append(f"it answers {answered - service.moment('StartedAt'):.1f} s after its start")
        soon("it is healthy", service.healthy)
        soon("five endpoints are logged", lambda: service.done() > ENDPOINTS)
        service.show()
        orphans = service.machine.exec(service.name, "python", "-c", ORPHANS)
        expect(orphans.returncode == 0, f"Orphans:\n{last(orphans)}")


def ended(service: Service) -> None:
    """SIGTERM ends it, SIGKILL harms nothing, and others read nothing of what it keeps."""
    with step("SIGTERM, and a new start") as told:
        said = time.time()
        service.stop()
        told.append(f"it ended within {service.moment('FinishedAt') - said:.1f} s")
        service.again()
    with step("SIGKILL amid runs, and a new start") as told:
        service.works()
        service.kill()
        service.asked("health", code=UNHEALTHY)
        service.again()
        service.works()
        service.stop()
        [counts] = json.loads(service.asked("query", TWICE, "--json"))
        expect(counts["twice"] == counts["of_no_load"] == 0, f"Rows of no load, or twice: {counts}")
        told.append(f"{counts['loads']} loads, none twice")
        more = service.open_to_others() - service.written
        expect(not more, f"Others can read {more}.")


def able() -> None:
    """See that this machine has all that is needed.

    Raises:
        Cannot: it has not; the text says how to get it.
    """
    lacking = [name for name in TOOLS if shutil.which(name) is None]
    if lacking:
        raise Cannot(
            f"{', '.join(lacking)} not here. On Debian: apt-get install --no-install-recommends "
            "buildah podman crun mmdebstrap"
        )
    if os.geteuid() != 0:
        raise Cannot("Only root may do this.")


def main() -> int:
    parser = argparse.ArgumentParser(description="Build the image and run it.")
    parser.add_argument("--keep", action="store_true", help="leave the image where it was built")
    options = parser.parse_args()
    try:
        able()
        with step("base") as told:
            archive = base(PLACE, bootstrap)
            told.append(f"{archive.stat().st_size / 1e6:.0f} MB")
        with contextlib.ExitStack() as stack:
            folder = tempfile.mkdtemp(prefix="tcd-")  # podman wants a short path
            if options.keep:
                say(f"The image stays in {folder}: CONTAINERS_STORAGE_CONF={folder}/storage.conf")
            else:
                stack.callback(functools.partial(shutil.rmtree, folder, ignore_errors=True))
            machine = Machine(Path(folder))
            stack.callback(machine.close)
            with step("a container of the base runs"):
                path = "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
                take(["podman", "import", "--quiet", "--change", path, str(archive), BASE], Cannot)
                machine.try_container()
            with step("build"):
                build(Path(folder))
            looked_at(machine)
            demo(machine)
            service = Service(machine, Path(folder))
            first_steps(service)
            scheduled(service)
            ended(service)
    except Cannot as reason:
        say(f"\n!! The image was neither built nor run: this machine cannot do it.\n!! {reason}\n")
        return CANNOT
    except (Wrong, subprocess.TimeoutExpired) as reason:
        say(f"\nThe image is wrong. {reason}")
        return 1
    say("The image is right.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
