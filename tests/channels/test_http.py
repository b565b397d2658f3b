"""The address of a webhook is a secret, and whoever answers slowly is not waited for."""

from __future__ import annotations

import time

import pytest

from receiver import TOKEN
from tcdatalogger.observability.redact import redact
from tcdatalogger.services.channels import http
from tcdatalogger.services.channels.http import Answered, call


def post(address, seconds=5.0):
    return call(address, b"hello", {}, seconds=seconds)


def test_an_address_is_in_no_log_once_something_was_sent_there_and_in_no_result():
    address = f"http://127.0.0.1:1/api/webhooks/77/{TOKEN}"
    answered = post(address)

    assert "cannot be reached" in answered.why
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


def test_a_receiver_that_sends_byte_after_byte_is_cut_off(receiver):
    receiver.drips = 0.05
    begun = time.monotonic()
    found = post(receiver.url, seconds=0.4)

    assert found.why == "it took longer than 0.4 s"
    assert time.monotonic() - begun < 5


def test_only_the_begin_of_a_long_answer_is_read(receiver):
    receiver.answers = [(200, {}, b"x" * 100_000)]

    assert len(http.call(receiver.url, None, {}, seconds=5.0, method="GET", most=10).body) == 10
