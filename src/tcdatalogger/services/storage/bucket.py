"""Files in a bucket: Google Cloud Storage, Amazon S3, and other services with the protocol of S3.

The library is obstore; `open.py` loads this module with the first bucket. One request writes an
object; a large object is sent in parts, and the last request makes an object of them. So an object
is whole or not there. The library itself keeps the limit of time of a request.
"""

from __future__ import annotations

import errno
import io
import re
import secrets
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import obstore
from obstore import exceptions
from obstore.store import GCSStore, S3Store

from tcdatalogger.errors import ConfigError, Failure, WarehouseUnavailable
from tcdatalogger.observability.redact import register
from tcdatalogger.services.storage.address import BucketAddress
from tcdatalogger.services.storage.protocol import PATIENCE, Content, StoredFile

if TYPE_CHECKING:
    from obstore.store import ClientConfig, GCSConfig, RetryConfig, S3Config

PARTS: Final = 2
"""Parts of 5 MB of an upload at once: so a line that sends 400 kB a second suffices."""

RETRIES: Final = 8
"""How often a request is tried again within a call; its pauses double from a tenth of a second."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_DENIED: Final = frozenset(
    {
        "AccessDenied",
        "AccountProblem",
        "AllAccessDisabled",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidToken",
        "SignatureDoesNotMatch",
        "UserProjectAccountProblem",
    }
)
"""What a service calls a request that these credentials may not make."""

_ELSEWHERE: Final = frozenset({"AuthorizationHeaderMalformed", "PermanentRedirect"})
"""What Amazon calls a request that came to the wrong region."""

_PERMISSIONS: Final = {
    "s3": {
        "list": "s3:ListBucket",
        "write": "s3:PutObject",
        "read": "s3:GetObject",
        "delete": "s3:DeleteObject",
    },
    "gs": {
        "list": "storage.objects.list",
        "write": "storage.objects.create",
        "read": "storage.objects.get",
        "delete": "storage.objects.delete",
    },
}
"""What each operation needs, by scheme."""

_VARIABLES: Final = {
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
}
"""Where the environment has credentials."""

_ASKED_FOR_CREDENTIALS: Final = ("169.254.", "/latest/", "token request", "redentials")
"""What is in the library's text where it had to ask for credentials, of the machine for example."""

_KINDS: Final = {
    "Connect": "no connection comes about",
    "Timeout": "no answer comes in time",
}
"""What the library calls a call without an answer, in our words."""


class Credentials(Protocol):
    """`KEY_ID:SECRET` or `KEY_ID:SECRET:TOKEN`; it prints nowhere."""

    def reveal(self) -> str:
        """The text itself."""
        ...


class Bucket:
    """The objects of a bucket below a prefix.

    Args:
        address: of the bucket.
        patience: seconds after which a call ends at the latest.
        credentials: of `s3://`, or the file of them of `gs://`; None for what the environment has.
    """

    def __init__(
        self,
        address: BucketAddress,
        *,
        patience: float = PATIENCE,
        credentials: Credentials | Path | None = None,
    ) -> None:
        self._address = address
        self._patience = patience
        self._credentials = credentials

    @property
    def place(self) -> str:
        """The address, without what stands after its question mark."""
        return str(self._address)

    @property
    def halves_folder(self) -> Path:
        """The folder of this machine for files in passing."""
        return Path(tempfile.gettempdir())

    def write(self, name: str, content: Content) -> None:
        """Write an object (`Storage.write`); the service has it on its disks before it answers."""
        if not isinstance(content, bytes):
            whole = io.BytesIO()
            content(whole)
            content = whole.getvalue()
        with self._asked("write"):
            obstore.put(self._store, name, content, max_concurrency=PARTS)

    def read(self, name: str, last: int | None = None) -> bytes:
        """The bytes of an object (`Storage.read`)."""
        with self._asked("read"):
            if last is None:
                return bytes(obstore.get(self._store, name).bytes())
            found = obstore.get(self._store, name, options={"range": {"suffix": last}})
            return bytes(found.bytes())

    def read_part(self, name: str, start: int, size: int) -> bytes:
        """Some bytes of an object (`Storage.read_part`)."""
        with self._asked("read"):
            return bytes(obstore.get_range(self._store, name, start=start, length=size))

    def exists(self, name: str) -> bool:
        """Whether there is such an object."""
        try:
            with self._asked("read"):
                obstore.head(self._store, name)
        except FileNotFoundError:
            return False
        return True

    def files(self, prefix: str = "", after: str = "") -> Iterator[StoredFile]:
        """The objects below a prefix (`Storage.files`): a request for each thousand of them."""
        with self._asked("list"):
            found = obstore.list(
                self._store, prefix.rstrip("/") or None, offset=after or None, chunk_size=1000
            )
        while True:
            with self._asked("list"):
                batch = next(found, None)
            if batch is None:
                return
            for one in batch:
                if one["path"] > after:
                    ticks = (one["last_modified"] - _EPOCH) // timedelta(microseconds=1)
                    yield StoredFile(one["path"], one["size"], ticks * 1000)

    def delete(self, names: Iterable[str]) -> None:
        """Delete objects, ten at a time."""
        wanted = list(names)
        if not wanted:
            return
        with self._asked("delete"):
            try:
                obstore.delete(self._store, wanted)
            except FileNotFoundError as missing:  # Google says it of one that is not there
                _refuse_no_bucket(self._address, missing)
                for name in wanted:
                    with suppress(FileNotFoundError):
                        obstore.delete(self._store, name)

    def deliver(self, name: str = "") -> None:
        """Do nothing: all is in its place."""

    def halves(self) -> list[Path]:
        """An empty list: an upload that has not ended is no object."""
        return []

    def local(self, name: str) -> Path | None:  # noqa: ARG002
        """None: objects are not on this machine."""
        return None

    def prove(self) -> None:
        """List, write, read and delete an object, to see whether all of this is allowed.

        Raises:
            ConfigError: something is not allowed; the message names each missing permission.
            WarehouseUnavailable: the bucket cannot be reached now.
        """
        name, missing = f".check/{secrets.token_hex(8)}", []
        for step in _PERMISSIONS[self._address.scheme]:
            try:
                self._take(step, name)
            except _Denied:
                missing.append(step)
            except FileNotFoundError:  # it could not be written
                continue
        if missing:
            raise _denied(self._address, missing)

    def _take(self, step: str, name: str) -> None:
        match step:
            case "list":
                next(self.files(".check/"), None)
            case "write":
                self.write(name, b"tcdatalogger check")
            case "read":
                self.read(name)
            case _:
                self.delete([name])

    @cached_property
    def _store(self) -> S3Store | GCSStore:
        try:
            return self._made()
        except (exceptions.BaseError, OSError, ValueError):  # its text may hold what it has read
            raise ConfigError(
                f"The credentials of the archive {self.place} cannot be used.",
                remedy=f"Look at `archive.credentials`, or at {_VARIABLES[self._address.scheme]}.",
            ) from None

    def _made(self) -> S3Store | GCSStore:
        address, part = self._address, timedelta(seconds=self._patience / 3)
        client: ClientConfig = {
            "timeout": part,
            "connect_timeout": min(part, timedelta(seconds=5)),
            "allow_http": address.endpoint.startswith("http://"),
        }
        retry: RetryConfig = {"max_retries": RETRIES, "retry_timeout": 2 * part}
        prefix = address.prefix or None
        if address.scheme == "gs":
            google: GCSConfig = {}
            if address.endpoint:
                google["base_url"] = address.endpoint
            if isinstance(self._credentials, Path):
                google["service_account"] = str(self._credentials)
            return GCSStore(
                address.bucket,
                prefix=prefix,
                config=google,
                client_options=client,
                retry_config=retry,
            )
        # With a request for many names at once, the library breaks where an answer names another,
        # and not every service that speaks S3 has it.
        amazon: S3Config = {"disable_bulk_delete": True}
        if address.endpoint:
            amazon["endpoint"] = address.endpoint
        if address.region:
            amazon["region"] = address.region
        if self._credentials is not None and not isinstance(self._credentials, Path):
            key, _, rest = self._credentials.reveal().partition(":")
            secret, _, token = rest.partition(":")
            register(secret)
            register(token)
            amazon["access_key_id"], amazon["secret_access_key"] = key, secret
            if token:
                amazon["session_token"] = token
        return S3Store(
            address.bucket, prefix=prefix, config=amazon, client_options=client, retry_config=retry
        )

    @contextmanager
    def _asked(self, step: str) -> Iterator[None]:
        """Turn errors of the library into failures.

        Messages never contain the texts of the library: a service's answer may hold an access key.
        """
        try:
            yield
        except FileNotFoundError as error:
            _refuse_no_bucket(self._address, error)
            raise FileNotFoundError(errno.ENOENT, "There is no such object") from None
        except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
            raise _denied(self._address, [step], _code(str(error))) from None
        except (exceptions.BaseError, OSError, ValueError) as error:
            raise self._failed(step, str(error)) from None

    def _failed(self, step: str, says: str) -> Failure:
        code = _code(says)
        if code in _DENIED:
            return _denied(self._address, [step], code)
        if code in _ELSEWHERE:
            return ConfigError(
                f"The bucket of {self.place} is in another region.",
                remedy="Name it in `archive.path`: s3://bucket/prefix?region=eu-central-1.",
            )
        if code == "NoSuchBucket":
            return _no_bucket(self._address)
        if any(word in says for word in _ASKED_FOR_CREDENTIALS):
            return _no_credentials(self._address)
        kind = re.search(r"HttpError \{\s*kind: (\w+)", says)
        status = re.search(r"status code: (\d{3})", says)
        why = _KINDS.get(kind[1], "") if kind else ""
        why = why or " ".join(filter(None, [f"HTTP {status[1]}" if status else "", code]))
        return WarehouseUnavailable(
            f"The archive {self.place} cannot be reached: {why or 'the call failed'}.",
            remedy="The next run tries again. If it lasts, look at the network, and at endpoint= "
            "in `archive.path`.",
        )


class _Denied(ConfigError):
    """These credentials may not do that."""


def _denied(address: BucketAddress, steps: Sequence[str], code: str = "") -> _Denied:
    permissions = [_PERMISSIONS[address.scheme][step] for step in steps]
    many = "permissions" if len(permissions) > 1 else "permission"
    said = f" ({code})" if code and code != "AccessDenied" else ""
    if address.scheme == "gs":
        remedy = (
            f"gcloud storage buckets add-iam-policy-binding gs://{address.bucket} "
            "--role=roles/storage.objectUser --member=serviceAccount:ACCOUNT"
        )
    else:
        below = f"arn:aws:s3:::{address.bucket}{address.prefix and '/'}{address.prefix}/*"
        where = [f"arn:aws:s3:::{address.bucket}" if step == "list" else below for step in steps]
        remedy = "Allow " + ", ".join(
            f"{permission} on {place}" for permission, place in zip(permissions, where, strict=True)
        )
    return _Denied(
        f"The archive {address} refuses these credentials{said}: the {many} "
        f"{', '.join(permissions)} may be missing.",
        remedy=f"{remedy}.",
    )


def _code(says: str) -> str:
    """What the service calls the error in its answer, "" where it does not say."""
    found = re.search(r"<Code>(\w+)</Code>", says) or re.search(r'code: "(\w+)"', says)
    if found:
        return found[1]
    return next((code for code in sorted(_DENIED) if code in says), "")


def _refuse_no_bucket(address: BucketAddress, missing: FileNotFoundError) -> None:
    """Raise `ConfigError` where not the object is missing but the bucket."""
    if "NoSuchBucket" in str(missing):
        raise _no_bucket(address) from None


def _no_bucket(address: BucketAddress) -> ConfigError:
    return ConfigError(
        f"There is no bucket {address.scheme}://{address.bucket}.",
        remedy="Make it, or name another one in `archive.path`.",
    )


def _no_credentials(address: BucketAddress) -> WarehouseUnavailable:
    """The failure for missing credentials. It may pass: a machine's own come over the network."""
    return WarehouseUnavailable(
        f"No credentials for the archive {address} were found.",
        remedy=f"Set {_VARIABLES[address.scheme]}, or `archive.credentials`.",
    )
