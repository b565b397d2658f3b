"""Splits SQL into tokens: what the compiler replaces and the lint looks at."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_TOKEN: Final = re.compile(
    r"(?P<comment>--[^\n]*|/\*.*?\*/)"
    r"|(?P<text>'(?:[^']|'')*')"
    r'|(?P<quoted>"[^"]*"|`[^`]*`)'
    r"|(?P<relation>\{[^{}]*\})"
    r"|(?P<parameter>\$[A-Za-z_]\w*)"
    r"|(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)"
    r"|(?P<word>[A-Za-z_]\w*)"
    r"|(?P<space>\s+)"
    r"|(?P<sign>::|\|\||<>|<=|>=|!=|.)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of SQL.

    Attributes:
        kind: `comment`, `text`, `quoted`, `relation`, `parameter`, `number`, `word`, `space` or
            `sign`.
        text: the piece as it is written.
        line: the line on which it begins, counted from 1.
    """

    kind: str
    text: str
    line: int

    @property
    def word(self) -> str:
        """The word in lower case; "" for what is no word."""
        return self.text.lower() if self.kind == "word" else ""


def tokens(sql: str) -> Iterator[Token]:
    """The tokens of a text; joined again they are the text."""
    line = 1
    for found in _TOKEN.finditer(sql):
        yield Token(str(found.lastgroup), found[0], line)
        line += found[0].count("\n")


def meaningful(sql: str) -> list[Token]:
    """The tokens without spaces and comments."""
    return [token for token in tokens(sql) if token.kind not in {"space", "comment"}]
