"""The digest: posted by the scheduler once for each of its times, to a channel that is there."""

from __future__ import annotations

import json
import os
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest

import channel
from receiver import open_receiver
from tcdatalogger.core import main as core_main
from tcdatalogger.core.config import configuration
from tcdatalogger.core.state.deliveries import Deliveries
from tcdatalogger.core.state.due import BACKOFF, DueQueue
from tcdatalogger.core.state.leases import DIGEST
from tcdatalogger.core.state.plans import plans
from tcdatalogger.core.state.store import State
from tcdatalogger.scheduler import worker
from tcdatalogger.scheduler.daemon import Daemon
from tcdatalogger.scheduler.executor import Exit
from tcdatalogger.scheduler.monitoring.notify import events

HOUR = 3_600
DAY = 24 * HOUR
ENDPOINT = '[[endpoints]]\nname = "faction_members"\npath = "/faction/members"\nfrequency = "P1Y"\n'
TOLD = 'questions = ["inactive-members", "activity-heatmap"]\nwebhook = "env:HOOK"\n'


class Here:
    """An engine behind the seam that does a job at once, in this process."""

    waitables, pid = (Path(os.devnull).open(),), 0  # noqa: SIM115  # always readable

    def __call__(self, job):
        self._report = worker.run_job(job)
        return self

    def ended(self):
        return Exit(self._report, 0)

    def rest(self):
        """Nothing waits."""

    def close(self):
        """Nothing is kept."""


class Place:
    """A place with rows and a digest at eight; its clock is moved by hand."""

    def __init__(self, workplace, found):
        self.workplace = workplace
        self.clock = workplace.clock
        self.channel = found
        self.configure()

    def configure(self, told=TOLD, extra=""):
        self.workplace.write(ENDPOINT, extra=f"[digest]\n{told}\n{extra}")
        self.settings = configuration.load(self.workplace.file, {})

    def schedule(self):
        """What a new scheduler says of the digests that are due now."""
        told = []
        with State(self.settings.state.url, self.clock) as state:
            queue = DueQueue(state)
            found = plans(self.settings)
            queue.sync(found.values(), self.clock.now(), alone=True)
            queue.served(found["faction_members"], self.clock.now(), self.clock.now())
            Daemon(self.settings, state, Here(), on_event=told.append).run("until idle")
        return [one.report.error_class for one in told if one.report and one.endpoint == DIGEST]

    def wait(self, hour):
        """Let it be some hour of the day, today or tomorrow."""
        begun = self.clock.now() // DAY * DAY
        then = begun + hour * HOUR
        self.clock.sleep((then if then > self.clock.now() else then + DAY) - self.clock.now())

    @property
    def posted(self):
        return len(self.channel.posted)

    def wrong(self):
        with State(self.settings.state.url, self.clock) as state:
            found = events(self.settings, state, self.clock.now())
        return [one for one in found if one.kind == "digest"]


@pytest.fixture
def place(workplace, monkeypatch):
    with channel.open_channel() as found:
        monkeypatch.setenv("HOOK", found.url)
        monkeypatch.setattr(core_main, "SystemClock", lambda: workplace.clock)
        place = Place(workplace, found)
        workplace.log("faction_members")
        place.wait(3)
        yield place


def test_it_is_posted_at_its_time_and_once_also_by_a_scheduler_that_is_new(place):
    assert place.schedule() == []
    place.wait(7.99)
    assert place.schedule() == []
    place.wait(8)
    assert place.schedule() == [""]
    (message,) = place.channel.posted
    assert set(message.files) == {"inactive-members.png", "activity-heatmap.png"}
    assert message.body["allowed_mentions"] == {"parse": []}
    assert "Who was not seen?" in message.body["content"]
    assert place.schedule() == []
    place.wait(23)
    assert place.schedule() == []
    place.wait(9)
    assert place.schedule() == [""]
    assert place.posted == 2
    status = place.workplace.run("status", "--json").json["digest"]
    assert (status["frequency"], status["last_run"]["status"]) == ("P1D", "done")


def test_days_on_which_nothing_ran_are_posted_once(place):
    place.schedule()
    place.clock.sleep(5 * DAY)

    assert place.schedule() == [""]
    assert place.schedule() == []
    assert place.posted == 1


def test_a_row_that_comes_up_again_after_the_post_posts_nothing(place):
    place.schedule()
    place.wait(8)
    place.schedule()
    with State(place.settings.state.url, place.clock) as state, state.writing() as db:
        # As where the daemon was killed before it noted that the run had ended.
        db.execute("update agenda set wake_at = 0, due_at = 0 where endpoint = ?", (DIGEST,))

    assert place.schedule() == [""]
    assert place.posted == 1


def test_a_post_that_fails_is_told_and_tried_again_until_it_is_taken(place):
    place.schedule()
    place.wait(8)
    place.channel.answer = 500
    assert place.schedule() == ["ChannelUnavailable"]
    (alert,) = place.wrong()
    assert "The digest did not arrive everywhere: digest: it answered 500." in alert.text
    assert "digest: failed" in place.workplace.run("status").out
    assert channel.TOKEN not in alert.text
    assert place.schedule() == []
    place.clock.sleep(2 * BACKOFF.first)
    assert place.schedule() == ["ChannelUnavailable"]
    place.channel.answer = 204
    place.clock.sleep(4 * BACKOFF.first)
    assert place.schedule() == [""]
    assert place.wrong() == []
    place.clock.sleep(HOUR)
    assert place.schedule() == []
    assert place.posted == 3


def test_what_cannot_be_answered_is_told_and_keeps_no_other_picture(place):
    place.configure(TOLD.replace("activity-heatmap", "oc-profit"))
    place.schedule()
    place.wait(8)

    assert place.schedule() == ["ConfigError"]
    assert list(place.channel.posted[0].files) == ["inactive-members.png"]
    (alert,) = place.wrong()
    assert "oc-profit" in alert.text
    place.clock.sleep(HOUR)
    assert place.schedule() == []


def test_its_time_is_that_of_its_zone_and_a_week_begins_on_monday(place):
    place.configure(f'{TOLD}at = "20:15"\ntimezone = "America/New_York"\nfrequency = "P1W"\n')
    place.schedule()
    with State(place.settings.state.url, place.clock) as state:
        due = DueQueue(state).entries()[DIGEST].due_at

    local = datetime.fromtimestamp(due, UTC)
    assert (local.weekday(), local.hour, local.minute) == (1, 1, 15)  # it is Monday there


def test_by_hand_it_is_posted_now_and_says_what(place):
    done = place.workplace.run("ask", "--digest")

    assert done.code == 0, done.err
    assert done.out == "Sent: inactive-members, activity-heatmap\n"
    assert place.workplace.run("ask", "--digest").code == 0
    assert place.posted == 2
    place.schedule()
    place.wait(8)
    assert place.schedule() == [""]
    assert place.posted == 3


def test_by_hand_without_any_it_says_what_to_write(place):
    place.configure("")

    done = place.workplace.run("ask", "--digest")
    assert done.code == 78
    assert 'questions = ["inactive-members"] in [digest]' in done.err


OWNERS = """/*
title = "Mine?"
page = "me"
audience = "owner"
caption = "C"
chart = { kind = "tiles", label = "what", values = ["members"] }
[needs."/faction/members"]
*/
select 'm' as what, count(*) as members from {faction_members:now} order by members
"""


def test_what_only_the_owner_is_to_see_is_left_out_unless_the_configuration_says_so(place):
    folder = place.workplace.folder / "questions"
    folder.mkdir()
    (folder / "mine-alone.sql").write_text(OWNERS)
    told = 'questions = ["mine-alone"]\nwebhook = "env:HOOK"\n'
    place.configure(told)
    done = place.workplace.run("ask", "--digest")
    assert (done.code, place.posted) == (78, 0)
    assert "owner = true" in done.err

    place.configure(f"{told}owner = true\n")
    assert place.workplace.run("ask", "--digest").code == 0
    assert list(place.channel.posted[0].files) == ["mine-alone.png"]


def test_the_webhook_of_the_alerts_is_taken_where_it_has_none(place):
    place.configure('questions = ["inactive-members"]\n', '[alerts]\nwebhook = "env:HOOK"\n')

    assert place.workplace.run("ask", "--digest").code == 0
    assert place.posted == 1


@pytest.mark.parametrize(
    ("told", "extra", "says"),
    [
        ('questions = ["oc-now"]', "", "digest.webhook: is missing"),
        ('questions = ["x"]', '[alerts]\nwebhook = "env:H"\nkind = "json"', "takes no pictures"),
        (f'{TOLD}at = "8 o clock"', "", "08:00"),
        (f'{TOLD}timezone = "Nowhere"', "", "not the name of a time zone"),
        (f"questions = {[f'q{n}' for n in range(11)]}\nwebhook = 'env:HOOK'", "", "at most 10"),
        ('webhook = "https://discord.example/api/webhooks/1/abc"', "", "no reference"),
    ],
)
def test_a_wrong_setting_is_told(place, told, extra, says):
    place.workplace.write(ENDPOINT, extra=f"[digest]\n{told}\n{extra}\n")

    done = place.workplace.run("check", "--offline")
    assert done.code == 78
    assert says in done.err + done.out


def test_the_check_knows_its_questions(place):
    done = place.workplace.run("check", "--offline")
    assert done.code == 0, done.out
    assert "inactive-members, activity-heatmap; at 08:00 UTC, every P1D" in done.out

    place.configure(TOLD.replace("activity-heatmap", "activity-heatmaps"))
    done = place.workplace.run("check", "--offline")
    assert done.code == 78
    assert "There is no question 'activity-heatmaps'. Did you mean 'activity-heatmap'?" in done.out
    assert "\\n" not in done.out


@pytest.mark.slow
def test_of_two_schedulers_one_posts_it_in_a_process_of_its_own(yard, monkeypatch):
    with channel.open_channel() as found:
        monkeypatch.setenv("HOOK", found.url)
        yard.write(("faction_members", 'frequency = "P1Y"'), extra=f"[digest]\n{TOLD}\n")
        yard.place.log("faction_members")
        found_plans = plans(configuration.load(yard.place.file, {}))
        with yard.state() as state:
            DueQueue(state).sync(found_plans.values(), state.clock.now(), alone=True)
            with state.writing() as db:
                db.execute("update agenda set due_at = 0, wake_at = 0")
        with yard.daemon() as one, yard.daemon() as other:
            yard.until(lambda: [run for run in yard.runs(DIGEST) if run.status == "done"])
            one.signal(signal.SIGTERM)
            other.signal(signal.SIGTERM)
            assert {one.wait(), other.wait()} == {128 + signal.SIGTERM}

    [run] = yard.runs(DIGEST)
    assert run.pid not in {0, os.getpid(), one.process.pid, other.process.pid}
    assert len(found.posted) == 1
    assert found.token not in one.err.read_text() + other.err.read_text()


def test_where_one_channel_does_not_take_it_the_others_get_it_once(place, monkeypatch):
    with open_receiver() as other:
        monkeypatch.setenv("OTHER", other.url)
        place.configure(
            'questions = ["inactive-members"]\nwebhook = "env:HOOK"\n',
            '[[channels]]\nname = "program"\nkind = "webhook"\nurl = "env:OTHER"\n',
        )
        place.schedule()
        place.wait(8)
        place.channel.answer = 500
        assert place.schedule() == ["ChannelUnavailable"]
        place.channel.answer = 204
        place.clock.sleep(2 * BACKOFF.first)
        assert place.schedule() == [""]

    assert place.posted == 2
    (got,) = other.got
    (told,) = json.loads(got.body)["answers"]
    assert told["name"] == "inactive-members"
    assert told["rows"]
    with State(place.settings.state.url, place.clock) as state:
        found = Deliveries(state).channels()
    assert (found["digest"].sent, found["digest"].failed) == (1, 1)
    assert (found["program"].sent, found["program"].failed) == (1, 0)
