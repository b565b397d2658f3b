"""`init` on a real terminal: three questions, a checked key that is never shown, a first run."""

from __future__ import annotations

import os
import pty
import re
import select
import stat
import subprocess
import time

import pytest

from shared import PROGRAM
from tcdatalogger.core.config import configuration

PATIENCE = 120.0
"""Seconds until a terminal that says nothing fails its test."""
FOLDER = "In which folder"
KEY = "The key (it is not shown"
WHOSE = "Whose data"


class Terminal:
    """A command on a terminal of its own; `type` answers what it asks."""

    def __init__(self, folder, *words):
        self.said, self._answered = "", 0
        self._ours, theirs = pty.openpty()
        environ = {k: v for k, v in os.environ.items() if not k.startswith(("TORN_", "TCDATA"))}
        self._process = subprocess.Popen(
            [*PROGRAM, *words], cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs,
            env={**environ, "COLUMNS": "100", "TERM": "xterm"}, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._ours)

    def _read(self, until):
        """Read on until `until` says that it is enough; False where the terminal has ended."""
        ends = time.monotonic() + PATIENCE
        while not until():
            ready, _, _ = select.select([self._ours], [], [], max(0.0, ends - time.monotonic()))
            assert ready, self.said
            try:
                piece = os.read(self._ours, 4096)
            except OSError:  # a terminal ends so
                return False
            if not piece:
                return False
            self.said += piece.decode()
        return True

    def type(self, asked, answer):
        """Wait for a question, and answer it."""
        assert self._read(lambda: asked in self.said[self._answered :]), self.said
        self._answered = self.said.index(asked, self._answered) + len(asked)
        os.write(self._ours, f"{answer}\n".encode())

    def end(self):
        """The exit code, when the command has ended."""
        self._read(lambda: False)
        return self._process.wait(timeout=PATIENCE)


@pytest.fixture
def folder(workplace):
    """An empty folder, and a city to ask."""
    place = workplace.folder / "empty"
    place.mkdir()
    workplace.empty = place
    return workplace


def test_three_answers_make_a_faction_that_is_logged(folder):
    key = folder.city.keys["limited"]
    with Terminal(folder.empty, "init", "--api", folder.city.url) as terminal:
        terminal.type(WHOSE, "trader")
        terminal.type(KEY, key)
        terminal.type(FOLDER, "")
        code = terminal.end()
    assert code == 0, terminal.said
    assert key not in terminal.said

    file = folder.empty / "tcdatalogger.toml"
    settings = configuration.load(file, {})
    assert settings.keys == {"default": f"file:{folder.empty}/keys/default"}
    assert settings.torn.url == folder.city.url
    kept = folder.empty / "keys/default"
    assert kept.read_text() == f"{key}\n"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert file.read_text().startswith("#:schema ./tcdatalogger.schema.json\n")
    assert (folder.empty / "tcdatalogger.schema.json").exists()
    assert key not in file.read_text()

    said = terminal.said
    assert "Torn knows it: Limited Access, player" in said
    assert re.search(r"torn_items +done", said)
    next_steps = said.rpartition("Next:")[2]
    assert " ask " in next_steps
    assert "--config" not in next_steps  # it is the folder that one stands in
    assert (folder.empty / "data/torn.duckdb").exists()


def test_a_key_that_torn_refuses_is_asked_for_again_and_nothing_is_written(folder):
    with Terminal(folder.empty, "init", "--api", folder.city.url, "--for", "faction") as terminal:
        for wrong in ("NoKeyOfTorns0001", "a b", "NoKeyOfTorns0002"):
            terminal.type(KEY, wrong)
        code = terminal.end()
    assert code == 2, terminal.said
    assert WHOSE not in terminal.said
    assert "NoKeyOfTorns" not in terminal.said
    assert list(folder.empty.iterdir()) == []


@pytest.mark.slow
def test_what_the_key_may_not_read_is_disabled_and_told(folder):
    with Terminal(folder.empty, "init", "--api", folder.city.url, "--for", "trader") as terminal:
        terminal.type(KEY, folder.city.keys["public"])
        terminal.type(FOLDER, "torn")
        code = terminal.end()
    settings = configuration.load(folder.empty / "torn/tcdatalogger.toml", {})
    refused = [each.name for each in settings.endpoints if not each.enabled]
    assert len(refused) < len(settings.endpoints)
    for name in refused:
        assert "may not read" in terminal.said, name
    assert code == 0, terminal.said
    assert "--config torn/tcdatalogger.toml ask" in terminal.said


def test_a_key_can_wait_and_then_nothing_runs(folder):
    with Terminal(folder.empty, "init", "--for", "faction", "here") as terminal:
        terminal.type(KEY, "")
        code = terminal.end()
    assert code == 0, terminal.said
    assert FOLDER not in terminal.said
    assert "export TORN_API_KEY=" in terminal.said
    settings = configuration.load(folder.empty / "here/tcdatalogger.toml", {})
    assert settings.keys == {"default": "env:TORN_API_KEY"}
    assert not (folder.empty / "here/data").exists()


def test_a_configuration_that_is_there_is_told_before_anything_is_asked(folder):
    (folder.empty / "tcdatalogger.toml").write_text("mine")
    with Terminal(folder.empty, "init", ".") as terminal:
        assert terminal.end() == 2
    assert KEY not in terminal.said
    with Terminal(folder.empty, "init", "--for", "faction", "--no-input", "--force") as terminal:
        assert terminal.end() == 0
    assert "mine" not in (folder.empty / "tcdatalogger.toml").read_text()
