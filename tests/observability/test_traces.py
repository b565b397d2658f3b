from __future__ import annotations

import gzip
import http.server
import os
import subprocess
import sys
import threading

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tcdatalogger.observability import traces

STEPS = ["fetch", "transform", "validate", "store"]


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        body = gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body
        request = ExportTraceServiceRequest.FromString(body)
        self.server.raw.append(body)
        self.server.headers.append(dict(self.headers))
        for resource in request.resource_spans:
            self.server.resources.append(attributes(resource.resource))
            for scope in resource.scope_spans:
                self.server.spans += scope.spans
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def attributes(thing):
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in thing.attributes}


def outside(environ):
    """The environment of a process that is told where traces go by nothing else."""
    ours = {name: text for name, text in os.environ.items() if not name.startswith("OTEL_")}
    return ours | environ


@pytest.fixture
def collector(monkeypatch):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        server.spans, server.resources, server.raw, server.headers = [], [], [], []
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        traces._tracer.forget()
        yield server
        if traces._tracer._provider is not None:
            traces._tracer._provider.shutdown()
        traces._tracer.forget()
        server.shutdown()


def test_a_run_is_a_span_with_its_steps_below_it(workplace, collector):
    outcome = workplace.log("faction_crimes")
    spans = {span.name: span for span in collector.spans}
    assert sorted(spans) == sorted(["run", *STEPS])
    run = spans["run"]
    assert run.parent_span_id == b""
    for step in STEPS:
        assert spans[step].parent_span_id == run.span_id
        assert spans[step].trace_id == run.trace_id
        assert run.start_time_unix_nano <= spans[step].start_time_unix_nano
        assert spans[step].end_time_unix_nano <= run.end_time_unix_nano
    found = attributes(run)
    assert found["tcdatalogger.endpoint"] == "faction_crimes"
    assert found["tcdatalogger.run_id"] == outcome.record.run_id
    assert found["tcdatalogger.status"] == "done"
    assert found["tcdatalogger.rows"] == sum(outcome.record.rows.values()) > 0
    assert found["tcdatalogger.calls"] == outcome.record.calls
    assert collector.resources[0]["service.name"] == "tcdatalogger"


def test_a_run_that_fails_says_by_what(workplace, city, collector):
    workplace.key = city.keys["public"]
    assert workplace.log("faction_crimes").error is not None
    spans = {span.name: span for span in collector.spans}
    assert spans["run"].status.code == spans["run"].status.STATUS_CODE_ERROR
    assert attributes(spans["run"])["error.type"] == "KeyRefused"
    assert attributes(spans["fetch"])["error.type"] == "KeyRefused"
    assert "store" not in spans


def test_no_key_is_in_a_trace(workplace, collector):
    workplace.log("faction_crimes")
    assert collector.raw
    assert workplace.key.encode() not in b"".join(collector.raw)


def test_two_runs_are_two_traces(workplace, collector):
    workplace.log("faction_crimes")
    workplace.log("faction_basic")
    runs = [span for span in collector.spans if span.name == "run"]
    assert len({span.trace_id for span in runs}) == len(runs) == 2


def test_a_collector_that_is_gone_holds_nobody_up(workplace, collector, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.2")
    monkeypatch.setattr(traces, "_SENDING", 0.05)
    assert workplace.log("faction_crimes").record.status == "done"


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_nothing_is_imported_where_no_traces_are_wanted(environ):
    code = (
        "import sys; from tcdatalogger.observability.traces import span\n"
        "with span('run', rows=1) as one: one.note(rows=2); one.fail('X')\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, env=outside(environ))


def test_without_the_extra_a_run_goes_on_without_traces():
    code = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from tcdatalogger.observability.traces import span\n"
        "with span('run') as one: one.note(rows=2)\n"
    )
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, env=outside(environ))
