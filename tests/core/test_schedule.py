"""When something is due, beside a model that counts day by day with the standard library."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from effort import calls
from tcdatalogger.core.config.durations import parse
from tcdatalogger.core.config.schedule import Grid, anchor, jitter, zone

ZONES = ["UTC", "Europe/Vienna", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]
YEARS = st.floats(1_104_537_600.0, 2_208_988_800.0)  # 2005 to 2040


def unix(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def iso(moment):
    return datetime.fromtimestamp(moment, UTC).isoformat().removesuffix("+00:00")


def instant(wall, name):
    """A local time as a moment; one that the clocks jump over is as much later as they jump."""
    there = wall.replace(tzinfo=ZoneInfo(name))
    return there.astimezone(UTC).timestamp()  # fold=0 is what is wanted in both odd cases


def model(grid, moment):
    """The newest point not later than a moment and the first after it, counted one by one."""
    months, days = grid.period.calendar
    begin = datetime.fromisoformat(grid.anchor)
    count, points = 0, []
    while True:
        year, month = divmod(begin.year * 12 + begin.month - 1 + count * months, 12)
        leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
        longest = [31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month]
        wall = begin.replace(year=year, month=month + 1, day=min(begin.day, longest))
        points.append(instant(wall + timedelta(days=count * days), grid.zone) + grid.offset)
        if points[-1] > moment:
            return (points[-2] if count else None), points[-1]
        count += 1


@given(
    st.sampled_from(["P1D", "P3D", "P1W", "P2W", "P1M", "P5M", "P1Y", "P1Y1M", "P1M3D"]),
    st.sampled_from(ZONES),
    st.integers(978_307_200, 1_072_828_799).map(iso),
    st.integers(0, 3600),
    YEARS,
)
@example("P1M", "UTC", "2001-01-31T00:00:00", 0, unix("2024-02-29T00:00:00"))
@example("P1Y", "UTC", "2004-02-29T00:00:00", 0, unix("2025-02-28T12:00:00"))
@example("P1D", "Europe/Vienna", "2001-01-01T02:30:00", 0, unix("2026-03-29T01:15:00"))
@example("P1D", "Europe/Vienna", "2001-01-01T02:30:00", 0, unix("2026-10-25T01:00:00"))
def test_the_points_of_the_calendar_are_those_of_a_slow_model(text, name, begin, offset, moment):
    grid = Grid(parse(text), name, begin, offset)
    before, after = model(grid, moment)

    assert grid.after(moment) == after
    if before is not None:
        assert grid.at_or_before(moment) == before


@given(st.integers(1, 10**6), st.integers(-(10**9), 10**9), st.floats(0, 0.999), st.integers(0, 99))
def test_the_points_of_the_clock_are_the_anchor_and_whole_periods(seconds, at, part, offset):
    grid = Grid(parse(f"PT{seconds}S"), "America/New_York", offset=offset)
    start = unix("2001-01-01T05:00:00") + offset
    moment = start + at + part

    before, after = grid.at_or_before(moment), grid.after(moment)

    assert before <= moment < after == before + seconds
    assert (before - start) % seconds == 0


@given(st.sampled_from(["PT7S", "PT15M", "P1D", "P1W", "P1M"]), st.sampled_from(ZONES), YEARS)
def test_a_point_is_its_own_newest_and_never_its_own_next(text, name, moment):
    grid = Grid(parse(text), name, offset=jitter("faction_crimes", 60))
    point = grid.after(moment)

    assert grid.at_or_before(point) == point
    assert grid.after(point) > point
    assert grid.at_or_before(grid.after(point) - 0.001) == point


@pytest.mark.parametrize(
    ("text", "name", "begin", "points"),
    [
        ("PT15M", "UTC", "2001-01-01T00:00:00", "2026-03-29T00:00:00 2026-03-29T00:15:00"),
        ("P1W", "UTC", "2001-01-01T00:00:00", "2026-03-30T00:00:00 2026-04-06T00:00:00"),
        ("P1M", "UTC", "2001-01-31T00:00:00", "2026-03-31T00:00:00 2026-04-30T00:00:00"),
        # The day of 23 hours: 02:30 does not exist, and the day after it is on time again.
        (
            "P1D", "Europe/Vienna", "2001-01-01T02:30:00",
            "2026-03-29T01:30:00 2026-03-30T00:30:00",
        ),
        # Hours are hours: the wall clock of Vienna shows 11 and then 12.
        (
            "PT24H", "Europe/Vienna", "2001-01-01T11:00:00",
            "2026-03-29T10:00:00 2026-03-30T10:00:00",
        ),
        # Samoa had no 30 December 2011: the two days are one moment, and one point.
        (
            "P1D", "Pacific/Apia", "2001-01-01T00:00:00",
            "2011-12-30T10:00:00 2011-12-31T10:00:00",
        ),
    ],
)  # fmt: skip
def test_the_odd_days_by_hand(text, name, begin, points):
    grid = Grid(parse(text), name, begin)
    first, second = map(unix, points.split())

    assert iso(grid.after(first - 1)) == iso(first)
    assert iso(grid.after(first)) == iso(second)
    assert iso(grid.at_or_before(second - 1)) == iso(first)


def test_a_late_run_does_not_move_what_follows():
    """Counted from the last run, thirty-one-day months would end on the 28th for ever."""
    grid, moment, seen = Grid(parse("P1M"), "UTC", "2001-01-31T00:00:00"), unix("2026-01-01"), []
    for _ in range(4):
        moment = grid.after(moment) + 7_000  # each run begins late
        seen.append(iso(moment - 7_000)[:10])

    assert seen == ["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30"]


def test_a_distance_of_a_quarter_of_a_century_costs_nothing():
    for grid in [Grid(parse(text), "Europe/Vienna") for text in ("PT1S", "P1D", "P1M")]:
        grid.after(0)  # the time zone is read
        for day in range(0, 1_000, 7):
            moment = unix("2026-01-01") + day * 86_400
            assert calls(lambda grid=grid, moment=moment: grid.after(moment)) < 1_000


@given(st.text(max_size=63), st.integers(0, 10**6))
def test_the_jitter_of_a_name_is_always_the_same_and_within_its_bound(name, most):
    assert 0 <= jitter(name, most) <= most
    assert jitter(name, most) == jitter(name, most)


def test_the_jitters_of_many_endpoints_are_spread():
    assert len({jitter(f"endpoint_{n}", 600) for n in range(200)}) > 150


def test_an_anchor_is_a_local_date_or_time():
    assert anchor("2026-01-31") == "2026-01-31T00:00:00"
    assert anchor("2026-01-31T06:30") == "2026-01-31T06:30:00"
    for text, reason in (
        ("tomorrow", "not a date"),
        ("2026-01-01T00:00+02:00", "without an offset"),
        ("1812-01-01", "between 1970"),
        ("2026-01-01T00:00:00.5", "exact to the second"),
    ):
        with pytest.raises(ValueError, match=reason):
            anchor(text)


@pytest.mark.parametrize("name", ["Europe/Wien", "", "../etc/passwd", "CEST+1"])
def test_only_zones_that_exist_are_taken(name):
    assert zone("Europe/Vienna") == "Europe/Vienna"
    with pytest.raises(ValueError, match="time zone"):
        zone(name)
