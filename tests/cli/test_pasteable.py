"""The commands that this program proposes can be pasted as they stand, however it is called."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from shared import PROGRAM, rest_slow

INSTALLED = Path(sys.executable).with_name("tcdatalogger")


def called(place, *words, path="/usr/bin"):
    """Call a command, with nothing of ours on the shell's path but what `path` says."""
    return subprocess.run(
        words, cwd=place.folder, env={**place.outside(), "PATH": path},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def proposed(done):
    """The command of a text, between two backticks."""
    return re.findall(r"`([^`]*run --all)`", done.stderr)


ONE = '[[endpoints]]\nname = "faction_basic"\npath = "/faction/basic"\n'
WAYS = ["by its path", "from elsewhere", "by its name", "as a module"]


@pytest.mark.parametrize("how", rest_slow(WAYS))
def test_a_remedy_works_when_it_is_pasted(workplace, how):
    workplace.write(ONE)
    (workplace.folder / "bin").mkdir()
    (workplace.folder / "bin" / "tcdatalogger").symlink_to(INSTALLED)
    words, path, wanted = {
        "by its path": (["bin/tcdatalogger"], "/usr/bin", "bin/tcdatalogger"),
        "from elsewhere": ([str(INSTALLED)], "/usr/bin", str(INSTALLED)),
        "by its name": (["tcdatalogger"], str(INSTALLED.parent), "tcdatalogger"),
        "as a module": ([*PROGRAM[:1], "-m", "tcdatalogger"], "/usr/bin", None),
    }[how]
    if how == "by its name":
        words = [str(INSTALLED)]

    done = called(workplace, *words, "query", "select 1", path=path)
    (command,) = proposed(done)
    if wanted is not None:
        assert command == f"{wanted} run --all"

    again = called(workplace, *shlex.split(command), path=path)
    assert again.returncode == 0, again.stderr


@pytest.mark.slow
def test_a_remedy_names_the_configuration_that_the_command_named(workplace):
    workplace.write(ONE)
    elsewhere = workplace.folder / "my settings.toml"
    workplace.file.rename(elsewhere)

    done = called(workplace, str(INSTALLED), "query", "--config", elsewhere.name, "select 1")
    (command,) = proposed(done)

    assert shlex.split(command)[1:] == ["--config", elsewhere.name, "run", "--all"]
    assert called(workplace, *shlex.split(command)).returncode == 0
