"""The scheduler's costs: one-page runs, memory and CPU at rest, from due to running code, planning.

python benchmarks/scheduler.py [--pss] [--pandas] [PART…]

With `--pss` only the memory at rest is measured, after a run, and printed as a number of MB.
The parts are `planning`, `one_page_runs`, `many_tables`, `from_due_to_code` and `at_rest`; without
a name all of them. pyarrow imports numpy and pandas wherever they are installed, so they are hidden
from the processes; `--pandas` leaves them there.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import duckdb
from measured import HIDING, PROGRAM, beginning

from tcdatalogger.core.config.durations import parse
from tcdatalogger.core.config.schedule import Grid
from tcdatalogger.core.state.due import DueQueue, Plan
from tcdatalogger.core.state.store import RunRecord, State
from tcdatalogger.sandbox.api.city import Rules
from tcdatalogger.sandbox.api.server import Sandbox

ENDPOINTS = 200
RUNS = 40
MANY = 10_000
DUE = 45
"""Endpoints due at once: two rounds fit into the 100 calls that Torn allows in a minute."""
REST = 65.0
"""Seconds; alerts are looked for every 30."""
SCRAPES = 10


def endpoints(count: int, frequency: str) -> str:
    return "\n".join(
        f'[[endpoints]]\nname = "e{n}"\npath = "/faction/members"\nfrequency = "{frequency}"\n'
        f'table = "t{n}"\nretries = 0\n'
        for n in range(count)
    )


def configure(folder: Path, frequency: str, count: int, extra: str = "") -> None:
    (folder / "tcdatalogger.toml").write_text(
        '[warehouse]\nurl = "duckdb:///torn.duckdb"\n[torn]\nurl = "http://127.0.0.1:9"\n'
        f'[keys]\ndefault = "env:NO_SUCH_KEY"\n{extra}{endpoints(count, frequency)}',
        encoding="utf-8",
    )


def environ(folder: Path, code: str = "") -> dict[str, str]:
    """That of the processes; each begins with the code."""
    return beginning(folder, code if "--pandas" in sys.argv else HIDING + code)


def daemon(folder: Path, *words: str, code: str = "") -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*PROGRAM, "schedule", *words], cwd=folder, env=environ(folder, code),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(each) for each in text.split()]


def memory(pid: int) -> dict[str, float]:
    """MB of a process: all it has, its share of what it shares with others, what it alone has."""
    found = dict.fromkeys(("Rss", "Pss", "Private_Clean", "Private_Dirty"), 0.0)
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]:
        name, size, _ = line.split()
        if name[:-1] in found:
            found[name[:-1]] = int(size) / 1000
    own = found["Private_Clean"] + found["Private_Dirty"]
    return {"RSS": found["Rss"], "PSS": found["Pss"], "own": own}


def cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def settled(pid: int) -> None:
    """Wait until a process has begun and does nothing."""
    before = 0.0
    while (now := cpu(pid)) != before or not now:
        before = now
        time.sleep(2.5)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def show(title: str, pids: dict[int, str]) -> None:
    sizes = {pid: memory(pid) for pid in pids}
    total = sum(size["PSS"] for size in sizes.values())
    print(f"{title}: {total:.0f} MB PSS in all")
    for pid, size in sizes.items():
        print(f"    {pids[pid]:12}" + "".join(f"  {k} {v:5.1f} MB" for k, v in size.items()))


def at_rest(folder: Path) -> None:
    """The command as users run it: with metrics, alerts and the signs of life."""
    port = free_port()
    configure(folder, "P1D", ENDPOINTS, f'[metrics]\nlisten = "127.0.0.1:{port}"\n')
    subprocess.run(
        [*PROGRAM, "schedule", "--until-idle", "--workers", "8"],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    process = daemon(folder)
    try:
        settled(process.pid)
        show(f"at rest, {ENDPOINTS} endpoints, before its first run", {process.pid: "daemon"})
        used, began = cpu(process.pid), time.monotonic()
        time.sleep(REST)
        share = (cpu(process.pid) - used) / (time.monotonic() - began)
        print(f"at rest for {REST:.0f} s: {share:.2%} of a CPU")
        with State(folder / "torn.state.sqlite") as state, state.writing() as db:
            db.execute("update agenda set due_at = 0, wake_at = 0 where endpoint = 'e0'")
        time.sleep(8)  # noticed at the next beat, run, and at rest again
        settled(process.pid)
        pids = {process.pid: "daemon"}
        pids |= {
            pid: "forkserver" if "forkserver" in words(pid) else words(pid)[:12]
            for pid in children(process.pid)
        }
        show("at rest again, after a run", pids)
        used = cpu(process.pid)
        for _ in range(SCRAPES):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
                size = len(answer.read())
        each = (cpu(process.pid) - used) / SCRAPES
        print(f"/metrics, {size:,} bytes: {1000 * each:.0f} ms of a CPU each time")
        show("after metrics were asked for", pids)
    finally:
        process.kill()
        process.wait()


def words(pid: int) -> str:
    return " ".join(Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[1:])


STAMPS = """\
import os, sys, time
if "forkserver" in " ".join(sys.orig_argv):
    real = os.setsid
    def setsid():
        with open("stamps", "a") as file:
            print(time.time(), file=file)
        real()
    os.setsid = setsid
"""
"""The process of a run says when it begins."""


def from_due_to_code(folder: Path) -> None:
    """From the point of the grid to the first line of the run's own process."""
    configure(folder, "PT1S", 1)
    process = daemon(folder, code=STAMPS)
    try:
        while not (folder / "stamps").exists() or len(stamps(folder)) < RUNS:
            time.sleep(0.5)
    finally:
        process.kill()
        process.wait()
    late = [1000 * (stamp % 1) for stamp in stamps(folder)[2:]]
    print(f"from due to code: {statistics.median(late):.1f} ms median of {len(late)}")


def forkserver(daemon: int) -> int:
    return next(pid for pid in children(daemon) if "forkserver" in words(pid))


def cpu_of_ended_children(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


def real_endpoints(folder: Path, city: Sandbox, count: int, mode: str) -> None:
    (folder / "tcdatalogger.toml").write_text(
        f'[warehouse]\nurl = "duckdb:///torn.duckdb"\n[torn]\nurl = "{city.url}"\n'
        '[keys]\ndefault = "env:TORN_API_KEY"\n'
        + "".join(
            f'[[endpoints]]\nname = "e{n}"\npath = "/faction/members"\ntable = "t{n}"\n'
            f'frequency = "P1D"\nstorage_mode = "{mode}"\n'
            for n in range(count)
        ),
        encoding="utf-8",
    )
    os.environ["TORN_API_KEY"] = city.keys["limited"]


def ended_runs(folder: Path, at_least: int) -> list[RunRecord]:
    """The runs, when so many have ended."""
    while True:
        with State(folder / "torn.state.sqlite") as state:
            runs = [run for run in state.runs(most=MANY) if run.finished_at is not None]
        if len(runs) >= at_least:
            return runs
        time.sleep(0.2)


def one_page_runs(folder: Path) -> None:
    """Endpoints of one page that are due at once, in a file that has their tables already."""
    rules = Rules(cache=0, per_user=10**6, per_address=10**6)
    for mode in ("append", "merge", "history", "replace"):
        place = folder / mode
        place.mkdir()
        with Sandbox(seed=7, rules=rules) as city:
            real_endpoints(place, city, DUE, mode)
            process = daemon(place, "--workers", "4")
            try:
                ended_runs(place, DUE)
                settled(process.pid)
                helper = forkserver(process.pid)
                used = cpu_of_ended_children(helper)
                due = time.time()
                with State(place / "torn.state.sqlite") as state, state.writing() as db:
                    db.execute("update agenda set due_at = ?, wake_at = ?", (due, due))
                runs = ended_runs(place, 2 * DUE)[:DUE]
                settled(process.pid)
                used = (cpu_of_ended_children(helper) - used) / DUE
            finally:
                process.kill()
                process.wait()
        bad = [run.error for run in runs if run.status != "done"]
        took = max(run.finished_at for run in runs) - min(run.started_at for run in runs)
        each = statistics.median(run.finished_at - run.started_at for run in runs)
        print(
            f"{DUE} runs of one page due at once, {mode}: {DUE / took:.1f} a second, each run "
            f"{1000 * used:.0f} ms of a CPU, {1000 * each:.0f} ms from begin to end {bad or ''}"
        )


def many_tables(folder: Path) -> None:
    """A run of one page in a file that has the tables of many endpoints."""
    rules = Rules(cache=0, per_user=10**6, per_address=10**6)
    with Sandbox(seed=7, rules=rules) as city:
        for tables in (0, 60, 240, 1_000):
            place = folder / str(tables)
            place.mkdir()
            real_endpoints(place, city, 1, "append")
            command = [*PROGRAM, "run", "--all"]
            quiet = {"cwd": place, "env": environ(place), "stderr": subprocess.DEVNULL}
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **quiet)
            with duckdb.connect(str(place / "torn.duckdb")) as file:
                for number in range(tables):
                    file.execute(f"create table other_{number} as from t0")
            for _ in range(5):
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **quiet)
            with State(place / "torn.state.sqlite") as state:
                runs = state.runs(most=5)
            spent = 1000 * statistics.median(run.cpu_seconds for run in runs)
            took = 1000 * statistics.median(run.finished_at - run.started_at for run in runs)
            print(
                f"a run of one page beside {tables} tables: {spent:.0f} ms of a CPU, {took:.0f} ms"
            )


def stamps(folder: Path) -> list[float]:
    return [float(line) for line in (folder / "stamps").read_text().splitlines()]


def planning(folder: Path) -> None:
    """Of ten thousand endpoints, find those to begin, and the moment to wake up at."""
    now = 1_800_000_000.0
    grid = Grid(parse("PT15M"))
    plans = {f"endpoint_{n}": Plan(f"endpoint_{n}", grid) for n in range(MANY)}
    with State(folder / "many.sqlite") as state:
        queue = DueQueue(state)
        queue.sync(plans.values(), now, alone=True)
        for title, moment in (("all due", now), ("none due", now - 1)):
            times = []
            for _ in range(20):
                began = time.perf_counter()
                queue.due(moment, 4, known=plans)
                queue.next_wake(moment)
                times.append(1000 * (time.perf_counter() - began))
            print(f"planning {MANY} endpoints, {title}: {statistics.median(times):.1f} ms")


def pss(folder: Path) -> float:
    """MB of a daemon and its forkserver at rest, after a run; what they share counts once."""
    configure(folder, "P1D", 5)
    process = daemon(folder)
    try:
        settled(process.pid)
        with State(folder / "torn.state.sqlite") as state, state.writing() as db:
            db.execute("update agenda set due_at = 0, wake_at = 0 where endpoint = 'e0'")
        time.sleep(8)
        settled(process.pid)
        return sum(memory(pid)["PSS"] for pid in (process.pid, *children(process.pid)))
    finally:
        process.kill()
        process.wait()


def main() -> None:
    if "--pss" in sys.argv:
        with tempfile.TemporaryDirectory() as folder:
            print(round(pss(Path(folder)), 1))
        return
    named = [word for word in sys.argv[1:] if not word.startswith("-")]
    for part in (planning, one_page_runs, many_tables, from_due_to_code, at_rest):
        if named and part.__name__ not in named:
            continue
        with tempfile.TemporaryDirectory() as folder:
            part(Path(folder))


if __name__ == "__main__":
    main()
