"""Every call is counted once, by us as by Torn: in the run, in the metrics and in the budget."""

from __future__ import annotations

import signal

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tcdatalogger.clock import ManualClock
from tcdatalogger.core.config import configuration
from tcdatalogger.core.operations.backfill import backfill
from tcdatalogger.observability.metrics import page
from tcdatalogger.sandbox.api.faults import KINDS
from tcdatalogger.sandbox.api.outages import OUTAGES
from tcdatalogger.sandbox.api.server import START
from tcdatalogger.scheduler.monitoring.http import MonitoringServer
from tcdatalogger.services.torncity.client.error_codes import TORN_CODES
from tcdatalogger.services.torncity.client.rate_limiter import ADDRESS

STATUSES = (401, 403, 429, 500, 502, 503)
FAULTS = [
    *({"kind": "error", "code": code.number} for code in TORN_CODES),
    {"kind": "error", "code": 99},
    *({"kind": "http", "status": status} for status in STATUSES),
    *(
        {"kind": "http", "status": 429, "retry_after": asked}
        for asked in ("5", "soon", "-3", "9" * 30)
    ),
    *({"kind": kind} for kind in KINDS if kind not in {"error", "http"}),
]


def counted(place):
    """What each of us says: the runs, the metrics, and the book of slots."""
    settings = configuration.load(place.file, {})
    text, _ = page(MonitoringServer(settings, place.clock, {}).metrics)
    samples = [s for f in text_string_to_metric_families(text.decode()) for s in f.samples]
    with place.application() as application:
        runs = application.state.runs(most=100)
        slots = application.state.call_slots.calls_since(0.0)
    return {
        "runs": sum(run.calls for run in runs),
        "metrics": sum(s.value for s in samples if s.name == "tcdatalogger_api_calls_total"),
        "timed": sum(
            s.value for s in samples if s.name == "tcdatalogger_api_call_duration_seconds_count"
        ),
        "budget": sum(slots.values()),
    }


def named(fault):
    return " ".join(str(value)[:9] for value in fault.values())


@pytest.mark.parametrize("fault", FAULTS, ids=named)
def test_run_metrics_and_budget_agree_with_torns_own_books(workplace, fault):
    before = workplace.city.stats()["calls"]
    place = FAULTS.index(fault) % 2  # on the first page, or on the second
    workplace.city.fault(**fault, times=1, after=place, path="/faction/crimes")

    workplace.log("faction_crimes")

    made = workplace.city.stats()["calls"] - before
    assert made >= 2
    assert counted(workplace) == dict.fromkeys(("runs", "metrics", "timed", "budget"), made)


def test_a_call_that_fails_each_time_is_counted_each_time(workplace):
    before = workplace.city.stats()["calls"]
    workplace.city.fault("cut", path="/faction/crimes")

    outcome = workplace.log("faction_crimes")

    assert (outcome.record.exit_code, outcome.record.calls) == (69, 4)  # one asks about the key
    assert workplace.city.stats()["calls"] - before == 4
    assert counted(workplace)["budget"] == 4


@pytest.mark.parametrize("kind", sorted(OUTAGES))
def test_calls_that_an_outage_meets_are_counted_too(workplace, living_city, kind):
    workplace.city = living_city
    workplace.write()
    living_city.outage(kind, seconds=3600)
    for name in ("faction_crimes", "faction_members", "faction_basic"):
        workplace.log(name)
        workplace.log(name)

    made = living_city.stats()["calls"]
    assert made > 0
    assert counted(workplace) == dict.fromkeys(("runs", "metrics", "timed", "budget"), made)


def test_calls_of_a_backfill_are_counted_those_about_its_key_too(workplace):
    workplace.write('[[endpoints]]\nname = "attacks"\npath = "/faction/attacks"\n')
    before = workplace.city.stats()["calls"]
    workplace.city.fault("empty", times=2, after=1, path="/faction/attacks")

    with workplace.application() as application:
        steps = list(backfill(application, "attacks", since=START - 86_400, pages=2))

    made = workplace.city.stats()["calls"] - before
    assert steps[-1].calls == made > 3
    assert counted(workplace)["runs"] == made


# --- why a run ended ---------------------------------------------------------------------------


class Alarm(ManualClock):
    """A clock by which a run's time is over while it sleeps for longer than `seconds`."""

    def __init__(self, seconds, now=START):
        super().__init__(now)
        self.left = seconds

    def sleep(self, seconds):
        self.left -= seconds
        if self.left <= 0:
            signal.raise_signal(signal.SIGALRM)
        super().sleep(seconds)


@pytest.mark.parametrize("asked", ["", "soon", "-1", "Thu, 01 Jan 1970 00:00:00 GMT", "9" * 400])
def test_a_run_whose_time_ends_while_it_waits_after_a_429_says_so(workplace, asked):
    workplace.city.fault("http", status=429, retry_after=asked, path="/faction/crimes")
    workplace.clock = Alarm(20)

    record = workplace.log("faction_crimes", "endpoints.faction_crimes.timeout=PT20S").record

    assert (record.exit_code, record.error_class) == (75, "Crowded")
    assert "too many calls (HTTP 429)" in record.error
    assert "timeout" not in record.remedy


def test_so_does_one_that_waits_because_another_run_was_told_so(workplace):
    with workplace.application() as application:
        application.budget.pause(ADDRESS, workplace.clock.now() + 60)
    workplace.clock = Alarm(20)

    record = workplace.log("faction_crimes").record

    assert (record.exit_code, record.error_class) == (75, "Crowded")
    assert "too many calls" in record.error
    assert record.calls == 0


def test_so_does_one_that_waits_because_torn_is_down(workplace):
    workplace.city.fault("http", status=502)
    for name in ("faction_crimes", "faction_members"):
        workplace.log(name)
    workplace.clock = Alarm(20, workplace.clock.now())

    record = workplace.log("faction_basic").record

    assert record.exit_code == 69
    assert "taken to be down" in record.error


def test_one_that_waits_for_its_turn_within_the_minute_has_had_its_time(workplace):
    workplace.clock = Alarm(20)

    record = workplace.log("faction_crimes", "limits.share=0.01").record

    assert (record.exit_code, record.error_class) == (124, "TimedOut")
    assert "more `timeout`" in record.remedy
