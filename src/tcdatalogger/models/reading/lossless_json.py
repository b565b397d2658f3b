"""Reads JSON without changing a value: numbers keep their digits, repeated keys stay repeated.

This reader is for the few bodies that the fast reader refuses: it makes Python objects and is slow.
It writes what it read, except white space and the escapes inside of texts.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from decimal import Context, Decimal, InvalidOperation
from typing import Any, Final

Value = Any
"""None, bool, str, `Number`, list or dict (`Repeated` where a key is repeated)."""

INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**63 - 1
DEEPEST: Final = 450
"""The most levels of nesting that are read; bodies of Torn have about ten."""


class Number(str):
    """A number with the digits that were sent."""

    __slots__ = ()

    @property
    def whole(self) -> bool:
        """Whether the number is written as an integer; `1.0` and `1e3` are not."""
        return self.lstrip("-").isdigit()


class Repeated(dict[str, Value]):
    """An object with a repeated key.

    Attributes:
        pairs: all members in order.
    """

    pairs: list[tuple[str, Value]]


def parse(raw: bytes) -> Value:
    """The value of a JSON text.

    Raises:
        ValueError: the text is no JSON, not UTF-8, or nested deeper than `DEEPEST`.
    """
    try:
        value = json.loads(
            raw.decode("utf-8-sig"),
            parse_int=Number,
            parse_float=Number,
            parse_constant=_refuse,
            object_pairs_hook=from_pairs,
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if _deeper(value, DEEPEST):
        raise ValueError(f"it is nested more than {DEEPEST} deep")
    return value


def _deeper(value: Value, limit: int) -> bool:
    """Whether a value is nested deeper than `limit`: functions that walk over it are recursive."""
    level = [value]
    for _ in range(limit):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer if isinstance(outer, list) else (v for _, v in pairs(outer)))
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


_BRACKETS: Final = b"[]{}"
_OTHERS: Final = bytes(set(range(256)) - set(_BRACKETS))


def may_be_deep(raw: bytes) -> bool:
    """Whether a JSON text may be nested deeper than `DEEPEST`; False is sure, True is not.

    The function removes empty pairs of brackets again and again, which is fast. Brackets inside of
    texts may be left over.
    """
    if raw.count(b"[") + raw.count(b"{") <= DEEPEST:
        return False
    left = raw.translate(None, _OTHERS)
    for _ in range(DEEPEST // 2):
        shorter = left.replace(b"[]", b"").replace(b"{}", b"")
        if len(shorter) == len(left):
            break
        left = shorter
    return bool(left)


def _refuse(word: str) -> Value:
    raise ValueError(f"{word} is no JSON")


def pairs(value: dict[str, Value]) -> list[tuple[str, Value]]:
    """The members of an object, also those with a repeated key."""
    return value.pairs if isinstance(value, Repeated) else list(value.items())


def from_pairs(pairs: list[tuple[str, Value]]) -> dict[str, Value]:
    """The object with these members."""
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    repeated = Repeated(found)
    repeated.pairs = pairs
    return repeated


def dump(value: Value) -> str:
    """The JSON text of a value, without white space."""
    return "".join(_parts(value))


def _parts(value: Value) -> Iterator[str]:
    match value:
        case Number():
            yield str(value)
        case dict():
            pairs = value.pairs if isinstance(value, Repeated) else value.items()
            for at, (name, inner) in enumerate(pairs):
                yield f"{',' if at else '{'}{_text(name)}:"
                yield from _parts(inner)
            yield "}" if value else "{}"
        case list():
            for at, inner in enumerate(value):
                yield "," if at else "["
                yield from _parts(inner)
            yield "]" if value else "[]"
        case str():
            yield _text(value)
        case _:
            yield json.dumps(value)


def is_text(value: str) -> bool:
    """Whether a text can be written as UTF-8; half of a surrogate pair cannot."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


_ESCAPED: Final = re.compile(r"\\u[dD][89a-fA-F]")


def has_half(text: str) -> bool:
    """Whether a JSON text has half of a surrogate pair as an escape."""
    if not _ESCAPED.search(text):
        return False
    return not is_text(json.dumps(json.loads(text), ensure_ascii=False))


def _text(value: str) -> str:
    """The JSON of a text; only half of a surrogate pair is escaped, because it has no UTF-8."""
    return json.dumps(value, ensure_ascii=not is_text(value))


def fits(number: Number, low: int = INT_MIN, high: int = INT_MAX) -> bool:
    """Whether a whole number is within these bounds; it may have any number of digits."""
    return len(number) <= len(str(INT_MIN)) and low <= int(number) <= high


def integer(number: Number) -> int | None:
    """The integer of 64 bits that `12`, `12.0` or `1.2e1` means; None for other numbers."""
    if number.whole:
        return int(number) if fits(number) else None
    value = _value(number)
    if value is None or value.adjusted() > _INT_DIGITS or value != value.to_integral_value():
        return None
    whole = int(value)
    return whole if INT_MIN <= whole <= INT_MAX else None


def fits_float(number: Number) -> bool:
    """Whether a 64-bit float holds a number: they differ by less than half of the last digit.

    Zeros at the end of a fraction do not count as digits, zeros at the end of an integer do.
    """
    near, value = float(number), _value(number)
    if value is None or not near or math.isinf(near):
        return value == 0
    mantissa, _, power = number.lower().partition("e")
    fraction = mantissa.partition(".")[2].rstrip("0")
    last = Decimal(f"1e{int(power or 0) - len(fraction)}")
    exact = Context(prec=len(number) + _FLOAT_DIGITS)
    off = exact.abs(exact.subtract(Decimal(near), value))
    return exact.multiply(off, Decimal(2)) <= last


_INT_DIGITS: Final = 18
"""The largest power of ten of the first digit of an integer of 64 bits."""

_FLOAT_DIGITS: Final = 1500
"""More digits than the exact decimal value of any 64-bit float has."""


def _value(number: Number) -> Decimal | None:
    """The exact value, None for a number with an exponent that is too large."""
    try:
        value = Decimal(number)
    except InvalidOperation:
        return None
    return value or Decimal(0)


def kind(value: Value) -> str:
    """The kind of a value in words for people, as `a list`."""
    match value:
        case None:
            return "null"
        case bool():
            return "a truth value"
        case Number():
            return "an integer" if value.whole else "a decimal"
        case str():
            return "a text"
        case list():
            return "a list"
        case _:
            return "an object"
