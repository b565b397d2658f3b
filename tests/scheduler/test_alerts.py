from __future__ import annotations

import io
import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from receiver import TOKEN, open_receiver
from tcdatalogger.clock import ManualClock
from tcdatalogger.core.config import configuration
from tcdatalogger.core.operations import channels
from tcdatalogger.core.state import alerts
from tcdatalogger.core.state.alerts import SEVERITIES, Alert, AlertEvent, Alerts
from tcdatalogger.core.state.deliveries import TAKING, Deliveries
from tcdatalogger.core.state.store import RunRecord, State
from tcdatalogger.errors import ConfigError, DataRefused
from tcdatalogger.observability import log
from tcdatalogger.scheduler.monitoring import notify
from tcdatalogger.scheduler.monitoring.notify import BACKOFF, AlertNotifier, message, try_out
from tcdatalogger.services.channels import discord, webhook
from tcdatalogger.services.channels.message import Sent
from tcdatalogger.services.torncity.client.key_health import KeyState

NOW = 1_800_000_000.0
ENVIRON = {"HOOK": f"https://discord.example/api/webhooks/1/{TOKEN}"}
PERIOD = 900


class Answering:
    """A channel that keeps what it is sent."""

    pictures = 0

    def __init__(self, place, name):
        self.place, self.name = place, name

    def send(self, message, _seconds):
        body = webhook.body(message)
        self.place.posts.append(body)
        told = [(one["event"], one["state"]) for one in body["alerts"]]
        self.place.told.setdefault(self.name, []).extend(told)
        return self.place.answers.pop(0) if self.place.answers else Sent()


class Place:
    """A state, a clock and everything that was posted."""

    def __init__(self, workplace, url):
        self.workplace = workplace
        self.url = url
        self.clock = ManualClock(NOW)
        self.posts = []
        self.answers = []
        self.told = {}
        self.configure()
        self.state = State(self.settings.state.url, self.clock)
        self.notifier = self.another()

    def configure(self, extra="", endpoints=None):
        endpoints = endpoints or (
            '[[endpoints]]\nname = "faction_crimes"\npath = "/faction/crimes"\n'
            'frequency = "PT15M"\n'
        )
        text = f'[alerts]\nwebhook = "env:HOOK"\nkind = "json"\n{extra}'
        self.workplace.write(endpoints, extra=text)
        self.settings = configuration.load(
            self.workplace.file, {"TCDATALOGGER_STATE__URL": self.url}
        )

    def another(self):
        return AlertNotifier(self.clock, ENVIRON, self.opened)

    def opened(self, settings, channel, environ):
        channels.opened(settings, channel, environ)
        return Answering(self, channel.name)

    def look(self, notifier=None):
        notifier = notifier or self.notifier
        notifier.look(self.settings, self.state)
        notifier.wait(30)
        told = [(one["event"], one["state"]) for body in self.posts for one in body["alerts"]]
        self.posts.clear()
        return told

    def ran(self, status="done", **facts):
        now = self.clock.now()
        self.state.write_run(
            RunRecord(
                run_id=f"r{now}",
                endpoint="faction_crimes",
                started_at=now,
                finished_at=now,
                status=status,
                **facts,
            )
        )


@pytest.fixture
def place(workplace, state_url):
    """On SQLite, and on Postgres where there is one."""
    found = Place(workplace, str(state_url))
    yield found
    found.state.close()


def test_nothing_is_told_while_all_is_well(place):
    place.ran()
    assert place.look() == []


def test_an_endpoint_is_late_two_periods_after_it_was_due(place):
    place.ran()
    place.clock.sleep(3 * PERIOD - 1)
    assert place.look() == []
    place.clock.sleep(1)
    place.notifier.look(place.settings, place.state)
    place.notifier.wait(30)
    [told] = place.posts.pop()["alerts"]
    assert told["event"] == "late:faction_crimes"
    assert "it is to run every 15 min, and its last good run ended" in told["text"]
    place.clock.sleep(10 * PERIOD)
    assert place.look() == []
    place.ran()
    assert place.look() == [("late:faction_crimes", "over")]
    assert place.look() == []


def test_an_endpoint_that_never_ran_is_late_from_when_it_was_first_seen(place):
    assert place.look() == []
    place.clock.sleep(3 * PERIOD)
    assert place.look() == [("late:faction_crimes", "begins")]


def test_one_that_nobody_scheduled_is_never_late(place):
    place.configure(
        endpoints='[[endpoints]]\nname = "faction_crimes"\npath = "/faction/crimes"\n'
        '[[endpoints]]\nname = "torn_items"\npath = "/torn/items"\nfrequency = "PT1M"\n'
        "enabled = false\n"
    )
    assert place.look() == []
    place.clock.sleep(100 * PERIOD)
    assert place.look() == []


def test_failures_in_a_row_are_told_with_the_remedy(place):
    place.ran()
    failed = {"error": "Torn is down.", "error_class": "TornUnavailable", "remedy": "Wait."}
    for _ in range(2):
        place.ran("failed", exit_code=69, **failed)
        place.clock.sleep(1)
    assert place.look() == []
    place.ran("failed", exit_code=69, **failed)
    place.notifier.look(place.settings, place.state)
    place.notifier.wait(30)
    ((told,),) = (body["alerts"] for body in place.posts)
    assert told["event"] == "failing:faction_crimes"
    assert "3 times in a row: Torn is down." in told["text"]
    assert told["remedy"] == "Wait."
    place.posts.clear()
    place.ran()
    assert place.look() == [("failing:faction_crimes", "over")]


@pytest.mark.parametrize(
    ("event", "status", "error_class"),
    [
        *(("refused", "failed", name) for name in alerts.REFUSED),
        ("unbalanced", "pending", "Unbalanced"),
    ],
)
def test_rows_that_were_refused_or_lost_are_told_at_once_until_a_run_is_good(
    place, event, status, error_class
):
    place.ran(status, error_class=error_class, error="400 should be 500.", exit_code=65)
    assert place.look() == [(f"{event}:faction_crimes", "begins")]
    place.clock.sleep(1)
    place.ran()
    assert place.look() == [(f"{event}:faction_crimes", "over")]


def test_a_dead_key_is_told_and_is_over_when_another_one_works(place):
    place.ran()
    key_health = place.state.key_health
    key_health.set_state(KeyState("f1", "dead", code="incorrect_key", since=NOW, name="default"))
    key_health.set_state(KeyState("f2", "dead", since=NOW, name="of somebody else"))
    assert place.look() == [("key:default", "begins")]
    key_health.set_state(KeyState("f3", "ok", since=NOW + 9, name="default"))
    assert place.look() == [("key:default", "over")]


def test_records_that_are_set_aside_are_told_once_with_their_number(place):
    place.ran(quarantined=3)
    place.notifier.look(place.settings, place.state)
    place.notifier.wait(30)
    [told] = place.posts.pop()["alerts"]
    assert told["event"] == "set_aside:faction_crimes"
    assert "3 records did not fit" in told["text"]
    assert "quarantine list --endpoint faction_crimes" in told["remedy"]
    assert place.look() == []
    place.clock.sleep(3600)
    assert ("set_aside:faction_crimes", "over") in place.look()


def test_every_error_that_refuses_rows_is_known_to_the_alerts():
    def below(kind):
        return {kind.__name__}.union(*map(below, kind.__subclasses__()))

    assert below(DataRefused) == set(alerts.REFUSED)


def test_answers_without_data_are_told_also_where_the_run_failed_by_them(place):
    place.ran("failed", absent=2, error_class="DataRefused", error="No data.", exit_code=65)
    assert ("no_data:faction_crimes", "begins") in place.look()


def test_drift_is_told_once_and_is_no_news_after_an_hour(place):
    place.ran(drift=2)
    assert place.look() == [("drift:faction_crimes", "begins")]
    place.clock.sleep(60)
    place.ran()
    assert place.look() == []
    place.clock.sleep(3_600)
    place.ran()
    assert place.look() == [("drift:faction_crimes", "over")]


def test_a_disk_on_the_edge_is_told_once(place, monkeypatch):
    place.ran()
    free = [2e9, 9e8, 1.05e9, 9e8, 1.2e9]
    monkeypatch.setattr(
        notify.disks.__globals__["shutil"],
        "disk_usage",
        lambda _place: type("Usage", (), {"free": free[0], "total": 10**10}),
    )
    told = []
    while free:
        told.append([state for _, state in place.look()])
        free.pop(0)
    assert told == [[], ["begins"], [], [], ["over"]]


def test_of_many_daemons_one_tells(place):
    place.ran()
    place.clock.sleep(3 * PERIOD)
    url = place.settings.state.url
    gate = threading.Barrier(4)

    def daemon():
        with State(url, place.clock) as state:
            gate.wait()
            notifier = place.another()
            count = notifier.look(place.settings, state)
            notifier.wait(30)
            return count

    with ThreadPoolExecutor(4) as pool:
        told = [pool.submit(daemon) for _ in range(4)]
    assert sorted(each.result() for each in told) == [0, 0, 0, 1]
    assert len(place.posts) == 1


def test_a_daemon_that_died_while_it_told_is_followed_by_another(place):
    place.ran()
    place.clock.sleep(3 * PERIOD)
    now = place.clock.now()
    Alerts(place.state).observe(notify.events(place.settings, place.state, now), "", now)
    (channel,) = place.settings.channels_for("alerts")
    wants = partial(alerts.wants, channel)
    assert len(Alerts(place.state).claim(channel.name, wants, now)) == 1  # and then it died
    assert place.look() == []
    place.clock.sleep(TAKING)
    assert place.look(place.another()) == [("late:faction_crimes", "begins")]


def test_a_restart_tells_nothing_again(place):
    place.ran()
    place.clock.sleep(3 * PERIOD)
    assert len(place.look()) == 1
    assert place.look(place.another()) == []


def test_what_was_not_taken_is_told_again_later_and_later(place):
    place.ran("failed", exit_code=65, error_class="DataRefused")
    place.answers = [Sent("it answered 500"), Sent("it answered 500")]
    assert len(place.look()) == 1
    assert place.look() == []
    place.clock.sleep(BACKOFF.first)
    assert len(place.look()) == 1
    place.clock.sleep(BACKOFF.first)
    assert place.look() == []
    place.clock.sleep(BACKOFF.first)
    assert place.look() == [("refused:faction_crimes", "begins")]
    assert place.look() == []


def test_a_webhook_that_never_answers_is_asked_every_quarter_of_an_hour_for_ever(place):
    place.ran("failed", exit_code=65, error_class="DataRefused")
    place.answers = [Sent("it answered 500"), Sent("it answered 500")]
    assert len(place.look()) == 1
    with place.state.writing() as db:  # more tries than a float has doublings
        db.execute("update channel_states set tries = 1100, taken_until = 0")
    assert len(place.look()) == 1
    place.clock.sleep(BACKOFF.longest - 1)
    assert place.look() == []
    place.clock.sleep(1)
    assert place.look() == [("refused:faction_crimes", "begins")]


def test_the_wait_that_discord_wants_holds_every_message(place):
    place.ran("failed", exit_code=65, error_class="DataRefused")
    place.answers = [Sent("it answered 429", wait=120.0)]
    assert len(place.look()) == 1
    place.state.key_health.set_state(KeyState("f1", "dead", since=NOW, name="default"))
    place.clock.sleep(119)
    assert place.look() == []
    place.clock.sleep(1)
    assert sorted(name for name, _ in place.look()) == ["key:default", "refused:faction_crimes"]


def test_what_was_over_before_anybody_was_told_is_not_told(place):
    place.answers = [Sent("it answered 500")]
    place.ran("failed", exit_code=65, error_class="DataRefused")
    place.look()
    place.ran()
    for _ in range(3):
        place.clock.sleep(BACKOFF.first)
        assert place.look() == []
    assert Alerts(place.state).all() == []


def test_an_event_of_another_machine_is_left_to_it(place):
    alerts = Alerts(place.state)
    alerts.observe(
        [AlertEvent("disk:elsewhere:archive", "Full.", host="elsewhere")], "elsewhere", NOW
    )
    place.ran()
    assert place.look() == [("disk:elsewhere:archive", "begins")]
    assert place.look() == []
    alerts.observe([], "elsewhere", NOW)
    assert place.look() == [("disk:elsewhere:archive", "over")]


def test_a_webhook_that_is_missing_stops_nothing(place):
    place.ran("failed", exit_code=65, error_class="DataRefused")
    assert AlertNotifier(place.clock, {}).look(place.settings, place.state) == 0
    assert place.look() == [("refused:faction_crimes", "begins")]


# --- several channels ------------------------------------------------------------------------

TWO = """
[[channels]]
name = "officers"
kind = "ntfy"
url = "env:HOOK"
severity = "critical"

[[channels]]
name = "log"
kind = "webhook"
url = "env:HOOK"
gets = ["alerts"]

[[channels]]
name = "pictures"
kind = "discord"
url = "env:HOOK"
gets = ["answers", "digest"]
"""


def two(place):
    place.workplace.write(
        '[[endpoints]]\nname = "faction_crimes"\npath = "/faction/crimes"\nfrequency = "PT15M"\n',
        extra=TWO,
    )
    place.settings = configuration.load(
        place.workplace.file, {"TCDATALOGGER_STATE__URL": place.url}
    )


def test_each_channel_is_told_of_what_is_bad_enough_for_it(place):
    two(place)
    place.ran("failed", exit_code=65, error_class="DataRefused")
    place.state.key_health.set_state(KeyState("f1", "dead", since=NOW, name="default"))
    place.look()

    assert place.told.pop("officers") == [("key:default", "begins")]
    assert sorted(place.told.pop("log")) == [
        ("key:default", "begins"),
        ("refused:faction_crimes", "begins"),
    ]
    assert place.told == {}
    place.ran()
    place.state.key_health.set_state(KeyState("f2", "ok", since=NOW + 9, name="default"))
    place.look()
    assert place.told["officers"] == [("key:default", "over")]
    assert len(place.told["log"]) == 2
    place.look()
    assert Alerts(place.state).all() == []


def test_a_channel_that_does_not_answer_delays_no_other_and_no_look(place):
    two(place)
    gate = threading.Event()
    opened = place.opened

    def slow(settings, channel, environ):
        found = opened(settings, channel, environ)
        if channel.name == "officers":
            sends = found.send
            found.send = lambda *words: (gate.wait(30), sends(*words))[1]
        return found

    notifier = AlertNotifier(place.clock, ENVIRON, slow)
    place.state.key_health.set_state(KeyState("f1", "dead", since=NOW, name="default"))
    notifier.look(place.settings, place.state)
    notifier._threads["log"].join(30)
    place.state.key_health.set_state(KeyState("f2", "ok", since=NOW + 9, name="default"))
    notifier.look(place.settings, place.state)
    notifier._threads["log"].join(30)
    assert place.told == {"log": [("key:default", "begins"), ("key:default", "over")]}
    gate.set()
    notifier.wait(30)
    notifier.look(place.settings, place.state)
    notifier.wait(30)
    assert place.told["officers"] == [("key:default", "begins"), ("key:default", "over")]


def test_a_channel_that_fails_again_and_again_is_an_alert_for_the_others(place):
    two(place)
    place.ran()
    for _ in range(3):
        Deliveries(place.state).refused("officers", "it answered 403", place.clock.now())
    place.look()
    assert place.told == {"log": [("channel:officers", "begins")]}
    [told] = [alert.event for alert in Alerts(place.state).all()]
    assert "took none of the last 3 deliveries: it answered 403." in told.text
    Deliveries(place.state).accepted("officers", "", place.clock.now())
    place.look()
    assert place.told["log"][1:] == [("channel:officers", "over")]


def test_a_state_of_before_tells_the_channel_of_the_webhook_nothing_again(place):
    place.ran("failed", exit_code=65, error_class="DataRefused")
    place.look()
    with place.state.writing() as db:
        db.execute("delete from deliveries")
        for name in ("discord", "webhook"):  # as the release makes them of the table of alerts
            db.execute(
                "insert into deliveries (channel, event, told_at) "
                f"select '{name}', event, told_at from alerts where told_at is not null"
            )
    assert place.look(place.another()) == []
    place.ran()
    assert place.look() == [("refused:faction_crimes", "over")]
    place.look()
    # What was told to a channel that is not configured is forgotten after a week.
    assert len(Alerts(place.state).all()) == 1
    place.clock.sleep(8 * 86_400)
    place.ran()
    place.look()
    assert Alerts(place.state).all() == []


def test_every_kind_of_alert_has_a_severity_that_the_page_names(place):
    page = (Path(__file__).parents[2] / "docs/observability.md").read_text()
    for kind, severity in SEVERITIES.items():
        assert f"| `{kind}:" in page
        assert severity in page.split(f"| `{kind}:")[1].splitlines()[0]


# --- words -----------------------------------------------------------------------------------


def alert(text, **facts):
    return Alert(AlertEvent("late:x", text, "Do something.", since=NOW), **facts)


def test_a_message_for_discord_is_short_and_calls_nobody():
    found = [alert(f"@everyone {'x' * 500} {n}") for n in range(50)]
    body = discord.body(message(found, NOW))
    assert len(body["content"]) <= 2_000
    assert body["allowed_mentions"] == {"parse": []}
    assert "@everyone" not in body["content"]
    assert "more: `tcdatalogger status`" in body["content"]


def test_the_subject_counts_and_the_worst_alert_gives_the_severity():
    over = Alert(AlertEvent("key:x", "x.", since=NOW), NOW, NOW + 60)
    both = message([alert("late"), over], NOW)
    assert (both.subject, both.severity) == ("alerts: 1 new, 1 over", "warning")
    assert message([over], NOW).severity == "info"
    assert message([Alert(AlertEvent("key:x", "x."))], NOW).severity == "critical"


def test_plain_json_says_everything():
    over = Alert(AlertEvent("late:x", "x is late.", "Look.", since=NOW), NOW, NOW + 60)
    (told,) = webhook.body(message([over], NOW))["alerts"]
    assert told == {
        "event": "late:x",
        "kind": "late",
        "severity": "warning",
        "state": "over",
        "since": NOW,
        "over_at": NOW + 60,
        "host": None,
        "text": "x is late.",
        "remedy": "Look.",
    }


# --- the way to it ---------------------------------------------------------------------------


@pytest.fixture
def receiver():
    with open_receiver() as found:
        yield found


def test_an_alert_arrives_at_a_real_receiver_and_its_address_nowhere_else(place, receiver):
    stream, handlers = io.StringIO(), list(logging.getLogger().handlers)
    log.configure("debug", "json", stream=stream)
    try:
        place.ran("failed", exit_code=65, error_class="DataRefused", error=f"at {receiver.url}")
        place.configure('min_free = "1KB"')
        for answer in (204, 500):
            receiver.answers = [(answer, {}, b"")]
            notifier = AlertNotifier(place.clock, {"HOOK": receiver.url})
            notifier.look(place.settings, place.state)
            notifier.wait(30)
            place.ran()
        log.get_logger("x").info("asked", url=receiver.url, path=f"/api/webhooks/1/{TOKEN}")
    finally:
        log.stop()
        logging.getLogger().handlers = handlers
    bodies = [json.loads(each.body) for each in receiver.got]
    assert [body["alerts"][0]["state"] for body in bodies] == ["begins", "over"]
    assert "alerts_not_delivered" in stream.getvalue()
    assert TOKEN not in stream.getvalue()
    assert TOKEN not in json.dumps(bodies)
    assert TOKEN not in repr(place.settings)
    tables = ("alerts", "channel_states", "deliveries")
    held = [row for name in tables for row in place.state.reading(f"select * from {name}")]
    assert held
    assert TOKEN not in str(held)


def test_a_channel_can_be_tried_out(place, receiver):
    (channel,) = place.settings.channels_for("alerts")
    assert try_out(place.settings, channel, {"HOOK": receiver.url}, NOW) == Sent()
    assert "TCdatalogger arrive here" in json.loads(receiver.got[0].body)["text"]
    with pytest.raises(ConfigError, match="HOOK"):
        try_out(place.settings, channel, {}, NOW)


def test_an_address_in_the_configuration_is_a_mistake_that_does_not_show_it(workplace):
    workplace.write(extra=f'[alerts]\nwebhook = "https://discord.com/api/webhooks/1/{TOKEN}"\n')
    done = workplace.run("check", "--offline")
    assert done.code == 78
    assert "alerts.webhook" in done.err
    assert TOKEN not in done.out + done.err
