"""A tab of a spreadsheet is replaced as a whole, and no text in it is computed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from google_sheets import EMAIL, KEY, SPREADSHEET, TOKEN, open_google
from tcdatalogger.clock import ManualClock
from tcdatalogger.errors import ConfigError, DataRefused, SheetsUnavailable
from tcdatalogger.observability.redact import redact
from tcdatalogger.services.google import sheets
from tcdatalogger.services.google.sheets import Sheets, cell, column

ROWS = [["name", "n"], ["=HYPERLINK(1)", 1], ["Anna", None]]


@pytest.fixture
def google():
    with open_google() as found:
        yield found


def write(google, rows=ROWS, tab="Crimes", **changes):
    clock = ManualClock()
    made = Sheets(google.document(**changes), clock, google.url)
    made.replace(SPREADSHEET, tab, rows)
    return clock


def test_a_tab_is_made_and_texts_stay_texts(google):
    write(google)

    assert google.rows("Crimes") == [["name", "n"], ["=HYPERLINK(1)", 1], ["Anna", ""]]
    assert google.sizes["Crimes"] == [3, 2]
    (claims,) = google.claims
    assert (claims["iss"], claims["scope"]) == (EMAIL, sheets.SCOPE)
    assert claims["exp"] - claims["iat"] == 3600


def test_what_stood_in_it_is_gone_and_the_grid_keeps_its_size(google):
    google.add("Crimes", 100, 26, [["old"] * 5] * 50)
    google.add("Others", 10, 10, [["mine"]])
    write(google)

    assert google.rows("Crimes") == [["name", "n"], ["=HYPERLINK(1)", 1], ["Anna", ""]]
    assert google.sizes["Crimes"] == [100, 26]
    assert google.rows("Others") == [["mine"]]


def test_a_grid_that_is_too_small_grows(google):
    google.add("It's mine", 1, 1, [["old"]])
    write(google, [["a", "b"], *([n, n] for n in range(30))], tab="It's mine")

    assert google.sizes["It's mine"] == [31, 2]
    assert google.rows("It's mine")[30] == [29, 29]


def test_many_rows_go_in_several_calls(google, monkeypatch):
    monkeypatch.setattr(sheets, "_PIECE", 200)
    rows = [["n", "text"], *([n, "x" * 20] for n in range(50))]
    write(google, rows)

    assert google.rows("Crimes") == rows
    assert len([call for call in google.calls if call[0] == "PUT"]) > 5


def test_no_rows_leave_the_names_of_the_columns_alone(google):
    google.add("Crimes", 100, 26, [["old"] * 5] * 50)
    write(google, [["name", "n"]])

    assert google.rows("Crimes") == [["name", "n"]]


def test_google_is_given_the_pause_that_it_wants(google):
    google.answers = [200, 200, 429, 429]
    clock = write(google)

    assert clock.now() - ManualClock().now() == 15.0
    assert google.rows("Crimes")
    google.answers = [200, 429, 429, 429, 429]
    with pytest.raises(SheetsUnavailable, match="it answered 429"):
        write(google)


@pytest.mark.parametrize(
    ("answers", "error", "says"),
    [
        ([400], ConfigError, "does not take the key of the service account"),
        ([503], SheetsUnavailable, "gave no token: it answered 503"),
        ([200, 403], ConfigError, f"Share the spreadsheet with {EMAIL} as an editor"),
        ([200, 404], ConfigError, "knows no such spreadsheet"),
        ([200, 400], DataRefused, r"does not take what was written \(The answer is 400.\\nNo\)"),
        ([200, 500], SheetsUnavailable, "did not take the export: it answered 500"),
        ([200, 200, 200, 502], SheetsUnavailable, "it answered 502"),
    ],
)
def test_what_google_refuses_is_told_with_what_to_do(google, answers, error, says):
    google.answers = answers
    with pytest.raises(error, match=says) as found:
        write(google)
    assert TOKEN not in str(found.value)
    assert "PRIVATE KEY" not in str(found.value)


def test_a_google_that_is_away_is_told(google):
    clock = ManualClock()
    away = Sheets(google.document(token_uri="http://127.0.0.1:1/token"), clock, google.url)
    with pytest.raises(SheetsUnavailable, match="cannot be reached"):
        away.replace(SPREADSHEET, "x", ROWS)
    unsafe = Sheets(google.document(token_uri="http://google.example/token"), clock, google.url)
    with pytest.raises(SheetsUnavailable, match="does not begin with https"):
        unsafe.replace(SPREADSHEET, "x", ROWS)


@pytest.mark.parametrize(
    "document", ["no json", "[]", '{"type": "authorized_user", "client_id": "x"}']
)
def test_what_is_no_key_of_a_service_account_is_refused(document):
    with pytest.raises(ConfigError, match="credentials for Google"):
        Sheets(document, ManualClock())


def test_a_damaged_key_is_told_without_it(google):
    damaged = json.loads(google.document())["private_key"].replace("a", "b")
    with pytest.raises(ConfigError, match="private key of the service account is damaged") as found:
        write(google, private_key=damaged)
    assert damaged not in str(found.value)
    assert KEY.key_size == 2048
    assert redact(damaged) == "***"


def test_more_cells_than_a_spreadsheet_has_are_refused_before_a_call(google, monkeypatch):
    monkeypatch.setattr(sheets, "MOST_CELLS", 5)
    with pytest.raises(DataRefused, match="6 cells do not fit"):
        write(google)
    assert google.calls == []


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, ""),
        (True, True),
        (2**53, 2**53),
        (2**53 + 1, "9007199254740993"),
        (float("nan"), "nan"),
        (Decimal("1.50"), "1.50"),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02 03:04:05"),
        ([1, "é"], '[1, "é"]'),
        ("\x1b]0;x", "\\x1b]0;x"),
    ],
)
def test_a_value_is_written_so_that_nothing_is_lost(value, written):
    assert cell(value) == written


@given(st.one_of(st.text(max_size=60_000), st.floats(), st.integers(), st.booleans(), st.none()))
def test_every_value_can_be_sent_and_fits_into_a_cell(value):
    made = cell(value)
    json.dumps(made, allow_nan=False).encode()
    assert len(str(made)) <= 50_000


def test_columns_have_letters():
    assert [column(n) for n in (1, 26, 27, 52, 703)] == ["A", "Z", "AA", "AZ", "AAA"]
