"""Suggests near words, and makes text of strangers harmless for a terminal and a spreadsheet.

Players choose names and write news. Such a text can hold control characters that a terminal obeys
(`ESC ] 0 ; … BEL` sets the title, others reverse the order of letters), and a spreadsheet takes a
cell that begins with `=` for a formula. Only the shown text is changed; the stored data stay as
Torn sent them.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Final

_OBEYED: Final = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # what terminals obey; the newline and the tab are harmless
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # turn the direction of letters
    "\u2028\u2029"  # begin a line for some programs
    "\ud800-\udfff"  # half of a character: no stream can write it
    "\U000e0000-\U000e007f"  # letters that nobody sees
    "]"
)
_FORMULA: Final = re.compile(r"^[\s\x00-\x1f]*[=+\-@\uff0b\uff0d\uff1d\uff20]")
_NUMBER: Final = re.compile(r"[+-]?\d+(\.\d+)?")


def harmless(text: str) -> str:
    r"""A text for a terminal: control characters are written as `\x1b` or `\u202e`."""
    return _OBEYED.sub(_written, text)


def one_line(text: str) -> str:
    r"""As `harmless`, on one line: a newline is written as `\n`, so no text can fake a row."""
    return harmless(text).replace("\n", "\\n").replace("\t", "\\t")


def in_json(text: str) -> str:
    """A JSON document with control characters as escapes; a program reads the same values."""
    return _OBEYED.sub(lambda found: json_escape(found[0]), text)


def for_spreadsheet(text: str) -> str:
    """A text for a cell: a text that looks like a formula gets a `'` in front.

    A number stays as it is, also with a sign.
    """
    if _FORMULA.match(text) is None or _NUMBER.fullmatch(text):
        return text
    return f"'{text}"


def near(word: str, known: Iterable[str], *, most: int = 1, cutoff: float = 0.6) -> list[str]:
    """The known words that are similar to an unknown word, the most similar first.

    Args:
        word: the unknown word.
        known: the known words.
        most: the most words to return.
        cutoff: the least similarity, from 0 to 1.
    """
    return difflib.get_close_matches(word, list(known), n=most, cutoff=cutoff)


def did_you_mean(word: str, known: Iterable[str], otherwise: str = "", *, most: int = 1) -> str:
    """`Did you mean 'this' or 'that'?`, or `otherwise` where no known word is similar.

    A word that differs only by its capital letters is similar, too.

    Args:
        word: the unknown word.
        known: the known words.
        otherwise: the text where no known word is similar.
        most: the most words to name.
    """
    words = list(known)
    found = near(word, words, most=most)
    found = found or [each for each in words if each.lower() == word.lower()][:1]
    return f"Did you mean {either(found)}?" if found else otherwise


def either(words: Sequence[object]) -> str:
    """The words as `'a'`, `'a' or 'b'`, `'a', 'b' or 'c'`; numbers have no quotes."""
    quoted = [repr(word) if isinstance(word, str) else str(word) for word in words]
    return " or ".join(part for part in (", ".join(quoted[:-1]), quoted[-1]) if part)


def json_escape(character: str) -> str:
    """One character as JSON writes it in ASCII."""
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def _written(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"  # noqa: PLR2004  # two digits
