"""Names in snake case, and what one of many is called."""

from __future__ import annotations

import re

_PLAIN = re.compile(r"[^a-z0-9_]+")
_IRREGULAR = {"news": "news", "bonuses": "bonus", "viruses": "virus", "statuses": "status"}


def snake(name: str) -> str:
    """Lower snake case of a field's name; what is no letter or digit becomes `_`."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    plain = _PLAIN.sub("_", words)
    return f"_{plain}" if not plain or plain[0].isdigit() else plain


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
