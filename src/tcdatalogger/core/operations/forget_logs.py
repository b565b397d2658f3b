"""Players who are forgotten get their aliases in log files."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tcdatalogger import private
from tcdatalogger.models.people.pseudonyms import Pseudonyms
from tcdatalogger.models.people.rewriter import BodyRewriter, PersonFacts
from tcdatalogger.models.shape import Json

_PLAYER = re.compile(r"player:(\d+)")


def rewrite_logs(file: Path | None, pseudonyms: Pseudonyms, *, dry: bool = False) -> int:
    """Change the lines of a log file and of the older ones beside it; how many.

    Whoever writes meanwhile waits for the file, and goes on in the new one.

    Args:
        file: the newest file, None for no file.
        pseudonyms: the players.
        dry: whether the lines are only counted.
    """
    if file is None:
        return 0
    changed = 0
    with _locked(file, dry=dry):
        for path in (file, *sorted(file.parent.glob(f"{file.name}.[0-9]*"))):
            if not path.is_file():
                continue
            lines = path.read_bytes().splitlines(keepends=True)
            made = [_line(line, pseudonyms) for line in lines]
            different = sum(new != old for new, old in zip(made, lines, strict=True))
            changed += different
            if different and not dry:
                _replace(path, b"".join(made))
    return changed


def _line(line: bytes, pseudonyms: Pseudonyms) -> bytes:
    text = line.decode("utf-8", "surrogateescape")
    body, end = text.rstrip("\r\n"), text[len(text.rstrip("\r\n")) :]
    made = BodyRewriter(PersonFacts(Json()), pseudonyms).json(body) if body else body

    def alias(found: re.Match[str]) -> str:
        known = pseudonyms.of_id(found[1])
        return found[0] if known is None else f"player:{known.digits}"

    made = _PLAYER.sub(alias, made)
    return line if made == body else f"{made}{end}".encode("utf-8", "surrogateescape")


def _replace(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    with open(part, "wb", opener=private.opener) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


@contextmanager
def _locked(file: Path, *, dry: bool) -> Iterator[None]:
    """Keep writers out: those of a log that begins anew lock a file beside it for each line."""
    lock = file.with_name(f".{file.name}.lock")
    if dry or not file.exists():
        yield
        return
    handle = private.opener(lock, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
