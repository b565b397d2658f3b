"""How long a process takes that asks for help, and one that runs one endpoint with one page.

    python benchmarks/startup.py [ROUNDS]

Prints the median and the best of some rounds; a sandbox in this process answers.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

from tcdatalogger.sandbox.city import Rules
from tcdatalogger.sandbox.server import Sandbox

PROGRAM = [sys.executable, "-m", "tcdatalogger"]
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
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        subprocess.run([*PROGRAM, *words], check=True, stdout=subprocess.DEVNULL, **options)
        took.append(time.perf_counter() - began)
    median, best = statistics.median(took), min(took)
    print(f"{name:42} median {median * 1000:6.0f} ms   best {best * 1000:6.0f} ms")


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    rules = Rules(cache=0, per_user=10**6, per_address=10**6)
    with Sandbox(seed=7, rules=rules) as city, tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "tcdatalogger.toml").write_text(CONFIGURATION.format(url=city.url))
        environ = {**os.environ, "TORN_API_KEY": city.keys["limited"]}
        quiet = {"cwd": folder, "env": environ, "stderr": subprocess.DEVNULL}
        measure("tcdatalogger --help", ["--help"], rounds, **quiet)
        measure("run one endpoint with one page, first", ["run", "--all"], 1, **quiet)
        measure("run one endpoint with one page", ["run", "--all"], rounds, **quiet)
        if find_spec("pandas"):
            print("pandas is installed, so pyarrow imports it: about 250 ms of each run")
        measure("status", ["status"], rounds, **quiet)


if __name__ == "__main__":
    main()
