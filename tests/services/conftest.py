"""A scripted Torn over real HTTP: it says what a test tells it to, and remembers every call."""

import gzip
import json
import ssl
import threading
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import pytest

from doubles import MemoryKeyHealth, MemorySlots
from tcdatalogger.clock import ManualClock
from tcdatalogger.errors import TryAgain
from tcdatalogger.services.torncity.client.budget import Budget
from tcdatalogger.services.torncity.client.client import Client
from tcdatalogger.services.torncity.client.key_health import fingerprint
from tcdatalogger.services.torncity.client.retries import Retries
from tcdatalogger.services.torncity.client.transport import Transport

SECRET = "aBcDeF1234567890"
SERVED_AT = 1_700_000_000


@dataclass
class FakeKey:
    name: str = "default"
    secret: str = SECRET

    def reveal(self):
        return self.secret


@dataclass
class Reply:
    body: bytes = b"{}"
    status: int = 200
    headers: dict = field(default_factory=dict)
    type: str | None = "application/json"
    cut_at: int | None = None  # the connection ends after so many bytes
    gzipped: bool = False
    date: str | None = None


@dataclass
class Call:
    path: str
    params: dict
    headers: dict
    raw: str


class Torn:
    """The server: `say` queues replies, the last of which is given for ever."""

    def __init__(self, url):
        self.url = url
        self.calls = []
        self.answer = None
        self._replies = deque()

    def say(self, *replies):
        for reply in replies:
            match reply:
                case Reply():
                    self._replies.append(reply)
                case bytes():
                    self._replies.append(Reply(reply))
                case int():
                    body = {"error": {"code": reply, "error": f"said {reply}"}}
                    self._replies.append(Reply(json.dumps(body).encode()))
                case _:
                    self._replies.append(Reply(json.dumps(reply).encode()))

    def reply_to(self, call):
        if self.answer is not None:
            return self.answer(call)
        return self._replies.popleft() if len(self._replies) > 1 else self._replies[0]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        parts = urlsplit(self.path)
        call = Call(parts.path, dict(parse_qsl(parts.query)), dict(self.headers), self.path)
        self.server.torn.calls.append(call)
        reply = self.server.torn.reply_to(call)
        body = gzip.compress(reply.body) if reply.gzipped else reply.body
        self.send_response_only(reply.status)
        if reply.type is not None:
            self.send_header("Content-Type", reply.type)
        if reply.gzipped:
            self.send_header("Content-Encoding", "gzip")
        if reply.date != "":
            self.send_header("Date", reply.date or formatdate(SERVED_AT, usegmt=True))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: reply.cut_at])
        self.close_connection = reply.cut_at is not None

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client that goes away in the middle is what some tests are about."""


@contextmanager
def serve(certificate=None):
    server = Server(("127.0.0.1", 0), Handler)
    scheme = "http"
    if certificate is not None:
        scheme = "https"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.torn = Torn(f"{scheme}://127.0.0.1:{server.server_port}/v2")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.torn
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def torn():
    with serve() as served:
        yield served


@pytest.fixture
def make_torn():
    """A further Torn, over TLS where a certificate is given."""
    return serve


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def key():
    return FakeKey()


@pytest.fixture
def make_key():
    return FakeKey


@pytest.fixture
def reply():
    return Reply


@pytest.fixture
def make_client(torn, clock):
    """Clients of the scripted Torn that wait by the hand-moved clock and are closed at the end."""
    opened = []

    def make(url=None, budget=None, *, key_health=None, retries=None, tries=3, owner_of=fingerprint,
             **options):  # fmt: skip
        transport = Transport(torn.url if url is None else url, clock, **options)
        budget = budget or Budget(MemorySlots(), clock)
        retries = retries or Retries(on=(TryAgain,), tries=tries, jitter=lambda: 0.0)
        key_health = key_health or MemoryKeyHealth()
        opened.append(
            Client(
                transport, budget, clock, key_health=key_health, owner_of=owner_of, retries=retries
            )
        )
        return opened[-1]

    yield make
    for client in opened:
        client.close()


@pytest.fixture
def client(make_client):
    return make_client()
