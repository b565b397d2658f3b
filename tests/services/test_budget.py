import threading

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from doubles import MemorySlots
from effort import calls
from tcdatalogger.clock import ManualClock
from tcdatalogger.errors import ConfigError, TornUnavailable
from tcdatalogger.services.torncity.client.budget import Budget
from tcdatalogger.services.torncity.client.rate_limiter import (
    ADDRESS,
    Rank,
    Terms,
    claim,
    correct,
    earliest_fit,
    reserve,
)


def most_in_a_window(times, window):
    """The most of `times` that lie within any `window` seconds."""
    times = sorted(times)
    return max(sum(start <= t < start + window for t in times) for start in times)


@given(
    calls=st.lists(
        st.tuples(st.sampled_from(["ann", "bob", "cid"]), st.sampled_from([0, 1, 5, 30, 59.5])),
        min_size=1,
        max_size=80,
    ),
    of_owner=st.integers(1, 6),
    of_address=st.integers(1, 12),
)
# the address pushes ann's call back by a minute, and her next one must reckon from there
@example([("bob", 30), ("cid", 0), ("ann", 1), ("ann", 1)], 1, 2)
def test_never_more_than_the_limits_in_any_rolling_window(calls, of_owner, of_address):
    clock = ManualClock()
    budget = Budget(MemorySlots(), clock, owner_calls=of_owner, address_calls=of_address)
    made = []
    for owner, pause in calls:
        clock.sleep(pause)
        budget.wait(owner)
        made.append((owner, clock.now()))

    assert most_in_a_window([at for _, at in made], 60) <= of_address
    for owner in {owner for owner, _ in made}:
        assert most_in_a_window([at for who, at in made if who == owner], 60) <= of_owner


@given(
    asked=st.lists(st.integers(0, 300), max_size=60),
    limit=st.integers(1, 5),
    start=st.integers(0, 300),
)
def test_a_call_gets_the_earliest_time_that_fits(asked, limit, start):
    """However the times came about: some of these windows hold more than the limit already."""
    times = sorted(asked)
    at = earliest_fit(times, limit, 61, start)

    def fits(moment):
        beside = sorted([*times, moment])
        spans = zip(beside, beside[limit:], strict=False)
        return not any(first <= moment <= last < first + 61 for first, last in spans)

    assert at >= start
    assert fits(at)
    assert not any(fits(moment) for moment in range(start, int(at)))


@given(st.lists(st.floats(0, 30), min_size=1, max_size=40), st.integers(1, 5))
def test_nobody_waits_where_there_is_room(pauses, limit):
    clock = ManualClock()
    budget = Budget(MemorySlots(), clock, owner_calls=limit)
    made = []
    for pause in pauses:
        clock.sleep(pause)
        recent = sum(at > clock.now() - 61 for at in made)
        waited = budget.wait("ann")
        made.append(clock.now())
        assert (waited > 0) == (recent >= limit)


ANN, BOB, LOW = ("ann",), ("bob",), ("ann", "low")
ONE, TWO, KEY = ("player:1",), ("player:2",), ("key:unknown",)
WAITS = {
    # the limits, who calls one after the other, and the seconds that each of them waits
    "the hundred and first call": ({}, [*[ANN] * 101, BOB], [*[0.0] * 100, 61.0, 0.0]),
    "the address over all owners": (
        {}, [(f"owner {n % 20}",) for n in range(1_001)], [*[0.0] * 1_000, 61.0],
    ),
    "a share leaves the rest to others": ({"share": 0.25}, [ANN] * 26, [*[0.0] * 25, 61.0]),
    "low priority leaves a part to the others": (
        {"owner_calls": 10}, [*[LOW] * 7, *[ANN] * 3, LOW], [*[0.0] * 10, 61.0],
    ),
    "low priority counts the calls of everybody": (
        {"owner_calls": 10}, [*[ANN] * 6, LOW, LOW], [*[0.0] * 7, 61.0],
    ),
    "an unknown owner may be anybody": (
        {"owner_calls": 2}, [ONE, KEY, TWO, ONE], [0.0, 0.0, 0.0, 61.0],
    ),
    "anybody may be an unknown owner": (
        {"owner_calls": 2}, [ONE, ONE, TWO, KEY], [0.0, 0.0, 0.0, 61.0],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WAITS)
def test_who_calls_waits_until_there_is_room(case):
    limits, callers, seconds = WAITS[case]
    budget = Budget(MemorySlots(), ManualClock(), **limits)
    assert [budget.wait(*caller) for caller in callers] == seconds


def test_what_is_left_is_what_low_priority_left():
    budget = Budget(MemorySlots(), ManualClock(), owner_calls=10)
    for _ in range(7):
        budget.wait("ann", "low")
    assert budget.left("ann") == 3


@pytest.mark.parametrize("share", [0, -1, 1.5, float("nan")])
def test_a_share_out_of_bounds_is_refused(share):
    with pytest.raises(ConfigError, match="share"):
        Budget(MemorySlots(), ManualClock(), share=share)


def test_a_held_owner_waits_and_others_do_not():
    clock = ManualClock()
    budget = Budget(MemorySlots(), clock)
    budget.pause("ann", clock.now() + 30)
    budget.pause("ann", clock.now() + 10)  # a shorter hold does not shorten a longer one
    assert budget.wait("bob") == 0.0
    assert budget.wait("ann") == 30.0


def test_a_held_address_holds_everybody():
    clock = ManualClock()
    budget = Budget(MemorySlots(), clock)
    budget.pause(ADDRESS, clock.now() + 40)
    assert budget.wait("ann") == 40.0


def test_a_hold_that_comes_while_a_call_waits_is_kept_to():
    clock = ManualClock()

    class HeldWhileAsleep(ManualClock):
        def sleep(self, seconds):
            super().sleep(seconds)
            if not paused:
                paused.append(True)
                budget.pause("ann", self.now() + 20)

    paused = []
    clock = HeldWhileAsleep()
    budget = Budget(MemorySlots(), clock, owner_calls=2)
    assert [budget.wait("ann") for _ in range(3)] == [0.0, 0.0, 81.0]


def test_threads_share_one_table_without_going_over():
    store = MemorySlots()
    terms = Terms("ann", Rank.NORMAL, ((7, 70), (10, 100), (10, 100)), 61, 0.5)
    given_at = []

    def reserve_many():
        for _ in range(100):
            with store.open() as pages:
                given_at.append(reserve(pages, terms, 0.0).at)

    threads = [threading.Thread(target=reserve_many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(given_at) == sorted(61.0 * (n // 10) for n in range(400))


class Sleeper:
    """A caller that can be looked at while it waits: `slot` when it may go."""

    def __init__(self, store, priority, now, limit=1, owner="ann"):
        self.store, self.rank = store, Rank[priority.upper()]
        limits = ((limit, 99), (limit, 99), (limit, 99))
        self.terms = Terms(owner, self.rank, limits, 61, 0.5)
        with store.open() as pages:
            self.slot = reserve(pages, self.terms, now)

    def wake(self, now):
        with self.store.open() as pages:
            self.slot = claim(pages, self.slot, self.terms, now)
        return self.slot


def test_of_calls_that_wait_the_one_of_higher_priority_goes_first():
    store = MemorySlots()
    assert Sleeper(store, "normal", 0.0).slot.taken
    low, normal = Sleeper(store, "low", 1.0), Sleeper(store, "normal", 2.0)
    high = Sleeper(store, "high", 3.0)
    assert high.slot.at == 61.0
    assert not low.wake(61.0).taken
    assert not normal.wake(61.0).taken
    assert high.wake(61.0).taken
    assert (normal.slot.at, low.slot.at) == (122.0, 183.0)


def test_whoever_has_waited_for_a_window_gives_way_no_more():
    store = MemorySlots()
    Sleeper(store, "normal", 0.0)
    waits = [Sleeper(store, "normal", 1.0) for _ in range(2)]
    assert [one.slot.at for one in waits] == [61.0, 122.0]
    assert waits[0].wake(61.0).taken
    high = Sleeper(store, "high", 63.0)  # the other one waits for 62 s by now
    assert waits[1].wake(122.0).taken
    assert high.slot.at == 183.0


def test_a_time_that_was_missed_is_not_made_up_for():
    """A process that was stopped for a while must not call on a slot of long ago."""
    store = MemorySlots()
    first = Sleeper(store, "normal", 0.0)
    late = Sleeper(store, "normal", 1.0)
    assert (first.slot.taken, late.slot.at) == (True, 61.0)
    assert late.wake(90.0).at == 90.0  # nobody else came, so it may go, and counts from now
    assert Sleeper(store, "normal", 91.0).slot.at == 151.0


@pytest.mark.parametrize(("seconds", "waits"), [(0.5, 60.5), (1.0, 60.0), (20.0, 60.0)])
def test_a_call_that_took_long_counts_from_its_end(seconds, waits):
    """It may have reached Torn only then; what the margin covers needs no care."""
    clock = ManualClock()
    budget = Budget(MemorySlots(), clock, owner_calls=1)
    slot = budget.turn("ann")
    clock.sleep(seconds)
    budget.done(slot)
    assert budget.wait("ann") == waits


def test_a_call_that_waits_for_one_that_took_long_waits_longer():
    store = MemorySlots()
    first = Sleeper(store, "normal", 0.0)
    second = Sleeper(store, "normal", 1.0)
    with store.open() as pages:
        correct(pages, first.slot, 19.0)
    assert second.wake(61.0).at == 80.0
    assert second.wake(80.0).taken


def test_a_call_of_low_priority_keeps_its_slot_beside_those_who_came_since():
    store = MemorySlots()
    clock = ManualClock()
    budget = Budget(store, clock, owner_calls=10)
    for _ in range(7):
        budget.wait("ann", "low")
    terms = Terms("ann", Rank.LOW, ((7, 70), (10, 100), (10, 100)), 61, 0.5)
    with store.open() as pages:
        slot = reserve(pages, terms, clock.now())
    clock.sleep(50)
    assert [budget.wait("ann") for _ in range(3)] == [0.0] * 3
    with store.open() as pages:
        assert claim(pages, slot, terms, slot.at).taken


def test_a_call_that_is_given_up_leaves_its_time_to_others():
    class Impatient(ManualClock):
        def sleep(self, _seconds):
            raise KeyboardInterrupt

    store = MemorySlots()
    clock = Impatient()
    budget = Budget(store, clock, owner_calls=1)
    budget.wait("ann")
    with pytest.raises(KeyboardInterrupt):
        budget.wait("ann")
    assert Budget(store, ManualClock(clock.now()), owner_calls=1).wait("ann") == 61.0


def test_a_hold_that_lasts_is_said_and_not_waited_out():
    clock = ManualClock()
    budget = Budget(MemorySlots(), clock)
    budget.pause(ADDRESS, clock.now() + 3_600, "address_blocked")
    began = clock.now()
    with pytest.raises(TornUnavailable, match="this address is blocked") as caught:
        budget.wait("ann", patience=90)
    assert (caught.value.code, caught.value.pause, clock.now()) == (8, 3_600, began)


def test_a_call_with_room_costs_the_same_however_many_there_were():
    clock = ManualClock()
    budget = Budget(MemorySlots(), clock, owner_calls=10**6, address_calls=10**6)
    budget.wait("ann")
    second = calls(lambda: budget.wait("ann"))
    for _ in range(2_000):
        budget.wait("ann")
    assert calls(lambda: budget.wait("ann")) == second < 200
