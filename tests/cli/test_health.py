"""`tcdatalogger health`: 0 where the scheduler of this configuration is well, else 69."""

import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from receiver import open_receiver
from tcdatalogger.core.config import configuration
from tcdatalogger.core.state import leases
from tcdatalogger.core.state.heartbeats import Heartbeat, Heartbeats
from tcdatalogger.core.state.store import State
from tcdatalogger.scheduler.monitoring import health as module
from tcdatalogger.scheduler.monitoring.http import SILENT, MonitoringServer


def listening(workplace, listen):
    workplace.write(extra=f'[metrics]\nlisten = "{listen}"\n')
    return configuration.load(workplace.file, {})


@pytest.fixture
def port():
    """A port that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


@contextmanager
def scheduler(workplace, settings, installation=None):
    """What `tcdatalogger schedule` serves; without a name that of this configuration."""
    with State(settings.state.url) as state:
        name = state.installation() if installation is None else installation
    server = MonitoringServer(settings, workplace.clock, {}, look=600, installation=name)
    server.serve()
    try:
        yield server
    finally:
        server._unbind()


def beats(settings, host=None, ago=0.0, owner=None):
    """A scheduler that went round some seconds ago."""
    with State(settings.state.url) as state:
        now = state.clock.now()
        here = host or socket.gethostname()
        beat = Heartbeat(owner or leases.me(), here, os.getpid(), now - 60, now - ago, 4, 0)
        Heartbeats(state).write(beat)


def refused(workplace, words):
    done = workplace.run("health", "--json")
    assert done.code == 69, done.out
    error = done.json["error"]
    assert words in error["message"]
    assert error["remedy"]
    return error


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost"])
def test_a_scheduler_that_goes_round_is_well(workplace, port, host):
    settings = listening(workplace, f"{host}:{port}")
    with scheduler(workplace, settings):
        done = workplace.run("health")
        facts = workplace.run("health", "--json").json
    assert done.code == 0
    assert done.out.startswith("The scheduler is well: it went round ")
    assert facts["healthy"] is True
    assert facts["asked"].endswith(f":{port}")
    assert 0 <= facts["beat_seconds"] < SILENT


def test_where_nobody_answers_it_is_not_well(workplace, port):
    beats(listening(workplace, f"127.0.0.1:{port}"))
    error = refused(workplace, f"No scheduler answers at 127.0.0.1:{port}: ")
    assert "tcdatalogger schedule" in error["remedy"]


def test_the_scheduler_of_another_installation_does_not_count(workplace, port):
    settings = listening(workplace, f"127.0.0.1:{port}")
    with scheduler(workplace, settings, installation="0123456789abcdef"):
        refused(workplace, "is not the scheduler of this installation")


def test_a_scheduler_of_before_that_tells_no_name_does_not_count(workplace, port):
    settings = listening(workplace, f"127.0.0.1:{port}")
    with scheduler(workplace, settings, installation=""):
        refused(workplace, "is not the scheduler of this installation")


def test_a_loop_that_is_stuck_is_not_well(workplace, port):
    settings = listening(workplace, f"127.0.0.1:{port}")
    with scheduler(workplace, settings) as server:
        server._beat -= SILENT + 5
        refused(workplace, "has not gone round for 6")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>hello",
        b"[1]",
        b'{"beat_seconds": "x"}',
        b"\xff\xfe",
        b"9" * 20_000,
        b"[" * 9_000,
    ],
)
def test_another_program_at_the_address_does_not_count(workplace, port, body):
    class Stranger(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    beats(listening(workplace, f"127.0.0.1:{port}"))
    with ThreadingHTTPServer(("127.0.0.1", port), Stranger) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            refused(workplace, "is not the scheduler of this installation")
        finally:
            server.shutdown()


def test_a_program_that_speaks_no_http_does_not_count(workplace, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        beats(listening(workplace, f"127.0.0.1:{port}"))
        refused(workplace, f"No scheduler answers at 127.0.0.1:{port}: ")


def test_a_program_that_answers_byte_after_byte_is_cut_off(workplace, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.3)
    with open_receiver() as receiver:
        receiver.drips = 0.05
        where = receiver.url.removeprefix("http://").partition("/")[0]
        beats(listening(workplace, where))
        began = time.monotonic()
        refused(workplace, where)
    assert time.monotonic() - began < 20


def test_without_an_address_the_sign_of_life_in_the_state_is_read(workplace):
    settings = listening(workplace, "")
    beats(settings, ago=3)
    done = workplace.run("health", "--json")
    assert (done.code, done.json["asked"]) == (0, "")
    assert 3 <= done.json["beat_seconds"] < SILENT


def test_a_scheduler_of_this_machine_whose_process_is_gone_does_not_count(workplace):
    settings = listening(workplace, "")
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        owner = f"{leases.ClaimOwner.me().host}/{leases.ClaimOwner.me().space}/{ended.pid}/0/mark"
    beats(settings, owner=owner)
    refused(workplace, "No scheduler of this installation runs on this machine.")


def test_a_scheduler_in_another_container_of_this_machine_counts(workplace):
    beats(listening(workplace, ""), owner=f"{socket.gethostname()}/another container/1/0/mark")
    assert workplace.run("health").code == 0


def test_an_old_sign_of_life_is_none(workplace):
    beats(listening(workplace, ""), ago=30)
    refused(workplace, "No scheduler of this installation runs on this machine.")


def test_a_scheduler_of_another_machine_is_named_and_does_not_count(workplace):
    beats(listening(workplace, ""), host="elsewhere")
    refused(workplace, "One runs on elsewhere.")


def test_where_none_has_ever_run_nothing_is_made(workplace):
    settings = listening(workplace, "")
    refused(workplace, "No scheduler has ever run with this configuration.")
    assert not settings.state.begun


def test_a_wrong_configuration_is_told_as_ever(workplace):
    workplace.write(extra="[metrics]\nlisten = 1\n")
    assert workplace.run("health").code == 78


def test_the_name_of_an_installation_stays(workplace, state_url):
    with State(str(state_url)) as state:
        first = state.installation()
    with State(str(state_url)) as state:
        assert state.installation() == first
    assert len(first) == 16
