"""Every path of the catalogue, logged once from the sandbox into a DuckDB file.

    python benchmarks/all_paths.py [--pages 2]

Each path is configured by itself alone, with an id where it needs one and its required parameters.
Prints how many tables, columns and rows came of it, and how long it took. A test runs the same
(tests/test_all_paths.py).
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

from tcdatalogger.clock import ManualClock
from tcdatalogger.core.config import configuration
from tcdatalogger.core.main import Application
from tcdatalogger.sandbox.api.city import Rules
from tcdatalogger.sandbox.api.server import START, Sandbox
from tcdatalogger.services.torncity.catalog import catalog

FREE = Rules(cache=0, per_user=10**6, per_address=10**6)
"""The budget of the program still holds; its clock is moved by hand, so nothing is slept."""

SOME_CRIME = "query:select max(id) from faction_crimes"
SOME_CHAIN = "query:select max(id) from faction_chains"


def paths():
    """All paths that are no route: a selection of their own, JSON or CSV.

    `/faction/crimes` is first, since the id of a crime is read from its table.
    """
    found = [endpoint for endpoint in catalog.load().endpoints if not endpoint.route]
    return sorted(found, key=lambda endpoint: endpoint.path != "/faction/crimes")


def name_of(endpoint):
    """`/user/basic` and `/user/{id}/basic` are two endpoints, so they have two names."""
    if not endpoint.path_parameters:
        return endpoint.name
    return f"{endpoint.name}_by_{catalog.snake(endpoint.path_parameters[0].name)}"


def ids_of(endpoint):
    """Ids that the city knows."""
    if endpoint.path.startswith("/user/{id}"):
        return 150_001
    by_name = {"ids": "1,206,640", "crimeId": SOME_CRIME, "chainId": SOME_CHAIN}
    name = endpoint.path_parameters[0].name
    return by_name.get(name, 40_832 if endpoint.section == "faction" and name == "id" else 1)


def section(endpoint, pages):
    """The endpoint as it stands in a configuration."""
    lines = [
        "[[endpoints]]",
        f'name = "{name_of(endpoint)}"',
        f'path = "{endpoint.path}"',
        f"max_pages = {pages}",
        "incremental = false",
    ]
    if endpoint.path_parameters:
        lines.append(f"ids = {json.dumps(ids_of(endpoint))}")
    needed = {
        parameter.name: parameter.values[0] if parameter.values else 1
        for parameter in endpoint.parameters
        if parameter.where == "query" and parameter.required
    }
    if needed:
        params = ", ".join(f"{name} = {json.dumps(value)}" for name, value in needed.items())
        lines.append(f"params = {{ {params} }}")
    return "\n".join(lines) + "\n"


def write(file, url, pages):
    """A configuration of all paths, everything in the folder of the file."""
    head = (
        '[warehouse]\nurl = "duckdb:///torn.duckdb"\n\n[archive]\npath = "archive"\n\n'
        f'[torn]\nurl = "{url}"\n\n[keys]\ndefault = "env:KEY"\n\n'
    )
    file.write_text(head + "\n".join(section(e, pages) for e in paths()), encoding="utf-8")


def log_everything(folder, pages=2):
    """Run every path once; yields each endpoint of the catalogue with its outcome."""
    with Sandbox(seed=7, rules=FREE) as city:
        file = folder / "tcdatalogger.toml"
        write(file, city.url, pages)
        settings = configuration.load(file, {}, ())
        environ = {"KEY": city.keys["full"]}
        with Application(settings, clock=ManualClock(START), environ=environ) as application:
            for endpoint in paths():
                (configured,) = application.chosen([name_of(endpoint)])
                yield endpoint, application.run(configured)


def summary(found, seconds):
    """What came of it, in one line."""
    tables = [table for _, outcome in found for table in outcome.made.family.tables]
    rows = sum(sum(outcome.record.rows.values()) for _, outcome in found)
    return (
        f"{len(found)} paths, {len(tables)} tables, "
        f"{sum(len(table.columns) for table in tables):,} columns, {rows:,} rows, "
        f"{sum(outcome.record.calls for _, outcome in found)} calls, {seconds:.1f} s"
    )


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--pages", type=int, default=2)
    chosen = arguments.parse_args()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        found = list(log_everything(Path(folder), chosen.pages))
    failed = [(e.path, outcome.error) for e, outcome in found if outcome.error is not None]
    for path, error in failed:
        print(f"{path}: {error}")
    print(summary([pair for pair in found if pair[1].made], time.perf_counter() - began))
    raise SystemExit(bool(failed))


if __name__ == "__main__":
    main()
