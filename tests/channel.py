"""A channel that takes messages with files, as the webhook of Discord does."""

from __future__ import annotations

import contextlib
import email
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "s3cr3t-t0ken-of-a-channel-0123456789"


@dataclass(frozen=True)
class Message:
    """What was posted: its JSON, and its files by name."""

    body: dict[str, Any]
    files: dict[str, bytes]


@dataclass
class Channel:
    """A channel.

    Attributes:
        url: of its webhook.
        answer: the status that it answers.
        posted: what it took or refused, in order.
    """

    url: str = ""
    answer: int = 204
    posted: list[Message] = field(default_factory=list)
    token: str = TOKEN


@contextlib.contextmanager
def open_channel() -> Iterator[Channel]:
    """A channel that listens on this machine."""
    channel = Channel()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            channel.posted.append(_read(self.headers["Content-Type"], data))
            self.send_response(channel.answer)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        channel.url = f"http://127.0.0.1:{server.server_port}/api/webhooks/1/{TOKEN}"
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        try:
            yield channel
        finally:
            server.shutdown()


def _read(kind: str, data: bytes) -> Message:
    if kind == "application/json":
        return Message(json.loads(data), {})
    form = email.message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + data)
    body: dict[str, Any] = {}
    files = {}
    for nth, part in enumerate(form.get_payload()):
        name = part.get_param("name", header="content-disposition")
        if name == "payload_json":
            body = json.loads(part.get_payload(decode=True))
        else:
            assert name == f"files[{nth - 1}]", name
            files[part.get_filename()] = part.get_payload(decode=True)
    return Message(body, files)
