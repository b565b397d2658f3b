"""How many calls to Google a load takes, and how long it takes on the emulator.

    python benchmarks/bigquery_calls.py [--rows 10 100000 1000000] [--mode append merge]

Each size is stored three times into one dataset of the emulator (`make setup-bigquery`): the first
load makes the tables, the second is what every later run does, the third has half of its records
changed. The calls are counted by a proxy between this program and the emulator; the time is the
emulator's, which is none of Google's.
"""

import argparse
import re
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "scripts"))
sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "google"))

import pyarrow as pa
from bigquery_emulator import emulator, why_not
from proxy import Proxy

from tcdatalogger.clock import SystemClock
from tcdatalogger.models.rows.normalize import arrow_schema
from tcdatalogger.models.schema import family
from tcdatalogger.models.shape import Field, Kind, List, Object, Scalar
from tcdatalogger.services.google.connect import connect, open_dataset
from tcdatalogger.services.warehouse.load import Load

KINDS = {
    "jobs begun": r"POST (/upload)?/bigquery/v2/projects/[^/]+/(jobs|queries)",
    "files sent on": r"PUT /upload/",
    "answers read": r"GET .*/(queries|jobs)/",
    "tables made": r"POST .*/tables",
    "tables looked at": r"GET .*/(tables|datasets)",
    "tables deleted": r"DELETE .*/tables/",
}
WHOLE = Scalar(Kind("int"))
BODY = Object((Field("items", List(Object((
    Field("id", WHOLE), Field("price", WHOLE), Field("name", Scalar(Kind("text"))),
)))),))  # fmt: skip
SEEN = 1_767_225_600.0


def load(number, rows, mode):
    """A load of so many records, of which every second one is another one than last time."""
    run = f"run-{mode}-{rows}-{number}"
    made = family(BODY, f"items_{mode}_{rows}", key=("id",))
    times = pa.array([round((SEEN + 60 * number) * 1e6)] * rows, pa.int64())
    columns = {
        "id": list(range(rows)),
        "price": [n + (number if n % 2 else 0) for n in range(rows)],
        "name": [f"Item {n}" for n in range(rows)],
        "server_timestamp": times.cast(pa.timestamp("us", "UTC")),
        "_subject_id": [40832] * rows,
        "_run_id": [run] * rows,
    }
    table = made.tables[0]
    schema = arrow_schema(table)
    given = pa.table({name: columns[name] for name in schema.names}, schema=schema)
    return Load(f"load-of-{run}", run, f"items_{mode}_{rows}", mode, made, {table.name: given},
                "benchmark", SystemClock().now())  # fmt: skip


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, nargs="+", default=[10, 100_000, 1_000_000])
    arguments.add_argument("--mode", nargs="+", default=["append", "merge"],
                           choices=["append", "merge", "history", "replace"])  # fmt: skip
    given = arguments.parse_args()
    if reason := why_not():
        sys.exit(f"There is no emulator here: {reason}.")
    with (
        tempfile.TemporaryDirectory() as folder,
        emulator(Path(folder)) as started,
        Proxy(started.endpoint) as proxy,
    ):
        started.make_dataset("tcd-benchmark", "benchmark")
        url = "bigquery://tcd-benchmark/benchmark?location=EU"
        made = connect(url, {"BIGQUERY_EMULATOR_HOST": proxy.endpoint})
        with open_dataset(made) as warehouse:
            measure(warehouse, proxy, given)


def measure(warehouse, proxy, given):
    names = list(KINDS)
    print(f"{'mode':8} {'rows':>9} {'load':>6} {'seconds':>8} {'calls':>6}  " + ", ".join(names))
    for mode in given.mode:
        for rows in given.rows:
            for number, what in enumerate(("first", "second", "third")):
                wanted = load(number, rows, mode)
                before = len(proxy.calls)
                began = time.perf_counter()
                receipt = warehouse.commit(wanted)
                took = time.perf_counter() - began
                assert sum(receipt.rows.values()) == rows, receipt
                made = proxy.calls[before:]
                counts = Counter(kind(call.line) for call in made)
                told = ", ".join(str(counts[name]) for name in names)
                print(f"{mode:8} {rows:9,} {what:>6} {took:8.2f} {len(made):6}  {told}", flush=True)


def kind(line):
    return next((name for name, test in KINDS.items() if re.search(test, line)), line)


if __name__ == "__main__":
    main()
