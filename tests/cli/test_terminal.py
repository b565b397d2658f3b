"""What a terminal and a spreadsheet get: no order, no formula, and ids that are whole."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import subprocess

import pytest

from bodies import member
from shared import PROGRAM, rest_slow

NAMES = [
    "\x1b]0;pwned\x07Duke",
    "\x9b31mred",
    "evil\u202egnp.exe",
    "\u200fturned",
    "two\nlines\x00",
    '=HYPERLINK("http://x","y")',
    "+1-800",
    "-2+3",
    "@SUM(A1)",
    "[bold]markup[/bold]",
]
OBEYED = ["\x1b", "\x9b", "\x07", "\x00", "\u202e", "\u200f"]


def hostile_member(number, name):
    told = {"status": name, "timestamp": 1, "relative": name}
    status = member()["status"] | {"description": name}
    return member(number, name=name, position=name, last_action=told, status=status)


@pytest.fixture
def hostile(workplace, says):
    """A city whose members bear such names; one has a field of that kind, one does not fit."""
    members = [hostile_member(number, name) for number, name in enumerate(NAMES, 1)]
    members[0]["fresh"] = NAMES[0]
    members[1]["level"] = NAMES[0]
    says("/faction/members", {"members": members})
    workplace.hostile = members
    return workplace


def words(place):
    """A line for each command that may show what players wrote."""
    body = place.folder / "body.json"
    body.write_text(json.dumps({"members": place.hostile}))
    record = place.value("select quarantine_id from _tcd_quarantine")
    run = place.value("select max(run_id) from _tcd_loads")
    return [
        ["query", "from faction_members"],
        ["query", "from faction_members", "--json"],
        ["query", "from faction_members", "--csv"],
        ["query", "select * from no_such", "--json"],
        ["query", "select name, error(name) from faction_members"],
        ["query", "from _tcd_drift"],
        ["quarantine", "list"],
        ["quarantine", "list", "--json"],
        ["quarantine", "show", record],
        ["quarantine", "retry", record],
        ["schema", "show", "faction_members"],
        ["schema", "history", "faction_members"],
        ["schema", "history", "faction_members", "--json"],
        ["status"],
        ["status", "--json"],
        ["runs", "list"],
        ["runs", "show", run],
        ["runs", "show", run, "--json"],
        ["runs", "tail"],
        ["run", "faction_members"],
        ["run", "faction_members", "--dry-run"],
        ["run", "faction_members", "--step", "fetch"],
        ["run", "faction_members", "--step", "validate"],
        ["run", "faction_members", "--json"],
        ["transform", "/faction/members", str(body), "--to", str(place.folder / "out")],
        ["replay", run],
        ["rebuild", "faction_members"],
        ["rollback", run],
        ["check", "--offline"],
        ["backup", "--to", str(place.folder / "copy")],
    ]


@pytest.mark.slow
def test_no_command_prints_what_a_terminal_obeys(hostile):
    assert hostile.run("run", "faction_members").code == 0

    for line in words(hostile):
        done = hostile.run(*line)
        said = done.out + done.err
        assert not [c for c in OBEYED if c in said], line


def test_what_is_not_obeyed_can_still_be_read(hostile):
    hostile.run("run", "faction_members")

    said = hostile.run("query", "select name from faction_members order by id").out

    assert r"\x1b]0;pwned\x07Duke" in said
    assert r"evil\u202egnp.exe" in said
    assert r"two\nlines\x00" in said


def test_a_program_gets_every_name_as_torn_sent_it(hostile):
    hostile.run("run", "faction_members")
    sent = [name for name in NAMES if name != NAMES[1]]

    rows = hostile.run("query", "select name from faction_members order by id", "--json").json
    raw = hostile.run("query", "select name from faction_members order by id", "--csv", "--raw")

    assert [row["name"] for row in rows] == sent
    assert [row["name"] for row in csv.DictReader(io.StringIO(raw.out, newline=""))] == sent


def test_a_spreadsheet_computes_nothing_and_reads_times(hostile):
    hostile.run("run", "faction_members")

    sql = "select name, server_timestamp, -5 as n, 'x' as \"=1+1\" from faction_members order by id"
    done = hostile.run("query", sql, "--csv")
    rows = list(csv.reader(io.StringIO(done.out, newline="")))

    assert rows[0] == ["name", "server_timestamp", "n", "'=1+1"]
    cells = [cell for row in rows for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "@")) or cell == "-2+3"]
    assert {row[1] for row in rows[1:]} == {"2026-01-01 00:00:00"}
    assert {row[2] for row in rows[1:]} == {"-5"}


def test_raw_goes_with_csv_alone(hostile):
    hostile.run("run", "faction_members")

    assert hostile.run("query", "select 1", "--raw").code == 2


@pytest.mark.parametrize("columns", rest_slow([30, 200]))
def test_a_real_terminal_gets_no_order_in_a_drawn_table(hostile, columns):
    hostile.run("run", "faction_members")

    shown = on_terminal(hostile, columns, "query", "select id, name from faction_members")

    # What is drawn in bold is ours; a name's own brackets are no markup.
    assert "\x1b]" not in shown
    assert not [c for c in OBEYED[1:] if c in shown]
    assert "[bold]markup[/bold]" in shown


@pytest.mark.slow
def test_the_id_of_a_run_can_be_copied_from_a_terminal_of_80_columns(workplace):
    workplace.run("run", "faction_members", "faction_crimes")
    run = workplace.value("select max(run_id) from _tcd_loads")

    shown = on_terminal(workplace, 80, "runs", "list")

    assert run in shown
    assert max(map(len, plain(shown).splitlines())) <= 80


@pytest.mark.parametrize("line", rest_slow(["runs list", "run --all", "schema history", "status"]))
def test_no_name_or_time_is_broken_on_a_terminal_of_80_columns(workplace, line):
    workplace.run("run", "--all")

    shown = plain(on_terminal(workplace, 80, *line.split()))

    lines = shown.splitlines()
    assert max(map(len, lines)) <= 80
    words = set(shown.split())
    assert {"faction_members", "faction_crimes"} <= words
    assert not [word for word in words if re.fullmatch(r"\d{4}-\d\d|-\d\d|\d\d:\d\d:\d", word)]


def plain(text):
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)


def on_terminal(place, columns, *words):
    """What a command prints where its output is a terminal of so many columns."""
    ours, theirs = pty.openpty()
    done = subprocess.Popen(
        [*PROGRAM, *words], cwd=place.folder, stdout=theirs, stderr=theirs,
        env={**place.outside(), "COLUMNS": str(columns), "TERM": "xterm"},
    )  # fmt: skip
    os.close(theirs)
    text = b""
    try:
        while piece := os.read(ours, 4096):
            text += piece
    except OSError:  # a terminal ends so
        pass
    assert done.wait(timeout=120) == 0
    os.close(ours)
    return text.decode()
