"""The settings of an export: one entry of `[[exports]]`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from tcdatalogger.core.config import schedule, sizes
from tcdatalogger.core.config.durations import parse
from tcdatalogger.core.config.field_types import (
    AnyDuration,
    ClockDuration,
    Model,
    Name,
    Plain,
    checked,
    wrong,
)
from tcdatalogger.core.config.paths import resolve_path, resolve_reference

FORMATS: Final = (".csv", ".json", ".parquet")
"""The endings of files, which say what is written."""
_SHEET: Final = re.compile(r"(?:https://docs\.google\.com/spreadsheets/d/)?([\w-]{20,})(?:/.*)?")
_TAB: Final = 100
"""Characters of the name of a tab at most; Google takes no more."""


def spreadsheet(value: str) -> str:
    """The id of a spreadsheet, from the id or from its address.

    Raises:
        ValueError: the text is neither.
    """
    found = _SHEET.fullmatch(value)
    if found is None:
        raise ValueError(
            "must be the id of a spreadsheet, or its address as "
            "https://docs.google.com/spreadsheets/d/ID/edit"
        )
    return found[1]


class ExportSettings(Model):
    """An export: a question or a table, written into a file or a sheet of Google."""

    name: Name
    """The name of the export, for `exports run`, status and metrics."""
    question: str | None = None
    """A question of `tcdatalogger ask`, as oc-profit, whose answer is written."""
    params: dict[str, Plain] = Field(default_factory=dict)
    """The values of its parameters, as { days = 90 }; `ask NAME --about` lists them."""
    owner: bool = False
    """Whether it may be what only the owner of a key is to see."""
    table: Name | None = None
    """A table of the warehouse instead of a question, as faction_crimes: all of its rows."""
    file: str | None = None
    """The file, relative to this file's folder, as exports/crimes.csv; .csv, .json or .parquet. It
    is replaced as a whole."""
    raw: bool = False
    """Whether a CSV has texts as Torn sent them. Else a text that a spreadsheet would take for a
    formula has a ' in front."""
    sheet: Annotated[str, checked(spreadsheet)] | None = None
    """A spreadsheet of Google instead of a file: its id, or its address."""
    tab: str | None = None
    """The tab of the spreadsheet, which is made where it is not there; the name of the export where
    it is not given. All that stands in it is replaced."""
    credentials: str | None = None
    """Where the JSON of a service account is, as file:google.json or env:TCD_SHEETS; that of the
    warehouse where it is not given."""
    frequency: AnyDuration | None = None
    """How often the scheduler writes it, as P1D; without it, only `exports run` does."""
    timezone: Annotated[str, checked(schedule.zone)] = "UTC"
    """The time zone whose days, weeks and months the frequency counts."""
    anchor: Annotated[str, checked(schedule.anchor)] = schedule.ANCHOR
    """A local date and time at which it is due, as 2001-01-01T06:30, as of an endpoint."""
    timeout: ClockDuration = Field(
        default_factory=lambda: parse("PT10M"), json_schema_extra={"default": "PT10M"}
    )
    """How long it may take; its process is killed a little later."""
    memory: Annotated[str, checked(sizes.parse)] = "2GB"
    """The most memory of its process, in addition to the program itself."""

    @property
    def place(self) -> str:
        """Where it is written, for people."""
        if self.file is not None:
            return self.file
        return f"sheet {spreadsheet(self.sheet or '')}, tab {self.tab or self.name}"

    @property
    def of(self) -> str:
        """What is written: the name of the question or of the table."""
        return self.question or self.table or ""

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if (self.question is None) == (self.table is None):
            raise wrong("needs a question or a table, and not both")
        if (self.file is None) == (self.sheet is None):
            raise wrong("needs a file or a sheet, and not both")
        if self.file is not None and not self.file.endswith(FORMATS):
            raise wrong("its file must end with .csv, .json or .parquet")
        if self.file is not None and (self.tab or self.credentials):
            raise wrong("tab and credentials go with a sheet")
        if self.raw and not (self.file or "").endswith(".csv"):
            raise wrong("raw goes with a file that ends with .csv")
        if self.table is not None and (self.params or self.owner):
            raise wrong("params and owner go with a question")
        if self.tab is not None and not 0 < len(self.tab) <= _TAB:
            raise wrong(f"its tab must have a name of at most {_TAB} letters")
        return self

    def resolved(self, folder: Path) -> Self:
        """The same settings with every relative path taken from `folder`."""
        return self.model_copy(
            update={
                "file": self.file and str(resolve_path(self.file, folder)),
                "credentials": self.credentials and resolve_reference(self.credentials, folder),
            }
        )
