"""OpenTelemetry traces: a span for each run, and below it one for each step.

They are sent by OTLP over HTTP to the address in the standard variables OTEL_EXPORTER_OTLP_*.
Without an address, or without the extra `otel`, nothing is imported and spans do nothing.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from tcdatalogger.observability.log import get_logger
from tcdatalogger.observability.redact import redact, register

_ADDRESSES: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_HEADERS: Final = ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
_SENDING: Final = 2.0
"""Seconds that the end of a run waits until its spans are sent.

After that they are sent while the process goes on, or lost with it: a collector that is down must
not hold the data up.
"""

_log = get_logger("traces")
_current: ContextVar[Any] = ContextVar("span", default=None)


class TraceSpan:
    """A span that is open; without traces it does nothing.

    Args:
        span: the span of OpenTelemetry; None without traces.
    """

    def __init__(self, span: Any = None) -> None:
        self._span = span

    def note(self, **facts: str | float | bool) -> None:
        """Add attributes, as `rows=12`; never a key, never a body."""
        if self._span is not None:
            self._span.set_attributes(_attributes(facts))

    def fail(self, error_class: str, message: str = "") -> None:
        """Mark the span as failed.

        Args:
            error_class: the class of the error.
            message: what went wrong, "" for nothing.
        """
        if self._span is not None:
            from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415  # loaded already

            self._span.set_attributes(_attributes({"error.type": error_class}))
            self._span.set_status(Status(StatusCode.ERROR, redact(message) or None))


_NOTHING: Final = TraceSpan()


@contextmanager
def span(name: str, **facts: str | float | bool) -> Iterator[TraceSpan]:
    """Open a span for what happens inside, below the one that is open in this thread.

    Args:
        name: the name of the span, as `run` or `fetch`.
        facts: its attributes; never a key, never a body.
    """
    if not wanted() or (tracer := _tracer.get()) is None:
        yield _NOTHING
        return
    parent = _current.get()
    from opentelemetry import trace  # noqa: PLC0415  # only where it is wanted

    around = None if parent is None else trace.set_span_in_context(parent)
    found = tracer.start_span(name, context=around, attributes=_attributes(facts))
    token = _current.set(found)
    measured = TraceSpan(found)
    try:
        yield measured
    except BaseException as error:
        measured.fail(type(error).__name__)
        raise
    finally:
        _current.reset(token)
        found.end()
        if parent is None:
            _tracer.send()


def wanted() -> bool:
    """Whether the environment has an address for traces."""
    off = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    none = os.environ.get("OTEL_TRACES_EXPORTER", "otlp") == "none"
    return not off and not none and any(os.environ.get(name) for name in _ADDRESSES)


def _attributes(facts: dict[str, str | float | bool]) -> dict[str, str | float | bool]:
    return {
        name if "." in name else f"tcdatalogger.{name}": redact(value)
        if isinstance(value, str)
        else value
        for name, value in facts.items()
    }


class _Tracer:
    """Makes the SDK at the first span of a process; a forked child makes its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.forget()

    def forget(self) -> None:
        """Make the SDK anew at the next span."""
        self._process = 0
        self._tracer: Any = None
        self._provider: Any = None

    def get(self) -> Any:
        """The tracer of OpenTelemetry; None where the extra is not installed."""
        with self._lock:
            if self._process != os.getpid():
                self._process = os.getpid()
                self._provider = _provider()
                made = self._provider
                self._tracer = None if made is None else made.get_tracer("tcdatalogger")
                atexit.register(self.send)
            return self._tracer

    def send(self) -> None:
        """Send the spans; return when they are sent, or after `_SENDING` seconds."""
        provider = self._provider
        if provider is None or self._process != os.getpid():
            return
        sending = threading.Thread(target=provider.force_flush, daemon=True, name="traces")
        sending.start()
        sending.join(_SENDING)


_tracer = _Tracer()


def _provider() -> Any:
    for name in _HEADERS:
        for pair in os.environ.get(name, "").split(","):
            register(pair.partition("=")[2].strip())
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError:
        _log.warning(
            "traces_unavailable",
            message="OTEL_EXPORTER_OTLP_ENDPOINT needs two packages: pip install opentelemetry-sdk "
            "opentelemetry-exporter-otlp-proto-http",
        )
        return None
    facts = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": "tcdatalogger"}
    provider = TracerProvider(resource=Resource.create(facts), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
