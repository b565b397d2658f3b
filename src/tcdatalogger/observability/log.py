"""Structured logs: one line for each thing that happened, with the run that it belongs to.

`get_logger` costs nothing: structlog is imported when the first line is written. Until `configure`
was called at the edge of the process nothing is written at all, so that using a part of this
package as a library is silent.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, TextIO

from tcdatalogger import disk
from tcdatalogger.errors import ConfigError
from tcdatalogger.observability.logfile import LogFile
from tcdatalogger.observability.redact import redact
from tcdatalogger.text import harmless

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_SILENT = 100  # above every level
_LONGEST = 2_000  # characters of one text: enough for a reason, too little for a body

_bound: ContextVar[Mapping[str, object]] = ContextVar("bound", default={})  # noqa: B039  # never changed in place


@dataclass(frozen=True, slots=True)
class _Sink:
    """Where lines go: a stream, how they look there, and the least level of those it gets."""

    stream: TextIO | LogFile | _StandardError
    render: Callable[..., Any]
    level: int


@dataclass(slots=True)
class _Edge:
    """What `configure` decided; there is one for the process."""

    level: int = _SILENT
    structured: bool = False
    output: Any = None
    file: LogFile | None = None


_edge = _Edge()


class Logger:
    """Writes lines for one component. An event is a short phrase, its facts are names and values.

    The facts of `bound` are on each line. A secret never is, nor a body: texts are cut short and
    bytes are only counted.
    """

    __slots__ = ("_component",)

    def __init__(self, component: str) -> None:
        self._component = component

    def debug(self, event: str, **facts: object) -> None:
        _line(self._component, "debug", event, facts)

    def info(self, event: str, **facts: object) -> None:
        _line(self._component, "info", event, facts)

    def warning(self, event: str, **facts: object) -> None:
        _line(self._component, "warning", event, facts)

    def error(self, event: str, **facts: object) -> None:
        """`exc_info=True` adds the traceback of the exception at hand."""
        _line(self._component, "error", event, facts)


def _line(component: str, level: str, event: str, facts: Mapping[str, object]) -> None:
    if LEVELS[level] >= _edge.level:
        getattr(_edge.output, level)(event, component=component, **{**_bound.get(), **facts})


def get_logger(component: str) -> Logger:
    """The logger of a part of the program, named as its module: `core.run.run`."""
    return Logger(component)


@contextmanager
def bound(**facts: object) -> Iterator[None]:
    """Put facts (`run_id`, `endpoint`) on every line that is written inside, in this thread."""
    token = _bound.set({**_bound.get(), **facts})
    try:
        yield
    finally:
        _bound.reset(token)


def configure(
    level: str = "info",
    format: str = "auto",  # noqa: A002  # the name of the setting
    file: Path | None = None,
    stream: TextIO | None = None,
    *,
    shown: str = "",
    max_bytes: int = 0,
    keep: int = 5,
) -> None:
    """Decide once, at the edge of a process, where lines go and how they look.

    Args:
        level: the least important lines that are written: debug, info, warning or error.
        format: `human`, `json`, or `auto`: human on a terminal and JSON elsewhere.
        file: a file that gets each line too, always as JSON.
        stream: instead of the standard error.
        shown: the least important lines that the stream gets, where that is not `level`.
        max_bytes: how large the file may get before another one is begun, 0 for no limit.
        keep: how many old files stay.

    Raises:
        ConfigError: the file cannot be written.
    """
    out = _StandardError() if stream is None else stream
    terminal = out.isatty()
    human = format == "human" or (format == "auto" and terminal)
    stop()
    sinks: list[_Place] = [(out, human, LEVELS[shown or level])]
    if file is not None:
        _edge.file = _open(file, max_bytes, keep)
    if _edge.file is not None:
        sinks.append((_edge.file, False, LEVELS[level]))
    _edge.level, _edge.structured = min(least for *_, least in sinks), not human
    _edge.output = _Late(
        partial(_wrapped, sinks, colours=terminal and "NO_COLOR" not in os.environ)
    )
    _take_others()


def structured() -> bool:
    """Whether the lines are JSON, so that no other line should stand among them."""
    return _edge.structured


def stop() -> None:
    """Be silent again, and close the file."""
    _edge.level, _edge.structured, _edge.output = _SILENT, False, None
    if _edge.file is not None:
        with suppress(OSError):
            _edge.file.close()
        _edge.file = None


class _StandardError:
    """The standard error as it is at each line: a live display may stand in its place meanwhile."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()

    def isatty(self) -> bool:
        return sys.stderr.isatty()


_Place = tuple[TextIO | LogFile | _StandardError, bool, int]
"""Where lines go, whether people read them there, and the least level of those it gets."""


class _Late:
    """Stands for the real logger until its first line, as structlog takes a tenth of a second."""

    def __init__(self, make: partial[Any]) -> None:
        self._make = make

    def __getattr__(self, name: str) -> Any:
        _edge.output = self._make()
        return getattr(_edge.output, name)


def _wrapped(sinks: list[_Place], *, colours: bool) -> Any:
    structlog = imported()
    plain = structlog.dev.plain_traceback  # a pretty one shows local variables, and so keys
    renderers: list[_Sink] = [
        _Sink(
            stream,
            structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=plain, pad_event_to=0)
            if human
            else structlog.processors.JSONRenderer(ensure_ascii=False),
            least,
        )
        for stream, human, least in sinks
    ]
    return structlog.wrap_logger(
        None,
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _ordered,
            structlog.processors.format_exc_info,
            without_secrets,
            partial(_emit, renderers, threading.Lock()),
        ],
        wrapper_class=structlog.BoundLogger,
    )


def imported() -> Any:
    """structlog, without rich, which it would import for pretty tracebacks that we never show.

    That would be half of its time (40 ms of each run) and 4 MB of each process.
    """
    absent = "rich" not in sys.modules
    if absent:
        sys.modules["rich"] = None  # type: ignore[assignment]  # means: there is none
    try:
        import structlog  # noqa: PLC0415  # slow to import, and many commands never log a line
    finally:
        if absent:
            del sys.modules["rich"]
    return structlog


def _ordered(
    _logger: Any, _method: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    first = {name: line.pop(name) for name in ("timestamp", "level", "event", "component")}
    # The process is asked each time, as a forked child would carry its parent's number.
    return {**first, **line, "process": os.getpid()}


def without_secrets(
    _logger: Any, _method: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """The processor that lets no secret, no body and nothing that a terminal obeys through."""
    return {
        redact(str(name)): harmless(redact(str(value))) if name == "exception" else _safe(value)
        for name, value in line.items()
    }


def _safe(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{memoryview(value).nbytes:d} bytes>"
    if isinstance(value, Mapping):
        return {redact(str(key)): _safe(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_safe(item) for item in value]
    text = harmless(redact(value if isinstance(value, str) else str(value)))
    if len(text) > _LONGEST:
        return f"{text[:_LONGEST]}… ({len(text)} characters)"
    return text


def _emit(
    sinks: list[_Sink], lock: threading.Lock, logger: Any, method: str, line: dict[str, Any]
) -> NoReturn:
    import structlog  # noqa: PLC0415  # here it is loaded already

    with lock:
        for sink in sinks:
            if LEVELS[line["level"]] < sink.level:
                continue
            text = sink.render(logger, method, dict(line))
            # One write for a line, so that those of several processes do not mix.
            # A full disk or a closed terminal must not end a run.
            with suppress(OSError, ValueError):
                sink.stream.write(f"{text}\n")
                sink.stream.flush()
    raise structlog.DropEvent


def _open(file: Path, max_bytes: int, keep: int) -> LogFile | None:
    """The file; None on a full disk, which ends no command that writes nothing else."""
    try:
        return LogFile(file, max_bytes, keep)
    except OSError as error:
        other = ConfigError(
            f"The log file {file} cannot be written: {error.strerror}.",
            remedy="Set log.file to a place that can.",
        )
        failure = disk.failure(error, f"the log file {file}", other)
        if failure is other:
            raise other from None
        return None


class _Others(logging.Handler):
    """Takes the lines of other libraries, so that they too are structured and free of secrets."""

    def emit(self, record: logging.LogRecord) -> None:
        level = "error" if record.levelno >= logging.ERROR else "warning"
        _line(record.name, level, record.getMessage(), {})


def _take_others() -> None:
    root = logging.getLogger()
    if not any(isinstance(handler, _Others) for handler in root.handlers):
        root.addHandler(_Others(logging.WARNING))
