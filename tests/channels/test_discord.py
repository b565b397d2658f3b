"""In a message for Discord a name is no markup, no link and no mention."""

from __future__ import annotations

import json
import re

from hypothesis import given
from hypothesis import strategies as st

from channel import open_channel
from tcdatalogger.services.channels.discord import Discord, body, plain

from .conftest import alerts, answer, answers


def test_an_answer_goes_with_its_picture_and_its_rows_in_words():
    with open_channel() as found:
        sent = Discord(found.url).send(answers(), 5.0)

    assert sent.why == ""
    (posted,) = found.posted
    assert posted.body["content"] == "**What now?** What is going on. (<t:1795694400:R>)"
    assert posted.body["attachments"][0]["description"] == "What now?\nAnna, 3"
    assert posted.files == {"oc-now.png": b"\x89PNG of oc-now"}


def test_a_message_has_ten_pictures_at_most():
    with open_channel() as found:
        Discord(found.url).send(answers(*(answer(f"q{n}") for n in range(12))), 5.0)

    assert len(found.posted[0].files) == 10


def test_a_long_message_is_cut_and_says_how_much_is_left():
    found = body(alerts(*(f"@everyone {'x' * 500} {n}" for n in range(50))))

    assert len(found["content"]) <= 2_000
    shown = len(re.findall("@\u200beveryone", found["content"]))
    assert f"… and {50 - shown} more: `tcdatalogger status`" in found["content"]


def test_the_commands_of_a_remedy_stay_code_and_the_rest_is_escaped():
    (line,) = body(alerts("*bad*", remedy="`tcdatalogger runs show r1` says *more*."))[
        "content"
    ].splitlines()
    assert r"\*bad\*" in line
    assert r"`tcdatalogger runs show r1` says \*more\*." in line
    odd = body(alerts("x", remedy="one ` alone"))["content"]
    assert r"one \` alone" in odd


@given(st.text())
def test_no_text_of_a_stranger_is_obeyed(text):
    shown = plain(text)
    found = body(alerts(text))

    assert "\n" not in shown
    assert not re.search("@(?!\u200b)", shown)
    assert not re.search(r"(?<!\\)(\\\\)*[*_~`|<>\[\]#]", shown)
    assert not re.search(r"(?<!\\)://", shown)
    assert found["allowed_mentions"] == {"parse": []}
    assert len(found["content"]) <= 2_000
    json.dumps(found).encode()


def test_what_is_refused_is_told_without_the_address():
    with open_channel() as found:
        found.answer = 404
        sent = Discord(found.url).send(alerts("x"), 5.0)

    assert sent.why == "it answered 404"
    assert found.token not in repr(Discord(found.url)) + repr(sent)
