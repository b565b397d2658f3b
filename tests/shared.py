"""What tests of several rooms import; what they are handed stands in conftest.py."""

from __future__ import annotations

import functools
import itertools
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest

PROGRAM = [sys.executable, "-W", "error", "-m", "tcdatalogger"]

HOLDER = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.readline()
"""


def rest_slow(cases: Iterable[Any], quick: int = 1) -> list[Any]:
    """Cases for `parametrize` of which all but the first few are marked slow: CI runs them all."""
    return [
        case
        if number < quick
        else pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.slow)
        for number, case in enumerate(cases)
    ]


@contextmanager
def held(file: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has a warehouse open until the end of the block."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(file)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as holder:  # fmt: skip
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        try:
            yield holder
        finally:
            holder.communicate()


_engine = functools.cache(duckdb.connect)
_numbers = itertools.count()


@contextmanager
def reading(file: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection in UTC that reads a warehouse's file until the end of the block.

    All tests of a process share one engine of DuckDB: to start another one takes twelve times as
    long as to attach a file to it.
    """
    name, path = f"reading_{next(_numbers)}", str(file).replace("'", "''")
    _engine().execute(f"attach '{path}' as {name} (read_only)")
    try:
        with _engine().cursor() as connection:
            connection.execute(f"use {name}; set TimeZone = 'UTC'")
            yield connection
    finally:
        _engine().execute(f"detach {name}")
