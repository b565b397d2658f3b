"""Pauses before another try, whatever the numbers."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from tcdatalogger.backoff import Backoff

FIRST = st.floats(0.001, 100)
TRIES = st.integers(1, 10**6)


@st.composite
def backoffs(draw):
    first = draw(FIRST)
    return Backoff(first, first * draw(st.floats(1, 10_000)), draw(st.floats(0, 0.9)))


@given(backoffs(), TRIES)
def test_a_pause_lies_between_the_first_and_the_longest_after_any_number_of_tries(backoff, tries):
    assert backoff.first <= backoff.pause(tries) <= backoff.longest
    assert backoff.pause(10**9) == backoff.longest


@given(backoffs(), TRIES)
def test_a_pause_is_twice_the_one_before_until_it_is_the_longest(backoff, tries):
    before, after = backoff.pause(tries), backoff.pause(tries + 1)
    assert after == min(backoff.longest, 2 * before) == backoff.after(before)


@given(backoffs(), TRIES, st.floats(-1, 1))
def test_a_pause_is_spread_by_its_part_at_most_and_never_gone(backoff, tries, chance):
    plain, spread = backoff.pause(tries), backoff.pause(tries, chance)
    assert abs(spread - plain) <= plain * backoff.jitter * (1 + 1e-9)
    assert spread > 0
    assert backoff.pause(tries, 0.0) == plain


def test_pauses_come_in_the_order_that_their_numbers_say():
    backoff = Backoff(10.0, 900.0, jitter=0.25)
    assert [backoff.pause(tries) for tries in range(1, 9)] == [10, 20, 40, 80, 160, 320, 640, 900]
    assert (backoff.pause(1, -1.0), backoff.pause(1, 1.0)) == (7.5, 12.5)
    assert (backoff.after(0.0), backoff.after(math.inf)) == (10.0, 900.0)
