"""E-mail goes over a real connection, encrypted, and a name begins no header."""

from __future__ import annotations

import email
import email.policy
import time
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from post_office import PASSWORD, USER, open_post_office
from tcdatalogger.services.channels.mail import Mail, written
from tcdatalogger.services.channels.message import Item, Message

from .conftest import NOW, alerts, answer, answers

TO = ("officers@example.org", "leader@example.org")


@pytest.fixture
def office(tmp_path, monkeypatch):
    with open_post_office(tmp_path) as found:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        yield found


def mail(office, **options):
    given = {"user": USER, "password": PASSWORD, "to": TO, **options}
    return Mail("127.0.0.1", office.port, "torn@example.org", **given)


def test_it_is_encrypted_and_has_pictures_as_files(office):
    sent = mail(office).send(answers(answer("a"), answer("b")), 5.0)

    assert sent.why == ""
    [(sender, to, letter)] = office.letters
    assert office.encrypted == [True]
    assert sender.startswith("<torn@example.org>")
    assert to == [f"<{each}>" for each in TO]
    assert letter["Subject"] == "TCdatalogger: What now?"
    assert letter["From"] == "TCdatalogger <torn@example.org>"
    assert letter["Auto-Submitted"] == "auto-generated"
    text, *pictures = letter.walk() if not letter.is_multipart() else letter.iter_parts()
    assert "Anna, 3" in text.get_content()
    assert "As of 2026-11-26 12:00 UTC." in text.get_content()
    assert [each.get_filename() for each in pictures] == ["a.png", "b.png"]
    assert pictures[0].get_content() == b"\x89PNG of a"
    assert not any("AUTH" in said for said in office.commands[:2])


def test_another_try_of_the_same_message_has_the_same_id(office):
    for _ in range(2):
        mail(office).send(alerts("One."), 5.0)
    mail(office).send(alerts("Two."), 5.0)

    one, again, two = (letter["Message-ID"] for _, _, letter in office.letters)
    assert one == again != two


def test_it_is_encrypted_from_the_begin_where_that_is_said(tmp_path, monkeypatch):
    with open_post_office(tmp_path, tls=True) as office:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        assert mail(office, encryption="tls").send(alerts("One."), 5.0).why == ""
    assert len(office.letters) == 1


def test_a_server_that_nobody_vouches_for_gets_no_password(office, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    sent = mail(office).send(alerts("One."), 5.0)

    assert sent.why == "it cannot be reached: its certificate is not trusted"
    assert [each.split()[0] for each in office.commands] == ["EHLO", "STARTTLS"]


def test_a_server_without_encryption_gets_nothing(office):
    office.offers.remove("STARTTLS")

    assert mail(office).send(alerts("One."), 5.0).why == "it offers no STARTTLS"
    assert office.letters == []
    assert not any(each.startswith(("AUTH", "MAIL")) for each in office.commands)
    sent = Mail("mail.example", 25, "a@b.c", ("a@b.c",), "none").send(alerts("One."), 5.0)
    assert sent.why == "it is not encrypted, and not on this machine"
    plain = mail(office, encryption="none", user=None, password=None)
    assert plain.send(alerts("One."), 5.0).why == ""


@pytest.mark.parametrize(
    ("refuses", "why"),
    [
        ({"connect": 554}, "it answered 554"),
        ({"AUTH": 535}, "it does not take the user and the password (535)"),
        ({"MAIL": 451}, "it answered 451"),
        ({"RCPT": 550}, "it takes mail for none of the mailboxes (550)"),
        ({"DATA": 452}, "it answered 452"),
    ],
)
def test_what_is_refused_is_told_with_its_code_and_nothing_that_the_server_says(
    office, refuses, why
):
    office.refuses = refuses
    sent = mail(office).send(alerts("One."), 5.0)

    assert sent.why == why
    assert office.letters == []
    assert PASSWORD not in repr(sent) + repr(mail(office))


def test_where_one_of_the_mailboxes_took_it_there_is_no_other_try(office):
    sent = mail(office, to=("nobody@example.org", *TO)).send(alerts("One."), 5.0)

    assert sent.why == ""
    assert office.letters[0][1] == [f"<{each}>" for each in TO]


def test_a_server_that_sends_byte_after_byte_is_cut_off(office):
    office.drips = 0.05
    begun = time.monotonic()

    assert mail(office).send(alerts("One."), 0.4).why == "it took longer than 0.4 s"
    assert time.monotonic() - begun < 5


@given(st.text(), st.text())
def test_no_text_of_a_stranger_begins_a_header_or_a_part(title, text):
    item = Item(title, text, at=None, described=text, facts={"text": text})
    made = written(Message("answers", title, (item,), at=NOW), "torn@example.org", TO)
    read = email.message_from_bytes(made.as_bytes(), policy=email.policy.default)

    assert isinstance(read, EmailMessage)
    assert sorted(read.keys()) == sorted(
        [
            *("Subject", "From", "To", "Date", "Message-ID", "Auto-Submitted", "Content-Type"),
            *("Content-Transfer-Encoding", "MIME-Version"),
        ]
    )
    assert not read.is_multipart()
    assert read["To"] == ", ".join(TO)
