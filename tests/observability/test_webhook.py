"""The address of a webhook is a secret: everybody who has it may post."""

from __future__ import annotations

from tcdatalogger.observability import webhook
from tcdatalogger.observability.redact import redact

TOKEN = "w3bh00k-t0ken-that-nobody-else-has"
ADDRESS = f"http://127.0.0.1:1/api/webhooks/77/{TOKEN}"


def test_an_address_is_in_no_log_once_something_was_posted_there_and_in_no_result():
    posted = webhook.post(ADDRESS, {"content": "hello"})

    assert "cannot be reached" in posted.why
    assert TOKEN not in repr(posted)
    assert TOKEN not in redact(f"GET {ADDRESS} failed, token={TOKEN}")
