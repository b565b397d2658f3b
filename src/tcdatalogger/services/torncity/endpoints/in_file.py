"""A processor that stands in a file of the user's: `levels.py:Levels`."""

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


def names_file(name: str) -> bool:
    """Whether `processor = NAME` means a file, and not what a package registers."""
    return name.endswith(".py") or name.rpartition(":")[0].endswith(".py")


def load(name: str) -> type[EndpointProcessor]:
    """The class in a file.

    The file is run once for each content that it has: an edit counts from the next run on, also in
    a process that lives for long.

    Args:
        name: `PATH.py:CLASS`, with an absolute path.

    Raises:
        ConfigError: the file or the class is not there, the class is no `EndpointProcessor`, or the
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
    """The file as a module, whose name tells its content: other rows may come of another content.

    Raises:
        ConfigError: it cannot be read, or ends in an error.
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
    told = sha256(b"\n".join((bytes(file), source))).hexdigest()
    name = f"{file.stem}_{told[:12]}"
    known = sys.modules.get(name)
    if known is not None:
        return known
    module = ModuleType(name)
    module.__file__ = str(file)
    sys.modules[name] = module  # as for every module: its dataclasses look themselves up there
    try:
        # No loader of Python's: it may take the bytecode of an edit within the same second.
        exec(compile(source, str(file), "exec"), vars(module))  # noqa: S102  # the user names it
    except BaseException as error:
        del sys.modules[name]
        # Whatever its code raises is a mistake in it, but for our own and what ends the process.
        if isinstance(error, Failure) or not isinstance(error, Exception | SystemExit):
            raise
        raise _broken(file, error) from None
    return module


def _broken(file: Path, error: BaseException) -> ConfigError:
    lines = [error.lineno] if isinstance(error, SyntaxError) and error.filename == str(file) else []
    step = error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename == str(file):
            lines.append(step.tb_lineno)
        step = step.tb_next
    at = f", line {lines[-1]}," if lines else ""
    says = getattr(error, "msg", None) or str(error).partition("\n")[0]
    return ConfigError(
        f"The file {file}{at} ends in {type(error).__name__}: {says or 'it says no more'}.",
        remedy="Correct the file. What it imports has to be installed beside tcdatalogger.",
    )
