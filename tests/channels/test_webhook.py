"""A program can know who sent a message, and when, by its signature."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest

from tcdatalogger.services.channels.webhook import Webhook, signature

from .conftest import NOW, alerts, answers

KEY = base64.b64encode(b"a key of thirty-two bytes or so!").decode()


def checked(got, key):
    """As a receiver that knows nothing of this program checks a signature."""
    signed = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + got.body
    made = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return hmac.compare_digest(f"v1,{made}", got.headers["webhook-signature"])


@pytest.mark.parametrize(
    ("secret", "key"),
    [
        (f"whsec_{KEY}", b"a key of thirty-two bytes or so!"),
        ("a-text", b"a-text"),
        ("whsec_no=base64", b"whsec_no=base64"),
    ],
)
def test_a_message_is_signed_with_its_id_and_its_time(receiver, secret, key):
    sent = Webhook(receiver.url, secret, lambda: NOW).send(alerts("One."), 5.0)

    assert sent.why == ""
    (got,) = receiver.got
    assert checked(got, key)
    assert got.headers["webhook-timestamp"] == "1800000000"
    assert json.loads(got.body) == {
        "source": "tcdatalogger",
        "text": "One. `tcdatalogger status` says more.",
        "alerts": [{"text": "One."}],
    }
    assert secret not in str(got.headers) + repr(Webhook(receiver.url, secret))


def test_another_time_and_another_body_have_another_signature():
    signatures = {
        signature("s", "id", 1, b"x"),
        signature("s", "id", 2, b"x"),
        signature("s", "id", 1, b"y"),
        signature("s", "other", 1, b"x"),
        signature("t", "id", 1, b"x"),
    }
    assert len(signatures) == 5


def test_the_signature_is_that_of_the_standard():
    """The example of the specification, made by its own library."""
    made = signature(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_without_a_secret_it_is_not_signed_and_has_its_id(receiver):
    for _ in range(2):
        Webhook(receiver.url).send(answers(), 5.0)

    one, again = receiver.got
    assert one.headers["webhook-id"] == again.headers["webhook-id"]
    assert "webhook-signature" not in one.headers
    assert json.loads(one.body)["answers"][0]["rows"] == [{"name": "Anna", "n": 3}]
