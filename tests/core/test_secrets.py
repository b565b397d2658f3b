from __future__ import annotations

import copy
import json
import logging
import pickle
import sys
import tracemalloc
import types

import pytest

from tcdatalogger.core.config.secrets import Secret, resolve
from tcdatalogger.errors import ConfigError, KeyRefused

KEY = "Zx81kQ2mPp0AbCdE"


def test_a_key_comes_from_the_environment():
    secret = resolve("default", "env:TORN_API_KEY", {"TORN_API_KEY": KEY})
    assert (secret.name, secret.reveal()) == ("default", KEY)


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_a_key_comes_from_a_file_without_the_newline_at_its_end(tmp_path, ending):
    file = tmp_path / "key"
    file.write_bytes(f"{KEY}{ending}".encode())
    assert resolve("default", f"file:{file}", {}).reveal() == KEY


def test_a_document_may_have_several_lines_and_is_as_secret_as_a_key(tmp_path):
    file = tmp_path / "google.json"
    text = '{\n  "type": "service_account", "private_key": "-----BEGIN …"\n}'
    file.write_text(text, encoding="utf-8")
    place = "warehouse.credentials"

    found = resolve(place, f"file:{file}", {}, document=True)

    assert found.reveal() == text
    assert "BEGIN" not in repr(found)
    with pytest.raises(ConfigError, match=place):
        resolve(place, f"file:{file}", {})
    with pytest.raises(ConfigError, match=place):
        resolve(place, "env:NOTHING", {}, document=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("default", "YOUR_KEY"),
        ("digest.webhook", "https://YOUR_WEBHOOK"),
        ("ui.passwords.owner", '"$(openssl rand -base64 18)"'),
        ("ui.tokens.member", '"$(openssl rand -base64 18)"'),
    ],
)
def test_a_variable_that_is_not_set_is_set_by_a_command_of_its_kind(name, value):
    with pytest.raises(ConfigError) as refused:
        resolve(name, "env:NOT_SET", {})
    assert refused.value.remedy == f"Set it: export NOT_SET={value}"


def test_a_key_comes_from_a_keyring_where_one_is_installed(monkeypatch):
    ring = types.ModuleType("keyring")
    ring.get_password = lambda service, user: KEY if (service, user) == ("torn", "me") else None
    errors = types.ModuleType("keyring.errors")
    errors.KeyringError = RuntimeError
    monkeypatch.setitem(sys.modules, "keyring", ring)
    monkeypatch.setitem(sys.modules, "keyring.errors", errors)
    assert resolve("default", "keyring:torn/me", {}).reveal() == KEY
    with pytest.raises(ConfigError, match="keyring set torn you"):
        resolve("default", "keyring:torn/you", {})


def test_without_the_package_a_keyring_reference_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ConfigError, match="pip install keyring"):
        resolve("default", "keyring:torn/me", {})


@pytest.mark.parametrize(
    ("reference", "environ", "named"),
    [
        ("env:TORN_API_KEY", {}, "TORN_API_KEY"),
        ("env:TORN_API_KEY", {"TORN_API_KEY": ""}, "TORN_API_KEY"),
        ("env:TORN_API_KEY", {"TORN_API_KEY": f"{KEY}\r\nX-Evil: 1"}, "TORN_API_KEY"),
        ("env:TORN_API_KEY", {"TORN_API_KEY": f" {KEY}"}, "TORN_API_KEY"),
        ("env:TORN_API_KEY", {"TORN_API_KEY": f"{KEY}é"}, "TORN_API_KEY"),
        ("file:/nowhere/at/all", {}, "/nowhere/at/all"),
        ("keyring:torn", {}, "keyring:SERVICE/USER"),
        (KEY, {}, "keys.default"),
        (f"evn:{KEY}", {}, "keys.default"),
        ("env:", {}, "keys.default"),
    ],
)
def test_a_reference_that_leads_nowhere_names_the_place_and_never_a_value(
    reference, environ, named
):
    with pytest.raises(ConfigError) as caught:
        resolve("default", reference, environ)
    assert named in str(caught.value)
    assert caught.value.remedy
    assert KEY not in f"{caught.value!s}{caught.value!r}{caught.value.__context__!r}"


def test_a_binary_file_is_no_key(tmp_path):
    file = tmp_path / "key"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="is not text"):
        resolve("default", f"file:{file}", {})


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        "{}".format,
        "{!r:>40}".format,
        lambda secret: f"{secret}",
        lambda secret: "%s %r" % (secret, secret),  # noqa: UP031
        lambda secret: json.dumps({"key": secret}, default=str),
        lambda secret: str([secret, {secret: secret}]),
        lambda secret: repr(copy.deepcopy(secret)),
        lambda secret: logging.LogRecord("x", 20, "", 1, "%s", (secret,), None).getMessage(),
        lambda secret: str(KeyRefused("dead", key=secret).__dict__),
    ],
)
def test_a_secret_never_prints(show):
    shown = show(Secret("default", KEY))
    assert KEY not in shown


def test_a_secret_is_never_pickled_and_never_changed():
    secret = Secret("default", KEY)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError) as caught:
            pickle.dumps(secret, protocol)
        assert KEY not in str(caught.value)
    with pytest.raises(AttributeError):
        secret.name = "other"
    with pytest.raises(AttributeError):
        del secret._value
    assert not hasattr(secret, "__dict__")


def test_secrets_compare_by_name_and_value():
    assert Secret("a", KEY) == Secret("a", KEY)
    assert len({Secret("a", KEY), Secret("a", KEY)}) == 1
    assert Secret("a", KEY) != Secret("b", KEY)
    assert Secret("a", KEY) != Secret("a", KEY.lower())
    assert Secret("a", KEY) != KEY


@pytest.mark.parametrize("endless", ["/dev/zero", "/dev/urandom"])
def test_a_file_that_never_ends_is_no_key_and_takes_no_memory(endless):
    tracemalloc.start()
    try:
        with pytest.raises(ConfigError, match=r"more than a key|is not text"):
            resolve("default", f"file:{endless}", {})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000
