"""What viewers of `tcdatalogger ui` cost a run that wants to write: its wait for the warehouse.

    python benchmarks/viewers.py [--viewers 50] [--pause 5] [--seconds 30]

A city is logged for a day. Then rows are stored once a second, as a run does, first alone, then
while viewers open one page after the other. Prints how long the writer waited for the file, and how
long the viewers for their pages. The bar: 150 ms for 95 of 100 writes.
"""

import argparse
import json
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx2
import pyarrow as pa

from tcdatalogger.clock import ManualClock, SystemClock
from tcdatalogger.core.config import configuration
from tcdatalogger.core.main import Application
from tcdatalogger.core.state.store import RunRecord, State
from tcdatalogger.sandbox.api.city import Rules
from tcdatalogger.sandbox.api.server import Sandbox
from tcdatalogger.services.duckdb.connection import connect

BAR = 0.150
HOUR = 3_600
ROWS = 3_000
PAGES = ("", "crimes", "members", "money", "questions", "questions/oc-profit?days=90")
ENDPOINTS = {
    "faction_members": "/faction/members",
    "faction_crimes": "/faction/crimes",
    "faction_balance": "/faction/balance",
    "torn_items": "/torn/items",
}
ENVIRON = {"TORN_API_KEY": "a" * 16}


def log_a_day(folder):
    """Log a city for a day, and return the configuration."""
    toml = folder / "tcdatalogger.toml"
    with Sandbox(seed=3, rules=Rules(cache=0, per_user=10**6, per_address=10**6)) as city:
        head = f'[warehouse]\nurl = "duckdb:///torn.duckdb"\n[torn]\nurl = "{city.url}"\n'
        lines = [f'{head}[keys]\ndefault = "env:TORN_API_KEY"\n']
        for name, path in ENDPOINTS.items():
            since = 'since = "P60D"\n' if path == "/faction/crimes" else ""
            lines.append(
                f'[[endpoints]]\nname = "{name}"\npath = "{path}"\nfrequency = "PT1H"\n{since}'
            )
        toml.write_text("\n".join(lines), encoding="utf-8")
        environ = {"TORN_API_KEY": city.keys["full"]}
        settings = configuration.load(toml, environ)
        clock = ManualClock(city.now())
        with Application(settings, environ=environ, clock=clock) as application:
            for _ in range(24):
                for endpoint in application.chosen(everything=True):
                    application.run(endpoint)
                city.advance(HOUR)
                clock.sleep(HOUR)
    return toml, settings


def write(settings, seconds):
    """Store rows once a second for some time; the seconds that each write waited for the file."""
    rows = pa.table({"id": range(ROWS), "name": [f"row {n}" for n in range(ROWS)]})
    clock, waits, end, number = SystemClock(), [], time.monotonic() + seconds, 0
    with State(settings.state.url) as state:
        while time.monotonic() < end:
            began = time.perf_counter()
            opened = connect(settings.warehouse.file, clock, 20.0)
            connection = opened.connection
            waits.append(time.perf_counter() - began)
            connection.register("batch", rows)
            connection.execute("create table if not exists written as from batch limit 0")
            connection.execute("insert into written from batch")
            opened.close()
            number += 1
            name = list(ENDPOINTS)[number % len(ENDPOINTS)]
            run = RunRecord(f"viewers-{began}", name, clock.now(), finished_at=clock.now())
            state.write_run(run)
            state.write_run(RunRecord(run.run_id, name, run.started_at, status="done"))
            time.sleep(max(0.0, 1.0 - (time.perf_counter() - began)))
    return waits


def view(address, viewers, pause, seconds):
    """Open pages as that many viewers; the seconds of each page, and how many failed."""
    took, failed, end = [], [], time.monotonic() + seconds

    def one(seed):
        chosen = random.Random(seed)
        with httpx2.Client(timeout=30) as client:
            time.sleep(chosen.random() * pause)
            while time.monotonic() < end:
                began = time.perf_counter()
                try:
                    answer = client.get(address + chosen.choice(PAGES))
                except httpx2.HTTPError as error:
                    failed.append(str(error))
                else:
                    took.append(time.perf_counter() - began)
                    if answer.status_code != 200:
                        failed.append(str(answer.status_code))
                time.sleep(pause)

    threads = [threading.Thread(target=one, args=(seed,)) for seed in range(viewers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return took, failed


def told(name, waits, took=(), failed=()):
    def three(values):
        if not values:
            return "-"
        ranked = sorted(values)
        p95 = ranked[min(len(ranked) - 1, int(0.95 * len(ranked)))]
        return " / ".join(f"{1000 * v:.0f}" for v in (statistics.median(ranked), p95, ranked[-1]))

    print(
        f"| {name} | {len(waits)} | {three(waits)} | {len(took)} | {three(took)} | {len(failed)} |"
    )


def p95(values):
    return sorted(values)[min(len(values) - 1, int(0.95 * len(values)))]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--viewers", type=int, default=50)
    parser.add_argument("--pause", type=float, default=5.0, help="seconds between two pages of one")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--view", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.view:
        address, viewers, pause, seconds = given.view
        print(json.dumps(view(address, int(viewers), float(pause), float(seconds))))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        toml, settings = log_a_day(Path(folder))
        print(
            "| | writes | waited ms, p50 / p95 / max | pages | took ms, p50 / p95 / max | failed |"
        )
        print("|---|---|---|---|---|---|")
        told("nobody looks", write(settings, given.seconds))
        program = [sys.executable, "-m", "tcdatalogger", "--config", str(toml), "ui"]
        with subprocess.Popen(
            [*program, "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True
        ) as process:
            address = re.search(r"http\S+", process.stdout.readline())[0]
            while "data-again" in httpx2.get(f"{address}crimes", timeout=30).text:
                time.sleep(0.5)
            words = [address, given.viewers, given.pause, given.seconds]
            with subprocess.Popen(
                [sys.executable, __file__, "--view", *map(str, words)], stdout=subprocess.PIPE
            ) as looking:
                waits = write(settings, given.seconds)
                took, failed = json.loads(looking.communicate()[0])
            process.terminate()
        told(f"{given.viewers} viewers", waits, took, failed)
    return 0 if p95(waits) <= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
