"""A Google that has one spreadsheet: it checks every call, and keeps what is written."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

SPREADSHEET = "1AbCdEfGhIjKlMnOpQrStUvWxYz0123456789"
EMAIL = "exports@torn-1.iam.gserviceaccount.com"
TOKEN = "ya29.the-token-of-an-hour"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass
class Google:
    """What stands in the spreadsheet, and what was asked.

    Attributes:
        url: where it answers.
        tabs: the cells of each tab by row and column, counted from 0, and the size of its grid.
        answers: the next statuses, before anything is done; then it does what it is asked.
        calls: what was asked: the method and the path without its query.
        claims: what the tokens were asked for with.
    """

    url: str = ""
    tabs: dict[str, dict[tuple[int, int], Any]] = field(default_factory=dict)
    sizes: dict[str, list[int]] = field(default_factory=dict)
    answers: list[int] = field(default_factory=list)
    calls: list[tuple[str, str]] = field(default_factory=list)
    claims: list[dict[str, Any]] = field(default_factory=list)

    def add(self, tab: str, rows: int, columns: int, cells: list[list[Any]] = ()) -> None:
        """Add a tab with some cells."""
        self.sizes[tab] = [rows, columns]
        self.tabs[tab] = {
            (down, right): value
            for down, row in enumerate(cells)
            for right, value in enumerate(row)
        }

    def rows(self, tab: str) -> list[list[Any]]:
        """What stands in a tab; cells without a value are empty texts."""
        cells = {place: value for place, value in self.tabs[tab].items() if value != ""}
        height = max((row for row, _ in cells), default=-1) + 1
        width = max((column for _, column in cells), default=-1) + 1
        return [[cells.get((r, c), "") for c in range(width)] for r in range(height)]

    def document(self, **changes: Any) -> str:
        """The key of a service account, as Google makes it."""
        pem = KEY.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return json.dumps(
            {
                "type": "service_account",
                "project_id": "torn-1",
                "private_key_id": "0123456789abcdef",
                "private_key": pem.decode(),
                "client_email": EMAIL,
                "token_uri": f"{self.url}/token",
                **changes,
            },
            indent=2,
        )

    def answer(self, method: str, path: str, headers: Any, body: bytes) -> tuple[int, Any]:
        """What it answers."""
        parts = urlsplit(path)
        self.calls.append((method, unquote(parts.path)))
        if self.answers and (status := self.answers.pop(0)) != 200:
            return status, {"error": {"message": f"The answer is {status}.\nNo."}}
        if parts.path == "/token":
            return self._granted(parse_qs(body.decode()))
        assert headers["Authorization"] == f"Bearer {TOKEN}", headers
        head = f"/v4/spreadsheets/{SPREADSHEET}"
        if not parts.path.startswith(head):
            return 404, {"error": {"message": "Requested entity was not found."}}
        rest = unquote(parts.path.removeprefix(head))
        told = json.loads(body) if body else {}
        if (method, rest) == ("GET", ""):
            return 200, {"sheets": [self._properties(tab) for tab in self.tabs]}
        if (method, rest) == ("POST", ":batchUpdate"):
            for request in told["requests"]:
                self._change(request)
            return 200, {"replies": []}
        if (method, rest) == ("POST", "/values:batchClear"):
            for each in told["ranges"]:
                tab, area = self._area(each)
                for place in [p for p in self.tabs[tab] if p in area]:
                    del self.tabs[tab][place]
            return 200, {}
        assert method == "PUT", (method, rest)
        assert parse_qs(parts.query) == {"valueInputOption": ["RAW"]}
        assert rest == f"/values/{told['range']}"
        assert told["majorDimension"] == "ROWS"
        self._put(told["range"], told["values"])
        return 200, {"updatedCells": 1}

    def _granted(self, asked: dict[str, list[str]]) -> tuple[int, Any]:
        assert asked["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
        head, claims, signature = asked["assertion"][0].split(".")
        KEY.public_key().verify(
            _decoded(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256()
        )
        self.claims.append(json.loads(_decoded(claims)))
        return 200, {"access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer"}

    def _properties(self, tab: str) -> Any:
        rows, columns = self.sizes[tab]
        number = list(self.tabs).index(tab)
        grid = {"rowCount": rows, "columnCount": columns}
        return {"properties": {"sheetId": number, "title": tab, "gridProperties": grid}}

    def _change(self, request: dict[str, Any]) -> None:
        if "addSheet" in request:
            found = request["addSheet"]["properties"]
            grid = found["gridProperties"]
            self.add(found["title"], grid["rowCount"], grid["columnCount"])
            return
        found = request["updateSheetProperties"]
        assert found["fields"] == "gridProperties(rowCount,columnCount)"
        tab = list(self.tabs)[found["properties"]["sheetId"]]
        grid = found["properties"]["gridProperties"]
        assert grid["rowCount"] >= self.sizes[tab][0], "a grid never gets smaller"
        assert grid["columnCount"] >= self.sizes[tab][1]
        self.sizes[tab] = [grid["rowCount"], grid["columnCount"]]

    def _put(self, place: str, values: list[list[Any]]) -> None:
        tab, corner = _parsed(place)
        row, column = _corner(corner)
        for down, line in enumerate(values):
            for right, value in enumerate(line):
                assert value is not None, "a null leaves the old value"
                assert row + down < self.sizes[tab][0], "outside of the grid"
                assert column + right < self.sizes[tab][1], "outside of the grid"
                self.tabs[tab][row + down, column + right] = value

    def _area(self, place: str) -> tuple[str, set[tuple[int, int]]]:
        tab, corners = _parsed(place)
        (top, left), (bottom, right) = map(_corner, corners.split(":"))
        assert [bottom + 1, right + 1] <= self.sizes[tab]
        return tab, {(r, c) for r in range(top, bottom + 1) for c in range(left, right + 1)}


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _parsed(place: str) -> tuple[str, str]:
    tab, _, rest = place.rpartition("!")
    assert tab[0] == tab[-1] == "'", place
    return tab[1:-1].replace("''", "'"), rest


def _corner(text: str) -> tuple[int, int]:
    letters, digits = re.fullmatch(r"([A-Z]+)(\d+)", text).groups()
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return int(digits) - 1, number - 1


@contextlib.contextmanager
def open_google() -> Iterator[Google]:
    """A Google that answers until the end of the block."""
    google = Google()
    faults: list[BaseException] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            try:
                status, told = google.answer(self.command, self.path, self.headers, body)
            except BaseException as fault:  # noqa: BLE001  # the test is told of it at its end
                faults.append(fault)
                status, told = 599, {}
            data = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PUT = do_POST  # noqa: N815  # the names of the library

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        google.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield google
        finally:
            server.shutdown()
    if faults:
        raise faults[0]
