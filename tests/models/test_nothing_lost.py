"""Whatever a body holds is found again: in the tables, in JSON columns, or set aside.

The oracle walks the body by itself: it reads it with a reader of its own that keeps repeated keys
and the digits of numbers, goes through its records in order, and asks for every table which rows
they make and for every leaf which column has it. Nothing of the package is used but the result.
"""

import json
import math
import os
import random
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tcdatalogger.models.reading.decode import decode
from tcdatalogger.models.rows.drift import drift
from tcdatalogger.models.rows.normalize import Provenance, normalize
from tcdatalogger.models.schema import INDEX, SYSTEM, family
from tcdatalogger.models.shape import Field, Json, Kind, List, Object, Scalar
from tcdatalogger.services.torncity.catalog.catalog import load

ENDPOINTS = [e for e in load().endpoints if not e.route]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST, LAST = -62_135_596_800, 253_402_300_799  # the years 1 to 9999


# --- JSON as it is written -----------------------------------------------------------------------


class Num(str):
    """A number, digit by digit."""

    __slots__ = ()

    def __eq__(self, other):
        return isinstance(other, Num) and str.__eq__(self, other)

    __hash__ = str.__hash__


class Pairs(list):
    """An object: its members in order, repeated ones too."""

    def __eq__(self, other):
        return isinstance(other, Pairs) and list.__eq__(self, other)

    __hash__ = None

    @property
    def unique(self):
        return len({name for name, _ in self}) == len(self)

    def get(self, name):
        return next((value for key, value in self if key == name), None)


def refuse(word):
    raise ValueError(word)


def parse(text):
    return json.loads(
        text, parse_int=Num, parse_float=Num, parse_constant=refuse, object_pairs_hook=Pairs
    )


def write(value):
    if isinstance(value, Num):
        return str(value)
    if isinstance(value, Pairs):
        return "{" + ",".join(f"{json.dumps(k)}:{write(v)}" for k, v in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(write, value)) + "]"
    return json.dumps(value)


# --- bodies of a shape, and what may befall them -------------------------------------------------

TEXTS = ["", "a", "Ä", "1", "true", "null", "😀", 'q"\\/', "a\nb", "x" * 40, "2026-01-01", "\x00"]
ODD_TEXTS = [*TEXTS, "\ud800", "a\udfffb"]
ODD_NAMES = [
    "id", "Id", "name", "value", "new", "newField", "new_field", "a.b", "a b", "", "é", "1", "data",
    "page", "pages", "page_x", "_key", "_index", "_run_id", "server_timestamp", "_subject_id",
    "_metadata", "member", "members", "error", "code", "list", "m", "t",
]  # fmt: skip
ODD_NUMBERS = [
    "0", "-0", "1", "-1", "0.0", "1.0", "1.50", "1e2", "1E-2", "9007199254740993", "1e-400",
    "9007199254740993.0", "-12.0", "0.30000000000000004", "0.1234567890123456789", "9.2e18", "1e19",
    str(2**63 - 1), str(2**63), str(-(2**63)), str(-(2**63) - 1), str(10**30), "1e400", "0.1",
    str(FIRST), str(FIRST - 1), str(LAST), str(LAST + 1), "1700000000",
]  # fmt: skip


def any_scalar(rng, texts=ODD_TEXTS):
    return rng.choice(
        [None, True, False, Num(rng.choice(ODD_NUMBERS)), rng.choice(texts), rng.choice(TEXTS)]
    )


def any_json(rng, depth=2, texts=ODD_TEXTS):
    kind = rng.randrange(6 if depth else 4)
    if kind < 4:
        return any_scalar(rng, texts)
    if kind == 4:
        return [any_json(rng, depth - 1, texts) for _ in range(rng.randrange(3))]
    names = rng.sample(ODD_NAMES, rng.randrange(4))
    return Pairs((name, any_json(rng, depth - 1, texts)) for name in names)


def body_of(shape, rng, size=3):
    """A value that fits; nothing in it is unknown."""
    if shape.nullable and rng.random() < 0.15:
        return None
    match shape:
        case Object(fields=fields):
            there = [f for f in fields if f.required or rng.random() < 0.6]
            return Pairs((f.name, body_of(f.shape, rng, size)) for f in there)
        case List(element=element):
            return [body_of(element, rng, 2) for _ in range(rng.randrange(size + 1))]
        case Json():
            return any_json(rng, texts=TEXTS)
        case Scalar(kind=Kind.INT):
            return Num(rng.choice(["0", "7", "-3", str(2**63 - 1), str(-(2**63))]))
        case Scalar(kind=Kind.TIME):
            return Num(rng.choice(["0", "1700000000", str(FIRST), str(LAST)]))
        case Scalar(kind=Kind.FLOAT):
            return Num(rng.choice(["0.5", "-2.25", "3", "1e3", "0.1"]))
        case Scalar(kind=Kind.BOOL):
            return rng.random() < 0.5
        case Scalar(values=values) if values and rng.random() < 0.5:
            return str(rng.choice(values))
    return rng.choice(TEXTS)


def places(value, found=None):
    """Every value inside that can be replaced: its container, and its number there."""
    found = [] if found is None else found
    for at, item in enumerate(value):
        inner = item[1] if isinstance(value, Pairs) else item
        found.append((value, at))
        if isinstance(inner, list):
            places(inner, found)
    return found


def put(container, at, new):
    container[at] = (container[at][0], new) if isinstance(container, Pairs) else new


def mutate(body, rng):
    """One thing that Torn, or a fault, may do to a body."""
    spots = places(body)
    objects = [body, *(v for v in (got(c, at) for c, at in spots) if isinstance(v, Pairs))]
    act = rng.randrange(8)
    if act == 0 or not spots:
        name = "\ud800" if rng.random() < 0.05 else rng.choice(ODD_NAMES)
        rng.choice(objects).append((name, any_json(rng)))
        return
    container, at = rng.choice(spots)
    value = got(container, at)
    if act == 1:
        del container[at]
    elif act == 2:
        put(container, at, None)
    elif act == 3:
        put(container, at, any_scalar(rng))
    elif act == 4:
        put(container, at, rng.choice([[value], Pairs([("id", value)]), [], Pairs()]))
    elif act == 5 and isinstance(value, list) and not isinstance(value, Pairs):
        put(container, at, Pairs((str(n), inner) for n, inner in enumerate(value)))
    elif act == 6 and isinstance(container, Pairs):
        container.append((container[at][0], any_scalar(rng)))
    else:
        put(container, at, any_json(rng))


def got(container, at):
    return container[at][1] if isinstance(container, Pairs) else container[at]


def spoil(raw, rng):
    """A fault of the whole body."""
    return rng.choice([raw[: len(raw) // 2], raw + b"x", b"", b"null", b"[]", b"\xff" + raw])


# --- the oracle ----------------------------------------------------------------------------------


class Leaf:
    """A scalar of a body, and whether it was met in a table."""

    __slots__ = ("met", "value")

    def __init__(self, value):
        self.value = value
        self.met = False


def grown_leaves(value):
    """`value` with a `Leaf` for each scalar but null."""
    if isinstance(value, Pairs):
        return Pairs((name, grown_leaves(inner)) for name, inner in value)
    if isinstance(value, list):
        return [grown_leaves(inner) for inner in value]
    return None if value is None else Leaf(value)


def leaves(value):
    if isinstance(value, Leaf):
        yield value
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner[1] if isinstance(value, Pairs) else inner)


def plain(value):
    if isinstance(value, Leaf):
        return value.value
    if isinstance(value, Pairs):
        return Pairs((name, plain(inner)) for name, inner in value)
    return [plain(inner) for inner in value] if isinstance(value, list) else value


def as_list(value):
    """The elements of a list, or those of the list that a map of records stands for."""
    if not isinstance(value, Pairs):
        return value if isinstance(value, list) else []
    assert all(isinstance(inner, Pairs) for _, inner in value), "no map of records"
    return [Pairs([("_key", grown_leaves(key)), *inner]) for key, inner in value]


def at_path(value, path):
    for name in path:
        if not isinstance(value, Pairs):
            assert value is None or value == [], f"{value} was taken for an object"
            return None
        value = next((inner for key, inner in value if key == name), None)
    return value


def shows(stored, sent):
    """Whether a float is a number as far as it was written: it is off by less than half a digit."""
    mantissa, _, power = sent.lower().partition("e")
    fraction = mantissa.partition(".")[2].rstrip("0")
    last = Fraction(10) ** (int(power or 0) - len(fraction))
    return not math.isinf(stored) and 2 * abs(Fraction(stored) - Fraction(sent)) <= last


def due(value, kind):
    """What a column of this type must hold for a value of the body."""
    number = isinstance(value, Num)
    match kind:
        case _ if value is None:
            return None
        case "json":
            return value
        case "text" if isinstance(value, str | bool):
            return write(value) if number or isinstance(value, bool) else value
        case "bool" if isinstance(value, bool):
            return value
        case "float" if number and shows(float(value), value):
            return float(value)
        case "int" if number and Fraction(value).denominator == 1:
            return int(Fraction(value))
        case "time" if number and Fraction(value).denominator == 1:
            return EPOCH + timedelta(seconds=int(Fraction(value)))
    raise AssertionError(f"{value!r} was taken for {kind}")


def check_tables(tables, schemas, roots):
    """Each table has a row for each element, in order, and its columns hold their values.

    A row is a chain of elements, from the root's down to the table's own, with the place of each.
    """
    chains = {(): [((root,), (None,), run) for run, root in roots]}
    for schema in schemas:  # parents come before their children
        if schema.lists:
            chains[schema.lists] = [
                ((*chain, element), (*marks, at), run)
                for chain, marks, run in chains[schema.lists[:-1]]
                for at, element in enumerate(as_list(at_path(chain[-1], schema.lists[-1])))
            ]
        check_rows(tables[schema.name], schema, chains[schema.lists])


def check_rows(table, schema, rows):
    assert table.num_rows == len(rows), schema.name
    assert table["_run_id"].to_pylist() == [f"run {run}" for _, _, run in rows]
    for column in schema.data_columns:
        own = column.level == len(schema.lists)
        cells = table.column(column.name).to_pylist()
        for (chain, marks, _), cell in zip(rows, cells, strict=True):
            where = (schema.name, column.name)
            if is_place(column):
                assert cell == (marks[column.level] if column.level else cell), where
                continue
            value = at_path(chain[column.level], column.path)
            want = due(plain(value), column.type)
            have = parse(cell) if column.type == "json" and cell is not None else cell
            assert (have == want, type(have)) == (True, type(want)), (where, have, want)
            for leaf in leaves(value) if own else ():
                leaf.met = True


def is_place(column):
    """Whether a column is the place in a list, and not a field of that name which Torn sent."""
    return column.path == (INDEX,) and not column.learned


def check_root_places(table, schema):
    """The places of a root's rows rise, from nought where none was set aside, for each subject."""
    places = [c.name for c in schema.data_columns if is_place(c)]
    if not places:
        return
    last = {}
    for row in table.select([places[0], "_subject_id"]).to_pylist():
        assert row[places[0]] > last.get(row["_subject_id"], -1)
        last[row["_subject_id"]] = row[places[0]]


def is_sound(raw):
    """Whether a body is an object with each of its keys once."""
    try:
        body = parse(raw.decode())
    except ValueError:
        return False
    return isinstance(body, Pairs) and len({name for name, _ in body}) == len(body)


def is_json(raw):
    try:
        parse(raw.decode())
    except ValueError:
        return False
    return True


def sort_out(raw, rejected, grown):
    """What of one body must be in the tables: its records, and what stands beside them.

    Whatever was set aside must be whole, and nothing may be there that was not in the body.
    """
    if not is_sound(raw):
        [record] = [reject.record for reject in rejected]
        if is_json(raw):
            assert parse(record) == parse(raw.decode())
        else:
            assert record == raw.decode(errors="backslashreplace")
        return None
    body = Pairs((k, v) for k, v in parse(raw.decode()) if k != "_metadata")
    waiting = [parse(reject.record) for reject in rejected]
    if waiting == [body]:
        return None
    payload = next((v for k, v in body if grown.root and k == grown.root[0]), None)
    beside = Pairs((k, v) for k, v in body if not grown.root or k != grown.root[0])
    if not grown.root:
        assert not waiting
        return [grown_leaves(body)], Pairs()
    if not grown.listed:
        assert not waiting
        return [grown_leaves(payload)], grown_leaves(beside)
    kept = []
    for record in as_list(payload):
        content = plain(record)
        if waiting and waiting[0] == content:
            waiting.pop(0)
        else:
            kept.append(grown_leaves(content))
    if waiting:
        assert waiting == [beside], "set aside what was not there"
        beside = Pairs()
    return kept, grown_leaves(beside)


def log(shape, bodies):
    """All the way from bodies to tables, as a run does it."""

    def build(shape):
        return family(shape, "m", selection="thing", several=True)

    decoded = decode(bodies, build(shape))
    grown = build(decoded.shape)
    pages = [Provenance(float(n), n % 2 or None, f"run {n}") for n in range(len(bodies))]
    return decoded, grown, normalize(decoded.batches, grown, pages).tables


def check(shape, bodies):
    """Every scalar of the bodies is in a table, by row and column, or was set aside."""
    decoded, grown, tables = log(shape, bodies)
    roots, sides = [], []
    for page, raw in enumerate(bodies):
        rejected = [reject for reject in decoded.rejected if reject.page == page]
        found = sort_out(raw, rejected, grown)
        if found is not None:
            roots += [(page, record) for record in found[0]]
            sides.append((page, found[1]))
    starts = [at for at, table in enumerate(grown.tables) if not table.lists]
    check_tables(tables, grown.tables[: [*starts, None][1]], roots)
    check_root_places(tables[grown.tables[0].name], grown.tables[0])
    if len(starts) > 1:
        check_tables(tables, grown.tables[starts[1] :], sides)
    lost = [leaf.value for _, tree in (*roots, *sides) for leaf in leaves(tree) if not leaf.met]
    assert not lost
    check_names(grown)
    check_drift(grown, decoded)
    return decoded


def check_names(grown):
    names = [table.name for table in grown.tables]
    assert len(set(names)) == len(names)
    for table in grown.tables:
        columns = [column.name for column in table.columns]
        assert len(set(columns)) == len(columns)
        assert all(NAME.fullmatch(name) for name in (table.name, *columns))
        assert table.key
        assert set(table.key) <= set(columns)
        assert tuple(columns[-3:]) == SYSTEM


def check_drift(grown, decoded):
    """A line of drift for every column that the catalogue lacks, and for texts sent as numbers."""
    seen = {(d.table, d.column) for d in drift(grown, decoded.examples)}
    learned = {
        (table.name, column.name)
        for table in grown.tables
        for column in table.data_columns
        if column.level == len(table.lists)
        and not is_place(column)
        and (column.learned or table.learned)
    }
    texts = {(t.name, c.name) for t in grown.tables for c in t.columns if c.type == "text"}
    assert learned <= seen <= learned | texts


# --- the properties ------------------------------------------------------------------------------

NAME = re.compile(r"[a-z_][a-z0-9_]*")
KINDS = st.sampled_from([Scalar(kind) for kind in Kind])
NAMES = st.sampled_from([name for name in ODD_NAMES if name not in {"_metadata", INDEX}])
FIELDS = st.tuples(NAMES, st.booleans())


def objects(shapes, least=1):
    def make(members, nullable):
        fields = (Field(name, shape, required=req) for (name, req), shape in members)
        return Object(tuple(fields), nullable)

    members = st.lists(
        st.tuples(FIELDS, shapes), min_size=least, max_size=4, unique_by=lambda member: member[0][0]
    )
    return st.builds(make, members, st.booleans())


SHAPES = st.recursive(
    st.one_of(KINDS, KINDS, st.just(Json()), st.just(Json(nullable=True))),
    lambda inner: st.one_of(objects(inner), st.builds(List, inner, st.booleans())),
    max_leaves=8,
)
BODIES = st.one_of(
    objects(SHAPES),
    st.builds(lambda name, shape: Object((Field(name, List(shape)),)), NAMES, objects(SHAPES)),
)
RANDOM = st.builds(random.Random, st.integers(0, 2**32))  # far quicker than Hypothesis' own
QUIET = settings(
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def as_sent(body, rng):
    text = write(body)
    if rng.random() < 0.2:
        text = f" {text}\r\n"
    return text.encode()


def pages_of(shape, rng, most=3):
    """Bodies of a shape, most of them with something odd in them."""
    pages = []
    for _ in range(rng.randrange(1, most + 1)):
        body = body_of(replace(shape, nullable=False), rng)
        for _ in range(rng.randrange(3)):
            mutate(body, rng)
        raw = as_sent(body, rng)
        pages.append(spoil(raw, rng) if rng.random() < 0.05 else raw)
    return pages


@given(BODIES, RANDOM)
@QUIET
def test_nothing_is_lost_of_any_body_of_any_shape(shape, rng):
    check(shape, pages_of(shape, rng))


@pytest.mark.slow
@given(BODIES, RANDOM)
@settings(QUIET, max_examples=300)
def test_nothing_is_lost_of_many_bodies_of_any_shape(shape, rng):
    check(shape, pages_of(shape, rng, most=5))


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda e: e.path)
def test_nothing_is_lost_of_what_an_endpoint_sends(endpoint):
    for seed in range(4 if os.environ.get("CI") else 2):
        rng = random.Random(f"{endpoint.path} {seed}")
        check(endpoint.shape, pages_of(endpoint.shape, rng))


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda e: e.path)
def test_a_body_as_the_document_has_it_is_read_without_drift_or_misfit(endpoint):
    rng = random.Random(endpoint.path)
    pages = [as_sent(body_of(endpoint.shape, rng), rng) for _ in range(2)]
    decoded = check(endpoint.shape, pages)
    assert decoded.rejected == ()
    assert decoded.examples == {}
    assert decoded.shape == family(endpoint.shape, "m").shape


@given(BODIES, RANDOM)
@QUIET
def test_what_is_missing_null_or_unknown_sets_nothing_aside(shape, rng):
    body = body_of(replace(shape, nullable=False), rng)
    spots = [spot for spot in places(body) if isinstance(spot[0], Pairs)]
    for container, at in rng.sample(spots, min(2, len(spots))):
        put(container, at, None)
    body.append(("never_seen", rng.choice([Num("1"), "a", [Num("1"), "b"], Pairs([("x", "y")])])))
    decoded = check(shape, [as_sent(body, rng)])
    assert all(reject.record == "null" for reject in decoded.rejected)


def test_the_order_of_pages_and_records_is_kept_over_many_bodies():
    shape = Object((Field("rows", List(Object((Field("n", Scalar(Kind.INT)),)))),))
    numbers = iter(range(1000))
    pages = []
    for page in range(100):
        records = [f'{{"n":{next(numbers)}}}' for _ in range(10)]
        if page % 7 == 3:
            records[5] = '{"n":"x"}'
        if page % 7 == 5:
            records[2] = records[2].replace("}", ',"new":1}')
        pages.append(f'{{"rows":[{",".join(records)}]}}'.encode())
    decoded = check(shape, pages)
    assert len(decoded.rejected) == 14


@pytest.mark.parametrize("sides", [("[", "]"), ('{"a":', "}")], ids=["lists", "objects"])
def test_an_unknown_value_nested_very_deeply_is_kept_as_json(sides):
    shape = Object((Field("rows", List(Object((Field("n", Scalar(Kind.INT)),)))),))
    left, right = sides
    body = f'{{"rows":[{{"n":1,"x":{left * 400}7{right * 400}}}]}}'.encode()
    decoded, grown, tables = log(shape, [body])
    assert decoded.rejected == ()
    assert len(grown.tables) < 20
    [kept] = [
        cell
        for table in grown.tables
        for column in table.data_columns
        if column.type == "json" and column.level == len(table.lists)
        for cell in tables[table.name][column.name].to_pylist()
    ]
    assert kept == left * kept.count(left) + "7" + right * kept.count(left)
    assert kept.count(left) > 380


@pytest.mark.slow
def test_a_body_of_50_megabytes_is_read_whole():
    shape = Object((Field("rows", List(Object((Field("n", Scalar(Kind.INT)),)))),))
    records = ",".join(f'{{"n":{n}}}' for n in range(1_000_000))
    padding = " " * (50 * 2**20 - len(records))
    decoded, _, tables = log(shape, [f'{{"rows":[{padding}{records}]}}'.encode()])
    assert decoded.rejected == ()
    assert tables["m"]["n"].to_pylist() == list(range(1_000_000))
