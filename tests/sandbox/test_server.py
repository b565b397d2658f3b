"""The city as a server: in a test, as a command, and its control plane."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tcdatalogger.sandbox.api.server import START, Sandbox


def test_a_sandbox_gives_its_port_back():
    with Sandbox() as sandbox:
        port = int(sandbox.url.rsplit(":", 1)[1].split("/")[0])
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", port))
    with pytest.raises(RuntimeError):
        _ = sandbox.url


def test_two_sandboxes_do_not_share_anything():
    with Sandbox(seed=1) as one, Sandbox(seed=2) as other, httpx2.Client() as http:
        for sandbox in (one, other):
            http.get(sandbox.url + "/torn/timestamp?key=sandboxFull00001")
        one.advance(60)
        assert (one.now(), other.now()) == (START + 60, START)
        assert one.stats()["calls"] == other.stats()["calls"] == 1


def test_a_fast_world_runs_by_itself():
    with Sandbox(speed=1_000_000) as sandbox:
        first = sandbox.now()
        while sandbox.now() < first + 1_000:
            pass
        sandbox.city.clock.run(0)
        assert sandbox.now() == sandbox.now() > START + 1_000


def test_the_world_never_goes_back():
    with Sandbox() as sandbox, pytest.raises(ValueError, match="forward"):
        sandbox.advance(-1)


def test_a_key_can_die_and_come_back(city: Any):
    city.sandbox.key("full", refusal=13)
    assert city.error("/faction/basic") == 13
    city.sandbox.key("full", refusal=0, level=1)
    assert city.error("/faction/crimes") == 16
    text = city.sandbox.key("spare", level=2)
    assert text == "spare"
    assert city.error("/faction/crimes", "spare") == 0


def control(city: Any, method: str, what: str, body: Any = None) -> Any:
    url = city.sandbox.url.removesuffix("/v2") + f"/_sandbox/{what}"
    return city.http.request(method, url, json=body).json()


def test_the_control_plane_does_what_the_class_does(city: Any):
    assert control(city, "POST", "time", {"advance": 90})["now"] == START + 90
    assert control(city, "GET", "time") == {"now": START + 90, "speed": 0}
    script = [{"kind": "error", "code": 9, "times": 1}, {"kind": "error", "code": 8}]
    assert control(city, "POST", "faults", script) == {"faults": 2}
    assert [city.error("/faction/basic") for _ in range(3)] == [9, 8, 8]
    assert control(city, "DELETE", "faults") == {"faults": 0}
    assert control(city, "POST", "keys", {"name": "full", "refusal": 18})["refusal"] == 18
    assert city.error("/faction/basic") == 18
    assert len(control(city, "GET", "keys")["keys"]) == 8
    stats = control(city, "GET", "stats")
    assert stats["paths"] == {"/faction/basic": 4}
    assert stats["dead_key_calls"] == {"full": 1}


@pytest.mark.parametrize(
    ("method", "what", "body"),
    [
        ("POST", "faults", {"kind": "nonsense"}),
        ("POST", "faults", {"kind": "error", "colour": "red"}),
        ("POST", "keys", {"name": "full", "colour": "red"}),
        ("POST", "time", {"advance": -5}),
    ],
)
def test_the_control_plane_refuses_what_it_does_not_know(
    city: Any, method: str, what: str, body: Any
):
    assert "error" in control(city, method, what, body)


def test_stats_never_hold_a_key(city: Any):
    for key in [*city.sandbox.keys, "sandboxNobody001"]:
        city.get("/faction/basic", key)
        city.get(f"/faction/basic?key={city.sandbox.keys.get(key, key)}", "")
    told = json.dumps(city.sandbox.stats())
    for text in [*city.sandbox.keys.values(), "sandboxNobody001"]:
        assert text not in told


@pytest.fixture
def command() -> Iterator[Any]:
    running: list[subprocess.Popen[str]] = []

    def start(*words: str) -> subprocess.Popen[str]:
        call = [sys.executable, "-m", "tcdatalogger", "sandbox", *words]
        process = subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_the_command_serves_until_it_is_stopped(command: Any, number: int, code: int):
    process = command("--json", "--seed", "7", "--start", "2026-01-01T00:00:00Z", "--speed", "0")
    facts = json.loads(process.stdout.readline())
    answer = httpx2.get(facts["url"] + "/torn/timestamp?key=" + facts["keys"]["full"])
    assert answer.json() == {"timestamp": START}
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in told


def test_the_command_takes_years_bursts_and_corrections(command: Any):
    process = command(
        *("--json", "--seed", "7", "--start", "2026-01-01T00:00:00Z", "--speed", "0"),
        *("--history", "1826", "--bursts", "30", "--corrections", "0.1"),
    )
    facts = json.loads(process.stdout.readline())
    url = facts["url"].removesuffix("/v2") + "/_sandbox/expected_rows"
    low = int(START) - 1_800 * 86_400
    told = httpx2.post(url, json={"what": "attacks", "since": low, "until": low + 60 * 86_400})
    seconds = Counter(row["ended"] for row in told.json()["rows"])
    assert max(seconds.values()) >= 130


def test_a_port_that_is_taken_is_said_plainly(command: Any):
    with Sandbox() as sandbox:
        port = sandbox.url.rsplit(":", 1)[1].split("/")[0]
        process = command("--port", port)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 2
    assert port in told
    assert "Traceback" not in told
