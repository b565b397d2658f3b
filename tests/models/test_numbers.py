"""A number is stored as exactly what was sent, or its record is set aside: never another number."""

import json
import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tcdatalogger.models.reading.decode import decode
from tcdatalogger.models.rows.normalize import Provenance, normalize
from tcdatalogger.models.schema import family
from tcdatalogger.models.shape import Field, Kind, List, Object, Scalar

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LONG = 2**53 + 1
POWERS = st.integers(-330, 330).map(lambda power: f"e{power}")
NUMBERS = st.one_of(
    st.integers(-(2**64), 2**64).map(str),
    st.integers(-(2**64), 2**64).map(lambda number: f"{number}.0"),
    st.integers(LONG - 9, LONG + 9).map(lambda number: f"{number}.0"),
    st.floats(allow_nan=False, allow_infinity=False).map(repr).map(lambda text: text),
    st.from_regex(r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?", fullmatch=True),
    st.builds(
        "".join, st.tuples(st.from_regex(r"-?[0-9](\.[0-9]{1,18})?", fullmatch=True), POWERS)
    ),
    st.sampled_from(
        ["1e400", "-1e-400", "0e999999", "0.0", "-0", "1e99999999999999999999", "1E+2"]
    ),
)


def stored(kind, texts):
    """What became of the numbers of as many records: by its place, those that were stored."""
    fields = [Field("id", Scalar(Kind.INT))]
    if kind is not None:
        fields.append(Field("n", Scalar(kind)))
    tables = family(Object((Field("rows", List(Object(tuple(fields)))),)), "t")
    records = ",".join(f'{{"id":{at},"n":{text}}}' for at, text in enumerate(texts))
    decoded = decode([f'{{"rows":[{records}]}}'.encode()], tables)
    grown = family(decoded.shape, "t")
    rows = normalize(decoded.batches, grown, [Provenance()]).tables["t"].to_pylist()
    aside = {json.loads(reject.record)["id"] for reject in decoded.rejected}
    found = {row["id"]: row["n"] for row in rows}
    assert found.keys() | aside == set(range(len(texts)))
    assert not found.keys() & aside
    return found


def is_number(value, sent):
    """Whether a stored value is the number that was sent, as far as it was written."""
    if isinstance(value, str):  # as JSON, digit by digit
        return value == sent
    exactly = Decimal(sent)
    if isinstance(value, datetime):
        return (value - EPOCH) // timedelta(seconds=1) == exactly
    if isinstance(value, int):
        return value == exactly
    if math.isinf(value):
        return False
    mantissa, _, power = sent.lower().partition("e")
    last = Fraction(10) ** (int(power or 0) - len(mantissa.partition(".")[2].rstrip("0")))
    return 2 * abs(Fraction(value) - Fraction(sent)) <= last


@pytest.mark.parametrize("kind", [Kind.INT, Kind.TIME, Kind.FLOAT, None])
@given(numbers=st.lists(NUMBERS, min_size=1, max_size=4))
@example(numbers=["9007199254740993.0"])
@example(numbers=["1e-400"])
@example(numbers=[str(LONG), "0.5"])
@example(numbers=["0.5", str(LONG)])
def test_a_number_is_stored_as_it_was_sent_or_set_aside(kind, numbers):
    for at, value in stored(kind, numbers).items():
        assert is_number(value, numbers[at]), (value, numbers[at])


@given(number=st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_that_is_written_out_is_stored(number):
    assert stored(Kind.FLOAT, [repr(number), "1"]) == {0: number, 1: 1.0}


@given(number=st.integers(-(2**63), 2**63 - 1), zeros=st.integers(0, 30))
def test_every_integer_of_64_bits_is_stored_however_it_is_written(number, zeros):
    texts = [str(number), f"{number}.{zeros * '0'}0", f"{number}{zeros * '0'}e-{zeros}"]
    assert stored(Kind.INT, texts) == dict.fromkeys(range(3), number)


@pytest.mark.parametrize("odd", ["0.5", "1e-3", "9.5e18"])
@pytest.mark.parametrize("order", [1, -1])
def test_a_decimal_beside_integers_that_no_float_holds_is_set_aside_alone(odd, order):
    texts = [str(LONG), "3", odd, "12.0"][::order]
    kept = {at: Fraction(text) for at, text in enumerate(texts) if text != odd}
    assert stored(None, texts) == kept
    assert all(isinstance(value, int) for value in stored(None, texts).values())
