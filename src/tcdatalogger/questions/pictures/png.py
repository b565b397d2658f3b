"""PNG of a picture, by resvg."""

from __future__ import annotations

import re
import sys
from contextlib import ExitStack
from html import unescape
from importlib.resources import as_file, files
from typing import Final

from tcdatalogger.errors import ConfigError
from tcdatalogger.questions.pictures import letters

PACKAGE: Final = "resvg-py>=0.5,<0.6"
"""What pip installs for it: the extra `png`."""
SCALE: Final = 2
"""Points of the PNG for one unit of the picture."""
_FONTS: Final = ("inter-regular.ttf", "inter-bold.ttf")
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
        raise ConfigError(
            "A PNG needs the package resvg-py, which is not installed.",
            remedy=f"`{sys.executable} -m pip install '{PACKAGE}'` installs it.",
        ) from None
    ours = letters.covered(unescape(_TAGS.sub("", svg_text)))
    folder = files(__package__).joinpath("fonts")
    with ExitStack() as stack:
        fonts = [str(stack.enter_context(as_file(folder.joinpath(name)))) for name in _FONTS]
        return bytes(
            resvg_py.svg_to_bytes(
                svg_string=svg_text, zoom=SCALE, font_files=fonts, skip_system_fonts=ours
            )
        )
