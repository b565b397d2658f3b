"""Where there is no emulator, it is said loudly how many tests are left out and why."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import bigquery as plugin
import bigquery_emulator
import pytest
from layers import Layers

ROOT = Path(__file__).parents[2]


@pytest.fixture
def without_313(tmp_path):
    """A copy of the repository's script, on a machine without any Python."""
    (tmp_path / "bin").mkdir()
    for tool in ("bash", "dirname", "mkdir", "rm"):
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool))
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/setup_bigquery.sh", tmp_path / "scripts")

    def run(**environ):
        return subprocess.run(
            [tmp_path / "scripts/setup_bigquery.sh"], capture_output=True, text=True, check=False,
            env={"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path), **environ},
        )  # fmt: skip

    return run


def test_without_python_3_13_the_tests_are_left_out_and_ci_goes_on(
    without_313, tmp_path, monkeypatch
):
    done = without_313()
    assert (done.returncode, done.stderr) == (0, "")
    assert "!! There is no Python 3.13 on this machine" in done.stdout

    monkeypatch.setattr(bigquery_emulator, "PLACE", tmp_path / ".bigquery")
    assert bigquery_emulator.why_not() == "no Python 3.13"


def test_a_python_that_is_named_and_is_none_is_an_error(without_313, tmp_path):
    done = without_313(PYTHON313="/nowhere/python3.13")
    assert done.returncode == 1
    assert "PYTHON313=/nowhere/python3.13 is no Python 3.13." in done.stderr
    assert not (tmp_path / ".bigquery").exists()


def test_the_summary_counts_what_was_left_out_and_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr(bigquery_emulator, "PLACE", tmp_path)
    with pytest.raises(pytest.skip.Exception) as skipped:
        next(plugin.bigquery.__wrapped__(None, None))
    report = SimpleNamespace(longrepr=("file", 1, f"Skipped: {skipped.value.msg}"))
    other = SimpleNamespace(longrepr=("file", 1, "Skipped: no Postgres"))
    lines = []

    plugin.pytest_terminal_summary(
        SimpleNamespace(
            stats={"skipped": [report, other, report]},
            section=lambda title, **_: lines.append(title),
            line=lambda text, **_: lines.append(text),
        ),
        SimpleNamespace(stash={plugin.LAYERS: Layers()}),
    )

    assert lines[:2] == [
        "BIGQUERY WAS NOT TESTED",
        "2 tests of BigQuery are left out: `make setup-bigquery` was not run.",
    ]


def test_the_lock_files_name_no_registry_and_the_emulator_is_pinned():
    for name in ("run.txt", "dev.txt", "bigquery-emulator.txt"):
        text = (ROOT / "requirements" / name).read_text()
        assert "://" not in text, name
    wanted = (ROOT / "requirements/bigquery-emulator.in").read_text().splitlines()
    for line in [line for line in wanted if not line.startswith("#")]:
        assert f"\n{line} \\\n    --hash=sha256:" in text, line


@pytest.mark.slow
def test_a_command_has_an_emulator_with_a_dataset_and_the_next_one_finds_what_it_left(
    bigquery, tmp_path
):
    program = (
        "import os\n"
        "from tcdatalogger.services.google.connect import connect\n"
        "client = connect('bigquery://torn-demo/demo', os.environ)\n"
        "print([table.table_id for table in client.tables()])\n"
        "client.run('create table left_there as select 1 as n')\n"
        "raise SystemExit(7)\n"
    )
    words = [sys.executable, ROOT / "scripts/bigquery_emulator.py", tmp_path / "kept",
             "torn-demo.demo", sys.executable, "-c", program]  # fmt: skip

    first, second = (
        subprocess.run(words, capture_output=True, text=True, check=False) for _ in range(2)
    )

    assert (first.returncode, first.stdout) == (7, "[]\n"), first.stderr
    assert second.stdout == "['left_there']\n", second.stderr
    assert str(tmp_path / "kept") in first.stderr


def test_a_command_without_an_emulator_is_told_how_to_make_one(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bigquery_emulator, "PLACE", tmp_path)

    assert bigquery_emulator.main(str(tmp_path), "torn-demo.demo", "true") == 69
    assert "make setup-bigquery" in capsys.readouterr().err
