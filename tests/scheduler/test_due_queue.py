"""What is due, and when it is due again."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcdatalogger.clock import ManualClock
from tcdatalogger.core.config.durations import parse
from tcdatalogger.core.config.schedule import Grid
from tcdatalogger.core.state.due import BACKOFF, DueQueue, Plan, pause
from tcdatalogger.core.state.store import State
from tcdatalogger.errors import Busy

START = 1_767_225_600.0  # a midnight: a point of every grid below
QUARTER = 900.0


def plan(name="crimes", often="PT15M", **options):
    return Plan(name, Grid(parse(often)), **options)


class Desk:
    """An queue on a clock that is moved by hand, and a scheduler of a few lines."""

    def __init__(self, state):
        self.state, self.clock = state, ManualClock(START)
        self.queue, self.plans, self.runs = DueQueue(state), {}, []

    def configure(self, *plans, alone=True):
        self.plans = {one.endpoint: one for one in plans}
        self.queue.sync(plans, self.clock.now(), alone=alone)

    def due(self, most=100):
        return [d.endpoint for d in self.queue.due(self.clock.now(), most, known=self.plans)]

    def take(self, name="crimes"):
        (due,) = [
            d for d in self.queue.due(self.clock.now(), 100, known=self.plans) if d.endpoint == name
        ]
        now = self.clock.now()
        took = self.queue.take(due, until=now + 30, later=now + 2, claim=lambda _db: "claim")
        return due if took else None

    def serve(self, name="crimes", seconds=1.0):
        """Take an endpoint and run it well."""
        began, due = self.clock.now(), self.take(name)
        self.clock.sleep(seconds)
        self.queue.served(self.plans[name], began, self.clock.now())
        self.runs.append(began)
        return due

    def fail(self, name="crimes", *, again=True):
        began, due = self.clock.now(), self.take(name)
        self.queue.failed(self.plans[name], began, began, attempt=due.attempt + 1, again=again)

    def next(self, name="crimes"):
        """Seconds from the start until an endpoint is looked at next."""
        return self.queue.entries()[name].wake_at - START


@pytest.fixture
def desk(state_url):
    with State(state_url) as state:
        yield Desk(state)


def test_an_endpoint_that_is_seen_for_the_first_time_is_due_at_once(desk):
    desk.clock.sleep(100)
    desk.configure(plan())

    assert desk.due() == ["crimes"]


def test_it_is_due_again_at_the_next_point_of_its_grid_not_a_period_after_its_run(desk):
    desk.clock.sleep(100)
    desk.configure(plan())
    desk.serve(seconds=7)

    assert desk.due() == []
    assert desk.next() == QUARTER
    assert desk.queue.next_wake(desk.clock.now()) == START + QUARTER
    desk.clock.sleep(QUARTER - 107)
    assert desk.due() == ["crimes"]


def test_however_many_points_were_missed_it_runs_once_and_is_on_its_grid_again(desk):
    desk.configure(plan())
    desk.serve()
    desk.clock.sleep(10 * QUARTER + 17)

    desk.serve()

    assert desk.due() == []
    assert desk.next() == 11 * QUARTER


def test_a_point_that_passes_while_it_runs_is_run_after_it_and_once(desk):
    desk.configure(plan())
    desk.serve(seconds=3 * QUARTER + 5)

    assert desk.due() == ["crimes"]
    desk.serve()
    assert desk.due() == []
    assert desk.next() == 4 * QUARTER


def test_one_row_is_taken_by_one(desk, state_url):
    desk.configure(plan())
    (seen,) = desk.queue.due(START, 1, known=desk.plans)
    with State(state_url) as other:
        now = {"until": START + 30, "later": START + 2}
        assert desk.queue.take(seen, **now, claim=lambda _db: "mine") == "mine"
        assert DueQueue(other).take(seen, **now, claim=lambda _db: "theirs") is None


def test_one_that_runs_already_by_other_hands_is_left_and_looked_at_again_soon(desk):
    desk.configure(plan())
    (due,) = desk.queue.due(START, 1, known=desk.plans)

    def busy(_db):
        raise Busy("Somebody has it.")

    assert desk.queue.take(due, until=START + 30, later=START + 2, claim=busy) is None

    entry = desk.queue.entries()["crimes"]
    assert (entry.wake_at, entry.attempt, entry.due_at) == (START + 2, 0, START)


def test_a_run_that_never_comes_back_is_begun_again_when_its_time_is_up(desk):
    desk.configure(plan())
    desk.take()

    assert desk.due() == []
    desk.clock.sleep(31)
    (due,) = desk.queue.due(desk.clock.now(), 1, known=desk.plans)
    assert due.attempt == 1
    desk.queue.give_up(desk.plans["crimes"], desk.clock.now())
    assert desk.next() == QUARTER


def test_what_may_pass_is_tried_again_with_growing_pauses_and_then_waits_for_the_next_point(desk):
    desk.configure(plan(retries=3))
    pauses = []
    for _ in range(3):
        began = desk.clock.now()
        desk.fail()
        pauses.append(desk.next() + START - began)
        assert desk.due() == []
        desk.clock.sleep(pauses[-1])
        assert desk.due() == ["crimes"]
    desk.fail()

    assert pauses[0] < pauses[1] < pauses[2]
    assert desk.next() == QUARTER
    assert desk.queue.entries()["crimes"].attempt == 0


def test_what_somebody_has_to_mend_waits_for_the_next_point(desk):
    desk.configure(plan())
    desk.fail(again=False)

    assert desk.next() == QUARTER


@given(st.integers(1, 12), st.text(max_size=20), st.integers(1, 5_000))
def test_no_pause_is_longer_than_the_longest_nor_none(attempt, name, seconds):
    assert 0 < pause(name, attempt) <= 1.25 * BACKOFF.longest


def test_a_run_is_never_tried_again_later_than_its_next_point(desk):
    desk.configure(plan(often="PT5S", retries=9))
    desk.fail()

    assert desk.next() == 5.0


def test_of_many_the_urgent_go_first_and_then_the_longest_due(desk):
    names = ["low", "late", "high", "later"]
    desk.configure(
        plan("low", priority="low"), plan("late", "PT10M"), plan("high", priority="high"),
        plan("later", "PT20M"),
    )  # fmt: skip
    for name in names:
        desk.serve(name, seconds=0)
    desk.clock.sleep(3_600)

    assert desk.due() == ["high", "late", "later", "low"]
    assert desk.due(2) == ["high", "late"]


def test_endpoints_of_another_daemon_are_passed_over_however_many_are_due(desk):
    others = [plan(f"other_{n}", priority="high") for n in range(50)]
    desk.configure(*others, plan())
    desk.plans = {"crimes": plan()}

    assert desk.due(1) == ["crimes"]


def test_a_changed_frequency_is_taken_up_at_once_from_the_last_run(desk):
    desk.configure(plan(often="P1D"))
    desk.serve()
    desk.clock.sleep(1_000)

    desk.configure(plan(often="PT15M"))
    assert desk.due() == ["crimes"]
    desk.serve()
    desk.configure(plan(often="PT1H"))
    assert desk.due() == []
    assert desk.next() == 3_600


def test_the_same_configuration_read_again_changes_nothing(desk):
    desk.configure(plan())
    desk.fail()
    before = desk.queue.entries()

    desk.configure(plan())

    assert desk.queue.entries() == before


def test_what_is_not_configured_any_more_goes_unless_others_may_mean_it(desk):
    desk.configure(plan(), plan("members"))
    desk.configure(plan(), alone=False)
    assert set(desk.queue.entries()) == {"crimes", "members"}

    desk.configure(plan())
    assert set(desk.queue.entries()) == {"crimes"}


def test_a_clock_that_was_ahead_by_a_year_neither_stops_an_endpoint_nor_makes_a_storm(desk):
    desk.configure(plan(), plan("members", "PT1H"))
    desk.clock.sleep(365 * 86_400)
    desk.serve()
    desk.serve("members")
    desk.clock._now = START + 100

    desk.configure(plan(), plan("members", "PT1H"))

    assert desk.due() == []
    assert (desk.next(), desk.next("members")) == (QUARTER, 3_600)
    assert desk.queue.entries()["crimes"].due_at == START + QUARTER


def test_a_run_during_which_the_clock_went_back_is_due_again_at_the_next_point_of_now(desk):
    desk.configure(plan())
    began = START + 86_400
    desk.take()
    desk.queue.served(desk.plans["crimes"], began, START + 60)

    assert desk.next() == QUARTER


@settings(max_examples=40)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["run", "fail", "lose", "back"]), st.floats(0, 4_000)),
        max_size=15,
    ),
    often=st.sampled_from(["PT1M", "PT15M", "PT1H", "P1D"]),
)
def test_whatever_happens_it_runs_within_a_period_and_never_twice_for_a_point(
    tmp_path_factory, steps, often
):
    """The model: after a good run nothing runs before the first point after it began."""
    with State(tmp_path_factory.mktemp("state") / "s.sqlite") as state:
        desk = Desk(state)
        mine = plan(often=often)
        desk.configure(mine)
        for what, seconds in steps:
            if what == "back":
                desk.clock._now -= seconds
                desk.configure(mine)
                desk.runs.clear()  # what was later than now has not happened yet
            else:
                desk.clock.sleep(seconds)
            if not desk.due():
                continue
            now = desk.clock.now()
            assert not desk.runs or mine.grid.after(desk.runs[-1]) <= now
            {"run": desk.serve, "back": desk.serve, "fail": desk.fail, "lose": desk.take}[what]()
        now = desk.clock.now()
        assert desk.queue.entries()["crimes"].wake_at <= max(mine.grid.after(now), now + 900)


def test_a_run_whose_own_clock_is_a_little_behind_serves_the_point_that_it_was_for(desk):
    desk.configure(plan())
    desk.serve()
    desk.clock.sleep(QUARTER)
    point = desk.clock.now() - desk.clock.now() % QUARTER
    desk.take()
    desk.queue.served(desk.plans["crimes"], point - 0.2, point + 1)

    assert desk.queue.entries()["crimes"].due_at == point + QUARTER
