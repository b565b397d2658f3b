"""The memory of a process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FORGETS = """
import duckdb
from pathlib import Path
from tcdatalogger import memory

def code():
    lines, total, counts = Path("/proc/self/smaps").read_text().splitlines(), 0, False
    for line in lines:
        words = line.split()
        if "-" in words[0] and ":" not in words[0]:
            counts = words[1] == "r-xp"
        elif words[0] == "Rss:" and counts:
            total += int(words[1])
    return total

connection = duckdb.connect()
connection.execute("select 1").fetchall()
before = code()
memory.forget_code()
after = code()
print(before, after, connection.execute("select sum(range) from range(1000)").fetchone()[0])
"""


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="works on Linux alone")
def test_code_that_is_given_back_comes_back_where_it_runs():
    done = subprocess.run(
        [sys.executable, "-c", FORGETS], capture_output=True, text=True, check=True
    )

    before, after, total = map(int, done.stdout.split())
    assert after < before / 2
    assert total == 499_500
