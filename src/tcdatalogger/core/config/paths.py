"""Resolves the paths of the configuration, and the default places beside the warehouse."""

from __future__ import annotations

import re
from pathlib import Path


def file_of(url: str, scheme: str) -> Path | None:
    """The file of an address `scheme:///FILE`, None for any other address."""
    prefix = f"{scheme}:///"
    return Path(url.removeprefix(prefix)) if url.startswith(prefix) else None


def resolve_path(path: str, folder: Path) -> Path:
    """The absolute path; `~` and `..` are resolved, relative paths start at `folder`."""
    return (folder / Path(path).expanduser()).resolve()


def resolve_processor(processor: str, folder: Path) -> str:
    """A processor in a file (`levels.py:Levels`) with that taken from `folder`; a name as it is."""
    file, colon, kind = processor.rpartition(":") if ":" in processor else (processor, "", "")
    return f"{resolve_path(file, folder)}{colon}{kind}" if file.endswith(".py") else processor


def resolve_url(url: str, scheme: str, folder: Path) -> str:
    """An address `scheme:///FILE` with the absolute path of its file; other addresses unchanged."""
    file = file_of(url, scheme)
    return url if file is None else f"{scheme}:///{resolve_path(str(file), folder)}"


def state_beside(warehouse: str) -> str:
    """The default address of the state: a SQLite file beside the warehouse."""
    file = file_of(warehouse, "duckdb") or Path("data/torn")
    return f"sqlite:///{file.with_suffix('.state.sqlite')}"


def backups_beside(warehouse: str) -> Path:
    """The default folder of the backups: `backups` beside the warehouse."""
    return (file_of(warehouse, "duckdb") or Path("data/torn")).with_name("backups")


def spool_beside(state: str) -> Path:
    """The folder beside a state in which answers wait for a bucket."""
    return (file_of(state, "sqlite") or Path("data/torn")).with_name("spool")


def resolve_reference(reference: str, folder: Path) -> str:
    """A reference to a secret with the absolute path of a `file:`; other references unchanged."""
    scheme, _, rest = reference.partition(":")
    return f"file:{resolve_path(rest, folder)}" if scheme == "file" else reference


_PLAIN = frozenset(
    "host port user dbname service options sslmode application_name location".split()
)
"""The parameters of an address whose values may be shown."""


def without_password(url: str | None) -> str | None:
    """An address with *** in place of its password and of unknown parameters.

    The password ends at the last @, because it may have an @ itself.
    """
    if url is None:
        return None
    url = re.sub(r"^(\w+://[^:@/?]*):.*@", r"\1:***@", url)
    place, mark, rest = url.partition("?")
    pairs = [pair.partition("=") for pair in rest.split("&")]
    shown = [f"{name}{sign}{value if name in _PLAIN else '***'}" for name, sign, value in pairs]
    return place + mark + "&".join(shown) if mark else url
