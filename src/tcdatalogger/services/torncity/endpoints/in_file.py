"""Loads a processor from a file of the user: `levels.py:Levels`."""

from __future__ import annotations

import sys
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import TypeGuard

from tcdatalogger.errors import ConfigError, Failure
from tcdatalogger.services.torncity.processing.base import EndpointProcessor
from tcdatalogger.text import did_you_mean

_FROM_THE_FOLDER = "A path is taken from the folder of the configuration."


class ProcessorFile(ModuleType):
    """A module that was made from a file of the user."""


def names_file(name: str) -> bool:
    """Whether `processor = NAME` means a file, and not a processor that a package registers."""
    return name.endswith(".py") or name.rpartition(":")[0].endswith(".py")


def load(name: str) -> type[EndpointProcessor]:
    """The class in a file.

    A process runs the file once for each content, so an edit takes effect at the next run.

    Args:
        name: `PATH.py:CLASS`, with an absolute path.

    Raises:
        ConfigError: the file or the class is missing, the class is no `EndpointProcessor`, or the
            file cannot be imported; the message has the line of the file.
    """
    path, _, wanted = name.rpartition(":")
    if not path.endswith(".py") or not wanted:
        file = Path(name.rstrip(":"))
        raise ConfigError(
            f"{file} is a file, and no class of it is named.",
            remedy=f'Write processor = "{file.name}:CLASS".',
        )
    file = Path(path)
    module = _imported(file)
    found = getattr(module, wanted, None)
    if _is_processor(found):
        return found
    if found is not None:
        raise ConfigError(
            f"{wanted} in {file} is no EndpointProcessor.",
            remedy="Derive it from tcdatalogger.EndpointProcessor.",
        )
    own = [
        each
        for each, value in vars(module).items()
        if _is_processor(value) and value.__module__ == module.__name__
    ]
    there = f"It has {', '.join(own)}." if own else "It has no EndpointProcessor at all."
    raise ConfigError(f"{file} has no class {wanted!r}.", remedy=did_you_mean(wanted, own, there))


def _is_processor(value: object) -> TypeGuard[type[EndpointProcessor]]:
    return isinstance(value, type) and issubclass(value, EndpointProcessor)


def _imported(file: Path) -> ModuleType:
    """The file as a module; its name depends on the content, because the rows depend on it, too.

    Raises:
        ConfigError: the file cannot be read, or raises an error.
    """
    try:
        source = file.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"There is no file {file}.", remedy=_FROM_THE_FOLDER) from None
    except OSError as error:
        raise ConfigError(
            f"The file {file} cannot be read: {error.strerror}.",
            remedy="This user must be able to read it.",
        ) from None
    digest = sha256(b"\n".join((bytes(file), source))).hexdigest()
    name = f"{file.stem}_{digest[:12]}"
    known = sys.modules.get(name)
    if known is not None:
        return known
    module = ProcessorFile(name)
    module.__file__ = str(file)
    sys.modules[name] = module  # as Python does it: dataclasses look their module up there
    try:
        # Not the loader of Python: after an edit in the same second it may use old bytecode.
        code = compile(source, str(file), "exec", dont_inherit=True)
        exec(code, vars(module))  # noqa: S102  # the user names the file
    except BaseException as error:
        at = where(error)
        del sys.modules[name]
        # Any other error is a mistake in the file; failures and the end of a process go on.
        if isinstance(error, Failure) or not isinstance(error, Exception | SystemExit):
            raise
        if isinstance(error, SyntaxError) and error.filename == str(file):
            at = f"{file}, line {error.lineno},"
        says = getattr(error, "msg", None) or str(error).partition("\n")[0] or "it says no more"
        raise ConfigError(
            f"The file {at or file} ends in {type(error).__name__}: {says}.",
            remedy="Correct the file. What it imports has to be installed beside tcdatalogger.",
        ) from None
    return module


def where(error: BaseException) -> str:
    """The last line of a user's file in the traceback of an error, as `/…/levels.py, line 9,`.

    Returns:
        The place, "" where no such file is in the traceback.
    """
    found = ""
    step = error.__traceback__
    while step is not None:
        module = sys.modules.get(step.tb_frame.f_globals.get("__name__", ""))
        if isinstance(module, ProcessorFile):
            found = f"{module.__file__}, line {step.tb_lineno},"
        step = step.tb_next
    return found
