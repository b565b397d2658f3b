from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcdatalogger.core.config.durations import parse


def unix(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT15M", 900),
        ("PT90M", 5400),
        ("PT1H30M", 5400),
        ("PT36H", 129_600),
        ("pt5m", 300),
        (" PT1S ", 1),
        ("P1D", None),
        ("P2W", None),
        ("P1M", None),
        ("P1Y6M", None),
    ],
)
def test_only_what_the_clock_counts_has_a_length_in_seconds(text, seconds):
    assert parse(text).seconds == seconds


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("PT0S", "zero"),
        ("P0D", "zero"),
        ("-PT5M", "negative"),
        ("P1DT12H", "do not mix"),
        ("P1YT1S", "do not mix"),
        ("PT1.5H", "fraction"),
        ("PT1,5H", "fraction"),
        ("P", "not an ISO 8601 duration"),
        ("PT", "not an ISO 8601 duration"),
        ("", "not an ISO 8601 duration"),
        ("15 minutes", "not an ISO 8601 duration"),
        ("*/15 * * * *", "not an ISO 8601 duration"),
        ("P200Y", "hundred years"),
        ("PT9999999H", "hundred years"),
    ],
)
def test_a_duration_that_nobody_can_keep_is_refused_with_its_reason(text, reason):
    with pytest.raises(ValueError, match=reason):
        parse(text)


@pytest.mark.parametrize(
    ("text", "zone", "begin", "end"),
    [
        ("PT15M", "UTC", "2026-01-01T00:00:00", "2026-01-01T00:15:00"),
        ("P1D", "UTC", "2026-02-28T12:00:00", "2026-03-01T12:00:00"),
        ("P1M", "UTC", "2026-01-31T00:00:00", "2026-02-28T00:00:00"),
        ("P1Y", "UTC", "2024-02-29T00:00:00", "2025-02-28T00:00:00"),
        ("P1W", "UTC", "2026-12-28T00:00:00", "2027-01-04T00:00:00"),
        # On 29 March 2026 the clocks of Vienna go from 2 to 3: the day has 23 hours.
        ("P1D", "Europe/Vienna", "2026-03-28T11:00:00", "2026-03-29T10:00:00"),
        ("PT24H", "Europe/Vienna", "2026-03-28T11:00:00", "2026-03-29T11:00:00"),
    ],
)
def test_days_and_longer_follow_the_calendar_and_hours_the_clock(text, zone, begin, end):
    assert parse(text).after(unix(begin), zone) == unix(end)


def test_before_goes_the_other_way():
    assert parse("P1Y").before(unix("2026-06-01T00:00:00")) == unix("2025-06-01T00:00:00")
    assert parse("PT1H").before(7200.5) == 3600.5


@given(st.integers(1, 10**6), st.floats(0, 4e9))
def test_a_clock_duration_is_that_many_seconds_anywhere(count, moment):
    assert parse(f"PT{count}S").after(moment, "America/New_York") == moment + count


@given(st.sampled_from(["P1D", "P1W", "P1M", "P1Y", "P3M2D"]), st.floats(0, 4e9, allow_nan=False))
def test_later_is_always_later(text, moment):
    assert parse(text).after(moment, "Europe/Vienna") > moment


@given(st.text(max_size=12) | st.from_regex(r"\AP[0-9YMWDTHS.]{0,9}\Z"))
def test_any_text_is_a_duration_or_a_value_error(text):
    with contextlib.suppress(ValueError):
        assert parse(text).after(0.0) > 0


@pytest.mark.parametrize(
    ("text", "words"),
    [("PT24H", "24 h"), ("PT1H30M", "1 h 30 min"), ("PT90M", "90 min"), ("P1D", "1 day"),
     ("P2W", "2 weeks"), ("P1Y6M", "1 year 6 months"), ("PT45S", "45 s")],
)  # fmt: skip
def test_a_duration_is_read_in_words(text, words):
    assert parse(text).words == words
