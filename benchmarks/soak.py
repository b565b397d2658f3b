"""The scheduler for hours on a fast clock, while everything around it goes wrong.

python benchmarks/soak.py [--endpoints 200] [--daemons 4] [--minutes 5] [--speed 15] [--seed 1]
                          [--state postgres|sqlite]

Real daemons, each run in its own process, against a city whose API is out of order now and then.
Processes are killed, stopped and woken past their leases, Postgres is restarted, the configuration
changed. In the end the books of the city are compared with the tables.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "soaking"), str(HERE.parent / "tests")]

from verdict import Verdict, judge  # noqa: E402  # beside this file

from tcdatalogger.sandbox.api.city import Rules  # noqa: E402
from tcdatalogger.sandbox.api.limits import Limits  # noqa: E402
from tcdatalogger.sandbox.api.server import Sandbox  # noqa: E402

HISTORY = 5 * 86_400
"""Seconds of history: less than `SINCE`, which the first run of a list reads back."""
SINCE = "P9D"
CALLS = 30
"""Calls a minute that the city grants and the program knows of: few, so that they are felt."""
LEASE = 30.0
MORE = 20.0
"""Real seconds that are added where an endpoint has not had its first run."""

LISTS = (
    ("attacks", "/faction/attacks", ""),
    ("crimes", "/faction/crimes", ""),
    ("armory", "/faction/news", 'params = { cat = "armoryAction" }'),
    ("main", "/faction/news", 'params = { cat = "main" }'),
    ("deposits", "/faction/news", 'params = { cat = "depositFunds" }'),
    ("wars", "/faction/news", 'params = { cat = "attack" }'),
)
"""Incremental ones: whatever happens, their tables are to hold what the city's books hold."""

SNAPSHOTS = (
    ("members", "/faction/members", ""),
    ("basic", "/faction/basic", ""),
    ("balance", "/faction/balance", ""),
    ("latest", "/faction/members", 'storage_mode = "replace"'),
)
HOSTILE = (
    ("hang", 'timeout = "PT1M"'),
    ("leak", 'memory = "100MB"'),
    ("abort", ""),
    ("stubborn", 'timeout = "PT1M"'),
)
LIST_PERIODS = ("PT20M", "PT30M", "PT45M")
PERIODS = ("PT1H", "PT2H", "PT3H")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done.

    Attributes:
        minutes: of real time, with everything going wrong.
        speed: seconds of the fast clock in a real one.
        rate: real seconds between two things that go wrong, in the mean.
    """

    endpoints: int = 200
    daemons: int = 4
    minutes: float = 5.0
    speed: float = 15.0
    seed: int = 1
    state: str = "postgres"
    workers: int = 2
    rate: float = 2.5
    periods: tuple[str, ...] = PERIODS
    list_periods: tuple[str, ...] = LIST_PERIODS
    jitter: str = "PT20M"


@dataclass
class Soak:
    """A soak that goes on.

    Attributes:
        city: on the same fast clock.
        frozen: real times of what was stopped: (pids, since, until).
        killed: real times by pid.
        away: real times in which no daemon could do anything: (since, until).
        outages: the same of the city.
    """

    plan: Plan
    folder: Path
    city: Sandbox
    base: float
    url: str = ""
    server: object = None
    daemons: list = field(default_factory=list)
    asleep: list = field(default_factory=list)
    frozen: list = field(default_factory=list)
    killed: dict = field(default_factory=dict)
    away: list = field(default_factory=list)
    outages: list = field(default_factory=list)
    counts: Counter = field(default_factory=Counter)
    started: int = 0
    stats: dict = field(default_factory=dict)

    @property
    def file(self) -> Path:
        return self.folder / "tcdatalogger.toml"

    @property
    def environ(self) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, (HERE / "soaking", self.folder))),
            "SOAK_SPEED": str(self.plan.speed),
            "SOAK_BASE": str(self.base),
            "SOAK_FOLDER": str(self.folder),
            "TORN_API_KEY": self.city.keys["limited"],
            "TCDATALOGGER_LOG__FORMAT": "json",
        }

    def fast(self, real: float) -> float:
        """The fast clock's time at a real one."""
        return self.base + (real - self.base) * self.plan.speed

    # --- the place -------------------------------------------------------------------------

    def prepare(self) -> None:
        (self.folder / "locks").mkdir()
        info = self.folder / "hostile-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hostile\nVersion: 1.0\n")
        names = "".join(f"{name} = hostile:{name.title()}\n" for name, _ in HOSTILE)
        (info / "entry_points.txt").write_text(f"[tcdatalogger.processors]\n{names}")
        self.write()

    def write(self, more: str = "") -> None:
        """The configuration; a new file in one step, as a daemon may begin at any moment."""
        state = f'[state]\nurl = "{self.url}"\n' if self.url else ""
        text = (
            '[warehouse]\nurl = "duckdb:///torn.duckdb"\n[archive]\npath = "archive"\n'
            f'[torn]\nurl = "{self.city.url}"\n[keys]\ndefault = "env:TORN_API_KEY"\n{state}'
            f'[limits]\nshare = {CALLS / 100}\n[metrics]\nlisten = ""\n'
            f"[scheduler]\nworkers = {self.plan.workers}\n\n{self.endpoints()}\n{more}"
        )
        part = self.file.with_suffix(".part")
        part.write_text(text, encoding="utf-8")
        part.replace(self.file)

    def endpoints(self) -> str:
        """One in twelve is hostile, a third are lists, and the others snapshots."""
        dice, found = random.Random(self.plan.seed), []
        for n in range(self.plan.endpoints):
            settings = ""
            if n % 12 == 5:
                kind, settings = HOSTILE[n // 12 % len(HOSTILE)]
                name, path, tag, often = f"{kind}_{n}", "/faction/basic", "hostile", "PT2H"
                settings += f'\nprocessor = "{kind}"\nretries = 1'
            elif n % 3 == 0:
                kind, path, settings = LISTS[n // 3 % len(LISTS)]
                name, tag, often = f"{kind}_{n}", "list", dice.choice(self.plan.list_periods)
                settings += f'\nsince = "{SINCE}"'
            else:
                kind, path, settings = SNAPSHOTS[n % len(SNAPSHOTS)]
                name, tag, often = f"{kind}_{n}", "snapshot", dice.choice(self.plan.periods)
            priority = dice.choice(("low", "normal", "normal", "high"))
            jitter = self.plan.jitter
            found.append(
                f'[[endpoints]]\nname = "{name}"\npath = "{path}"\nfrequency = "{often}"\n'
                f'jitter = "{jitter}"\ntags = ["{tag}"]\npriority = "{priority}"\n{settings}\n'
            )
        return "\n".join(found)

    # --- daemons ---------------------------------------------------------------------------

    def start(self) -> subprocess.Popen:
        self.started += 1
        with (self.folder / f"daemon{self.started}.log").open("w") as log:
            daemon = subprocess.Popen(
                [sys.executable, "-m", "tcdatalogger", "schedule"],
                cwd=self.folder, env=self.environ, stdout=log, stderr=log,
            )  # fmt: skip
        self.daemons.append(daemon)
        return daemon

    def revive(self) -> None:
        """Start daemons for those that ended."""
        for daemon in list(self.daemons):
            if daemon.poll() is not None:
                self.daemons.remove(daemon)
                self.counts[f"daemon ended by {daemon.returncode}"] += 1
                self.start()

    def tree(self, daemon: subprocess.Popen) -> tuple[list[int], list[int]]:
        """The helpers of a daemon (forkserver, resource tracker), and the runs."""
        if daemon.poll() is not None:
            return [], []
        helpers = children(daemon.pid)
        return helpers, [pid for helper in helpers for pid in children(helper)]

    def runs(self) -> list[tuple[subprocess.Popen, int]]:
        return [(daemon, pid) for daemon in self.daemons for pid in self.tree(daemon)[1]]

    # --- what goes wrong -------------------------------------------------------------------

    def chaos(self, dice: random.Random) -> None:
        """One thing."""
        kinds = {"kill run": 30, "stop run": 14, "kill daemon": 6, "kill forkserver": 3,
                 "stop daemon": 6, "stop all of a daemon": 9, "outage": 4, "reload": 4,
                 "restart postgres": 3 if self.server else 0}  # fmt: skip
        [kind] = dice.choices(list(kinds), list(kinds.values()))
        daemon = dice.choice(self.daemons)
        helpers, runs = self.tree(daemon)
        if kind in {"kill run", "stop run"}:
            found = self.runs()
            if not found:
                return
            daemon, run = dice.choice(found)
            helpers, runs = self.tree(daemon)
            if run not in runs:
                return
            victims = [run]
        elif kind == "kill forkserver":
            victims = helpers
        elif kind == "stop all of a daemon":
            victims = [daemon.pid, *helpers, *runs]
        else:
            victims = [daemon.pid]
        if kind.startswith("kill"):
            self.kill(victims)
        elif kind.startswith("stop"):
            self.stop(victims, dice.choice((0.3, 1.5, 3.0)) * LEASE / self.plan.speed)
        elif kind == "outage":
            seconds = dice.uniform(30, 240)
            self.city.outage(dice.choice(("down", "reset", "closed")), seconds=seconds)
            now = time.time()
            self.outages.append((now, now + seconds / self.plan.speed))
        elif kind == "reload":
            self.reload(dice)
        else:
            self.restart_postgres(dice)
        self.counts[kind] += 1

    def kill(self, pids: list[int]) -> None:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                self.killed[pid] = time.time()

    def stop(self, pids: list[int], seconds: float) -> None:
        now = time.time()
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        self.asleep.append((now + seconds, now, pids, [begun(pid) for pid in pids]))

    def wake(self, *, everybody: bool = False) -> None:
        now = time.time()
        for entry in list(self.asleep):
            until, since, pids, births = entry
            if not everybody and now < until:
                continue
            self.asleep.remove(entry)
            self.frozen.append((pids, since, now))
            for pid, birth in zip(pids, births, strict=True):
                with suppress(ProcessLookupError):
                    if begun(pid) == birth:
                        os.kill(pid, signal.SIGCONT)

    def reload(self, dice: random.Random) -> None:
        """A new endpoint comes or goes; now and then the file is broken for a moment."""
        if dice.random() < 0.3:
            self.file.write_text("[[endpoints]\n", encoding="utf-8")
            self.hangup()
            time.sleep(0.3)
        more = '[[endpoints]]\nname = "extra"\npath = "/faction/basic"\nfrequency = "PT5M"\n'
        self.write(more if dice.random() < 0.5 else "")
        self.hangup()

    def hangup(self) -> None:
        """Tell the daemons that know the signal already."""
        for daemon in self.daemons:
            if daemon.poll() is None and self.tree(daemon)[0]:
                daemon.send_signal(signal.SIGHUP)

    def restart_postgres(self, dice: random.Random) -> None:
        since = time.time()
        self.server.stop()
        time.sleep(dice.choice((0.0, 1.0)))
        self.server.start()
        self.away.append((since, time.time()))

    # --- the whole -------------------------------------------------------------------------

    def run(self) -> Verdict:
        plan, dice = self.plan, random.Random(self.plan.seed)
        self.prepare()
        self.faults()
        for _ in range(plan.daemons):
            self.start()
        until, following = time.time() + 60 * plan.minutes, time.time() + 3
        nobody = None
        while (now := time.time()) < until or (now < until + MORE and not self.all_begun()):
            if now >= following:
                following = now + dice.expovariate(1 / plan.rate)
                self.chaos(dice)
            self.wake()
            self.revive()
            nobody = self.watch(nobody)
            time.sleep(0.05)
        return self.finish()

    def watch(self, nobody: float | None) -> float | None:
        """Note for how long there is no daemon that could do anything."""
        stopped = {pid for _, _, pids, _ in self.asleep for pid in pids}
        if any(daemon.pid not in stopped and daemon.poll() is None for daemon in self.daemons):
            if nobody is not None:
                self.away.append((nobody, time.time()))
            return None
        return nobody or time.time()

    def all_begun(self) -> bool:
        with suppress(OSError):
            return len(list((self.folder / "locks").iterdir())) >= self.plan.endpoints
        return False

    def faults(self) -> None:
        for kind, facts in (
            ("http", {"status": 429, "retry_after": "5", "rate": 0.004}),
            ("error", {"code": 5, "rate": 0.002}),
            ("http", {"status": 502, "rate": 0.01}),
            ("reset", {"rate": 0.01}),
            ("truncated", {"rate": 0.005}),
            ("delay", {"seconds": 0.3, "rate": 0.02}),
        ):
            self.city.fault(kind, **facts)

    def finish(self) -> Verdict:
        """Let it come to rest, end it, store what is pending, and compare."""
        self.wake(everybody=True)
        self.city.clear_outages()
        self.city.clear_faults()
        self.write()
        self.revive()
        time.sleep(max(2.0, 1.5 * LEASE / self.plan.speed))
        ended = time.time()
        for daemon in self.daemons:
            daemon.send_signal(signal.SIGTERM)
        codes = []
        for daemon in self.daemons:
            try:
                codes.append(daemon.wait(30))
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
                codes.append("never")
        seconds = time.time() - ended
        patience = time.time() + 5
        while self.living() and time.time() < patience:
            time.sleep(0.1)
        left = [(pid, state_of(pid), begun_by(pid)) for pid in self.living()]
        self.city.city.clock.run(0)
        self.stats = self.city.stats()
        self.city.city.limits = Limits(
            10**9, 10**9
        )  # no minute passes in a world that stands still
        log = self.folder / "last.log"
        with log.open("w") as file:
            done = subprocess.run(
                [sys.executable, "-m", "tcdatalogger", "run", "--tag", "list", "--json"],
                cwd=self.folder, env=self.environ, stdout=file, stderr=file, check=False,
            )  # fmt: skip
        verdict = judge(self, ended)
        verdict.must_be_none("alive after the end", left)
        verdict.facts["daemons ended by"] = dict(Counter(codes))
        verdict.facts["real seconds until they had ended"] = round(seconds, 1)
        verdict.facts["the last run of all lists"] = done.returncode
        return verdict

    def living(self) -> list[int]:
        """Processes of the soak: each has its folder in its environment."""
        mark, found = f"SOAK_FOLDER={self.folder}".encode(), []
        for place in Path("/proc").iterdir():
            if place.name.isdigit():
                with suppress(OSError):
                    if mark in (place / "environ").read_bytes() and begun(int(place.name)):
                        found.append(int(place.name))
        return found

    def end(self) -> None:
        """Leave nothing behind, whatever happened."""
        self.wake(everybody=True)
        for daemon in self.daemons:
            if daemon.poll() is None:
                daemon.kill()
                daemon.wait()
        for pid in self.living():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def children(pid: int) -> list[int]:
    try:
        return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def begun(pid: int) -> str:
    """What tells a process from a later one of its number; "" for none and for a zombie."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state in {"Z", "X"} else rest[18]


def state_of(pid: int) -> str:
    """T where it is stopped, S where it sleeps."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return ""


def begun_by(pid: int) -> str:
    """Its parent and its command."""
    with suppress(OSError):
        parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
        words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        return f"by {parent}: {words[:100]}"
    return ""


def soak(plan: Plan, folder: Path, server: object = None, url: str = "") -> Verdict:
    """Do it in an empty folder; for a state on Postgres with its server and its address."""
    base = float(int(time.time()))
    rules = Rules(history=HISTORY, budget="world", per_user=CALLS, per_address=10 * CALLS, cache=0)
    start = base + (time.time() - base) * plan.speed
    with Sandbox(seed=plan.seed, start=start, speed=plan.speed, rules=rules) as city:
        going = Soak(plan, folder, city, base, url, server)
        try:
            return going.run()
        finally:
            going.end()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("endpoints", "daemons", "minutes", "speed", "seed", "state", "workers", "rate"):
        default = getattr(Plan(), name)
        parser.add_argument(f"--{name}", type=type(default), default=default)
    parser.add_argument("--folder", type=Path, help="an empty folder to work in, which stays")
    given = vars(parser.parse_args())
    folder = given.pop("folder")
    plan = Plan(**given)
    with ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(exist_ok=True)
        server, url = None, ""
        if plan.state == "postgres":
            import postgres  # noqa: PLC0415  # of the tests

            server = stack.enter_context(postgres.server())
            url = server.url("soak")
        verdict = soak(plan, folder, server, url)
        print(json.dumps(verdict.facts, indent=2, default=str))
        for line in verdict.wrong:
            print("WRONG:", line)
        for line in verdict.late:
            print("LATE:", line)
    sys.exit(1 if verdict.wrong or verdict.late else 0)


if __name__ == "__main__":
    main()
