"""A webhook for programs: JSON, signed so that its receiver knows who sent it, and when.

The signature is that of Standard Webhooks (standardwebhooks.com), for which there are libraries:
HMAC-SHA256 of `ID.TIMESTAMP.BODY` with the secret.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from tcdatalogger.observability.redact import redact, register
from tcdatalogger.services.channels import http
from tcdatalogger.services.channels.message import Message, Sent

PREFIX: Final = "whsec_"
"""How a secret begins that is written in base64."""


@dataclass(frozen=True, slots=True, repr=False)
class Webhook:
    """A program that takes JSON.

    Attributes:
        url: its address, which is a secret.
        secret: by which messages are signed, None where they are not.
        now: gives seconds since 1970; the receiver refuses what is signed long ago.
    """

    url: str
    secret: str | None = None
    now: Callable[[], float] = time.time

    @property
    def pictures(self) -> int:
        """How many pictures a message may have at most."""
        return 0

    def send(self, message: Message, seconds: float) -> Sent:
        """Deliver a message; nothing is raised."""
        data = json.dumps(body(message)).encode()
        headers = {"Content-Type": "application/json", "webhook-id": message.id}
        if self.secret is not None:
            register(self.secret)
            at = int(self.now())
            headers["webhook-timestamp"] = str(at)
            headers["webhook-signature"] = signature(self.secret, message.id, at, data)
        return http.call(self.url, data, headers, seconds=seconds).sent


def body(message: Message) -> dict[str, Any]:
    """The message as programs read it: its items under the name of their kind."""
    return {
        "source": "tcdatalogger",
        "text": "\n".join(_line(item.title, item.text, item.remedy) for item in message.items),
        message.kind: [dict(item.facts) for item in message.items],
    }


def _line(*parts: str) -> str:
    return redact(" ".join(" ".join(part.split()) for part in parts if part))


def signature(secret: str, message_id: str, at: int, data: bytes) -> str:
    """The header `webhook-signature` of a message.

    Args:
        secret: a text; one that begins with `whsec_` is base64.
        message_id: the header `webhook-id`.
        at: the header `webhook-timestamp`, seconds since 1970.
        data: the body.
    """
    signed = f"{message_id}.{at}.".encode() + data
    made = hmac.new(_key(secret), signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(made).decode()}"


def _key(secret: str) -> bytes:
    if secret.startswith(PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
        except binascii.Error:  # then it is a text of somebody's own
            pass
    return secret.encode()
