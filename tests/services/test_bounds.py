"""Whatever a server sends, a call ends: after a bounded time, with a bounded number of bytes."""

import gzip
import socket
import threading
import tracemalloc
import zlib
from contextlib import closing, contextmanager, suppress

import pytest

from tcdatalogger.errors import Failure, TornUnavailable
from tcdatalogger.services.torncity.client import unpacking
from tcdatalogger.services.torncity.client.messages import Request
from tcdatalogger.services.torncity.client.transport import Timeouts

ASKED = Request("/faction/basic")
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
MOST = 1_000_000


@contextmanager
def enemy(attack):
    """A server that answers every connection by `attack(send)`; its address and its calls."""
    over = threading.Event()
    asked = []

    def answer(connection):
        with closing(connection), suppress(OSError):
            connection.recv(65536)
            asked.append(connection)
            attack(connection.sendall, over)

    def listen():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        threading.Thread(target=listen, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/v2", asked
        finally:
            over.set()
            server.shutdown(socket.SHUT_RDWR)


def forever(send, over, piece, pause=0.0):
    while not over.wait(pause):
        send(piece)


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def endless_chunks(send, over):
    send(CHUNKED)
    forever(send, over, chunk(b" " * 50_000))


def endless_nothing(send, over):
    """Packed bytes that unpack to nothing."""
    send(HEAD + b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n")
    forever(send, over, chunk(gzip.compress(b"") * 2_000))


def drip_of_the_body(send, over):
    send(CHUNKED)
    forever(send, over, chunk(b" "), 0.005)


def drip_of_the_headers(send, over):
    send(HEAD)
    forever(send, over, b"X", 0.005)


def drip_of_headers(send, over):
    send(HEAD)
    forever(send, over, b"X: y\r\n", 0.005)


def endless_header(send, over):
    send(HEAD + b"X-Bomb: ")
    forever(send, over, b"x" * 50_000)


def endless_headers(send, over):
    send(HEAD)
    forever(send, over, b"X-Bomb: x\r\n" * 5_000)


def endless_promises(send, over):
    """Torn goes on saying that it will answer."""
    forever(send, over, b"HTTP/1.1 103 Early Hints\r\n\r\n", 0.001)


def endless_chunk_size(send, over):
    send(CHUNKED + b"1;")
    forever(send, over, b"x" * 50_000)


def endless_trailer(send, over):
    send(CHUNKED + b"2\r\n{}\r\n0\r\nX: ")
    forever(send, over, b"x" * 50_000)


def silence(_send, over):
    over.wait()


TOO_MUCH = "body_too_large"
TOO_SLOW = "timed_out"
BROKEN = "broken_answer"


@pytest.mark.parametrize(
    ("attack", "named"),
    [
        (endless_chunks, TOO_MUCH),
        (endless_nothing, TOO_MUCH),
        (drip_of_the_body, TOO_SLOW),
        (drip_of_the_headers, TOO_SLOW),
        (drip_of_headers, TOO_SLOW),
        (endless_promises, TOO_SLOW),
        (silence, TOO_SLOW),
        (endless_header, BROKEN),
        (endless_headers, BROKEN),
        (endless_chunk_size, BROKEN),
        (endless_trailer, BROKEN),
    ],
)
def test_a_call_ends_whatever_the_server_sends(make_client, key, attack, named):
    total = 0.3 if named == TOO_SLOW else 3600.0
    with enemy(attack) as (url, _):
        # Silence is put up with for an hour: only the limit that is named can end the call.
        limits = Timeouts(read=3600.0, total=total)
        client = make_client(url, timeouts=limits, largest_body=MOST, tries=1)
        with pytest.raises(Failure) as caught:
            client.get(ASKED, key)
    assert caught.value.facts["torn"] == named
    if named == TOO_MUCH:
        assert "`max_body` of [torn]" in caught.value.remedy


BOMB = 64 * 2**20


@pytest.mark.parametrize("layers", [1, 2])
def test_a_body_that_unpacks_a_thousandfold_takes_no_more_memory_than_it_may(
    torn, make_client, key, reply, layers
):
    body = b"[" + b" " * BOMB + b"]"
    for _ in range(layers):
        body = gzip.compress(body, 9)
    assert len(body) < BOMB / 900
    encoding = ", ".join(["gzip"] * layers)
    torn.say(reply(body, headers={"Content-Encoding": encoding}))
    client = make_client(largest_body=MOST, tries=1)
    torn_before = len(torn.calls)

    tracemalloc.start()
    try:
        with pytest.raises(Failure) as caught:
            client.get(ASKED, key)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert caught.value.facts["torn"] == {1: TOO_MUCH, 2: "no_json"}[layers]
    assert peak < 16 * 2**20
    assert len(torn.calls) == torn_before + 1


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "zstd"])
def test_what_is_packed_in_another_way_than_was_asked_for_is_not_unpacked(
    torn, make_client, key, reply, encoding
):
    torn.say(reply(zlib.compress(b"{}"), headers={"Content-Encoding": encoding}))
    with pytest.raises(TornUnavailable, match="packed in another way"):
        make_client(tries=1).get(ASKED, key)


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-9], lambda b: b[:-8] + b"12345678", lambda b: b[2:]]
)
def test_a_packed_body_that_is_cut_or_damaged_is_a_broken_answer_and_tried_again(
    torn, make_client, key, reply, damage
):
    body = b'{"a": "' + b"x" * 5_000 + b'"}'
    torn.say(
        reply(damage(gzip.compress(body)), headers={"Content-Encoding": "gzip"}),
        reply(body, gzipped=True),
    )
    assert make_client().get(ASKED, key).body == body
    assert len(torn.calls) == 2


def test_a_packed_body_in_several_members_and_with_padding_is_whole():
    body = [b"a" * 3_000_000, b"", b"b" * 10, b"c" * 70_000]
    packed = b"".join(gzip.compress(part) for part in body) + bytes(512)
    for size in (1, 7, 1_000, len(packed)):
        chunks = [packed[at : at + size] for at in range(0, len(packed), size)]
        found = list(unpacking.unpacked(chunks, "gzip"))
        assert b"".join(found) == b"".join(body)
        assert max(map(len, found)) <= unpacking.PIECE
