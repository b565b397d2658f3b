"""Clients that let the pages wait: they keep nobody out, and for nobody more than a while."""

from __future__ import annotations

import asyncio
import http.client
import select
import socket
import ssl
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
import uvicorn

from tcdatalogger.web.connections import Limits, ServerConfig, certificate

HALF = b"GET /login HTTP/1.1\r\nhost: localhost\r\n"
POST = b"POST /login HTTP/1.1\r\nhost: localhost\r\ncontent-length: 999999\r\n\r\n"
LONG = 32 * 2**20
"""Bytes of an answer that no kernel takes at once."""
LATER = 60.0


@contextmanager
def serving(app, limits, tls=None):
    """The port of an app, which a thread serves until the end of the block."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**16)
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        server = uvicorn.Server(ServerConfig(app, limits, tls))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def served(site):
    """Serves the pages of the known faction with some limits; at the end closes what was opened."""
    opened = []
    with ExitStack() as stack:

        def serve(app=site.client.app, tls=None, **limits):
            port = stack.enter_context(serving(app, Limits(**limits), tls))

            def connect(told=b"", address="127.0.0.1"):
                made = socket.socket()
                opened.append(made)
                made.settimeout(LATER)
                made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)
                made.bind((address, 0))
                made.connect(("127.0.0.1", port))
                made.sendall(told)
                return made

            return connect

        yield serve
        for each in opened:
            each.close()


def status(connection):
    """The status of the next answer."""
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    answer.read()
    return answer.status


def is_closed(connection):
    """Whether the server has ended it; waits until it has."""
    with suppress(ConnectionError):
        while connection.recv(2**16):
            pass
    return True


def is_open(connection):
    """Whether it has neither ended nor anything to read."""
    return not select.select([connection], [], [], 0)[0]


async def long(scope, receive, send):
    """An app whose answer is long, but for /login."""
    length = 0 if scope["path"] == "/login" else LONG
    headers = [(b"content-length", str(length).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": bytes(length)})


def test_requests_that_are_half_sent_keep_nobody_out(served):
    connect = served(patience=LATER, of_one=100, of_all=8)
    halves = [connect(HALF) for _ in range(40)]

    assert status(connect(HALF + b"\r\n")) == 303
    assert all(is_closed(each) for each in halves[:30])


def test_an_address_costs_no_other_one_its_connections(served):
    connect = served(patience=LATER, of_one=4, of_all=100)
    other = connect(HALF, "127.0.0.2")
    mine = [connect(HALF) for _ in range(20)]

    assert all(is_closed(each) for each in mine[:16])
    assert all(is_open(each) for each in mine[16:])
    other.sendall(b"\r\n")
    assert status(other) == 303


def test_who_is_being_answered_is_not_dropped_for_another(served):
    began, goes_on = threading.Event(), threading.Event()

    async def slow(scope, receive, send):
        if scope["path"] == "/slow":
            began.set()
            await asyncio.to_thread(goes_on.wait, LATER)
        await long({"path": "/login"}, receive, send)

    connect = served(slow, patience=LATER, of_one=100, of_all=2)
    first = connect(b"GET /slow HTTP/1.1\r\nhost: localhost\r\n\r\n")
    assert began.wait(LATER)
    others = [connect(HALF) for _ in range(10)]
    assert all(is_closed(each) for each in others[:9])
    goes_on.set()

    assert status(first) == 200


@pytest.mark.parametrize(
    "begin",
    [
        b"",
        b"GET /login HTTP/1.1\r\nx: ",
        POST,
        HALF + b"\r\n" + POST,
    ],
    ids=["nothing", "head", "body", "a second request"],
)
def test_a_request_that_comes_byte_by_byte_has_some_time_only(served, begin):
    connection = served(patience=0.3)(begin)

    for _ in range(100):  # far longer than that
        if select.select([connection], [], [], 0.05)[0] and not part(connection):
            break
        with suppress(ConnectionError):
            connection.send(b"a")
    else:
        pytest.fail("the server still waits")


def part(connection):
    try:
        return connection.recv(2**16)
    except ConnectionError:
        return b""


@pytest.mark.parametrize("end", ["", "connection: close\r\n"])
@pytest.mark.parametrize("parts", [1, 64])
def test_who_takes_nothing_of_a_long_answer_is_dropped(served, end, parts):
    gone = threading.Event()

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(parts):
            body = {"type": "http.response.body", "body": bytes(LONG // parts), "more_body": True}
            await send(body)
        await receive()
        while (await receive())["type"] != "http.disconnect":
            pass
        gone.set()

    connection = served(app, patience=0.2)(
        f"GET / HTTP/1.1\r\nhost: localhost\r\n{end}\r\n".encode()
    )

    assert gone.wait(LATER)
    got = 0
    with suppress(ConnectionError):
        while read := connection.recv(2**20):
            got += len(read)
    assert got < LONG


def test_who_takes_an_answer_slowly_gets_all_of_it(served):
    connect = served(long, patience=0.4)
    slow = connect(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
    began, got = time.monotonic(), 0
    while time.monotonic() - began < 1.5:
        got += len(slow.recv(2**16))
        with connect(HALF + b"\r\n") as other:
            assert status(other) == 200
    while read := slow.recv(2**20):
        got += len(read)

    assert got > LONG


def test_connections_are_used_again(served):
    connection = served()(HALF + b"\r\n")
    first = status(connection)
    connection.sendall((HALF + b"\r\n") * 2)

    assert (first, status(connection), status(connection)) == (303, 303, 303)


@pytest.fixture(scope="module")
def tls():
    """A certificate of this machine, and what trusts it."""
    file = Path(__file__).parents[1] / "services" / "stranger.pem"
    return certificate(file, None), ssl.create_default_context(cafile=file)


def test_the_limits_hold_before_tls_is_agreed(served, tls):
    server, trusting = tls
    connect = served(tls=server, patience=LATER, of_one=100, of_all=8)
    silent = [connect() for _ in range(40)]
    secure = trusting.wrap_socket(connect(), server_hostname="127.0.0.1")
    secure.sendall(HALF + b"\r\n")

    assert status(secure) == 303
    assert all(is_closed(each) for each in silent[:30])
    secure.close()


@pytest.mark.parametrize("told", [b"", b"\x16\x03\x01", b"GET / HTTP/1.1\r\n\r\n"])
def test_who_does_not_agree_on_tls_is_dropped(served, tls, told):
    assert is_closed(served(tls=tls[0], patience=0.1)(told))


def test_a_long_answer_over_tls_is_whole(served, tls):
    connect = served(long, tls=tls[0], patience=0.4)
    with tls[1].wrap_socket(connect(), server_hostname="127.0.0.1") as secure:
        secure.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        answer = http.client.HTTPResponse(secure)
        answer.begin()
        assert len(answer.read()) == LONG
