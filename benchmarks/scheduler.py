"""The scheduler's costs: memory and CPU at rest, from due to running code, planning.

python benchmarks/scheduler.py
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tcdatalogger.core.duration import parse
from tcdatalogger.core.schedule import Grid
from tcdatalogger.core.state import State
from tcdatalogger.scheduler.agenda import Agenda, Plan

ENDPOINTS = 200
RUNS = 40
MANY = 10_000
REST = 20.0


def endpoints(count: int, frequency: str) -> str:
    return "\n".join(
        f'[[endpoints]]\nname = "e{n}"\npath = "/faction/members"\nfrequency = "{frequency}"\n'
        f'table = "t{n}"\nretries = 0\n'
        for n in range(count)
    )


def configure(folder: Path, frequency: str, count: int) -> None:
    (folder / "tcdatalogger.toml").write_text(
        '[warehouse]\nurl = "duckdb:///torn.duckdb"\n[torn]\nurl = "http://127.0.0.1:9"\n'
        f'[keys]\ndefault = "env:NO_SUCH_KEY"\n{endpoints(count, frequency)}',
        encoding="utf-8",
    )


def daemon(folder: Path, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "tcdatalogger", "schedule", *words],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(each) for each in text.split()]


def pss(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1000


def cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def at_rest(folder: Path) -> None:
    configure(folder, "P1D", ENDPOINTS)
    subprocess.run(
        [sys.executable, "-m", "tcdatalogger", "schedule", "--until-idle", "--workers", "8"],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    process = daemon(folder)
    try:
        time.sleep(3)
        alone = pss(process.pid)
        used, began = cpu(process.pid), time.monotonic()
        time.sleep(REST)
        share = (cpu(process.pid) - used) / (time.monotonic() - began)
        with State(folder / "torn.state.sqlite") as state, state.writing() as db:
            db.execute("update agenda set due_at = 0, wake_at = 0 where endpoint = 'e0'")
        time.sleep(8)  # noticed at the next beat, run, and at rest again
        all_of_it = {pid: pss(pid) for pid in (process.pid, *children(process.pid))}
        names = {
            pid: Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[2][:40]
            for pid in all_of_it
        }
    finally:
        process.kill()
        process.wait()
    print(f"at rest, {ENDPOINTS} endpoints: {alone:.0f} MB PSS, {share:.2%} of a CPU")
    print(f"with the forkserver: {sum(all_of_it.values()):.0f} MB PSS")
    for pid, size in all_of_it.items():
        print(f"    {size:6.1f} MB  {names[pid]}")


def from_due_to_code(folder: Path) -> None:
    """From the point of the grid to the first line of the run's own process."""
    configure(folder, "PT1S", 1)
    (folder / "sitecustomize.py").write_text(
        "import os, sys, time\n"
        "if 'forkserver' in ' '.join(sys.orig_argv):\n"
        "    real = os.setsid\n"
        "    def setsid():\n"
        "        with open('stamps', 'a') as file:\n"
        "            print(time.time(), file=file)\n"
        "        real()\n"
        "    os.setsid = setsid\n",
        encoding="utf-8",
    )
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(folder)
    process = daemon(folder)
    try:
        while not (folder / "stamps").exists() or len(stamps(folder)) < RUNS:
            time.sleep(0.5)
    finally:
        process.kill()
        process.wait()
        os.environ.pop("PYTHONPATH")
        if before is not None:
            os.environ["PYTHONPATH"] = before
    late = [1000 * (stamp % 1) for stamp in stamps(folder)[2:]]
    print(f"from due to code: {statistics.median(late):.1f} ms median of {len(late)}")


def stamps(folder: Path) -> list[float]:
    return [float(line) for line in (folder / "stamps").read_text().splitlines()]


def planning(folder: Path) -> None:
    """Of ten thousand endpoints, find those to begin, and the moment to wake up at."""
    now = 1_800_000_000.0
    grid = Grid(parse("PT15M"))
    plans = {f"endpoint_{n}": Plan(f"endpoint_{n}", grid) for n in range(MANY)}
    with State(folder / "many.sqlite") as state:
        agenda = Agenda(state)
        agenda.sync(plans.values(), now, alone=True)
        for title, moment in (("all due", now), ("none due", now - 1)):
            times = []
            for _ in range(20):
                began = time.perf_counter()
                agenda.due(moment, 4, known=plans)
                agenda.next_wake(moment)
                times.append(1000 * (time.perf_counter() - began))
            print(f"planning {MANY} endpoints, {title}: {statistics.median(times):.1f} ms")


def main() -> None:
    for part in (planning, from_due_to_code, at_rest):
        with tempfile.TemporaryDirectory() as folder:
            part(Path(folder))


if __name__ == "__main__":
    main()
