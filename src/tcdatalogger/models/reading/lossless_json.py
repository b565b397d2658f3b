"""JSON read without changing a value: numbers keep their digits, repeated keys stay repeated.

The careful reader for the few bodies that the fast one refuses; it makes Python objects and is
slow. What it writes is what it read, but for white space and the escapes inside of texts.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from decimal import Context, Decimal, InvalidOperation
from typing import Any, Final

Value = Any
"""None, bool, str, Number, list or dict (an `Repeated` where a key came twice)."""

INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**63 - 1
DEEPEST: Final = 450
"""Levels of nesting that are read; Torn's bodies have about ten."""


class Number(str):
    """A number as it was written."""

    __slots__ = ()

    @property
    def whole(self) -> bool:
        """Whether it was written as an integer: `1.0` and `1e3` were not."""
        return self.lstrip("-").isdigit()


class Repeated(dict[str, Value]):
    """An object in which a key came more than once; `pairs` has all of them in order."""

    pairs: list[tuple[str, Value]]


def parse(raw: bytes) -> Value:
    """The value of a JSON text.

    Raises:
        ValueError: it is no JSON, or not in UTF-8, or nested past all measure.
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
    """Whether a value is nested more than so deep: what walks over it calls itself."""
    level = [value]
    for _ in range(limit):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one if isinstance(one, list) else (v for _, v in pairs(one)))
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


_BRACKETS: Final = b"[]{}"
_OTHERS: Final = bytes(set(range(256)) - set(_BRACKETS))


def may_be_deep(raw: bytes) -> bool:
    """Whether a JSON text may be nested past all measure: at the speed of memory.

    Brackets that hold nothing are taken away, at most two levels at a time. Those in texts may be
    left over, so only a False is sure.
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
    """The members of an object, all of them where a key came twice."""
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
    """Whether a text has UTF-8: half of a surrogate pair has none."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


_ESCAPED: Final = re.compile(r"\\u[dD][89a-fA-F]")


def has_half(text: str) -> bool:
    """Whether half of a surrogate pair is written in a JSON text, as an escape."""
    if not _ESCAPED.search(text):
        return False
    return not is_text(json.dumps(json.loads(text), ensure_ascii=False))


def _text(value: str) -> str:
    """A lone surrogate has no UTF-8, so it stays an escape; all else is written as it is."""
    return json.dumps(value, ensure_ascii=not is_text(value))


def fits(number: Number, low: int = INT_MIN, high: int = INT_MAX) -> bool:
    """Whether a whole number lies within these bounds; its digits may be without end."""
    return len(number) <= len(str(INT_MIN)) and low <= int(number) <= high


def integer(number: Number) -> int | None:
    """The integer of 64 bits that a number is, `12` or `12.0` or `1.2e1`; None where it is none."""
    if number.whole:
        return int(number) if fits(number) else None
    value = _value(number)
    if value is None or value.adjusted() > _INT_DIGITS or value != value.to_integral_value():
        return None
    whole = int(value)
    return whole if INT_MIN <= whole <= INT_MAX else None


def held(number: Number) -> bool:
    """Whether a 64-bit float holds a number: it is nearer than half of the last digit written.

    Zeros at the end of a fraction say nothing, those of an integer do.
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
"""The power of ten of the first digit of an integer of 64 bits, at most."""

_FLOAT_DIGITS: Final = 1500
"""More digits than any 64-bit float needs where it is written out, down to its last bit."""


def _value(number: Number) -> Decimal | None:
    """None for a number with an exponent past all measure."""
    try:
        value = Decimal(number)
    except InvalidOperation:
        return None
    return value or Decimal(0)


def kind(value: Value) -> str:
    """What a value is, in a word, for people."""
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
