"""The address of a BigQuery dataset: `bigquery://project/dataset?location=EU`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from tcdatalogger.errors import ConfigError

SCHEME: Final = "bigquery://"

_PROJECT: Final = re.compile(r"(?:[a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]")
"""Letters, digits and hyphens; an old project of a company has the company's domain before it."""
_DATASET: Final = re.compile(r"[A-Za-z0-9_]{1,1024}")
_LOCATION: Final = re.compile(r"[A-Za-z]+(?:-[A-Za-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Address:
    """A dataset of BigQuery.

    Attributes:
        project: that holds it and pays for its jobs.
        dataset: its name.
        location: where it lies, as EU or europe-west1; None where BigQuery is to be asked.
    """

    project: str
    dataset: str
    location: str | None = None

    def __str__(self) -> str:
        return f"{self.project}.{self.dataset}"


def parse(url: str) -> Address:
    """The dataset that an address names.

    Raises:
        ConfigError: the address names none.
    """
    parts = urlsplit(url)
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    dataset, location = parts.path.removeprefix("/"), given.pop("location", None)
    found = (
        url.startswith(SCHEME),
        _PROJECT.fullmatch(parts.netloc),
        _DATASET.fullmatch(dataset),
        location is None or _LOCATION.fullmatch(location),
        not given and not parts.fragment,
    )
    if not all(found):
        raise ConfigError(
            "The address of the warehouse names no dataset of BigQuery.",
            remedy="Write bigquery://PROJECT/DATASET or bigquery://PROJECT/DATASET?location=EU.",
        )
    return Address(parts.netloc, dataset, location)
