"""PNG of a picture, by resvg."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from contextlib import ExitStack
from html import unescape
from importlib.resources import as_file, files
from typing import Final

from tcdatalogger.errors import ConfigError, DataRefused
from tcdatalogger.questions.pictures import letters
from tcdatalogger.text import one_line

PACKAGE: Final = "resvg-py>=0.5,<0.6"
"""What pip installs for it: the extra `png`."""
SCALE: Final = 2
"""Points of the PNG for one unit of the picture."""
_FONTS: Final = ("inter-regular.ttf", "inter-bold.ttf")
LONGEST: Final = 30.0
"""Seconds that a process of its own may draw."""
_TAGS: Final = re.compile(r"<[^>]*>")


def png(svg_text: str) -> bytes:
    """The PNG of a picture, of twice its size.

    The font is the one that this program has. Fonts of the system are read only where a text has
    letters that it lacks.

    Args:
        svg_text: what `picture.svg` gave.

    Raises:
        ConfigError: the package resvg-py is not installed.
    """
    try:
        import resvg_py  # noqa: PLC0415  # with the extra
    except ImportError:
        raise _not_installed() from None
    ours = letters.covered(unescape(_TAGS.sub("", svg_text)))
    folder = files(__package__).joinpath("fonts")
    with ExitStack() as stack:
        fonts = [str(stack.enter_context(as_file(folder.joinpath(name)))) for name in _FONTS]
        return bytes(
            resvg_py.svg_to_bytes(
                svg_string=svg_text, zoom=SCALE, font_files=fonts, skip_system_fonts=ours
            )
        )


def png_apart(svg_text: str) -> bytes:
    """The same, drawn by a process of its own: resvg stops all threads of the one that it draws in.

    Raises:
        ConfigError: the package resvg-py is not installed.
        DataRefused: it could not be drawn.
    """
    if (lacks := lacking()) is not None:
        raise lacks
    command = [sys.executable, "-P", "-m", __name__]
    try:
        done = subprocess.run(  # noqa: S603  # this program
            command, input=svg_text.encode(), capture_output=True, check=False, timeout=LONGEST
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DataRefused(f"The picture could not be drawn: {type(error).__name__}.") from None
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        says = one_line(last) or f"its process ended with {done.returncode}"
        raise DataRefused(f"The picture could not be drawn: {says}.")
    return done.stdout


def lacking() -> ConfigError | None:
    """Why no PNG can be drawn here; None where it can be."""
    return _not_installed() if importlib.util.find_spec("resvg_py") is None else None


def _not_installed() -> ConfigError:
    return ConfigError(
        "A PNG needs the package resvg-py, which is not installed.",
        remedy=f"`{sys.executable} -m pip install '{PACKAGE}'` installs it.",
    )


if __name__ == "__main__":
    sys.stdout.buffer.write(png(sys.stdin.buffer.read().decode()))
