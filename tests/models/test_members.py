"""One reader for the top of a body: paging goes on exactly where records can be read."""

import json
import random

import pytest

from tcdatalogger.models.reading import lossless_json
from tcdatalogger.models.reading.decode import decode
from tcdatalogger.models.reading.members import members
from tcdatalogger.services.torncity.catalog.catalog import load
from tcdatalogger.services.torncity.client.envelope import ends, read_links, rows

ATTACKS = load().find("/faction/attacks")[0]
ITEMS = load().find("/torn/{ids}/itemdetails")[0]
LINK = "https://api.torn.com/v2/faction/attacks?to=7"
GOOD = {
    "attacks": [
        {"id": 1, "code": "a[b", "started": 8, "ended": 9, "attacker": {"id": 3, "name": "Ä"}},
        {"id": 2, "code": "}", "started": 6, "ended": 7, "attacker": None},
    ],
    "_metadata": {"links": {"next": None, "prev": LINK}, "total": 2},
}
DEEP = lossless_json.DEEPEST


def nested(levels):
    return "[" * levels + "]" * levels


TEXT = json.dumps(GOOD, separators=(",", ":"))
ODD = {
    "as it is": TEXT,
    "with white space": json.dumps(GOOD, indent=2),
    "a mark at its head": "\ufeff" + TEXT,
    "two marks": "\ufeff\ufeff" + TEXT,
    "half a pair in a name": TEXT.replace("a[b", "\\ud800"),
    "half a pair in a key": TEXT.replace('"code"', '"c\\udfff"'),
    "half a pair beside the list": TEXT.replace('{"attacks"', '{"x\\ud800":1,"attacks"'),
    "half a pair in the metadata": TEXT.replace('"total"', '"\\ud800"'),
    "a key with escapes": TEXT.replace('"attacks"', '"\\u0061ttacks"'),
    "a key twice": TEXT.replace('{"attacks"', '{"attacks":[],"attacks"'),
    "another key twice": TEXT.replace('{"attacks"', '{"a":1,"a":1,"attacks"'),
    "a key twice in a record": TEXT.replace('"id":1', '"id":1,"id":1'),
    "a key twice in the metadata": TEXT.replace('"total":2', '"total":2,"total":2'),
    "metadata twice": TEXT.replace("{", '{"_metadata":{},', 1),
    "deep": TEXT.replace("{", f'{{"x":{nested(DEEP - 1)},', 1),
    "too deep": TEXT.replace("{", f'{{"x":{nested(DEEP)},', 1),
    "past all measure": TEXT.replace("{", f'{{"x":{nested(100_000)},', 1),
    "deep in a record": TEXT.replace('"code":"a[b"', f'"code":{nested(DEEP - 3)}'),
    "many brackets in texts": TEXT.replace("a[b", "[" * 2 * DEEP),
    "a number without end": TEXT.replace('"started":8', f'"started":{"8" * 5_000}'),
    "a number past all floats": TEXT.replace('"started":8', '"started":1e999'),
    "no number": TEXT.replace('"started":8', '"started":NaN'),
    "a control character": TEXT.replace("a[b", "\x01"),
    "two bodies": TEXT + TEXT,
    "cut": TEXT[:-9],
    "a list": "[" + TEXT + "]",
    "nothing": "null",
}


def read(body, endpoint=ATTACKS):
    """Whether the reader of records takes a body, and be it to set each of its records aside."""
    return all(reject.path for reject in decode([body], endpoint.family).rejected)


def taken(body):
    try:
        return bool(members(body)) or True
    except ValueError:
        return False


@pytest.mark.parametrize("name", ODD)
def test_what_the_reader_of_records_takes_can_be_paged_on(name):
    body = ODD[name].encode()

    assert taken(body) == read(body)
    if taken(body):
        assert read_links(body).prev == LINK
        assert len(rows(body, ATTACKS.payload)) == 2
        assert ends(rows(body, ATTACKS.payload), ("ended",)) == (9, 7)


def test_the_two_readers_agree_on_mutants_of_bodies():
    rng = random.Random(7)
    parts = [body for body in map(str.encode, ODD.values()) if len(body) < 2_000 and taken(body)]
    bits = [
        *(b"\\ud800", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"null", b"1e400", b'"attacks":'),
        *(bytes([byte]) for byte in b'"{}[],:\\ \n\x00-0'),
    ]
    agreed = {True: 0, False: 0}
    for _ in range(600):
        body = bytearray(rng.choice(parts))
        for _ in range(rng.randrange(1, 3)):
            at = rng.randrange(len(body) + 1)
            match rng.randrange(4):
                case 0:
                    body[at:at] = rng.choice(bits)
                case 1:
                    del body[at : at + rng.randrange(1, 9)]
                case 2:
                    body[at : at + 1] = rng.choice(bits)
                case _:
                    other = rng.randrange(len(body) + 1)
                    body[at:at] = body[other : other + rng.randrange(40)]
        whole = bytes(body)
        assert taken(whole) == read(whole), whole
        agreed[taken(whole)] += 1
        if taken(whole) and isinstance(records := lossless_json.parse(whole).get("attacks"), list):
            assert len(rows(whole, ATTACKS.payload)) >= len(records)
    assert min(agreed.values()) > 60


@pytest.mark.parametrize("levels", [DEEP - 1, DEEP, DEEP + 1, 700])
def test_both_stop_at_the_same_depth_where_the_catalogue_keeps_json(levels):
    body = f'{{"itemdetails":{nested(levels)}}}'.encode()

    assert taken(body) == read(body, ITEMS) == (levels < DEEP)
    assert taken(b"[" + body + b"]") == read(b"[" + body + b"]", ITEMS) is False


def test_a_map_in_place_of_the_list_has_rows_too():
    body = b'{"attacks":{"1":{"id":1,"ended":9},"2":{"id":2,"ended":7}}}'

    assert read(body)
    assert ends(rows(body, ATTACKS.payload), ("ended",)) == (9, 7)
