"""A command begins at once: nothing heavy is imported before it is needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {
    "duckdb", "google", "httpx2", "msgspec", "numpy", "pandas", "pyarrow", "pydantic", "rich",
    "starlette", "uvicorn",
}  # fmt: skip
PROBE = """
import sys
from tcdatalogger.cli import main
code = main(sys.argv[1:])
print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
sys.exit(code)
"""


def imported(workplace, *words):
    """The heavy packages that a command imported."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *words], cwd=workplace.folder, env=workplace.outside(),
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return HEAVY & set(done.stderr.split())


@pytest.mark.parametrize(
    "words", [("--help",), ("--version",), ("run", "--help"), ("runs", "--help")]
)
def test_help_imports_nothing_heavy(workplace, words):
    assert imported(workplace, *words) == set()


def test_a_run_imports_no_server_and_nothing_that_only_a_terminal_needs(workplace):
    found = imported(workplace, "run", "faction_basic", "--json")

    assert found & {"google", "rich", "starlette", "uvicorn"} == set()


def test_looking_at_runs_imports_neither_the_warehouse_nor_the_client(workplace):
    workplace.run("run", "faction_basic")

    for words in (("status", "--json"), ("runs", "--json")):
        found = imported(workplace, *words)
        assert found & {"duckdb", "httpx2", "numpy", "pandas", "pyarrow", "rich"} == set()


def test_the_catalogue_imports_neither_the_warehouse_nor_the_client(workplace):
    found = imported(workplace, "catalog", "show", "/faction/crimes", "--json")

    assert found & {"duckdb", "httpx2", "pandas", "rich", "uvicorn"} == set()


def test_the_address_of_bigquery_is_checked_without_googles_library(workplace):
    told = workplace.file.read_text(encoding="utf-8")
    address = "bigquery://torn-1/faction?location=EU"
    workplace.file.write_text(told.replace("duckdb:///torn.duckdb", address), encoding="utf-8")

    assert imported(workplace, "config", "show", "--json") & {"duckdb", "google"} == set()
