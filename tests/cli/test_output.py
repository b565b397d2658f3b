from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from tcdatalogger.cli import output
from tcdatalogger.clock import ago, span
from tcdatalogger.core.config import sizes

MOMENT = datetime(2026, 11, 23, 1, 55, 29, 500_000, UTC)


def test_columns_are_aligned_and_numbers_stand_right(capsys):
    output.print_table(
        ("table", "rows", "at"),
        [("faction_crimes", 20, MOMENT), ("items", 1234, None)],
        title="Tables",
    )
    assert capsys.readouterr().out == (
        "Tables\n"
        "table           rows  at\n"
        "faction_crimes    20  2026-11-23 01:55:29Z\n"
        "items           1234\n"
    )


def test_who_prints_may_say_which_columns_have_numbers(capsys):
    output.print_table(("money", "name"), [("$5.1m", "1"), ("$10k", "2")], [True, False])

    assert capsys.readouterr().out.splitlines() == ["money  name", "$5.1m  1", " $10k  2"]


def test_a_table_on_a_terminal_keeps_brackets_as_they_are(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    output.print_table(("name",), [("[red]me[/red]",)])
    assert "[red]me[/red]" in capsys.readouterr().out


def test_a_runs_id_is_never_broken_where_the_terminal_has_room_for_it(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    run = "20261123T055230Z-68149d64"
    output.print_table(
        ("run", "endpoint", "began", "result", "rows", "set aside", "calls", "time"),
        [(run, "members_history", MOMENT, "done", 22, 0, 1, "132 ms")],
    )
    lines = capsys.readouterr().out.splitlines()
    plain = [re.sub("\x1b\\[[0-9;]*m", "", line) for line in lines]
    assert any(run in line and "members_history" in line for line in plain)
    assert max(map(len, plain)) <= 100


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ""),
        (True, "yes"),
        (12345, "12345"),
        ("a", "a"),
        (b"abc", "<3 bytes>"),
        (["a", None, 1], "a, , 1"),
        ({"a": MOMENT}, '{"a": "2026-11-23T01:55:29.500000Z"}'),
        (timedelta(minutes=3), "3 min"),
        (MOMENT.astimezone(timezone(timedelta(hours=2))), "2026-11-23 01:55:29Z"),
        (MOMENT.replace(tzinfo=None), "2026-11-23 01:55:29Z"),
    ],
)
def test_a_value_in_a_table(value, shown):
    assert output.cell(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 ms"),
        (0.0854, "85 ms"),
        (0.9996, "1.0 s"),
        (2.44, "2.4 s"),
        (59.96, "1 min"),
        (185, "3 min 5 s"),
        (7800, "2 h 10 min"),
        (86_400 * 4, "4 d"),
        (86_400 + 3600 * 5 + 59, "1 d 5 h"),
        (-3, "-3.0 s"),
    ],
)
def test_a_length_of_time(seconds, shown):
    assert span(seconds) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 B"), (812, "812 B"), (4200, "4.2 kB"), (999_960, "1.0 MB"), (1.3e12, "1.3 TB")],
)
def test_a_size(count, shown):
    assert sizes.shown(count) == shown


def test_moments_and_numbers():
    assert output.moment(None) == ""
    assert output.moment(0) == "1970-01-01 00:00:00Z"
    assert ago(None, 10) == "never"
    assert ago(10, 195) == "3 min 5 s ago"
    assert ago(22, 10) == "in 12.0 s"
    assert output.number(1234567) == "1,234,567"


def test_json_loses_nothing(capsys):
    output.print_json(
        {
            "at": MOMENT,
            "day": date(2026, 1, 1),
            "money": Decimal("12345678901234567890.01"),
            "took": timedelta(seconds=1.5),
            "raw": b"\x00\xff",
            "names": {"b", "a"},
            "text": "é",
        }
    )
    shown = capsys.readouterr().out
    assert json.loads(shown) == {
        "at": "2026-11-23T01:55:29.500000Z",
        "day": "2026-01-01",
        "money": "12345678901234567890.01",
        "took": 1.5,
        "raw": "00ff",
        "names": ["a", "b"],
        "text": "é",
    }
    assert shown.count("\n") == 1
