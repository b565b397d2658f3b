from __future__ import annotations

import json
import tomllib
from textwrap import dedent

from hypothesis import given
from hypothesis import strategies as st

from tcdatalogger.core.config.toml_lines import line_of, places


def lines(text):
    tomllib.loads(text)  # what is asked about is TOML
    return {".".join(map(str, place)): line for place, line in places(text).items()}


def test_every_way_to_write_a_key_has_its_line():
    found = lines(
        dedent(
            '''\
            plain = 1                  # 1
            a.dotted . "key" = 2
            [table]
            text = """
            [not.a.table]
            no = 'key'
            """"
            literal = \'\'\'
            x = 1\'\'\'
            "quo\\"ted" = [ 1, # a ] in a comment
              "] , }", { in = 3, deep = [ { er = 4 } ] },
            ]
            [ spaced . "out" ]
            when = 1979-05-27 07:32:00
            inline = { a = "}", b.c = 'x' }
            '''
        )
    )
    assert found == {
        "plain": 1,
        "a": 2,
        "a.dotted": 2,
        "a.dotted.key": 2,
        "table": 3,
        "table.text": 4,
        "table.literal": 8,
        'table.quo"ted': 10,
        'table.quo"ted.0': 10,
        'table.quo"ted.1': 11,
        'table.quo"ted.2': 11,
        'table.quo"ted.2.in': 11,
        'table.quo"ted.2.deep': 11,
        'table.quo"ted.2.deep.0': 11,
        'table.quo"ted.2.deep.0.er': 11,
        "spaced": 13,
        "spaced.out": 13,
        "spaced.out.when": 14,
        "spaced.out.inline": 15,
        "spaced.out.inline.a": 15,
        "spaced.out.inline.b": 15,
        "spaced.out.inline.b.c": 15,
    }


def test_tables_in_lists_are_counted_and_those_below_belong_to_the_latest():
    found = lines(
        dedent(
            """\
            [[e]]
            n = 1
            [e.p]
            q = 1
            [[e.f]]
            [[e.f]]
            g = 2
            [[e]]
            [[e.f]]
            g = 3
            """
        )
    )
    assert found == {
        "e": 1,
        "e.0": 1,
        "e.0.n": 2,
        "e.0.p": 3,
        "e.0.p.q": 4,
        "e.0.f": 5,
        "e.0.f.0": 5,
        "e.0.f.1": 6,
        "e.0.f.1.g": 7,
        "e.1": 8,
        "e.1.f": 9,
        "e.1.f.0": 9,
        "e.1.f.0.g": 10,
    }


def test_lines_are_the_same_with_the_line_ends_of_windows():
    text = '[a]\nb = """\nx\n"""\nc = 1\n'
    assert lines(text) == lines(text.replace("\n", "\r\n"))


def test_what_is_missing_is_found_at_the_table_it_should_be_in():
    found = places("[[endpoints]]\npath = '/x'\n")
    assert line_of(found, ("endpoints", 0, "name")) == 1
    assert line_of(found, ("nothing",)) is None


KEYS = st.text(max_size=6)
BARE = st.sampled_from(["a", "b-c", "d_1", "9"])
VALUES = st.recursive(
    st.one_of(
        st.integers(-(2**40), 2**40),
        st.booleans(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=10),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(BARE | KEYS, inner, max_size=3)
    ),
    max_leaves=8,
)


def key(name):
    return (
        name
        if name and all(c.isascii() and (c.isalnum() or c in "-_") for c in name)
        else text(name)
    )


def text(value):
    # JSON's texts are TOML's, save for pairs of surrogates and the delete character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def toml(value, draw):
    if isinstance(value, dict):
        inside = ", ".join(f"{key(k)} = {toml(v, draw)}" for k, v in value.items())
        return f"{{ {inside} }}"
    if isinstance(value, list):
        gap = draw(st.sampled_from(["", " ", "\n", " # ] } \" ' =\n  "]))
        return f"[{gap}{f',{gap}'.join(toml(item, draw) for item in value)}{gap}]"
    if isinstance(value, str):
        if draw(st.booleans()) and "'" not in value and value.isprintable():
            return draw(st.sampled_from([f"'{value}'", f"'''{value}'''"]))
        if draw(st.booleans()):
            return f'"""\n{text(value)[1:-1]}"""'
        return text(value)
    return json.dumps(value)


def all_places(value, place=()):
    if place:
        yield place
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for name, item in items:
        if isinstance(item, dict | list):
            yield from all_places(item, (*place, name))
        else:
            yield (*place, name)


@given(st.dictionaries(BARE | KEYS, VALUES, max_size=4), st.data())
def test_the_walk_finds_just_what_toml_says_there_is(document, data):
    written = "".join(f"{key(k)} = {toml(v, data.draw)}\n" for k, v in document.items())
    tables = "".join(
        f"[[t.{key(k)}]]\n" + "".join(f"{key(n)}.x = {toml(v, data.draw)}\n" for n in document)
        for k, v in document.items()
    )
    whole = (written if "t" not in document else "") + tables
    assert set(places(whole)) == set(all_places(tomllib.loads(whole)))
