"""`catalog update` fetches Torn's document, and the scheduler tells of a change before it."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tcdatalogger.core.config import configuration, editor_schema
from tcdatalogger.core.operations import catalog_update
from tcdatalogger.core.state.leases import CATALOG
from tcdatalogger.core.state.plans import plans
from tcdatalogger.errors import Failure
from tcdatalogger.scheduler.monitoring.notify import events
from tcdatalogger.services.torncity.catalog import document
from tcdatalogger.services.torncity.catalog.openapi import compile_catalog

MEMBERS = '[[endpoints]]\nname = "members"\npath = "/faction/members"\nfrequency = "PT1H"\n'
INT, TEXT = {"type": "integer"}, {"type": "string"}


def torn_document(version, paths, **fields):
    """Torn's document, as small as can be: each path has a list of members."""
    element = {"type": "object", "properties": {"id": INT, "name": TEXT, **fields}}
    listed = {"type": "array", "items": {**element, "required": ["id"]}}
    schema = {"type": "object", "properties": {"members": listed}, "required": ["members"]}
    get = {
        "x-stability": "Stable",
        "parameters": [{"$ref": "#/components/parameters/ApiKeyPublic"}],
        "responses": {"200": {"content": {"application/json": {"schema": schema}}}},
    }
    key = {"name": "key", "in": "query", "schema": TEXT}
    return {
        "openapi": "3.1.0",
        "info": {"version": version},
        "paths": {path: {"get": get} for path in paths},
        "components": {"schemas": {}, "parameters": {"ApiKeyPublic": key}},
    }


PATHS = ["/faction/members", "/faction/others"]


@pytest.fixture
def torn(workplace):
    """A server with Torn's document, and a configuration that has an older one in use."""

    class Answer(BaseHTTPRequestHandler):
        status, body, asked = 200, b"", []

        def do_GET(self):
            type(self).asked.append({name.lower(): value for name, value in self.headers.items()})
            self.send_response(self.status)
            self.send_header("Content-Length", str(len(self.body)))
            self.end_headers()
            self.wfile.write(self.body)

        def log_message(self, *_):
            """Nothing is printed."""

    Answer.asked = []
    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/openapi.json"
        older = json.dumps(torn_document("1.0.0", PATHS)).encode()
        file = workplace.folder / "tcdatalogger.catalog.json"
        file.write_bytes(compile_catalog(older, "older"))
        extra = f'[torn]\nurl = "{workplace.city.url}"\ndocument = "{url}"\n'
        workplace.write(MEMBERS)
        text = workplace.file.read_text().replace(f'[torn]\nurl = "{workplace.city.url}"\n', extra)
        workplace.file.write_text(text)
        Answer.url, Answer.file = url, file
        Answer.serve = lambda facts: setattr(Answer, "body", json.dumps(facts).encode())
        yield Answer
        server.shutdown()
        thread.join()


def scheduled(workplace, run_id):
    with workplace.application() as application:
        claim = application.state.leases.claim(CATALOG, run_id)
        try:
            catalog_update.scheduled(application, claim, 60.0)
        finally:
            application.state.leases.release(claim)
        now = application.clock.now()
        found = events(application.settings, application.state, now)
        return [event for event in found if event.kind == "document"]


def test_what_changes_in_ones_tables_is_shown_and_then_in_use(workplace, torn):
    torn.serve(torn_document("1.1.0", PATHS, days=INT))
    before = torn.file.read_bytes()

    dry = workplace.run("catalog", "update", "--dry-run")
    assert dry.code == 0, dry.err
    assert "members (changed)" in dry.out
    assert torn.file.read_bytes() == before

    editor_schema.write(workplace.folder, configuration.catalog.load(torn.file))
    done = workplace.run("catalog", "update", "--json")
    assert (done.code, done.json["old"], done.json["new"]) == (0, "1.0.0", "1.1.0")
    assert [each["endpoint"] for each in done.json["touched"]] == ["members"]
    assert done.json["file"] == str(torn.file)
    assert b'"days' in torn.file.read_bytes()
    assert "param" in (workplace.folder / editor_schema.FILE).read_text()

    again = workplace.run("catalog", "update")
    assert "nothing changes" in again.out
    sent = json.dumps(torn.asked)
    assert workplace.key not in sent
    assert "tcdatalogger/" in torn.asked[0]["user-agent"]
    assert "authorization" not in torn.asked[0]


def test_an_endpoint_whose_path_is_gone_is_not_dropped_by_the_way(workplace, torn):
    torn.serve(torn_document("2.0.0", ["/faction/others", "/faction/more"]))
    before = torn.file.read_bytes()

    done = workplace.run("catalog", "update")
    assert (done.code, "no path for members" in done.err) == (65, True)
    assert torn.file.read_bytes() == before

    assert workplace.run("catalog", "update", "--accept").code == 0
    assert torn.file.read_bytes() != before


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (503, b"", 69),
        (302, b"", 69),
        (200, b"<html>checking your browser</html>", 65),
        (200, b'{"openapi": "3.1.0"}', 65),
        (200, json.dumps(torn_document("9", [])).encode(), 65),
    ],
)
def test_what_is_no_document_changes_nothing(workplace, torn, status, body, code):
    torn.status, torn.body = status, body
    before = torn.file.read_bytes()
    assert workplace.run("catalog", "update").code == code
    assert torn.file.read_bytes() == before


def test_a_document_without_end_is_cut_off(workplace, torn, monkeypatch):
    monkeypatch.setattr(document, "LARGEST", 100)
    torn.serve(torn_document("1.1.0", PATHS))
    assert workplace.run("catalog", "update").code == 65


def test_the_scheduler_tells_of_a_change_until_it_is_taken_over(workplace, torn):
    torn.serve(torn_document("1.0.0", PATHS))
    assert scheduled(workplace, "20260101T000000Z-00000001") == []

    torn.serve(torn_document("1.1.0", PATHS, days=INT))
    workplace.clock.sleep(60)
    (told,) = scheduled(workplace, "20260101T000100Z-00000002")
    assert told.text == "Torn's document of its API has changed: version 1.1.0 changes members."
    assert "catalog update" in told.remedy

    workplace.clock.sleep(60)
    assert workplace.run("catalog", "update").code == 0
    with workplace.application() as application:
        now = application.clock.now()
        assert not [
            e for e in events(application.settings, application.state, now) if e.kind == "document"
        ]


def test_a_document_that_cannot_be_read_is_a_failed_run_and_no_alert_of_a_change(workplace, torn):
    torn.status = 500
    with pytest.raises(Failure):
        scheduled(workplace, "20260101T000000Z-00000001")
    (run,) = json.loads(workplace.run("runs", "list", "--json").out)
    assert (run["status"], run["endpoint"]) == ("failed", CATALOG)


def test_it_is_looked_for_where_the_api_is_torns_or_an_address_is_named(workplace, torn):
    assert CATALOG in plans(configuration.load(workplace.file, {}))
    of_sandbox = configuration.load(workplace.file, {}, ['torn.document=""'])
    assert CATALOG not in plans(of_sandbox)
    url = ["torn.url=https://api.torn.com/v2"]
    text = workplace.file.read_text().replace(f'document = "{torn.url}"\n', "")
    workplace.file.write_text(text)
    assert CATALOG not in plans(configuration.load(workplace.file, {}))
    assert CATALOG in plans(configuration.load(workplace.file, {}, url))
    assert configuration.load(workplace.file, {}, url).torn.documented.startswith("https://www.")


def test_its_address_is_no_secret_and_no_open_wire(workplace):
    for wrong in ("http://torn.example/x", "https://me:pw@torn.example/x", "file:///etc/passwd"):
        done = workplace.run("config", "show", "--set", f"torn.document={wrong}")
        assert (done.code, "torn.document" in done.err) == (78, True), wrong
