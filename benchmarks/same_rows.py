"""Whether two warehouses hold the same after the same runs, column by column.

    python benchmarks/same_rows.py URL URL [--polls N]
    python scripts/bigquery_emulator.py FOLDER torn-demo.same \
        python benchmarks/same_rows.py duckdb:///torn.duckdb bigquery://torn-demo/same

Both are empty at first. The endpoints are those of the demo and two more, so that each storage
mode is among them. The city has the same seed and its clock is moved by hand, the program's clock
stands still during a run, and the runs have the same ids. So all is compared, the ledger too: the
number of rows, and of each column the number of values and a checksum. What may differ is in
`OTHERWISE`. The exit code is 1 where something else does.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from tcdatalogger.cli.commands.demo import VARIABLE, write_configuration
from tcdatalogger.clock import utc
from tcdatalogger.core.config import configuration
from tcdatalogger.core.main import Application
from tcdatalogger.core.operations.copy import summed, tables_of
from tcdatalogger.sandbox.api.server import START, Sandbox
from tcdatalogger.services.duckdb.column_sums import ColumnSums

HOUR = 3_600
MORE = """
[[endpoints]]
name = "crimes"
path = "/faction/crimes"
storage_mode = "merge"
since = "2025-12-01"

[[endpoints]]
name = "members"
path = "/faction/members"
storage_mode = "history"
"""
OTHERWISE: Mapping[tuple[str, str], str] = {
    ("_tcd_loads", "seq"): "a warehouse numbers its lines as it likes; their order is what counts",
    ("_tcd_schemas", "seq"): "as that of the loads",
}


class Standing:
    """A clock that is moved by hand; to wait takes as long as on any other."""

    def __init__(self, now: float) -> None:
        self.at = now

    def now(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def fill(url: str, folder: Path, polls: int) -> dict[str, ColumnSums]:
    """Run all endpoints some times; what each table of the warehouse is known by then."""
    clock = Standing(START)
    with Sandbox(seed=1, start=START) as city:
        file = write_configuration(folder, url, city.url)
        with file.open("a") as more:
            more.write(MORE)
        settings = configuration.load(file, {})
        environ = {**os.environ, VARIABLE: city.keys["limited"]}
        with Application(settings, clock=clock, environ=environ) as application:
            began = time.perf_counter()
            for run in runs(application, polls):
                if run == "poll":
                    city.advance(3 * HOUR)
                    clock.at += 3 * HOUR
                clock.at += 1
            print(f"{url}: filled in {time.perf_counter() - began:.1f} s")
            with application.warehouse(read_only=True) as warehouse:
                return {table.name: summed(warehouse, table) for table in tables_of(warehouse)}


def runs(application: Application, polls: int) -> Iterator[str]:
    for poll in range(polls):
        for number, endpoint in enumerate(application.settings.endpoints):
            run_id = f"{utc(application.clock.now()):%Y%m%dT%H%M%SZ}-{number:08x}"
            application.run(endpoint, run_id=run_id).raise_for_error()
            yield run_id
        if poll < polls - 1:
            yield "poll"


def main() -> int:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("url", nargs=2)
    parser.add_argument("--polls", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        found = [
            fill(url, Path(folder), given.polls)
            for url, folder in zip(given.url, (one, two), strict=True)
        ]
    unlike = list(differences(*found))
    for name, sums in found[0].items():
        print(f"{name:32} {sums.rows:7,} rows in {len(sums.columns):2} columns")
    left = ", ".join(f"{table}.{column}" for table, column in OTHERWISE)
    print(f"Not compared: {left}")
    print("\n".join(unlike) or "Everything else is the same in both.")
    return 1 if unlike else 0


def differences(one: Mapping[str, ColumnSums], two: Mapping[str, ColumnSums]) -> Iterator[str]:
    for name in dict.fromkeys([*one, *two]):
        if name not in one or name not in two:
            yield f"DIFFERENT: the table {name} is in one of them only"
            continue
        a, b = one[name], two[name]
        if a.rows != b.rows:
            yield f"DIFFERENT: {name} has {a.rows:,} rows, and {b.rows:,}"
        for column in dict.fromkeys([*a.columns, *b.columns]):
            first, second = a.columns.get(column), b.columns.get(column)
            if (name, column) not in OTHERWISE and first != second:
                yield f"DIFFERENT: {name}.{column}: {first}, and {second}"


if __name__ == "__main__":
    sys.exit(main())
