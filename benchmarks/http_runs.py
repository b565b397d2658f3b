"""Runs of many pages over HTTP: seconds of processor, memory, and what one more call costs.

    python benchmarks/http_runs.py [--pages 1 100 500] [--modes append merge] [--rebuild]
                                   [--rounds 2] [--json]

The pages are served by a process of their own. Torn's limit of calls is lifted, as it would have us
wait for minutes; everything else is as for anybody. With `--rebuild` the rebuild from the archive
of the run is measured too.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from measured import PROGRAM, UNLIMITED, Cost, measured, middle, plain

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
storage_mode = "{mode}"
incremental = false
max_pages = 100000
timeout = "PT1H"
memory = "8GB"
"""


def costs(pages: int, mode: str, rounds: int, rebuild: bool) -> dict[str, Cost]:
    """The median of runs of so many pages, each into a new warehouse, and of their rebuilds."""
    commands = {"run": [*UNLIMITED, "run"]}
    if rebuild:
        commands["rebuild"] = [*PROGRAM, "rebuild"]
    found: dict[str, list[Cost]] = {what: [] for what in commands}
    with subprocess.Popen(
        [sys.executable, str(HERE / "serving.py"), str(pages)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as server:  # fmt: skip
        url, key = server.stdout.readline().split()
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as folder:
                home = Path(folder)
                (home / "tcdatalogger.toml").write_text(CONFIGURATION.format(url=url, mode=mode))
                environ = {**plain(home), "TORN_API_KEY": key}
                for what, command in commands.items():
                    words = [*command, "faction_crimes", "--log-level", "error"]
                    found[what].append(measured(words, home, environ))
        server.stdin.close()
    return {what: middle(each) for what, each in found.items()}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--pages", type=int, nargs="+", default=[1, 100, 500])
    arguments.add_argument("--modes", nargs="+", default=["append"])
    arguments.add_argument("--rebuild", action="store_true")
    arguments.add_argument("--rounds", type=int, default=2)
    arguments.add_argument("--json", action="store_true")
    chosen = arguments.parse_args()
    lines = []
    for mode, pages in itertools.product(chosen.modes, chosen.pages):
        for what, cost in costs(pages, mode, chosen.rounds, chosen.rebuild).items():
            lines.append({"what": what, "mode": mode, "pages": pages, **vars(cost)})
            text = f"{cost.wall:.2f} s, {cost.cpu:.2f} CPU s, {cost.peak:.0f} MB"
            text = f"{what:7} {mode:7} {pages:6} pages: {text}"
            print(text, file=sys.stderr if chosen.json else sys.stdout, flush=True)
    if chosen.json:
        print(json.dumps(lines))


if __name__ == "__main__":
    main()
