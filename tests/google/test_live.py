"""Whoever has a project of Google's runs the same suite there; without one nothing is asked."""

from __future__ import annotations

import http.server
import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from bigquery import EXPIRES, LIVE, datasets
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery as google

ROOT = Path(__file__).parents[2]
ONE = "test_append_adds_the_rows_of_each_run_to_parent_and_child"


class _Outside(http.server.BaseHTTPRequestHandler):
    """Stands where the network is: it gives tokens, and connects to nobody."""

    def log_message(self, *_):
        pass

    def do_CONNECT(self):
        self.server.asked.append(self.path)
        self.send_error(403)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps({"access_token": "x", "token_type": "Bearer", "expires_in": 3600})
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body.encode())


@pytest.fixture
def outside():
    """The only way out of a process of tests; `asked` has to whom it wanted to connect."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Outside) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def suite(outside, tmp_path):
    """Runs one test of the suite in a process of its own, with default credentials of nobody."""
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    at = f"http://127.0.0.1:{outside.server_port}"
    found = {"type": "service_account", "client_email": "x@p.iam.gserviceaccount.com",
             "private_key": key.decode(), "token_uri": f"{at}/token"}  # fmt: skip
    (tmp_path / "key.json").write_text(json.dumps(found))

    def suite(**variables):
        given = {"GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "key.json"), "HTTPS_PROXY": at,
                 "NO_PROXY": "127.0.0.1", "BIGQUERY_EMULATOR_HOST": "127.0.0.1:9"}  # fmt: skip
        words = ["-q", "-m", "bigquery_live", "-k", ONE, "-p", "no:cacheprovider"]
        return subprocess.run(
            [sys.executable, "-m", "pytest", *words, "tests/warehouses/test_conformance.py"],
            cwd=ROOT, env={**os.environ, **given, **variables},
            capture_output=True, text=True, check=False, timeout=300,
        ).stdout  # fmt: skip

    return suite


@pytest.mark.slow
def test_with_a_project_the_suite_asks_google(outside, suite):
    told = suite(**{LIVE: "somebodys-project"})
    assert outside.asked
    assert set(outside.asked) == {"bigquery.googleapis.com:443"}
    assert f"{ONE}[bigquery_live]" in told
    assert "/projects/somebodys-project/datasets" in told
    assert "1 in a project of Google's" in told


@pytest.mark.slow
def test_without_a_project_nothing_is_asked_and_the_summary_tells_why(outside, suite):
    told = suite()
    assert outside.asked == []
    assert re.search(rf"\d+ tests marked bigquery_live are left out: {LIVE} names no project", told)


def test_a_dataset_of_google_is_the_tests_own_and_its_tables_expire(monkeypatch):
    asked = []

    def answer(_client, _retry, *, method, path, data=None, **_):
        asked.append((method, path, data))
        return data or {}

    monkeypatch.setattr(google.Client, "_call_api", answer)
    asks = google.Client("somebodys-project", AnonymousCredentials())
    assert asks._connection.API_BASE_URL == "https://bigquery.googleapis.com"
    with datasets(asks, EXPIRES) as make:
        urls = {make(), make()}
    made, deleted = asked[:2], asked[2:]
    assert {(method, path) for method, path, _ in made} == {
        ("POST", "/projects/somebodys-project/datasets")
    }
    assert {data["defaultTableExpirationMs"] for *_, data in made} == {"7200000"}
    sets = [data["datasetReference"]["datasetId"] for *_, data in made]
    assert urls == {f"bigquery://somebodys-project/{name}?location=EU" for name in sets}
    assert [(method, path.rpartition("/")[2]) for method, path, _ in deleted] == [
        ("DELETE", name) for name in sets
    ]
