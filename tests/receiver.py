"""An HTTP server on this machine that keeps what it is sent, and answers as it is told."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "s3cr3t-t0ken-of-a-receiver-0123456789"


@dataclass(frozen=True)
class Request:
    """What was sent."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """A server.

    Attributes:
        url: an address of it that is a secret.
        answers: status, headers and body of the next answers; then 200 and nothing.
        drips: seconds between the bytes of an answer, 0 for none.
        got: what was sent, in order.
    """

    url: str = ""
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    drips: float = 0.0
    got: list[Request] = field(default_factory=list)
    token: str = TOKEN


@contextlib.contextmanager
def open_receiver() -> Iterator[Receiver]:
    """A server that listens until the end of the block."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.got.append(Request(self.command, self.path, headers, body))
            if receiver.drips:
                with contextlib.suppress(OSError):
                    for letter in b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n" + b"x" * 999:
                        self.wfile.write(bytes([letter]))
                        time.sleep(receiver.drips)
                return
            status, more, answer = receiver.answers.pop(0) if receiver.answers else (200, {}, b"")
            self.send_response(status)
            for name, value in more.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_PUT = do_POST  # noqa: N815  # the names of the library

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        receiver.url = f"http://127.0.0.1:{server.server_port}/{TOKEN}"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield receiver
        finally:
            server.shutdown()
