"""The mark beside what was moved away: it says where to, so nothing is logged in two places."""

from __future__ import annotations

import json
import os
import shlex
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from tcdatalogger import files, private
from tcdatalogger.core.config.settings import Settings
from tcdatalogger.errors import ConfigError

AWAY: Final = ".moved"
"""The ending of the mark beside a configuration, or beside the file of a state or a warehouse."""

ARRIVING: Final = ".arriving"
"""The ending of the mark beside a configuration that has come, while the old one has none."""


@dataclass(frozen=True, slots=True)
class MoveMark:
    """What a mark says.

    Attributes:
        place: what was moved (or, of one that arrives, where it comes from): a configuration, a
            file.
        to: where it is now: a configuration, or an address.
        at: when, as 2026-11-27T18:00:00Z.
        sums: what tells whether anything was stored in the new place since, by names.
    """

    place: str
    to: str
    at: str
    sums: dict[str, str] = field(default_factory=dict)


def beside(file: Path, ending: str = AWAY) -> Path:
    """The path of the mark beside a file."""
    return file.with_name(f"{file.name}{ending}")


def read(file: Path, ending: str = AWAY) -> MoveMark | None:
    """The mark beside a file, None where there is none.

    Raises:
        ConfigError: it cannot be read.
    """
    path = beside(file, ending)
    try:
        return MoveMark(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(
            f"The mark {path} says that {file} was moved, and cannot be read: {error}.",
            remedy=f"If it was not moved, delete the mark: rm {shlex.quote(str(path))}",
        ) from None


def write(file: Path, mark: MoveMark, ending: str = AWAY) -> None:
    """Write the mark beside a file; on return it is durable.

    Raises:
        OSError: it cannot be written; there is none then.
    """
    path = beside(file, ending)
    half = path.with_name(f".{path.name}.part")
    try:
        with open(half, "wb", opener=private.opener) as opened:
            opened.write(json.dumps(asdict(mark)).encode())
            opened.flush()
            os.fsync(opened.fileno())
        half.replace(path)
        files.sync_folder(path.parent)
    finally:
        half.unlink(missing_ok=True)


def remove(file: Path, ending: str = AWAY) -> None:
    """Take the mark beside a file away; without one nothing is done."""
    beside(file, ending).unlink(missing_ok=True)
    files.sync_folder(file.parent)


def refuse(file: Path, settings: Settings) -> None:
    """Refuse an installation that was moved away, or that has not wholly arrived.

    Args:
        file: its configuration.
        settings: of it.

    Raises:
        ConfigError: it is not to be used; the message says where it went.
    """
    file = file.resolve()
    if mark := read(file):
        raise ConfigError(
            f"This installation was moved to {mark.to} at {mark.at}.",
            remedy=f"Use it there: tcdatalogger --config {shlex.quote(mark.to)} status. To come "
            f"back: tcdatalogger --config {shlex.quote(str(file))} move --undo",
        )
    if mark := read(file, ARRIVING):
        here = shlex.quote(str(file.parent))
        raise ConfigError(
            f"The move of {mark.place} to this place has not ended.",
            remedy=f"End it: tcdatalogger --config {shlex.quote(mark.place)} move {here}",
        )
    for part, path in (("warehouse", settings.warehouse.file), ("state", settings.state.file)):
        if path is not None and (mark := read(path)):
            raise ConfigError(
                f"The {part} {path} was moved to {mark.to} at {mark.at}.",
                remedy=f"Name it so in `{part}.url`. To come back: tcdatalogger --config "
                f"{shlex.quote(str(file))} move --undo",
            )
