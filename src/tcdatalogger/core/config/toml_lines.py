"""Finds the line of each key of a TOML text, so a mistake can be shown with its line.

`tomllib` has parsed the text before, so it is valid TOML. This module only looks for the places of
keys; it is not a second parser.
"""

from __future__ import annotations

import json
import re
import tomllib
from bisect import bisect_right

Place = tuple[str | int, ...]
"""The path to a value from the top: keys of tables and indices of lists."""

_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_INLINE_BLANK = re.compile(r"[ \t]*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}'  # the longest run of quotes ends it: up to two belong to the text
    r"|'''.*?'{3,5}"
    r'|"(?:\\.|[^"\\])*"'
    r"|'[^']*'",
    re.DOTALL,
)
_PLAIN = re.compile(r"[^,\]}\n#]*")


def places(text: str) -> dict[Place, int]:
    """The line of each table, key and list item of a valid TOML text, counted from 1."""
    return _Scanner(text).all()


def line_of(found: dict[Place, int], place: Place) -> int | None:
    """The line of a place, or of the nearest place around it that has a line; None for none."""
    for length in range(len(place), 0, -1):
        if place[:length] in found:
            return found[place[:length]]
    return None


def with_text(text: str, section: str, key: str, value: str) -> str:
    """A TOML text in which a key of a section has another text; everything else stays as it is.

    Args:
        text: a valid TOML text.
        section: a table at the top.
        key: of it; a missing one is added.
        value: the new text.

    Raises:
        ValueError: the key is not written in a form that can be changed.
    """
    said = json.dumps(value, ensure_ascii=False)
    lines, found = text.splitlines(keepends=True), places(text)
    if (section, key) in found:
        number = found[section, key] - 1
        pattern = re.compile(
            rf"(\b{re.escape(key)}\b[\"']?\s*=\s*)(?:{_STRING.pattern})", re.DOTALL
        )
        lines[number], changed = pattern.subn(lambda hit: hit[1] + said, lines[number], count=1)
        if not changed:
            raise ValueError(f"line {number + 1} has {key} in another form")
    elif (section,) in found:
        number = found[section,] - 1
        if not re.match(rf"\s*\[\s*{re.escape(section)}\s*\]", lines[number]):
            raise ValueError(f"line {number + 1} has {section} in another form")
        if not lines[number].endswith("\n"):
            lines[number] += "\n"
        lines.insert(number + 1, f"{key} = {said}\n")
    else:
        gap = "" if not text or text.endswith("\n") else "\n"
        lines.append(f"{gap}\n[{section}]\n{key} = {said}\n")
    return "".join(lines)


class _Scanner:
    """One pass over a text; `at` is the present position."""

    def __init__(self, text: str) -> None:
        # tomllib reads \r\n as \n too; the count of lines is the same.
        self.text = text
        self.at = 0
        self.found: dict[Place, int] = {}
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._lengths: dict[Place, int] = {}  # of each list of tables so far

    def all(self) -> dict[Place, int]:
        table: Place = ()
        while self._skip(_BLANK) < len(self.text):
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)
        return self.found

    def _header(self) -> Place:
        line = self._line()
        many = self.text.startswith("[[", self.at)
        self.at += 2 if many else 1
        keys = self._keys()
        self.at += 2 if many else 1
        *first, last = keys
        table = (*self._inside(first, line), last)
        self._note(table, line)
        if many:
            length = self._lengths[table] = self._lengths.get(table, 0) + 1
            table = (*table, length - 1)
            self._note(table, line)
        return table

    def _inside(self, keys: list[str], line: int) -> Place:
        """The table to which the first keys of a header lead; in a list of tables the last one."""
        table: Place = ()
        for key in keys:
            table = (*table, key)
            self._note(table, line)
            if table in self._lengths:
                table = (*table, self._lengths[table] - 1)
        return table

    def _pair(self, table: Place) -> None:
        line = self._line()
        for key in self._keys():
            table = (*table, key)
            self._note(table, line)
        self.at += 1  # the equals sign
        self._value(table)

    def _value(self, place: Place) -> None:
        self._skip(_INLINE_BLANK)
        match self.text[self.at]:
            case "[":
                self._items(place)
            case "{":
                self._inline(place)
            case '"' | "'":
                self._skip(_STRING)
            case _:
                self._skip(_PLAIN)

    def _items(self, place: Place) -> None:
        self.at += 1
        index = 0
        while self._peek() != "]":
            self._note((*place, index), self._line())
            self._value((*place, index))
            index += 1
            if self._peek() == ",":
                self.at += 1
        self.at += 1

    def _inline(self, place: Place) -> None:
        self.at += 1
        while self._peek() != "}":
            self._pair(place)
            if self._peek() == ",":
                self.at += 1
        self.at += 1

    def _keys(self) -> list[str]:
        """A dotted key; reading stops at the first character after it."""
        keys = []
        while True:
            self._skip(_INLINE_BLANK)
            quoted = self.text[self.at] in "\"'"
            start = self.at
            self._skip(_STRING if quoted else _BARE)
            raw = self.text[start : self.at]
            keys.append(next(iter(tomllib.loads(f"{raw} = 0"))) if quoted else raw)
            self._skip(_INLINE_BLANK)
            if self.text[self.at] != ".":
                return keys
            self.at += 1

    def _peek(self) -> str:
        self._skip(_BLANK)
        return self.text[self.at]

    def _skip(self, what: re.Pattern[str]) -> int:
        match = what.match(self.text, self.at)
        if match is not None:
            self.at = match.end()
        return self.at

    def _line(self) -> int:
        return bisect_right(self._starts, self.at)

    def _note(self, place: Place, line: int) -> None:
        self.found.setdefault(place, line)
