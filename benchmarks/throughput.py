"""How fast bodies become stored rows, beside what it costs to parse them at all.

    python benchmarks/throughput.py [--pages 300] [--rounds 3]

Pages of `/faction/crimes` come from the sandbox. Each round runs every step once, in turn, so that
a slow moment of the machine falls on all of them; the middle round is printed, in seconds of
processor, of all threads. Each mode stores the same rows twice: into tables that are not there
yet, and beside or in the place of the first ones.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path

import httpx2

from tcdatalogger.models.reading.decode import decode
from tcdatalogger.models.rows.normalize import Provenance, normalize
from tcdatalogger.models.schema import family
from tcdatalogger.sandbox.api.server import Sandbox
from tcdatalogger.services.duckdb.warehouse import DuckDBWarehouse
from tcdatalogger.services.torncity.catalog import catalog
from tcdatalogger.services.warehouse.load import Load

PATH = "/faction/crimes"
MODES = ("append", "replace", "merge", "history")


def bodies(pages):
    """As many pages as are asked for: those of a city, over and over."""
    with Sandbox(seed=1) as city:
        found, offset = [], 0
        headers = {"Authorization": f"ApiKey {city.keys['full']}"}
        while True:
            params = {"limit": "100", "offset": str(offset), "timestamp": str(offset)}
            body = httpx2.get(city.url + PATH, params=params, headers=headers).content
            if len(json.loads(body)["crimes"]) < 100:
                break
            found.append(body)
            offset += 100
    return [found[number % len(found)] for number in range(pages)]


def timed(seconds, name, call):
    began = time.process_time()
    result = call()
    seconds.setdefault(name, []).append(time.process_time() - began)
    return result


def once(pages, seconds, folder):
    endpoint, _ = catalog.load().find(PATH)
    tables = family(endpoint.shape, endpoint.name)
    timed(seconds, "json.loads alone", lambda: [json.loads(page) for page in pages])
    decoded = timed(seconds, "decode", lambda: decode(pages, tables))
    # Of another faction each time that a page is there again, so that no key repeats.
    before = Counter()
    provenance = []
    for page in pages:
        provenance.append(Provenance(1.0, 40832 + before[page], "bench"))
        before[page] += 1
    made = timed(seconds, "normalise", lambda: normalize(decoded.batches, tables, provenance))
    for mode in MODES:
        file = folder / f"{mode}-{len(seconds['decode'])}.duckdb"
        with DuckDBWarehouse(file) as warehouse:
            for name, number in ((f"store, {mode}", 1), (f"store, {mode}, again", 2)):
                load = Load(
                    f"bench-{number}", "bench", PATH, mode, tables, made.tables, f"{number}", number
                )
                timed(seconds, name, lambda load=load: warehouse.commit(load))
    return {name: table.num_rows for name, table in made.tables.items()}


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--pages", type=int, default=300)
    arguments.add_argument("--rounds", type=int, default=3)
    chosen = arguments.parse_args()
    pages = bodies(chosen.pages)
    size = sum(map(len, pages)) / 1e6
    seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(chosen.rounds):
            rows = once(pages, seconds, Path(folder))
    print(f"{len(pages)} pages, {size:.1f} MB -> {rows}")
    base = statistics.median(seconds["json.loads alone"])
    for name, found in seconds.items():
        middle = statistics.median(found)
        print(f"{name:22} {middle:6.2f} s {size / middle:8.0f} MB/s   {middle / base:5.2f} x")


if __name__ == "__main__":
    main()
