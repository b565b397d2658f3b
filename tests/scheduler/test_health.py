from __future__ import annotations

import contextlib
import io
import json
import socket
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tcdatalogger.core.config import configuration
from tcdatalogger.core.state.store import RunRecord, State
from tcdatalogger.observability import log
from tcdatalogger.observability.metrics import METRICS, PREFIX
from tcdatalogger.scheduler.monitoring import http as module
from tcdatalogger.scheduler.monitoring.http import MonitoringServer

LOCAL = '[metrics]\nlisten = "127.0.0.1:0"\n'
NOW = 1_800_000_000.0


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """The server of the library looks twice a second whether it is to end."""
    monkeypatch.setattr(module, "_POLL", 0.01)


@pytest.fixture
def settings(workplace):
    workplace.write(extra=LOCAL)
    return configuration.load(workplace.file, {})


@contextmanager
def serving(settings, clock):
    with MonitoringServer(settings, clock, {}, look=0.05) as health:
        deadline = time.monotonic() + 60
        while health.port is None and time.monotonic() < deadline:
            time.sleep(0.005)
        yield health


def get(health, path):
    request = f"http://127.0.0.1:{health.port}{path}"
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def values(text):
    """Every sample of a page by its name and labels."""
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(found, name, **labels):
    return found[PREFIX + name, *sorted(labels.items())]


def ended(name, **facts):
    facts = {"run_id": f"r{time.perf_counter_ns()}", "started_at": NOW, "status": "done", **facts}
    return RunRecord(endpoint=name, finished_at=facts["started_at"] + 2, **facts)


def test_a_run_is_seen_in_the_metrics(workplace, settings):
    assert workplace.log("faction_crimes").record.status == "done"
    rows = workplace.value("select count(*) from faction_crimes")
    with serving(settings, workplace.clock) as health:
        status, text = get(health, "/metrics")
    found = values(text)
    assert status == 200
    assert value(found, "runs_total", endpoint="faction_crimes", status="done") == 1
    assert (
        value(found, "rows_stored_total", endpoint="faction_crimes", table="faction_crimes") == rows
    )
    assert value(found, "api_calls_total", endpoint="faction_crimes") > 0
    assert value(found, "endpoint_freshness_seconds", endpoint="faction_crimes") >= 0
    assert value(found, "endpoint_frequency_seconds", endpoint="faction_crimes") == 900
    assert value(found, "endpoint_lateness_seconds", endpoint="faction_crimes") == 0
    assert value(found, "run_step_duration_seconds_count", step="store") == 1
    assert value(found, "api_call_duration_seconds_count") == value(
        found, "api_calls_total", endpoint="faction_crimes"
    )
    assert value(found, "size_bytes", part="archive") > 0
    assert value(found, "size_bytes", part="warehouse") > 0
    assert value(found, "disk_free_bytes", part="state") > 0
    assert value(found, "process_memory_bytes", process="daemon", endpoint="") > 10**7
    assert value(found, "run_cpu_seconds_total", endpoint="faction_crimes") > 0
    assert value(found, "run_peak_memory_bytes", endpoint="faction_crimes") > 10**7
    assert value(found, "state_up") == 1
    left = [v for (name, *_), v in found.items() if name == f"{PREFIX}api_window_calls_left"]
    used = [v for (name, *_), v in found.items() if name == f"{PREFIX}api_window_calls"]
    assert (len(left), left[0] + used[0]) == (1, 100)


def test_no_key_is_in_the_metrics(workplace, settings):
    workplace.log("faction_crimes")
    with serving(settings, workplace.clock) as health:
        assert workplace.key not in get(health, "/metrics")[1]


def test_counters_do_not_fall_when_old_runs_are_forgotten(workplace, settings, state_url):
    settings = configuration.load(workplace.file, {"TCDATALOGGER_STATE__URL": str(state_url)})
    with State(settings.state.url) as state:
        for _ in range(3):
            state.write_run(ended("faction_crimes", calls=2, rows={"faction_crimes": 5}))
        with state.writing() as db:
            db.execute("delete from runs")
        state.write_run(ended("faction_crimes", calls=2, rows={"faction_crimes": 5}))
    with serving(settings, workplace.clock) as health:
        found = values(get(health, "/metrics")[1])
    assert value(found, "runs_total", endpoint="faction_crimes", status="done") == 4
    assert value(found, "api_calls_total", endpoint="faction_crimes") == 8
    assert (
        value(found, "rows_stored_total", endpoint="faction_crimes", table="faction_crimes") == 20
    )


def test_a_run_that_is_written_down_twice_counts_once(workplace, settings):
    run = ended("faction_crimes", calls=2, seconds={"fetch": 0.3})
    with State(settings.state.url) as state:
        for each in (run, run):
            state.write_run(each)
    with serving(settings, workplace.clock) as health:
        found = values(get(health, "/metrics")[1])
    assert value(found, "runs_total", endpoint="faction_crimes", status="done") == 1
    assert value(found, "run_step_duration_seconds_bucket", step="fetch", le="0.25") == 0
    assert value(found, "run_step_duration_seconds_bucket", step="fetch", le="0.5") == 1
    assert value(found, "run_step_duration_seconds_bucket", step="fetch", le="+Inf") == 1
    assert value(found, "run_step_duration_seconds_sum", step="fetch") == 0.3


def test_a_run_that_is_stored_later_counts_its_calls_once_and_its_rows_when_stored(
    workplace, settings
):
    facts = {"run_id": "r1", "calls": 3}
    with State(settings.state.url) as state:
        state.write_run(ended("faction_crimes", status="pending", **facts))
        with serving(settings, workplace.clock) as health:
            before = values(get(health, "/metrics")[1])
            state.write_run(ended("faction_crimes", **facts, rows={"faction_crimes": 7}))
            after = values(get(health, "/metrics")[1])
    assert value(before, "queue_endpoints", state="pending") == 1
    assert value(after, "queue_endpoints", state="pending") == 0
    assert value(after, "api_calls_total", endpoint="faction_crimes") == 3
    rows = value(after, "rows_stored_total", endpoint="faction_crimes", table="faction_crimes")
    assert rows == 7


def test_an_endpoint_that_fails_grows_old_and_late(workplace, settings):
    with State(settings.state.url) as state:
        state.write_run(ended("faction_crimes"))
        for _ in range(2):
            state.write_run(
                ended(
                    "faction_crimes",
                    started_at=NOW + 900,
                    status="failed",
                    error_class="TornUnavailable",
                )
            )
    workplace.clock.sleep(NOW + 2 + 3_600 - workplace.clock.now())
    with serving(settings, workplace.clock) as health:
        found = values(get(health, "/metrics")[1])
    assert value(found, "endpoint_freshness_seconds", endpoint="faction_crimes") == 3_600
    assert value(found, "endpoint_lateness_seconds", endpoint="faction_crimes") == 2_700
    assert value(found, "endpoint_consecutive_failures", endpoint="faction_crimes") == 2
    errors = {"endpoint": "faction_crimes", "class": "TornUnavailable"}
    assert value(found, "run_errors_total", **errors) == 2


def test_what_never_happened_is_there_as_zero(workplace, settings):
    """Prometheus sees a counter grow only from its second value on."""
    with serving(settings, workplace.clock) as health:
        found = values(get(health, "/metrics")[1])
    assert value(found, "drift_fields_total", endpoint="torn_items") == 0
    errors = {"endpoint": "torn_items", "class": "DataRefused"}
    assert value(found, "run_errors_total", **errors) == 0


def test_every_metric_has_a_unit_or_counts_things():
    units = ("_seconds", "_bytes", "_total", "_info")
    things = {
        "state_up", "torn_up", "api_window_calls", "api_window_calls_left", "api_day_rows",
        "api_day_rows_limit", "api_paused", "key_health", "endpoint_enabled",
        "endpoint_consecutive_failures", "channel_consecutive_failures",
        "export_consecutive_failures", "queue_endpoints", "alerts_open", "processes",
    }  # fmt: skip
    assert {name for name in METRICS if not name.endswith(units)} == things
    wrong = [m.name for m in METRICS.values() if (m.kind == "counter") != m.name.endswith("_total")]
    assert not wrong


def test_health_follows_the_beat_of_the_loop(workplace, settings, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    with serving(settings, workplace.clock) as health:
        assert get(health, "/healthz")[0] == 200
        now[0] += module.SILENT
        status, text = get(health, "/healthz")
        assert (status, json.loads(text)["alive"]) == (503, False)
        health.beat()
        assert get(health, "/healthz")[0] == 200


def test_readiness_names_what_is_missing(workplace, settings, monkeypatch):
    with serving(settings, workplace.clock) as health:
        status, text = get(health, "/readyz")
        assert (status, json.loads(text)["ready"]) == (200, True)
        health.refuse("limits.share must be at most 1")
        monkeypatch.setattr(module, "FULL", 10**18)
        status, text = get(health, "/readyz")
        checks = json.loads(text)["checks"]
        assert status == 503
        assert checks["configuration"] == "limits.share must be at most 1"
        assert "full" in checks["disk"]
        assert (checks["loop"], checks["state"]) == ("ok", "ok")
        health.take(settings)
        monkeypatch.undo()
        assert get(health, "/readyz")[0] == 200


def test_a_state_that_cannot_be_reached_is_told_and_the_rest_is_still_there(workplace, settings):
    lost = settings.model_copy(
        update={"state": settings.state.model_copy(update={"url": "sqlite:////proc/none/x"})}
    )
    with serving(lost, workplace.clock) as health:
        status, text = get(health, "/readyz")
        assert status == 503
        assert json.loads(text)["checks"]["state"] != "ok"
        found = values(get(health, "/metrics")[1])
        assert value(found, "state_up") == 0
        assert value(found, "process_memory_bytes", process="daemon", endpoint="") > 0
        assert get(health, "/healthz")[0] == 200


def test_a_port_that_is_taken_stops_nothing_and_is_tried_again(workplace):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        workplace.write(extra=f'[metrics]\nlisten = "127.0.0.1:{port}"\n')
        health = MonitoringServer(
            configuration.load(workplace.file, {}), workplace.clock, {}, look=0.02
        )
        lines = io.StringIO()
        log.configure("debug", "json", stream=lines)
        for _ in range(5):
            health.serve()
        log.stop()
        assert health.port is None
        assert lines.getvalue().count("\n") == 1  # another daemon has it, and that is well
        assert f"127.0.0.1:{port}" in lines.getvalue()
    with health:
        deadline = time.monotonic() + 60
        while health.port is None and time.monotonic() < deadline:
            time.sleep(0.005)
        assert get(health, "/healthz")[0] == 200


def test_nothing_listens_where_the_address_is_empty(workplace):
    workplace.write(extra='[metrics]\nlisten = ""\n')
    before = threading.active_count()
    with MonitoringServer(configuration.load(workplace.file, {}), workplace.clock, {}) as health:
        health.serve()
        assert health.port is None
    assert threading.active_count() == before


@pytest.mark.parametrize("path", ["/", "/metrics/x", "/config", "/../etc/passwd"])
def test_nothing_else_is_answered(workplace, settings, path):
    with serving(settings, workplace.clock) as health:
        assert get(health, path)[0] == 404


@pytest.mark.parametrize(("error", "told"), [(BrokenPipeError(), 0), (KeyError("x"), 1)])
def test_whoever_goes_away_is_no_error_of_ours(workplace, settings, error, told):
    lines = io.StringIO()
    log.configure("warning", "json", stream=lines)
    with serving(settings, workplace.clock) as health:
        try:
            raise error
        except type(error):
            health._server.handle_error(None, None)
    log.stop()
    assert lines.getvalue().count("monitoring_request_failed") == told


def test_whoever_says_nothing_keeps_nobody_waiting(workplace, settings):
    with (
        serving(settings, workplace.clock) as health,
        socket.create_connection(("127.0.0.1", health.port)) as silent,
    ):
        assert get(health, "/healthz")[0] == 200
        with suppress(OSError):
            silent.sendall(b"GARBAGE\r\n\r\n")
        assert get(health, "/healthz")[0] == 200


@pytest.mark.parametrize("listen", ["9464", "localhost", "localhost:http", "localhost:99999", ":1"])
def test_an_address_that_is_none_is_a_mistake(workplace, listen):
    workplace.write(extra=f'[metrics]\nlisten = "{listen}"\n')
    with pytest.raises(Exception, match=r"metrics\.listen|mistake"):
        configuration.load(workplace.file, {})


def ask(health, host):
    """The status of an answer to whoever asks by that name."""
    with socket.create_connection(("127.0.0.1", health.port)) as connection:
        named = "" if host is None else f"Host: {host}\r\n"
        connection.sendall(f"GET /metrics HTTP/1.0\r\n{named}\r\n".encode())
        with connection.makefile("rb") as answer:
            return int(answer.readline().split()[1])


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:9464", 200),
        ("[::1]:9464", 200),
        ("10.2.3.4", 200),
        ("LOCALHOST:1", 200),
        ("logger", 200),
        ("Logger.example:9464", 200),
        (None, 200),
        ("evil.example", 421),
        ("evil.example:9464", 421),
        ("logger.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("[", 421),
    ],
)
def test_only_whoever_asks_by_an_address_or_a_name_we_were_told_is_answered(
    workplace, host, status
):
    workplace.write(extra=LOCAL + 'hosts = ["logger", "logger.example"]\n')
    with serving(configuration.load(workplace.file, {}), workplace.clock) as health:
        assert ask(health, host) == status


def test_there_is_a_bound_on_those_who_ask_at_once(workplace, settings, monkeypatch):
    monkeypatch.setattr(module, "CONNECTIONS", 3)
    with serving(settings, workplace.clock) as health:
        with contextlib.ExitStack() as stack:
            at = ("127.0.0.1", health.port)
            for _ in range(3):
                silent = stack.enter_context(socket.create_connection(at))
                silent.sendall(b"GET /healthz HTTP/1.0\r\n")
            while sum(isinstance(one, threading.Timer) for one in threading.enumerate()) < 3:
                time.sleep(0.001)  # the limit of time of each is the last thread that it starts
            threads = threading.active_count()
            beyond = [stack.enter_context(socket.create_connection(at)) for _ in range(50)]
            for one in beyond:
                one.settimeout(10)
                with suppress(ConnectionResetError):
                    assert one.recv(1) == b""
            assert threading.active_count() == threads
        while health._server._room._value < 3:
            time.sleep(0.001)
        assert get(health, "/healthz")[0] == 200


def drip(connection):
    for _ in range(10_000):
        connection.sendall(b"y")
        time.sleep(0.005)


def test_whoever_asks_too_slowly_is_cut_off(workplace, settings, monkeypatch):
    monkeypatch.setattr(module, "WHOLE", 0.1)
    with (
        serving(settings, workplace.clock) as health,
        socket.create_connection(("127.0.0.1", health.port)) as slow,
    ):
        slow.settimeout(10)
        slow.sendall(b"GET /healthz HTTP/1.0\r\nX: ")
        with pytest.raises(ConnectionError):
            drip(slow)
