"""A service of buckets on this machine, and a proxy before it that plays a bad network.

The service is moto, which answers as Amazon's S3 does. Google's XML API, which obstore speaks for
`gs://`, has the same paths and answers, so `gs://` is asked of it too. It looks at no signature.
"""

from __future__ import annotations

import http.client
import importlib.util
import os
import re
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

LEFT_OUT = "moto and obstore are not installed"
VARIABLES = {
    "AWS_ACCESS_KEY_ID": "tests",
    "AWS_SECRET_ACCESS_KEY": "tests",
    "GOOGLE_BEARER_TOKEN": "tests",
}
"""Credentials for a service that does not look at them."""


PAGE = 100
"""Objects that an answer to a listing has; Amazon and Google give a thousand."""


@dataclass
class Buckets:
    """The service; or the way to it through a proxy."""

    port: int

    def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """One request, around the library that is tested."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request(method, path, body, {"Authorization": "AWS tests:tests"})
        answer = connection.getresponse()
        found = answer.status, answer.read()
        connection.close()
        return found

    def make(self) -> str:
        """The name of a new bucket."""
        name = f"torn{uuid.uuid4().hex[:12]}"  # moto does not decode the %2D that Google does
        assert self.ask("PUT", f"/{name}")[0] == 200
        return name

    def names(self, bucket: str) -> list[str]:
        """The objects that anybody can see in a bucket."""
        status, listed = self.ask("GET", f"/{bucket}?list-type=2")
        assert status == 200
        return re.findall(r"<Key>(.*?)</Key>", listed.decode())

    def read(self, bucket: str, name: str) -> bytes:
        """The bytes of an object."""
        status, body = self.ask("GET", f"/{bucket}/{name}")
        assert status == 200, name
        return body

    def url(self, bucket: str, scheme: str = "s3", prefix: str = "torn/raw") -> str:
        """The address of a bucket for `archive.path`."""
        region = "&region=us-east-1" if scheme == "s3" else ""
        return f"{scheme}://{bucket}/{prefix}?endpoint=http://127.0.0.1:{self.port}{region}"


@dataclass
class Asked:
    """A request that came to the proxy."""

    method: str
    path: str
    body: bytes
    headers: str = field(default="", repr=False)


Answer = int | str | None
"""What the proxy does: None hands the request on; a status answers with it; `drop` closes without a
word; `half` hands on half of the body and closes; `lose` hands on and closes without the answer;
`hold` and `late` wait until they are let go, before or after handing on."""


@dataclass
class Proxy(Buckets):
    """Stands before the service. `plan` says of each request what becomes of it.

    Attributes:
        asked: every request so far.
        held: set when a request is held.
        go: lets go what is held.
    """

    plan: Callable[[Asked], Answer] = lambda _asked: None
    asked: list[Asked] = field(default_factory=list)
    held: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)


class _Handler(BaseHTTPRequestHandler):
    """Answers for a proxy; a class of its own for each has the proxy and the service behind."""

    protocol_version = "HTTP/1.1"
    proxy: Proxy
    behind: int

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except OSError:  # whoever asked was killed
            self.close_connection = True

    def log_message(self, *_: object) -> None: ...

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        asked = Asked(self.command, self.path, body, str(self.headers))
        self.proxy.asked.append(asked)
        todo = self.proxy.plan(asked)
        if isinstance(todo, int):
            self._answer(todo, {}, _error(todo))
            return
        if todo == "hold":
            self._wait()
        if todo == "half":
            self._half(body)
        if todo in {"drop", "half"}:
            self.close_connection = True
            return
        connection = http.client.HTTPConnection("127.0.0.1", self.behind, timeout=30)
        connection.request(self.command, self.path, body, dict(self.headers))
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        if todo == "late":
            self._wait()
        if todo == "lose":
            self.close_connection = True
        else:
            self._answer(answer.status, dict(answer.getheaders()), content)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _any  # noqa: N815

    def _wait(self) -> None:
        self.proxy.held.set()
        self.proxy.go.wait(60)

    def _half(self, body: bytes) -> None:
        head = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        with socket.create_connection(("127.0.0.1", self.behind)) as line:
            line.sendall(f"{self.command} {self.path} HTTP/1.1\r\n{head}\r\n".encode())
            line.sendall(body[: len(body) // 2])

    def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        length = str(len(content))
        for name, value in headers.items():
            if name.lower() == "content-length" and self.command == "HEAD":
                length = value
            elif name.lower() not in OURS:
                self.send_header(name, value)
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


OURS = {"content-length", "connection", "transfer-encoding", "date", "server"}
"""Headers that the proxy makes itself."""


def _error(status: int) -> bytes:
    code = {403: "AccessDenied", 503: "SlowDown"}.get(status, "InternalError")
    return f"<Error><Code>{code}</Code><AWSAccessKeyId>AKIASECRET</AWSAccessKeyId></Error>".encode()


@pytest.fixture(scope="session")
def _service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Buckets]:
    if not all(map(importlib.util.find_spec, ("moto", "obstore", "flask_cors"))):
        pytest.skip(LEFT_OUT)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with (tmp_path_factory.mktemp("moto") / "log").open("wb") as log:
        environ = {**os.environ, "MOTO_S3_DEFAULT_MAX_KEYS": str(PAGE)}
        process = subprocess.Popen([sys.executable, *words], stdout=log, stderr=log, env=environ)
    buckets, end = Buckets(port), time.monotonic() + 60
    while True:
        try:
            buckets.ask("GET", "/")
            break
        except OSError:
            assert time.monotonic() < end, "moto does not start"
            assert process.poll() is None, "moto has ended"
            time.sleep(0.05)
    yield buckets
    process.kill()
    process.wait()


@pytest.fixture
def buckets(_service: Buckets, monkeypatch: pytest.MonkeyPatch) -> Buckets:
    """A service of buckets, with credentials for it in the environment."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "GOOGLE_")):
            monkeypatch.delenv(name)
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    return _service


@pytest.fixture
def proxy(buckets: Buckets) -> Iterator[Proxy]:
    """A bad network before the service."""
    proxy = Proxy(0)
    handler = type("Handler", (_Handler,), {"proxy": proxy, "behind": buckets.port})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    proxy.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield proxy
    proxy.go.set()
    server.shutdown()
    server.server_close()
