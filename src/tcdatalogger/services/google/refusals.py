"""What Google's errors mean: fix it, or try it later. No message of ours holds an address.

The errors of Google's library have the whole address of the request in their text. So the text is
never used: the reason and the message come out of the answer's JSON.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import requests
from google.api_core import exceptions as api
from google.auth import exceptions as auth
from google.resumable_media import common as upload

from tcdatalogger.errors import ConfigError, DataRefused, Failure, WarehouseUnavailable
from tcdatalogger.services.google.address import Address

ERRORS: Final = (
    api.GoogleAPIError,
    auth.GoogleAuthError,
    requests.RequestException,
    upload.DataCorruption,
    upload.InvalidResponse,
    ConnectionError,
    TimeoutError,
)
"""Every error that a call of Google's library raises where the answer is not what was asked for."""

_PASSING: Final = {
    "backendError", "badGateway", "internalError", "jobBackendError", "jobInternalError",
    "jobRateLimitExceeded", "rateLimitExceeded", "tableUnavailable",
}  # fmt: skip
"""Reasons that may be gone within seconds."""
_LATER: Final = {*_PASSING, "quotaExceeded", "stopped", "timeout", "conditionNotMet"}
"""Reasons that may be gone later. (docs.cloud.google.com/bigquery/docs/error-messages)"""
_BUSY: Final = "due to concurrent update"
"""What BigQuery says where two transactions changed one table; the reason is `invalidQuery`."""
_LOST: Final = "Not found: Job"
"""What it may say for a moment of a job that is there. Nobody asks here for one that is not."""
_FORBIDDEN: Final = {"accessDenied", "forbidden", "insufficientPermissions"}
_UNPAID: Final = {"accountDisabled", "billingNotEnabled"}
_SWITCHED_OFF: Final = {"accessNotConfigured", "SERVICE_DISABLED"}
_NOT_ENABLED: Final = "has not enabled BigQuery"
"""What BigQuery says of a project whose API is switched off, or that is not there: `invalid`."""
_KMS: Final = "Cloud KMS"
"""What it says where it may not use a key of Cloud KMS; the reason differs."""
_ELSEWHERE: Final = "was not found in location"

EXPIRY: Final = "bigquery.tables.deleteSnapshot"
"""The permission that a snapshot with an expiry takes; only an owner of the dataset has it."""
_PERMISSION: Final = re.compile(r"bigquery\.\w+\.\w+")
_URL: Final = re.compile(r"(https?://[^\s?#]+)[?#]\S*")
_KMS_KEY: Final = re.compile(
    r"projects/[^/\s]+/locations/[^/\s]+/keyRings/[^/\s]+/cryptoKeys/[\w-]+"
)
_KMS_ACCOUNT: Final = re.compile(r"bq-\d+@bigquery-encryption\.iam\.gserviceaccount\.com")


@dataclass(frozen=True, slots=True)
class Refusal:
    """What Google said.

    Attributes:
        reason: in one word of Google's, as `quotaExceeded`; of a lost connection the error's name.
        message: of Google, "" where it said nothing.
        status: of HTTP; None where there was no answer, or where it is a job that failed.
    """

    reason: str
    message: str = ""
    status: int | None = None

    @property
    def passing(self) -> bool:
        """Whether the same call may go through within seconds."""
        if self.reason == "quotaExceeded":
            return False
        soon = self.message.startswith(_LOST) or _BUSY in self.message
        return self.reason in _PASSING or soon or self._unwell

    @property
    def later(self) -> bool:
        """Whether the same call may go through later."""
        return self.reason in _LATER or self.passing

    @property
    def _unwell(self) -> bool:
        return self.status is not None and (
            self.status >= HTTPStatus.INTERNAL_SERVER_ERROR
            or self.status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.REQUEST_TIMEOUT)
        )


def of_error(error: Exception) -> Refusal:
    """What an error of Google's library tells."""
    if isinstance(error, api.RetryError) and isinstance(error.cause, Exception):
        return of_error(error.cause)
    if isinstance(error, api.GoogleAPICallError):
        first: Any = error.errors[0] if error.errors else {}
        first = first if isinstance(first, Mapping) else {}
        status = None if error.code is None else int(error.code)
        return Refusal(
            str(first.get("reason") or f"HTTP {status}"), _clean(first.get("message")), status
        )
    if isinstance(error, upload.InvalidResponse):
        made = api.from_http_response(error.response)  # type: ignore[no-untyped-call]  # google's
        return of_error(made)
    if isinstance(error, auth.GoogleAuthError) and not _can_pass(error):
        return Refusal("credentials", status=HTTPStatus.UNAUTHORIZED)
    # The text of these errors has the address in it.
    return Refusal(type(error).__name__, status=HTTPStatus.SERVICE_UNAVAILABLE)


def of_job(result: Mapping[str, Any]) -> Refusal:
    """What the `errorResult` of a job tells."""
    return Refusal(str(result.get("reason") or "unknown"), _clean(result.get("message")))


def _can_pass(error: auth.GoogleAuthError) -> bool:
    return isinstance(error, auth.TransportError) or bool(getattr(error, "retryable", False))


def _clean(message: object) -> str:
    return _URL.sub(r"\1", str(message or "")).strip()


def failure(refusal: Refusal, address: Address, member: str) -> Failure:
    """What the program makes of what Google said.

    Args:
        refusal: what Google said.
        address: of the dataset.
        member: who asked, as `gcloud` writes it.
    """
    if refusal.later:
        return WarehouseUnavailable(
            f"BigQuery cannot do this now ({refusal.reason}){_said(refusal)}",
            remedy="Nothing is lost; the next run tries again.",
            reason=refusal.reason,
        )
    ours = rf"Dataset {re.escape(f'{address.project}:{address.dataset}')}(?!\w)"
    missing = refusal.reason == "notFound" and re.search(ours, refusal.message) is not None
    if (
        refusal.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
        or refusal.reason in _FORBIDDEN | _UNPAID | _SWITCHED_OFF
        or any(says in refusal.message for says in (_NOT_ENABLED, _KMS))
        or missing
    ):
        return _to_fix(refusal, address, member)
    return DataRefused(f"BigQuery refuses this ({refusal.reason}){_said(refusal)}",
                       reason=refusal.reason)  # fmt: skip


def _said(refusal: Refusal) -> str:
    return f": {refusal.message.rstrip('.')}." if refusal.message else "."


def _to_fix(refusal: Refusal, address: Address, member: str) -> ConfigError:
    said = _said(refusal)
    if refusal.reason == "notFound":
        elsewhere = _ELSEWHERE in refusal.message
        return ConfigError(
            f"The dataset {address} is not there{said}",
            remedy=f"Make it: `{make_dataset(address)}`."
            + (" Or correct `location` in the address, if it lies elsewhere." if elsewhere else ""),
        )
    if refusal.reason in _UNPAID:
        line = f"gcloud billing projects link {address.project} --billing-account=ACCOUNT"
        return ConfigError(
            f"The project {address.project} has no billing{said}",
            remedy=f"Link an account: `{line}`; `gcloud billing accounts list` names yours.",
        )
    if refusal.reason in _SWITCHED_OFF or _NOT_ENABLED in refusal.message:
        line = f"gcloud services enable bigquery.googleapis.com --project={address.project}"
        return ConfigError(
            f"BigQuery is switched off in the project {address.project}, or there is no such "
            "project.",
            remedy=f"Switch it on: `{line}`.",
        )
    if _KMS in refusal.message:
        return ConfigError(
            f"BigQuery may not use the key of Cloud KMS{said}",
            remedy=f"Grant the role: `{_grant_key(refusal.message)}`; `bq show "
            f"--encryption_service_account --project_id={address.project}` names the account.",
        )
    if refusal.status == HTTPStatus.UNAUTHORIZED:
        return ConfigError(
            f"Google does not accept the credentials{said}",
            remedy="Log in again with `gcloud auth application-default login`, or give a key file "
            "of a service account that is still valid.",
        )
    found = _PERMISSION.search(refusal.message)
    what = f"the permission {found[0]}" if found else "a permission"
    line = grant(found[0] if found else "", address, member)
    return ConfigError(
        f"{member} lacks {what} for {address}{said}", remedy=f"Grant the role: `{line}`."
    )


def grant(permission: str, address: Address, member: str) -> str:
    """The command that grants what a permission is part of: one of the roles that are needed.

    Args:
        permission: as `bigquery.jobs.create`; "" where it is not known.
        address: of the dataset.
        member: who gets it, as `gcloud` writes it.
    """
    if permission.startswith("bigquery.jobs."):
        return (
            f"gcloud projects add-iam-policy-binding {address.project} --member={member} "
            "--role=roles/bigquery.jobUser"
        )
    role = "dataOwner" if permission == EXPIRY else "dataEditor"
    return (
        f"bq query --project_id={address.project} --use_legacy_sql=false "
        f"'GRANT `roles/bigquery.{role}` ON SCHEMA `{address.project}`.{address.dataset} "
        f'TO "{member}"\''
    )


def _grant_key(message: str) -> str:
    """The command that lets BigQuery use a key of Cloud KMS."""
    key, account = _KMS_KEY.search(message), _KMS_ACCOUNT.search(message)
    return (
        f"gcloud kms keys add-iam-policy-binding {key[0] if key else 'KMS_KEY'} "
        f"--member=serviceAccount:{account[0] if account else 'ACCOUNT'} "
        "--role=roles/cloudkms.cryptoKeyEncrypterDecrypter"
    )


def make_dataset(address: Address) -> str:
    """The command that makes a dataset."""
    place = f"--location={address.location} " if address.location else ""
    return f"bq {place}mk --dataset {address.project}:{address.dataset}"
