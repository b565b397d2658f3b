"""Stands between this program and the emulator: it counts calls and plants faults."""

from __future__ import annotations

import http.client
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Self
from urllib.parse import urlsplit

UPLOAD = "POST /upload/"
"""The calls that begin a load."""
JOBS = r"POST (/upload)?/bigquery/v2/projects/[^/]+/jobs"
"""The calls that begin a job of any kind."""


@dataclass
class Call:
    """A call that came."""

    method: str
    path: str
    body: bytes

    @property
    def line(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Fault:
    """What happens to some calls.

    Attributes:
        on: found in the line of the calls, as `POST /bigquery/v2/projects/p/jobs`.
        how: whether the emulator gets the call and its answer is dropped, or does not get it, or
            this one answers in its place.
        times: to so many calls.
        after: so many calls are let through first.
    """

    on: str
    how: Literal["drop the answer", "drop the call", "answer"]
    times: int = 1
    after: int = 0
    status: int = 503
    body: bytes = b""


def refused(status: int, reason: str, message: str = "said by the proxy") -> bytes:
    """The body of an error as Google's."""
    error = {"message": message, "reason": reason, "domain": "global"}
    return json.dumps(
        {"error": {"code": status, "message": message, "errors": [error], "status": "X"}}
    ).encode()


@dataclass
class Proxy:
    """A proxy of an emulator on a port of its own, until the end of the block.

    Attributes:
        calls: all that came, in their order.
    """

    target: str
    calls: list[Call] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._alone = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def plant(self, on: str, how: Any, **rest: Any) -> None:
        """Have a fault happen from now on, as `Fault`."""
        self.faults.append(Fault(on, how, **rest))

    def refuse(self, on: str, status: int, reason: str, message: str = "no", **rest: Any) -> None:
        """Answer calls with an error as Google's."""
        self.plant(on, "answer", status=status, body=refused(status, reason, message), **rest)

    def count(self, on: str) -> int:
        """How many calls of a kind came."""
        return sum(re.search(on, call.line) is not None for call in self.calls)

    def fault(self, call: Call) -> Fault | None:
        """What is to happen to a call."""
        with self._alone:
            self.calls.append(call)
            for each in self.faults:
                if each.times and re.search(each.on, call.line):
                    if each.after:
                        each.after -= 1
                        continue
                    each.times -= 1
                    return each
        return None


def _handler(proxy: Proxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            call = Call(self.command, self.path, body)
            fault = proxy.fault(call)
            if fault is not None and fault.how == "answer":
                self.answer(fault.status, {"Content-Type": "application/json"}, fault.body)
                return
            if fault is not None and fault.how == "drop the call":
                self.close_connection = True
                return
            to = http.client.HTTPConnection(urlsplit(proxy.target).netloc, timeout=120)
            to.request(self.command, self.path, body, dict(self.headers))
            got = to.getresponse()
            told = got.read()
            to.close()
            if fault is not None:
                self.close_connection = True
                return
            self.answer(got.status, dict(got.getheaders()), told)

        def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response_only(status)
            for name, value in headers.items():
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    for verb in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        setattr(Handler, f"do_{verb}", Handler.handle_any)
    return Handler
