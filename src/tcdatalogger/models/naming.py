"""Names in snake case, and what one of many is called."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final

LONGEST: Final = 128
"""Letters of the name of a table or a column, at most: every warehouse and file system takes it."""

_PLAIN = re.compile(r"[^a-z0-9_]+")
_IRREGULAR = {"news": "news", "bonuses": "bonus", "viruses": "virus", "statuses": "status"}


def snake(name: str) -> str:
    """Lower snake case of a field's name; what is no letter or digit becomes `_`."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    plain = _PLAIN.sub("_", words)
    return f"_{plain}" if not plain or plain[0].isdigit() else plain


def short(name: str) -> str:
    """The name; of a long one its beginning and a digest of the whole, which is always the same."""
    if len(name) <= LONGEST:
        return name
    digest = sha256(name.encode()).hexdigest()[:8]
    return f"{name[: LONGEST - len(digest) - 1]}_{digest}"


def prefixed(name: str, level: str) -> str:
    """A name that is taken, with its level before it."""
    # A level whose name has no letters would not make it longer.
    return f"{level}_{name.lstrip('_')}" if level.strip("_") else f"{name}_"


def singular(name: str) -> str:
    """What one element of a list of this name is called. A rule for Torn's words, not for all."""
    head, bar, last = name.rpartition("_")
    word = _IRREGULAR.get(last) or _singular_word(last)
    return f"{head}{bar}{word}"


def _singular_word(word: str) -> str:
    if word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    if len(word) > 1 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word
