from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcdatalogger.observability.redact import redact, register

KEY = "rEdAcTedK3y00001"


@pytest.fixture(autouse=True)
def known():
    register(KEY)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nothing here", "nothing here"),
        (f"<{KEY}>", "<***>"),
        (f"{KEY}{KEY}", "******"),
        ("Authorization: ApiKey abc", "Authorization: ApiKey ***"),
        ("{'Authorization': 'ApiKey abc', 'x': 1}", "{'Authorization': 'ApiKey ***', 'x': 1}"),
        ("authorization: bearer abc", "authorization: bearer ***"),
        ("https://x/v2?key=abc&cat=all", "https://x/v2?key=***&cat=all"),
        ("?cat=all&KEY=abc", "?cat=all&KEY=***"),
        ("api_key=abc, next", "api_key=***, next"),
        ("the key is bad", "the key is bad"),
        ("monkey=banana", "monkey=banana"),
    ],
)
def test_keys_are_hidden_wherever_they_stand(text, expected):
    assert redact(text) == expected


def test_an_empty_secret_hides_nothing():
    register("")
    assert redact("abc") == "abc"


@given(st.text(), st.text())
def test_no_text_around_a_key_brings_it_out(before, after):
    assert KEY not in redact(f"{before}{KEY}{after}")


CORE = """
import resource
from tcdatalogger.observability.redact import register

_, most = resource.getrlimit(resource.RLIMIT_CORE)
resource.setrlimit(resource.RLIMIT_CORE, (most, most))
register("a secret")
print(resource.getrlimit(resource.RLIMIT_CORE) == (0, most))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there are no limits of processes")
def test_who_knows_a_secret_leaves_no_file_of_its_memory():
    done = subprocess.run([sys.executable, "-c", CORE], capture_output=True, text=True, check=True)

    assert done.stdout == "True\n"
