from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter

import pytest

from tcdatalogger.observability import logfile
from tcdatalogger.observability.logfile import LogFile

WRITER = """
import sys
from pathlib import Path
from tcdatalogger.observability import log
log.configure("info", "json", Path(sys.argv[1]), open("/dev/null", "w"), max_bytes=6_000, keep=500)
logger = log.get_logger("writer")
for number in range(int(sys.argv[3])):
    logger.info("line", writer=sys.argv[2], number=number, filling="x" * (number % 97))
"""


def lines(file):
    """Every line of a log and of the old ones beside it."""
    files = sorted(file.parent.glob(f"{file.name}*"))
    return [json.loads(line) for each in files for line in each.read_text().splitlines()]


@pytest.mark.slow
def test_no_line_is_lost_when_processes_write_one_file_that_is_rotated(tmp_path):
    file = tmp_path / "log.jsonl"
    writers = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", WRITER, file, str(n), "600"])
        for n in range(4)
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0, 0]
    found = Counter((line["writer"], line["number"]) for line in lines(file))
    assert found == {(str(n), number): 1 for n in range(4) for number in range(600)}
    files = list(tmp_path.glob("log.jsonl*"))
    assert len(files) > 20
    assert all(each.stat().st_size <= 6_000 for each in files)


def test_only_so_many_old_files_stay_and_the_newest_is_the_first(tmp_path):
    file = tmp_path / "log"
    log = LogFile(file, max_bytes=10, keep=2)
    for number in range(6):
        log.write(f"line {number}\n")
    log.close()
    assert {each.name: each.read_text() for each in tmp_path.glob("log*")} == {
        "log": "line 5\n",
        "log.1": "line 4\n",
        "log.2": "line 3\n",
    }


def test_without_old_files_a_full_one_begins_anew(tmp_path):
    log = LogFile(tmp_path / "log", max_bytes=10, keep=0)
    for number in range(3):
        log.write(f"line {number}\n")
    log.close()
    assert [each.read_text() for each in tmp_path.glob("log*")] == ["line 2\n"]


def test_a_line_that_is_larger_than_a_file_has_one_of_its_own(tmp_path):
    log = LogFile(tmp_path / "log", max_bytes=10, keep=3)
    for text in ("x" * 50, "a", "b"):
        log.write(text)
    log.close()
    assert (tmp_path / "log.1").read_text() == "x" * 50
    assert (tmp_path / "log").read_text() == "ab"


def test_a_file_that_somebody_else_put_away_is_followed(tmp_path):
    log = LogFile(tmp_path / "log")
    log.write("one")
    (tmp_path / "log").rename(tmp_path / "away")
    log.write("two")
    (tmp_path / "log").unlink()
    log.write("three")
    log.close()
    assert (tmp_path / "away").read_text() == "one"
    assert (tmp_path / "log").read_text() == "three"


def test_a_forked_child_writes_by_itself(tmp_path):
    log = LogFile(tmp_path / "log", max_bytes=1_000, keep=1)
    log.write("parent\n")
    child = os.fork()
    if not child:
        log.write("child\n")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    log.write("parent again\n")
    log.close()
    assert (tmp_path / "log").read_text() == "parent\nchild\nparent again\n"


def test_nothing_is_written_to_a_closed_file(tmp_path):
    log = LogFile(tmp_path / "log")
    log.close()
    log.close()
    with pytest.raises(ValueError, match="closed"):
        log.write("x")


def test_where_files_cannot_be_locked_the_file_grows(tmp_path, monkeypatch):
    monkeypatch.setattr(logfile, "fcntl", None)
    log = LogFile(tmp_path / "log", max_bytes=5, keep=1)
    for _ in range(3):
        log.write("line\n")
    log.close()
    assert [each.name for each in tmp_path.iterdir()] == ["log"]


def test_the_settings_of_the_log_reach_it(workplace):
    workplace.write(extra='[log]\nfile = "log.jsonl"\nmax_bytes = "300B"\nkeep = 2\n')
    assert workplace.run("run", "faction_crimes", "faction_basic").code == 0
    names = sorted(each.name for each in workplace.folder.glob("log.jsonl*"))
    assert names == ["log.jsonl", "log.jsonl.1", "log.jsonl.2"]
