"""Resolves references to secrets (`env:`, `file:`, `keyring:`) into values that never print."""

from __future__ import annotations

import hmac
import importlib
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NoReturn, Self, final

from tcdatalogger.errors import ConfigError
from tcdatalogger.observability.redact import register

SCHEMES = ("env", "file", "keyring")
LARGEST_FILE = 65_536
"""The most bytes of a file with a key: no key is so long, and some files never end."""
ENCRYPTION_KEY: Final = "warehouse.encryption_key"
"""Under which name messages speak of the key of an encrypted warehouse."""

_LIKE_A_KEY: Final = re.compile(r"(?<![\w-])[A-Za-z0-9]{16}(?![\w-])")
"""Matches a key that is not a part of a longer word."""
_HERE: Final = Path()


@final
class Secret:
    """A secret value with a name that logs may show; only `reveal` returns the value.

    It cannot be pickled, so it never gets into another process or a file by mistake: pass the
    reference and resolve it there.

    Attributes:
        name: the name of the secret.
    """

    __slots__ = ("_value", "name")

    name: str

    def __init__(self, name: str, value: str) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "_value", value)
        register(value)

    def reveal(self) -> str:
        """The value, for the one place that sends it."""
        value: str = object.__getattribute__(self, "_value")
        return value

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"A secret is frozen: {name} cannot be set.")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"A secret is frozen: {name} cannot be deleted.")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        same = hmac.compare_digest(self.reveal().encode(), other.reveal().encode())
        return self.name == other.name and same

    def __hash__(self) -> int:
        return hash((Secret, self.name))

    def __repr__(self) -> str:
        return f"Secret({self.name!r})"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(f"The secret {self.name!r} cannot be pickled.")


def misplaced(reference: str, environ: Mapping[str, str], folder: Path = _HERE) -> bool:
    """Whether a reference contains a secret itself, with or without `env:`, `file:` or `keyring:`.

    That is so where it looks like a key of Torn's or like the address of a webhook, and there is no
    such variable or file. From then on this process hides the secret in all its output.

    Args:
        reference: the reference.
        environ: the environment that `env:` reads.
        folder: the folder at which relative paths of `file:` start.
    """
    scheme, _, rest = reference.partition(":")
    if scheme not in SCHEMES:
        rest = reference
    elif (rest in environ) if scheme == "env" else (scheme == "file" and _there(folder, rest)):
        return False
    found = [*_LIKE_A_KEY.findall(rest), *([rest] if "://" in rest else [])]
    for secret in found:
        register(secret)
    return bool(found)


def _there(folder: Path, path: str) -> bool:
    try:
        return (folder / Path(path).expanduser()).exists()
    except (OSError, ValueError, RuntimeError):  # the text is no path
        return False


def resolve(
    name: str, reference: str, environ: Mapping[str, str], *, document: bool = False
) -> Secret:
    """The secret of a reference.

    Args:
        name: the name of the secret in the configuration and the logs.
        reference: `env:VARIABLE`, `file:PATH` (one newline at its end is not part of the secret)
            or `keyring:SERVICE/USER` (needs the package `keyring`).
        environ: the environment that `env:` reads.
        document: whether the secret is a whole text of several lines, and no key.

    Raises:
        ConfigError: there is no value, the value cannot be a key, or the reference is a key itself.
            The message names the reference and never the value.
    """
    if misplaced(reference, environ):
        raise ConfigError(
            f"{_place(name)} holds what looks like a key itself: there is no such variable or "
            "file.",
            remedy="Write where the key is: env:VARIABLE, file:PATH or keyring:SERVICE/USER.",
        )
    scheme, _, rest = reference.partition(":")
    if scheme == "env" and rest:
        value = _from_env(name, rest, environ)
    elif scheme == "file" and rest:
        value = _from_file(name, rest)
    elif scheme == "keyring" and rest:
        value = _from_keyring(name, rest)
    else:
        raise ConfigError(
            f"{_place(name)} is not a reference to a key.",
            remedy="Write env:VARIABLE, file:PATH or keyring:SERVICE/USER.",
        )
    if not value:
        raise ConfigError(f"{_of(name, reference)} is empty.", remedy="Put the key there.")
    one_word = value.isascii() and value.isprintable() and " " not in value
    if not document and not one_word:
        # The key goes into a header of the request, where a line break would start another header.
        raise ConfigError(
            f"{_of(name, reference)} holds something that cannot be a key: a blank, a line break "
            "or a letter outside ASCII.",
            remedy="Put the key there alone; Torn's keys are 16 letters and digits.",
        )
    return Secret(name, value)


def _place(name: str) -> str:
    """The place in the configuration; a secret that is no key of Torn's has its place as name."""
    return name if "." in name else f"keys.{name}"


def _what(name: str) -> str:
    return f"the value of {name}" if "." in name else f"the key {name!r}"


_PLACEHOLDERS = {
    "alerts.webhook": "https://YOUR_WEBHOOK",
    "digest.webhook": "https://YOUR_WEBHOOK",
    "ui.passwords": '"$(openssl rand -base64 18)"',
    "ui.tokens": '"$(openssl rand -base64 18)"',
    "url": "https://YOUR_ADDRESS",
    "secret": '"$(openssl rand -base64 24)"',
    "token": "YOUR_TOKEN",
    "password": "YOUR_PASSWORD",
}
"""What a command sets that is no key of Torn's, by the place in the configuration, by the table of
it, or by the setting of a channel."""


def _of(name: str, reference: str) -> str:
    what = _what(name)
    return f"{what[:1].upper()}{what[1:]} ({reference})"


def _from_env(name: str, variable: str, environ: Mapping[str, str]) -> str:
    value = environ.get(variable)
    if value is None:
        table, _, setting = name.rpartition(".")
        names = [name, table, *([setting] if table.startswith("channels.") else [])]
        placeholder = next((_PLACEHOLDERS[n] for n in names if n in _PLACEHOLDERS), "YOUR_KEY")
        raise ConfigError(
            f"The environment variable {variable}, where {_what(name)} should be, is not set.",
            remedy=f"Set it: export {variable}={placeholder}",
        )
    return value


def _from_file(name: str, path: str) -> str:
    try:
        with Path(path).expanduser().open("rb") as file:
            held = file.read(LARGEST_FILE + 1)
        text = held.decode()
    except OSError as error:
        raise ConfigError(
            f"The file {path}, where {_what(name)} should be, cannot be read: "
            f"{error.strerror or 'unknown reason'}.",
            remedy="Write the key into it, alone on its line.",
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(
            f"The file {path}, where {_what(name)} should be, is not text.",
            remedy="Write the key into it, alone on its line.",
        ) from None
    if len(held) > LARGEST_FILE:
        raise ConfigError(
            f"The file {path}, where {_what(name)} should be, holds far more than a key.",
            remedy="Write the key into a file, alone on its line.",
        )
    return text.removesuffix("\n").removesuffix("\r")


def _from_keyring(name: str, place: str) -> str:
    service, slash, user = place.partition("/")
    if not slash or not service or not user:
        raise ConfigError(
            f"keys.{name} names no place in a keyring.", remedy="Write keyring:SERVICE/USER."
        )
    try:
        # An optional extra that is imported only where it is needed.
        keyring = importlib.import_module("keyring")
        refused: type[Exception] = importlib.import_module("keyring.errors").KeyringError
    except ImportError:
        raise ConfigError(
            f"The key {name!r} should come from a keyring, but the package keyring is not "
            "installed.",
            remedy=f"`{sys.executable} -m pip install keyring` installs it; or use env: or file:.",
        ) from None
    try:
        value: str | None = keyring.get_password(service, user)
    except refused as error:
        raise ConfigError(
            f"The keyring did not give the key {name!r}: {type(error).__name__}.",
            remedy="Unlock it, or use env: or file:.",
        ) from None
    if value is None:
        raise ConfigError(
            f"The keyring has no secret for {service}/{user}, where {_what(name)} should be.",
            remedy=f"Put it there: keyring set {service} {user}",
        )
    return value
