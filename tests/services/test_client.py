import logging
import pickle
import socket
import threading
import time
import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doubles import MemoryKeyHealth, MemorySlots
from tcdatalogger import __version__
from tcdatalogger.clock import SystemClock
from tcdatalogger.errors import (
    Busy,
    ConfigError,
    Failure,
    KeyRefused,
    NotFound,
    RequestRefused,
    TornUnavailable,
    TryAgain,
)
from tcdatalogger.services.torncity.client import transport
from tcdatalogger.services.torncity.client.budget import Budget
from tcdatalogger.services.torncity.client.client import Client
from tcdatalogger.services.torncity.client.key_health import (
    CircuitBreaker,
    KeyState,
    fingerprint,
)
from tcdatalogger.services.torncity.client.messages import Request
from tcdatalogger.services.torncity.client.retries import Retries
from tcdatalogger.services.torncity.client.transport import Identity, Timeouts, Transport

MEMBERS = Request("/faction/40832/members", (("limit", "100"), ("cat", "a,b")))
SERVED_AT = 1_700_000_000


def test_a_call_carries_the_key_in_a_header_and_never_in_the_address(torn, client, key):
    torn.say({"members": []})

    client.get(MEMBERS, key)

    (call,) = torn.calls
    assert call.path == "/v2/faction/40832/members"
    assert call.params == {"limit": "100", "cat": "a,b", "comment": "tcdlogger"}
    assert call.headers["Authorization"] == f"ApiKey {key.secret}"
    assert call.headers["User-Agent"].startswith(f"tcdatalogger/{__version__} (")
    assert call.headers["Accept-Encoding"] == "gzip"
    assert key.secret not in call.raw


def test_an_answer_has_the_bytes_and_the_times_of_both_clocks(torn, client, clock, key, reply):
    torn.say(reply(b' {"a":  1}', headers={"CF-Ray": "77", "X-Other": "no"}))

    began = time.monotonic()
    answer = client.get(MEMBERS, key)
    passed = time.monotonic() - began

    assert answer.body == b' {"a":  1}'
    assert (answer.request, answer.status) == (MEMBERS, 200)
    assert answer.server_time == SERVED_AT
    assert answer.requested_at == clock.now()
    assert 0 < answer.seconds <= passed
    assert answer.header("cf-ray") == "77"
    assert answer.header("content-type") == "application/json"
    assert answer.header("x-other") == ""


@pytest.mark.parametrize(
    ("date", "seconds"),
    [
        ("Tue, 14 Nov 2023 22:13:20 GMT", SERVED_AT),
        ("Tuesday, 14-Nov-23 22:13:20 GMT", SERVED_AT),  # the older forms of RFC 7231
        ("Tue Nov 14 22:13:20 2023", SERVED_AT),
        ("yesterday", None),
        ("", None),
    ],
)
def test_the_servers_time_is_its_date_header_or_else_our_clock(
    torn, client, clock, key, reply, date, seconds
):
    torn.say(reply(date=date))
    answer = client.get(MEMBERS, key)
    assert answer.server_time == pytest.approx(seconds or clock.now(), abs=5)


def test_a_compressed_body_arrives_as_it_was(torn, client, key, reply):
    body = b'{"a":"' + b"x" * 2_000_000 + b'"}'
    torn.say(reply(body, gzipped=True))
    assert client.get(MEMBERS, key).body == body


ENDS = {
    # what comes, the client's limits, what the call ends with and says, how often it was made
    "a redirect is not followed": (
        {"status": 302, "headers": {"Location": "/v2/user/basic"}}, {},
        TornUnavailable, "redirect", 1,
    ),
    "a body over the cap that came small": (
        {"body": b"[" + b" " * 5_000_000 + b"]", "gzipped": True}, {"largest_body": 1_000_000},
        RequestRefused, "more bytes", 1,
    ),
    "a compression that is broken": (
        {"body": b"no gzip at all", "headers": {"Content-Encoding": "gzip"}}, {},
        TornUnavailable, "broken", 3,
    ),
}  # fmt: skip


def test_a_call_whose_time_is_over_is_given_up(torn, make_client, key, reply):
    torn.say(reply(b"[" + b" " * 300_000 + b"]"))
    with pytest.raises(TornUnavailable, match="too slowly"):
        make_client(timeouts=Timeouts(total=-1.0)).get(MEMBERS, key)


@pytest.mark.parametrize("case", ENDS)
def test_an_answer_that_cannot_be_taken_ends_the_call(torn, make_client, key, reply, case):
    comes, limits, kind, said, calls = ENDS[case]
    torn.say(reply(**comes))
    with pytest.raises(kind, match=said):
        make_client(**limits).get(MEMBERS, key)
    assert len(torn.calls) == calls


def test_an_error_of_torns_carries_its_code_its_answer_and_a_remedy(torn, client, key):
    torn.say(16)

    with pytest.raises(KeyRefused) as caught:
        client.get(MEMBERS, key)

    fault = caught.value
    assert (fault.code, fault.health, fault.exit_code) == (16, "permission", 77)
    assert fault.answer.body == b'{"error": {"code": 16, "error": "said 16"}}'
    assert "/faction/40832/members with the key 'default'" in str(fault)
    assert fault.remedy
    assert fault.facts["torn"] == "access_too_low"


@pytest.mark.parametrize(
    ("code", "kind", "calls"),
    [
        (2, KeyRefused, 1),
        (4, RequestRefused, 1),
        (6, NotFound, 1),
        (7, KeyRefused, 1),
        (9, TornUnavailable, 1),
        (14, Busy, 1),
        (0, TornUnavailable, 3),
        (5, Busy, 3),
        (17, TornUnavailable, 3),
        (99, TornUnavailable, 2),
    ],
)
def test_only_what_may_pass_is_tried_again(torn, client, key, code, kind, calls):
    torn.say(code)
    with pytest.raises(kind) as caught:
        client.get(MEMBERS, key)
    assert caught.value.code == code
    assert len(torn.calls) == calls


def test_a_slot_that_was_waited_for_while_torn_went_down_is_given_back(
    torn, make_client, clock, key, monkeypatch
):
    torn.say({})
    slots, key_health = MemorySlots(), MemoryKeyHealth()
    budget = Budget(slots, clock)
    turn, taken = budget.turn, []

    def goes_down(*args, **options):
        taken.append(turn(*args, **options))
        if len(taken) == 1:
            key_health.change_circuit(lambda _: CircuitBreaker(faults=5, until=clock.now() + 5))
        return taken[-1]

    monkeypatch.setattr(budget, "turn", goes_down)
    client = make_client(budget=budget, key_health=key_health)

    client.get(MEMBERS, key)

    assert (len(taken), len(torn.calls), len(client.calls)) == (2, 1, 1)
    assert slots.count(fingerprint(key), 0.0) == 1


def test_a_passing_fault_is_waited_out(torn, make_client, clock, key, reply):
    torn.say(17, reply(b"<html>", status=502, type="text/html"), {"a": 1})
    seen = []

    class Seen(Retries):
        def again(self, fault, tried, wait, since_first):
            seen.append((fault.kind.name, wait))
            return super().again(fault, tried, wait, since_first)

    client = make_client(retries=Seen(on=(TryAgain,), jitter=lambda: 0.0))
    began = clock.now()

    assert client.get(MEMBERS, key).body == b'{"a": 1}'

    assert seen == [("backend_error", 2), ("http_5xx", 4)]
    assert clock.now() - began == 6


def test_a_dead_key_is_never_called_again(torn, client, key, make_key):
    torn.say(2)
    with pytest.raises(KeyRefused):
        client.get(MEMBERS, key)

    again = make_key("the same key by another name")
    for other in (key, again):
        with pytest.raises(KeyRefused, match="is made any more") as caught:
            client.get(MEMBERS, other)
        assert caught.value.code == 2
    assert len(torn.calls) == 1

    torn.say({"a": 1}, {"a": 1})
    torn.say({"a": 1})
    torn._replies.popleft()
    assert client.get(MEMBERS, make_key("new", "0123456789abcdef")).body == b'{"a": 1}'


@pytest.mark.parametrize(
    ("code", "kind", "says", "path", "other", "pause"),
    [
        (18, KeyRefused, "before", "/faction/members", None, 3_600),
        (7, KeyRefused, None, "/faction/members", "/user/basic", 6 * 3_600),
        (14, Busy, None, "/user/events", "/user/log", 6 * 3_600 + 1),
        (14, Busy, None, "/user/attacks", "/user/log", 6 * 3_600 + 1),
    ],
)
def test_what_was_refused_is_asked_for_again_by_nobody_until_its_pause_is_over(
    torn, make_client, shared, clock, key, code, kind, says, path, other, pause
):
    torn.say(code, {"a": 1})
    for expected in (None, says, says):
        with pytest.raises(kind, match=expected) as caught:
            make_client(**shared).get(Request(path), key)
        assert caught.value.code == code
    assert len(torn.calls) == 1
    if other:
        assert make_client(**shared).get(Request(other), key).status == 200
    clock.sleep(pause)
    assert make_client(**shared).get(Request(path), key).status == 200


def test_a_blocked_address_makes_no_call_with_any_key(torn, client, clock, key, make_key):
    torn.say(8, {"a": 1})
    other = make_key("other", "0123456789abcdef")
    for one in (key, key, other):
        with pytest.raises(TornUnavailable):
            client.get(MEMBERS, one)
    assert len(torn.calls) == 1
    clock.sleep(3_601)
    assert client.get(MEMBERS, other).status == 200


def test_too_many_requests_hold_all_calls_of_the_owner(torn, clock, make_client, key, reply):
    budget = Budget(MemorySlots(), clock)
    client = make_client(budget=budget, tries=1)
    torn.say(5)
    with pytest.raises(Busy):
        client.get(MEMBERS, key)
    assert budget.wait("somebody else") == 0
    assert budget.wait(fingerprint(key)) == 30


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("7", 7),
        ("0", 1),
        ("-5", 30),  # no number of seconds: our own pause
        ("soon", 30),
        ("Tue, 14 Nov 2023 22:13:40 GMT", 20),
        ("Tue, 14 Nov 2023 22:13:00 GMT", 1),
    ],
)
def test_retry_after_is_kept_to_with_a_floor_of_a_second(
    torn, make_client, clock, key, reply, header, wait
):
    torn.say(reply(status=429, headers={"Retry-After": header}), {"a": 1})
    began = clock.now()
    make_client().get(MEMBERS, key)
    assert clock.now() - began == wait


def test_a_retry_after_of_an_hour_is_left_to_the_caller(torn, client, clock, key, reply):
    torn.say(reply(status=429, headers={"Retry-After": "3600"}))
    began = clock.now()
    with pytest.raises(Busy) as caught:
        client.get(MEMBERS, key)
    assert caught.value.pause == 3600
    assert (len(torn.calls), clock.now()) == (1, began)
    with pytest.raises(Busy):
        client.get(MEMBERS, key)
    assert len(torn.calls) == 1


def test_an_owner_over_the_limit_is_called_again_after_a_while(torn, client, clock, key):
    torn.say(5)
    with pytest.raises(Busy):
        client.get(MEMBERS, key)
    torn.say({"a": 1}, {"a": 1})
    torn._replies.popleft()
    began = clock.now()
    assert client.get(MEMBERS, key).status == 200
    assert clock.now() - began == 90


def test_the_budget_is_asked_before_every_call(torn, make_client, clock, key):
    torn.say({"a": 1})
    client = make_client(budget=Budget(MemorySlots(), clock, owner_calls=3))
    began = clock.now()
    for _ in range(4):
        client.get(MEMBERS, key)
    assert clock.now() - began == 61


def test_keys_of_one_owner_share_one_budget_where_the_owner_is_known(
    torn, make_client, clock, key, make_key
):
    torn.say({"a": 1})
    budget = Budget(MemorySlots(), clock, owner_calls=1)
    client = make_client(budget=budget, owner_of=lambda _: "user:1")
    began = clock.now()
    client.get(MEMBERS, key)
    client.get(MEMBERS, make_key("second", "0123456789abcdef"))
    assert clock.now() - began == 61


def test_a_connection_that_ends_early_is_tried_again(torn, client, key, reply):
    torn.say(reply(b'{"a": 1234567}', cut_at=5), {"a": 1})
    assert client.get(MEMBERS, key).body == b'{"a": 1}'


def test_nobody_there_says_so_with_a_remedy(make_client, key):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/v2"
        with pytest.raises(TornUnavailable, match="connection failed") as caught:
            make_client(url).get(MEMBERS, key)
    assert "address of the API" in caught.value.remedy
    assert caught.value.answer is None


def test_a_silent_server_is_given_up(make_client, key):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(TornUnavailable, match="too slowly"):
            make_client(url, timeouts=Timeouts(read=0.05, total=3600.0)).get(MEMBERS, key)


IN_CLEAR = "http://api.torn.com/v2 http://192.168.0.9:8080 http://localhost.example.com"
NONE = "api.torn.com ftp://api.torn.com https:// https://h/v2?key=x http://[::1"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        *((url, "in clear") for url in (*IN_CLEAR.split(), "http://127.0.0.1.example.com")),
        *((url, None) for url in ("", *NONE.split(), "https://me:hunter2@api.torn.com/v2")),
    ],
)
def test_an_address_that_is_none_or_would_show_the_key_is_refused(make_client, url, said):
    with pytest.raises(ConfigError, match=said) as caught:
        make_client(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["https://api.torn.com/v2", "http://[::1]:1", "http://localhost"])
def test_https_and_this_machine_are_taken(make_client, url):
    assert make_client(url).host


def test_a_bare_host_means_its_second_version(torn, make_client, key):
    torn.say({"a": 1})
    make_client(torn.url.removesuffix("/v2")).get(MEMBERS, key)
    assert torn.calls[0].path == "/v2/faction/40832/members"


def test_a_proxy_of_the_environment_gets_no_key_in_clear(torn, make_client, key, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    torn.say({"a": 1})
    assert make_client().get(MEMBERS, key).status == 200


def test_the_certificate_of_a_stranger_is_not_trusted(make_client, key, make_torn):
    """`stranger.pem` is a certificate for this machine that nobody vouches for."""
    with make_torn(Path(__file__).parent / "stranger.pem") as stranger:
        stranger.say({"a": 1})
        with pytest.raises(TornUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
            make_client(stranger.url, tries=1).get(MEMBERS, key)
        assert stranger.calls == []


def test_a_certificate_that_somebody_vouches_for_is(make_client, key, make_torn, monkeypatch):
    certificate = Path(__file__).parent / "stranger.pem"
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with make_torn(certificate) as friend:
        friend.say({"a": 1})
        assert make_client(friend.url).get(MEMBERS, key).body == b'{"a": 1}'


@pytest.mark.parametrize(
    "path",
    [
        "/user/{id}/basic",
        "user/basic",
        "/user/../admin",
        "/user/basic?key=aBcDeF1234567890",
        "//evil.example/x",
        "/user/ba sic",
        "/user\r\nX: y",
        "",
        "/",
    ],
)
def test_what_is_no_path_is_refused_before_any_call(path):
    with pytest.raises(ConfigError) as caught:
        Request(path)
    assert "aBcDeF" not in str(caught.value)


@pytest.mark.parametrize("name", ["key", "Key", "KEY"])
def test_a_key_has_no_place_among_the_parameters(name):
    with pytest.raises(ConfigError, match="api_key") as caught:
        Request("/user/basic", ((name, "aBcDeF1234567890"),))
    assert "aBcDeF" not in str(caught.value)


def test_a_comment_of_the_users_own_is_kept(torn, client, key):
    torn.say({"a": 1})
    client.get(Request("/user/basic", (("comment", "mine"),)), key)
    assert torn.calls[0].raw.count("comment") == 1
    assert torn.calls[0].params["comment"] == "mine"


ODD_SECRETS = [
    "",
    "bad\nkey-tail",
    "bad key-tail",
    "bäd-key-tail",
    "bad\udc80key-tail",
    "bad\x00key-tail",
]


@pytest.mark.parametrize("secret", ODD_SECRETS)
def test_a_key_that_cannot_be_sent_is_refused_and_not_shown(torn, client, make_key, secret):
    with pytest.raises(KeyRefused) as caught:
        client.get(MEMBERS, make_key("odd", secret))
    shown = "".join(traceback.format_exception(caught.value))
    assert "'odd'" in str(caught.value)
    assert "key-tail" not in shown
    assert torn.calls == []


def every_trouble(torn, reply, dead_port):
    """One of each way in which a call can go wrong."""
    for code in range(34):
        yield torn.url, reply(b'{"error":{"code":%d,"error":"no"}}' % code)
    yield torn.url, reply(b"<html>")
    yield torn.url, reply(b"", status=500)
    yield torn.url, reply(b"x", status=302, headers={"Location": "/"})
    yield torn.url, reply(b"[1, 2]", cut_at=2)
    yield torn.url, reply(b"no gzip", headers={"Content-Encoding": "gzip"})
    yield torn.url.replace("http:", "https:"), reply()
    yield f"http://127.0.0.1:{dead_port}", reply()


def test_a_key_is_in_no_error_no_log_and_no_repr(torn, make_client, key, reply, caplog):
    caplog.set_level(logging.DEBUG)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        for url, said in every_trouble(torn, reply, closed.getsockname()[1]):
            torn._replies.clear()
            torn.say(said)
            client = make_client(url, tries=1)
            with pytest.raises(Failure) as caught:
                client.get(MEMBERS, key)
            fault = caught.value
            assert fault.__context__ is None  # the HTTP library's error holds the request
            shown = [
                str(fault),
                repr(fault),
                repr(fault.facts),
                repr(fault.answer),
                repr(vars(client)),
                "".join(traceback.format_exception(fault)),
                caplog.text,
            ]
            assert not any(key.secret in text for text in shown)
            assert key.secret.encode() not in pickle.dumps(fault)
    assert "HTTP Request" in caplog.text  # the library did log


def test_words_of_the_server_that_quote_the_key_are_shown_without_it(torn, client, key):
    torn.say({"error": {"code": 99, "error": f"bad key {key.secret}!"}})
    with pytest.raises(TornUnavailable, match="bad key") as caught:
        client.get(MEMBERS, key)
    assert key.secret not in str(caught.value)
    assert key.secret not in repr(caught.value.facts)


def test_an_answer_never_prints_its_body(torn, client, key):
    torn.say({"private": "message"})
    assert "message" not in repr(client.get(MEMBERS, key))


def test_the_user_agent_says_whom_to_ask(torn, make_client, key):
    torn.say({"a": 1})
    make_client(identity=Identity(contact="https://example.com/logger")).get(MEMBERS, key)
    agent = torn.calls[0].headers["User-Agent"]
    assert agent == f"tcdatalogger/{__version__} (+https://example.com/logger)"


def test_connections_are_kept_open_between_calls(torn, client, key, monkeypatch):
    torn.say({"a": 1})
    opened = []
    connect = socket.create_connection
    monkeypatch.setattr(
        socket, "create_connection", lambda *a, **k: opened.append(a) or connect(*a, **k)
    )
    for _ in range(5):
        client.get(MEMBERS, key)
    assert len(opened) == 1


def test_a_client_closes_with_its_block(torn, clock, key):
    torn.say({"a": 1})
    budget = Budget(MemorySlots(), clock)
    with Client(Transport(torn.url, clock), budget, clock, key_health=MemoryKeyHealth()) as client:
        client.get(MEMBERS, key)
    with pytest.raises(RuntimeError, match="closed"):
        client.get(MEMBERS, key)


def test_equal_keys_have_equal_fingerprints_that_do_not_show_them(make_key):
    one, same, other = make_key("a"), make_key("b"), make_key("c", "0123456789abcdef")
    assert fingerprint(one) == fingerprint(same) != fingerprint(other)
    assert one.secret not in fingerprint(one)


@given(st.text(max_size=30))
def test_any_text_as_a_date_is_a_time_or_nothing(text):
    found = transport.http_date(text)
    assert found is None or isinstance(found, float)


# What all callers share


@pytest.fixture
def shared(clock):
    """A budget and a key health as several processes have them in common."""
    return {"budget": Budget(MemorySlots(), clock), "key_health": MemoryKeyHealth()}


def test_a_dead_key_is_called_by_no_other_client_either(torn, make_client, shared, key):
    torn.say(2)
    for client in (make_client(**shared), make_client(**shared)):
        with pytest.raises(KeyRefused) as caught:
            client.get(MEMBERS, key)
        assert caught.value.code == 2
    assert len(torn.calls) == 1


def test_a_new_key_is_tried_by_one_caller_while_the_others_wait(torn, clock, shared, key, reply):
    """The second caller finds out from the first one, without a call of its own."""
    waiting, answer = threading.Event(), threading.Event()
    real = SystemClock()

    class Waits:
        now = staticmethod(clock.now)

        def sleep(self, _seconds):
            waiting.set()
            real.sleep(0.005)

    def slowly(_call):
        answer.wait(5)
        return reply(b'{"error":{"code":2,"error":"Incorrect key"}}')

    torn.answer = slowly
    codes = []

    def call():
        with Client(Transport(torn.url, Waits()), clock=Waits(), **shared) as client:
            try:
                client.get(MEMBERS, key)
            except KeyRefused as fault:
                codes.append(fault.code)

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert waiting.wait(5)
    answer.set()
    for thread in threads:
        thread.join()
    assert codes == [2, 2, 2]
    assert len(torn.calls) == 1


def test_a_key_that_met_a_fault_of_torns_may_be_tried_by_the_next_caller(
    torn, make_client, shared, key
):
    torn.say(24, {"a": 1})
    with pytest.raises(TornUnavailable):
        make_client(**shared).get(MEMBERS, key)
    assert make_client(**shared).get(MEMBERS, key).status == 200


def test_a_parked_key_is_checked_again_by_one_call(torn, make_client, shared, clock, key):
    torn.say(18)
    clients = [make_client(**shared), make_client(**shared)]
    for _ in range(3):
        for client in clients:
            with pytest.raises(KeyRefused):
                client.get(MEMBERS, key)
        clock.sleep(3_600)
    assert len(torn.calls) == 3


def test_a_torn_that_is_down_is_asked_by_one_caller_and_later_and_later(
    torn, make_client, shared, clock, key, reply
):
    torn.say(reply(b"<html>", status=502, type="text/html"))
    clients = [make_client(**shared, tries=1) for _ in range(4)]
    for client in (*clients, clients[0]):
        with pytest.raises(TornUnavailable):
            client.get(MEMBERS, key)
    assert len(torn.calls) == 5

    began, probes = clock.now(), []
    for number in range(40):
        with pytest.raises(TornUnavailable):
            clients[number % 4].get(MEMBERS, key)
        if len(torn.calls) > 5 + len(probes):
            probes.append(round(clock.now() - began))
        clock.sleep(20)
    assert probes == [30, 90, 210, 450, 930]  # the pause doubles


def test_the_first_success_lets_everybody_through(torn, make_client, shared, clock, key, reply):
    torn.say(*[reply(b"", status=503)] * 5, {"a": 1})
    clients = [make_client(**shared, tries=1) for _ in range(3)]
    for number in range(5):
        with pytest.raises(TornUnavailable):
            clients[number % 3].get(MEMBERS, key)
    began = clock.now()
    assert clients[0].get(MEMBERS, key).status == 200
    assert clock.now() - began == 30
    for client in clients:
        assert client.get(MEMBERS, key).status == 200
    assert clock.now() - began == 30


def test_faults_with_answers_between_them_do_not_mean_that_torn_is_down(
    torn, make_client, shared, key, reply
):
    torn.say(*[reply(b"", status=500), {"a": 1}] * 6, {"a": 1})
    client = make_client(**shared, tries=1)
    for _ in range(6):
        with pytest.raises(TornUnavailable):
            client.get(MEMBERS, key)
        client.get(MEMBERS, key)
    assert not shared["key_health"].circuit().open


def test_torns_own_word_that_it_is_off_is_enough(torn, make_client, shared, clock, key):
    torn.say(9, {"a": 1})
    with pytest.raises(TornUnavailable):
        make_client(**shared).get(MEMBERS, key)
    began = clock.now()
    assert make_client(**shared).get(MEMBERS, key).status == 200
    assert clock.now() - began == 30


def test_while_somebody_asks_a_torn_that_was_down_the_others_wait_for_what_comes(
    torn, make_client, shared, clock, key
):
    torn.say({"a": 1})
    key_health = shared["key_health"]
    key_health.set_state(KeyState(fingerprint(key), "ok"))
    probe = CircuitBreaker(faults=5, pause=30.0, until=clock.now(), probe_until=clock.now() + 5)
    key_health.change_circuit(lambda _: probe)
    began = clock.now()
    make_client(**shared).get(MEMBERS, key)
    assert clock.now() - began == 5


# Rows of the day

EVENTS = Request("/user/events", (("limit", "100"),))


def a_page(rows):
    return {"events": [{"id": number} for number in range(rows)]}


def test_the_rows_of_a_day_are_not_read_twice_over(torn, make_client, shared, clock, key):
    torn.say(a_page(100))
    client = make_client(**shared)
    began = clock.now()
    for _ in range(500):
        client.get(EVENTS, key)
    with pytest.raises(Busy, match="events in 24 hours are used up") as caught:
        make_client(**shared).get(EVENTS, key)
    assert len(torn.calls) == 500
    assert caught.value.exit_code == 75
    assert caught.value.pause == pytest.approx(began + 86_400 - clock.now(), abs=1)
    assert client.get(Request("/user/log"), key).status == 200  # another category
    clock.sleep(caught.value.pause)
    assert client.get(EVENTS, key).status == 200


def test_only_the_rows_that_came_are_counted(torn, make_client, shared, key):
    torn.say(a_page(3))
    client = make_client(**shared)
    for _ in range(600):
        client.get(EVENTS, key)
    assert len(torn.calls) == 600


def test_a_share_counts_for_rows_too(torn, make_client, clock, key):
    torn.say(a_page(100))
    client = make_client(budget=Budget(MemorySlots(), clock, share=0.01))
    for _ in range(5):
        client.get(EVENTS, key)
    with pytest.raises(Busy):
        client.get(EVENTS, key)
