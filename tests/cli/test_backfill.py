"""`tcdatalogger backfill`: what it says, and that it goes on."""

from __future__ import annotations

import json

import pytest

ATTACKS = '[[endpoints]]\nname = "attacks"\npath = "/faction/attacks"\n'


@pytest.fixture
def place(workplace):
    workplace.write(ATTACKS)
    return workplace


def stored(place):
    """The rows that `runs` tells of, in all tables."""
    return sum(sum(run["rows"].values()) for run in place.run("runs", "--json").json)


def test_it_tells_how_far_it_is_and_what_it_did(place):
    words = ("--since", "2025-12-20", "--pages", "1", "--log-format", "human")
    done = place.run("backfill", "attacks", *words)

    assert done.code == 0
    steps = [line for line in done.err.splitlines() if line.startswith("faction 40832, back to")]
    assert len(steps) > 1
    assert "rows" in steps[-1]
    assert "calls" in steps[-1]
    assert "back to 2025-12-20 00:00:00Z" in steps[-1]
    rows = stored(place)
    assert done.out.startswith(f"attacks: {rows} rows in ")
    again = place.run("backfill", "attacks", "--since", "2025-12-20")
    assert again.out == "attacks: all of it was read before.\n"


def test_where_the_log_is_json_each_line_of_it_is(place):
    done = place.run("backfill", "attacks", "--since", "2025-12-29", "--pages", "1")

    lines = [json.loads(line) for line in done.err.splitlines()]
    (last, *_) = [line for line in reversed(lines) if line["event"] == "backfill_progressed"]
    assert last["back_to"] == "2025-12-29 00:00:00Z"


def test_json_is_one_document(place):
    facts = place.run("backfill", "attacks", "--since", "P5D", "--json").json

    assert facts["endpoint"] == "attacks"
    assert facts["rows"] == stored(place) > place.value("select count(*) from attacks")
    assert facts["back_to"] == "2025-12-27T00:00:00Z"
    assert place.run("runs", "--json").json[0]["endpoint"] == "attacks"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("attack",), "Did you mean 'attacks'?"),
        (("attacks", "--since", "soon"), "--since is not a date or a duration"),
        (("attacks", "--since", "2025-12-20", "--until", "2025-12-10"), "must lie before"),
    ],
)
def test_mistakes_are_told(place, words, says):
    done = place.run("backfill", *words)
    assert done.code == 2
    assert says in done.err
