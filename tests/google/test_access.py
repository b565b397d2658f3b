"""Addresses and credentials: nothing is asked of anybody."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tcdatalogger.errors import ConfigError
from tcdatalogger.observability.redact import redact
from tcdatalogger.services.google import access, names
from tcdatalogger.services.google.address import Address, parse
from tcdatalogger.services.google.connect import connect

ACCOUNT = "logger@torn.iam.gserviceaccount.com"
URL = "bigquery://torn-1/faction"


class Document:
    def __init__(self, **told):
        self.text = json.dumps(told)

    def reveal(self):
        return self.text


@pytest.fixture(scope="module")
def key():
    """A key of RSA that is nobody's."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415

    made = rsa.generate_private_key(65537, 2048)
    kinds = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return made.private_bytes(*kinds, serialization.NoEncryption()).decode()


@pytest.mark.parametrize(
    ("url", "address"),
    [
        (URL, Address("torn-1", "faction")),
        (f"{URL}?location=EU", Address("torn-1", "faction", "EU")),
        (f"{URL}?location=europe-west1", Address("torn-1", "faction", "europe-west1")),
        ("bigquery://example.com:torn-1/f_1", Address("example.com:torn-1", "f_1")),
    ],
)
def test_an_address_names_a_dataset(url, address):
    assert parse(url) == address


@pytest.mark.parametrize(
    "url",
    [
        "bigquery://", "bigquery://torn-1", "bigquery://torn-1/", "bigquery:///faction",
        "bigquery://torn-1/faction/table", "bigquery://torn-1/fac-tion", f"{URL}?place=EU",
        f"{URL}?location=", f"{URL}?location=E U", f"{URL}?location=EU&x=1", f"{URL}#x",
        "bigquery://t/faction", "bigquery://Torn-1/faction", "duckdb:///x", "",
        "bigquery://user:word@torn-1/faction",
    ],
)  # fmt: skip
def test_an_address_of_no_dataset_is_told_with_a_right_one(url):
    with pytest.raises(ConfigError, match="bigquery://PROJECT/DATASET") as caught:
        parse(url)
    assert "word" not in str(caught.value)


def test_an_emulator_is_asked_by_nobodys_name():
    found = access.find(
        {"BIGQUERY_EMULATOR_HOST": "localhost:9050", "BIGQUERY_STORAGE_EMULATOR_HOST": "x:1"},
        Document(type="service_account"),
    )
    assert (found.endpoint, found.storage_endpoint) == ("http://localhost:9050", "x:1")
    assert type(found.credentials).__name__ == "AnonymousCredentials"


def test_a_service_account_comes_from_the_document_and_is_named_in_commands(key):
    found = access.find(
        {}, Document(type="service_account", client_email=ACCOUNT, private_key=key,
                     token_uri="https://oauth2.googleapis.com/token"),
    )  # fmt: skip
    assert found.member == f"serviceAccount:{ACCOUNT}"
    assert found.credentials.scopes == ("https://www.googleapis.com/auth/bigquery",)
    assert found.endpoint is None


@pytest.mark.parametrize(
    "told",
    [
        {
            "type": "authorized_user", "client_id": "an-id", "client_secret": "a-client-secret",
            "refresh_token": "a-refresh-token",
        },
        {
            "type": "external_account", "audience": "//iam.googleapis.com/x",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": "https://sts.googleapis.com/v1/token",
            "credential_source": {"file": "/var/run/token"},
        },
    ],
)  # fmt: skip
def test_a_login_and_workload_identity_work_as_documents(told):
    assert access.find({}, Document(**told)).member == "serviceAccount:YOUR_ACCOUNT"


@pytest.mark.parametrize(
    "told",
    [
        {}, {"type": "sesame"}, {"type": ["x"]}, {"type": "service_account"},
        {"type": "service_account", "client_email": "x", "private_key": "sesame",
         "token_uri": "y"},
        {"type": "authorized_user", "client_secret": "sesame"},
        {"type": "external_account", "audience": "sesame"},
    ],
)  # fmt: skip
def test_a_document_that_is_none_is_refused_without_a_word_of_it(told):
    with pytest.raises(ConfigError) as caught:
        access.find({}, Document(**told))
    assert "sesame" not in repr(caught.getrepr(style="short", showlocals=False))
    assert "sesame" not in str(caught.value)


def test_the_key_in_a_document_is_hidden_in_the_log(key):
    access.find({}, Document(type="service_account", client_email=ACCOUNT, private_key=key,
                             token_uri="https://oauth2.googleapis.com/token"))  # fmt: skip
    assert redact(f"it is {key}!") == "it is ***!"


def test_a_document_that_is_no_json_is_refused():
    document = Document()
    document.text = "AAAA sesame"
    with pytest.raises(ConfigError, match="no JSON"):
        access.find({}, document)


def test_without_credentials_it_is_told_how_to_get_some():
    with pytest.raises(ConfigError, match="gcloud auth application-default login"):
        access.find({})


def test_the_file_that_the_environment_names_is_used(key, tmp_path, monkeypatch):
    file = tmp_path / "key.json"
    file.write_text(Document(type="service_account", client_email=ACCOUNT, private_key=key,
                             token_uri="https://oauth2.googleapis.com/token").text)  # fmt: skip
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    assert access.find({}).member == f"serviceAccount:{ACCOUNT}"


def test_the_name_of_a_job_tells_what_makes_it_another_one():
    one = names.job("load", "set", "load-1", "wars", "a")
    assert one == names.job("load", "set", "load-1", "wars", "a")
    others = [
        ("load", "set", "load-1", "wars", "b"), ("load", "set", "load-1", "warsa"),
        ("load", "set", "load-1wars", "a"), ("keep", "set", "load-1", "wars", "a"),
    ]  # fmt: skip
    assert len({one, *(names.job(*parts) for parts in others)}) == 5
    assert one.startswith("tcd-load-set-load_1-wars-")
    long = names.job("load", "ü" * 5000, "x" * 5000, "y" * 5000)
    assert len(long) < 1024
    assert long.isascii()


def test_without_the_library_it_is_told_which_package_brings_it():
    code = (
        "import sys; sys.modules['google.cloud.bigquery'] = None\n"
        "from tcdatalogger.services.google.connect import connect\n"
        f"connect({URL!r}, {{'BIGQUERY_EMULATOR_HOST': 'x'}})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'google-cloud-bigquery>=3.47,<4'" in done.stderr
    assert done.stderr.count("Traceback") == 1


def test_the_extra_is_the_package_that_is_named():
    from pathlib import Path  # noqa: PLC0415

    from tcdatalogger.services.google.connect import PACKAGE  # noqa: PLC0415

    project = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert f'bigquery = ["{PACKAGE}"]' in project


def test_to_make_a_client_asks_nothing():
    client = connect(URL, {"BIGQUERY_EMULATOR_HOST": "127.0.0.1:9"})
    assert client.address == Address("torn-1", "faction")
    client.close()
