"""What all processes share of the call budget: slots, holds, the health of keys, the circuit."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from doubles import MemoryKeyHealth, MemorySlots
from tcdatalogger.clock import ManualClock
from tcdatalogger.core.state.store import State
from tcdatalogger.errors import TornUnavailable
from tcdatalogger.services.torncity.client.budget import Budget
from tcdatalogger.services.torncity.client.error_codes import DAY
from tcdatalogger.services.torncity.client.key_health import (
    CircuitBreaker,
    KeyState,
    RowQuota,
    failed,
)
from tcdatalogger.services.torncity.client.rate_limiter import (
    ADDRESS,
    CallSlot,
    Pause,
    Rank,
    Terms,
    claim,
    correct,
    reserve,
)

TAKER = """
import sys, time
from tcdatalogger.clock import SystemClock
from tcdatalogger.core.state.store import State
from tcdatalogger.services.torncity.client.budget import Budget

place, limit, window, calls, *rest = sys.argv[1:]
with State(place) as state:
    budget = Budget(state.call_slots, SystemClock(), owner_calls=int(limit), window=float(window),
                    margin=float(window) / 4)
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(int(calls)):
        budget.wait("player:158", *rest)
        print(time.time(), flush=True)
        time.sleep(0.02)  # the call itself
"""


@pytest.fixture
def place(state_url):
    return state_url


@pytest.fixture
def state(place):
    with State(place) as opened:
        yield opened


def emptied(state):
    """The state without calls and holds."""
    with state.writing() as db:
        for table in ("calls", "holds"):
            db.execute(f"delete from {table}")
    return state


def processes(script, *arguments):
    """Processes that run a script, all let go at once; their outputs."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", script, *map(str, words)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for words in arguments
    ]
    for one in started:
        assert one.stdout.readline() == "ready\n"
    for one in started:
        one.stdin.write("\n")
        one.stdin.flush()
    return [one.communicate(timeout=300)[0].split() for one in started]


# Never over, whatever the order

WINDOW, MARGIN, SLACK = 61.0, 1.0, 0.5
LIMITS = ((2, 3), (3, 5), (3, 5))
OWNERS = {"player:1": "1", "player:2": "2", "key:a": "1", "key:b": "2"}
"""The names under which calls are counted, and whose they are in truth."""

MOVES = st.one_of(
    st.tuples(st.just("ask"), st.sampled_from(sorted(OWNERS)), st.sampled_from(list(Rank))),
    st.tuples(st.just("wake"), st.integers(0, 9), st.none()),
    st.tuples(st.just("late"), st.integers(0, 9), st.sampled_from([0.4, 3.0, 70.0])),
    st.tuples(st.just("done"), st.integers(0, 9), st.sampled_from([0.3, 1.0, 25.0])),
    st.tuples(st.just("give up"), st.integers(0, 9), st.none()),
    st.tuples(st.just("hold"), st.sampled_from([ADDRESS, "player:1"]), st.just(20.0)),
    st.tuples(st.just("learn"), st.sampled_from(["key:a", "key:b"]), st.none()),
    st.tuples(st.just("pass"), st.sampled_from([0.2, 5.0, 30.0, 61.0]), st.none()),
)


@dataclass
class Waiter:
    slot: CallSlot
    terms: Terms


class Play:
    """Callers that ask, wait, wake early or late, give up and are held, in any order."""

    def __init__(self, store, learn):
        self.store, self.learn = store, learn
        self.now, self.waiters, self.went = 1_000.0, [], []
        self.under_way, self.arrived = [], {}

    def move(self, kind, what, more):
        match kind:
            case "ask":
                terms = Terms(what, more, LIMITS, WINDOW, SLACK)
                with self.store.open() as pages:
                    self.note(Waiter(reserve(pages, terms, self.now), terms))
            case "wake" | "late" if self.waiters:
                waiter = self.waiters.pop(what % len(self.waiters))
                self.now = max(self.now, waiter.slot.at + (more or 0.0))
                with self.store.open() as pages:
                    waiter.slot = claim(pages, waiter.slot, waiter.terms, self.now)
                self.note(waiter)
            case "done" if self.under_way:
                place, slot = self.under_way.pop(what % len(self.under_way))
                self.now = max(self.now, slot.at + more)
                if self.now - slot.at < WINDOW - MARGIN:  # or it could not have been known in time
                    self.arrived[place] = self.now
                    with self.store.open() as pages:
                        correct(pages, slot, self.now - MARGIN)
            case "give up" if self.waiters:
                waiter = self.waiters.pop(what % len(self.waiters))
                with self.store.open() as pages:
                    pages.remove(waiter.slot.id)
            case "hold":
                self.store.pause(Pause(what, self.now + more, "http_429"))
            case "learn":
                self.learn(what, f"player:{OWNERS[what]}")
            case "pass":
                self.now += what

    def note(self, waiter):
        if waiter.slot.taken:
            self.under_way.append((len(self.went), waiter.slot))
            self.went.append((self.now, OWNERS[waiter.terms.owner], waiter.terms.rank))
        else:
            self.waiters.append(waiter)

    def check(self):
        """Torn counts a call when it comes, which may be as late as it is over."""
        counted = [
            (self.arrived.get(place, at), whose, rank)
            for place, (at, whose, rank) in enumerate(self.went)
        ]
        assert most([at for at, _, _ in counted], WINDOW - MARGIN) <= LIMITS[1][1]
        for owner in "12":
            mine = [at for at, whose, _ in counted if whose == owner]
            assert most(mine, WINDOW - MARGIN) <= LIMITS[1][0]


def most(times, window):
    times = sorted(times)
    return max((sum(t <= other < t + window for other in times) for t in times), default=0)


@given(st.lists(MOVES, min_size=5, max_size=60))
def test_never_over_in_any_window_whatever_the_interleaving(moves):
    play = Play(MemorySlots(), lambda _key, _owner: None)
    for move in moves:
        play.move(*move)
    play.check()


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(MOVES, min_size=5, max_size=60))
def test_never_over_in_the_database_either(state, moves):
    play = Play(emptied(state).call_slots, state.call_slots.count_under)
    for move in moves:
        play.move(*move)
    play.check()


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(MOVES.filter(lambda move: move[0] != "learn"), min_size=5, max_size=40))
def test_the_database_gives_the_same_times_as_the_memory(state, moves):
    plays = [Play(store, None) for store in (MemorySlots(), emptied(state).call_slots)]
    for play in plays:
        for move in moves:
            play.move(*move)
    assert plays[0].went == plays[1].went
    assert [w.slot.at for w in plays[0].waiters] == [w.slot.at for w in plays[1].waiters]


@pytest.fixture(params=["memory", "database"])
def slots(request, state):
    return MemorySlots() if request.param == "memory" else state.call_slots


def test_a_clock_that_was_set_back_does_not_stop_everything(slots):
    terms = Terms("player:1", Rank.NORMAL, LIMITS, WINDOW, SLACK)
    for _ in range(3):
        with slots.open() as pages:
            assert reserve(pages, terms, 10_000.0).taken
    with slots.open() as pages:
        assert reserve(pages, terms, 6_400.0).at == 6_400.0 + WINDOW


# Several processes


@pytest.mark.slow
def test_four_processes_together_never_go_over_and_take_their_turns(place):
    limit, window, calls = 10, 0.4, 12
    outputs = processes(TAKER, *[(place, limit, window, calls)] * 4)
    went = sorted(float(line) for lines in outputs for line in lines)

    assert len(went) == 4 * calls
    for first, last in zip(went, went[limit:], strict=False):
        assert last - first > window  # the margin covers that it is printed a little later
    assert went[-1] - went[0] < window * 1.25 * (4 * calls / limit + 2)


@pytest.mark.slow
def test_nobody_is_left_behind_by_the_others(place):
    outputs = processes(TAKER, *[(place, 8, 0.5, 12)] * 4)
    went = [[float(line) for line in lines] for lines in outputs]
    first_end = min(times[-1] for times in went)

    for times in went:  # when the first has all of its 12, the others have most of theirs
        assert sum(at <= first_end for at in times) >= 6


def test_a_process_that_is_killed_while_it_waits_wastes_its_slot_and_no_more(place):
    with State(place) as state:
        budget = Budget(state.call_slots, ManualClock(1_000.0), owner_calls=1)
        budget.wait("player:1")
        with state.call_slots.open() as pages:  # a process that waits, and is never heard of again
            terms = Terms("player:1", Rank.NORMAL, ((1, 9), (1, 9), (1, 9)), 61.0, 0.5)
            assert reserve(pages, terms, 1_000.0).at == 1_061.0
        assert budget.wait("player:1") == 122.0


def test_old_calls_are_forgotten(state):
    clock = ManualClock()
    budget = Budget(state.call_slots, clock)
    for _ in range(50):
        budget.wait("player:1")
        clock.sleep(100)

    assert state.reading("select count(*) from calls")[0][0] <= 2


def test_threads_of_one_process_share_its_connection(state):
    budget = Budget(state.call_slots, ManualClock())
    trouble = []

    def call():
        try:
            for _ in range(25):
                budget.wait("player:1")
                state.key_health.circuit()
        except Exception as error:  # noqa: BLE001 - whatever it is, the test has to say so
            trouble.append(error)

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert trouble == []
    assert state.call_slots.calls_since(0.0) == {"player:1": 100}


def test_a_call_that_waits_for_its_time_was_not_made(state):
    clock = ManualClock()
    budget = Budget(state.call_slots, clock)
    for _ in range(100):
        budget.wait("player:1")
    with state.call_slots.open() as pages:
        pages.write(CallSlot("waits", "player:1", Rank.LOW, clock.now(), clock.now() + 30))

    assert state.call_slots.calls_since(clock.now() - 60) == {"player:1": 100}


# Holds


def test_a_hold_of_one_process_is_kept_to_by_another(place):
    clock = ManualClock()
    with State(place) as one, State(place) as other:
        Budget(one.call_slots, clock).pause("player:1", clock.now() + 30)
        budget = Budget(other.call_slots, clock)

        assert budget.wait("player:2") == 0.0
        assert budget.wait("player:1") == 30.0


def test_a_block_of_the_address_stops_every_process_and_the_next_one_too(place):
    clock = ManualClock()
    with State(place) as one:
        Budget(one.call_slots, clock).pause(ADDRESS, clock.now() + 3_600, "address_blocked")
    with State(place) as other, pytest.raises(TornUnavailable) as caught:
        Budget(other.call_slots, clock).wait("player:1", patience=90)
    assert caught.value.code == 8


def test_a_shorter_hold_does_not_shorten_a_longer_one(state):
    state.call_slots.pause(Pause("player:1", 100.0, "http_429"))
    state.call_slots.pause(Pause("player:1", 50.0, "address_blocked"))

    assert state.call_slots.paused("player:1") == Pause("player:1", 100.0, "http_429")
    assert state.call_slots.pauses(99.0) == [Pause("player:1", 100.0, "http_429")]
    assert state.call_slots.pauses(100.0) == []


def test_calls_before_we_knew_whose_a_key_is_count_for_its_owner(state):
    budget = Budget(state.call_slots, ManualClock())
    budget.wait("key:abc")
    budget.wait("player:158")

    state.call_slots.count_under("key:abc", "player:158")

    assert state.call_slots.calls_since(999.0) == {"player:158": 2}
    assert budget.left("player:1") == 100  # it is nobody else's any more


# Health, circuit and rows: the same in memory and in the database


@pytest.fixture(params=["memory", "database"])
def key_health(request, state):
    return MemoryKeyHealth() if request.param == "memory" else state.key_health


def test_what_is_known_of_a_key_is_kept(key_health):
    dead = KeyState("key:a", "dead", code="incorrect_key", since=5.0, name="default")
    path = KeyState("key:a", "permission", "/user/log", "access_too_low", 99.0, 5.0, "default")
    for mark in (path, dead):
        key_health.set_state(mark)

    assert sorted(key_health.states("key:a"), key=lambda mark: mark.path) == [dead, path]
    assert key_health.states("key:b") == []
    key_health.forget_permissions("key:a")
    assert key_health.states("key:a") == [dead]


def test_a_key_is_tried_by_one_caller_at_once_until_that_one_is_given_up(key_health):
    assert key_health.trial("key:a", 1_000.0)
    assert not key_health.trial("key:a", 1_001.0)
    assert key_health.trial("key:b", 1_001.0)
    assert key_health.trial("key:a", 1_500.0)
    key_health.end_trial("key:a")
    assert key_health.trial("key:a", 1_501.0)


def test_the_circuit_is_changed_by_one_caller_at_a_time(key_health):
    assert key_health.circuit() == CircuitBreaker()
    for _ in range(3):
        key_health.change_circuit(lambda known: failed(known, 10.0, 2))
    assert key_health.circuit().faults == 6
    assert key_health.change_circuit(lambda _: None) is None
    assert key_health.circuit().faults == 6


def test_rows_of_a_day_are_spent_and_come_back(key_health):
    assert key_health.reserve_rows("1/events", RowQuota("a", 1_000.0, 60), 100) == 0.0
    assert key_health.reserve_rows("1/events", RowQuota("b", 2_000.0, 40), 100) == 0.0
    assert key_health.reserve_rows("2/events", RowQuota("c", 2_000.0, 40), 100) == 0.0
    assert key_health.reserve_rows("1/events", RowQuota("d", 3_000.0, 40), 100) == 1_000.0 + DAY
    assert key_health.reserve_rows("1/events", RowQuota("d", 3_000.0, 61), 100) == 2_000.0 + DAY
    key_health.settle_rows(RowQuota("b", 2_000.0, 10))
    assert key_health.reserve_rows("1/events", RowQuota("d", 3_000.0, 30), 100) == 0.0
    key_health.settle_rows(RowQuota("d", 3_000.0, 0))
    assert key_health.reserve_rows("1/events", RowQuota("e", 1_001.0 + DAY, 90), 100) == 0.0


@given(st.lists(st.tuples(st.integers(0, 50_000), st.integers(1, 60)), max_size=40))
def test_a_day_never_has_more_rows_than_its_limit(asked):
    key_health, now, booked = MemoryKeyHealth(), 0.0, []
    for number, (pause, count) in enumerate(asked):
        now += pause
        if not key_health.reserve_rows("1/events", RowQuota(str(number), now, count), 100):
            booked.append((now, count))
    for start, _ in booked:
        assert sum(count for at, count in booked if start <= at < start + DAY) <= 100


def test_a_dead_key_is_called_exactly_once_across_two_processes(place, city):
    before = city.stats()["keys"].get("dead", 0)
    caller = """
import sys
from tcdatalogger.clock import SystemClock
from tcdatalogger.core.config.secrets import Secret
from tcdatalogger.core.state.store import State
from tcdatalogger.errors import KeyRefused
from tcdatalogger.services.torncity.client.budget import Budget
from tcdatalogger.services.torncity.client.client import Client
from tcdatalogger.services.torncity.client.messages import Request
from tcdatalogger.services.torncity.client.transport import Transport

place, url, text = sys.argv[1:]
clock = SystemClock()
with State(place) as state:
    budget = Budget(state.call_slots, clock)
    client = Client(Transport(url, clock), budget, clock, key_health=state.key_health)
    print("ready", flush=True)
    sys.stdin.readline()
    for path in ("/user/basic", "/faction/basic") * 2:
        try:
            client.get(Request(path), Secret("default", text))
        except KeyRefused as error:
            print(error.code)
    client.close()
"""
    words = (place, city.url, city.keys["dead"])
    for _ in range(2):  # and in processes that come later
        outputs = processes(caller, words, words)
        assert outputs == [["2"] * 4] * 2
    assert city.stats()["keys"].get("dead", 0) - before == 1


def test_probes_of_a_torn_that_is_down_come_further_and_further_apart():
    circuit, opened = CircuitBreaker(), []
    now = 0.0
    while len(opened) < 8:
        circuit = failed(circuit, now, 1)
        if circuit.open:
            opened.append(circuit.until)
            now = circuit.until
    assert [round(b - a) for a, b in pairwise([0.0, *opened])] == [
        30, 60, 120, 240, 480, 600, 600, 600,
    ]  # fmt: skip


def test_the_state_is_one_file_that_can_be_lost(tmp_path):
    file = tmp_path / "state.sqlite"
    with State(file) as state:
        state.key_health.set_state(KeyState("key:a", "dead"))
    for left in tmp_path.glob("state.sqlite*"):
        left.unlink()
    with State(file) as state:
        assert state.key_health.states("key:a") == []
