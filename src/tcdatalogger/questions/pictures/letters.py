"""How wide a text is in the font of pictures, and how it is cut and broken into lines.

The font is Inter, in two weights (`fonts/`, made by `scripts/fonts.py`).
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final

from tcdatalogger.text import one_line

FAMILY: Final = "Inter, system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"
_WIDE: Final = 1_000
"""Thousandths of the size, of letters of East Asia."""
_OTHER: Final = 640
"""Thousandths of the size, of other letters that the font lacks."""
_MORE: Final = "…"
_NO_XML: Final = re.compile("[\ufdd0-\ufdef\ufffe\uffff]|[\U0001fffe\U0001ffff]")
"""What no XML may hold, besides what `one_line` writes otherwise."""


@cache
def _widths() -> Mapping[str, Mapping[str, int]]:
    text = files(__package__).joinpath("fonts/widths.json").read_text(encoding="utf-8")
    found: Mapping[str, Mapping[str, int]] = json.loads(text)
    return found


def clean(text: str) -> str:
    """A text of a stranger for a picture: on one line, without what XML forbids."""
    return _NO_XML.sub("\ufffd", one_line(text)).strip()


def covered(text: str) -> bool:
    """Whether the font has all letters of a text."""
    return text.replace("\n", "").translate(_known()) == ""


@cache
def _known() -> Mapping[int, None]:
    return {ord(letter): None for letter in _widths()["regular"]}


def width(text: str, size: float, *, bold: bool = False) -> float:
    """How wide a text is, in the units of the size."""
    known = _widths()["bold" if bold else "regular"]
    return sum(known[c] if c in known else _unknown(c) for c in text) * size / 1_000


def _unknown(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return _WIDE if unicodedata.east_asian_width(letter) in "WF" else _OTHER


def cut(text: str, most: float, size: float, *, bold: bool = False) -> str:
    """A text that is not wider than `most`: what is too long ends in `…`."""
    if width(text, size, bold=bold) <= most:
        return text
    room = most - width(_MORE, size, bold=bold)
    end = 0
    for letter in text:
        room -= width(letter, size, bold=bold)
        if room < 0:
            break
        end += 1
    return text[:end].rstrip() + _MORE


def wrapped(text: str, most: float, size: float, lines: int, *, bold: bool = False) -> list[str]:
    """A text in lines that are not wider than `most`, and not more than `lines`."""
    found: list[str] = []
    words = text.split()
    while words:
        line = words.pop(0)
        while words and width(f"{line} {words[0]}", size, bold=bold) <= most:
            line += f" {words.pop(0)}"
        if len(found) == lines - 1 and words:
            line = " ".join([line, *words])
            words = []
        found.append(cut(line, most, size, bold=bold))
    return found
