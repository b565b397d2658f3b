"""Where things are that the configuration names: relative paths, and what is beside what."""

from __future__ import annotations

import re
from pathlib import Path


def file_of(url: str, scheme: str) -> Path | None:
    """The file that a `scheme:///FILE` names, None for any other address."""
    prefix = f"{scheme}:///"
    return Path(url.removeprefix(prefix)) if url.startswith(prefix) else None


def resolve_path(path: str, folder: Path) -> Path:
    """`path` as an absolute one, `~` and `..` resolved."""
    return (folder / Path(path).expanduser()).resolve()


def resolve_processor(processor: str, folder: Path) -> str:
    """A processor in a file (`levels.py:Levels`) with that taken from `folder`; a name as it is."""
    file, colon, kind = processor.rpartition(":") if ":" in processor else (processor, "", "")
    return f"{resolve_path(file, folder)}{colon}{kind}" if file.endswith(".py") else processor


def resolve_url(url: str, scheme: str, folder: Path) -> str:
    """A `scheme:///FILE` with its file taken from `folder`; any other address as it is."""
    file = file_of(url, scheme)
    return url if file is None else f"{scheme}:///{resolve_path(str(file), folder)}"


def state_beside(warehouse: str) -> str:
    """The address of the state beside a warehouse."""
    file = file_of(warehouse, "duckdb") or Path("data/torn")
    return f"sqlite:///{file.with_suffix('.state.sqlite')}"


def backups_beside(warehouse: str) -> Path:
    """The folder of the backups beside a warehouse."""
    return (file_of(warehouse, "duckdb") or Path("data/torn")).with_name("backups")


def resolve_reference(reference: str, folder: Path) -> str:
    """A reference to a secret with the path of a `file:` taken from `folder`."""
    scheme, _, rest = reference.partition(":")
    return f"file:{resolve_path(rest, folder)}" if scheme == "file" else reference


_PLAIN = frozenset("host port user dbname service options sslmode application_name".split())
"""What may be shown of an address after its question mark."""


def without_password(url: str | None) -> str | None:
    """An address with *** for its password: up to the last @, as one may stand in a password."""
    if url is None:
        return None
    url = re.sub(r"^(\w+://[^:@/?]*):.*@", r"\1:***@", url)
    place, mark, rest = url.partition("?")
    pairs = [pair.partition("=") for pair in rest.split("&")]
    shown = [f"{name}{sign}{value if name in _PLAIN else '***'}" for name, sign, value in pairs]
    return place + mark + "&".join(shown) if mark else url
