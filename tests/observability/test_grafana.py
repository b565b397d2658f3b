"""The files of `docker/grafana`: each query asks for what `/metrics` really has."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tcdatalogger.core.config import configuration
from tcdatalogger.core.state.store import State
from tcdatalogger.observability.metrics import METRICS, PREFIX, page
from tcdatalogger.scheduler.monitoring.http import MonitoringServer
from tcdatalogger.services.torncity.client.key_health import KeyState, RowQuota

FOLDER = Path(__file__).parents[2] / "docker" / "grafana"
DASHBOARD = json.loads((FOLDER / "dashboards" / "tcdatalogger.json").read_text())
RULES = yaml.safe_load((FOLDER / "rules.yml").read_text())
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"]]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]

QUERIES = [
    *((panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]),
    *(
        (variable["name"], variable["query"]["query"])
        for variable in DASHBOARD["templating"]["list"]
        if variable["type"] == "query"
    ),
    *((rule["alert"], rule["expr"]) for rule in ALERTS),
]

_NAME = re.compile(rf"\b{PREFIX}[a-z_]+")
_SELECTOR = re.compile(rf"\b({PREFIX}[a-z_]+)\{{([^}}]*)\}}")
_GROUPED = re.compile(r"\b(?:by|on) \(([a-z_, ]*)\)")


@pytest.fixture
def scraped(workplace):
    """The series of a scrape after a run that went well and one that failed."""
    export = '[[exports]]\nname = "roster"\ntable = "faction_crimes"\nfile = "x.csv"\n'
    alerts = '[alerts]\nwebhook = "env:HOOK"\n'
    workplace.write(extra=f'[metrics]\nlisten = ""\n{alerts}{export}')
    workplace.log("faction_crimes")
    workplace.key = None
    workplace.log("faction_basic")
    settings = configuration.load(workplace.file, {})
    with State(settings.state.url) as state:
        now = workplace.clock.now()
        state.key_health.set_state(KeyState("f1", "dead", since=now, name="default"))
        state.key_health.reserve_rows("player:1/faction_news", RowQuota("a", now, 100), 50_000)
        state.call_slots.pause(pause("player:1", now + 60))
    health = MonitoringServer(settings, workplace.clock, {})
    text, _ = page(health.metrics)
    return {
        sample.name: set(sample.labels)
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def pause(name, until):
    from tcdatalogger.services.torncity.client.rate_limiter import Pause  # noqa: PLC0415

    return Pause(name, until, "too_many")


def test_every_metric_is_exposed_and_every_query_asks_for_one(scraped):
    bare = {re.sub("_(bucket|sum|count|created)$", "", name) for name in scraped}
    assert bare == {PREFIX + name for name in METRICS}
    for title, query in QUERIES:
        asked = set(_NAME.findall(query))
        assert asked or query.startswith("up"), title
        assert asked <= scraped.keys(), f"{title}: {asked - scraped.keys()}"


def test_every_label_of_a_query_is_one_of_its_metrics(scraped):
    for title, query in QUERIES:
        for name, matchers in _SELECTOR.findall(query):
            labels = set(re.findall(r"(\w+)\s*(?:=~|!=|!~|=)", matchers))
            assert labels <= scraped[name], title
        known = {label for name in _NAME.findall(query) for label in scraped[name]}
        for group in _GROUPED.findall(query):
            labels = {label.strip() for label in group.split(",")} - {"", "instance"}
            assert labels <= known, f"{title}: {labels - known}"


def test_every_metric_is_on_the_dashboard_or_in_a_rule():
    asked = {name for _, query in QUERIES for name in _NAME.findall(query)}
    bare = {re.sub("_(bucket|sum|count)$", "", name) for name in asked}
    unseen = {name for name in METRICS if PREFIX + name not in bare}
    assert unseen == {
        "build_info", "disk_size_bytes", "endpoint_last_success_timestamp_seconds",
        "process_read_bytes_total", "process_write_bytes_total", "processes",
    }  # fmt: skip


def test_panels_have_a_number_of_their_own_a_unit_and_a_place():
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(numbers)) == len(numbers)
    taken = set()
    for panel in PANELS:
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["targets"]
        at = panel["gridPos"]
        cells = {
            (at["x"] + right, at["y"] + down) for right in range(at["w"]) for down in range(at["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_brackets_of_every_query_are_closed():
    for title, query in QUERIES:
        for opened, closed in ("()", "{}", "[]"):
            assert query.count(opened) == query.count(closed), title


def test_every_rule_says_what_is_wrong_and_what_to_do():
    for rule in ALERTS:
        assert set(rule["annotations"]) == {"summary", "action"}
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    names = [rule["alert"] for rule in ALERTS]
    assert len(set(names)) == len(names)


def test_the_files_fit_together():
    root = FOLDER.parents[1]
    compose = yaml.safe_load((root / "compose.yaml").read_text())
    for service in compose["services"].values():
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            if source.startswith("./docker"):
                assert (root / source).exists()
            else:
                assert source == "./data" or source in compose["volumes"]
    scrape = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    (job,) = scrape["scrape_configs"]
    assert job["job_name"] in ALERTS[0]["expr"]
    default = configuration.MetricsSettings().listen
    assert job["static_configs"] == [{"targets": [default]}]
    assert "rules.yml" in scrape["rule_files"][0]
    source = yaml.safe_load((FOLDER / "provisioning/datasources/prometheus.yml").read_text())
    assert source["datasources"][0]["type"] == "prometheus"
    boards = yaml.safe_load((FOLDER / "provisioning/dashboards/tcdatalogger.yml").read_text())
    assert f":{boards['providers'][0]['options']['path']}:" in str(compose)
