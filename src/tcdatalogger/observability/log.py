"""Structured logs: one line for each event, with the run that it belongs to.

The standard library writes them: `Logger` makes its records, and a `logging.Formatter` renders each
of them as JSON or as words for people. Nothing is written before `configure` is called at the edge
of the process, so that using a part of this package as a library is silent.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TextIO

from tcdatalogger import disk
from tcdatalogger.errors import ConfigError
from tcdatalogger.observability.logfile import LogFile
from tcdatalogger.observability.redact import redact
from tcdatalogger.text import harmless

LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_DOWNWARDS: Final = (*reversed(LEVELS.items()), ("debug", 0))
_OURS: Final = "tcdatalogger"
_FACTS: Final = "tcdatalogger_facts"  # where a record carries them
_SILENT: Final = 100  # above every level
_LONGEST: Final = 2_000  # characters of one text: enough for a reason, too little for a body
_COLOURS: Final = {"debug": "2", "info": "32", "warning": "33", "error": "31"}

_bound: ContextVar[Mapping[str, object]] = ContextVar("bound", default={})  # noqa: B039  # never changed in place

if logging.getLogger(_OURS).level == logging.NOTSET:  # a program that imports us may have set it
    logging.getLogger(_OURS).setLevel(_SILENT)


@dataclass(slots=True)
class _Edge:
    """What `configure` decided; there is one for the process."""

    structured: bool = False
    handlers: list[_Handler] = field(default_factory=list)
    file: LogFile | None = None


class Logger:
    """Writes lines for one component. An event is a key in snake case, its facts are fields.

    The facts of `bound` are on each line. A secret never is, nor a body: texts are cut short and
    bytes are only counted. `docs/logs.md` lists every event.
    """

    __slots__ = ("_component", "_logger")

    def __init__(self, component: str) -> None:
        self._component = component
        self._logger = logging.getLogger(f"{_OURS}.{component}")

    def debug(self, event: str, **facts: object) -> None:
        """Write a line that only a search for a fault needs."""
        self._write(logging.DEBUG, event, facts)

    def info(self, event: str, **facts: object) -> None:
        """Write a line about what goes as it should."""
        self._write(logging.INFO, event, facts)

    def warning(self, event: str, **facts: object) -> None:
        """Write a line about what somebody may want to look at."""
        self._write(logging.WARNING, event, facts)

    def error(self, event: str, **facts: object) -> None:
        """Write a line about what failed."""
        self._write(logging.ERROR, event, facts)

    def exception(self, event: str, **facts: object) -> None:
        """Write a line about what failed, with the traceback of the current error."""
        self._write(logging.ERROR, event, facts, traceback=_traceback())

    def _write(
        self, level: int, event: str, facts: Mapping[str, object], traceback: str = ""
    ) -> None:
        if not self._logger.isEnabledFor(level):
            return
        # Made safe here and not by the formatter: a program around us may have handlers of its own.
        line = _safe_facts({"component": self._component, **_bound.get(), **facts})
        if traceback:
            line["exception"] = traceback
        self._logger.log(level, _safe_text(event), extra={_FACTS: line})


def get_logger(component: str) -> Logger:
    """The logger of a part of the program, as `run` or `warehouse`."""
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
        format: `human`, `json`, or `auto`: JSON, but on a terminal lines for people. They leave out
            date, component, run and process, which lines of `human` have.
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
    _edge.structured = not human
    colours = terminal and "NO_COLOR" not in os.environ
    people = _HumanFormatter(colours=colours, short=format == "auto")
    _add(out, shown or level, people if human else _JSONFormatter())
    if file is not None:
        _edge.file = _open(file, max_bytes, keep)
    if _edge.file is not None:
        _add(_edge.file, level, _JSONFormatter())
    least = min(handler.level for handler in _edge.handlers)
    logging.getLogger(_OURS).setLevel(least)


def structured() -> bool:
    """Whether the lines are JSON, so that no other line should stand among them."""
    return _edge.structured


def stop() -> None:
    """Be silent again, and close the file."""
    logging.getLogger(_OURS).setLevel(_SILENT)
    for handler in _edge.handlers:
        logging.getLogger().removeHandler(handler)
    _edge.handlers.clear()
    _edge.structured = False
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


class _Handler(logging.StreamHandler[Any]):
    """Writes each line with one call, so that those of several processes do not mix."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Take our own lines, and of other libraries only what is a warning or worse."""
        return hasattr(record, _FACTS) or record.levelno >= logging.WARNING

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # the library's name
        """A full disk or a closed terminal must not end a run; anything else is a fault of ours."""
        del record
        if not isinstance(sys.exception(), OSError | ValueError):
            raise  # noqa: PLE0704  # called within the `except` of `emit`


_edge = _Edge()
_FOR_PROGRAMS = frozenset({"component", "run_id", "process"})  # what a short line leaves out


def _add(stream: object, level: str, formatter: logging.Formatter) -> None:
    handler = _Handler(stream)
    handler.setLevel(LEVELS[level])
    handler.setFormatter(formatter)
    _edge.handlers.append(handler)
    logging.getLogger().addHandler(handler)


class _JSONFormatter(logging.Formatter):
    """A line for programs."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(_line(record), ensure_ascii=False)


class _HumanFormatter(logging.Formatter):
    """A line for people: the event as words, each fact as `name=value`.

    A short one leaves out the date and what stands in `_FOR_PROGRAMS`.
    """

    def __init__(self, *, colours: bool, short: bool) -> None:
        super().__init__()
        self._colours = colours
        self._short = short

    def format(self, record: logging.LogRecord) -> str:
        line = _line(record)
        level, event = str(line.pop("level")), str(line.pop("event"))
        timestamp, traceback = str(line.pop("timestamp")), line.pop("exception", "")
        if self._short:
            timestamp = timestamp[11:19] + "Z"
            line = {name: value for name, value in line.items() if name not in _FOR_PROGRAMS}
        words = [
            self._in("2", timestamp),
            f"[{self._in(_COLOURS[level], f'{level:<7}')}]",
            self._in("1", event.replace("_", " ") + ":"),
            *(f"{self._in('36', name)}={_shown(value)}" for name, value in line.items()),
        ]
        return "\n".join(filter(None, (" ".join(words), str(traceback))))

    def _in(self, colour: str, text: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._colours else text


def _shown(value: object) -> str:
    """A fact in one word, or in quotes where it has spaces or is empty."""
    text = str(value)
    return text if text and text.isprintable() and not set(text) & set(" \"'=") else repr(value)


def _line(record: logging.LogRecord) -> dict[str, object]:
    """The fields of a line, in their order; the lines of other libraries have them too."""
    facts: dict[str, object] | None = getattr(record, _FACTS, None)
    event = record.getMessage()
    if facts is None:
        said = {"component": record.name, **_bound.get(), "message": event}
        facts, event = _safe_facts(said), "library_message"
    at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds")
    return {
        "timestamp": at.replace("+00:00", "Z"),
        "level": next(name for name, least in _DOWNWARDS if record.levelno >= least),
        "event": event,
        **facts,
        # The process is asked each time, as a forked child would carry its parent's number.
        "process": os.getpid(),
    }


def _safe_facts(facts: Mapping[str, object]) -> dict[str, object]:
    """Facts with no secret, no body, and nothing that a terminal obeys."""
    return {redact(str(name)): _safe(value) for name, value in facts.items()}


def _safe(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{memoryview(value).nbytes:d} bytes>"
    if isinstance(value, Mapping):
        return _safe_facts(value)
    if isinstance(value, list | tuple | set | frozenset):
        return [_safe(item) for item in value]
    return _safe_text(value if isinstance(value, str) else str(value))


def _safe_text(text: str) -> str:
    text = harmless(redact(text))
    if len(text) > _LONGEST:
        return f"{text[:_LONGEST]}… ({len(text)} characters)"
    return text


def _traceback() -> str:
    """Of the current error, whole; without local variables, as keys may be among them."""
    error = sys.exception()
    if error is None:
        return ""
    text = logging.Formatter().formatException((type(error), error, error.__traceback__))
    return harmless(redact(text))


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
