"""How many runs of one page a scheduler carries into one DuckDB file, and how late they begin.

    python benchmarks/carry.py [--endpoints 15 45] [--workers 4] [--json]

All endpoints are due at once, a quarter of them in each storage mode; `schedule --once` runs them
against a city of the sandbox in a process of its own. Each size is run twice, and the second
counts: the tables are there by then. Two rounds of 45 fit into the calls of a minute.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

from growth import City
from measured import PROGRAM, measured

from tcdatalogger.core.state.store import State

MODES = ("append", "replace", "merge", "history")


def configured(folder: Path, count: int, url: str, workers: int) -> None:
    endpoints = "\n".join(
        f'[[endpoints]]\nname = "e{n}"\npath = "/faction/members"\ntable = "t{n}"\n'
        f'frequency = "PT1S"\nstorage_mode = "{MODES[n % len(MODES)]}"\n'
        for n in range(count)
    )
    (folder / "tcdatalogger.toml").write_text(
        f'[warehouse]\nurl = "duckdb:///torn.duckdb"\n[torn]\nurl = "{url}"\n'
        f"[scheduler]\nworkers = {workers}\n"
        f'[archive]\npath = "archive"\n[keys]\ndefault = "env:TORN_API_KEY"\n{endpoints}',
        encoding="utf-8",
    )


def carried(count: int, workers: int) -> dict[str, float]:
    """What so many endpoints that are due at once come to."""
    with City() as (url, key), tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        configured(home, count, url, workers)
        environ = {**os.environ, "TORN_API_KEY": key}
        words = [*PROGRAM, "schedule", "--once", "--log-level", "error"]
        for _ in range(2):
            measured(words, home, environ)
        with State(home / "torn.state.sqlite") as state:
            runs = state.runs(most=count)
        if bad := [run for run in runs if run.status != "done"]:
            raise SystemExit(f"{len(bad)} runs did not end well: {bad[0].error or bad[0].status}")
    begin = min(run.started_at for run in runs)
    seconds = max(run.finished_at for run in runs) - begin
    late = sorted(run.started_at - begin for run in runs)
    return {
        "endpoints": count,
        "runs_a_second": round(len(runs) / seconds, 2),
        "cpu_ms_a_run": round(1000 * statistics.median(run.cpu_seconds for run in runs), 1),
        "ms_a_run": round(
            1000 * statistics.median(run.finished_at - run.started_at for run in runs), 1
        ),
        "late_median": round(statistics.median(late), 2),
        "late_most": round(late[-1], 2),
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--endpoints", type=int, nargs="+", default=[15, 45])
    arguments.add_argument("--workers", type=int, default=4)
    arguments.add_argument("--json", action="store_true")
    chosen = arguments.parse_args()
    lines = []
    for count in chosen.endpoints:
        lines.append(one := carried(count, chosen.workers))
        text = ", ".join(f"{name} {value:g}" for name, value in one.items())
        print(text, file=sys.stderr if chosen.json else sys.stdout, flush=True)
    if chosen.json:
        print(json.dumps(lines))


if __name__ == "__main__":
    main()
