"""Runs of many pages over HTTP: seconds of processor, memory, and what one more call costs.

    python benchmarks/http_runs.py [--pages 1 100 500] [--rounds 2] [--json]

The pages are served by a process of their own. Torn's limit of calls is lifted, as it would have us
wait for minutes; everything else is as for anybody.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from measured import UNLIMITED, Cost, measured, middle, plain

HERE = Path(__file__).resolve().parent
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
name = "faction_crimes"
path = "/faction/crimes"
incremental = false
max_pages = 100000
timeout = "PT1H"
memory = "8GB"
"""


def run(pages: int, rounds: int) -> Cost:
    """The median of runs of so many pages, each into a new warehouse."""
    with subprocess.Popen(
        [sys.executable, str(HERE / "serving.py"), str(pages)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as server:  # fmt: skip
        url, key = server.stdout.readline().split()
        costs = []
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as folder:
                home = Path(folder)
                (home / "tcdatalogger.toml").write_text(CONFIGURATION.format(url=url))
                environ = {**plain(home), "TORN_API_KEY": key}
                words = [*UNLIMITED, "run", "faction_crimes"]
                costs.append(measured([*words, "--log-level", "error"], home, environ))
        server.stdin.close()
    return middle(costs)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--pages", type=int, nargs="+", default=[1, 100, 500])
    arguments.add_argument("--rounds", type=int, default=2)
    arguments.add_argument("--json", action="store_true")
    chosen = arguments.parse_args()
    lines = []
    for pages in chosen.pages:
        cost = run(pages, chosen.rounds)
        lines.append({"pages": pages, **vars(cost)})
        text = f"{pages:6} pages: {cost.wall:.2f} s, {cost.cpu:.2f} CPU s, {cost.peak:.0f} MB"
        print(text, file=sys.stderr if chosen.json else sys.stdout, flush=True)
    if chosen.json:
        print(json.dumps(lines))


if __name__ == "__main__":
    main()
