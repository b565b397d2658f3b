"""Claims: one holder at a time, over processes, machines and pauses."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tcdatalogger.clock import ManualClock
from tcdatalogger.core.state import leases
from tcdatalogger.core.state.leases import Claim, ClaimOwner, Leases
from tcdatalogger.core.state.store import RunRecord, State
from tcdatalogger.errors import Busy

START = 1_000_000.0


@pytest.fixture
def clock():
    return ManualClock(START)


@pytest.fixture
def state(state_url, clock):
    with State(state_url, clock) as opened:
        yield opened


def elsewhere(pid=1, host="the other machine"):
    return ClaimOwner(host, "another", pid, "5", "0000").text


def process(words="import sys; sys.stdin.read()"):
    return subprocess.Popen([sys.executable, "-c", words], stdin=subprocess.PIPE)


def owner_of(child, **facts):
    known = {"host": socket.gethostname(), "space": leases._space(), "pid": child.pid}
    known |= {"begun": leases._begun(child.pid) or "", "mark": "abcd"}
    return ClaimOwner(**{**known, **facts}).text


# One holder at a time


def test_an_endpoint_that_is_claimed_is_busy_and_who_asks_is_told_by_whom(state):
    state.leases.claim("crimes", "run-1")
    state.leases.claim("members", "run-2")

    with pytest.raises(Busy) as busy:
        state.leases.claim("crimes", "run-3")

    for word in (
        "run-1",
        f"process {os.getpid()} on {socket.gethostname()}",
        "1970-01-12 13:46:40",
    ):
        assert word in busy.value.message
    assert busy.value.exit_code == 75


def test_only_claims_whose_time_is_over_are_given_back(state, clock):
    over = state.leases.claim("crimes", "run-1", seconds=60)
    held = state.leases.claim("members", "run-2", seconds=600)
    clock.sleep(61)

    assert state.leases.orphaned() == ["crimes"]
    state.leases.give_back(["crimes", "members"])

    assert state.leases.orphaned() == []
    assert [claim.token for claim in state.leases.held()] == [held.token]
    with pytest.raises(Busy):
        state.leases.check(over, 60)
    assert state.leases.claim("crimes", "run-3").token > over.token


def test_a_claim_that_was_released_is_free_for_the_next(state):
    first = state.leases.claim("crimes", "run-1")
    state.leases.release(first)

    second = state.leases.claim("crimes", "run-2")

    assert second.token > first.token
    assert state.leases.held() == [second]


def test_of_many_who_claim_at_once_one_has_it(state_url):
    def claim(number):
        with State(state_url) as state:
            barrier.wait()
            try:
                return state.leases.claim("crimes", f"run-{number}")
            except Busy:
                return None

    barrier = threading.Barrier(6)
    with ThreadPoolExecutor(6) as pool:
        claims = list(pool.map(claim, range(6)))

    assert sum(claim is not None for claim in claims) == 1


def test_a_busy_endpoint_leaves_the_transaction_of_whoever_asks_as_it_was(state):
    state.leases.claim("crimes", "run-1")

    with state.writing() as db:
        db.execute("insert into chores (name, at) values ('mine', 1)")
        with pytest.raises(Busy):
            state.leases.take(db, "crimes", "run-2")
        taken = state.leases.take(db, "members", "run-2")

    assert state.reading("select name from chores") == [("mine",)]
    assert [claim.endpoint for claim in state.leases.held()] == ["crimes", "members"]
    state.leases.check(taken)


# Tokens


def test_the_token_grows_from_claim_to_claim_also_by_a_clock_that_stands_still(state, clock):
    tokens = []
    for number in range(4):
        claim = state.leases.claim("crimes", f"run-{number}")
        tokens.append(claim.token)
        state.leases.release(claim)
    clock._now -= 3600  # somebody set it back
    tokens.append(state.leases.claim("crimes", "run-9").token)

    assert tokens == sorted(set(tokens))


def test_the_token_grows_also_when_the_state_was_lost(tmp_path, clock):
    tokens = []
    for name in ("one", "another"):
        with State(tmp_path / name, clock) as state:
            for number in range(3):
                claim = state.leases.claim("crimes", f"run-{number}")
                tokens.append(claim.token)
                state.leases.release(claim)
        clock.sleep(1)

    assert tokens == sorted(set(tokens))


# Holders that are gone


def test_a_claim_that_ran_out_is_taken_over_and_its_holder_may_store_no_more(state, clock):
    first = state.leases.claim("crimes", "run-1", owner=elsewhere(), seconds=30)
    clock.sleep(29.9)
    with pytest.raises(Busy, match="the other machine"):
        state.leases.claim("crimes", "run-2")
    clock.sleep(0.2)

    second = state.leases.claim("crimes", "run-2")

    with pytest.raises(Busy, match=r"may store no more.* Run run-2 has it"):
        state.leases.check(first)
    with pytest.raises(Busy):
        state.leases.renew(first)
    state.leases.check(second)


def test_a_claim_that_ran_out_is_still_good_if_nobody_took_it(state, clock):
    claim = state.leases.claim("crimes", "run-1", seconds=30)
    clock.sleep(100)

    state.leases.check(claim)

    with pytest.raises(Busy):
        state.leases.claim("crimes", "run-2")


def test_a_claim_by_a_clock_that_was_ahead_runs_out_like_any_other(state, clock):
    a_year_on = Leases(state, ManualClock(START + 365 * 86_400))
    a_year_on.claim("crimes", "run-1", owner=elsewhere())

    with pytest.raises(Busy):
        state.leases.claim("crimes", "run-2")
    clock.sleep(leases.SECONDS)

    assert state.leases.claim("crimes", "run-2").run_id == "run-2"


def test_a_claim_that_is_renewed_goes_on(state, clock):
    claim = state.leases.claim("crimes", "run-1", owner=elsewhere(), seconds=30)
    for _ in range(5):
        clock.sleep(20)
        claim = state.leases.renew(claim, 30)

    assert claim.until == clock.now() + 30
    with pytest.raises(Busy):
        state.leases.claim("crimes", "run-2")


def test_the_claim_of_a_stranger_releases_and_renews_nothing(state):
    mine = state.leases.claim("crimes", "run-1")
    strange = Claim("crimes", "run-1", mine.token - 1, mine.owner, mine.until)

    state.leases.release(strange)
    with pytest.raises(Busy):
        state.leases.renew(strange)

    assert state.leases.held() == [mine]


def test_after_a_release_its_claim_is_good_for_nothing(state):
    claim = state.leases.claim("crimes", "run-1")
    state.leases.release(claim)

    with pytest.raises(Busy, match="may store no more"):
        state.leases.check(claim)


def test_a_process_of_this_machine_that_is_gone_is_replaced_at_once(state):
    child = process()
    state.leases.claim("crimes", "run-1", owner=owner_of(child))
    with pytest.raises(Busy, match=f"process {child.pid}"):
        state.leases.claim("crimes", "run-2")
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # ended, and not yet asked after

    assert state.leases.held() == []
    state.leases.claim("crimes", "run-2")
    child.communicate()


def test_a_number_that_was_given_to_another_process_is_no_disguise(state):
    child = process()
    try:
        state.leases.claim("crimes", "run-1", owner=owner_of(child, begun="12"))
        state.leases.claim("crimes", "run-2")
    finally:
        child.communicate()


def test_of_a_process_of_another_container_nothing_is_known_before_its_claim_runs_out(state):
    gone = process()
    gone.communicate()
    state.leases.claim("crimes", "run-1", owner=owner_of(gone, space="another"))

    with pytest.raises(Busy):
        state.leases.claim("crimes", "run-2")


def test_an_owner_comes_back_as_it_was_written():
    owner = ClaimOwner("a/strange/host", "space", 12, "345", "mark")
    assert ClaimOwner.read(owner.text) == owner
    assert leases.me() == leases.me()
    assert not ClaimOwner.read(leases.me()).gone


# Runs


def run(number, claim=None, **facts):
    known = {"endpoint": "crimes", "started_at": START + number}
    if claim is not None:
        known |= {"token": claim.token, "owner": claim.owner}
    return RunRecord(f"run-{number}", **{**known, **facts})


def test_runs_whose_claim_is_gone_are_lost_and_the_others_are_not(state, clock):
    child = process()
    claims = [
        state.leases.claim("mine", "run-0"),
        state.leases.claim("paused elsewhere", "run-1", owner=elsewhere(), seconds=10),
        state.leases.claim("alive elsewhere", "run-2", owner=elsewhere(), seconds=60),
        state.leases.claim("killed here", "run-3", owner=owner_of(child)),
        state.leases.claim("given up", "run-4"),
    ]
    for number, claim in enumerate(claims):
        state.write_run(run(number, claim, endpoint=claim.endpoint))
    state.write_run(run(5, status="done"))
    state.leases.release(claims[4])
    child.kill()
    child.communicate()
    clock.sleep(20)

    lost = state.mark_crashed()

    assert sorted(one.run_id for one in lost) == ["run-1", "run-3", "run-4"]
    assert {one.run_id: one.status for one in state.runs()} == {
        "run-0": "running", "run-1": "crashed", "run-2": "running", "run-3": "crashed",
        "run-4": "crashed", "run-5": "done",
    }  # fmt: skip
    assert state.mark_crashed() == []
    with pytest.raises(Busy):  # it was only paused, and its run is written off
        state.leases.check(claims[1])
    state.leases.check(claims[0])


def test_a_claim_is_renewed_while_the_block_lasts_and_released_at_its_end(state_url):
    with State(state_url) as state, State(state_url) as other:
        claim = state.leases.claim("crimes", "run-1", owner=elsewhere(), seconds=1.5)
        with state.leases.kept(claim, 1.5):
            while not any(one.until > claim.until for one in other.leases.held()):
                time.sleep(0.01)  # the renewal goes by real time
            with pytest.raises(Busy):
                other.leases.claim("crimes", "run-2")
        other.leases.claim("crimes", "run-2")


# The whole program


def test_a_busy_endpoint_is_told_and_the_others_run(workplace):
    workplace.run("run", "faction_basic")
    with workplace.application() as application, application.claimed("faction_members", "by-hand"):
        done = workplace.run("run", "faction_members", "faction_basic", "--json")
        alone = workplace.run("run", "faction_members")

    assert done.code == 75
    assert [run["status"] for run in done.json] == ["busy", "done"]
    assert done.json[0]["error"]["class"] == "Busy"
    assert alone.code == 75
    assert "by-hand" in alone.err
    assert len(workplace.run("runs", "--json").json) == 2


def test_what_is_worse_than_busy_decides_the_exit_code(workplace):
    workplace.key = workplace.city.keys["dead"]
    with workplace.application() as application, application.claimed("faction_basic", "by-hand"):
        done = workplace.run("run", "faction_basic", "faction_crimes")

    assert done.code == 77


def test_a_run_that_ends_badly_releases_its_claim_too(workplace):
    workplace.key = workplace.city.keys["dead"]
    assert workplace.run("run", "faction_basic").code == 77

    with workplace.application() as application:
        assert application.state.leases.held() == []


def test_two_backfills_of_one_endpoint_never_overlap_and_runs_go_on_beside_one(workplace):
    workplace.key = workplace.city.keys["full"]
    workplace.write('[[endpoints]]\nname = "chains"\npath = "/faction/chains"\n')
    with workplace.application() as application:
        with application.claimed("chains/backfill", "by-hand"):
            assert workplace.run("backfill", "chains").code == 75
            assert workplace.run("run", "chains").code == 0
        with application.claimed("chains", "by-hand"):
            assert workplace.run("backfill", "chains", "--since", "P30D").code == 0
    tokens = workplace.sql("select token from _tcd_loads order by committed_at")
    assert {one["token"] is None for one in tokens} == {False, True} or len(tokens) < 2


def test_a_run_that_is_stored_does_nothing_when_it_is_started_again(workplace):
    first = workplace.run("run", "faction_crimes", "--run-id", "nightly-2026_11_23", "--json")
    calls = workplace.city.stats()["calls"]
    again = workplace.run("run", "faction_crimes", "--run-id", "nightly-2026_11_23", "--json")
    for file in workplace.folder.glob("*.state.sqlite*"):
        file.unlink()
    lost = workplace.run("run", "faction_crimes", "--run-id", "nightly-2026_11_23", "--json")

    assert first.json[0]["run_id"] == "nightly-2026_11_23"
    assert "already_stored" not in first.json[0]
    for one in (again, lost):
        assert one.code == 0
        assert one.json[0]["already_stored"] is True
    assert workplace.city.stats()["calls"] == calls
    assert workplace.value("select count(*) from _tcd_loads") == 1


def test_a_run_that_failed_may_be_started_again_under_its_name(workplace):
    workplace.key = workplace.city.keys["dead"]
    assert workplace.run("run", "faction_crimes", "--run-id", "mine").code == 77
    workplace.key = workplace.city.keys["limited"]

    done = workplace.run("run", "faction_crimes", "--run-id", "mine", "--json")

    assert done.code == 0
    assert "already_stored" not in done.json[0]
    assert done.json[0]["rows"]["faction_crimes"] > 0


@pytest.mark.parametrize("name", ["../up", "a b", "x" * 65, "ü", "a'b"])
def test_an_id_that_could_not_name_a_file_is_refused(workplace, name):
    assert workplace.run("run", "faction_crimes", "--run-id", name).code == 2


def test_an_id_names_the_run_of_one_endpoint(workplace):
    assert workplace.run("run", "--all", "--run-id", "x").code == 2
    assert workplace.run("run", "faction_basic", "--run-id", "x").code == 0
    assert workplace.run("run", "faction_crimes", "--run-id", "x").code == 2


PAUSED = """
import sys
from pathlib import Path
from tcdatalogger.core.config import configuration
from tcdatalogger.core.main import Application

def tell(run):
    if run.step == "fetch" and not told:
        told.append(run)
        print("fetches", flush=True)
        sys.stdin.readline()  # here it is paused

told = []
file, lease = sys.argv[1:]
settings = configuration.load(Path(file), {})
with Application(settings, lease=float(lease), tell=tell) as application:
    outcome = application.run(settings.endpoint("faction_crimes"))
    print(outcome.record.step, outcome.record.error_class, outcome.record.exit_code, flush=True)
"""


@pytest.mark.slow
def test_a_process_that_was_paused_past_its_claim_cannot_store_when_it_wakes(workplace):
    paused = subprocess.Popen(
        [sys.executable, "-c", PAUSED, str(workplace.file), "1.0"], cwd=workplace.folder,
        env=workplace.outside(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert paused.stdout.readline() == "fetches\n"
        assert workplace.process("run", "faction_crimes").code == 75
        os.kill(paused.pid, signal.SIGSTOP)
        time.sleep(1.2)  # the claim runs out by real time
        assert workplace.process("run", "faction_crimes").code == 0
        before = workplace.value("select count(*) from faction_crimes")
        os.kill(paused.pid, signal.SIGCONT)
        told, _ = paused.communicate("\n", timeout=120)
    finally:
        paused.kill()
    assert told.split() == ["store", "Busy", "75"]
    assert workplace.value("select count(*) from faction_crimes") == before > 0
    assert workplace.value("select count(distinct id) from faction_crimes") == before
    assert workplace.value("select count(distinct run_id) from _tcd_loads") == 1


def test_a_run_whose_claim_was_taken_stores_nothing_also_before_the_other_one_has(workplace):
    def tell(run):
        if run.step == "store" and not taken:
            lost = Claim(run.endpoint, run.run_id, run.token, run.owner, 0.0)
            application.state.leases.release(lost)
            taken.append(application.state.leases.claim(run.endpoint, "another"))

    taken = []
    with workplace.application(tell=tell) as application:
        outcome = application.run(*application.chosen(["faction_crimes"]))
        assert application.state.leases.held() == taken  # and the end of the loser releases nothing

    assert outcome.record.error_class == "Busy"
    assert workplace.sql("select * from duckdb_tables()") == []


def test_a_run_that_begins_after_another_has_taken_its_claim_does_nothing(workplace, city):
    with workplace.application() as application:
        late = application.state.leases.claim("faction_crimes", "late")
        workplace.clock.sleep(leases.SECONDS + 1)  # whoever was to begin it was held up
        with application.state.writing() as db:
            other = application.state.leases.take(
                db, "faction_crimes", "other", owner="far/away/1/1/1"
            )
        calls = city.stats()["calls"]
        outcome = application.run(*application.chosen(["faction_crimes"]), claim=late)

        assert outcome.record.error_class == "Busy"
        assert city.stats()["calls"] == calls
        assert application.state.leases.held() == [other]
        assert application.state.runs() == []
