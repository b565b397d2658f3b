"""A process that lives on after Ctrl-C, as a notebook does: it keeps no claim and no open file."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

from tcdatalogger import ending
from tcdatalogger.clock import ManualClock
from tcdatalogger.core.state.leases import Leases
from tcdatalogger.services.duckdb import connection
from tcdatalogger.services.duckdb.warehouse import DuckDBWarehouse

WRITES = "import duckdb, sys; duckdb.connect(sys.argv[1]).execute('create table t (x int)')"


def control_c(*_, **__):
    signal.raise_signal(signal.SIGINT)


def after(whole, thing):
    """A function that does something else when it has done its work."""

    def both(*args, **words):
        done = whole(*args, **words)
        thing()
        return done

    return both


def when_the_claim_is_made(patch):
    patch.setattr(Leases, "claim", after(Leases.claim, control_c))


def when_the_thread_begins(patch):
    patch.setattr(threading.Thread, "start", after(threading.Thread.start, control_c))


def before_the_thread_begins(patch):
    patch.setattr(threading.Thread, "start", control_c)


def when_the_thread_ends(patch):
    patch.setattr(threading.Thread, "join", after(threading.Thread.join, control_c))


def when_it_is_given_back(patch):
    whole = Leases.release
    patch.setattr(Leases, "release", lambda own, claim: (control_c(), whole(own, claim)))


@pytest.mark.parametrize(
    "moment",
    [
        when_the_claim_is_made,
        when_the_thread_begins,
        before_the_thread_begins,
        when_the_thread_ends,
        when_it_is_given_back,
    ],
)
def test_a_claim_is_given_back_whenever_control_c_comes(workplace, monkeypatch, moment):
    before = threading.active_count()
    with workplace.application() as application:
        assert application.state.leases.held() == []
        with monkeypatch.context() as patch:
            moment(patch)
            with pytest.raises(KeyboardInterrupt), application.claimed("members", "run-1"):
                pass

        assert application.state.leases.held() == []
        with application.claimed("members", "run-2"):
            pass
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("name", "read_only"), [("watch_over", False), ("watch_over", True), ("lock_down", True)]
)
def test_a_file_is_let_go_when_control_c_comes_while_it_is_opened(
    tmp_path, monkeypatch, name, read_only
):
    file = tmp_path / "torn.duckdb"
    connection.connect(file, ManualClock(), 0).close()
    with monkeypatch.context() as patch:
        place = (ending, name) if name == "watch_over" else (connection, "_lock_down")
        patch.setattr(*place, control_c)
        with pytest.raises(KeyboardInterrupt) as kept:  # with its frames, as a notebook keeps it
            DuckDBWarehouse(file, read_only=read_only).query("select 1")

    subprocess.run([sys.executable, "-c", WRITES, str(file)], check=True, timeout=60)
    assert kept.traceback


class Engine:
    """Works until somebody breaks into it."""

    def __init__(self):
        self.told = threading.Event()

    def interrupt(self):
        self.told.set()


@pytest.mark.parametrize("kills", [True, False])
def test_only_a_process_of_its_own_is_ended_when_nothing_comes_back(monkeypatch, kills):
    engine, ends = Engine(), []
    over = threading.Event()
    monkeypatch.setattr(ending, "LAST", 0.0)
    monkeypatch.setattr(ending.os, "_exit", lambda code: (ends.append(code), over.set()))
    ending.watch_over(engine, RuntimeError)

    with ending.answered(signal.SIGINT, kills=kills):
        with pytest.raises(KeyboardInterrupt):
            control_c()
        assert (over if kills else engine.told).wait(60)

    assert set(ends) == ({130} if kills else set())


def test_both_signals_mean_what_they_meant_before():
    def ours(*_):
        pass

    former = [signal.signal(number, ours) for number in ending.ENDS]
    try:
        with pytest.raises(KeyboardInterrupt), ending.answered(signal.SIGINT):
            control_c()
        assert [signal.getsignal(number) for number in ending.ENDS] == [ours, ours]
    finally:
        for number, handler in zip(ending.ENDS, former, strict=True):
            signal.signal(number, handler)
