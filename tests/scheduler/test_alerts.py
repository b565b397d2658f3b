from __future__ import annotations

import http.server
import io
import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tcdatalogger.clock import ManualClock
from tcdatalogger.core.config import configuration
from tcdatalogger.core.state import alerts
from tcdatalogger.core.state.alerts import TAKING, Alert, AlertEvent, Alerts
from tcdatalogger.core.state.store import RunRecord, State
from tcdatalogger.errors import ConfigError, DataRefused
from tcdatalogger.observability import log
from tcdatalogger.observability.webhook import Posted, post
from tcdatalogger.scheduler.monitoring import notify
from tcdatalogger.scheduler.monitoring.notify import BACKOFF, AlertNotifier, message, try_out
from tcdatalogger.services.torncity.client.key_health import KeyState

NOW = 1_800_000_000.0
TOKEN = "s3cr3t-t0ken-of-a-webhook-0123456789"
ENVIRON = {"HOOK": f"https://discord.example/api/webhooks/1/{TOKEN}"}
PERIOD = 900


class Place:
    """A state, a clock and everything that was posted."""

    def __init__(self, workplace, url):
        self.workplace = workplace
        self.url = url
        self.clock = ManualClock(NOW)
        self.posts = []
        self.answers = []
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
        return AlertNotifier(ENVIRON, self.send)

    def send(self, address, body):
        assert address == ENVIRON["HOOK"]
        self.posts.append(body)
        return self.answers.pop(0) if self.answers else Posted()

    def look(self, notifier=None):
        (notifier or self.notifier).look(self.settings, self.state)
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
            return place.another().look(place.settings, state)

    with ThreadPoolExecutor(4) as pool:
        told = [pool.submit(daemon) for _ in range(4)]
    assert sorted(each.result() for each in told) == [0, 0, 0, 1]
    assert len(place.posts) == 1


def test_a_daemon_that_died_while_it_told_is_followed_by_another(place):
    place.ran()
    place.clock.sleep(3 * PERIOD)

    class Killed(BaseException):
        pass

    def killed(_address, _body):
        raise Killed

    with pytest.raises(Killed):
        AlertNotifier(ENVIRON, killed).look(place.settings, place.state)
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
    place.answers = [Posted("it answered 500"), Posted("it answered 500")]
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
    place.answers = [Posted("it answered 500"), Posted("it answered 500")]
    assert len(place.look()) == 1
    with place.state.writing() as db:  # more tries than a float has doublings
        db.execute("update alerts set tries = 1100, taken_until = 0")
    assert len(place.look()) == 1
    place.clock.sleep(BACKOFF.longest - 1)
    assert place.look() == []
    place.clock.sleep(1)
    assert place.look() == [("refused:faction_crimes", "begins")]


def test_the_wait_that_discord_wants_holds_every_message(place):
    place.ran("failed", exit_code=65, error_class="DataRefused")
    place.answers = [Posted("it answered 429", wait=120.0)]
    assert len(place.look()) == 1
    place.state.key_health.set_state(KeyState("f1", "dead", since=NOW, name="default"))
    place.clock.sleep(119)
    assert place.look() == []
    place.clock.sleep(1)
    assert sorted(name for name, _ in place.look()) == ["key:default", "refused:faction_crimes"]


def test_what_was_over_before_anybody_was_told_is_not_told(place):
    place.answers = [Posted("it answered 500")]
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
    assert AlertNotifier({}, place.send).look(place.settings, place.state) == 0
    assert place.look() == [("refused:faction_crimes", "begins")]


# --- words -----------------------------------------------------------------------------------


def alert(text, **facts):
    return Alert(AlertEvent("late:x", text, "Do something.", since=NOW), None, None, 0, **facts)


def test_a_message_for_discord_is_short_and_calls_nobody():
    body = message([alert(f"@everyone {'x' * 500} {n}") for n in range(50)], "discord")
    assert len(body["content"]) <= 2_000
    assert body["allowed_mentions"] == {"parse": []}
    assert "more: `tcdatalogger status`" in body["content"]
    shown = body["content"].count("@everyone")
    assert f"… and {50 - shown} more" in body["content"]


def test_plain_json_says_everything():
    over = Alert(AlertEvent("late:x", "x is late.", "Look.", since=NOW), NOW, NOW + 60, 0)
    (told,) = message([over], "json")["alerts"]
    assert told == {
        "event": "late:x",
        "kind": "late",
        "state": "over",
        "since": NOW,
        "over_at": NOW + 60,
        "host": None,
        "text": "x is late.",
        "remedy": "Look.",
    }


# --- the way to it ---------------------------------------------------------------------------


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, json.loads(body)))
        status, headers, answer = self.server.answer
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


@pytest.fixture
def receiver():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        server.got, server.answer = [], (204, {}, b"")
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        server.url = f"http://127.0.0.1:{server.server_port}/api/webhooks/1/{TOKEN}"
        yield server
        server.shutdown()


@pytest.mark.parametrize(
    ("answer", "posted"),
    [
        ((204, {}, b""), Posted()),
        ((200, {}, b"ok"), Posted()),
        ((404, {}, b""), Posted("it answered 404")),
        ((302, {"Location": "http://127.0.0.1:1/"}, b""), Posted("it answered 302")),
        ((429, {"Retry-After": "7"}, b""), Posted("it answered 429", 7.0)),
        ((429, {"Retry-After": "7"}, b'{"retry_after": 1.5}'), Posted("it answered 429", 1.5)),
        ((429, {"Retry-After": "soon"}, b"[]"), Posted("it answered 429")),
        ((429, {"Retry-After": "nan"}, b'{"retry_after": NaN}'), Posted("it answered 429")),
        ((429, {"Retry-After": "inf"}, b""), Posted("it answered 429", 3600.0)),
    ],
)
def test_what_a_webhook_answers_is_understood(receiver, answer, posted):
    receiver.answer = answer
    assert post(receiver.url, {"content": "x"}) == posted
    assert receiver.got == [(f"/api/webhooks/1/{TOKEN}", {"content": "x"})]


@pytest.mark.parametrize(
    "address",
    [
        f"http://127.0.0.1:1/{TOKEN}",
        f"http://discord.example/{TOKEN}",
        f"ftp://discord.example/{TOKEN}",
        f"https://[broken/{TOKEN}",
        f"https://name.invalid/{TOKEN}",
        TOKEN,
    ],
)
def test_an_address_that_does_not_work_is_told_without_it(address):
    posted = post(address, {})
    assert posted.why
    assert TOKEN not in posted.why


def test_an_alert_arrives_at_a_real_receiver_and_its_address_nowhere_else(place, receiver):
    stream, handlers = io.StringIO(), list(logging.getLogger().handlers)
    log.configure("debug", "json", stream=stream)
    try:
        place.ran("failed", exit_code=65, error_class="DataRefused", error=f"at {receiver.url}")
        place.configure('min_free = "1KB"')
        AlertNotifier({"HOOK": receiver.url}).look(place.settings, place.state)
        receiver.answer = (500, {}, b"")
        place.ran()
        AlertNotifier({"HOOK": receiver.url}).look(place.settings, place.state)
        log.get_logger("x").info("asked", url=receiver.url, path=f"/api/webhooks/1/{TOKEN}")
    finally:
        log.stop()
        logging.getLogger().handlers = handlers
    first, second = (body["alerts"][0]["state"] for _, body in receiver.got)
    assert (first, second) == ("begins", "over")
    assert "alerts_not_delivered" in stream.getvalue()
    assert TOKEN not in stream.getvalue()
    assert TOKEN not in json.dumps([body for _, body in receiver.got])
    assert TOKEN not in repr(place.settings)
    held = [TOKEN in str(row) for row in place.state.reading("select * from alerts")]
    assert held == [False]


def test_alerts_can_be_tried_out(place, receiver):
    assert try_out(place.settings, {"HOOK": receiver.url}, NOW) == Posted()
    assert "TCdatalogger arrive here" in receiver.got[0][1]["text"]
    place.workplace.write()
    with pytest.raises(ConfigError, match="webhook"):
        try_out(configuration.load(place.workplace.file, {}), {}, NOW)


def test_an_address_in_the_configuration_is_a_mistake_that_does_not_show_it(workplace):
    workplace.write(extra=f'[alerts]\nwebhook = "https://discord.com/api/webhooks/1/{TOKEN}"\n')
    done = workplace.run("check", "--offline")
    assert done.code == 78
    assert "alerts.webhook" in done.err
    assert TOKEN not in done.out + done.err
