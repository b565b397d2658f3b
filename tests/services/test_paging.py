"""Walks over lists as Torn pages them: by time with `prev`, by offset with `next`."""

import json
from dataclasses import replace
from functools import partial
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from effort import memory
from tcdatalogger.clock import ManualClock
from tcdatalogger.errors import TornUnavailable
from tcdatalogger.models.reading import lossless_json
from tcdatalogger.models.reading.lossless_json import Number
from tcdatalogger.models.reading.members import parsed
from tcdatalogger.sandbox.api.city import Rules
from tcdatalogger.sandbox.api.server import Sandbox
from tcdatalogger.sandbox.world.bursts import Bursts
from tcdatalogger.services.torncity.catalog import catalog
from tcdatalogger.services.torncity.client.envelope import Payload, RowMark, mark
from tcdatalogger.services.torncity.client.messages import Answer, Request
from tcdatalogger.services.torncity.lists.paging import (
    Links,
    choose,
    count_rows,
    direction,
    first,
    pages,
    read_links,
)


def endpoint(path):
    return catalog.load().find(path)[0]


def shown(path):
    """The member of an answer under which a path has its list."""
    return endpoint(path).payload.names[0]


def list_by_time(rows, path, *, default="DESC", cap=100):
    """A server's side of a list by time: inclusive cursors, and links as captured from Torn."""

    def answer(params):
        sort = params.get("sort", default).upper()
        limit = min(int(params.get("limit", 20)), cap)
        low, high = int(params.get("from", 0)), int(params.get("to", 2**40))
        found = [row for row in rows if low <= row["at"] <= high]
        found.sort(key=lambda row: (row["at"], row["id"]), reverse=sort == "DESC")
        page, more = found[:limit], len(found) > limit
        older = newer = None
        if more and sort == "DESC":
            older = f"https://api.torn.com/v2{path}?&limit={limit}&sort=desc&to={page[-1]['at']}"
        if more and sort == "ASC":
            newer = f"https://api.torn.com/v2{path}?&limit={limit}&sort=asc&from={page[-1]['at']}"
        return {shown(path): page, "_metadata": {"links": {"next": newer, "prev": older}}}

    return answer


def list_by_offset(rows, path):
    def answer(params):
        offset, limit = int(params.get("offset", 0)), int(params.get("limit", 20))
        base = f"https://api.torn.com/v2{path}?limit={limit}&offset="
        onward = base + str(offset + limit) if offset + limit < len(rows) else None
        back = base + str(max(0, offset - limit)) if offset else None
        links = {"next": onward, "prev": back}
        return {
            shown(path): rows[offset : offset + limit],
            "_metadata": {"links": links, "total": len(rows)},
        }

    return answer


@pytest.fixture
def walk(torn, client, clock, key, reply):
    """A walk over a list that is served over HTTP."""

    def start(path, answer, params=(), **options):
        torn.answer = lambda call: reply(json.dumps(answer(call.params)).encode())
        request = Request(path, tuple(params))
        return pages(
            endpoint(path),
            request,
            lambda r: client.get(r, key),
            clock,
            host=client.host,
            **options,
        )

    return start


def ids(walk, name):
    return [row["id"] for page in walk for row in json.loads(page.body)[name]]


ATTACKS = [{"id": n, "at": 1_000 + n * 10} for n in range(250)]


def test_a_list_by_time_goes_back_by_prev(torn, walk):
    going = walk("/user/attacks", list_by_time(ATTACKS, "/user/attacks"))

    found = ids(going, "attacks")

    assert list(dict.fromkeys(found)) == list(range(249, -1, -1))
    assert len(found) == 252  # the rows at the two boundaries come twice
    assert (going.pages, going.complete, going.warnings) == (3, True, [])
    assert [call.params.get("to") for call in torn.calls] == [None, "2500", "1510"]


def test_a_list_by_time_in_ascending_order_goes_on_by_next(torn, walk):
    going = walk("/user/attacks", list_by_time(ATTACKS, "/user/attacks"), [("sort", "ASC")])
    assert list(dict.fromkeys(ids(going, "attacks"))) == list(range(250))
    assert going.complete
    assert [call.params.get("from") for call in torn.calls] == [None, "1990", "2980"]


def test_a_list_by_offset_goes_on_by_next_and_never_back(torn, walk):
    rows = [{"id": n} for n in range(250)]
    going = walk("/torn/bounties", list_by_offset(rows, "/torn/bounties"))
    assert ids(going, "bounties") == list(range(250))
    assert (going.pages, going.complete, going.warnings) == (3, True, [])


def test_crimes_which_take_both_kinds_are_walked_by_offset_where_the_links_have_one(walk):
    rows = [{"id": n} for n in range(250)]
    going = walk("/faction/crimes", list_by_offset(rows, "/faction/crimes"))
    assert ids(going, "crimes") == list(range(250))


def test_crimes_are_walked_by_time_where_the_links_have_that(walk):
    going = walk("/faction/crimes", list_by_time(ATTACKS, "/faction/crimes"))
    assert set(ids(going, "crimes")) == set(range(250))


def test_limit_is_always_sent_and_so_is_the_order_of_a_list_by_time(torn, walk):
    list(walk("/user/attacks", list_by_time([], "/user/attacks")))
    sent = torn.calls[0].params
    assert (sent["limit"], sent["sort"]) == ("100", "DESC")
    assert "timestamp" not in sent


def test_what_the_user_asked_for_stays_and_is_kept_on_every_page(torn, walk):
    asked = [("limit", "7"), ("from", "3000"), ("filters", "incoming")]
    going = walk("/user/attacks", list_by_time(ATTACKS, "/user/attacks"), asked)
    assert set(ids(going, "attacks")) == set(range(200, 250))
    for call in torn.calls:
        assert call.params["limit"] == "7"
        assert call.params["from"] == "3000"
        assert call.params["filters"] == "incoming"


def test_pages_after_the_first_pass_the_cache_each_with_a_time_of_its_own(torn, walk, clock):
    for _ in range(2):
        list(walk("/user/attacks", list_by_time(ATTACKS, "/user/attacks")))
    stamps = [call.params.get("timestamp") for call in torn.calls]
    assert (stamps[0], stamps[3]) == (None, None)
    passing = [int(stamp) for stamp in stamps if stamp is not None]
    assert len(set(passing)) == 4
    assert all(0 < stamp <= clock.now() + 2 for stamp in passing)


def test_a_first_page_with_parameters_passes_the_cache_which_does_not_know_them(torn, walk):
    for cat in ("available", "completed"):
        list(walk("/faction/crimes", list_by_offset([], "/faction/crimes"), [("cat", cat)]))
    one, other = (call.params["timestamp"] for call in torn.calls)
    assert one != other


def test_a_time_that_the_user_asks_for_is_kept(torn, walk):
    asked = [("timestamp", "5"), ("cat", "all")]
    for path in ("/user/1/personalstats", "/faction/crimes"):
        list(walk(path, lambda _: {"personalstats": {}, "crimes": []}, asked))
    assert [call.params["timestamp"] for call in torn.calls] == ["5", "5"]


def test_links_bring_no_key_no_comment_and_no_time_of_their_own(torn, walk):
    link = (
        "https://api.torn.com/v2/user/events?&to=500&key=stolen&comment=theirs&Timestamp=1"
        "&stripTags=true"
    )
    bodies = iter([link, None])

    def answer(params):
        return {"events": [], "n": params.get("to"), "_metadata": {"links": {"prev": next(bodies)}}}

    going = walk("/user/events", answer, [("striptags", "false")])
    assert len(list(going)) == 2
    second = torn.calls[1]
    assert second.params["to"] == "500"
    assert second.params["striptags"] == "true"  # in the catalogue's spelling
    assert second.params["comment"] == "tcdlogger"
    assert second.params["timestamp"] != "1"
    assert "stolen" not in second.raw
    assert "stripTags" not in second.raw


ELSEWHERE = [
    "https://evil.example/v2/user/attacks?to=5",
    "https://api.torn.com.evil.example/v2/user/attacks?to=5",
    "https://api.torn.com@evil.example/v2/user/attacks?to=5",
    "https://api.torn.com/v2/user/log?to=5",
    "https://api.torn.com/v2/user/1/attacks?to=5",
    "//evil.example/v2/user/attacks?to=5",
    "http://[broken/v2/user/attacks?to=5",
    "javascript:alert(1)",
]
NO_LINKS = [None, {}, [], {"links": None}, {"links": []}, {"links": {}}, {"links": {"next": None}}]
ODD_LINKS = ["x", 5, {"links": "x"}, {"links": {"prev": 5}}, [1]]
FULL, ONWARD = [{"id": n} for n in range(100)], "https://api.torn.com/v2/user/basic?offset=1"
ONE_PAGE = [
    # what the page holds beside its links, whether the walk is complete, what is told
    *(
        ("/user/attacks", [], {"links": {"prev": x}}, False, "leads to another list")
        for x in ELSEWHERE
    ),
    *(("/user/attacks", [], metadata, True, None) for metadata in NO_LINKS),
    *(("/user/attacks", [], metadata, False, "cannot be read") for metadata in ODD_LINKS),
    ("/user/attacks", FULL, {"links": {"prev": None}}, True, "is full (100 rows)"),
    ("/user/basic", {"id": 1}, None, True, None),
    ("/user/basic", {}, {"links": {"next": ONWARD}}, False, "catalogue knows of none"),
]


@pytest.mark.parametrize(("path", "holds", "metadata", "complete", "told"), ONE_PAGE)
def test_a_walk_that_ends_with_its_first_page_says_whether_that_is_all(
    torn, walk, path, holds, metadata, complete, told
):
    going = walk(path, lambda _: {shown(path): holds, "_metadata": metadata})
    assert len(list(going)) == len(torn.calls) == 1
    assert going.complete == complete
    assert [told in warning for warning in going.warnings] == ([True] if told else [])
    assert ("limit" in torn.calls[0].params) == (path == "/user/attacks")


@pytest.mark.parametrize("host", ["https://api.torn.com", "own", ""])
def test_links_of_torns_host_of_our_own_and_without_one_are_followed(torn, walk, host):
    base = torn.url.removesuffix("/v2") if host == "own" else host
    links = iter([f"{base}/v2/user/attacks?to=5", None])

    def answer(params):
        page = [{"id": 1, "to": params.get("to")}]
        return {"attacks": page, "_metadata": {"links": {"prev": next(links)}}}

    going = walk("/user/attacks", answer)
    assert len(list(going)) == 2
    assert going.complete


CROWD = [
    *({"id": n, "ended": 4_000 + n} for n in range(50)),
    *({"id": n, "ended": 5_000} for n in range(50, 400)),
    *({"id": n, "ended": 5_000 + n} for n in range(400, 450)),
]


def crowded(rows, path, name, at, *, ids=False, nanos=False, cap=100):
    """A list by time as Torn has it, with the ways past a crowded second that some lists have."""

    def answer(params):
        by_id = ids and "idFilter" in params.get("filters", "")
        order = (lambda r: r["id"]) if by_id else (lambda r: (r[at], r["id"]))
        limit = min(int(params["limit"]), cap)
        fall = params.get("sort", "DESC").upper() == "DESC"
        low, high = int(params.get("from", 0)), int(params.get("to", 2**60))
        found = [r for r in rows if low <= (r["id"] if by_id else r[at]) <= high]
        if nanos and "nanostamp" in params:
            found = [r for r in found if nano(r, at) <= int(params["nanostamp"])]
        found.sort(key=order, reverse=fall)
        page = found[:limit]
        link = None
        if len(found) >= limit:
            last = page[-1]["id"] if by_id else page[-1][at]
            said = {k: v for k, v in params.items() if k not in {"timestamp", "comment"}}
            said |= {"to" if fall else "from": last, "sort": "desc" if fall else "asc"}
            link = f"https://api.torn.com/v2{path}?&" + "&".join(
                f"{k}={v}" for k, v in said.items()
            )
        metadata = {"links": {"prev": link if fall else None, "next": None if fall else link}}
        if nanos and page:
            metadata["nanostamp"] = str(nano(page[-1], at))
        return {name: page, "_metadata": metadata}

    return answer


def nano(row, at):
    return row[at] * 10**9 + row["id"]


@pytest.mark.parametrize("sort", ["DESC", "ASC"])
@pytest.mark.parametrize("asked", [(), (("from", "4020"), ("to", "5430"))])
def test_a_crowded_second_of_attacks_is_read_by_id(walk, sort, asked):
    serve = crowded(CROWD, "/faction/attacks", "attacks", "ended", ids=True)
    going = walk("/faction/attacks", serve, [("sort", sort), *asked])

    found = set(ids(going, "attacks"))

    assert found >= set(range(20, 431) if asked else range(450))
    assert (going.complete, going.warnings) == (True, [])


def test_a_filter_of_the_users_own_goes_on_while_ids_are_asked_for(torn, walk):
    serve = crowded(CROWD, "/faction/attacks", "attacks", "ended", ids=True)
    list(walk("/faction/attacks", serve, [("filters", "incoming")]))
    by_id = [c.params for c in torn.calls if "idFilter" in c.params["filters"]]
    assert by_id
    assert {params["filters"] for params in by_id} == {"incoming,idFilter"}
    assert torn.calls[-1].params["filters"] == "incoming"


def test_a_crowded_second_of_the_log_is_read_by_nanoseconds(torn, walk):
    rows = [{"id": n, "timestamp": row["ended"]} for n, row in enumerate(CROWD)]
    going = walk("/user/log", crowded(rows, "/user/log", "log", "timestamp", nanos=True))

    assert set(ids(going, "log")) == set(range(450))
    assert (going.complete, going.warnings) == (True, [])
    assert any("nanostamp" in call.params for call in torn.calls)
    assert "nanostamp" not in torn.calls[0].params


@pytest.mark.parametrize("sort", ["DESC", "ASC"])
def test_a_crowded_second_that_nothing_can_read_is_stepped_over_and_told(walk, sort):
    rows = [{"id": n, "timestamp": row["ended"]} for n, row in enumerate(CROWD)]
    serve = crowded(rows, "/faction/news", "news", "timestamp")
    going = walk("/faction/news", serve, [("cat", "main"), ("sort", sort)])

    found = set(ids(going, "news"))

    assert found >= {*range(50), *range(400, 450)}
    assert len(found) == 200
    assert going.complete
    [warning] = going.warnings
    assert "Second 5000 of /faction/news" in warning
    assert "may be missing" in warning


def test_small_pages_are_made_larger_where_they_do_not_do(walk):
    rows = [{"id": n, "timestamp": 1_000 + n // 30} for n in range(300)]
    serve = crowded(rows, "/faction/news", "news", "timestamp")
    going = walk("/faction/news", serve, [("cat", "main"), ("limit", "10")])
    assert set(ids(going, "news")) == set(range(300))
    assert (going.complete, going.warnings) == (True, [])


def test_a_last_page_that_links_to_itself_is_the_end_without_a_warning(torn, walk):
    def answer(params):
        shown = [row for row in ATTACKS[:3] if row["at"] <= int(params.get("to", 2**40))]
        page = [{"id": r["id"], "ended": r["at"]} for r in reversed(shown)]
        last = page[-1]["ended"] if page else 0
        link = f"https://api.torn.com/v2/user/attacks?&limit=100&sort=desc&to={last}"
        return {"attacks": page, "_metadata": {"links": {"prev": link if page else None}}}

    going = walk("/user/attacks", answer)
    assert set(ids(going, "attacks")) == {0, 1, 2}
    assert (going.complete, going.warnings) == (True, [])


def test_a_link_that_turns_back_is_not_followed(torn, walk):
    def answer(params):
        to = int(params.get("to", 2_000))
        step = 500 if len(torn.calls) > 1 else -500
        link = f"https://api.torn.com/v2/user/attacks?&to={to + step}"
        return {"attacks": [{"id": 1, "ended": to}], "_metadata": {"links": {"prev": link}}}

    going = walk("/user/attacks", answer)
    assert len(list(going)) == 2
    assert not going.complete
    assert "leads back" in going.warnings[0]


@pytest.mark.parametrize("path", ["/user/attacks", "/user/log", "/user/events", "/faction/chains"])
def test_walks_of_the_city_bring_all_that_its_books_have(path, make_client, make_key):
    rules = Rules(
        cache=29, per_user=10**6, per_address=10**6, cloud_rows=10**9, history=60 * 86_400,
        bursts=Bursts(every=9, rows=230),
    )  # fmt: skip
    with Sandbox(seed=3, rules=rules) as city:
        client, key = make_client(url=city.url), make_key(secret=city.keys["full"])
        request = Request(path)
        going = pages(
            endpoint(path), request, lambda r: client.get(r, key), ManualClock(), host=client.host
        )
        book = path.removeprefix("/faction/").removeprefix("/user/")
        name = "log" if book == "log" else book
        found = {row["id"] for page in going for row in json.loads(page.body)[name]}
        wanted = {row["id"] for row in city.expected({"attacks": "user_attacks"}.get(book, book))}
    assert found >= wanted
    assert (going.complete, going.warnings) == (True, [])


def test_a_page_that_comes_again_is_not_given_twice(torn, walk):
    counter = iter(range(100))

    def answer(params):
        link = f"https://api.torn.com/v2/torn/bounties?offset={next(counter) % 2 + 1}"
        return {
            "bounties": [1],
            "_metadata": {"links": {"next": link if len(torn.calls) < 9 else ""}},
        }

    going = walk("/torn/bounties", answer)
    assert len({page.body for page in going}) == going.pages
    assert not going.complete
    assert len(torn.calls) < 9


def test_the_cache_that_gives_the_first_page_again_ends_the_walk_with_a_warning(walk):
    link = "https://api.torn.com/v2/torn/bounties?offset=100"
    going = walk(
        "/torn/bounties", lambda _: {"bounties": [], "_metadata": {"links": {"next": link}}}
    )
    assert len(list(going)) == 1
    assert "an earlier page again" in going.warnings[0]
    assert not going.complete


def test_a_link_that_was_followed_before_is_not_followed_again_though_the_rows_move(torn, walk):
    link = "https://api.torn.com/v2/user/attacks?limit=100&sort=desc&to=1000"

    def answer(params):
        return {"attacks": [len(torn.calls)], "_metadata": {"links": {"prev": link}}}

    going = walk("/user/attacks", answer)
    assert len(list(going)) == 3  # the last of them is one second further on
    assert not going.complete
    assert "leads back" in going.warnings[0]
    assert "may be missing" in going.warnings[1]


def test_a_list_without_end_is_stopped_at_the_limit_of_pages(torn, walk):
    def answer(params):
        offset = int(params.get("offset", 0)) + 1
        link = f"https://api.torn.com/v2/torn/bounties?offset={offset}"
        return {"bounties": [offset], "_metadata": {"links": {"next": link}}}

    going = walk("/torn/bounties", answer, max_pages=5)
    assert len(list(going)) == len(torn.calls) == 5
    assert not going.complete
    assert "limit of 5 pages" in going.warnings[0]


def test_a_full_page_that_is_all_there_is_by_torns_own_count_is_not(walk):
    rows = [{"id": n} for n in range(200)]
    going = walk("/torn/bounties", list_by_offset(rows, "/torn/bounties"))
    assert len(list(going)) == 2
    assert going.warnings == []


WITHOUT_ATTACKS = [
    b'{"attacks": [{"id": 1}', b"{}", b'{"attacks": null}', b'{"attacks": "busy"}', b"[]", b"{]",
    b'{"notice": "busy"}', b'{"attack": []}', b'{"error": null}', b'{"attacks":[],"attacks":[]}',
]  # fmt: skip


@pytest.mark.parametrize("body", WITHOUT_ATTACKS)
def test_an_answer_without_its_data_is_asked_for_again_and_then_ends_the_walk(
    torn, client, clock, key, reply, body
):
    page, link = {"attacks": [{"id": 1, "ended": 9}]}, "https://api.torn.com/v2/user/attacks?to=8"
    first_page = json.dumps({**page, "_metadata": {"links": {"prev": link}}}).encode()
    get = partial(client.get, key=key)

    torn.say(reply(first_page), *[reply(body)] * 3)
    going = pages(endpoint("/user/attacks"), Request("/user/attacks"), get, clock, host=client.host)
    assert [page.body for page in going] == [first_page]
    assert not going.complete
    assert going.lacks in going.warnings[0]
    assert len(torn.calls) == 4

    torn.say(reply(first_page), reply(body), reply(b'{"attacks": []}'))
    going = pages(endpoint("/user/attacks"), Request("/user/attacks"), get, clock, host=client.host)
    assert len(list(going)) == 2
    assert (going.complete, going.lacks) == (True, "")


@pytest.mark.parametrize(
    ("path", "body", "lacks"),
    [
        ("/user/attacks", b'{"attacks":{}}', ()),
        ("/user/attacks", b' {"x":1, "attacks" : [ ] } ', ()),
        ("/user/attacks", b'\xef\xbb\xbf{"attacks":[{"n":"\\ud800"}]}', ()),
        ("/user/attacks", b'{"_metadata":{"attacks":[]}}', ("attacks",)),
        ("/user/job", b'{"job":null}', ()),
        ("/user/job", b"{}", ("job",)),
        ("/faction/wars", b'{"pacts":[],"wars":{}}', ()),
        ("/faction/wars", b'{"pacts":[],"wars":null}', ("wars",)),
        ("/faction/wars", b'{"wars":{}}', ("pacts",)),
        ("/user/bounties", b'{"bounties":[]}', ()),
        ("/user/bounties", b'{"bounties_timestamp":5}', ("bounties",)),
        ("/user/ammo", b'{"ammo":[]}', ()),
        ("/user/ammo", b"{}", ("ammo",)),
        ("/user/timestamp", b'{"timestamp":5}', ()),
        ("/user/timestamp", b'{"timestamp":null}', ("timestamp",)),
    ],
)
def test_what_an_answer_must_hold_is_what_the_catalogue_promises(path, body, lacks):
    assert endpoint(path).payload.missing(body) == lacks


def test_a_snapshot_is_one_page_of_csv(torn, client, clock, key, reply):
    torn.say(reply(b"id,name\n1,Duke\n", type="text/csv"))
    request = Request("/user/snapshot", (("timestamp", "5"),))
    going = pages(endpoint("/user/snapshot"), request, lambda r: client.get(r, key), clock)
    assert [page.body for page in going] == [b"id,name\n1,Duke\n"]
    assert going.complete
    assert torn.calls[0].params["timestamp"] == "5"


def test_a_fault_in_the_middle_ends_the_walk_incomplete(torn, walk, client):
    calls = []

    def answer(params):
        calls.append(params)
        if len(calls) > 1:
            return {"error": {"code": 9, "error": "off"}}
        return list_by_time(ATTACKS, "/user/attacks")(params)

    going = walk("/user/attacks", answer)
    next(going)
    with pytest.raises(TornUnavailable):
        next(going)
    assert list(going) == []
    assert not going.complete


def test_the_order_is_the_one_asked_for_then_the_catalogues_then_from_the_newest():
    attacks, users = endpoint("/user/attacks"), endpoint("/user/list")
    assert direction(Request("/user/attacks", (("sort", "asc"),)), attacks) == "ASC"
    assert direction(Request("/user/attacks"), attacks) == "DESC"
    assert direction(Request("/user/list"), users) == "ASC"
    assert direction(Request("/user/events"), endpoint("/user/events")) == "DESC"


def test_a_link_with_an_offset_tells_its_own_direction():
    by_offset, by_time = "https://x/v2/a?offset=5", "https://x/v2/a?to=5"
    for order in ("ASC", "DESC"):
        assert choose(Links(next=by_offset, prev=by_offset), order) == by_offset
        assert choose(Links(next=None, prev=by_offset), order) is None
    assert choose(Links(next=by_time, prev=None), "DESC") is None
    assert choose(Links(next=None, prev=by_time), "DESC") == by_time
    assert choose(Links(next=None, prev=by_time), "ASC") is None


def test_every_paged_path_gets_its_largest_page():
    for one in catalog.load().endpoints:
        request = first(one, Request(one.path.replace("{", "").replace("}", "")))
        assert request.param("limit") == (str(one.limit) if one.limit else None)


def test_reading_the_links_of_a_large_body_is_cheap():
    row = b'{"id":12345,"name":"Somebody","text":"some words of news","at":1767225600},'
    body = b'{"news":[' + row * 60_000 + b'{}],"_metadata":{"links":{"prev":"p"},"total":7}}'
    assert read_links(body) == Links(None, "p", 7)
    held = memory(lambda: read_links(body))
    assert held < 1.1 * len(body)  # the body itself; reading it as JSON takes six times as much
    assert count_rows(body) == 60_001


@example(
    times=[1, 1, 2, 2], limit=2, sort="ASC", kind="/faction/attacks", bounds=[0, 2],
    shuffle=Random(1),  # two crowded seconds beside each other
)  # fmt: skip
@given(
    times=st.lists(st.integers(1, 40), max_size=90),
    limit=st.integers(2, 12),
    sort=st.sampled_from(["ASC", "DESC"]),
    kind=st.sampled_from(["/faction/attacks", "/user/log", "/faction/news"]),
    bounds=st.tuples(st.integers(0, 40), st.integers(0, 40)).map(sorted),
    shuffle=st.randoms(use_true_random=False),
)
def test_a_walk_gives_every_row_or_says_that_it_did_not(times, limit, sort, kind, bounds, shuffle):
    name, at = {"a": ("attacks", "ended"), "l": ("log", "timestamp"), "n": ("news", "timestamp")}[
        kind.rsplit("/", 1)[1][0]
    ]
    numbers = list(range(len(times)))
    shuffle.shuffle(numbers)  # ids are no second clock
    rows = [{"id": n, at: moment} for n, moment in zip(numbers, times, strict=True)]
    ways = {"ids": kind == "/faction/attacks", "nanos": kind == "/user/log"}
    serve = crowded(rows, kind, name, at, cap=limit, **ways)

    def get(request):
        body = json.dumps(serve(dict(request.params))).encode()
        return Answer(request, 200, body, 0.0, 0.0, 0.0)

    low, high = bounds
    asked = [("limit", str(limit)), ("from", str(low)), ("to", str(high))]
    one = endpoint(kind)
    if one.parameter("sort") is not None:
        asked.append(("sort", sort))
    going = pages(replace(one, limit=limit), Request(kind, tuple(asked)), get, ManualClock())
    found = set(ids(going, name))

    wanted = {row["id"] for row in rows if low <= row[at] <= high}
    most = max((times.count(moment) for moment in times), default=0)
    assert going.complete
    if most < limit or ways["ids"] or ways["nanos"]:
        assert found >= wanted
        assert [w for w in going.warnings if "missing" in w] == []
    if not found >= wanted:
        assert any("may be missing" in warning for warning in going.warnings)
    if most < limit:
        assert found == wanted


# Whether a body lacks its data


ONE, SOME = ("a",), ("a", "ab")


@given(st.text('{}[]:, "abn\\\n', max_size=24), st.sampled_from([ONE, SOME]))
@example('{"a":[],"a":null}', ONE)
@example('{ "a" : {} }', SOME)
@example('{"b":[]}', SOME)
@example('{"a":[', ONE)
def test_a_body_that_begins_with_its_data_is_judged_as_when_it_is_read_whole(text, names):
    payload = Payload(names, frozenset({"a"}), some=names is SOME)
    body = text.encode()
    try:
        lacks = bool(payload.missing(body))
    except ValueError:
        lacks = False
    assert payload.lacks(body) is lacks


# The time and the id of a row

numbers = st.sampled_from(
    ["1", "-7", "0", "1.0", "2e3", "1.5", "1e400", "9223372036854775807", "9223372036854775808",
     "18446744073709551616", "null", "true", '"3"', "[]", '{"at":1}']
)  # fmt: skip


@given(numbers, numbers, st.sampled_from(["", ',"id":2', ',"x":"\\ud800"', "}", ',"x":NaN']))
def test_a_row_is_marked_as_when_it_is_read_with_care(at, ident, more):
    row = f'{{"at":{at},"id":{ident}{more}}}'.encode()
    careful = parsed(row)

    def whole(name):
        value = careful.get(name) if isinstance(careful, dict) else None
        fits = isinstance(value, Number) and value.whole and lossless_json.fits(value)
        return int(value) if fits else None

    assert mark(row, ("at",)) == RowMark(whole("at"), whole("id"))
