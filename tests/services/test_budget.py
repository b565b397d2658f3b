import threading
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tcdatalogger.clock import ManualClock
from tcdatalogger.errors import ConfigError
from tcdatalogger.services.torncity.budget import ADDRESS, Budget, MemorySlots


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


def test_two_small_limits_that_push_each_other_come_to_an_end():
    clock = ManualClock()
    slots = MemorySlots()
    budget = Budget(slots, clock, owner_calls=1, address_calls=1)
    now = clock.now()
    slots.reserve("ann", limit=1, window=61, now=now)
    slots.reserve(ADDRESS, limit=1, window=61, now=now + 30)
    made = []
    for _ in range(5):
        budget.wait("ann")
        made.append(clock.now())
    assert most_in_a_window([now, *made], 60) == 1
    assert most_in_a_window([now + 30, *made], 60) == 1
    assert made[0] - now < 61 * 10


@given(
    asked=st.lists(st.integers(0, 200), min_size=1, max_size=60),
    limit=st.integers(1, 5),
)
def test_slots_keep_the_limit_whatever_the_order_of_the_clocks(asked, limit):
    """Several processes, each with a clock of its own, write into one table."""
    slots = MemorySlots()
    given_at = [slots.reserve("ann", limit=limit, window=61, now=now) for now in asked]
    assert all(at >= now for at, now in zip(given_at, asked, strict=True))
    assert most_in_a_window(given_at, 61) <= limit


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


def test_the_hundred_and_first_call_waits_a_minute_and_a_second():
    clock = ManualClock()
    budget = Budget(MemorySlots(), clock)
    assert [budget.wait("ann") for _ in range(100)] == [0.0] * 100
    assert budget.wait("ann") == 61.0
    assert budget.wait("bob") == 0.0


def test_an_address_has_its_own_limit_over_all_owners():
    clock = ManualClock()
    budget = Budget(MemorySlots(), clock)
    waited = [budget.wait(f"owner {n % 20}") for n in range(1_001)]
    assert waited == [0.0] * 1_000 + [61.0]


def test_a_share_leaves_the_rest_to_other_programs():
    clock = ManualClock()
    budget = Budget(MemorySlots(), clock, share=0.25)
    assert [budget.wait("ann") for _ in range(26)] == [0.0] * 25 + [61.0]


@pytest.mark.parametrize("share", [0, -1, 1.5, float("nan")])
def test_a_share_out_of_bounds_is_refused(share):
    with pytest.raises(ConfigError, match="share"):
        Budget(MemorySlots(), ManualClock(), share=share)


def test_a_held_owner_waits_and_others_do_not():
    clock = ManualClock()
    budget = Budget(MemorySlots(), clock)
    budget.hold("ann", clock.now() + 30)
    budget.hold("ann", clock.now() + 10)  # a shorter hold does not shorten a longer one
    assert budget.wait("bob") == 0.0
    assert budget.wait("ann") == 30.0


def test_a_held_address_holds_everybody():
    clock = ManualClock()
    budget = Budget(MemorySlots(), clock)
    budget.hold(ADDRESS, clock.now() + 40)
    assert budget.wait("ann") == 40.0


def test_a_hold_that_comes_while_a_call_waits_is_kept_to():
    clock = ManualClock()

    class HeldWhileAsleep(ManualClock):
        def sleep(self, seconds):
            super().sleep(seconds)
            if not held:
                held.append(True)
                budget.hold("ann", self.now() + 20)

    held = []
    clock = HeldWhileAsleep()
    budget = Budget(MemorySlots(), clock, owner_calls=2)
    assert [budget.wait("ann") for _ in range(3)] == [0.0, 0.0, 81.0]


def test_threads_share_one_table_without_going_over():
    slots = MemorySlots()
    given_at = []

    def reserve():
        for _ in range(200):
            given_at.append(slots.reserve("ann", limit=10, window=61, now=0.0))  # noqa: PERF401

    threads = [threading.Thread(target=reserve) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(given_at) == sorted(61.0 * (n // 10) for n in range(800))


def test_a_call_with_room_costs_microseconds():
    clock = ManualClock()
    budget = Budget(MemorySlots(), clock, owner_calls=10**6, address_calls=10**6)
    began = time.perf_counter()
    for _ in range(2_000):
        budget.wait("ann")
    assert time.perf_counter() - began < 0.5
