"""ntfy gets texts in headers that begin no other header."""

from __future__ import annotations

from email.header import decode_header, make_header

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcdatalogger.services.channels import words
from tcdatalogger.services.channels.ntfy import Ntfy, header

from .conftest import alerts, answer, answers


def decoded(text):
    return str(make_header(decode_header(text)))


def test_alerts_are_a_text_with_a_title_and_a_priority(receiver):
    message = alerts("One is wrong.", "Two.", severity="critical")
    sent = Ntfy(receiver.url, "tk_token").send(message, 5.0)

    assert sent.why == ""
    (got,) = receiver.got
    assert (got.method, got.path) == ("POST", f"/{receiver.token}")
    assert got.body.decode().startswith("One is wrong. `tcdatalogger status` says more.\n\nTwo.")
    assert decoded(got.headers["x-title"]) == "alerts: 2 new"
    assert got.headers["x-priority"] == "5"
    assert got.headers["x-tags"] == "warning"
    assert got.headers["authorization"] == "Bearer tk_token"


def test_what_is_over_makes_no_noise(receiver):
    Ntfy(receiver.url).send(alerts("One.", over=True), 5.0)

    assert receiver.got[0].headers["x-priority"] == "2"
    assert receiver.got[0].headers["x-tags"] == "white_check_mark"


def test_one_answer_goes_with_its_picture(receiver):
    Ntfy(receiver.url).send(answers(), 5.0)

    (got,) = receiver.got
    assert (got.method, got.body) == ("PUT", b"\x89PNG of oc-now")
    assert decoded(got.headers["x-filename"]) == "oc-now.png"
    assert "Anna, 3" in decoded(got.headers["x-message"])


@pytest.mark.parametrize("status", [400, 413])
def test_where_a_server_takes_no_files_the_answer_goes_in_words(receiver, status):
    receiver.answers = [(status, {}, b'{"code":40014}')]

    assert Ntfy(receiver.url).send(answers(), 5.0).why == ""
    assert receiver.got[1].method == "POST"
    assert b"Anna, 3" in receiver.got[1].body


def test_several_answers_are_one_message(receiver):
    Ntfy(receiver.url).send(answers(answer("a"), answer("b", "And that.")), 5.0)

    (got,) = receiver.got
    assert b"What is going on." in got.body
    assert b"And that." in got.body


def test_what_is_refused_is_told_without_address_and_token(receiver):
    receiver.answers = [(403, {}, b"")]
    ntfy = Ntfy(receiver.url, "tk_token")
    sent = ntfy.send(alerts("One."), 5.0)

    assert sent.why == "it answered 403"
    assert "tk_token" not in repr(ntfy) + repr(sent)


@given(st.text())
def test_no_text_of_a_stranger_begins_a_header(text):
    made = header(text)

    assert made.isascii()
    assert made.isprintable()
    assert " " not in made


@given(st.text(max_size=3_000))
def test_a_message_is_never_so_long_that_it_becomes_a_file(text):
    assert len(words.cut(words.text(alerts(text, text)), 3_900).encode()) <= 3_900
