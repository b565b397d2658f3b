"""Where a process ends: any exception becomes one clear line and an exit code."""

from __future__ import annotations

import errno
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

from tcdatalogger import disk
from tcdatalogger.errors import ConfigError, DiskFull, Failure, UsageError
from tcdatalogger.observability.redact import redact
from tcdatalogger.text import harmless

INTERRUPTED = 130
BROKEN_PIPE = 141


def answered(call: Callable[[], int], words: Sequence[str]) -> int:
    """The exit code of `call`, whatever happens in it.

    Args:
        call: does the work.
        words: of the command line; they say whether an error is wanted as JSON, and whether a
            bug may show its traceback.
    """
    try:
        code = call()
        sys.stdout.flush()
    except Failure as failure:
        return _report(failure, words)
    except click.exceptions.NoArgsIsHelpError as error:
        _say(error.format_message())
        return UsageError.exit_code
    except click.UsageError as error:
        return _report(_as_failure(error), words)
    except click.ClickException as error:
        return _report(UsageError(error.format_message()), words)
    except (KeyboardInterrupt, click.Abort):
        _say("interrupted")
        return INTERRUPTED
    except SystemExit as end:
        # click ends like this when the program that reads our output has ended (`… | head`).
        if "PacifyFlushWrapper" in type(sys.stdout).__name__:
            return _hushed()
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except OSError as error:
        return _of_the_system(error, words)
    except Exception as error:  # noqa: BLE001  # the edge of the process: nothing is above us
        return _bug(error, words)
    return code


def _of_the_system(error: OSError, words: Sequence[str]) -> int:
    if error.errno == errno.EPIPE:
        return _hushed()
    full = disk.failure(error, str(error.filename or "the output"), Failure(""))
    return _report(full, words) if isinstance(full, DiskFull) else _bug(error, words)


def _as_failure(error: click.UsageError) -> UsageError:
    """An error of click as one of ours: with a full stop, and the command that shows the help."""
    path = error.ctx.command_path if error.ctx is not None else "tcdatalogger"
    message = error.format_message()
    # `(Did you mean one of: '--all', '--tag'?)` is a question of its own.
    message = re.sub(r"\(Did you mean one of: (.*)\?\)$", r"Did you mean one of \1?", message)
    if not message.endswith((".", "?", "!")):
        message += "."
    return UsageError(message, remedy=f"`{path} --help` shows how it is used.")


def _report(failure: Failure, words: Sequence[str]) -> int:
    message, remedy = redact(failure.message), redact(failure.remedy)
    problems = failure.problems if isinstance(failure, ConfigError) else ()
    _say(f"error: {message}")
    for problem in problems:
        _say(f"  {redact(problem)}")
    if remedy:
        _say(f"  {remedy}")
    if "--debug" in words:
        _traceback(failure)
    error: dict[str, Any] = {
        "class": type(failure).__name__,
        "message": message,
        "remedy": remedy,
    }
    if problems:
        error["problems"] = [redact(problem) for problem in problems]
    return _json(error, failure.exit_code, words)


def _bug(error: Exception, words: Sequence[str]) -> int:
    name = type(error).__name__
    in_file = sys.modules.get("tcdatalogger.services.torncity.endpoints.in_file")
    at = in_file.where(error) if in_file is not None else ""  # no processor ran without it
    begins = f"The file {at} ended in" if at else "This should not have happened:"
    message = f"{begins} {name}: {redact(str(error))}".rstrip(": ")
    remedy = "Run it again with --debug, and report what it shows."
    if at:
        remedy = "Correct the file. --debug shows the way to that line."
    _say(f"error: {message}")
    if "--debug" in words:
        _traceback(error)
    else:
        _say(f"  {remedy}")
    return _json({"class": name, "message": message, "remedy": remedy}, 1, words)


def _traceback(error: BaseException) -> None:
    import traceback  # only when something went wrong

    _say(redact("".join(traceback.format_exception(error))))


def _json(error: dict[str, Any], code: int, words: Sequence[str]) -> int:
    if "--json" in words:
        try:
            print(json.dumps({"error": {**error, "exit_code": code}}), flush=True)  # noqa: T201
        except BrokenPipeError:
            _hushed()
    return code


def _say(text: str) -> None:
    from tcdatalogger.cli.output import pasteable  # only when something went wrong

    try:
        text = harmless(pasteable(text))
        print(text, file=sys.stderr, flush=True)  # noqa: T201  # the edge speaks to the terminal
    except OSError:
        return  # nobody is there to read it


def _hushed() -> int:
    """Write no more: Python would report the closed pipe when it ends."""
    void = os.open(os.devnull, os.O_WRONLY)
    os.dup2(void, 1)
    os.close(void)
    return BROKEN_PIPE
