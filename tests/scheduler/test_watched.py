"""The scheduler as a process, seen from outside."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

pytestmark = pytest.mark.slow

BASIC = '[[endpoints]]\nname = "faction_basic"\npath = "/faction/basic"\nfrequency = "PT1H"\n'


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def get(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


def until(wanted, seconds=120):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := wanted():
            return found
        time.sleep(0.05)
    raise AssertionError("it never came")


def test_the_scheduler_tells_how_it_is_and_of_a_configuration_that_broke(workplace):
    port = free_port()
    extra = f'[metrics]\nlisten = "127.0.0.1:{port}"\n'
    workplace.write(BASIC, extra=extra)
    url = f"http://127.0.0.1:{port}"
    daemon = subprocess.Popen(
        [sys.executable, "-m", "tcdatalogger", "schedule"],
        cwd=workplace.folder,
        env=workplace.outside(),
        stderr=subprocess.DEVNULL,
    )
    try:
        done = 'tcdatalogger_runs_total{endpoint="faction_basic",status="done"} 1.0'
        until(lambda: done in get(f"{url}/metrics")[1])
        assert get(f"{url}/healthz")[0] == 200
        assert get(f"{url}/readyz")[0] == 200
        assert 'process_memory_bytes{endpoint="",process="helper"}' in get(f"{url}/metrics")[1]

        workplace.file.write_text("broken = [", encoding="utf-8")
        daemon.send_signal(signal.SIGHUP)
        _, text = until(lambda: (found := get(f"{url}/readyz"))[0] == 503 and found)
        assert "TOML" in json.loads(text)["checks"]["configuration"]
        assert get(f"{url}/healthz")[0] == 200

        workplace.write(BASIC, extra=extra)
        daemon.send_signal(signal.SIGHUP)
        until(lambda: get(f"{url}/readyz")[0] == 200)
    finally:
        daemon.terminate()
        assert daemon.wait(60) == 143
    assert get(f"{url}/healthz")[0] == 0
