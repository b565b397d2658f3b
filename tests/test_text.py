"""Foreign text is harmless for a terminal and a spreadsheet, and a program loses nothing of it.
An unknown word gets the known one that it is like.
"""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcdatalogger.text import did_you_mean, for_spreadsheet, harmless, in_json, one_line

ANY = st.text(alphabet=st.characters(exclude_categories=()))
TURNS = {
    chr(code) for code in (0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
}


@given(ANY)
def test_a_terminal_obeys_nothing_of_a_harmless_text(text):
    shown = harmless(text)

    assert not any(
        unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"} for c in shown if c not in "\n\t"
    )
    assert not TURNS & set(shown)
    assert "\n" not in one_line(text)
    shown.encode()


@given(st.text(alphabet=st.characters(categories=("L", "N", "P", "Zs"))))
def test_a_text_that_nothing_obeys_stays_as_it_is(text):
    assert harmless(text) == text


@given(st.recursive(ANY | st.none() | st.integers(), lambda inner: st.dictionaries(ANY, inner)))
def test_a_program_reads_the_same_json(value):
    text = in_json(json.dumps(value, ensure_ascii=False))

    assert json.loads(text) == value
    text.encode()


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", " =1", "\t=1", "\r=1", "\uff1d1+1", "-"],
)
def test_a_formula_becomes_a_text(text):
    assert for_spreadsheet(text) == f"'{text}"


@pytest.mark.parametrize("text", ["-5", "+3.25", "Duke", "a=b", "", "3-2", "'=1"])
def test_what_is_no_formula_stays_as_it_is(text):
    assert for_spreadsheet(text) == text


@pytest.mark.parametrize(
    ("word", "most", "says"),
    [
        ("faction_crime", 1, "Did you mean 'faction_crimes'?"),
        ("faction_crime", 2, "Did you mean 'faction_crimes' or 'faction_news'?"),
        ("ITEMS", 1, "Did you mean 'items'?"),
        ("bazaar", 1, "There are three."),
        ("", 1, "There are three."),
    ],
)
def test_an_unknown_word_gets_the_known_ones_that_it_is_like(word, most, says):
    known = ("items", "faction_news", "faction_crimes")
    assert did_you_mean(word, known, "There are three.", most=most) == says
    assert did_you_mean(word, (), most=most) == ""
