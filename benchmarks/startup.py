"""How long a process takes that asks for help, one that runs one endpoint with one page, and one
that serves its first page.

    python benchmarks/startup.py [ROUNDS] [--pandas]

Prints the median and the best of some rounds, and the time of the processor; a sandbox in this
process answers. pyarrow imports numpy and pandas wherever they are installed, so they are hidden
from the processes, as the program needs neither; `--pandas` leaves them there.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from measured import PROGRAM, plain

from tcdatalogger.sandbox.api.city import Rules
from tcdatalogger.sandbox.api.server import Sandbox

CONFIGURATION = """\
[warehouse]
url = "duckdb:///torn.duckdb"
[archive]
path = "archive"
[torn]
url = "{url}"
[keys]
default = "env:TORN_API_KEY"
[[endpoints]]
name = "faction_members"
path = "/faction/members"
"""


def measure(name: str, words: list[str], rounds: int, **options) -> None:
    took, worked = [], []
    for _ in range(rounds):
        began, before = time.perf_counter(), os.times()
        subprocess.run([*PROGRAM, *words], check=True, stdout=subprocess.DEVNULL, **options)
        took.append(1000 * (time.perf_counter() - began))
        after = os.times()
        user = after.children_user - before.children_user
        worked.append(1000 * (user + after.children_system - before.children_system))
    median, best = statistics.median(took), min(took)
    cpu = statistics.median(worked)
    print(f"{name:40} median {median:6.0f} ms   best {best:6.0f} ms   CPU {cpu:6.0f} ms")


def measure_ui(rounds: int, **options) -> None:
    """The same of `ui`, until its address is printed and until the first page is there."""
    took, said, worked = [], [], []
    for _ in range(rounds):
        began = time.perf_counter()
        with subprocess.Popen(
            [*PROGRAM, "ui", "--listen", "127.0.0.1:0"],
            stdout=subprocess.PIPE, text=True, **options,
        ) as process:  # fmt: skip
            address = process.stdout.readline().split()[-1]
            said.append(1000 * (time.perf_counter() - began))
            with urllib.request.urlopen(address) as answer:
                answer.read()
            took.append(1000 * (time.perf_counter() - began))
            process.terminate()
            worked.append(1000 * sum(os.wait4(process.pid, 0)[2][:2]))
    for name, each in (("ui, its address", said), ("ui, its first page", took)):
        cpu = statistics.median(worked)
        print(
            f"{name:40} median {statistics.median(each):6.0f} ms   best {min(each):6.0f} ms   "
            f"CPU {cpu:6.0f} ms"
        )


def main() -> None:
    given = [word for word in sys.argv[1:] if word != "--pandas"]
    rounds = int(given[0]) if given else 9
    rules = Rules(cache=0, per_user=10**6, per_address=10**6)
    with Sandbox(seed=7, rules=rules) as city, tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "tcdatalogger.toml").write_text(CONFIGURATION.format(url=city.url))
        environ = dict(os.environ) if "--pandas" in sys.argv else plain(Path(folder))
        environ["TORN_API_KEY"] = city.keys["limited"]
        quiet = {"cwd": folder, "env": environ, "stderr": subprocess.DEVNULL}
        measure("tcdatalogger --help", ["--help"], rounds, **quiet)
        measure("run one endpoint with one page, first", ["run", "--all"], 1, **quiet)
        measure("run one endpoint with one page", ["run", "--all"], rounds, **quiet)
        measure("status", ["status"], rounds, **quiet)
        measure("schema history", ["schema", "history"], rounds, **quiet)
        measure_ui(rounds, **quiet)


if __name__ == "__main__":
    main()
