"""Names of tables and columns: snake case, the singular of a word, names that are not too long."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final

LONGEST: Final = 128
"""The most letters in the name of a table or a column: every warehouse and file system takes it."""

_PLAIN = re.compile(r"[^a-z0-9_]+")
_IRREGULAR = {"news": "news", "bonuses": "bonus", "viruses": "virus", "statuses": "status"}


def snake(name: str) -> str:
    """The name of a field in lower snake case; other characters become `_`."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    plain = _PLAIN.sub("_", words)
    return f"_{plain}" if not plain or plain[0].isdigit() else plain


def short(name: str) -> str:
    """The name, or for a long name its start and a digest of the whole name."""
    if len(name) <= LONGEST:
        return name
    digest = sha256(name.encode()).hexdigest()[:8]
    return f"{name[: LONGEST - len(digest) - 1]}_{digest}"


def prefixed(name: str, level: str) -> str:
    """The name with the name of its level before it, for a name that is taken."""
    # A level name without letters would not make the name longer.
    return f"{level}_{name.lstrip('_')}" if level.strip("_") else f"{name}_"


def singular(name: str) -> str:
    """The name of one element of a list with this name; a rule for Torn's words only."""
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
