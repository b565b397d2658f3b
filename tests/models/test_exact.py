"""JSON read without changing a value."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcdatalogger.models.reading import lossless_json

NUMBERS = st.one_of(
    st.integers().map(str),
    st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
)
TEXTS = st.text(st.characters(), max_size=8)  # lone surrogates too


def written(inner):
    members = st.lists(st.tuples(TEXTS.map(json.dumps), inner), max_size=4)
    return st.one_of(
        st.lists(inner, max_size=4).map(lambda parts: f"[{','.join(parts)}]"),
        members.map(lambda found: "{" + ",".join(f"{k}:{v}" for k, v in found) + "}"),
    )


JSON = st.recursive(
    st.one_of(NUMBERS, TEXTS.map(json.dumps), st.sampled_from(["null", "true", "false"])),
    written,
    max_leaves=12,
)


def facts(text):
    """What a JSON text says, repeated keys and digits included."""
    return json.loads(
        text,
        parse_int=lambda digits: ("number", digits),
        parse_float=lambda digits: ("number", digits),
        object_pairs_hook=lambda pairs: ("object", pairs),
    )


@given(JSON)
def test_what_is_written_is_what_was_read(text):
    dumped = lossless_json.dump(lossless_json.parse(text.encode()))
    assert facts(dumped) == facts(text)
    assert lossless_json.dump(lossless_json.parse(dumped.encode())) == dumped
    assert dumped.encode()


@given(JSON)
def test_white_space_and_a_byte_order_mark_mean_nothing(text):
    spread = text.encode().join([b"\xef\xbb\xbf \n", b"\r\n\t "])
    assert lossless_json.dump(lossless_json.parse(spread)) == lossless_json.dump(
        lossless_json.parse(text.encode())
    )


@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"{", b"[1,]", b"{} {}", b"NaN", b"[Infinity]", b"[-Infinity]", b"{'a':1}",
        b"[01]", b"[+1]", b"[.5]", b"[1.]", b'"a\nb"', b'"\\x"', b"\xff", b'"\xed\xa0\x80"',
        b"[" * 100_000,
    ],
    ids=lambda body: repr(body[:12]),
)  # fmt: skip
def test_what_is_no_json_is_refused(body):
    with pytest.raises(ValueError):  # noqa: PT011 - the message is the standard library's
        lossless_json.parse(body)


@pytest.mark.parametrize(
    ("digits", "whole"),
    [("0", True), ("-5", True), ("1.0", False), ("1e3", False), ("1E3", False), ("-0.0", False)],
)
def test_only_digits_make_a_number_whole(digits, whole):
    assert lossless_json.parse(digits.encode()).whole is whole


@pytest.mark.parametrize(
    ("digits", "fit"),
    [
        (str(2**63 - 1), True),
        (str(2**63), False),
        (str(-(2**63)), True),
        (str(-(2**63) - 1), False),
        ("9" * 10_000, False),
    ],
    ids=["largest", "past it", "least", "below it", "without end"],
)
def test_a_whole_number_fits_64_bits_or_not(digits, fit):
    assert lossless_json.fits(lossless_json.Number(digits)) is fit


def test_every_key_of_an_object_is_kept_when_one_came_twice():
    assert lossless_json.dump(lossless_json.parse(b'{"a":1,"b":2,"a":3}')) == '{"a":1,"b":2,"a":3}'
