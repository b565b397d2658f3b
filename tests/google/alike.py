"""Texts of SQL that differ only in names of tables, numbers and texts: one of them is analysed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

_TOKEN: Final = re.compile(
    r"""(?P<space>\s+|--[^\n]*|\#[^\n]*|/\*.*?\*/)
    |(?P<text>(?:rb|br|r|b)?(?:'''.*?'''|\"\"\".*?\"\"\"|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"))
    |(?P<name>`[^`]*`|[A-Za-z_]\w*)
    |(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
    |(?P<other>@{0,2}.)""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_ESCAPE: Final = re.compile(r"\\(?:u....|U........|x..|[0-7]{3}|.)", re.DOTALL)
_SHORT: Final = 18
"""Digits of a number that is surely an INT64."""
_AGAIN: Final = re.compile(
    r"(?:(?<= in \( )(?P<one>[^ ]+)|(?<= values )(?P<row>\( [^()]* \)))"
    r"(?: , (?:(?P=one)|(?P=row)))+"
)
"""Further values of a list, and further rows of an INSERT."""


def alike(sql: str, tables: Iterable[str]) -> tuple[str, Mapping[str, str]]:
    """What is the same for two texts that mean the same but for names, numbers and texts.

    What may be wrong in a text of its own stays: its escapes, a path of JSON, the form of a time.

    Args:
        sql: a statement or a script.
        tables: the names to take as alike, if the text has them.

    Returns:
        The text with other names, and these by the names in the text.
    """
    known = frozenset(tables)
    called: dict[str, str] = {}
    words = " ".join(_words(sql, known, called))
    return _AGAIN.sub(lambda found: found["one"] or found["row"], words), called


def _words(sql: str, known: frozenset[str], called: dict[str, str]) -> Iterator[str]:
    for found in _TOKEN.finditer(sql):
        word = found[0]
        match found.lastgroup:
            case "space":
                pass
            case "text":
                yield _text(word)
            case "number":
                yield "n" if word.isdigit() and len(word) <= _SHORT else f"n{word}"
            case "name" if word.strip("`") in known:
                plain = word.strip("`")
                called.setdefault(plain, f"t{len(called)}")
                yield word.replace(plain, called[plain])
            case _:
                yield word


def _text(word: str) -> str:
    if word[1:2] == "$":
        return word
    quote = word[0]
    if re.fullmatch(r".\d{4}-\d\d-\d\d.*", word):
        return re.sub(r"\d", "0", word)
    return f"{quote}{''.join(sorted(set(_ESCAPE.findall(word))))}{quote}"
