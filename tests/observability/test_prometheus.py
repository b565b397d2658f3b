"""Every alert rule fires in a real Prometheus, and none of them while all is well."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import yaml

from tcdatalogger.core.config import configuration
from tcdatalogger.core.state.store import State
from tcdatalogger.scheduler.monitoring.http import MonitoringServer
from tcdatalogger.services.torncity.client.key_health import KeyState

ROOT = Path(__file__).parents[2]
RULES = yaml.safe_load((ROOT / "docker" / "grafana" / "rules.yml").read_text())
CASES = yaml.safe_load(Path(__file__).with_name("rules.test.yml").read_text())


def tool(name):
    """A program of Prometheus: of this machine, or where `make prometheus` has put it."""
    return shutil.which(name) or shutil.which(name, path=ROOT / ".tools" / "usr" / "bin")


needs_prometheus = pytest.mark.skipif(
    tool("promtool") is None, reason="Prometheus is not here: `make prometheus` fetches it"
)


@pytest.fixture
def rules(tmp_path):
    """The rules without their texts, which are asked elsewhere."""
    for group in RULES["groups"]:
        group["rules"] = [
            {name: part for name, part in rule.items() if name != "annotations"}
            for rule in group["rules"]
        ]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(RULES))
    return tmp_path / "rules.yml"


@needs_prometheus
def test_promtool_takes_the_rules():
    file = ROOT / "docker" / "grafana" / "rules.yml"
    subprocess.run([tool("promtool"), "check", "rules", file], check=True)


def test_every_rule_has_a_case_in_which_it_fires_and_one_in_which_it_does_not():
    names = {rule["alert"] for group in RULES["groups"] for rule in group["rules"]}
    asked = [(one["alertname"], bool(one["exp_alerts"])) for case in CASES["tests"]
             for one in case["alert_rule_test"]]  # fmt: skip

    assert {name for name, fires in asked if fires} == names
    assert {name for name, fires in asked if not fires} == names


@needs_prometheus
def test_each_rule_fires_when_it_is_to_and_not_before(rules):
    for case in CASES["tests"]:
        for one in case["alert_rule_test"]:
            for alert in one["exp_alerts"]:
                alert.pop("exp_annotations", None)
    (rules.parent / "cases.yml").write_text(yaml.safe_dump(CASES))

    done = subprocess.run(
        [tool("promtool"), "test", "rules", rules.parent / "cases.yml"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@needs_prometheus
def test_what_goes_wrong_with_real_runs_fires_in_a_prometheus_that_scrapes_us(
    workplace, says, rules
):
    workplace.write(
        '[[endpoints]]\nname = "frozen"\npath = "/faction/members"\ncontract = "freeze"\n'
        '[[endpoints]]\nname = "checked"\npath = "/faction/basic"\n'
        'checks = [{ column = "id", min = 1000000000 }]\n'
        '[[endpoints]]\nname = "grown"\npath = "/faction/wars"\n'
        '[[endpoints]]\nname = "odd"\npath = "/torn/items"\n',
        extra='[metrics]\nlisten = "127.0.0.1:0"\n',
    )
    settings = configuration.load(workplace.file, {})
    with MonitoringServer(settings, workplace.clock, {}, look=0.05) as health:
        until(lambda: health.port)
        with prometheus(rules, health.port) as ask:
            until(lambda: ask("query", query="tcdatalogger_run_errors_total")["result"])
            assert firing(ask) == set()

            says("/faction/members", {"members": [{"id": 1, "name": "x", "unheard": 1}]})
            says("/faction/wars", {"pacts": [], "wars": {}, "unheard": 1})
            says("/torn/items", {"items": [{"id": "no number", "name": "x"}]})
            for _ in range(3):
                for name in ("frozen", "checked", "grown", "odd"):
                    workplace.log(name)
                workplace.clock.sleep(60)
            with State(settings.state.url) as state:
                state.key_health.set_state(KeyState("f1", "dead", since=1.0, name="default"))

            wanted = {
                ("TCdataloggerDataRefused", "frozen"),
                ("TCdataloggerDataRefused", "checked"),
                ("TCdataloggerFailing", "frozen"),
                ("TCdataloggerFailing", "checked"),
                ("TCdataloggerSetAside", "odd"),
                ("TCdataloggerDrift", "grown"),
                ("TCdataloggerDeadKey", "default"),
            }
            until(lambda: firing(ask) >= wanted, lambda: firing(ask))
            assert firing(ask) == wanted


def firing(ask):
    """The alerts that fire, each with whom it is about."""
    return {
        (one["labels"]["alertname"], one["labels"].get("endpoint") or one["labels"].get("key"))
        for one in ask("alerts")["alerts"]
        if one["state"] == "firing"
    }


def until(true, says=lambda: ""):
    """Wait for what another process does."""
    deadline = time.monotonic() + 120
    while not true():
        assert time.monotonic() < deadline, says()
        time.sleep(0.1)


@contextmanager
def prometheus(rules, port):
    """A Prometheus that looks at us each second; asks its API."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        own = f"127.0.0.1:{free.getsockname()[1]}"
    every = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    job = {"job_name": "tcdatalogger", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
    wanted = {"global": every, "rule_files": [str(rules)], "scrape_configs": [job]}
    file = rules.with_name("prometheus.yml")
    file.write_text(yaml.safe_dump(wanted))
    running = subprocess.Popen(
        [tool("prometheus"), f"--config.file={file}", f"--web.listen-address={own}",
         f"--storage.tsdb.path={rules.parent / 'series'}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip

    def ask(what, **parameters):
        address = f"http://{own}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(address, timeout=10) as answer:
            return json.load(answer)["data"]

    def answers():
        with suppress(OSError):
            return ask("status/buildinfo")

    try:
        until(answers)
        yield ask
    finally:
        running.terminate()
        running.wait(timeout=30)
