"""Which calls are made again, and when: by the class of the error, with caps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcdatalogger.errors import Busy, TryAgain
from tcdatalogger.services.torncity.client import error_codes
from tcdatalogger.services.torncity.client.messages import Answer, Request
from tcdatalogger.services.torncity.client.retries import LONGEST_WAIT, Retries, asked_of
from tcdatalogger.services.torncity.client.transport import http_date

EVERY = [
    *error_codes.TORN_CODES,
    error_codes.SERVER,
    error_codes.TOO_MANY,
    error_codes.UNREACHABLE,
    error_codes.SLOW,
    error_codes.CUT,
]


def retries(**options):
    return Retries(on=(TryAgain,), jitter=lambda: 0.0, **options)


def fault(kind):
    return kind.fault("m", kind=kind)


def test_nobody_retries_without_saying_what():
    with pytest.raises(TypeError, match="on"):
        Retries()


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.name)
def test_only_what_may_pass_is_made_again_and_only_so_often(kind):
    made, rules = 1, retries(tries=5)
    error = fault(kind)
    while rules.again(error, made, rules.wait(error, made), 0.0):
        made += 1
    assert made == (min(5, kind.tries) if isinstance(error, TryAgain) else 1)


def test_a_class_that_is_not_named_is_not_made_again():
    rules = Retries(on=(Busy,), jitter=lambda: 0.0)
    assert rules.again(fault(error_codes.TOO_MANY), 1, 1.0, 0.0)
    assert not rules.again(fault(error_codes.SERVER), 1, 1.0, 0.0)


def test_the_total_time_is_a_cap_too():
    rules = retries(total=10.0)
    assert rules.again(fault(error_codes.SERVER), 1, 4.0, 6.0)
    assert not rules.again(fault(error_codes.SERVER), 1, 4.0, 6.1)


@given(st.sampled_from(EVERY), st.integers(1, 9), st.floats(0, 1))
def test_a_wait_grows_with_each_try_and_its_jitter_only_adds(kind, tried, jitter):
    error = fault(kind)
    plain = retries().wait(error, tried)
    spread = Retries(on=(TryAgain,), jitter=lambda: jitter).wait(error, tried)
    assert plain <= spread <= max(LONGEST_WAIT, kind.pause)
    assert spread <= plain * 1.5
    assert plain <= retries().wait(error, tried + 1)


@given(st.integers(-10, 10**6))
def test_what_the_server_asks_for_has_a_floor_and_no_ceiling_of_ours(asked):
    error = fault(error_codes.TOO_MANY)
    wait = retries().wait(error, 1, float(asked))
    assert wait == error.pause == max(1.0, asked)
    assert retries().again(error, 1, wait, 0.0) == (wait <= LONGEST_WAIT)


@given(st.text(max_size=40))
def test_any_text_as_retry_after_is_seconds_or_nothing(text):
    answer = Answer(Request("/user/basic"), 429, b"", 1.0, 1.0, 0.1, (("retry-after", text),))
    asked = asked_of(answer, http_date)
    assert asked is None or isinstance(asked, float)
