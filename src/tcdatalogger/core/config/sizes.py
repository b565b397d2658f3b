"""Reads and shows sizes of files and of memory: `50MB`, `1.5GB`, `512MiB`."""

from __future__ import annotations

import re
from typing import Final

_UNITS: Final = {
    "": 1, "B": 1,
    "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40,
}  # fmt: skip
_SIZE: Final = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?) ?([A-Za-z]{0,3})")


def parse(text: str) -> int:
    """The bytes that a text means: a number and KB, MB, GB or TB, or KiB, MiB and so on.

    Raises:
        ValueError: the text is no size, or zero. The message is a sentence without the text.
    """
    found = _SIZE.fullmatch(text.strip())
    unit = _UNITS.get(found[2].upper()) if found else None
    if found is None or unit is None:
        raise ValueError("not a size; write 50MB, 1.5GB or 512MiB")
    size = int(float(found[1]) * unit) if "." in found[1] else int(found[1]) * unit
    if size == 0:
        raise ValueError("a size of nothing is no size")
    return size


def shown(size: float) -> str:
    """A number of bytes as people read it, in decimal units: `812 B`, `4.2 kB`, `1.3 GB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.95:  # noqa: PLR2004  # above it rounds to 1,000
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1_000
    return f"{size:.1f} TB"
