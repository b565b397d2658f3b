"""`tcdatalogger runs`: what ran, and what became of it."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcdatalogger.cli.commands import runs
from tcdatalogger.core.state.store import RunRecord, State
from tcdatalogger.core.views.runs import changes
from tcdatalogger.sandbox.api.server import START


def test_the_newest_run_is_first(workplace):
    ids = []
    for name in ("faction_basic", "faction_members", "faction_basic"):
        ids.append(workplace.log(name).record.run_id)
        workplace.clock.sleep(1)

    assert [run["run_id"] for run in workplace.run("runs", "--json").json] == ids[::-1]
    own = workplace.run("runs", "--endpoint", "faction_basic", "--limit", "1", "--json").json
    assert [run["run_id"] for run in own] == ids[2:]


def test_a_failed_run_names_its_error(workplace, city):
    city.fault("error", code=21, path="/faction/members")
    workplace.log("faction_members")

    assert "failed: " in workplace.run("runs").out


def test_show_tells_all_of_one_run(workplace):
    record = workplace.log("faction_crimes").record

    out = workplace.run("runs", "show", record.run_id).out
    facts = workplace.run("runs", "show", record.run_id, "--json").json

    for text in (
        record.run_id,
        record.archive_file,
        record.load_id,
        "fetch",
        "faction_crimes_slots",
    ):
        assert text in out
    assert facts["rows"] == dict(record.rows)
    assert facts["seconds"].keys() == {"fetch", "transform", "validate", "store"}


def test_show_tells_why_a_run_failed_and_what_to_do(workplace, city):
    city.fault("error", code=16, path="/faction/members")
    record = workplace.log("faction_members").record

    out = workplace.run("runs", "show", record.run_id).out

    assert record.error in out
    assert record.remedy in out


def test_unknown_runs_and_endpoints_are_wrong_usage(workplace):
    assert workplace.run("runs", "show", "nothing").code == 2
    assert workplace.run("runs", "--endpoint", "nothing").code == 2


def test_before_the_first_run_there_are_none_and_nothing_is_made(workplace):
    done = workplace.run("runs", "--json")

    assert (done.code, done.json) == (0, [])
    assert [file.name for file in workplace.folder.iterdir()] == ["tcdatalogger.toml"]


# Which


def record(number, status="done", endpoint="faction_basic", **facts):
    ends = None if status == "running" else START + number + 0.5
    run_id = f"20260101T00{number:02}00Z-{number:08x}"
    own = {"finished_at": ends, "host": "elsewhere", "pid": 1} | facts
    return RunRecord(
        **{"started_at": START + number} | own, run_id=run_id, endpoint=endpoint, status=status
    )


def written(workplace, *runs):
    with workplace.application() as application:
        for run in runs:
            application.state.write_run(run)
    return [run.run_id for run in runs]


def numbers(done):
    return [int(run["run_id"][-8:], 16) for run in done.json]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ((), [4, 3, 2, 1]),
        (("--status", "failed"), [3]),
        (("--status", "pending"), [2]),
        (("--status", "superseded"), []),
        (("--endpoint", "torn_items"), [4, 2]),
        (("--endpoint", "torn_items", "--status", "done"), [4]),
        (("--since", "2026-01-01T00:00:03Z"), [4, 3]),
        (("--limit", "1"), [4]),
    ],
)
def test_the_list_is_filtered(workplace, words, found):
    written(
        workplace,
        record(1),
        record(2, "pending", "torn_items"),
        record(3, "failed", error_class="DataRefused"),
        record(4, "done", "torn_items"),
    )

    assert numbers(workplace.run("runs", *words, "--json")) == found
    assert numbers(workplace.run("runs", "list", *words, "--json")) == found


def test_a_status_that_no_run_has_is_wrong_usage_and_the_near_one_is_named(workplace):
    done = workplace.run("runs", "list", "--status", "stoped")

    assert done.code == 2
    assert "Did you mean 'stopped'?" in done.err
    assert "Did you mean 'faction_members'?" in workplace.run("runs", "--endpoint", "members").err


def test_lists_of_nothing_say_so_in_words(workplace):
    assert workplace.run("runs").out == "No run is known yet.\n"
    assert workplace.run("runs", "tail").out == "No run is known yet.\n"
    written(workplace, record(1))
    assert workplace.run("runs", "--status", "failed").out == "No run matches.\n"
    assert workplace.run("runs", "--status", "failed", "--json").json == []


def test_what_a_killed_run_cost_is_not_said_to_be_nothing(workplace):
    written(workplace, record(1, "done", settled=True, rows={"a": 30}), record(2, calls=1))

    listed = workplace.run("runs").out.splitlines()
    tailed = workplace.run("runs", "tail").out.splitlines()

    assert listed[-1].split()[-3:] == ["0", "-", "-"]
    assert tailed[0].split()[-4:] == ["30", "rows", "-", "-"]
    assert "1 call " in tailed[1]
    assert tailed[0].index("rows") == tailed[1].index("rows")


def test_a_moment_that_is_none_is_wrong_usage(workplace):
    done = workplace.run("runs", "--since", "soon")

    assert done.code == 2
    assert "--since is not a date or a duration" in done.err


@pytest.mark.parametrize(
    ("words", "number"),
    [
        ("20260101T000100Z-00000001", 1),
        ("20260101T0001", 1),
        ("last", 3),
        ("torn_items", 2),
        ("faction_basic", 3),
    ],
)
def test_a_run_is_found_by_what_is_enough_to_name_it(workplace, words, number):
    written(workplace, record(1), record(2, endpoint="torn_items"), record(3))

    shown = workplace.run("runs", "show", words, "--json").json

    assert int(shown["run_id"][-8:], 16) == number


@pytest.mark.parametrize("words", ["2026", "%", "20260101T0009", "faction_members", "_"])
def test_what_names_several_runs_or_none_is_wrong_usage(workplace, words):
    first, second = written(workplace, record(1), record(2))

    done = workplace.run("runs", "show", words)

    assert done.code == 2
    assert ("Give more of the id" in done.err) == (words == "2026")
    assert (first in done.err and second in done.err) == (words == "2026")


def test_show_tells_waits_cursor_log_and_whose_process_it_was(workplace):
    workplace.write(
        '[[endpoints]]\nname = "attacks"\npath = "/faction/attacks"\n',
        extra='[log]\nfile = "all.log"\n',
    )
    run = workplace.log("attacks").record
    with workplace.application() as application:
        application.state.write_run(replace(run, waited=12.5))

    out = workplace.run("runs", "show", "last").out

    assert "12.5 s" in out
    assert '"spans"' in out
    assert str(workplace.folder / "all.log") in out
    assert f"{os.getpid()} on {run.host}" in out
    assert json.loads(run.cursor)["spans"]


def test_a_wait_for_the_budget_is_in_the_books(workplace):
    with workplace.application("limits.share=0.02") as application:
        [endpoint] = application.chosen(["faction_crimes"])
        run = application.run(endpoint).record

    assert run.calls == 4
    assert 50 < run.waited < 130


# As it happens


class Hands:
    """A clock on which to wait makes the next thing happen; then somebody presses Ctrl-C."""

    def __init__(self, *then):
        self.at, self.then = START, list(then)

    def now(self):
        return self.at

    def sleep(self, seconds):
        if not self.then:
            raise KeyboardInterrupt
        self.at += seconds
        self.then.pop(0)()


@pytest.fixture
def elsewhere(monkeypatch):
    """The runs of a test are under way on other machines, under claims that hold."""
    monkeypatch.setattr(State, "mark_crashed", lambda _state: [])


def lines(done):
    return [json.loads(line) for line in done.out.splitlines()]


def test_tail_shows_the_newest_last_and_ends(workplace):
    ids = written(workplace, record(1), record(2), record(3))

    done = workplace.run("runs", "tail", "--limit", "2", "--json")

    assert done.code == 0
    assert [run["run_id"] for run in lines(done)] == ids[1:]
    assert len(workplace.run("runs", "tail").out.splitlines()) == 3


def test_tail_follows_each_run_as_it_begins_and_ends_once_and_is_quiet_at_ctrl_c(
    workplace, monkeypatch, elsewhere
):
    begins, other = record(5, "running"), record(6, endpoint="torn_items")
    ends = replace(begins, status="failed", finished_at=START + 9, error="No.", error_class="Busy")
    steps = [
        lambda: written(workplace, begins),
        lambda: written(workplace, replace(begins, step="store", pages=2)),
        lambda: written(workplace, other),
        lambda: None,
        lambda: written(workplace, ends),
        lambda: None,
    ]
    written(workplace, record(1))
    monkeypatch.setattr(runs, "SystemClock", lambda: Hands(*steps))

    done = workplace.run("runs", "tail", "-f", "--json")

    assert (done.code, done.err) == (130, "")
    told = [(run["run_id"][-1], run["status"]) for run in lines(done)]
    assert told == [("1", "done"), ("5", "running"), ("6", "done"), ("5", "failed")]
    monkeypatch.setattr(runs, "SystemClock", lambda: Hands(lambda: written(workplace, begins)))
    out = workplace.run("runs", "tail", "-f", "--endpoint", "faction_basic", "--limit", "0").out
    assert out == f"2026-01-01 00:00:05Z  faction_basic  {begins.run_id}  begins\n"


def test_tail_waits_for_the_first_run_and_makes_nothing(workplace, monkeypatch):
    monkeypatch.setattr(
        runs, "SystemClock", lambda: Hands(lambda: None, lambda: written(workplace, record(1)))
    )

    done = workplace.run("runs", "tail", "-f", "--json")

    assert [run["run_id"][-1] for run in lines(done)] == ["1"]


def test_tail_tells_of_an_old_run_that_goes_on(workplace, monkeypatch, elsewhere):
    old = record(1, "paused", started_at=START - 5 * 86_400)
    on = replace(old, status="running", finished_at=None)
    end = replace(old, status="done", finished_at=START + 2)
    written(workplace, old)
    steps = [lambda: written(workplace, on), lambda: written(workplace, end)]
    monkeypatch.setattr(runs, "SystemClock", lambda: Hands(*steps))

    done = workplace.run("runs", "tail", "-f", "--limit", "0", "--json")

    assert [run["status"] for run in lines(done)] == ["running", "done"]


EVENTS = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from(["running", "done", "failed"])), max_size=12
)


@given(st.lists(EVENTS, max_size=5))
def test_whatever_happens_no_change_is_told_twice_and_no_end_is_missed(looks):
    books, told = {}, []

    def happen(events):
        for number, status in events:
            books[number] = record(number, status)

    hands = Hands(*(partial(happen, events) for events in looks))
    newest = lambda _since, _ids: list(books.values())  # noqa: E731 - the whole of them
    with suppress(KeyboardInterrupt):
        told.extend((run.run_id, run.status) for run in changes(newest, hands))

    for number, run in books.items():
        own = [status for run_id, status in told if run_id == run.run_id]
        assert own[-1] == run.status, number
        assert all(one != other for one, other in pairwise(own))
