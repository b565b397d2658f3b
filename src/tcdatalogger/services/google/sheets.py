"""A tab of a spreadsheet of Google, whose whole content is replaced.

Values are written RAW: Google stores a text as it is and computes nothing, whatever it begins with.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote, urlencode

import google.auth.crypt
import google.auth.jwt

from tcdatalogger.backoff import Backoff
from tcdatalogger.clock import Clock
from tcdatalogger.errors import ConfigError, DataRefused, SheetsUnavailable
from tcdatalogger.observability.redact import redact, register
from tcdatalogger.services.channels import http
from tcdatalogger.services.channels.http import Answered
from tcdatalogger.text import harmless, one_line

SHEETS: Final = "https://sheets.googleapis.com"
EMULATOR: Final = "SHEETS_EMULATOR_HOST"
"""The variable with the address of something else that answers like Google."""
SCOPE: Final = "https://www.googleapis.com/auth/spreadsheets"
SECONDS: Final = 60.0
"""How long one call may take."""
MOST_CELLS: Final = 10_000_000
"""Cells of a spreadsheet; Google takes no more."""
_LONGEST: Final = 50_000
"""Characters of a cell; Google takes no more."""
_PIECE: Final = 1_500_000
"""Characters of the values of one call: Google recommends 2 MB at most."""
_ANSWER: Final = 4_000_000
"""Bytes of an answer that are read."""
_EXACT: Final = 2**53
"""Integers up to it are exact in a sheet, which has floats alone."""
_TOKEN_SECONDS: Final = 3_600
_crypt: Any = google.auth.crypt  # it has no types
_jwt: Any = google.auth.jwt  # it has no types
_TRIES: Final = 4
_BACKOFF: Final = Backoff(5.0, 60.0)
_OK, _REFUSED, _UNAUTHORIZED, _FORBIDDEN, _ABSENT, _TOO_MANY = 200, 400, 401, 403, 404, 429
_FAULT: Final = 500
_ALPHABET: Final = 26
_KEY: Final = ("client_email", "private_key", "token_uri")

Cell = str | int | float | bool


@dataclass(frozen=True, slots=True)
class _Tab:
    """A tab as it is: its id, and the size of its grid."""

    number: int
    rows: int
    columns: int


class Sheets:
    """The spreadsheets that a service account may write.

    Args:
        document: the JSON of the key of a service account.
        clock: to sign by, and to wait by.
        url: the address of the API.

    Raises:
        ConfigError: the document is no key of a service account.
    """

    def __init__(self, document: str, clock: Clock, url: str = SHEETS) -> None:
        self._account = _account(document)
        self._clock = clock
        self._url = url.rstrip("/")
        self._token = ""

    def replace(self, spreadsheet: str, tab: str, rows: Sequence[Sequence[Any]]) -> None:
        """Replace all that stands in a tab; the tab is made where it is not there.

        It takes several calls: who looks on sees for a moment old rows below the new ones, and so
        does it stay where a call fails, until the next export. The grid never gets smaller, so
        formulas of other tabs keep their places.

        Args:
            spreadsheet: its id.
            tab: the name of the tab.
            rows: the names of the columns, and the rows.

        Raises:
            ConfigError: there is no such spreadsheet, or the service account may not write it.
            DataRefused: it does not fit into a spreadsheet.
            SheetsUnavailable: Google cannot be reached now, or does not take it.
        """
        height, width = len(rows), max(map(len, rows), default=0) or 1
        if height * width > MOST_CELLS:
            raise DataRefused(
                f"{height * width:,} cells do not fit: a spreadsheet has {MOST_CELLS:,} at most.",
                remedy="Export a question that asks for less, or a file.",
            )
        found = self._sized(spreadsheet, tab, height, width)
        for first, piece in _pieces(rows):
            place = f"{_quoted(tab)}!A{first}"
            self._ask(
                "PUT",
                f"/v4/spreadsheets/{spreadsheet}/values/{quote(place, safe='')}"
                "?valueInputOption=RAW",
                {"range": place, "majorDimension": "ROWS", "values": piece},
            )
        rest = []
        if found.rows > height:
            end = f"{column(found.columns)}{found.rows}"
            rest.append(f"{_quoted(tab)}!A{height + 1}:{end}")
        if found.columns > width:
            end = f"{column(found.columns)}{found.rows}"
            rest.append(f"{_quoted(tab)}!{column(width + 1)}1:{end}")
        if rest:
            self._ask("POST", f"/v4/spreadsheets/{spreadsheet}/values:batchClear", {"ranges": rest})

    def _sized(self, spreadsheet: str, tab: str, height: int, width: int) -> _Tab:
        """The tab, with a grid that is large enough."""
        fields = urlencode({"fields": "sheets.properties(sheetId,title,gridProperties)"})
        known = self._ask("GET", f"/v4/spreadsheets/{spreadsheet}?{fields}", None)
        found = next(
            (_tab(each["properties"]) for each in known.get("sheets", [])
             if each["properties"].get("title") == tab),
            None,
        )  # fmt: skip
        grid = {"rowCount": height, "columnCount": width}
        if found is None:
            properties = {"title": tab, "gridProperties": grid}
            change: dict[str, Any] = {"addSheet": {"properties": properties}}
        elif found.rows < height or found.columns < width:
            grid = {
                "rowCount": max(found.rows, height),
                "columnCount": max(found.columns, width),
            }
            change = {
                "updateSheetProperties": {
                    "properties": {"sheetId": found.number, "gridProperties": grid},
                    "fields": "gridProperties(rowCount,columnCount)",
                }
            }
        else:
            return found
        self._ask("POST", f"/v4/spreadsheets/{spreadsheet}:batchUpdate", {"requests": [change]})
        number = 0 if found is None else found.number
        return _Tab(number, grid["rowCount"], grid["columnCount"])

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        """One call, tried again where Google wants a pause."""
        data = None if body is None else json.dumps(body).encode()
        for tries in range(1, _TRIES + 1):
            answered = http.call(
                f"{self._url}{path}",
                data,
                {"Authorization": f"Bearer {self._access()}", "Content-Type": "application/json"},
                seconds=SECONDS,
                method=method,
                most=_ANSWER,
                secret=False,
            )
            if answered.status != _TOO_MANY or tries == _TRIES:
                break
            self._clock.sleep(answered.wait or _BACKOFF.pause(tries))
        if answered.why:
            raise self._fault(answered)
        try:
            told: dict[str, Any] = json.loads(answered.body)
        except ValueError:
            raise SheetsUnavailable("Google answered something that is no JSON.") from None
        return told

    def _fault(self, answered: Answered) -> Exception:
        said = _said(answered.body)
        email = self._account["client_email"]
        if answered.status == _ABSENT:
            return ConfigError(
                "Google knows no such spreadsheet.",
                remedy="Look at `sheet` of the export: it is the part of the address after /d/.",
            )
        if answered.status in {_UNAUTHORIZED, _FORBIDDEN}:
            return ConfigError(
                f"The service account may not write the spreadsheet{said}.",
                remedy=f"Share the spreadsheet with {email} as an editor, and enable the Google "
                "Sheets API in the project of the account.",
            )
        if answered.status == _REFUSED:
            return DataRefused(
                f"Google does not take what was written{said}.",
                remedy="Look at the name of the tab, and at what stands in it.",
            )
        return SheetsUnavailable(
            f"Google's sheets did not take the export: {answered.why}{said}.",
            remedy="It is tried again; Google's status page tells of outages.",
        )

    def _access(self) -> str:
        """A token for the calls of the next hour, asked for with the key of the account."""
        if self._token:
            return self._token
        now, address = int(self._clock.now()), self._account["token_uri"]
        claims = {
            "iss": self._account["client_email"],
            "scope": SCOPE,
            "aud": address,
            "iat": now,
            "exp": now + _TOKEN_SECONDS,
        }
        try:
            signer = _crypt.RSASigner.from_service_account_info(self._account)
            signed = _jwt.encode(signer, claims)
        except (ValueError, TypeError):
            raise ConfigError(
                "The private key of the service account is damaged.", remedy=_WHOLE
            ) from None
        grant = {
            "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "assertion": signed.decode(),
        }
        answered = http.call(
            address,
            urlencode(grant).encode(),
            {"Content-Type": "application/x-www-form-urlencoded"},
            seconds=SECONDS,
            secret=False,
        )
        if _OK < answered.status < _FAULT and answered.status != _TOO_MANY:
            raise ConfigError(
                f"Google does not take the key of the service account{_said(answered.body)}.",
                remedy="Make a new key for it, and look whether this machine's clock is right.",
            )
        if answered.why:
            raise SheetsUnavailable(
                f"Google gave no token: {answered.why}.", remedy="It is tried again."
            )
        try:
            self._token = str(json.loads(answered.body)["access_token"])
        except (ValueError, KeyError, TypeError):
            raise SheetsUnavailable("Google's answer has no token in it.") from None
        register(self._token)
        return self._token


_WHOLE: Final = "Give the JSON file of a key of a service account, as Google made it."


def _account(document: str) -> dict[str, str]:
    try:
        found = json.loads(document)
    except ValueError:
        raise ConfigError("The credentials for Google are no JSON.", remedy=_WHOLE) from None
    if not isinstance(found, dict) or not all(isinstance(found.get(name), str) for name in _KEY):
        raise ConfigError(
            "The credentials for Google are no key of a service account, which a sheet needs.",
            remedy=_WHOLE,
        )
    register(found["private_key"])
    return {name: str(value) for name, value in found.items()}


def _said(body: bytes) -> str:
    """What Google says about an error, as ` (…)`; "" where that is nothing."""
    try:
        told = json.loads(body)
        error = told.get("error")
        text = error.get("message") if isinstance(error, dict) else told.get("error_description")
    except (ValueError, AttributeError):
        return ""
    return f" ({redact(one_line(str(text)))[:200].rstrip('.')})" if text else ""


def _tab(properties: Mapping[str, Any]) -> _Tab:
    grid = properties.get("gridProperties", {})
    return _Tab(
        int(properties["sheetId"]), int(grid.get("rowCount", 0)), int(grid.get("columnCount", 0))
    )


def _quoted(tab: str) -> str:
    """The name of a tab as it stands in a range."""
    return "'" + tab.replace("'", "''") + "'"


def column(number: int) -> str:
    """The letters of a column, counted from 1: A, Z, AA."""
    letters = ""
    while number:
        number, rest = divmod(number - 1, _ALPHABET)
        letters = chr(ord("A") + rest) + letters
    return letters


def _pieces(rows: Sequence[Sequence[Any]]) -> Iterator[tuple[int, list[list[Cell]]]]:
    """The rows in pieces of one call each, with the number of their first row, counted from 1."""
    first, size = 1, 0
    piece: list[list[Cell]] = []
    for at, row in enumerate(rows, start=1):
        cells = [cell(value) for value in row]
        length = sum(len(str(each)) + 4 for each in cells)
        if piece and size + length > _PIECE:
            yield first, piece
            first, size, piece = at, 0, []
        piece.append(cells)
        size += length
    if piece:
        yield first, piece


def cell(value: Any) -> Cell:
    """A value as a sheet has it; times are texts in UTC, and a null is an empty text."""
    match value:
        case None:
            return ""
        case bool():
            return value
        case int():
            return value if abs(value) <= _EXACT else str(value)
        case float():
            return value if math.isfinite(value) else str(value)
        case datetime():
            whole = value if value.tzinfo else value.replace(tzinfo=UTC)
            return f"{whole.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
        case Decimal():
            return str(value)
        case list() | dict():
            return _cut(json.dumps(value, default=str, ensure_ascii=False))
        case _:
            return _cut(harmless(str(value)))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
