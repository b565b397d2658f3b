"""The address of a webhook is a secret, and whoever answers slowly is not waited for."""

from __future__ import annotations

import errno
import os
import socket
import ssl
import time
from http.client import RemoteDisconnected
from smtplib import SMTPServerDisconnected
from urllib.error import URLError

import pytest

from receiver import TOKEN
from tcdatalogger.observability.redact import redact
from tcdatalogger.services.channels import http
from tcdatalogger.services.channels.http import Answered, call
from tcdatalogger.services.channels.limit import TimeLimit
from tcdatalogger.services.channels.unreachable import unreachable


def post(address, seconds=5.0):
    return call(address, b"hello", {}, seconds=seconds)


def test_an_address_is_in_no_log_once_something_was_sent_there_and_in_no_result():
    address = f"http://127.0.0.1:1/api/webhooks/77/{TOKEN}"
    answered = post(address)

    assert answered.why == "it cannot be reached: the connection was refused"
    assert TOKEN not in repr(answered)
    assert TOKEN not in redact(f"GET {address} failed, token={TOKEN}")


@pytest.mark.parametrize(
    ("answer", "why", "wait"),
    [
        ((204, {}, b""), "", 0.0),
        ((200, {}, b"ok"), "", 0.0),
        ((404, {}, b""), "it answered 404", 0.0),
        ((302, {"Location": "http://127.0.0.1:1/"}, b""), "it answered 302", 0.0),
        ((429, {"Retry-After": "7"}, b""), "it answered 429", 7.0),
        ((429, {"Retry-After": "7"}, b'{"retry_after": 1.5}'), "it answered 429", 1.5),
        ((429, {"Retry-After": "soon"}, b"[]"), "it answered 429", 0.0),
        ((429, {"Retry-After": "nan"}, b'{"retry_after": NaN}'), "it answered 429", 0.0),
        ((429, {"Retry-After": "inf"}, b""), "it answered 429", 3600.0),
        ((429, {"Retry-After": "7"}, b"[" * 4_000), "it answered 429", 7.0),
        ((429, {}, b'{"retry_after": %s}' % (b"9" * 999)), "it answered 429", 0.0),
    ],
)
def test_what_a_receiver_answers_is_understood(receiver, answer, why, wait):
    receiver.answers = [answer]
    found = post(receiver.url)

    assert found == Answered(answer[0], why, wait, answer[2])
    assert [(each.path, each.body) for each in receiver.got] == [(f"/{TOKEN}", b"hello")]


@pytest.mark.parametrize(
    "address",
    [
        f"http://127.0.0.1:1/{TOKEN}",
        f"http://discord.example/{TOKEN}",
        f"ftp://discord.example/{TOKEN}",
        f"https://[broken/{TOKEN}",
        f"https://name.invalid/{TOKEN}",
        f"https:///{TOKEN}",
        TOKEN,
    ],
)
def test_an_address_that_does_not_work_is_told_without_it(address):
    found = post(address)
    assert found.why
    assert TOKEN not in repr(found)


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (TimeoutError(TOKEN), "no answer came in time"),
        (URLError(TimeoutError(TOKEN)), "no answer came in time"),
        (socket.gaierror(socket.EAI_NONAME, TOKEN), "there is no host of its name"),
        (socket.gaierror(socket.EAI_AGAIN, TOKEN), "its name cannot be looked up now"),
        (ssl.SSLError(1, TOKEN), "no encrypted connection was agreed on"),
        (SMTPServerDisconnected(TOKEN), "the connection was cut"),
        (RemoteDisconnected(TOKEN), "the connection was cut"),
        (ConnectionResetError(104, TOKEN), "the connection was cut"),
        (OSError(errno.EHOSTUNREACH, TOKEN), os.strerror(errno.EHOSTUNREACH)),
        (URLError(TOKEN), "URLError"),
        (ValueError(TOKEN), "ValueError"),
    ],
)
def test_why_nobody_answers_is_told_in_words_without_the_text_of_the_error(error, why):
    assert unreachable(error) == f"it cannot be reached: {why}"


def test_a_receiver_that_sends_byte_after_byte_is_cut_off(receiver):
    receiver.drips = 0.05
    begun = time.monotonic()
    found = post(receiver.url, seconds=0.4)

    assert found.why == "it took longer than 0.4 s"
    assert time.monotonic() - begun < 5


def test_only_the_begin_of_a_long_answer_is_read(receiver):
    receiver.answers = [(200, {}, b"x" * 100_000)]

    assert len(http.call(receiver.url, None, {}, seconds=5.0, method="GET", most=10).body) == 10


def test_a_connection_that_comes_when_the_time_is_over_is_not_used(monkeypatch):
    found, _ = pair = socket.socketpair()

    def late(*_args, **_options):
        limit._cut()
        return found

    monkeypatch.setattr(socket, "create_connection", late)
    with TimeLimit(60.0) as limit, pytest.raises(TimeoutError):
        limit.connect(("localhost", 443))

    assert found.fileno() == -1
    pair[1].close()
