"""Channels as a user meets them: in the configuration, by commands, and in what is shown."""

from __future__ import annotations

import json

import pytest

from channel import open_channel
from post_office import PASSWORD, USER, open_post_office
from receiver import open_receiver
from tcdatalogger.core.config import configuration
from tcdatalogger.core.state import deliveries
from tcdatalogger.core.state.deliveries import Deliveries
from tcdatalogger.core.state.store import State

ENDPOINT = (
    '[[endpoints]]\nname = "faction_members"\npath = "/faction/members"\nfrequency = "PT1H"\n'
)
MAIL = (
    '[[channels]]\nname = "post"\nkind = "mail"\nserver = "127.0.0.1:{port}"\n'
    f'user = "{USER}"\npassword = "env:MAIL_PASSWORD"\nsender = "torn@example.org"\n'
    'to = ["officers@example.org"]\n'
)
DISCORD = '[[channels]]\nname = "officers"\nkind = "discord"\nurl = "env:HOOK"\n'
NTFY = '[[channels]]\nname = "phone"\nkind = "ntfy"\nurl = "env:TOPIC"\n'


def configure(workplace, *channels):
    workplace.write(ENDPOINT, extra="\n".join(channels))


@pytest.fixture
def place(workplace, monkeypatch, tmp_path):
    """A mailbox, a channel of Discord and a topic of ntfy."""
    with (
        open_post_office(tmp_path) as office,
        open_channel() as discord,
        open_receiver() as topic,
    ):
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        monkeypatch.setenv("MAIL_PASSWORD", PASSWORD)
        monkeypatch.setenv("HOOK", discord.url)
        monkeypatch.setenv("TOPIC", topic.url)
        configure(workplace, MAIL.format(port=office.port), DISCORD, NTFY)
        workplace.office, workplace.discord, workplace.topic = office, discord, topic
        yield workplace


def test_an_answer_goes_to_each_kind_of_channel(place):
    place.log("faction_members")

    for name in ("post", "officers", "phone"):
        done = place.run("ask", "inactive-members", "--to", name)
        assert (done.code, done.out) == (0, f"Sent to {name}: Who was not seen?\n"), done.err
    [(_, _, letter)] = place.office.letters
    text, picture = letter.iter_parts()
    assert "Who was not seen?" in text.get_content()
    assert picture.get_content().startswith(b"\x89PNG")
    assert list(place.discord.posted[0].files) == ["inactive-members.png"]
    assert place.topic.got[0].body.startswith(b"\x89PNG")


def test_a_test_goes_to_one_channel_and_says_why_it_does_not_arrive(place):
    assert place.run("channels", "test", "post").code == 0
    assert "This is a test" in place.office.letters[0][2].get_content()
    assert place.run("channels", "test", "phone", "--json").json == {
        "channel": "phone", "sent": True,
    }  # fmt: skip
    place.office.refuses = {"AUTH": 535}
    done = place.run("channels", "test", "post")
    assert done.code == 69
    assert "it does not take the user and the password (535)" in done.err
    assert PASSWORD not in done.out + done.err
    done = place.run("channels", "test", "offcers")
    assert done.code == 2
    assert "Did you mean 'officers'?" in done.err


def test_the_list_and_the_status_tell_how_each_does(place):
    place.log("faction_members")
    place.run("ask", "inactive-members", "--to", "officers")
    place.discord.answer = 404
    place.run("ask", "inactive-members", "--to", "officers")

    found = {each["channel"]: each for each in place.run("channels", "list", "--json").json}
    officers = found["officers"]
    assert (officers["sent"], officers["failed"], officers["why"]) == (1, 1, "it answered 404")
    assert officers["failing_since"]
    assert found["phone"]["sent"] == 0
    assert place.run("status", "--json").json["channels"] == list(found.values())
    for words in (("status",), ("channels", "list")):
        shown = place.run(*words).out
        assert "channel officers: fails since" in shown
        assert "it answered 404" in shown
        assert all(len(line) <= 100 for line in shown.splitlines())


def test_without_channels_the_list_says_what_to_write(workplace):
    configure(workplace)

    assert "[[channels]]" in workplace.run("channels", "list").out
    assert workplace.run("channels", "list", "--json").json == []


def test_a_channel_that_gets_no_answers_is_sent_none(place):
    configure(place, DISCORD + 'gets = ["alerts"]\n')
    done = place.run("ask", "inactive-members", "--to", "officers")

    assert done.code == 2
    assert 'gets = ["alerts", "answers"]' in done.err
    assert place.discord.posted == []


def test_check_sends_to_each_channel_that_gets_alerts(place):
    done = place.run("check", "--offline", "--alerts", "--json")

    assert done.code == 0, done.out
    told = [each["says"] for each in done.json["findings"] if each["part"] == "alerts"]
    assert [says.partition(":")[0] for says in told] == ["post", "officers", "phone"]
    parts = {each["part"]: each["says"] for each in done.json["findings"]}
    assert parts["channel phone"] == "ntfy, env:TOPIC; gets alerts, digest, answers"


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ('kind = "discord"', "channels.x: a channel of the kind discord needs url"),
        ('kind = "mail"', "needs server and sender and to"),
        ('kind = "discord"\nurl = "env:A"\ntoken = "env:B"', "discord has no token"),
        ('kind = "ntfy"\nurl = "https://ntfy.sh/x"', "channels.x.url: is no reference"),
        (
            'kind = "webhook"\nurl = "env:A"\nsecret = "hunter2"',
            "channels.x.secret: is no reference",
        ),
        ('kind = "pigeon"\nurl = "env:A"', "'pigeon' is not one of discord, mail, ntfy, webhook"),
        ('kind = "ntfy"\nurl = "env:A"\ngets = []', "gets nothing"),
        ('kind = "ntfy"\nurl = "env:A"\ngets = ["news"]', "'news' is not one of alerts"),
        ('kind = "ntfy"\nurl = "env:A"\nulr = 1', "Did you mean 'url'"),
        (
            'kind = "mail"\nserver = "a b"\nsender = "a@b.c"\nto = ["a@b.c"]',
            "must be a server such as smtp.example.org:587",
        ),
        (
            'kind = "mail"\nserver = "s.x"\nsender = "a@b.c\\nBcc: x@y.z"\nto = ["a@b.c"]',
            "must be an address such as",
        ),
        (
            'kind = "mail"\nserver = "s.x"\nsender = "a@b.c"\nto = ["Anna <a@b.c>"]',
            "must be an address such as",
        ),
        (
            'kind = "mail"\nserver = "s.x"\nsender = "a@b.c"\nto = ["a@b.c"]\nuser = "u"',
            "user and password go together",
        ),
        (
            'kind = "mail"\nserver = "s.x"\nsender = "a@b.c"\nto = ["a@b.c"]\nencryption = "none"',
            "must be encrypted",
        ),
    ],
)
def test_a_wrong_channel_is_told_where_and_why(workplace, lines, says):
    configure(workplace, f'[[channels]]\nname = "x"\n{lines}\n')
    done = workplace.run("check", "--offline")

    assert done.code == 78
    assert says in done.err
    assert "hunter2" not in done.err


@pytest.mark.parametrize(
    "extra",
    [
        NTFY + NTFY,
        DISCORD.replace("officers", "discord") + '[alerts]\nwebhook = "env:HOOK"\n',
        DISCORD.replace("officers", "digest") + '[digest]\nwebhook = "env:HOOK"\n',
    ],
)
def test_each_channel_has_a_name_of_its_own(workplace, extra):
    workplace.write(ENDPOINT, extra=extra)
    done = workplace.run("check", "--offline")

    assert done.code == 78
    assert "another channel is called" in done.err


def test_a_setting_of_a_channel_is_overridden_by_its_name(workplace):
    configure(workplace, NTFY)
    for environ, overrides in (
        ({"TCDATALOGGER_CHANNELS__PHONE__SEVERITY": "critical"}, ()),
        ({}, ("channels.phone.severity=critical",)),
    ):
        settings = configuration.load(workplace.file, environ, overrides)
        assert settings.channels[0].severity == "critical"
    done = workplace.run("check", "--offline", "--set", "channels.fone.severity=info")
    assert "Did you mean 'phone'" in done.err


def test_what_was_delivered_is_right_after_a_clock_that_was_ahead(workplace):
    configure(workplace, NTFY)
    settings = configuration.load(workplace.file, {})
    with State(settings.state.url, workplace.clock) as state:
        now = workplace.clock.now()
        Deliveries(state).accepted("phone", "/digest", now + 10**6)
        with state.writing() as db:
            deliveries.put_right(db, now)
        assert Deliveries(state).times("/digest") == {"phone": now}
        assert Deliveries(state).channels()["phone"].sent_at == now


def test_a_scheduler_that_ends_by_itself_tells_the_channels_first(place):
    place.key = None
    place.log("faction_members")
    done = place.process("schedule", "--once", "--set", "alerts.failures=1", "--json")

    assert done.code != 0
    told = [json.loads(line) for line in done.err.splitlines() if "alert_begun" in line]
    assert {each["channel"] for each in told} == {"post", "officers", "phone"}
    assert place.office.letters[0][2]["Subject"].startswith("TCdatalogger: alert")
    assert place.topic.got[0].headers["x-priority"] in {"4", "5"}
