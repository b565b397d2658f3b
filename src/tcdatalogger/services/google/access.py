"""How Google is reached: where BigQuery answers, and as whom this program asks."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

import google.auth
from google.auth import exceptions, identity_pool
from google.auth.credentials import AnonymousCredentials, Credentials
from google.oauth2 import credentials as user
from google.oauth2 import service_account

from tcdatalogger.errors import ConfigError
from tcdatalogger.observability.redact import register

EMULATOR: Final = "BIGQUERY_EMULATOR_HOST"
"""The variable with the address of an emulator; Google's libraries know it too."""
STORAGE_EMULATOR: Final = "BIGQUERY_STORAGE_EMULATOR_HOST"
"""The variable with HOST:PORT of an emulator's Storage API."""

SCOPES: Final = ("https://www.googleapis.com/auth/bigquery",)

_SECRETS: Final = ("private_key", "client_secret", "refresh_token")
"""What is secret in a file with credentials."""
_MAKERS: Final[Mapping[str, Callable[[Any], Credentials]]] = {
    "service_account": partial(
        service_account.Credentials.from_service_account_info, scopes=SCOPES
    ),
    "authorized_user": user.Credentials.from_authorized_user_info,  # the login chose its scopes
    "external_account": partial(identity_pool.Credentials.from_info, scopes=SCOPES),
}
"""What makes credentials of a file, by the type that the file names."""


class Revealed(Protocol):
    """A secret that prints nowhere."""

    def reveal(self) -> str:
        """The secret itself."""
        ...


@dataclass(frozen=True, slots=True)
class Access:
    """Where BigQuery answers, and as whom it is asked.

    Attributes:
        credentials: of Google's library; those of an emulator are anonymous.
        endpoint: the address of another BigQuery than Google's, None for Google's.
        storage_endpoint: HOST:PORT of another Storage API than Google's, None for Google's.
    """

    credentials: Credentials
    endpoint: str | None = None
    storage_endpoint: str | None = None

    @property
    def member(self) -> str:
        """The asking account as `gcloud` writes it; it tells where to put the name if unknown."""
        email = getattr(self.credentials, "service_account_email", None)
        if isinstance(email, str) and "@" in email:
            return f"serviceAccount:{email}"
        return "serviceAccount:YOUR_ACCOUNT"


def find(environ: Mapping[str, str], document: Revealed | None = None) -> Access:
    """How Google is reached from here.

    An emulator that the environment names is asked by nobody's name. Else the credentials are those
    of the document, or those that Google's library finds: GOOGLE_APPLICATION_CREDENTIALS, the login
    of `gcloud`, or the account of the machine.

    Args:
        environ: the environment, for the addresses of an emulator.
        document: the text of a file with credentials, None for none.

    Raises:
        ConfigError: there are no credentials, or the document is none that works here.
    """
    endpoint = environ.get(EMULATOR)
    if endpoint:
        url = endpoint if "://" in endpoint else f"http://{endpoint}"
        nobody = AnonymousCredentials()  # type: ignore[no-untyped-call]  # google's
        return Access(nobody, url, environ.get(STORAGE_EMULATOR))
    return Access(_default() if document is None else _of(document.reveal()))


def _default() -> Credentials:
    try:
        credentials, _ = google.auth.default(scopes=SCOPES)
    except exceptions.DefaultCredentialsError:
        raise ConfigError(
            "Google's library finds no credentials on this machine.",
            remedy="Log in with `gcloud auth application-default login`, or set "
            "GOOGLE_APPLICATION_CREDENTIALS to the path of a service account's key file.",
        ) from None
    return credentials


def _of(text: str) -> Credentials:
    remedy = "Give the JSON file of a service account, of a login, or of workload identity."
    try:
        found = json.loads(text)
    except ValueError:
        raise ConfigError("The credentials for Google are no JSON.", remedy=remedy) from None
    found = found if isinstance(found, dict) else {}
    for name in _SECRETS:
        register(str(found.get(name) or ""))
    kind = str(found.get("type"))
    make = _MAKERS.get(kind)
    if make is None:
        raise ConfigError(
            "The credentials for Google are of a type that does not work here.", remedy=remedy
        )
    try:
        return make(found)
    except (ValueError, KeyError, TypeError, exceptions.GoogleAuthError):
        raise ConfigError(
            f"The credentials for Google are not whole: they are no {kind}.", remedy=remedy
        ) from None
